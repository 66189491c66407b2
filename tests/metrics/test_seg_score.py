"""SEG against masks compared one by one, and what the score does not see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from course_lib.metrics import seg_score

images = arrays.arrays(np.int32, st.shared(st.tuples(*[st.integers(1, 6)] * 2)), elements=st.integers(0, 4))


def shares(labels, truth):
    """Return for each true object its IoU with the label that covers more than half of it, or 0."""
    found = []
    for true in np.unique(truth[truth > 0]):
        inside = truth == true
        values, pixels = np.unique(labels[inside], return_counts=True)
        best = values[pixels.argmax()]
        covers = best > 0 and 2 * pixels.max() > inside.sum()
        found.append((inside & (labels == best)).sum() / (inside | (labels == best)).sum() if covers else 0.0)
    return found


@given(labels=images, truth=images)
def test_equals_masks_compared_one_by_one(labels, truth):
    expected = shares(labels, truth)
    if expected:
        assert seg_score(labels, truth) == pytest.approx(np.mean(expected), rel=1e-12)
    else:
        assert seg_score(labels, truth) == (not labels.any())


@given(labels=images, truth=images, names=st.permutations(range(1, 5)))
def test_values_of_labels_do_not_matter(labels, truth, names):
    others = np.array([0, *names])
    assert seg_score(others[labels], others[::-1][4 - truth]) == pytest.approx(seg_score(labels, truth), rel=1e-12)


@given(truth=images)
def test_the_truth_itself_scores_one(truth):
    assert seg_score(7 * truth, truth) == 1


def test_half_of_an_object_is_not_enough():
    truth, label = np.array([[1, 1, 1, 1]]), np.array([[2, 2, 0, 0]])
    assert seg_score(label, truth) == 0
    assert seg_score(np.array([[2, 2, 2, 0]]), truth) == 0.75


def test_invented_objects_cost_nothing():
    truth, labels = np.diag([1, 2, 0, 0]), np.diag([1, 2, 3, 4])
    assert seg_score(labels, truth) == 1


def test_one_label_may_cover_several_true_objects():
    assert seg_score(np.array([[5, 5, 5, 5]]), np.array([[1, 1, 2, 2]])) == 0.5


def test_without_objects_it_is_one_where_nothing_was_found():
    empty, full = np.zeros((3, 3), int), np.ones((3, 3), int)
    assert seg_score(empty, empty) == 1
    assert seg_score(full, empty) == seg_score(empty, full) == 0


def test_a_list_is_pooled_by_true_objects():
    crowded, lonely = np.arange(1, 10).reshape(3, 3), np.diag([1, 0, 0])
    found = np.where(crowded < 4, crowded, 0)
    assert seg_score([found, lonely], [crowded, lonely]) == pytest.approx(4 / 10)
    assert seg_score([lonely * 0, lonely * 0], [lonely * 0, lonely]) == 0
    assert seg_score([lonely, lonely * 0], [lonely * 0, lonely * 0]) == 0
