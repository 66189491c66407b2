from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from course_lib import segmentation

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=8)
LABELS = hnp.arrays(np.int32, SHAPES, elements=st.sampled_from([0, 0, 1, 2, 5, 7, 2_000_000_000]))
MASKS = hnp.arrays(np.bool_, SHAPES)

ONE = (1.0, 1.0)
TOOLS: dict[str, Callable] = {
    "relabelled": segmentation.relabelled,
    "filled": segmentation.filled,
    "without_border": segmentation.without_border,
    "of_size": lambda labels: segmentation.of_size(labels, voxel_size_um=ONE, area_um2=(0, 9)),
    "touching_pairs": lambda labels: segmentation.touching_pairs(labels, voxel_size_um=ONE),
    "merged": lambda labels: segmentation.merged(labels, pairs=[]),
    "split_touching": lambda labels: segmentation.split_touching(labels, diameter_um=5, voxel_size_um=ONE),
}


@settings(max_examples=80, deadline=None)
@given(labels=LABELS)
def test_relabelled_is_a_permutation_in_the_old_order(labels: np.ndarray) -> None:
    new = segmentation.relabelled(labels)
    numbers = np.union1d(labels, 0)
    assert new.dtype == np.int32
    assert np.array_equal(numbers[new], labels)
    assert np.array_equal(np.union1d(new, 0), np.arange(len(numbers)))
    assert np.array_equal(segmentation.relabelled(new), new)


@settings(max_examples=60, deadline=None)
@given(mask=MASKS)
def test_connected_parts_share_faces_and_cover_the_mask(mask: np.ndarray) -> None:
    labels = segmentation.connected(torch.from_numpy(mask))
    assert labels.dtype == np.int32
    assert np.array_equal(labels > 0, mask)
    for axis in range(mask.ndim):
        first, second = (
            np.take(labels, part, axis) for part in (range(mask.shape[axis] - 1), range(1, mask.shape[axis]))
        )
        both = (first > 0) & (second > 0)
        assert np.array_equal(first[both], second[both])
    assert labels.max() == ndimage.label(mask)[1]


@settings(max_examples=60, deadline=None)
@given(mask=MASKS)
def test_one_object_is_filled_as_scipy_fills_it(mask: np.ndarray) -> None:
    expected = np.where(ndimage.binary_fill_holes(mask), 3, 0)
    assert np.array_equal(segmentation.filled(np.where(mask, 3, 0)), expected)


@settings(max_examples=60, deadline=None)
@given(labels=LABELS)
def test_filling_changes_background_only(labels: np.ndarray) -> None:
    full = segmentation.filled(labels)
    assert full.dtype == np.int32
    assert np.array_equal(full[labels > 0], labels[labels > 0])
    assert np.array_equal(segmentation.filled(full), full)


def test_a_hole_between_two_objects_is_nobodys() -> None:
    labels = np.array([[1, 1, 2, 2], [1, 0, 0, 2], [1, 1, 2, 2]])
    assert np.array_equal(segmentation.filled(labels), labels)


@settings(max_examples=80, deadline=None)
@given(labels=LABELS, data=st.data())
def test_without_border_drops_just_the_objects_there(labels: np.ndarray, data: st.DataObject) -> None:
    named = "ZYX"[-labels.ndim :]
    axes = data.draw(st.none() | st.text(named, min_size=1, max_size=3))
    inner = segmentation.without_border(labels, axes=axes)
    at_border = set()
    for axis, letter in enumerate(named):
        if letter in (axes or named):
            at_border |= set(np.take(labels, [0, -1], axis).ravel().tolist())
    assert inner.dtype == np.int32
    assert np.array_equal(inner, np.where(np.isin(labels, list(at_border)), 0, labels))


