r"""Which objects were found: matching labels with the true ones, and counting.

A label and a true object overlap by their *intersection over union*,

.. math:: \mathrm{IoU} = \frac{|A \cap B|}{|A \cup B|} = \frac{|A \cap B|}{|A| + |B| - |A \cap B|} ,

1 for equal outlines and 0 for objects apart. Where it reaches a threshold the object counts as found. Pairs are one to
one: true positives (TP) are pairs, false positives (FP) labels without a true object, false negatives (FN) true
objects without a label. From these counts

.. math:: \mathrm{AP} = \frac{\mathrm{TP}}{\mathrm{TP} + \mathrm{FP} + \mathrm{FN}}, \qquad
          F_1 = \frac{2\,\mathrm{TP}}{2\,\mathrm{TP} + \mathrm{FP} + \mathrm{FN}}, \qquad
          \mathrm{PQ} = \underbrace{\frac{\sum \mathrm{IoU}}{\mathrm{TP}}}_{\mathrm{SQ}} \cdot F_1 .

This AP is the *Jaccard form* of StarDist [1]_, Cellpose and the 2018 Data Science Bowl. It has no ranking by confidence
in it and is not the area under a curve of precision against recall, which is called AP elsewhere. Panoptic quality [2]_
is the mean IoU of what was found times :math:`F_1`.

**No assignment problem above one half.** Of two labels that have no pixel in common, only one can have more than half
of :math:`|A \cup B|`, so pairs above an IoU of 0.5 are unique. At exactly 0.5 an object may be divided into two halves
that both reach it: one of them is the pair, the one that appears first in the image, and the counts are the same either
way. Below 0.5 one label may reach several true objects; then a sparse assignment over the pairs that reach the
threshold finds as many pairs as can be, and among these choices the largest sum of IoU.

**One pass.** Labels are constant over long runs of pixels. Only where either image changes is a pair noted, with the
length of its run, and runs of the same pair are added up in a table. It answers for every threshold.

**Nothing there and nothing found** is no mistake: all scores of two empty images are 1 (StarDist says 0, Cellpose NaN).
Where just one is empty all are 0. So an empty image counts in a mean over images, while it adds nothing to the counts
of pooled ones. The two means answer different questions: pooled, each object counts the same; over images, each image.

References
----------
.. [1] M. Weigert, U. Schmidt, R. Haase, K. Sugawara, G. Myers, "Star-convex polyhedra for 3D object detection and
   segmentation in microscopy", WACV (2020) 3655.
.. [2] A. Kirillov, K. He, R. Girshick, C. Rother, P. Dollár, "Panoptic segmentation", CVPR (2019) 9396.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from course_lib.metrics._labels import Labels, LabelsOrMany, each_pair

__all__ = [
    "Contingency",
    "ManyMatchings",
    "MatchScores",
    "Matching",
    "contingencies",
    "contingency",
    "match_labels",
    "match_many",
]

Array = np.ndarray[Any, Any]
FULL_TABLE = 2**15
"""Up to so many pairs, of 180 labels with as many true objects, a table of all is summed faster than a sparse one."""


@dataclass(frozen=True)
class MatchScores:
    """Scores of a matching, each from 0 to 1.

    Attributes
    ----------
    precision : float
        Share of the labels that are true objects.
    recall : float
        Share of the true objects that were found.
    average_precision : float
        TP / (TP + FP + FN), the Jaccard form.
    f1 : float
        Harmonic mean of precision and recall.
    mean_matched_iou : float
        Mean IoU of the pairs.
    panoptic_quality : float
        `mean_matched_iou` times `f1`.
    """

    precision: float
    recall: float
    average_precision: float
    f1: float
    mean_matched_iou: float
    panoptic_quality: float


@dataclass(frozen=True, eq=False)
class Matching:
    """What was found at a threshold, and what was not.

    Attributes
    ----------
    iou_threshold : float
        A pair has at least this intersection over union.
    true_positives, false_positives, false_negatives : int
        Pairs, labels without a true object, and true objects without a label.
    matched_iou : numpy.ndarray, shape (pairs,)
        Intersection over union of each pair.
    pairs : numpy.ndarray, shape (pairs, 2)
        Label and true label of each pair, by their values in the images.

    Examples
    --------
    >>> found = Matching(0.5, 3, 1, 0, matched_iou=np.array([0.6, 0.8, 1.0]), pairs=np.array([[1, 2], [2, 1], [4, 3]]))
    >>> print(f"AP {found.average_precision:.2f}, F1 {found.f1:.2f}, PQ {found.panoptic_quality:.2f}")
    AP 0.75, F1 0.86, PQ 0.69
    """

    iou_threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    matched_iou: Array
    pairs: Array

    @property
    def precision(self) -> float:
        """Share of the labels that are true objects, TP / (TP + FP)."""
        return self._share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the true objects that were found, TP / (TP + FN)."""
        return self._share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN), the Jaccard form of average precision."""
        return self._share(self.true_positives, self.true_positives + self._errors)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); the recognition quality (RQ) of PQ."""
        return self._share(2 * self.true_positives, 2 * self.true_positives + self._errors)

    @property
    def mean_matched_iou(self) -> float:
        """Mean IoU of the pairs; the segmentation quality (SQ) of PQ."""
        return self._share(float(self.matched_iou.sum()), self.true_positives)

    @property
    def panoptic_quality(self) -> float:
        """Mean IoU of the pairs times F1: PQ = SQ × RQ."""
        return self.mean_matched_iou * self.f1

    @property
    def scores(self) -> MatchScores:
        """All scores together."""
        return MatchScores(
            precision=self.precision,
            recall=self.recall,
            average_precision=self.average_precision,
            f1=self.f1,
            mean_matched_iou=self.mean_matched_iou,
            panoptic_quality=self.panoptic_quality,
        )

    @property
    def _errors(self) -> int:
        return self.false_positives + self.false_negatives

    def _share(self, part: float, whole: float) -> float:
        """Divide; without anything to divide, 1 where nothing was missed or invented, else 0."""
        return part / whole if whole else float(self.true_positives + self._errors == 0)


