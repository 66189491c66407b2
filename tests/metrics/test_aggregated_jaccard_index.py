"""The aggregated Jaccard index against its published algorithm, written mask by mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from course_lib.metrics import aggregated_jaccard_index

images = arrays.arrays(np.int32, st.shared(st.tuples(*[st.integers(1, 6)] * 2)), elements=st.integers(0, 4))


def by_first_appearance(image):
    values, first = np.unique(image, return_index=True)
    return [image == value for value in values[np.argsort(first)] if value > 0]


def published(labels, truth):
    found, used = by_first_appearance(labels), set()
    above = below = 0
    for true in by_first_appearance(truth):
        overlaps = [(true & mask).sum() / (true | mask).sum() for mask in found]
        if not any(overlaps):
            below += true.sum()
            continue
        best = int(np.argmax(overlaps))
        used.add(best)
        above += (true & found[best]).sum()
        below += (true | found[best]).sum()
    below += sum(mask.sum() for index, mask in enumerate(found) if index not in used)
    return above / below if below else 1.0


@given(labels=images, truth=images)
def test_equals_the_published_algorithm(labels, truth):
    assert aggregated_jaccard_index(labels, truth) == pytest.approx(published(labels, truth), rel=1e-12)


@given(labels=images, truth=images, names=st.permutations(range(1, 5)))
def test_values_of_labels_do_not_matter(labels, truth, names):
    others = np.array([0, *names])
    assert aggregated_jaccard_index(others[labels], 9 * truth) == aggregated_jaccard_index(labels, truth)


@given(truth=images)
def test_the_truth_itself_scores_one_and_a_changed_pixel_costs(truth):
    assert aggregated_jaccard_index(7 * truth, truth) == 1
    changed = truth.copy()
    changed[0, 0] = 5 if changed[0, 0] == 0 else 0
    assert aggregated_jaccard_index(changed, truth) < 1


def test_what_merging_and_splitting_cost():
    apart, together = np.array([[1] * 4 + [2] * 4]), np.full((1, 8), 3)
    assert aggregated_jaccard_index(together, apart) == 1 / 2
    assert aggregated_jaccard_index(apart, together) == 1 / 3


def test_without_objects():
    empty, full = np.zeros((3, 3), int), np.ones((3, 3), int)
    assert aggregated_jaccard_index(empty, empty) == 1
    assert aggregated_jaccard_index(full, empty) == aggregated_jaccard_index(empty, full) == 0


@given(labels=images, truth=images)
def test_a_list_is_pooled(labels, truth):
    twice = [np.stack([one, np.where(one > 0, one + 9, 0)]) for one in (labels, truth)]  # two planes, objects apart
    pooled = aggregated_jaccard_index([labels, labels], [truth, truth])
    assert pooled == pytest.approx(aggregated_jaccard_index(*twice), rel=1e-12)


def test_large_images_weigh_more_in_a_list():
    small, large = np.ones((1, 2), int), np.ones((1, 8), int)
    assert aggregated_jaccard_index([0 * small, large], [small, large]) == 8 / 10
