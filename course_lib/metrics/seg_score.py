r"""The SEG score of the Cell Tracking Challenge.

For each true object :math:`R` take the label :math:`S` that covers more than half of it, :math:`|R \cap S| > |R|/2`;
there is at most one. The score is the mean, over the true objects, of

.. math:: \frac{|R \cap S|}{|R \cup S|}, \qquad 0 \text{ where no label covers more than half.}

It has no threshold of IoU and so rewards good outlines. Invented objects cost nothing, though: a label apart from all
true objects does not appear in it. Read it with the false positives beside it.
"""

import numpy as np

from course_lib.metrics._labels import LabelsOrMany
from course_lib.metrics.label_matching import contingencies

__all__ = ["seg_score"]


def seg_score(labels: LabelsOrMany, truth: LabelsOrMany) -> float:
    """Return the mean IoU of the true objects with the label that covers more than half of each.

    Parameters
    ----------
    labels, truth : numpy.ndarray or torch.Tensor, shape ([Z,] Y, X), or lists of them
        Found and true labels, of any integer type, 0 for background. Lists are pooled: each true object weighs the
        same, as in the challenge. For a mean over images, average the scores of the images.

    Returns
    -------
    float
        From 0 to 1. Without any true object 1 if there are no labels either, else 0.

    Raises
    ------
    TypeError
        If labels are not whole numbers.
    ValueError
        If labels are negative, or the shapes differ.

    References
    ----------
    M. Maška et al., "The Cell Tracking Challenge: 10 years of objective benchmarking", Nature Methods 20 (2023) 1010.

    Examples
    --------
    >>> truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]])
    >>> labels = np.array([[3, 3, 3, 0, 0, 4, 4, 5, 5]])  # 3 of 4 pixels; then two halves
    >>> seg_score(labels, truth)
    0.375
    """
    tables = contingencies(labels, truth)
    true_objects = sum(len(table.truth_ids) for table in tables)
    if not true_objects:
        return float(all(len(table.label_ids) == 0 for table in tables))
    total = 0.0
    for table in tables:
        covers = 2 * table.overlaps > table.truth_areas[table.truth_indices]
        total += float(np.sum(table.iou[covers]))
    return total / true_objects
