r"""Aggregated Jaccard index: one IoU for all objects of an image together.

Each true object :math:`G_i` takes the label :math:`S_{j(i)}` with which it has the largest IoU. Intersections and
unions are summed before they are divided, and what no true object has taken, :math:`U`, adds its pixels below:

.. math:: \mathrm{AJI} = \frac{\sum_i |G_i \cap S_{j(i)}|}{\sum_i |G_i \cup S_{j(i)}| + \sum_{j \in U} |S_j|} .

A true object that overlaps no label adds its own pixels below. Large objects weigh more than small ones. A label may be
taken by several true objects: one that merges two equal cells scores 1/2, while a cell in two halves scores 1/3,
because the second half is taken by none. This is the index as published. Cellpose's function of the same name is
another one: it divides the intersections of a one-to-one assignment by the pixels of the union of the two foregrounds.
"""

import numpy as np

from course_lib.metrics._labels import LabelsOrMany
from course_lib.metrics.label_matching import Contingency, contingencies

__all__ = ["aggregated_jaccard_index"]


def aggregated_jaccard_index(labels: LabelsOrMany, truth: LabelsOrMany) -> float:
    """Return the sum of intersections over the sum of unions, each true object with its best label.

    Parameters
    ----------
    labels, truth : numpy.ndarray or torch.Tensor, shape ([Z,] Y, X), or lists of them
        Found and true labels, of any integer type, 0 for background. Lists are pooled: the sums are over the objects of
        all images. For a mean over images, average the indices of the images.

    Returns
    -------
    float
        From 0 to 1; 1 where both are empty. Where two labels are equally good, the one that appears first in the image
        is taken.

    Raises
    ------
    TypeError
        If labels are not whole numbers.
    ValueError
        If labels are negative, or the shapes differ.

    References
    ----------
    N. Kumar et al., "A dataset and a technique for generalized nuclear segmentation for computational pathology", IEEE
    Transactions on Medical Imaging 36 (2017) 1550.

    Examples
    --------
    >>> truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2, 0]])
    >>> labels = np.array([[3, 3, 3, 0, 0, 4, 4, 4, 4, 5]])  # 3 of 4, 4 of 4, and one that is invented
    >>> round(aggregated_jaccard_index(labels, truth), 3)  # (3 + 4) / (4 + 4 + 1)
    0.778
    """
    sums = [_intersection_and_union(table) for table in contingencies(labels, truth)]
    intersection, union = (sum(parts) for parts in zip(*sums, strict=True))
    return intersection / union if union else 1.0


def _intersection_and_union(table: Contingency) -> tuple[int, int]:
    by_truth = np.lexsort((table.label_indices, -table.iou, table.truth_indices))
    best = by_truth[np.unique(table.truth_indices[by_truth], return_index=True)[1]]
    alone = np.setdiff1d(np.arange(len(table.truth_ids)), table.truth_indices[best])
    unused = np.setdiff1d(np.arange(len(table.label_ids)), table.label_indices[best])
    union = table.unions[best].sum() + table.truth_areas[alone].sum() + table.label_areas[unused].sum()
    return int(table.overlaps[best].sum()), int(union)
