"""Matching of labels against a short independent reference, by its invariants, and at the edges of what is defined."""

import dataclasses
import itertools
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import linear_sum_assignment

from course_lib import metrics
from course_lib.metrics import contingency, label_matching, match_labels, match_many

THRESHOLDS = (0.05, 0.2, 0.35, 0.5, 0.6, 0.75, 0.9, 1.0)
SCORES = ("precision", "recall", "average_precision", "f1", "mean_matched_iou", "panoptic_quality")

thresholds = st.sampled_from(THRESHOLDS)


@st.composite
def pairs(draw, most=4):
    """Draw labels and truth of small images or stacks."""
    shape = draw(st.one_of(st.tuples(*[st.integers(1, 6)] * 2), st.tuples(*[st.integers(1, 4)] * 3)))
    values = st.integers(0, most)
    return tuple(draw(arrays.arrays(np.int32, shape, elements=values)) for _ in range(2))


def renamed(image, seed):
    """Give each object another value, from a wide range."""
    ids = np.unique(image[image > 0])
    names = np.random.default_rng(seed).choice(np.arange(1, 10**6), size=len(ids), replace=False)
    result = np.zeros(image.shape, np.int64)
    for one, name in zip(ids, names, strict=True):
        result[image == one] = name
    return result


def iou_table(labels, truth):
    """Compare every true object with every label, mask by mask."""
    masks = [[image == one for one in np.unique(image[image > 0])] for image in (truth, labels)]
    table = [[(true & found).sum() / (true | found).sum() for found in masks[1]] for true in masks[0]]
    return np.array(table, float).reshape(len(masks[0]), len(masks[1]))


def assigned(labels, truth, threshold):
    """Return true and false positives and negatives, and the IoU of the pairs, by the costs that StarDist gives all."""
    iou = iou_table(labels, truth)
    true_objects, found_objects = iou.shape
    matched = np.empty(0)
    if (iou >= threshold).any():
        costs = -(iou >= threshold).astype(float) - iou / (2 * min(iou.shape))
        chosen = iou[linear_sum_assignment(costs)]
        matched = chosen[chosen >= threshold]
    return len(matched), found_objects - len(matched), true_objects - len(matched), matched


def counts(found):
    return found.true_positives, found.false_positives, found.false_negatives


@given(pair=pairs(), threshold=thresholds)
def test_counts_are_those_of_an_assignment_of_all_pairs(pair, threshold):
    found = match_labels(*pair, iou_threshold=threshold)
    *expected, matched = assigned(*pair, threshold)
    assert counts(found) == tuple(expected)
    if threshold >= 0.5:
        np.testing.assert_allclose(np.sort(found.matched_iou), np.sort(matched), rtol=1e-12, atol=0)


@given(pair=pairs(most=6), threshold=st.sampled_from([0.05, 0.1, 0.2, 0.35]))
def test_below_one_half_no_choice_of_as_many_pairs_has_more_overlap(pair, threshold):
    iou = iou_table(*pair)
    reaching = np.where(iou >= threshold, 10 + iou, 0)
    best = iou[linear_sum_assignment(reaching, maximize=True)]
    found = match_labels(*pair, iou_threshold=threshold)
    assert found.true_positives == np.count_nonzero(best >= threshold)
    assert found.matched_iou.sum() == pytest.approx(best[best >= threshold].sum(), rel=1e-9)


@given(pair=pairs(), threshold=thresholds)
def test_pairs_are_one_to_one_and_have_the_overlap_they_tell(pair, threshold):
    labels, truth = pair
    found = match_labels(labels, truth, iou_threshold=threshold)
    assert found.pairs.shape == (found.true_positives, 2)
    for side in found.pairs.T:
        assert len(np.unique(side)) == len(side)
    for (one, true), iou in zip(found.pairs, found.matched_iou, strict=True):
        assert ((labels == one) & (truth == true)).sum() / ((labels == one) | (truth == true)).sum() == iou
        assert iou >= threshold


