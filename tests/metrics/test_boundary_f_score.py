"""Boundary precision and recall against distances taken pixel by pixel, in pixels and in µm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.segmentation import find_boundaries

from course_lib.metrics import boundary_f_score

images = arrays.arrays(np.int32, st.shared(st.tuples(*[st.integers(2, 7)] * 2)), elements=st.integers(0, 3))
tolerances = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0])
PIXELS = {"voxel_size_um": (1.0, 1.0)}


def share_near(edge, other, tolerance):
    distances = np.linalg.norm(np.argwhere(edge)[:, None] - np.argwhere(other)[None], axis=2)
    return (distances.min(axis=1) <= tolerance).mean()


def square(side=16, start=4, stop=12):
    image = np.zeros((side, side), int)
    image[start:stop, start:stop] = 1
    return image


@given(labels=images, truth=images, tolerance=tolerances)
def test_equals_distances_pixel_by_pixel(labels, truth, tolerance):
    found = boundary_f_score(labels, truth, tolerance_um=tolerance, **PIXELS)
    edges = [find_boundaries(image, connectivity=1, mode="inner") for image in (labels, truth)]
    if all(edge.any() for edge in edges):
        precision, recall = share_near(*edges, tolerance), share_near(*edges[::-1], tolerance)
        assert (found.precision, found.recall) == (precision, recall)
        mean = 2 * precision * recall / (precision + recall) if precision + recall else 0
        assert found.f_score == pytest.approx(mean, rel=1e-12)
    else:
        same = not any(edge.any() for edge in edges) and labels.any() == truth.any()
        assert found.precision == found.recall == found.f_score == same


@given(labels=images, truth=images, tolerance=tolerances, names=st.permutations(range(1, 4)))
def test_values_do_not_matter_and_exchange_exchanges_precision_and_recall(labels, truth, tolerance, names):
    found = boundary_f_score(labels, truth, tolerance_um=tolerance, **PIXELS)
    renamed = boundary_f_score(np.array([0, *names])[labels], truth, tolerance_um=tolerance, **PIXELS)
    other = boundary_f_score(truth, labels, tolerance_um=tolerance, **PIXELS)
    assert renamed == found
    assert (other.precision, other.recall) == (found.recall, found.precision)


@given(labels=images, truth=images)
def test_the_truth_itself_scores_one_and_a_larger_tolerance_never_less(labels, truth):
    assert boundary_f_score(5 * truth, truth, tolerance_um=0, **PIXELS).f_score == 1
    scores = [boundary_f_score(labels, truth, tolerance_um=tolerance, **PIXELS).f_score for tolerance in range(4)]
    assert scores == sorted(scores)


@given(pixels=st.integers(1, 4), size=st.floats(0.01, 10))
@settings(max_examples=50)
def test_a_shift_by_the_tolerance_is_right_whatever_the_size_of_a_pixel(pixels, size):
    shifted = np.roll(square(), pixels, axis=1)
    sizes = {"voxel_size_um": (size, size)}
    assert boundary_f_score(shifted, square(), tolerance_um=pixels * size, **sizes).f_score == 1
    assert boundary_f_score(shifted, square(), tolerance_um=0.99 * pixels * size, **sizes).f_score < 1


@pytest.mark.parametrize("tolerance_um", [0.1, 0.2, 0.3, 0.6, 0.7])  # 3 × 0.1 is above 0.3 in floating point
def test_a_tolerance_of_whole_pixels_is_reached(tolerance_um):
    shifted = np.roll(square(32), round(10 * tolerance_um), axis=0)
    found = boundary_f_score(shifted, square(32), tolerance_um=tolerance_um, voxel_size_um=(0.1, 0.1))
    assert found.f_score == 1


def test_planes_further_apart_than_pixels():
    stack = np.zeros((9, 12, 12), int)
    stack[3:6, 4:8, 4:8] = 1
    sizes = {"tolerance_um": 0.2, "voxel_size_um": (0.5, 0.2, 0.2)}
    assert boundary_f_score(np.roll(stack, 1, axis=2), stack, **sizes).f_score == 1
    assert boundary_f_score(np.roll(stack, 1, axis=0), stack, **sizes).f_score < 1


def test_a_merge_shows_as_missing_recall():
    truth = square()
    truth[4:12, 8:12] = 2
    found = boundary_f_score(square(), truth, tolerance_um=1, **PIXELS)
    assert found.precision == 1
    assert found.recall < 1


def test_without_boundary():
    empty, full = np.zeros((16, 16), int), np.full((16, 16), 3)
    how = {"tolerance_um": 1, **PIXELS}
    assert boundary_f_score(empty, empty, **how).f_score == boundary_f_score(full, full, **how).f_score == 1
    for pair in ((full, empty), (empty, full), (square(), empty), (empty, square()), (full, square())):
        assert boundary_f_score(*pair, **how).f_score == 0


def test_a_list_is_pooled_by_pixels_of_boundary():
    small, large = square(16, 6, 8), square(16, 2, 14)  # 4 and 44 pixels of boundary
    apart = np.roll(small, 6, axis=0)
    found = boundary_f_score([apart, large], [small, large], tolerance_um=1, **PIXELS)
    assert found.precision == found.recall == 44 / 48


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tolerance_um": -1}, "tolerance_um is -1 µm, but must be at least 0 and finite"),
        ({"tolerance_um": np.nan}, "tolerance_um is nan µm, but must be at least 0"),
        ({"voxel_size_um": (1, 1, 1)}, r"voxel_size_um is \(1, 1, 1\), but must be 2 sizes above 0"),
        ({"voxel_size_um": (1, 0)}, r"voxel_size_um is \(1, 0\), but must be 2 sizes above 0"),
    ],
)
def test_errors_name_the_remedy(change, message):
    with pytest.raises(ValueError, match=message):
        boundary_f_score(square(), square(), **{"tolerance_um": 1, **PIXELS, **change})
