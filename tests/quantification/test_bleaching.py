"""Bleaching that is known is divided out, and the photons do not come back."""

import numpy as np
import pytest
import torch

from course_lib import quantification


def bleaching_movie(*, rate: float, background: float = 20.0, seed: int = 0, frames: int = 40) -> np.ndarray:
    cell = np.zeros((32, 32))
    cell[8:20, 8:20] = 200.0
    survivors = np.exp(-rate * np.arange(frames))[:, None, None]
    return np.random.default_rng(seed).poisson(cell * survivors + background).astype(float)


@pytest.mark.parametrize("rate", [0.02, 0.1])
def test_the_object_keeps_its_brightness_and_the_background_its_level(rate: float) -> None:
    found = quantification.correct_bleaching(bleaching_movie(rate=rate))
    assert found.fit.rate == pytest.approx(rate, abs=4 * found.fit.rate_error)
    assert found.survival[0] == 1
    np.testing.assert_allclose(found.survival, np.exp(-found.fit.rate * np.arange(40)))
    assert found.background == pytest.approx(20, abs=0.1)
    inside, outside = found.movie[:, 9:19, 9:19].mean(axis=(1, 2)), found.movie[:, 22:, 22:].mean(axis=(1, 2))
    noise = np.sqrt((200 * found.survival + 20) / 100) / found.survival
    assert (np.abs(inside - 220) < 5 * noise).all()
    assert (np.abs(outside - 20) < 5 * np.sqrt(20 / 100) / found.survival).all()


def test_the_signal_to_noise_ratio_stays_as_low_as_it_was() -> None:
    raw = np.stack([bleaching_movie(rate=0.05, seed=seed) for seed in range(60)])
    corrected = np.stack([quantification.correct_bleaching(movie).movie for movie in raw])

    def snr(movies: np.ndarray) -> float:
        pixels = movies[:, -1, 10:18, 10:18] - 20
        return float(pixels.mean() / pixels.std())

    assert snr(corrected) == pytest.approx(snr(raw), rel=0.05)
    first = raw[:, 0, 10:18, 10:18] - 20
    assert first.mean() / first.std() > 2 * snr(corrected)


def test_arrays_and_tensors_of_any_kind() -> None:
    movie = bleaching_movie(rate=0.05)
    expected = quantification.correct_bleaching(movie).movie
    assert expected.dtype == np.float64
    whole = quantification.correct_bleaching(movie.astype(np.uint16)).movie
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-3)
    tensor = quantification.correct_bleaching(torch.from_numpy(movie).float()).movie
    assert isinstance(tensor, torch.Tensor)
    torch.testing.assert_close(tensor, torch.from_numpy(expected).float(), atol=1e-2, rtol=1e-4)
    assert np.array_equal(movie, bleaching_movie(rate=0.05))  # what was given stays


@pytest.mark.parametrize(
    ("movie", "error", "message"),
    [
        (bleaching_movie(rate=0.0), ValueError, "the trace does not bleach"),
        (bleaching_movie(rate=0.05)[:3], ValueError, "frames"),
        (bleaching_movie(rate=0.05)[0], ValueError, r"movie has shape \(32, 32\), but must be \(T, Y, X\)"),
        (np.ones((8, 16, 16)), ValueError, "movie has no object"),
        (np.full((8, 16, 16), np.nan), ValueError, "movie has 2048 values that are NaN or infinite"),
        (np.ones((8, 16, 16)) > 0, TypeError, "movie is of bool, but must be a tensor or an array of numbers"),
    ],
)
def test_bad_movies(movie, error, message) -> None:
    with pytest.raises(error, match=message):
        quantification.correct_bleaching(movie)
