r"""Squared error over the squared truth, *without* the root.

.. math:: \mathrm{NSE}(S, O) = \frac{\sum_i (S_i - O_i)^2}{\sum_i O_i^2}

for an estimate :math:`S` and the truth :math:`O`. It is often printed under the name "NRMSE", which it
is not: it is the square of `course_lib.metrics.nrmse`.
"""

import torch

from course_lib.metrics._check import check_pair

__all__ = ["normalized_squared_error"]


def normalized_squared_error(estimate: torch.Tensor, truth: torch.Tensor, *, dimensions: int = 2) -> torch.Tensor:
    """Return the sum of squared errors over the sum of the squared truth.

    This is the square of `nrmse` and misleads where it is read as an error in per cent: a restoration that
    is wrong by 10 % everywhere scores 0.01, and one that halves the errors of another scores four times
    better. Report `nrmse`; this one is here to recognise it.

    Parameters
    ----------
    estimate, truth : torch.Tensor, shape (..., [Z,] Y, X)
        Restored and true images, floating point, any unit, both the same.
    dimensions : {2, 3}
        How many of the last axes make up one image.

    Returns
    -------
    torch.Tensor, shape (...)
        One number an image, at least 0, without unit.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or the truth of an image is zero everywhere.

    References
    ----------
    J. R. Fienup, "Invariant error metrics for image reconstruction", Applied Optics 36 (1997) 8352.

    Examples
    --------
    >>> truth = torch.tensor([[3.0, 4.0]])
    >>> normalized_squared_error(1.1 * truth, truth).item()  # 10 % too bright
    0.0100...
    """
    estimate, truth, image_axes = check_pair(estimate, truth, dimensions=dimensions)
    energy = truth.square().sum(dim=image_axes)
    if bool((energy == 0).any()):
        raise ValueError(
            f"truth is zero everywhere in {int((energy == 0).sum())} of {energy.numel()} images, but "
            f"divides the error: leave them out, or report the mean squared error of these."
        )
    return (estimate - truth).square().sum(dim=image_axes) / energy
