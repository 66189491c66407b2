"""Uneven light that is known is removed, and nothing else."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course_lib import quantification

LIGHT = hnp.arrays(np.float64, (4, 5), elements=st.floats(0.2, 3))


@settings(max_examples=60)
@given(light=LIGHT, truth=hnp.arrays(np.float64, (2, 4, 5), elements=st.floats(0, 100)), offset=st.floats(0, 200))
def test_the_light_is_divided_out_of_every_plane(light: np.ndarray, truth: np.ndarray, offset: float) -> None:
    found = quantification.flat_field(truth * light + offset, flat=1000 * light + offset, dark=offset)
    np.testing.assert_allclose(found, truth * light.mean(), rtol=1e-6, atol=1e-4)


@settings(max_examples=40)
@given(light=LIGHT)
def test_the_flat_itself_becomes_its_mean_with_a_dark_in_each_pixel(light: np.ndarray) -> None:
    dark = np.arange(20.0).reshape(4, 5)
    found = quantification.flat_field(light + dark, flat=light + dark, dark=dark)
    np.testing.assert_allclose(found, light.mean(), rtol=1e-6)


def test_shot_noise_is_scaled_with_the_signal() -> None:
    rng = np.random.default_rng(0)
    light = np.where(np.arange(2)[None, :] == 0, 0.5, 1.5) * np.ones((1, 2))
    photons = rng.poisson(100 * light, (20_000, 1, 2)).astype(float)
    found = quantification.flat_field(photons, flat=light)
    variance = found.var(axis=0, ddof=1).ravel()
    error = 3 * math.sqrt(2 / 20_000)
    assert variance == pytest.approx([100 / 0.5, 100 / 1.5], rel=error)
    assert found.mean(axis=(0, 1)) == pytest.approx([100, 100], abs=3 * math.sqrt(200 / 20_000))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64])
def test_types_of_numbers_and_tensors(kind: type) -> None:
    image = np.array([[10, 20], [30, 40]], kind)
    flat, dark = np.array([[2, 4], [6, 8]], np.uint16), np.array([[1, 1], [1, 1]], np.uint8)
    found = quantification.flat_field(image, flat=flat, dark=dark)
    expected = (image.astype(float) - 1) * 4 / (flat - 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == (np.float64 if kind is np.float64 else np.float32)
    tensor = quantification.flat_field(
        torch.from_numpy(image.astype(np.float32)), flat=torch.from_numpy(flat.astype(int)), dark=1
    )
    torch.testing.assert_close(tensor, torch.from_numpy(expected).float())


GOOD = np.ones((3, 4))


@pytest.mark.parametrize(
    ("image", "flat", "dark", "error", "message"),
    [
        (GOOD, GOOD[:2], 0, ValueError, r"flat has shape \(2, 4\), but a plane of the image \(3, 4\): crop both alike"),
        (GOOD, GOOD, GOOD[:1], ValueError, r"dark has shape \(1, 4\), but a plane of the image \(3, 4\)"),
        (GOOD, GOOD, 1, ValueError, "12 pixels of flat are not above dark: give the dark of the same exposure"),
        (GOOD, GOOD * np.nan, 0, ValueError, "flat has 12 values that are NaN or infinite"),
        (GOOD * np.inf, GOOD, 0, ValueError, "image has 12 values that are NaN or infinite"),
        (GOOD, GOOD, float("nan"), ValueError, "dark has 12 values that are NaN or infinite"),
        (GOOD[0], GOOD, 0, ValueError, r"image has shape \(4,\), but must be \(..., y, x\) and not empty"),
        (GOOD[:0], GOOD[:0], 0, ValueError, r"image has shape \(0, 4\)"),
        (GOOD > 0, GOOD, 0, TypeError, "image is of bool, but must be a tensor or an array of numbers"),
        ([[1.0]], GOOD, 0, TypeError, "image is of list, but must be a tensor or an array of numbers"),
    ],
)
def test_bad_input(image, flat, dark, error, message) -> None:
    with pytest.raises(error, match=message):
        quantification.flat_field(image, flat=flat, dark=dark)
