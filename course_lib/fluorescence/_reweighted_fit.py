r"""What the fits of one and of two rates share: the checked trace, reweighted least squares, the way to dose 0.

The mean intensity of a bleaching object is :math:`o + b + A\,s(D)` with the camera's offset :math:`o` and the
background :math:`b`. Shot noise makes its variance proportional to :math:`A\,s + b`. Weighted least squares is
repeated with the weights of the last fit until they agree (iteratively reweighted least squares), which solves the
score equations of a quasi-Poisson likelihood: the factor between variance and intensity, which depends on gain and
number of pixels, is read off the scatter around the fit. The standard errors follow from the curvature, and assume
that frames are independent.

Whatever error offset and background have is the same in all frames, so that the scatter around the fit does not show
it. If its standard error :math:`\sigma_b` is given, it is carried over by the weights :math:`W` and the derivatives
:math:`J` of the model, and added to the scatter's share with the variance per intensity :math:`\chi^2`:

.. math:: \mathrm{cov} = \chi^2 (J^\mathsf T W J)^{-1} + \sigma_b^2\,c\,c^\mathsf T, \qquad
          c = -(J^\mathsf T W J)^{-1} J^\mathsf T W\,\mathbf 1 .

The fit counts the dose from the first frame, wherever the caller's count starts; `growth_back_to_zero` carries its
amplitude back to dose 0.

References
----------
P. McCullagh, J. A. Nelder, *Generalized Linear Models*, 2nd edition, Chapman & Hall 1989, chapter 9.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from course_lib.fluorescence._check import check_not_negative, check_number

__all__ = ["Array", "decay", "growth_back_to_zero", "prepared", "reweighted_fit"]

Array = npt.NDArray[np.float64]
REWEIGHTINGS = 8
LARGEST_EXPONENT = 50.0  # keeps a trial with a negative rate finite
LARGEST_LOGARITHM = 600.0  # of the growth from the first frame back to dose 0


def prepared(
    trace: torch.Tensor,
    *,
    offset: float,
    background: float,
    background_error: float,
    dose: torch.Tensor | None,
    least: int,
) -> tuple[Array, Array]:
    """Return the intensity above offset and background, and the doses, as float64 arrays."""
    if not isinstance(trace, torch.Tensor):
        raise TypeError(f"trace is a {type(trace).__name__}, but must be a tensor: torch.as_tensor(trace) makes one.")
    if trace.ndim != 1 or len(trace) < least:
        raise ValueError(
            f"trace has shape {tuple(trace.shape)}, but must be (frames,) with at least {least} frames: average the "
            f"object's pixels in each frame."
        )
    if not bool(torch.isfinite(trace).all()):
        raise ValueError("trace has values that are NaN or infinite: leave those frames and their doses out.")
    if not math.isfinite(check_number(offset, name="offset")):
        raise ValueError(f"offset is {offset:g}, but must be finite: give what the camera adds without light.")
    for name, value, remedy in (
        ("background", background, "give the intensity beside the object above the offset"),
        ("background_error", background_error, "give the standard error of offset + background"),
    ):
        check_not_negative(check_number(value, name=name), name=name, remedy=remedy)
    doses = torch.arange(len(trace)) if dose is None else dose
    if not isinstance(doses, torch.Tensor):
        raise TypeError(f"dose is a {type(doses).__name__}, but must be a tensor: torch.as_tensor(dose) makes one.")
    if doses.shape != trace.shape or not bool(torch.isfinite(doses).all()) or not bool((doses.diff() > 0).all()):
        raise ValueError(
            f"dose has shape {tuple(doses.shape)}, but must be {tuple(trace.shape)}, finite and growing from frame to "
            f"frame: give the dose before each frame."
        )
    intensity = trace.detach().cpu().double().numpy() - offset - background
    if intensity.mean() <= 0:
        raise ValueError(
            f"the trace lies {-intensity.mean():g} below offset + background on average, so that nothing is left to "
            f"bleach: check both, and their unit."
        )
    return intensity, doses.detach().cpu().double().numpy()


def decay(rate: float, since_first: Array) -> Array:
    """Return exp(-rate · dose), held finite for the negative rates that a fit may try."""
    return np.asarray(np.exp(np.minimum(-rate * since_first, LARGEST_EXPONENT)))


def reweighted_fit(
    model: Callable[[Array], Array], intensity: Array, start: Array, *, background: float, background_error: float
) -> tuple[Array, Array, float]:
    """Return parameters, their spread S (the covariance is S Sᵀ), and chi-square per degree of freedom."""
    from scipy.optimize import least_squares

    parameters, deviation = start, np.full_like(intensity, intensity.mean() ** 0.5)
    for _ in range(REWEIGHTINGS):

        def residuals(parameters: Array, deviation: Array = deviation) -> Array:
            return (model(parameters) - intensity) / deviation

        fit = least_squares(residuals, parameters, method="lm", jac="2-point", x_scale="jac", max_nfev=2000)
        if not fit.success:
            raise ValueError("the fit does not settle: check offset and background, or leave out frames that jump.")
        parameters = fit.x
        dimmest = 1e-3 * intensity.mean()
        deviation = np.maximum(model(parameters) + background, dimmest) ** 0.5
    chi_square = float((fit.fun**2).sum() / (len(intensity) - len(parameters)))
    jacobian = np.asarray(fit.jac)
    size = np.linalg.norm(jacobian, axis=0)  # parameters differ by orders of magnitude, which would cost digits
    if not (np.isfinite(size).all() and size.all()):
        raise ValueError(
            "the trace does not bleach over several frames: the best curve is flat, or dark after the first frame. "
            "Record more frames with less light each, or check offset and background."
        )
    inverse = np.linalg.pinv(jacobian / size) / size[:, None]
    shift = inverse @ (background_error / deviation)  # an error of the background is the same in all frames
    return parameters, np.column_stack([chi_square**0.5 * inverse, shift]), chi_square


def growth_back_to_zero(rate: float, first_dose: float) -> float:
    """Return exp(rate · first dose), the intensity at dose 0 relative to that of the first frame."""
    if rate * first_dose > LARGEST_LOGARITHM:
        raise ValueError(
            f"dose starts at {first_dose:g}, but at a rate of {rate:.2g} no number is large enough for the amplitude "
            f"at dose 0: give dose - dose[0], and the amplitude is that of the first frame."
        )
    return math.exp(rate * first_dose)
