"""Costes' threshold against a search step by step, and the randomization against its own chance."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage, stats

from course_lib import quantification

PIXELS = hnp.arrays(np.float64, (4, 6), elements=st.integers(0, 20).map(float))


def by_steps(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return Costes' thresholds as published: down from the brightest, until r of the pixels below is not above 0."""
    one, other = first.ravel(), second.ravel()
    direction = np.linalg.svd(np.stack([one - one.mean(), other - other.mean()]), full_matrices=False)[0][:, 0]
    slope = direction[1] / direction[0]
    intercept = other.mean() - slope * one.mean()
    steps = np.unique(np.minimum(one, (other - intercept) / slope))[::-1]
    for limit in steps:
        below = (one <= limit + 1e-9) | (other <= slope * limit + intercept + 1e-9)
        a, b = one[below], other[below]
        if below.sum() < 3 or np.ptp(a) == 0 or np.ptp(b) == 0 or np.corrcoef(a, b)[0, 1] <= 1e-9:
            return float(limit), float(slope * limit + intercept)
    raise AssertionError("the dimmest pixel alone has no correlation")


@settings(max_examples=100)
@given(first=PIXELS, second=PIXELS)
def test_it_is_the_published_search(first: np.ndarray, second: np.ndarray) -> None:
    covariance = np.cov(first.ravel(), second.ravel())[0, 1]
    assume(covariance > 0.5)
    found = quantification.costes_threshold(first, second)
    limit, other = by_steps(first, second)
    assert (found.first, found.second) == (pytest.approx(limit, abs=1e-6), pytest.approx(other, abs=1e-6))
    assert found.second == pytest.approx(found.slope * found.first + found.intercept, abs=1e-9)
    assert not found.correlation_below > 1e-9


@pytest.mark.parametrize("gain", [0.2, 1.0, 30.0])
def test_the_line_is_that_of_orthogonal_regression_and_swaps_with_the_channels(gain: float) -> None:
    rng = np.random.default_rng(0)
    shared = rng.gamma(1.0, 20.0, (40, 40))
    first, second = shared + rng.normal(0, 3, shared.shape), gain * shared + rng.normal(0, 3, shared.shape) + 7
    found = quantification.costes_threshold(first, second)
    centred = np.stack([first.ravel() - first.mean(), second.ravel() - second.mean()])
    along = np.linalg.eigh(centred @ centred.T)[1][:, -1]
    assert found.slope == pytest.approx(along[1] / along[0])
    back = quantification.costes_threshold(second, first)
    assert back.slope == pytest.approx(1 / found.slope)
    assert (back.first, back.second) == (pytest.approx(found.second, abs=1e-6), pytest.approx(found.first, abs=1e-6))


def test_it_parts_structure_from_noise() -> None:
    rng = np.random.default_rng(1)
    structure = ndimage.gaussian_filter(rng.random((80, 80)), 3) > 0.52
    first = rng.normal(20, 4, structure.shape) + 100 * structure
    second = rng.normal(30, 4, structure.shape) + 60 * structure
    found = quantification.costes_threshold(first, second)
    above = (first > found.first) & (second > found.second)
    assert found.share_above == pytest.approx(above.mean())
    overlap = (above & structure).sum() / (above | structure).sum()
    assert overlap > 0.9
    shares = quantification.manders(first - 20, second - 30, thresholds=(found.first - 20, found.second - 30))
    assert min(shares.first_share, shares.second_share) > 0.9


def test_only_pixels_of_the_mask_count() -> None:
    rng = np.random.default_rng(2)
    first = rng.random((20, 20))
    second = first + 0.3 * rng.random((20, 20))
    mask = np.zeros((20, 20), np.bool_)
    mask[:10] = True
    assert quantification.costes_threshold(first, second, mask=mask) == quantification.costes_threshold(
        first[:10], second[:10]
    )


