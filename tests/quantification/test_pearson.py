"""Correlation against NumPy and scikit-image, and the noise that is taken out of it against known truth."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import pearson_corr_coeff

from course_lib import quantification
from course_lib.quantification._jackknife import jackknife_error, means_and_covariances

VALUES = st.floats(-100, 100, width=32)
PAIRS = hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=6).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float64, shape, elements=VALUES), hnp.arrays(np.float64, shape, elements=VALUES)
    )
)


def smooth_pair(rng: np.random.Generator, *, alike: float, side: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Two channels of independent values with mean 1, spread 0.5, and a true correlation of `alike` over all fields."""
    own = rng.normal(size=(3, side, side))
    first = math.sqrt(alike) * own[0] + math.sqrt(1 - alike) * own[1]
    second = math.sqrt(alike) * own[0] + math.sqrt(1 - alike) * own[2]
    return np.exp(0.4 * first), np.exp(0.4 * second)


@settings(max_examples=60)
@given(pair=PAIRS, gain=st.floats(0.1, 10), offset=st.floats(-50, 50))
def test_it_is_that_of_numpy_and_does_not_change_with_gain_and_offset(
    pair: tuple[np.ndarray, np.ndarray], gain: float, offset: float
) -> None:
    first, second = pair
    assume(min(np.ptp(first), np.ptp(second)) > 1)
    r = quantification.pearson(first, second)
    assert r == pytest.approx(np.corrcoef(first.ravel(), second.ravel())[0, 1], abs=1e-9)
    assert quantification.pearson(second, first) == pytest.approx(r, abs=1e-12)
    assert quantification.pearson(gain * first + offset, second) == pytest.approx(r, abs=1e-6)
    assert quantification.pearson(-first, second) == pytest.approx(-r, abs=1e-12)


def test_it_is_that_of_scikit_image_inside_a_mask() -> None:
    rng = np.random.default_rng(0)
    first, second = smooth_pair(rng, alike=0.4, side=40)
    mask = rng.random((40, 40)) > 0.6
    expected = pearson_corr_coeff(first, second, mask=mask)[0]
    assert quantification.pearson(first, second, mask=mask) == pytest.approx(expected, abs=1e-12)
    tensors = [torch.from_numpy(array) for array in (first, second, mask)]
    assert quantification.pearson(tensors[0], tensors[1], mask=tensors[2]) == pytest.approx(expected, abs=1e-12)


def test_a_large_offset_costs_no_digits() -> None:
    first, second = smooth_pair(np.random.default_rng(1), alike=0.5, side=30)
    expected = quantification.pearson(first, second)
    assert quantification.pearson(first + 1e6, second - 1e6) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float16, np.float64])
def test_every_type_of_numbers(dtype: type) -> None:
    first, second = np.array([[0, 1, 2], [3, 4, 9]], dtype), np.array([[1, 1, 0], [5, 4, 7]], dtype)
    expected = np.corrcoef(first.ravel().astype(float), second.ravel().astype(float))[0, 1]
    assert quantification.pearson(first, second) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("photons", [2.0, 5.0, 20.0])
@pytest.mark.parametrize("read_noise", [0.0, 1.5])
def test_noise_attenuates_by_the_reliabilities_and_the_correction_brings_it_back(
    photons: float, read_noise: float
) -> None:
    rng = np.random.default_rng(2)
    corrected, errors, observed, expected = [], [], [], []
    for _ in range(40):
        signals = [photons * one for one in smooth_pair(rng, alike=0.6, side=64)]
        noisy = [rng.poisson(one) + rng.normal(0, read_noise, one.shape) for one in signals]
        found = quantification.pearson_corrected_for_noise(noisy[0], noisy[1], read_noise_photons=read_noise)
        true = quantification.pearson(*signals)
        reliability = [one.var() / (one.var() + one.mean() + read_noise**2) for one in signals]
        corrected.append(found.corrected - true)
        errors.append(found.corrected_error)
        observed.append(found.observed)
        expected.append(true * math.sqrt(reliability[0] * reliability[1]))
        assert found.observed == pytest.approx(quantification.pearson(*noisy), abs=1e-12)
        assert found.reliabilities == pytest.approx(reliability, abs=0.1)
    of_mean = np.std(corrected, ddof=1) / math.sqrt(len(corrected))
    assert abs(np.mean(corrected)) < 3 * of_mean + np.mean(errors) ** 2  # a ratio has a bias of second order
    gap = np.subtract(observed, expected)
    assert abs(gap.mean()) < 3 * gap.std(ddof=1) / math.sqrt(len(gap))
    assert np.mean(observed) < 0.9 * np.mean(np.array(expected) / math.sqrt(reliability[0] * reliability[1]))
    assert np.mean(np.square(corrected)) < 1.5 * np.mean(np.square(errors))


