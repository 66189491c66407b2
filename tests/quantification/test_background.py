"""Backgrounds that are known: right in the mean at any number of photons, with errors that hold."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from course_lib import quantification

ONE = (1.0, 1.0)


def disks(side: int = 128, *, radius: float = 8.0, every: int = 32) -> np.ndarray:
    """Labels of disks in a grid."""
    y, x = np.mgrid[:side, :side]
    inside = np.hypot(y % every - every / 2, x % every - every / 2) < radius
    return ndimage.label(inside)[0]


@pytest.mark.parametrize("photons", [0.1, 0.6, 4.0, 100.0])
def test_the_level_is_right_in_the_mean_and_its_error_is_its_spread(photons: float) -> None:
    rng, labels = np.random.default_rng(0), disks()
    found = [
        quantification.estimate_background(rng.poisson(photons + 300 * (labels > 0)), labels, voxel_size_um=ONE)
        for _ in range(100)
    ]
    levels, errors = (np.array([getattr(one, name) for one in found]) for name in ("level", "standard_error"))
    spread = levels.std(ddof=1)
    skewness = 1 / (6 * 100)  # a median of means of 100 and more counts lies below their mean by no more
    assert abs(levels.mean() - photons) < 3 * spread / 10 + skewness
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(spread, rel=0.35)


@pytest.mark.parametrize("photons", [0.01, 0.6, 0.7, 3.6, 3.7])
def test_it_has_no_steps_between_crowded_objects(photons: float) -> None:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:128, :128] % 8
    labels = ((y < 7) & (x < 7)).astype(int)  # gaps of one pixel
    found = [
        quantification.estimate_background(rng.poisson(photons, labels.shape), labels, voxel_size_um=ONE, margin_um=0)
        for _ in range(100)
    ]
    levels, errors = (np.array([getattr(one, name) for one in found]) for name in ("level", "standard_error"))
    assert abs(levels.mean() - photons) < 3 * levels.std(ddof=1) / 10
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(levels.std(ddof=1), rel=0.35)


def test_its_error_sees_haze_and_slopes() -> None:
    rng, side = np.random.default_rng(2), 256
    off, errors = [], []
    for _ in range(40):
        haze = ndimage.gaussian_filter(rng.normal(size=(side + 128, side + 128)), 20, mode="wrap")[:side, :side]
        image = rng.poisson(10 + haze * 2 * math.sqrt(math.pi) * 20)  # haze of standard deviation 1
        found = quantification.estimate_background(image, np.zeros(image.shape, int), voxel_size_um=ONE)
        off.append((found.level - 10) / found.standard_error)
        errors.append(found.standard_error)
    assert np.sqrt(np.mean(np.square(off))) < 2  # an error from blocks as if they were independent: 3.3
    assert np.median(errors) > 5 * math.sqrt(10) / side
    for axis in (0, 1):
        slope = np.moveaxis(rng.poisson(np.tile(np.linspace(5.0, 15, side), (side, 1))), 1, axis)
        found = quantification.estimate_background(slope, np.zeros(slope.shape, int), voxel_size_um=ONE)
        assert found.standard_error == pytest.approx(
            10 / 3 / math.sqrt(8 * 1.5), rel=0.03
        )  # of nine parts of the field


@settings(max_examples=40)
@given(gain=st.floats(0.1, 10), offset=st.floats(-50, 50), seed=st.integers(0, 99))
def test_it_follows_gain_and_offset_and_knows_nothing_of_objects(gain: float, offset: float, seed: int) -> None:
    rng, labels = np.random.default_rng(seed), disks(64)
    image = rng.normal(5, 1, labels.shape)
    plain = quantification.estimate_background(image, labels, voxel_size_um=ONE)
    other = np.where(labels > 0, 1e4 * rng.random(labels.shape), gain * image + offset)
    found = quantification.estimate_background(other, labels, voxel_size_um=ONE)
    assert found.level == pytest.approx(gain * plain.level + offset, rel=1e-5, abs=1e-5)
    assert found.standard_error == pytest.approx(gain * plain.standard_error, rel=1e-3, abs=1e-5)
    assert found.share == plain.share


def test_the_margin_leaves_out_the_glow_in_um() -> None:
    labels = disks(128, radius=6)
    glow = 100 * ndimage.gaussian_filter((labels > 0).astype(float), 2)
    levels = [
        quantification.estimate_background(10 + glow, labels, voxel_size_um=(0.5, 0.5), margin_um=margin).level
        for margin in (0, 1, 4)
    ]
    assert levels[0] > levels[1] > levels[2]
    assert levels[2] == pytest.approx(10, abs=0.01)
    distance = ndimage.distance_transform_edt(labels == 0, sampling=(0.5, 0.25))
    found = quantification.estimate_background(10 + glow, labels, voxel_size_um=(0.5, 0.25), margin_um=1.5)
    assert found.share == pytest.approx((distance > 1.5).mean())


def test_of_a_background_that_is_equal_everywhere_but_in_an_object() -> None:
    image = np.zeros((160, 160))
    image[:40, :40] = np.arange(1600).reshape(40, 40) % 7
    found = quantification.estimate_background(image, np.zeros(image.shape, int), voxel_size_um=ONE)
    assert 0 <= found.level < image.mean() / 5
    still = quantification.estimate_background(0 * image + 3, np.zeros(image.shape, int), voxel_size_um=ONE)
    assert (still.level, still.standard_error) == (3, 0)


def test_a_few_overlooked_objects_do_not_count() -> None:
    image = np.random.default_rng(1).poisson(3.0, (160, 160)).astype(float)
    image[:16, :32] += 500
    found = quantification.estimate_background(image, np.zeros(image.shape, int), voxel_size_um=ONE)
    assert found.level == pytest.approx(3, abs=4 * found.standard_error)
    assert found.share == 1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64])
def test_stacks_and_every_type(kind: type) -> None:
    image = np.random.default_rng(2).poisson(20.0, (5, 40, 40)).astype(kind)
    labels = np.zeros(image.shape, np.uint8)
    labels[2, 10:20, 10:20] = 200
    found = quantification.estimate_background(image, labels, voxel_size_um=(2, 0.5, 0.5), margin_um=0)
    assert found.level == pytest.approx(20, abs=4 * found.standard_error)
    assert found.share == pytest.approx(1 - 100 / 8000)
    same = quantification.estimate_background(
        torch.from_numpy(image.astype(np.float32)), torch.from_numpy(labels), voxel_size_um=(2, 0.5, 0.5), margin_um=0
    )
    assert same.level == pytest.approx(found.level)


def test_a_map_is_right_in_the_mean_under_the_objects() -> None:
    rng, labels = np.random.default_rng(3), disks()
    y, x = np.mgrid[:128, :128] / 128
    true = 0.5 + 2 * x + y
    found = np.stack(
        [
            quantification.background_map(
                rng.poisson(true + 50 * (labels > 0)).astype(float), labels, width_um=10, voxel_size_um=ONE
            )
            for _ in range(30)
        ]
    )
    middle = np.zeros_like(labels, np.bool_)
    middle[32:96, 32:96] = True  # an average over a window bends towards the middle near a border
    gap = (found - true)[:, middle & (labels > 0)].mean(axis=1)
    assert abs(gap.mean()) < 3 * gap.std(ddof=1) / math.sqrt(30)


def test_a_map_of_a_constant_is_that_constant_also_at_the_borders_and_plane_by_plane() -> None:
    labels = np.stack([disks(64), 0 * disks(64)])
    planes = np.array([3.0, 8.0])[:, None, None] * np.ones(labels.shape)
    found = quantification.background_map(
        planes + 70 * (labels > 0), labels, width_um=12, voxel_size_um=(5, 1, 1), margin_um=0
    )
    np.testing.assert_allclose(found, planes)


def test_a_map_of_a_tensor_is_a_tensor() -> None:
    found = quantification.background_map(
        torch.full((32, 32), 4.0), torch.zeros(32, 32).int(), width_um=3, voxel_size_um=ONE
    )
    assert isinstance(found, torch.Tensor)
    torch.testing.assert_close(found, torch.full((32, 32), 4.0))


def test_a_top_hat_keeps_narrow_objects_and_removes_slopes() -> None:
    y, x = np.mgrid[:128, :128]
    slope = 50 + 0.3 * x + 0.1 * y
    labels = disks(128, radius=5)
    left = quantification.subtract_background(slope + 200 * (labels > 0), radius_um=5.5, voxel_size_um=(0.5, 0.5))
    inner = slice(20, -20)
    assert left[inner, inner][labels[inner, inner] > 0].min() > 180
    assert np.abs(left[inner, inner][labels[inner, inner] == 0]).max() < 20
    assert np.abs(np.median(left)) < 3


def test_a_top_hat_is_pulled_down_by_noise_no_more_than_it_says() -> None:
    image = np.random.default_rng(4).poisson(10.0, (256, 256)).astype(float)
    radius = 20
    left = quantification.subtract_background(image, radius_um=radius, voxel_size_um=ONE)
    assert 0 < left.mean() < math.sqrt(10) / (0.25 * radius)
    assert (left < 0).mean() > 0.3  # nothing is clipped
    tensor = quantification.subtract_background(torch.from_numpy(image).float(), radius_um=radius, voxel_size_um=ONE)
    torch.testing.assert_close(tensor, torch.from_numpy(left).float(), atol=1e-3, rtol=1e-4)


def test_a_top_hat_works_plane_by_plane() -> None:
    stack = np.random.default_rng(5).normal(size=(3, 40, 50))
    found = quantification.subtract_background(stack, radius_um=4, voxel_size_um=(0.1, 1, 0.5))
    for plane, one in zip(stack, found, strict=True):
        np.testing.assert_allclose(one, quantification.subtract_background(plane, radius_um=4, voxel_size_um=(1, 0.5)))


IMAGE, NOTHING = np.ones((16, 16)), np.zeros((16, 16), int)
FULL = NOTHING + 1


@pytest.mark.parametrize("tool", [quantification.estimate_background, quantification.background_map])
@pytest.mark.parametrize(
    ("image", "labels", "changed", "error", "message"),
    [
        (IMAGE[:3], NOTHING, {}, ValueError, r"labels has shape \(16, 16\), but the image \(3, 16\)"),
        (IMAGE * np.nan, NOTHING, {}, ValueError, "image has 256 values that are NaN or infinite"),
        (IMAGE, NOTHING.astype(float), {}, TypeError, "labels has dtype float64, but must be an integer type"),
        (IMAGE, NOTHING - 1, {}, ValueError, "labels has values down to -1, but must be at least 0"),
        (IMAGE, NOTHING, {"voxel_size_um": (1,)}, ValueError, "with 1 sizes, but there are 2 axes"),
        (IMAGE, NOTHING, {"margin_um": -1}, ValueError, "margin_um is -1 µm, but must be at least 1e-06 µm: left out"),
        (IMAGE, FULL, {}, ValueError, "outside of all objects|objects only within width_um"),
        (IMAGE[0], NOTHING[0], {}, ValueError, r"image has shape \(16,\), but must be \(y, x\) or \(z, y, x\)"),
        (IMAGE[:0], NOTHING[:0], {}, ValueError, "without any element"),
        (IMAGE > 0, NOTHING, {}, TypeError, "image has dtype bool, but must be an integer or floating-point type"),
    ],
)
def test_bad_input(tool, image, labels, changed, error, message) -> None:
    arguments = {"voxel_size_um": ONE} | changed
    if tool is quantification.background_map:
        arguments["width_um"] = 2.0
    with pytest.raises(error, match=message):
        tool(image, labels, **arguments)


def test_what_has_no_background() -> None:
    with pytest.raises(ValueError, match=r"0 pixels lie outside of all objects and their margins, but .* at least 20"):
        quantification.estimate_background(IMAGE, FULL, voxel_size_um=ONE)
    with pytest.raises(ValueError, match="1 pixels lie outside"):
        quantification.estimate_background(IMAGE[:1, :1], NOTHING[:1, :1], voxel_size_um=ONE)
    wide = np.zeros((100, 100), int)
    wide[:, 5:] = 1
    with pytest.raises(ValueError, match="some places have objects only within width_um of 3 µm: raise it above"):
        quantification.background_map(np.ones((100, 100)), wide, width_um=3, voxel_size_um=ONE)
    with pytest.raises(ValueError, match="width_um is 0 µm, but must be at least"):
        quantification.background_map(IMAGE, NOTHING, width_um=0, voxel_size_um=ONE)
    with pytest.raises(ValueError, match="radius_um is -3 µm, but must be at least 1e-06 µm: half the side"):
        quantification.subtract_background(IMAGE, radius_um=-3, voxel_size_um=ONE)
    with pytest.raises(ValueError, match="image has 256 values that are NaN"):
        quantification.subtract_background(IMAGE * np.nan, radius_um=3, voxel_size_um=ONE)