def test_thresholds_for_manders_are_not_below_0() -> None:
    first = np.array([[-5.0, -4.0, 8.0, 9.0]])
    found = quantification.costes_threshold(first, 2 * first - 1)
    assert found.first < 0
    assert found.thresholds == (0, 0)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (-np.arange(12.0).reshape(3, 4), "first and second have a covariance of -13, but must rise together"),
        (
            np.ones((3, 4)),
            "a covariance of 0, but must rise together to have a threshold: they are not colocalized, or",
        ),
        (np.ones((3, 3)), r"first has shape \(3, 4\), but the second \(3, 3\)"),
        (np.full((3, 4), np.inf), "second has 12 values that are NaN or infinite"),
    ],
)
def test_channels_without_a_threshold(second: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quantification.costes_threshold(np.arange(12.0).reshape(3, 4), second)


def fields(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> tuple[np.ndarray, np.ndarray]:
    first, second = (ndimage.gaussian_filter(rng.normal(size=shape), sigma) for _ in range(2))
    return first, second


def test_unrelated_channels_have_evenly_spread_p_values_with_blocks_above_the_grain_only() -> None:
    rng = np.random.default_rng(3)
    p_values: dict[float, list[float]] = {1.0: [], 8.0: []}
    for number in range(120):
        first, second = fields(rng, (64, 64), 1.0)
        for block_um, found in p_values.items():
            found.append(
                quantification.costes_randomization(
                    first, second, block_um=block_um, voxel_size_um=(1, 1), repeats=39, rng=number
                ).p_value
            )
    false = {block_um: np.mean(np.array(found) <= 0.05) for block_um, found in p_values.items()}
    error = math.sqrt(0.05 * 0.95 / 120)
    assert abs(false[8.0] - 0.05) < 3 * error
    assert false[1.0] > 0.05 + 5 * error  # pixels are no blocks
    assert stats.kstest(p_values[8.0], "uniform").pvalue > 0.01


def test_shuffled_pixels_call_close_to_half_of_unrelated_blurred_images_significant() -> None:
    rng = np.random.default_rng(5)
    pairs = [fields(rng, (64, 64), 4.0) for _ in range(100)]
    found = [
        quantification.costes_randomization(*pair, block_um=1, voxel_size_um=(1, 1), repeats=39, rng=0)
        for pair in pairs
    ]
    significant = np.array([one.p_value <= 0.05 for one in found])
    assert significant.mean() == pytest.approx(0.4, abs=0.15)
    assert min(one.observed for one in found if one.p_value <= 0.05) > 0  # one-sided
    assert significant[[one.observed > 0 for one in found]].mean() > 0.6


def test_the_shuffled_correlations_are_those_of_shuffled_images() -> None:
    rng = np.random.default_rng(4)
    first, second = fields(rng, (6, 13, 9), 0.7)
    found = quantification.costes_randomization(
        first, second, block_um=0.4, voxel_size_um=(0.2, 0.1, 0.1), repeats=300, rng=0
    )
    whole = (slice(0, 6), slice(0, 12), slice(0, 8))
    assert found.blocks == 3 * 3 * 2
    assert found.observed == pytest.approx(quantification.pearson(first[whole], second[whole]))
    assert found.shuffled.shape == (300,)
    assert abs(found.shuffled.mean()) < 4 * found.shuffled.std() / math.sqrt(300)
    assert np.ptp(found.shuffled) > 0
    assert found.p_value == (1 + (found.shuffled >= found.observed).sum()) / 301


def test_equal_images_have_the_smallest_p_and_one_seed_one_answer() -> None:
    image = fields(np.random.default_rng(5), (32, 32), 1.0)[0]
    found = [
        quantification.costes_randomization(image, image, block_um=4, voxel_size_um=(1, 1), repeats=99, rng=7)
        for _ in range(2)
    ]
    assert found[0].observed == pytest.approx(1)
    assert found[0].p_value == 0.01
    assert np.array_equal(found[0].shuffled, found[1].shuffled)


GOOD = np.arange(256.0).reshape(16, 16)


@pytest.mark.parametrize(
    ("first", "changed", "message"),
    [
        (
            GOOD,
            {"block_um": 8},
            r"an image of 16 × 16 voxels has 4 blocks of 8 × 8, but needs at least 8: lower block_um",
        ),
        (GOOD, {"block_um": 0}, "block_um is 0 µm, but must be at least 1e-06 µm: side of a block"),
        (GOOD, {"repeats": 0}, "repeats is 0, but must be at least 1: shuffles of the blocks"),
        (GOOD, {"repeats": 2.5}, "repeats is 2.5, but must be a whole number"),
        (GOOD, {"voxel_size_um": (1, 1, 1)}, "with 3 sizes, but there are 2 axes"),
        (GOOD * 0 + 3, {}, "first is 3 in every voxel, so that it correlates with nothing"),
        (GOOD[1:], {}, r"first has shape \(15, 16\), but the second \(16, 16\)"),
    ],
)
def test_bad_randomization(first: np.ndarray, changed: dict, message: str) -> None:
    settings_ = {"block_um": 2.0, "voxel_size_um": (1.0, 1.0), "repeats": 5, "rng": 0} | changed
    with pytest.raises(ValueError, match=message):
        quantification.costes_randomization(first, GOOD, **settings_)