@dataclass(frozen=True, eq=False)
class ManyMatchings:
    """What was found in several images at a threshold.

    Attributes
    ----------
    images : tuple of Matching
        The matching of each image.
    """

    images: tuple[Matching, ...]

    @property
    def pooled(self) -> Matching:
        """All objects as if of one image: counts are summed, each object weighs the same."""
        return Matching(
            iou_threshold=self.images[0].iou_threshold,
            true_positives=sum(image.true_positives for image in self.images),
            false_positives=sum(image.false_positives for image in self.images),
            false_negatives=sum(image.false_negatives for image in self.images),
            matched_iou=np.concatenate([image.matched_iou for image in self.images]),
            pairs=np.concatenate([image.pairs for image in self.images]),
        )

    @property
    def mean_over_images(self) -> MatchScores:
        """Mean of the scores of the images: each image weighs the same, however many objects it has."""
        rows = [list(vars(image.scores).values()) for image in self.images]
        return MatchScores(*np.mean(rows, axis=0).tolist())


@dataclass(frozen=True, eq=False)
class Contingency:
    """How many pixels each label shares with each true object; only pairs that overlap are kept.

    Objects are listed in the order in which they appear in the image, whatever their values, without the background.

    Attributes
    ----------
    label_ids, truth_ids : numpy.ndarray, shape (labels,) and (true objects,)
        Their values in the images.
    label_areas, truth_areas : numpy.ndarray, shape (labels,) and (true objects,)
        Pixels of each, or voxels.
    label_indices, truth_indices : numpy.ndarray, shape (pairs,)
        Place in these lists of the two that overlap; sorted by true object, then by label.
    overlaps : numpy.ndarray, shape (pairs,)
        Pixels that the two share.
    """

    label_ids: Array
    truth_ids: Array
    label_areas: Array
    truth_areas: Array
    label_indices: Array
    truth_indices: Array
    overlaps: Array

    @property
    def unions(self) -> Array:
        """Pixels that belong to either of the two, for each pair."""
        return self.label_areas[self.label_indices] + self.truth_areas[self.truth_indices] - self.overlaps

    @cached_property
    def iou(self) -> Array:
        """Intersection over union of each pair."""
        quotient: Array = self.overlaps / self.unions
        return quotient

    def match(self, *, iou_threshold: float = 0.5) -> Matching:
        """Return the matching at a threshold, as `match_labels` does.

        Examples
        --------
        >>> truth = np.zeros((8, 8), int)
        >>> truth[:, :5] = 1
        >>> table = contingency(np.roll(truth, 1, axis=1), truth)  # shares 4 of 6 columns
        >>> [table.match(iou_threshold=threshold).true_positives for threshold in (0.5, 0.6, 0.7)]
        [1, 1, 0]
        """
        if not 0 < iou_threshold <= 1:
            raise ValueError(
                f"iou_threshold is {iou_threshold:g}, but must be above 0 and at most 1: the least intersection over "
                f"union of a pair, for example 0.5."
            )
        iou = self.iou
        chosen = np.flatnonzero(iou >= iou_threshold)
        if iou_threshold < 0.5:
            chosen = chosen[_assign(self.truth_indices[chosen], self.label_indices[chosen], iou[chosen])]
        elif iou_threshold == 0.5:
            for side in (self.truth_indices, self.label_indices):
                chosen = chosen[np.unique(side[chosen], return_index=True)[1]]
        return Matching(
            iou_threshold=float(iou_threshold),
            true_positives=len(chosen),
            false_positives=len(self.label_ids) - len(chosen),
            false_negatives=len(self.truth_ids) - len(chosen),
            matched_iou=iou[chosen],
            pairs=np.stack(
                [self.label_ids[self.label_indices[chosen]], self.truth_ids[self.truth_indices[chosen]]], axis=1
            ),
        )


