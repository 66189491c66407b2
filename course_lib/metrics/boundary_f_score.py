r"""Boundary F: how much of the outlines is right within a tolerance.

The boundary of labels is every pixel of an object with a neighbour, across a side or a face, that is not of the same
object. *Boundary precision* is the share of the found boundary that lies within a distance :math:`\theta` of the true
one, *boundary recall* the share of the true boundary within :math:`\theta` of the found one, and

.. math:: F = \frac{2PR}{P + R} .

IoU forgives large objects a wrong outline and punishes small ones; here a micrometre is a micrometre. A line between
two touching cells is boundary on either side, so that a merge shows as missing recall. The border of the image is no
boundary. State the tolerance with the result: at one of half a cell everything is right.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.metrics._labels import LabelsOrMany, each_pair

__all__ = ["BoundaryScore", "boundary_f_score"]

Array = np.ndarray[Any, Any]
ROUNDING = 1 + 1e-9  # three pixels of 0.1 µm are 0.30000000000000004 µm


@dataclass(frozen=True)
class BoundaryScore:
    """How much of the outlines is right.

    Attributes
    ----------
    precision : float
        Share of the found boundary near the true one.
    recall : float
        Share of the true boundary near the found one.
    """

    precision: float
    recall: float

    @property
    def f_score(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def boundary_f_score(
    labels: LabelsOrMany, truth: LabelsOrMany, *, tolerance_um: float, voxel_size_um: Sequence[float]
) -> BoundaryScore:
    """Return precision, recall and F of the outlines within a tolerance.

    Parameters
    ----------
    labels, truth : numpy.ndarray or torch.Tensor, shape ([Z,] Y, X), or lists of them
        Found and true labels, of any integer type, 0 for background. Lists are pooled: each pixel of boundary weighs
        the same. For a mean over images, average the scores of the images.
    tolerance_um : float
        Distance up to which a boundary is right, in µm; 0 asks for the very pixel.
    voxel_size_um : sequence of float
        Size of a pixel, ([z,] y, x), in µm. With sizes of 1 the tolerance is in pixels.

    Returns
    -------
    BoundaryScore
        Its ``f_score`` is 1 where no boundary is wrong. Without any boundary both shares are 1 if both are background,
        or both objects, and else 0; they are 0, too, where only one has a boundary.

    Raises
    ------
    TypeError
        If labels are not whole numbers.
    ValueError
        If labels are negative, the shapes differ, the tolerance is below 0 or a size not above 0.

    References
    ----------
    G. Csurka, D. Larlus, F. Perronnin, "What is a good evaluation measure for semantic segmentation?", BMVC (2013) 32.

    Examples
    --------
    >>> truth = np.zeros((16, 16), np.int32)
    >>> truth[4:12, 4:12] = 1
    >>> shifted = np.roll(truth, 1, axis=1)
    >>> for tolerance_um in (0.0, 0.2):
    ...     found = boundary_f_score(shifted, truth, tolerance_um=tolerance_um, voxel_size_um=(0.2, 0.2))
    ...     print(f"within {tolerance_um} µm: {found.f_score:.2f}")
    within 0.0 µm: 0.50
    within 0.2 µm: 1.00
    """
    if not 0 <= tolerance_um < math.inf:
        raise ValueError(
            f"tolerance_um is {tolerance_um:g} µm, but must be at least 0 and finite: the distance up to which a "
            f"boundary is right."
        )
    sizes = tuple(voxel_size_um)
    counts = np.zeros((2, 2), np.int64)
    same_without_boundary = True
    for found, true in each_pair(labels, truth):
        _check_sizes(sizes, found.ndim)
        same_without_boundary &= bool(found.any()) == bool(true.any())
        edges = _boundary(found), _boundary(true)
        for row, (edge, other) in zip(counts, (edges, edges[::-1]), strict=True):
            row += np.array([_near(edge, other, tolerance_um, sizes), np.count_nonzero(edge)])
    if not counts[:, 1].all():
        none = float(not counts.any() and same_without_boundary)
        return BoundaryScore(precision=none, recall=none)
    precision, recall = (counts[:, 0] / counts[:, 1]).tolist()
    return BoundaryScore(precision=precision, recall=recall)


def _check_sizes(sizes: tuple[float, ...], dimensions: int) -> None:
    if len(sizes) != dimensions or not all(0 < size < math.inf for size in sizes):
        raise ValueError(
            f"voxel_size_um is {sizes}, but must be {dimensions} sizes above 0, one for each axis of the labels."
        )


def _boundary(image: Array) -> Array:
    edge = np.zeros(image.shape, bool)
    for axis in range(image.ndim):
        before, after = (slice(None),) * axis + (slice(None, -1),), (slice(None),) * axis + (slice(1, None),)
        differs = image[before] != image[after]
        edge[before] |= differs
        edge[after] |= differs
    edge &= image != 0
    return edge


def _near(edge: Array, other: Array, tolerance_um: float, sizes: tuple[float, ...]) -> int:
    """Count the pixels of an edge within the tolerance of the other edge."""
    from scipy import ndimage

    if not other.any():
        return 0
    distance_um = ndimage.distance_transform_edt(~other, sampling=sizes)
    return int(np.count_nonzero(distance_um[edge] <= tolerance_um * ROUNDING))