@given(pair=pairs(), threshold=thresholds, seed=st.integers(0, 99))
def test_values_of_labels_do_not_matter(pair, threshold, seed):
    found = match_labels(*pair, iou_threshold=threshold)
    other = match_labels(renamed(pair[0], seed), renamed(pair[1], seed + 1), iou_threshold=threshold)
    assert counts(found) == counts(other)
    np.testing.assert_array_equal(found.matched_iou, other.matched_iou)
    assert found.scores == other.scores


@given(pair=pairs(), threshold=thresholds)
def test_labels_and_truth_exchanged_exchange_the_errors(pair, threshold):
    found, other = (match_labels(*one, iou_threshold=threshold) for one in (pair, pair[::-1]))
    assert counts(other) == (found.true_positives, found.false_negatives, found.false_positives)
    assert (other.precision, other.recall) == (found.recall, found.precision)
    assert other.average_precision == found.average_precision
    assert other.panoptic_quality == pytest.approx(found.panoptic_quality, rel=1e-12)


@given(pair=pairs(), threshold=thresholds, seed=st.integers(0, 99))
def test_the_truth_itself_scores_one(pair, threshold, seed):
    found = match_labels(renamed(pair[1], seed), pair[1], iou_threshold=threshold)
    assert all(getattr(found.scores, name) == 1 for name in SCORES)


@given(pair=pairs())
def test_a_higher_threshold_never_finds_more(pair):
    table = contingency(*pair)
    found = [table.match(iou_threshold=threshold) for threshold in THRESHOLDS]
    for lower, higher in itertools.pairwise(found):
        assert higher.average_precision <= lower.average_precision
        assert higher.f1 <= lower.f1


@given(pair=pairs(), threshold=thresholds)
def test_scores_keep_their_relations(pair, threshold):
    found = match_labels(*pair, iou_threshold=threshold)
    assert found.panoptic_quality == found.mean_matched_iou * found.f1
    assert found.f1 == pytest.approx(2 * found.average_precision / (1 + found.average_precision), rel=1e-12)
    if found.true_positives:
        harmonic = 2 / (1 / found.precision + 1 / found.recall)
        assert found.f1 == pytest.approx(harmonic, rel=1e-12)
        errors = found.false_positives + found.false_negatives
        published = found.matched_iou.sum() / (found.true_positives + errors / 2)
        assert found.panoptic_quality == pytest.approx(published, rel=1e-12)
    assert dataclasses.asdict(found.scores) == {name: getattr(found, name) for name in SCORES}


@given(pair=pairs(most=9))
def test_the_table_counts_the_pixels_of_each_pair(pair):
    labels, truth = pair
    table = contingency(labels, truth)
    for ids, areas, image in (
        (table.label_ids, table.label_areas, labels),
        (table.truth_ids, table.truth_areas, truth),
    ):
        values, first, pixels = np.unique(image, return_index=True, return_counts=True)
        objects = np.argsort(first)[values[np.argsort(first)] > 0]
        np.testing.assert_array_equal(ids, values[objects])
        np.testing.assert_array_equal(areas, pixels[objects])
    shared = {
        (table.label_ids[at], table.truth_ids[true]): pixels
        for at, true, pixels in zip(table.label_indices, table.truth_indices, table.overlaps, strict=True)
    }
    both = (labels > 0) & (truth > 0)
    expected, pixels = np.unique(np.stack([labels[both], truth[both]]), axis=1, return_counts=True)
    assert shared == dict(zip(map(tuple, expected.T), pixels, strict=True))


@pytest.mark.parametrize("objects", [0, 1, 9])
def test_many_objects_are_counted_as_few_are(objects, monkeypatch):
    labels, truth = np.random.default_rng(objects).integers(0, objects + 1, (2, 20, 30))
    few = contingency(labels, truth)
    monkeypatch.setattr(label_matching, "FULL_TABLE", -1)
    many = contingency(labels, truth)
    for name, counted in vars(few).items():
        np.testing.assert_array_equal(getattr(many, name), counted)


