import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage, spatial

from course_lib import segmentation
from course_lib.quantification import measure

LABELS = hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=8), elements=st.integers(0, 5))
NEIGHBOURS = ("neighbours",)


def counts(labels: np.ndarray, *size_um: float, within_um: float = 0.0) -> dict[int, int]:
    table = measure(labels, voxel_size_um=size_um, features=NEIGHBOURS, neighbour_distance_um=within_um)
    return dict(zip(table["ID"], table["neighbours"], strict=True))


@settings(max_examples=60, deadline=None)
@given(LABELS)
def test_objects_that_touch_are_the_touching_pairs_of_segmentation(labels: np.ndarray) -> None:
    size = (1.0,) * labels.ndim
    expected = dict.fromkeys(set(labels.ravel().tolist()) - {0}, 0)
    for pair in segmentation.touching_pairs(labels.astype(np.int32), voxel_size_um=size):
        for number in pair.tolist():
            expected[number] += 1
    assert counts(labels, *size) == expected


@pytest.mark.parametrize("size_um", [(1.0, 1.0), (0.5, 0.2), (2.0, 1.0, 1.0)])
def test_objects_alone_are_neighbours_by_the_distance_of_their_nearest_pixels(size_um: tuple[float, ...]) -> None:
    rng = np.random.default_rng(len(size_um))
    for _ in range(30):
        mask = ndimage.gaussian_filter(rng.normal(size=(24,) * len(size_um)), 2)
        regions, _ = ndimage.label(mask > 2 * mask.std())
        labels = np.where(regions <= 2, regions, 0)  # with two, none is hidden behind another
        if labels.max() < 2:
            continue
        first, second = (np.argwhere(labels == number) * size_um for number in (1, 2))
        distance = spatial.cKDTree(first).query(second)[0].min()
        assert counts(labels, *size_um, within_um=1.01 * distance) == {1: 1, 2: 1}
        assert counts(labels, *size_um, within_um=0.99 * distance) == {1: 0, 2: 0}


def test_an_object_behind_another_is_no_neighbour() -> None:
    labels = np.zeros((5, 15), int)
    labels[:, 1:3], labels[:, 6:8], labels[:, 11:13] = 1, 2, 3
    assert counts(labels, 1, 1, within_um=50) == {1: 1, 2: 2, 3: 1}


def test_touching_objects_are_neighbours_at_any_distance() -> None:
    labels = np.array([[1, 1, 2, 2, 0, 0, 3]])
    assert counts(labels, 10, 10, within_um=1e-3) == {1: 0, 2: 0, 3: 0}  # centres are 10 µm apart
    assert counts(labels, 10, 10) == counts(labels, 10, 10, within_um=10) == {1: 1, 2: 1, 3: 0}
    assert counts(labels, 10, 10, within_um=30) == {1: 1, 2: 2, 3: 1}


def test_one_object_has_none() -> None:
    assert counts(np.array([[0, 5]]), 1, 1) == counts(np.array([[5, 5]]), 1, 1, within_um=3) == {5: 0}
