"""The straight line through points of known error, on which every calibration rests."""

from dataclasses import dataclass

import torch

__all__ = ["Line", "fit_line"]


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