def contingency(labels: Labels, truth: Labels) -> Contingency:
    """Count the pixels that labels share with true objects, in one pass; several thresholds can be matched from it.

    Takes two bytes of memory a pixel and some numbers for each run of equal labels, whatever the values of the labels.

    Parameters
    ----------
    labels, truth : numpy.ndarray or torch.Tensor, shape ([Z,] Y, X)
        Found and true labels, of any integer type, 0 for background. Values may have gaps.

    Raises
    ------
    TypeError
        If labels are not whole numbers.
    ValueError
        If labels are negative, or the shapes differ.

    Examples
    --------
    >>> table = contingency(np.array([[7, 7, 0, 2]]), np.array([[1, 1, 1, 0]]))
    >>> table.label_ids, table.label_areas
    (array([7, 2]), array([2, 1]))
    >>> table.overlaps, table.iou.round(2)  # only 7 overlaps 1
    (array([2]), array([0.67]))
    """
    ((label_image, true_image),) = each_pair(labels, truth)
    return _contingency(label_image, true_image)


def contingencies(labels: LabelsOrMany, truth: LabelsOrMany) -> list[Contingency]:
    """Return the table of one image, or of each image of a list."""
    return [_contingency(*pair) for pair in each_pair(labels, truth)]


def match_labels(labels: Labels, truth: Labels, *, iou_threshold: float = 0.5) -> Matching:
    """Match labels with true objects, one to one, where their intersection over union reaches a threshold.

    The counts equal those of ``stardist.matching.matching(truth, labels, thresh=iou_threshold)``, but for an IoU so
    near the threshold that single precision, to which StarDist rounds, cannot tell them apart. Below 0.5 its pairs may
    be others, as many but with less overlap.

    Parameters
    ----------
    labels, truth : numpy.ndarray or torch.Tensor, shape ([Z,] Y, X)
        Found and true labels, of any integer type, 0 for background. Values may have gaps.
    iou_threshold : float
        Least intersection over union of a pair, above 0 and up to 1. For several, call `contingency` once and its
        ``match`` for each.

    Returns
    -------
    Matching
        Counts, pairs, and the scores of both: AP in the Jaccard form, F1, PQ. All are 1 where both images are empty.

    Raises
    ------
    TypeError
        If labels are not whole numbers.
    ValueError
        If labels are negative, the shapes differ, or the threshold is not above 0 and at most 1.

    Examples
    --------
    >>> truth = np.zeros((20, 20), np.int32)
    >>> truth[2:8, 2:8], truth[2:8, 12:18], truth[12:18, 2:8] = 1, 2, 3
    >>> labels = np.where(truth == 3, 0, truth)  # misses one,
    >>> labels[2:8, 18] = 2                      # takes another one column too large,
    >>> labels[14:16, 14:16] = 9                 # and invents a third
    >>> found = match_labels(labels, truth, iou_threshold=0.5)
    >>> found.true_positives, found.false_positives, found.false_negatives
    (2, 1, 1)
    >>> found.average_precision, found.matched_iou.round(2)
    (0.5, array([1.  , 0.86]))
    """
    return contingency(labels, truth).match(iou_threshold=iou_threshold)


