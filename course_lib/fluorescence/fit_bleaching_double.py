r"""Measure two rates of bleaching: the sum of two exponentials, fitted to the mean intensity of an object.

.. math:: I(D) = o + b + A\left(p\,e^{-k_1 D} + (1 - p)\,e^{-k_2 D}\right),\qquad k_1 > k_2 .

The fit is that of `fit_bleaching` with two parameters more. Exchanging the two kinds gives the same curve, so that the
faster one is named first. If one rate is enough, share and second rate have no value of their own and their errors grow
without limit; such a fit is refused. Share and amplitude hold at dose 0: with the share :math:`p'` at the first dose
:math:`D_1`, each kind has grown by its own :math:`e^{k D_1}` on the way back,

.. math:: p = \frac{p' e^{k_1 D_1}}{p' e^{k_1 D_1} + (1 - p')\,e^{k_2 D_1}} .

References
----------
L. Song et al., Biophys. J. 68 (1995) 2588 (kinetics of bleaching).
"""

from dataclasses import dataclass

import numpy as np
import torch

from course_lib.fluorescence._reweighted_fit import Array, decay, growth_back_to_zero, prepared, reweighted_fit
from course_lib.fluorescence.fit_bleaching import fit_bleaching

__all__ = ["DoubleBleachingFit", "fit_bleaching_double"]


@dataclass(frozen=True)
class DoubleBleachingFit:
    """A sum of two exponentials, fitted.

    Attributes
    ----------
    fast_rate, fast_rate_error, slow_rate, slow_rate_error : float
        Rates per unit of the dose, and their standard errors.
    fast_share, fast_share_error : float
        Share of the fast kind at dose 0. Where the first frame comes later, it is extrapolated.
    amplitude, amplitude_error : float
        Intensity of both above offset and background at dose 0.
    chi_square : float
        Weighted sum of squared residuals per degree of freedom. Compare it with that of the single fit: where it
        is not clearly smaller, the second rate describes noise.
    """

    fast_rate: float
    fast_rate_error: float
    slow_rate: float
    slow_rate_error: float
    fast_share: float
    fast_share_error: float
    amplitude: float
    amplitude_error: float
    chi_square: float


def fit_bleaching_double(
    trace: torch.Tensor,
    *,
    offset: float = 0.0,
    background: float = 0.0,
    background_error: float = 0.0,
    dose: torch.Tensor | None = None,
) -> DoubleBleachingFit:
    """Fit the sum of two exponentials to the mean intensity of a bleaching object.

    Parameters
    ----------
    trace : torch.Tensor
        Mean intensity of the object in each frame, shape (frames,), at least 12; see `fit_bleaching`.
    offset, background, background_error : float
        See `fit_bleaching`.
    dose : torch.Tensor, optional
        See `fit_bleaching`.

    Returns
    -------
    DoubleBleachingFit

    Raises
    ------
    ValueError
        As `fit_bleaching`, and if the trace does not hold two rates that can be told apart.
    TypeError
        As `fit_bleaching`.

    Examples
    --------
    >>> from course_lib.fluorescence import survival_double
    >>> frames = torch.arange(200.0)
    >>> curve = 1e5 * survival_double(frames, fast_rate=0.1, slow_rate=0.01, fast_share=0.4)
    >>> fit = fit_bleaching_double(torch.poisson(curve, generator=torch.Generator().manual_seed(0)))
    >>> print(f"{fit.fast_rate:.3f} and {fit.slow_rate:.4f} per frame, {fit.fast_share:.0%} fast")
    0.099 and 0.0100 per frame, 40% fast
    """
    intensity, doses = prepared(
        trace, offset=offset, background=background, background_error=background_error, dose=dose, least=12
    )
    since_first = doses - doses[0]
    single = fit_bleaching(trace, offset=offset, background=background, dose=torch.from_numpy(since_first))

    def model(parameters: Array) -> Array:
        amplitude, share, one_rate, other_rate = parameters
        one, other = decay(one_rate, since_first), decay(other_rate, since_first)
        return np.asarray(amplitude * (share * one + (1 - share) * other))

    start = np.array([single.amplitude, 0.5, 3 * single.rate, single.rate / 3])
    parameters, spread, chi_square = reweighted_fit(
        model, intensity, start, background=background, background_error=background_error
    )
    if parameters[2] < parameters[3]:  # the same curve with its two kinds exchanged
        parameters = np.array([parameters[0], 1 - parameters[1], parameters[3], parameters[2]])
        spread = np.stack([spread[0], -spread[1], spread[3], spread[2]])
    amplitude, share, fast_rate, slow_rate = parameters
    _, share_error, fast_error, slow_error = np.linalg.norm(spread, axis=1)
    apart = fast_rate - slow_rate > 3 * float(np.hypot(fast_error, slow_error))
    if not (apart and slow_rate > 0 and 3 * share_error < share < 1 - 3 * share_error):
        raise ValueError(
            f"the trace does not hold two rates that can be told apart: {fast_rate:.2g} ± {fast_error:.2g} and "
            f"{slow_rate:.2g} ± {slow_error:.2g}, share {share:.2g} ± {share_error:.2g}. Use fit_bleaching, or "
            f"record longer."
        )
    first = doses[0]
    fast = share * growth_back_to_zero(fast_rate, first)
    slow = (1 - share) * growth_back_to_zero(slow_rate, first)
    fast_share = fast / (fast + slow)
    amplitude_gradient = np.array(
        [
            fast + slow,
            amplitude * (fast / share - slow / (1 - share)),
            amplitude * first * fast,
            amplitude * first * slow,
        ]
    )
    # of the logarithm of fast / slow, which is that of share / (1 - share) and first · (fast_rate - slow_rate)
    share_gradient = fast_share * (1 - fast_share) * np.array([0, 1 / (share * (1 - share)), first, -first])
    return DoubleBleachingFit(
        fast_rate=float(fast_rate),
        fast_rate_error=float(fast_error),
        slow_rate=float(slow_rate),
        slow_rate_error=float(slow_error),
        fast_share=float(fast_share),
        fast_share_error=float(np.linalg.norm(share_gradient @ spread)),
        amplitude=float(amplitude * (fast + slow)),
        amplitude_error=float(np.linalg.norm(amplitude_gradient @ spread)),
        chi_square=chi_square,
    )
