r"""Stop when an iteration changes little: simple, and blind to the noise.

.. math:: \frac{\lVert x_k - x_{k-1} \rVert}{\lVert x_{k-1} \rVert} < \epsilon

tells that the iteration has become slow, not that the estimate is good. Richardson-Lucy moves on for thousands of
iterations, most of them into the noise; which :math:`\epsilon` is right depends on the image and on the method. It
saves time where the regularization lies elsewhere, as in total variation.
"""

import math

import torch

from course_lib.deconvolution._check import check_number

__all__ = ["RelativeChange"]


class RelativeChange:
    """Stop when the estimate changes by less than a share of itself: the norm of the change over that of the estimate.

    Parameters
    ----------
    tolerance : float
        Smallest relative change that goes on, above 0.

    Attributes
    ----------
    changes : list of float
        The relative changes so far.

    Raises
    ------
    ValueError
        If the tolerance is not above 0, or not finite.

    Notes
    -----
    A batch stops at once, by the change of all its images. It keeps a copy of the estimate.

    Examples
    --------
    >>> from course_lib.deconvolution import richardson_lucy
    >>> image = torch.zeros(7, 7)
    >>> image[2:5, 2:5] = 100.0
    >>> rule = RelativeChange(0.01)
    >>> restored = richardson_lucy(image, torch.ones(3, 3) / 9, iterations=500, stop=rule)
    >>> len(rule.changes), rule.changes[-1] < 0.01
    (13, True)
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = check_number(tolerance, name="tolerance", above=0.0)
        self.changes: list[float] = []
        self._last = torch.empty(0)

    def __call__(self, iteration: int, estimate: torch.Tensor, _expected: torch.Tensor) -> bool:
        """Return whether the last iteration changed little."""
        if iteration == 0:
            self.changes = []
        else:
            length = float(torch.linalg.vector_norm(self._last))
            change = float(torch.linalg.vector_norm(estimate - self._last))
            self.changes.append(change / length if length > 0 else (math.inf if change > 0 else 0.0))
        self._last = estimate.clone()
        return iteration > 0 and self.changes[-1] < self.tolerance