@pytest.mark.parametrize("whole", ["truth", "labels"])
def test_of_two_halves_at_exactly_one_half_one_is_the_pair(whole):
    one, halves = np.ones((4, 6), int), np.repeat([[8, 8, 8, 3, 3, 3]], 4, axis=0)
    labels, truth = (halves, one) if whole == "truth" else (one, halves)
    found = match_labels(labels, truth, iou_threshold=0.5)
    assert counts(found) == ((1, 1, 0) if whole == "truth" else (1, 0, 1))
    assert 8 in found.pairs  # the first in the image
    assert 3 not in found.pairs
    assert match_labels(labels, truth, iou_threshold=np.nextafter(0.5, 1)).true_positives == 0


def test_a_threshold_that_is_a_fraction_of_pixels_is_reached():
    for pixels in range(1, 22):
        for threshold in range(1, pixels + 1):
            truth = np.ones((1, pixels), int)
            labels = (np.arange(pixels) < threshold).astype(int)[None]
            assert match_labels(labels, truth, iou_threshold=threshold / pixels).true_positives == 1


def test_below_one_half_the_greedy_choice_is_not_taken():
    truth = np.array([[1] * 6 + [2] * 6])
    labels = np.array([[7] * 2 + [5] * 7 + [0] * 3])  # 5 overlaps 1 by 4/9 and 2 by 3/10, 7 overlaps 1 by 2/6
    found = match_labels(labels, truth, iou_threshold=0.25)
    assert {tuple(pair) for pair in found.pairs.tolist()} == {(7, 1), (5, 2)}


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_without_objects_one_rule_holds(threshold):
    empty, full = np.zeros((3, 4), int), np.ones((3, 4), int)
    both, missed, invented = (
        match_labels(*pair, iou_threshold=threshold) for pair in ((empty, empty), (empty, full), (full, empty))
    )
    assert (counts(both), counts(missed), counts(invented)) == ((0, 0, 0), (0, 0, 1), (0, 1, 0))
    for name in SCORES:
        assert getattr(both, name) == 1
        assert getattr(missed, name) == getattr(invented, name) == 0


def test_an_object_that_fills_the_image_is_matched():
    full = np.full((5, 5), 9)
    assert match_labels(full, full, iou_threshold=1.0).average_precision == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64])
def test_any_integer_type_gives_the_same(dtype):
    labels, truth = np.random.default_rng(0).integers(0, 5, (2, 20, 30))
    expected = match_labels(labels, truth, iou_threshold=0.1)
    found = match_labels(labels.astype(dtype), truth.astype(np.int32), iou_threshold=0.1)
    assert counts(found) == counts(expected)
    np.testing.assert_array_equal(found.pairs, expected.pairs)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_the_largest_values_keep_their_digits(dtype):
    largest = np.iinfo(np.int64).max
    labels = np.array([[largest, largest - 1, 0]], dtype)
    np.testing.assert_array_equal(match_labels(labels, np.array([[1, 2, 0]])).pairs, [[largest, 1], [largest - 1, 2]])


