"""The straight line through points of known error, on which every calibration rests."""

from dataclasses import dataclass

import torch

__all__ = ["ROUNDING_VARIANCE", "Line", "check_excess_noise", "fit_line", "fit_transfer"]

ROUNDING_VARIANCE = 1 / 12
"""Variance of rounding to whole ADU, in ADU²."""


@dataclass(frozen=True)
class Line:
    """``y = intercept + slope · x`` with the standard errors of both and their covariance."""

    slope: float
    intercept: float
    slope_standard_error: float
    intercept_standard_error: float
    covariance: float


def fit_line(x: torch.Tensor, y: torch.Tensor, standard_error: torch.Tensor) -> Line:
    r"""Fit a line by weighted least squares, :math:`w = 1/\mathrm{SE}^2`.

    Where the points scatter more than their errors say (reduced :math:`\chi^2 > 1`), the errors of slope and
    intercept are enlarged accordingly.

    Parameters
    ----------
    x, y, standard_error : torch.Tensor
        Points and the standard errors of `y`, each of shape (n,) with n ≥ 2 and errors above 0.

    Returns
    -------
    Line

    Raises
    ------
    ValueError
        If there are fewer than two different `x`.

    Examples
    --------
    >>> x = torch.tensor([0.0, 1.0, 2.0])
    >>> line = fit_line(x, 3 + 2 * x, torch.ones(3))
    >>> round(line.slope, 6), round(line.intercept, 6)
    (2.0, 3.0)
    """
    x, y, weight = x.double(), y.double(), standard_error.double() ** -2
    if float(x.max()) == float(x.min()):
        raise ValueError(
            f"a line needs at least 2 different signal levels, but all are {float(x.min()):g}: "
            f"the image is too uniform, so add brighter or darker regions."
        )
    total = weight.sum()
    center = (weight * x).sum() / total
    spread = (weight * (x - center) ** 2).sum()
    slope = (weight * (x - center) * y).sum() / spread
    intercept = (weight * y).sum() / total - slope * center
    residual = y - intercept - slope * x
    excess = max(1.0, float((weight * residual**2).sum()) / max(len(x) - 2, 1))
    slope_variance = excess / float(spread)
    intercept_variance = excess / float(total) + slope_variance * float(center) ** 2
    return Line(
        slope=float(slope),
        intercept=float(intercept),
        slope_standard_error=slope_variance**0.5,
        intercept_standard_error=intercept_variance**0.5,
        covariance=-slope_variance * float(center),
    )


def fit_transfer(level: torch.Tensor, variance: torch.Tensor, relative_error: torch.Tensor) -> Line:
    """Fit variance against level twice, the second time with the errors that the first line predicts.

    Errors taken from the measured variances would favour the levels whose variance is too small by chance.

    Parameters
    ----------
    level, variance, relative_error : torch.Tensor
        Mean, variance, and the standard error of the variance as a share of it, each of shape (levels,).

    Returns
    -------
    Line

    Examples
    --------
    >>> level = torch.tensor([1.0, 10.0, 100.0])
    >>> round(fit_transfer(level, 2 * level + 1, torch.full((3,), 0.01)).slope, 6)
    2.0
    """
    relative_error = relative_error.to(variance.device)
    line = fit_line(level, variance, variance.clamp(min=ROUNDING_VARIANCE) * relative_error)
    predicted = (line.intercept + line.slope * level).clamp(min=ROUNDING_VARIANCE)
    return fit_line(level, variance, predicted * relative_error)


def check_excess_noise(excess_noise_factor: float) -> None:
    """Raise ValueError unless F² is from 1 to 2."""
    if not 1 <= excess_noise_factor <= 2:
        raise ValueError(
            f"excess_noise_factor is {excess_noise_factor:g}, but must be from 1 (no EM gain) to 2 (EMCCD)."
        )
