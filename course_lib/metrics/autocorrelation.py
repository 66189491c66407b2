r"""Normalized autocorrelation of a noise field: how much the noise of neighbouring pixels is shared.

For a field :math:`n` with mean :math:`\bar n`, and :math:`N(d)` pairs of pixels that lie :math:`d` apart
inside the image,

.. math:: C(d) = \frac{1}{N(d)} \sum_x (n_x - \bar n)(n_{x+d} - \bar n), \qquad \rho(d) = \frac{C(d)}{C(0)}.

The sums for all lags at once are the inverse transform of the power spectrum (Wiener–Khinchin), of the
field padded with zeros so that opposite borders do not meet.
"""

import torch

from course_lib.axes import check_spatial
from course_lib.metrics._check import double
from course_lib.parameters import Parameter

__all__ = ["autocorrelation"]


def autocorrelation(noise: torch.Tensor, *, max_lag: int) -> torch.Tensor:
    r"""Return the normalized autocorrelation ρ(down, right) of a noise field over its last two axes.

    White noise has ρ = 0 at every lag but 0, within the standard error :math:`1/\sqrt{N}`, N being the
    number of pairs, about the number of pixels. Pass noise, not an image: a difference of two frames
    of one scene, a dark frame, or a residual; structure is correlated, too. Averaging the result over F
    independent fields divides the standard error by √F (differences of successive frames share frames: about 0.8 √F).

    Parameters
    ----------
    noise : torch.Tensor, shape (..., Y, X)
        The noise, floating point, any unit; its mean is removed.
    max_lag : int
        Largest lag in pixels, less than the shorter side.

    Returns
    -------
    torch.Tensor, shape (..., 2 max_lag + 1, 2 max_lag + 1)
        ρ for lags from -max_lag to max_lag, down and right; symmetric about the centre, which is 1.

    Raises
    ------
    ValueError
        If a value is not finite, a field is constant, or `max_lag` is not from 1 to the shorter side less 1.

    References
    ----------
    G. E. P. Box, G. M. Jenkins and G. C. Reinsel, "Time Series Analysis", 4th edition (2008), chapter 2;
    C. Broaddus et al., "Removing structured noise with self-supervised blind-spot networks", ISBI (2020).

    Examples
    --------
    >>> white = torch.randn(65, 64, generator=torch.Generator().manual_seed(0))
    >>> rows = (white[1:] + white[:-1]) / 2  # each row shares half of its noise with the next
    >>> rho = autocorrelation(rows, max_lag=1)
    >>> print(f"{rho[2, 1]:.1f} down, {rho[1, 2].abs():.1f} right")
    0.5 down, 0.0 right
    """
    check_spatial(noise, 2, name="noise")
    height, width = noise.shape[-2:]
    declared = Parameter(
        name="max_lag",
        default=1,
        meaning=f"largest lag, less than the shorter side of noise of shape {tuple(noise.shape)}",
        unit="px",
        minimum=1,
    )
    declared.check(max_lag)
    if max_lag >= min(height, width):
        raise ValueError(
            f"max_lag is {max_lag} px, but must be at most {min(height, width) - 1}: noise has shape "
            f"{tuple(noise.shape)}, and beyond its shorter side there are no pairs; pass a smaller lag."
        )
    constant = noise.amax(dim=(-2, -1)) == noise.amin(dim=(-2, -1))
    if bool(constant.any()):
        raise ValueError(
            f"noise is constant in {int(constant.sum())} of {constant.numel()} fields, so that it has no "
            f"correlation: check that two different frames were subtracted."
        )
    noise = double(noise)
    centred = noise - noise.mean(dim=(-2, -1), keepdim=True)
    power = torch.fft.rfft2(centred, s=(height + max_lag, width + max_lag)).abs().square()
    sums = torch.fft.irfft2(power, s=(height + max_lag, width + max_lag))

    lags = torch.arange(-max_lag, max_lag + 1, device=noise.device)
    pairs = (height - lags.abs())[:, None] * (width - lags.abs())
    covariance: torch.Tensor = sums[..., lags[:, None], lags] / pairs
    return covariance / covariance[..., max_lag, max_lag, None, None]