def test_memory_does_not_grow_with_the_values_of_labels():
    labels = np.zeros((200, 200), np.int64)
    labels[:100], labels[100:] = 10**12, 3
    tracemalloc.start()
    match_labels(labels, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_tensors_views_and_arrays_are_the_same_and_are_left_as_they_were():
    labels, truth = np.random.default_rng(1).integers(0, 4, (2, 4, 12, 10))
    copies = labels.copy(), truth.copy()
    expected = match_labels(labels, truth, iou_threshold=0.05)
    tensors = match_labels(torch.as_tensor(labels), torch.as_tensor(truth), iou_threshold=0.05)
    views = match_labels(np.swapaxes(labels, 0, 2), np.asfortranarray(np.swapaxes(truth, 0, 2)), iou_threshold=0.05)
    assert counts(tensors) == counts(views) == counts(expected)
    np.testing.assert_array_equal(labels, copies[0])
    np.testing.assert_array_equal(truth, copies[1])


@given(images=st.lists(pairs(), min_size=1, max_size=4), threshold=thresholds)
def test_pooled_sums_the_counts_and_the_mean_is_that_of_the_images(images, threshold):
    labels, truth = (list(side) for side in zip(*images, strict=True))
    many = match_many(labels, truth, iou_threshold=threshold)
    alone = [match_labels(*pair, iou_threshold=threshold) for pair in images]
    assert counts(many.pooled) == tuple(np.sum([counts(one) for one in alone], axis=0))
    assert many.pooled.matched_iou.sum() == pytest.approx(sum(one.matched_iou.sum() for one in alone), rel=1e-12)
    for name in SCORES:
        mean = np.mean([getattr(one, name) for one in alone])
        assert getattr(many.mean_over_images, name) == pytest.approx(mean, rel=1e-12)


def test_an_empty_image_counts_in_the_mean_and_not_in_the_pooled():
    empty, truth = np.zeros((4, 4), int), np.diag([1, 2, 0, 0])
    many = match_many([empty, np.diag([1, 0, 0, 0])], [empty, truth])
    assert many.pooled.average_precision == 0.5
    assert many.mean_over_images.average_precision == 0.75


@pytest.mark.parametrize(
    "metric",
    [
        match_labels,
        contingency,
        metrics.seg_score,
        metrics.aggregated_jaccard_index,
        lambda labels, truth: metrics.boundary_f_score(labels, truth, tolerance_um=1, voxel_size_um=(1, 1)),
    ],
)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda one: one.astype(float), TypeError, r"have dtype float64.*\.astype\(np\.int32\) converts them"),
        (lambda one: np.where(one > 0, np.nan, 0), TypeError, r"have dtype float64, but must be whole numbers"),
        (lambda one: torch.as_tensor(one).half(), TypeError, r"have dtype float16, but must be whole numbers"),
        (lambda one: one > 0, TypeError, r"are a mask.*skimage\.measure\.label"),
        (lambda one: "labels.tif", TypeError, r"are a str, but must be an array or a tensor of whole numbers"),
        (lambda one: one - 1, ValueError, r"have a value of -1, but must be at least 0"),
        (
            lambda one: one.astype(np.uint64) + np.uint64(2**63),
            ValueError,
            r"have a value of 92.*at most 9223372036854",
        ),
        (lambda one: one[0], ValueError, r"have shape \(5,\), but must be an image \(Y, X\) or a stack"),
        (lambda one: one[:0], ValueError, r"have shape \(0, 5\), without any element"),
    ],
)
def test_bad_labels_are_refused_with_the_remedy(metric, change, error, message):
    image = np.diag([1, 0, 2, 0, 3])
    with pytest.raises(error, match=f"^labels {message}"):
        metric(change(image), image)
    with pytest.raises(error, match=f"truth {message}"):
        metric(image, change(image))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"labels have shape \(4, 5\), but truth has \(4, 6\).*crop or expand"):
        match_labels(np.zeros((4, 5), int), np.zeros((4, 6), int))


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, np.nan])
def test_the_threshold_is_above_zero_and_at_most_one(threshold):
    with pytest.raises(ValueError, match=r"iou_threshold is .*, but must be above 0 and at most 1.*for example 0.5"):
        match_labels(np.ones((2, 2), int), np.ones((2, 2), int), iou_threshold=threshold)


def test_lists_must_fit_and_errors_name_the_image():
    image = np.ones((2, 2), int)
    with pytest.raises(ValueError, match=r"labels are 1 images and truth 2, but must be as many"):
        match_many([image], [image, image])
    with pytest.raises(ValueError, match=r"labels are 0 images and truth 0.*at least one"):
        match_many([], [])
    with pytest.raises(TypeError, match=r"labels are a ndarray, but must be a list of images: list\(labels\)"):
        match_many(np.ones((2, 2, 2), int), [image, image])
    with pytest.raises(
        TypeError, match=r"labels are a list and truth a ndarray, but both must be one image, or both a"
    ):
        match_many([image], image)
    with pytest.raises(TypeError, match=r"truth\[1\] have dtype float64"):
        match_many([image, image], [image, image.astype(float)])
    with pytest.raises(ValueError, match=r"labels\[1\] have shape \(2, 2\), but truth\[1\] has \(2, 1\)"):
        match_many([image, image], [image, image[:, :1]])
