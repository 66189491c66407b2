r"""Normalized root-mean-square error, in the Euclidean form.

.. math:: \mathrm{NRMSE}(S, O) = \sqrt{\frac{\sum_i (S_i - O_i)^2}{\sum_i O_i^2}}
          = \frac{\lVert S - O \rVert}{\lVert O \rVert}

for an estimate :math:`S` and the truth :math:`O`. Other authors divide by the mean or by the range of the
truth; a number without its normalization cannot be compared.
"""

import torch

from course_lib.metrics.normalized_squared_error import normalized_squared_error

__all__ = ["nrmse"]


def nrmse(estimate: torch.Tensor, truth: torch.Tensor, *, dimensions: int = 2) -> torch.Tensor:
    """Return the root-mean-square error relative to the root-mean-square truth.

    Reads as a fraction: a restoration that is wrong by 10 % everywhere scores 0.1, and an empty one 1. It
    does not change when both images are multiplied by one number, but it does when an offset is added to
    both: subtract the background first. Without the root it is `normalized_squared_error`.

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
    >>> nrmse(1.1 * truth, truth).item()  # 10 % too bright
    0.100...
    """
    return normalized_squared_error(estimate, truth, dimensions=dimensions).sqrt()