def match_many(labels: Sequence[Labels], truth: Sequence[Labels], *, iou_threshold: float = 0.5) -> ManyMatchings:
    """Match the labels of several images, each with its own truth.

    Say with the result whether it is pooled or a mean over the images: a crowded image that went wrong may ruin the
    one, and hardly changes the other.

    Parameters
    ----------
    labels, truth : list of numpy.ndarray or torch.Tensor, each of shape ([Z,] Y, X)
        Found and true labels of each image, of any integer type, 0 for background. Images may differ in shape.
    iou_threshold : float
        Least intersection over union of a pair, above 0 and up to 1.

    Returns
    -------
    ManyMatchings
        ``pooled`` has the counts of all images together, ``mean_over_images`` the mean of their scores.

    Raises
    ------
    TypeError
        If labels are not whole numbers, or `labels` is not a list.
    ValueError
        If labels are negative, shapes or the lengths of the lists differ, or the threshold is not above 0 and at
        most 1.

    Examples
    --------
    >>> crowded, lonely = np.arange(1, 10).reshape(3, 3), np.diag([1, 0, 0])
    >>> found = match_many([np.where(crowded < 4, crowded, 0), lonely], [crowded, lonely])
    >>> print(f"pooled {found.pooled.average_precision:.2f}, mean {found.mean_over_images.average_precision:.2f}")
    pooled 0.40, mean 0.67
    """
    if not isinstance(labels, list | tuple):
        raise TypeError(f"labels are a {type(labels).__name__}, but must be a list of images: list(labels) makes one.")
    tables = contingencies(labels, truth)
    return ManyMatchings(tuple(table.match(iou_threshold=iou_threshold) for table in tables))


def _contingency(label_image: Array, true_image: Array) -> Contingency:
    label_line, true_line = label_image.ravel(), true_image.ravel()
    is_bound = np.ones(label_line.size + 1, bool)
    np.not_equal(label_line[1:], label_line[:-1], out=is_bound[1:-1])
    is_bound[1:-1] |= true_line[1:] != true_line[:-1]
    bounds = np.flatnonzero(is_bound)
    starts, lengths = bounds[:-1], bounds[1:] - bounds[:-1]
    weights = lengths.astype(np.float64)

    label_ids, label_of_run = _number(label_line[starts])
    truth_ids, truth_of_run = _number(true_line[starts])
    both = np.flatnonzero((label_of_run >= 0) & (truth_of_run >= 0))
    truth_indices, label_indices, overlaps = _summed(
        truth_of_run[both], label_of_run[both], lengths[both], shape=(len(truth_ids), len(label_ids))
    )
    return Contingency(
        label_ids=label_ids,
        truth_ids=truth_ids,
        label_areas=_areas(label_of_run, weights, len(label_ids)),
        truth_areas=_areas(truth_of_run, weights, len(truth_ids)),
        label_indices=label_indices,
        truth_indices=truth_indices,
        overlaps=overlaps,
    )


def _summed(rows: Array, columns: Array, values: Array, *, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Return the places of a table where values are, by row, then by column, and the sum of the values at each."""
    if math.prod(shape) <= FULL_TABLE:
        table = np.bincount(rows * shape[1] + columns, weights=values, minlength=math.prod(shape))
        places = np.flatnonzero(table)
        return *np.divmod(places, shape[1]), table[places].astype(np.int64)
    from scipy import sparse

    table = sparse.csr_array((values, (rows, columns)), shape=shape)
    return np.repeat(np.arange(shape[0]), np.diff(table.indptr)), table.indices, table.data


def _number(values: Array) -> tuple[Array, Array]:
    """Return the values of the objects by first appearance, and for each run the place in them, -1 for background."""
    if values.max() < len(values):
        ids, index = np.arange(int(values.max()) + 1), values.astype(np.intp)
    else:
        ids, index = np.unique(np.append(values, values.dtype.type(0)), return_inverse=True)
        index = index[:-1]
    first = np.full(len(ids), len(values))
    np.minimum.at(first, index, np.arange(len(values)))
    first[0] = -1
    order = np.argsort(first)[: np.count_nonzero(first < len(values))]
    number = np.empty(len(ids), np.intp)
    number[order] = np.arange(-1, len(order) - 1)
    return ids[order[1:]].astype(np.int64), number[index]


def _areas(object_of_run: Array, weights: Array, count: int) -> Array:
    return np.bincount(object_of_run + 1, weights=weights, minlength=count + 1)[1:].astype(np.int64)


def _assign(rows: Array, columns: Array, iou: Array) -> Array:
    """Choose the most pairs with no row or column twice, and of these choices that of the largest sum of `iou`.

    Each row may also take a column of its own that stands for no pair. It weighs 1, a pair between 2 and 3, spread so
    little that a pair more always outweighs any gain in IoU.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    if not len(rows):
        return np.empty(0, np.intp)
    (kept_rows, row), (kept_columns, column) = (np.unique(side, return_inverse=True) for side in (rows, columns))
    count = len(kept_rows)
    alone = np.arange(count)
    weights = np.concatenate([2 + iou / count, np.ones(count)])
    places = np.concatenate([row, alone]), np.concatenate([column, len(kept_columns) + alone])
    graph = csr_array((weights, places), shape=(count, len(kept_columns) + count))
    _, partner = min_weight_full_bipartite_matching(graph, maximize=True)
    return np.flatnonzero(partner[row] == column)