@settings(max_examples=80, deadline=None)
@given(labels=LABELS, size=st.sampled_from([0.1, 0.3, 2.0]), lowest=st.integers(0, 6), more=st.integers(0, 6))
def test_of_size_counts_voxels_times_their_volume(labels: np.ndarray, size: float, lowest: int, more: int) -> None:
    voxel_size_um = (size, 0.7, 0.3)[: labels.ndim]
    unit = float(np.prod(voxel_size_um))
    name = "area_um2" if labels.ndim == 2 else "volume_um3"
    kept = segmentation.of_size(labels, voxel_size_um=voxel_size_um, **{name: (lowest * unit, (lowest + more) * unit)})
    wanted = [n for n in np.unique(labels) if n and lowest <= (labels == n).sum() <= lowest + more]
    assert kept.dtype == np.int32
    assert np.array_equal(kept, np.where(np.isin(labels, wanted), labels, 0))


def test_volumes_with_flat_voxels() -> None:
    labels = np.zeros((4, 10, 10), np.int32)
    labels[:2, :5, :5], labels[2:, 5:, 5:9] = 3, 8
    volumes = {3: 50 * 0.5 * 0.2 * 0.2, 8: 40 * 0.5 * 0.2 * 0.2}
    kept = segmentation.of_size(labels, voxel_size_um=(0.5, 0.2, 0.2), volume_um3=(volumes[8] + 0.01, np.inf))
    assert np.array_equal(kept, np.where(labels == 3, 3, 0))


@settings(max_examples=60, deadline=None)
@given(labels=LABELS, data=st.data())
def test_merging_keeps_the_foreground_and_joins_what_hangs_together(labels: np.ndarray, data: st.DataObject) -> None:
    numbers = [int(number) for number in np.unique(labels) if number]
    pairs = data.draw(st.lists(st.tuples(*[st.sampled_from(numbers)] * 2), max_size=4)) if numbers else []
    joined = segmentation.merged(labels, pairs=pairs)
    group = {number: number for number in numbers}
    for _ in numbers:
        for first, second in pairs:
            group[first] = group[second] = min(group[first], group[second])
    expected = labels.copy()
    for old, new in group.items():
        expected[labels == old] = new
    assert joined.dtype == np.int32
    assert np.array_equal(joined, expected)


@settings(max_examples=60, deadline=None)
@given(labels=LABELS, least_share=st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_pairs_and_shares_are_those_of_counting_faces(labels: np.ndarray, least_share: float) -> None:
    voxel_size_um = (2.0, 1.0, 0.5)[: labels.ndim]
    padded, border, outline = np.pad(labels, 1), {}, {}
    for place in np.ndindex(*padded.shape):
        for axis in range(labels.ndim):
            beside = tuple(at + (axis == number) for number, at in enumerate(place))
            if beside[axis] < padded.shape[axis] and padded[place] != padded[beside]:
                low, high = sorted((int(padded[place]), int(padded[beside])))
                face = np.prod(voxel_size_um) / voxel_size_um[axis]
                border[low, high] = border.get((low, high), 0) + face
                outline[low], outline[high] = outline.get(low, 0) + face, outline.get(high, 0) + face
    expected = sorted(
        pair
        for pair, area in border.items()
        if pair[0] > 0 and area / min(outline[pair[0]], outline[pair[1]]) >= least_share
    )
    found = segmentation.touching_pairs(labels, voxel_size_um=voxel_size_um, least_share=least_share)
    assert found.dtype == np.int32
    assert found.shape == (len(expected), 2)
    assert [tuple(pair) for pair in found.tolist()] == expected


def test_splitting_is_undone_by_merging_what_touches() -> None:
    y, x = np.mgrid[:40, :70]
    pair = ((np.hypot(y - 20, x - 22) < 14) | (np.hypot(y - 20, x - 46) < 14)).astype(np.int32)
    split = segmentation.split_touching(pair, diameter_um=28, voxel_size_um=(1, 1))
    assert split.max() == 2
    pairs = segmentation.touching_pairs(split, voxel_size_um=(1, 1), least_share=0.1)
    assert np.array_equal(segmentation.merged(split, pairs=pairs), pair)
    assert len(segmentation.touching_pairs(split, voxel_size_um=(1, 1), least_share=0.4)) == 0


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.uint64])
def test_every_tool_takes_whole_numbers_of_any_kind_with_gaps_and_nothing(name: str, kind: type) -> None:
    labels = np.array([[0, 0, 0, 0], [0, 9, 9, 0], [0, 9, 9, 0], [0, 0, 0, 40]], dtype=kind)
    assert np.array_equal(TOOLS[name](labels), TOOLS[name](torch.from_numpy(labels.astype(np.int32))))
    nothing = TOOLS[name](np.zeros((4, 4), kind))
    assert nothing.dtype == np.int32
    assert not nothing.any()


