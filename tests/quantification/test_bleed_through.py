"""Unmixing against the mixture that it was given, and its noise against the prediction."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course_lib import fluorescence, quantification

LEAK = np.array([[1.0, 0.1, 0.0], [0.3, 1.0, 0.2], [0.05, 0.25, 1.0]])
NAMES = ("blue", "green", "red")
DYES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4).flatmap(
    lambda shape: hnp.arrays(np.float64, (3, *shape), elements=st.floats(-10, 1000))
)


def named(stack: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(NAMES, stack, strict=True))


@settings(max_examples=60)
@given(dyes=DYES)
def test_it_undoes_the_mixture_for_images_and_for_columns(dyes: np.ndarray) -> None:
    found = quantification.unmix(named(np.tensordot(LEAK, dyes, axes=1)), bleed_through=LEAK)
    assert tuple(found) == NAMES
    np.testing.assert_allclose(np.stack(list(found.values())), dyes, atol=1e-9)


def test_it_is_least_squares_of_the_chapter_on_light() -> None:
    images = torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = fluorescence.unmix(images, matrix=torch.from_numpy(LEAK))
    found = quantification.unmix(dict(zip(NAMES, images, strict=True)), bleed_through=torch.from_numpy(LEAK))
    np.testing.assert_allclose(np.stack(list(found.values())), expected.numpy(), atol=1e-12)


def test_unmixed_sums_are_sums_of_the_unmixed() -> None:
    seen = named(np.random.default_rng(0).random((3, 8, 8)))
    of_images = quantification.unmix(seen, bleed_through=LEAK)
    of_sums = quantification.unmix({name: np.array(one.sum()) for name, one in seen.items()}, bleed_through=LEAK)
    for name in NAMES:
        assert of_sums[name] == pytest.approx(of_images[name].sum())


def test_photons_unmix_right_in_the_mean_with_the_predicted_variance() -> None:
    dyes = np.array([400.0, 20.0, 0.0])
    mean = LEAK @ dyes
    counts = np.random.default_rng(1).poisson(mean[:, None], (3, 40_000))
    found = quantification.unmix(named(counts), bleed_through=LEAK)
    predicted = quantification.unmixed_variance(named(mean), bleed_through=LEAK)
    for name, dye in zip(NAMES, dyes, strict=True):
        variance = float(predicted[name])
        assert found[name].mean() == pytest.approx(dye, abs=3 * math.sqrt(variance / 40_000))
        assert found[name].var(ddof=1) == pytest.approx(variance, rel=3 * math.sqrt(2.1 / 40_000))
    assert (found["red"] < 0).mean() > 0.4  # nothing is clipped where there is no dye


def test_a_sample_with_one_dye_tells_its_column_without_bias() -> None:
    rng, mask = np.random.default_rng(2), np.ones((16, 16), np.bool_)
    mask[:4] = False
    columns = []
    for _ in range(60):
        structure = np.exp(rng.normal(size=(16, 16)))
        seen = named(rng.poisson(2 * LEAK[:, 1, None, None] * structure))
        found = quantification.measure_bleed_through(seen, dye="green", mask=mask)
        assert found["green"] == 1
        columns.append([found[name] for name in NAMES])
    gap = np.array(columns) - LEAK[:, 1]
    error = gap.std(axis=0, ddof=1) / math.sqrt(60)
    assert (np.abs(gap.mean(axis=0)) <= 3 * error).all()


def test_a_mask_from_the_noisy_dye_itself_takes_half_of_the_bleed_through_away() -> None:
    rng = np.random.default_rng(3)
    seen = {"green": rng.poisson(2.0, (256, 256)), "red": rng.poisson(0.5, (256, 256))}
    whole = quantification.measure_bleed_through(seen, dye="green", mask=np.ones((256, 256), bool))
    chosen = quantification.measure_bleed_through(seen, dye="green", mask=seen["green"] > 2)
    assert whole["red"] == pytest.approx(0.25, abs=3 * math.sqrt(0.25 * 1.25 / 2) / 256)
    assert chosen["red"] == pytest.approx(0.125, abs=0.02)


GOOD = {"green": np.ones((2, 2)), "red": np.ones((2, 2))}
PAIR = np.array([[1.0, 0.1], [0.2, 1.0]])


@pytest.mark.parametrize("tool", [quantification.unmix, quantification.unmixed_variance])
@pytest.mark.parametrize(
    ("channels", "matrix", "error", "message"),
    [
        (GOOD, LEAK, ValueError, r"bleed_through has shape \(3, 3\), but there are 2 channels: give a row for each"),
        (GOOD, 2 * PAIR, ValueError, r"bleed_through has the diagonal \[2.0, 2.0\], but must be finite with 1 there"),
        (GOOD, PAIR * np.nan, ValueError, "but must be finite with 1 there"),
        (GOOD, np.ones((2, 2)), ValueError, "dyes cannot be told apart: choose filters"),
        (GOOD | {"red": np.ones(3)}, PAIR, ValueError, r"red has shape \(3,\), but the channel before \(2, 2\)"),
        (GOOD | {"red": np.full((2, 2), np.nan)}, PAIR, ValueError, "red has 4 values that are NaN or infinite"),
        (GOOD | {"red": np.ones((2, 2)) > 0}, PAIR, TypeError, "red is of bool, but must be a tensor or an array"),
        ({}, PAIR, TypeError, "channels is a dict, but must map names to images"),
        ([np.ones(2)], PAIR, TypeError, "channels is a list, but must map names to images"),
    ],
)
def test_bad_input(tool, channels, matrix, error, message) -> None:
    with pytest.raises(error, match=message):
        tool(channels, bleed_through=matrix)


def test_what_has_no_column_or_variance() -> None:
    mask = np.ones((2, 2), np.bool_)
    with pytest.raises(ValueError, match="dye is 'blue', but must be one of the channels: green, red"):
        quantification.measure_bleed_through(GOOD, dye="blue", mask=mask)
    with pytest.raises(
        ValueError, match=r"mask has shape \(2, 2\) and dtype int64, but must be bool of shape \(2, 2\): .* whole field"
    ):
        quantification.measure_bleed_through(GOOD, dye="red", mask=mask.astype(int))
    with pytest.raises(ValueError, match="'red' has a sum of 0 in the mask, but must have light"):
        quantification.measure_bleed_through(GOOD, dye="red", mask=~mask)
    with pytest.raises(ValueError, match="variances go down to -1, but must be at least 0"):
        quantification.unmixed_variance(GOOD | {"red": -np.ones((2, 2))}, bleed_through=PAIR)
