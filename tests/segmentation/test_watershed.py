import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import segmentation as skimage_segmentation

from course_lib import datasets, metrics, samples, segmentation

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=14))
LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=14), elements=st.sampled_from([0, 2, 9])
)


def discs(shape: tuple[int, int], centres: list[tuple[float, float]], radius: float) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, np.bool_)
    for at_y, at_x in centres:
        mask |= np.hypot(y - at_y, x - at_x) < radius
    return mask


def iou(labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return, for each true object, its greatest intersection over union with one of the labels."""
    numbers, size = [number for number in np.unique(truth) if number], np.bincount(labels.ravel())
    best = []
    for number in numbers:
        inside = truth == number
        common = np.bincount(labels[inside], minlength=len(size))
        best.append(max((common / (size + inside.sum() - common))[1:], default=0.0))
    return np.array(best)


def test_touching_discs_are_parted_along_the_line_between_their_centres() -> None:
    mask = discs((60, 90), [(30, 30), (30, 54)], 14)
    labels = segmentation.watershed(mask.astype(np.float32) * 50, diameter_um=28, voxel_size_um=(1, 1), smoothing=0)
    assert np.array_equal(labels > 0, mask)
    assert labels.max() == 2
    _, x = np.indices(mask.shape)
    wrong = (mask & (x < 42) & (labels != labels[30, 30])) | (mask & (x > 42) & (labels != labels[30, 54]))
    assert wrong.sum() <= 4


@pytest.mark.parametrize("scale", [1 / 64, 2.0, 32.0])
def test_only_the_ratio_of_diameter_and_voxel_counts(scale: float) -> None:
    sample = samples.nuclei((96, 96), voxel_size_um=(0.25, 0.25), count=9, diameter_um=5, rng=3)
    expected = segmentation.watershed(sample.density, diameter_um=5, voxel_size_um=(0.25, 0.25))
    found = segmentation.watershed(sample.density, diameter_um=5 * scale, voxel_size_um=(0.25 * scale,) * 2)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("factor", "offset"), [(4.0, 0.0), (0.5, 0.0), (1.0, 256.0)])
def test_the_unit_of_the_image_does_not_count(factor: float, offset: float) -> None:
    sample = samples.nuclei((96, 96), voxel_size_um=(0.25, 0.25), count=9, diameter_um=5, rng=3)
    image = torch.round(sample.density * 64)
    expected = segmentation.watershed(image, diameter_um=5, voxel_size_um=(0.25, 0.25), smoothing=0)
    found = segmentation.watershed(image * factor + offset, diameter_um=5, voxel_size_um=(0.25, 0.25), smoothing=0)
    assert np.array_equal(found, expected)


def test_simulated_nuclei_in_depth_with_flat_voxels() -> None:
    voxel_size_um = (0.5, 0.25, 0.25)
    sample = samples.nuclei(
        (24, 96, 96), voxel_size_um=voxel_size_um, count=8, diameter_um=8, height_ratio=0.8, touching=0.7, rng=1
    )
    photons = torch.poisson(sample.density * 30 + 3, generator=torch.Generator().manual_seed(0))
    labels = segmentation.watershed(photons, diameter_um=8, voxel_size_um=voxel_size_um, smoothing=0.05)
    whole = segmentation.without_border(sample.labels, axes="YX")
    assert whole.max() > 0
    assert (iou(labels, whole) > 0.6).mean() > 0.8


def test_real_nuclei_are_found() -> None:
    image = datasets.load("dsb2018_nuclei_2d").tensor()
    truth = datasets.load("dsb2018_nuclei_2d_labels").data.astype(np.int32)
    labels = segmentation.watershed(image, diameter_um=23.7, voxel_size_um=(1, 1))
    found = int((iou(labels, truth) >= 0.5).sum())
    share = found / (labels.max() + 125 - found)
    assert share > 0.70
    global_level = segmentation.connected(segmentation.threshold(image))
    found_globally = int((iou(global_level, truth) >= 0.5).sum())
    assert share > found_globally / (global_level.max() + 125 - found_globally)


@settings(max_examples=40, deadline=None)
@given(mask=MASKS, diameter=st.floats(3, 20))
def test_of_a_mask_every_object_is_inside_and_large(mask: np.ndarray, diameter: float) -> None:
    labels = segmentation.watershed(
        np.zeros(mask.shape), diameter_um=diameter, voxel_size_um=(1,) * mask.ndim, mask=mask
    )
    sizes = np.bincount(labels.ravel())[1:]
    round_size = np.pi / 4 * diameter**2 if mask.ndim == 2 else np.pi / 6 * diameter**3
    assert labels.dtype == np.int32
    assert (sizes >= 0.2 * round_size).all()
    assert (sizes > 0).all()
    holes = (labels > 0) & ~mask
    assert (np.bincount(segmentation.connected(~mask)[holes].ravel(), minlength=1)[1:] < 0.2 * round_size).all()


def test_small_holes_are_filled_and_specks_dropped() -> None:
    image = np.zeros((60, 60), np.float32)
    image[10:40, 10:40] = 10
    image[24:26, 24:26] = 0
    image[50:52, 50:52] = 10
    labels = segmentation.watershed(image, diameter_um=30, voxel_size_um=(1, 1), smoothing=0, spacing=1)
    assert labels[25, 25] == labels[15, 15] == labels.max() == 1
    assert labels[51, 51] == 0


@pytest.mark.parametrize("shape", [(30, 30), (8, 20, 20)])
def test_nothing_and_one_object_that_fills_the_image(shape: tuple[int, ...]) -> None:
    image, voxel_size_um = np.zeros(shape), (1,) * len(shape)
    nothing = segmentation.watershed(image, diameter_um=10, voxel_size_um=voxel_size_um, mask=np.zeros(shape, bool))
    assert nothing.shape == shape
    assert not nothing.any()
    full = segmentation.watershed(image, diameter_um=40, voxel_size_um=voxel_size_um, mask=np.ones(shape, bool))
    assert full.max() == (1 if len(shape) == 2 else 0)  # 3200 voxels are less than a fifth of a ball of 40


@settings(max_examples=60, deadline=None)
@given(labels=LABELS, diameter=st.floats(3, 12), spacing=st.floats(0, 2))
def test_splitting_keeps_the_foreground_and_every_number(labels: np.ndarray, diameter: float, spacing: float) -> None:
    split = segmentation.split_touching(labels, diameter_um=diameter, voxel_size_um=(1,) * labels.ndim, spacing=spacing)
    assert split.dtype == np.int32
    assert np.array_equal(split > 0, labels > 0)
    assert set(np.unique(labels)) <= set(np.unique(split))
    for number in np.unique(split):
        assert len(np.unique(labels[split == number])) == 1
    new = np.setdiff1d(split, labels)
    assert np.array_equal(new, labels.max() + 1 + np.arange(len(new)))


def test_a_disc_is_not_split_and_three_in_a_row_are_three() -> None:
    one = discs((50, 50), [(25, 25)], 20).astype(np.int32)
    assert segmentation.split_touching(one, diameter_um=40, voxel_size_um=(1, 1)).max() == 1
    three = discs((40, 110), [(20, 20), (20, 50), (20, 80)], 16.5).astype(np.int32)
    split = segmentation.split_touching(three, diameter_um=33, voxel_size_um=(1, 1))
    assert len({split[20, 20], split[20, 50], split[20, 80]}) == 3
    assert split.max() == 3


def test_in_flat_voxels_a_ball_stays_one_and_a_pile_of_two_is_parted() -> None:
    voxel_size_um = (2.0, 0.5, 0.5)
    z, y, x = (size_um * side for size_um, side in zip(voxel_size_um, np.indices((20, 40, 40)), strict=True))
    ball = (np.sqrt((z - 10) ** 2 + (y - 10) ** 2 + (x - 10) ** 2) < 7.5).astype(np.int32)
    assert segmentation.split_touching(ball, diameter_um=15, voxel_size_um=voxel_size_um).max() == 1
    pile = ball | (np.sqrt((z - 23) ** 2 + (y - 10) ** 2 + (x - 10) ** 2) < 7.5)
    split = segmentation.split_touching(pile, diameter_um=15, voxel_size_um=voxel_size_um)
    assert {split[5, 20, 20], split[11, 20, 20]} == {1, 2}


@settings(max_examples=40, deadline=None)
@given(mask=MASKS, size=st.sampled_from([0.25, 1.0, 3.0]))
def test_distances_are_those_of_every_pair_of_pixels(mask: np.ndarray, size: float) -> None:
    voxel_size_um = (size, *(1.0,) * (mask.ndim - 1))
    found = segmentation.distance_um(mask, voxel_size_um=voxel_size_um)
    outside = np.argwhere(~np.pad(mask, 1)) - 1 if mask.all() else np.argwhere(~mask)
    inside = np.argwhere(mask)
    apart = (inside[:, None] - outside[None]) * np.array(voxel_size_um)
    assert np.allclose(found[mask], np.sqrt((apart**2).sum(-1)).min(axis=1, initial=np.inf))
    assert not found[~mask].any()


@settings(max_examples=60, deadline=None)
@given(
    height=hnp.arrays(np.float32, (9, 11), elements=st.integers(0, 5)),
    mask=hnp.arrays(np.bool_, (9, 11)),
    spacing=st.floats(0.5, 6),
)
def test_seeds_are_apart_and_no_summit_is_far_from_one(height: np.ndarray, mask: np.ndarray, spacing: float) -> None:
    voxel_size_um = (1.0, 0.5)
    markers = segmentation.seeds(height, spacing_um=spacing, voxel_size_um=voxel_size_um, mask=mask)
    places = np.argwhere(markers)
    numbers = markers[tuple(places.T)]
    assert sorted(numbers) == list(range(1, len(places) + 1))
    assert (len(places) > 0) == mask.any()
    assert mask[markers > 0].all()
    heights = height[tuple(places[np.argsort(numbers)].T)]
    assert (np.diff(heights) <= 0).all()
    apart = np.sqrt((((places[:, None] - places[None]) * np.array(voxel_size_um)) ** 2).sum(-1))
    assert (apart[~np.eye(len(places), dtype=bool)] > spacing).all()
    if mask.any():
        assert heights[0] == height[mask].max()


def test_seeded_watershed_is_that_of_scikit_image() -> None:
    random = np.random.default_rng(0)
    landscape = ndimage.gaussian_filter(random.random((64, 64)), 3)
    markers = segmentation.seeds(-landscape, spacing_um=6, voxel_size_um=(1, 1), mask=landscape < 0.52)
    found = segmentation.seeded_watershed(landscape, markers, mask=landscape < 0.52)
    expected = skimage_segmentation.watershed(landscape, markers, mask=landscape < 0.52)
    assert found.dtype == np.int32
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": np.full((40, 40), 3.0)}, r"image has the value 3 everywhere"),
        ({"image": np.full((40, 40), np.nan)}, r"image has 1600 values that are NaN or infinite"),
        ({"image": np.zeros((2, 2, 2, 2))}, r"image has shape \(2, 2, 2, 2\), but must be \(y, x\) or \(z, y, x\)"),
        (
            {"mask": np.ones((4, 5), bool)},
            r"mask has shape \(4, 5\), but the image \(40, 40\): take both from the same",
        ),
        (
            {"diameter_um": 2},
            r"diameter_um is 2 µm, but must be at least 3 pixels, 3 µm: smaller objects have no shape",
        ),
        ({"diameter_um": float("inf")}, r"diameter_um is inf µm, but must be at least"),
        ({"voxel_size_um": (1, 1, 1)}, r"with 3 sizes, but there are 2 axes: give \(y, x\) in µm"),
        ({"smoothing": -0.1}, r"smoothing is -0.1, but must be from 0 to 1: standard deviation"),
        ({"spacing": 3}, r"spacing is 3, but must be from 0 to 2: distance of two seeds"),
    ],
)
def test_bad_input(changed: dict, message: str) -> None:
    image = discs((40, 40), [(20, 20)], 9).astype(np.float32)
    arguments = {"image": image, "diameter_um": 18, "voxel_size_um": (1, 1)} | changed
    with pytest.raises(ValueError, match=message):
        segmentation.watershed(arguments.pop("image"), **arguments)


def test_a_mask_of_numbers_and_markers_of_another_field() -> None:
    image = np.zeros((4, 4))
    with pytest.raises(TypeError, match=r"mask has dtype float64, but must be bool: mask > 0 makes it so"):
        segmentation.watershed(image, diameter_um=4, voxel_size_um=(1, 1), mask=np.ones((4, 4)))
    with pytest.raises(ValueError, match=r"markers has shape \(4, 5\), but the landscape \(4, 4\)"):
        segmentation.seeded_watershed(image, np.zeros((4, 5), int), mask=image == 0)
    with pytest.raises(ValueError, match=r"mask has shape \(4, 5\), but the height \(4, 4\)"):
        segmentation.seeds(image, spacing_um=2, voxel_size_um=(1, 1), mask=np.ones((4, 5), bool))


def test_a_stack_of_packed_nuclei_needs_the_right_distance_of_its_planes() -> None:
    stack = datasets.load("stardist_nuclei_3d").tensor()
    truth = datasets.load("stardist_nuclei_3d_labels").data.astype(np.int32)
    told = {}
    for voxels in ((2, 1, 1), (1, 1, 1)):
        volumes = np.prod(voxels) * np.bincount(truth.ravel())[1:]
        diameter = float(np.median((6 * volumes[volumes > 0] / np.pi) ** (1 / 3)))
        found = segmentation.watershed(stack, diameter_um=diameter, voxel_size_um=voxels)
        told[voxels] = [
            metrics.match_labels(found, truth, iou_threshold=least).average_precision for least in (0.5, 0.7)
        ]
    assert told[2, 1, 1] == pytest.approx([0.87, 0.12], abs=0.01)
    assert told[1, 1, 1][0] == pytest.approx(0.47, abs=0.01)
