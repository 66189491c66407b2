r"""Measure the rate of bleaching: a single exponential, fitted to the mean intensity of a bleaching object.

.. math:: I(D) = o + b + A\,e^{-kD}

with the camera's offset :math:`o` and the background :math:`b`, which are measured beside the object, and the
amplitude :math:`A` and the rate :math:`k`, which are fitted by reweighted least squares: the variance of shot noise is
proportional to :math:`A\,e^{-kD} + b`. Both parameters get standard errors, from the scatter around the fit and from
the error of offset and background, where that is given.

A wrong offset or background bends the curve: the tail that should reach :math:`o + b` is then taken for slow
bleaching.

References
----------
L. Song et al., Biophys. J. 68 (1995) 2588 (kinetics of bleaching).
"""

from dataclasses import dataclass

import numpy as np
import torch

from course_lib.fluorescence._reweighted_fit import Array, decay, growth_back_to_zero, prepared, reweighted_fit

__all__ = ["BleachingFit", "fit_bleaching"]

SLOWEST = 1e-6  # share lost over the trace below which only rounding is seen


@dataclass(frozen=True)
class BleachingFit:
    """A single exponential, fitted.

    Attributes
    ----------
    rate, rate_error : float
        Rate of bleaching per unit of the dose, and its standard error.
    amplitude, amplitude_error : float
        Intensity above offset and background at dose 0. Where the first frame comes later, it is extrapolated.
    chi_square : float
        Weighted sum of squared residuals per degree of freedom: the variance of a frame per intensity.
    """

    rate: float
    rate_error: float
    amplitude: float
    amplitude_error: float
    chi_square: float


def fit_bleaching(
    trace: torch.Tensor,
    *,
    offset: float = 0.0,
    background: float = 0.0,
    background_error: float = 0.0,
    dose: torch.Tensor | None = None,
) -> BleachingFit:
    """Fit a single exponential to the mean intensity of a bleaching object.

    Parameters
    ----------
    trace : torch.Tensor
        Mean intensity of the object in each frame, shape (frames,), at least 5, in any unit (ADU or photons).
    offset : float
        What the camera adds without light, in the same unit; it has no shot noise.
    background : float
        Intensity beside the object above the offset; it has shot noise, and must not bleach.
    background_error : float
        Standard error of offset + background, which the errors of the fit then include. With the default of 0 they
        hold for an offset and a background that are known exactly.
    dose : torch.Tensor, optional
        Dose *before* each frame, growing, shape (frames,); by default 0, 1, 2, …, so that the rate is per frame.

    Returns
    -------
    BleachingFit

    Raises
    ------
    ValueError
        If there are too few frames, a value is NaN or infinite, nothing is above offset and background, or the trace
        does not bleach: its rate is not three standard errors above 0, or it is dark after the first frame.
    TypeError
        If trace or dose is not a tensor, or another argument is not a number.

    Examples
    --------
    >>> frames = torch.arange(60.0)
    >>> photons = torch.poisson(1000 * torch.exp(-0.05 * frames), generator=torch.Generator().manual_seed(0))
    >>> fit = fit_bleaching(100 + photons, offset=100.0)
    >>> print(f"{fit.rate:.4f} ± {fit.rate_error:.4f} per frame")
    0.0498 ± 0.0004 per frame
    """
    intensity, doses = prepared(
        trace, offset=offset, background=background, background_error=background_error, dose=dose, least=5
    )
    since_first = doses - doses[0]

    def model(parameters: Array) -> Array:
        amplitude, rate = parameters
        return np.asarray(amplitude * decay(rate, since_first))

    # an exponential's first value divided by its area is its rate
    start = np.array([intensity.max(), intensity.max() / (intensity.mean() * np.ptp(doses))])
    parameters, spread, chi_square = reweighted_fit(
        model, intensity, start, background=background, background_error=background_error
    )
    amplitude, rate = parameters
    rate_error = np.linalg.norm(spread[1])
    if not rate > max(3 * rate_error, SLOWEST / np.ptp(doses)):
        raise ValueError(
            f"the trace does not bleach: its rate is {rate:.2g} ± {rate_error:.2g}, not three standard errors above 0. "
            f"Record more frames, or check offset and background."
        )
    growth = growth_back_to_zero(rate, doses[0])
    gradient = growth * np.array([1, amplitude * doses[0]])  # of amplitude · exp(rate · first dose)
    return BleachingFit(
        rate=float(rate),
        rate_error=float(rate_error),
        amplitude=float(amplitude * growth),
        amplitude_error=float(np.linalg.norm(gradient @ spread)),
        chi_square=chi_square,
    )