def test_the_standard_error_is_the_spread_between_fields() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(150):
        signals = smooth_pair(rng, alike=0.5, side=48)
        found.append(quantification.pearson_corrected_for_noise(*(rng.poisson(8 * one) for one in signals)))
    spread = np.std([one.corrected for one in found], ddof=1)
    claimed = math.sqrt(np.mean([one.corrected_error**2 for one in found]))
    assert claimed == pytest.approx(
        spread, rel=0.2
    )  # 150 fields tell a spread to 6 %, and a jackknife of 64 blocks to 9


def test_a_multiplying_detector_needs_its_excess_noise() -> None:
    rng = np.random.default_rng(9)
    gaps: dict[float, list[float]] = {1.0: [], 2.0: []}
    for _ in range(40):
        signals = [6 * one for one in smooth_pair(rng, alike=0.6, side=64)]
        multiplied = [rng.gamma(np.maximum(rng.poisson(one), 1e-9)) for one in signals]  # an EM register, in photons
        for excess, found in gaps.items():
            corrected = quantification.pearson_corrected_for_noise(*multiplied, excess_noise_factor=excess).corrected
            found.append(corrected - quantification.pearson(*signals))
    errors = {excess: np.std(found, ddof=1) / math.sqrt(40) for excess, found in gaps.items()}
    assert abs(np.mean(gaps[2.0])) < 3 * errors[2.0]
    assert np.mean(gaps[1.0]) < -5 * errors[1.0]


@pytest.mark.parametrize("shared", [0.0, 2.0])
def test_repeats_need_no_camera_and_bear_noise_that_channels_share(shared: float) -> None:
    rng = np.random.default_rng(4)
    differences = []
    for _ in range(40):
        first, second = (6 * one for one in smooth_pair(rng, alike=0.6, side=64))
        common = shared * rng.normal(size=(2, 64, 64))
        frames = [
            np.stack([3.7 * (rng.poisson(channel) + common[time]) + 100 for time in range(2)])
            for channel in (first, second)
        ]
        found = quantification.pearson_from_repeats(frames[0], frames[1])
        differences.append(found.corrected - quantification.pearson(first, second))
        single = [quantification.pearson(frames[0][time], frames[1][time]) for time in range(2)]
        assert found.observed == pytest.approx(np.mean(single), abs=1e-12)
    assert abs(np.mean(differences)) < 3 * np.std(differences, ddof=1) / math.sqrt(40)


def test_without_noise_there_is_nothing_to_correct() -> None:
    first, second = smooth_pair(np.random.default_rng(5), alike=0.3, side=32)
    found = quantification.pearson_from_repeats(np.stack([first, first]), np.stack([second, second]))
    assert found.corrected == pytest.approx(found.observed, abs=1e-12)
    assert found.reliabilities == pytest.approx((1, 1), abs=1e-12)
    stack = quantification.pearson_corrected_for_noise(*(np.stack([1e8 * one] * 3) for one in (first, second)))
    assert stack.corrected == pytest.approx(stack.observed, abs=1e-6)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(6).normal(size=50)
    means, _ = means_and_covariances([values], np.arange(50))
    assert means[0, 0] == pytest.approx(values.mean())
    assert jackknife_error(means[1:, 0]) == pytest.approx(values.std(ddof=1) / math.sqrt(50))
    assert math.isnan(jackknife_error(np.array([1.0])))