@pytest.mark.parametrize("name", TOOLS)
def test_no_tool_writes_into_its_labels(name: str) -> None:
    labels = np.array([[0, 0, 0, 0], [0, 9, 9, 2], [0, 9, 9, 2], [0, 0, 0, 4]], dtype=np.int32)
    before = labels.copy()
    labels.setflags(write=False)
    found = TOOLS[name](labels)
    assert np.array_equal(labels, before)
    assert not np.shares_memory(found, labels)


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (
            np.ones((4, 4)),
            TypeError,
            r"labels has dtype float64, but must be an integer type: labels.astype\(np.int32\)",
        ),
        (
            np.ones((4, 4), np.bool_),
            TypeError,
            r"labels has dtype bool, but must be whole numbers: connected\(labels\)",
        ),
        (np.full((4, 4), -1), ValueError, r"labels has values down to -1, but must be at least 0, the background"),
        (np.full((4, 4), 2**40), ValueError, r"labels has values up to 1099511627776, but must be at most 2147483647"),
        (np.ones(4, np.int32), ValueError, r"labels has shape \(4,\), but must be \(y, x\) or \(z, y, x\)"),
        (np.ones((1, 1, 2, 2), np.int32), ValueError, r"choose one time and channel of it"),
        (np.ones((0, 4), np.int32), ValueError, r"labels has shape \(0, 4\), without any element"),
        ([[1]], TypeError, r"labels is a list, but must be a tensor or a NumPy array"),
    ],
)
def test_bad_labels(name: str, labels: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TOOLS[name](labels)


@pytest.mark.parametrize(
    ("limits", "error", "message"),
    [
        ({}, ValueError, r"labels have 2 axes, so that their size is area_um2, not volume_um3: give area_um2="),
        ({"volume_um3": (1, 2)}, ValueError, r"give area_um2=\(lowest, highest\)"),
        ({"area_um2": (5, 2)}, ValueError, r"area_um2 is \(5, 2\), but must be \(lowest, highest\), both at least 0"),
        ({"area_um2": (float("nan"), 2)}, ValueError, r"area_um2 is \(nan, 2\)"),
        ({"area_um2": 5}, TypeError, r"area_um2 is 5, but must be two numbers: \(lowest, highest\)"),
    ],
)
def test_bad_limits_of_size(limits: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        segmentation.of_size(np.ones((4, 4), np.int32), voxel_size_um=ONE, **limits)


def test_bad_axes_pairs_and_shares() -> None:
    labels = np.array([[1, 2]])
    with pytest.raises(ValueError, match=r"axes is 'Z', but must be letters of 'YX', or None"):
        segmentation.without_border(labels, axes="Z")
    with pytest.raises(ValueError, match=r"pairs has the number 3, but no object has it: np.unique\(labels\)"):
        segmentation.merged(labels, pairs=[(1, 3)])
    with pytest.raises(ValueError, match=r"pairs has the number 0, but no object has it"):
        segmentation.merged(labels, pairs=[(0, 1)])
    with pytest.raises(ValueError, match=r"pairs has shape \(2,\) and dtype int64, but must be whole numbers of shape"):
        segmentation.merged(labels, pairs=np.array([1, 2]))
    with pytest.raises(ValueError, match=r"least_share is 2, but must be from 0 to 1: common border"):
        segmentation.touching_pairs(labels, voxel_size_um=ONE, least_share=2)
    with pytest.raises(TypeError, match=r"mask has dtype int64, but must be bool: mask > 0 makes it so"):
        segmentation.connected(labels)