def test_covariances_without_each_block_are_those_of_the_other_pixels() -> None:
    rng = np.random.default_rng(7)
    channels, block = list(rng.normal(size=(3, 60)) + 5), rng.integers(0, 4, 60)
    means, covariances = means_and_covariances(channels, block)
    for number in range(4):
        rest = np.stack(channels)[:, block != number]
        np.testing.assert_allclose(means[1 + number], rest.mean(axis=1))
        np.testing.assert_allclose(covariances[1 + number], np.cov(rest), atol=1e-12)


GOOD = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize("measure", [quantification.pearson, quantification.pearson_corrected_for_noise])
@pytest.mark.parametrize(
    ("first", "second", "mask", "error", "message"),
    [
        (GOOD, GOOD[:, :3], None, ValueError, r"first has shape \(3, 4\), but the second \(3, 3\)"),
        (
            GOOD,
            np.full((3, 4), 2.0),
            None,
            ValueError,
            "second is 2 in all 12 pixels that count, so that it correlates",
        ),
        (np.where(GOOD == 3, np.nan, GOOD), GOOD, None, ValueError, "first has 1 values that are NaN or infinite"),
        (GOOD, np.where(GOOD == 3, np.inf, GOOD), None, ValueError, "second has 1 values that are NaN or infinite"),
        (GOOD, GOOD, GOOD > 9, ValueError, "2 pixels are chosen, but a correlation needs at least 3: enlarge"),
        (GOOD, GOOD, GOOD, TypeError, "mask has dtype float64, but must be bool"),
        (GOOD, GOOD, GOOD[:2] > 1, ValueError, r"mask has shape \(2, 4\), but the image \(3, 4\)"),
        (GOOD[0], GOOD[0], None, ValueError, r"first has shape \(4,\), but must be \(y, x\) or \(z, y, x\)"),
        (GOOD[:, :0], GOOD[:, :0], None, ValueError, "without any element"),
        (GOOD[:1, :1], GOOD[:1, :1], None, ValueError, "1 pixels are chosen"),
        ([[1]], GOOD, None, TypeError, "first is a list, but must be a tensor or a NumPy array"),
    ],
)
def test_bad_channels(measure, first, second, mask, error, message) -> None:
    with pytest.raises(error, match=message):
        measure(first, second, mask=mask)


def test_what_the_correction_refuses() -> None:
    rng = np.random.default_rng(8)
    noise = rng.poisson(5.0, (2, 128, 128)).astype(float)
    faint = 0.9 * noise  # as if a background of light had been taken off: less variance than photons have
    with pytest.raises(ValueError, match=r"0\.0% of the variance of first is signal, but .* more than 1%: record more"):
        quantification.pearson_corrected_for_noise(faint[0], faint[1])
    with pytest.raises(ValueError, match=r"the mean of first is -1.*, but photons are at least 0: subtract no more"):
        quantification.pearson_corrected_for_noise(noise[0] - 15, noise[1])
    with pytest.raises(ValueError, match="read_noise_photons is -1 photons, but must be at least 0 photons"):
        quantification.pearson_corrected_for_noise(noise[0], noise[1], read_noise_photons=-1)
    with pytest.raises(ValueError, match=r"excess_noise_factor is 0\.5, but must be from 1 to 4: F², variance of"):
        quantification.pearson_corrected_for_noise(noise[0], noise[1], excess_noise_factor=0.5)
    with pytest.raises(ValueError, match=r"second has shape \(3, 4\), but must be two frames of one channel"):
        quantification.pearson_from_repeats(np.stack([GOOD, GOOD]), GOOD)
    with pytest.raises(ValueError, match=r"first has shape \(3, 3, 4\), but must be two frames"):
        quantification.pearson_from_repeats(np.stack([GOOD] * 3), np.stack([GOOD] * 2))
    frames = rng.normal(size=(4, 128, 128))
    frames[1] -= frames[0]
    with pytest.raises(ValueError, match="of the variance of first is signal"):
        quantification.pearson_from_repeats(frames[:2], frames[2:])
