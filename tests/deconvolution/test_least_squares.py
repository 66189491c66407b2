import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.deconvolution import least_squares, naive_inverse
from synthetic import random, widefield_plane


def circulant(psf: torch.Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Write H down on a ring, column by column."""
    columns = []
    for place in np.ndindex(shape):
        column = np.zeros(shape)
        for index, weight in np.ndenumerate(psf.numpy()):
            at = [(i + k - extent // 2) % n for i, k, extent, n in zip(place, index, psf.shape, shape, strict=True)]
            column[tuple(at)] += weight
        columns.append(column.ravel())
    return np.array(columns).T


PSFS = [
    torch.ones(1, 2, dtype=torch.float64) / 2,
    torch.ones(2, 2, dtype=torch.float64) / 4,
    torch.ones(3, 3, dtype=torch.float64) / 9,
    torch.tensor([[0.0, 0.25, 0.0], [0.25, 0.0, 0.25], [0.0, 0.25, 0.0]], dtype=torch.float64),
    torch.tensor([[0.1, 0.2], [0.3, 0.4]], dtype=torch.float64),
]


@pytest.mark.parametrize("psf", PSFS)
@pytest.mark.parametrize("shape", [(6, 6), (5, 6), (6, 8)])
def test_the_pseudo_inverse(psf: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Several of these pass nothing at some frequency, where the object with the least norm is wanted."""
    image = random(shape, seed=0)
    expected = np.linalg.pinv(circulant(psf, shape), rcond=1e-9) @ image.numpy().ravel()
    restored = least_squares(image, psf, smallest_transfer=1e-6, boundary="circular")
    np.testing.assert_allclose(restored.numpy().ravel(), expected, atol=1e-10)


def test_some_of_these_blurs_are_singular() -> None:
    ranks = [np.linalg.matrix_rank(circulant(psf, (6, 6)), tol=1e-9) for psf in PSFS]
    assert [36 - rank for rank in ranks] == [6, 11, 20, 10, 1]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), threshold=st.floats(0, 0.99))
def test_the_inverse_where_enough_passed_and_0_elsewhere(seed: int, threshold: float) -> None:
    psf, image = random((3, 4), seed=seed), random((8, 9), seed=seed + 1)
    psf = psf / psf.sum()
    transfer = np.fft.rfft2(np.roll(np.pad(psf.numpy(), ((0, 5), (0, 5))), (-1, -2), (0, 1)))
    share = np.abs(transfer) / np.abs(transfer).max()
    spectrum = np.fft.rfft2(least_squares(image, psf, smallest_transfer=threshold, boundary="circular").numpy())
    inverse = np.fft.rfft2(naive_inverse(image, psf, boundary="circular").numpy())
    clear = np.abs(share - threshold) > 1e-9
    expected = np.where(share > threshold, inverse, 0)
    np.testing.assert_allclose(spectrum[clear], expected[clear], atol=1e-6, rtol=1e-6)


def test_noise_gains_at_most_the_reciprocal_of_the_threshold() -> None:
    line = torch.exp(-((torch.arange(15) - 7) ** 2) / 8).double()
    psf = torch.outer(line, line) / line.sum() ** 2
    noise = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)).double()
    for threshold in (0.05, 0.2):
        gained = least_squares(noise, psf, smallest_transfer=threshold, boundary="circular")
        assert float(gained.std()) < float(noise.std()) / threshold
    torch.testing.assert_close(gained, least_squares(noise, psf, boundary="circular"), rtol=0, atol=0)  # the default
    pseudo_inverse = least_squares(noise, psf, smallest_transfer=1e-6, boundary="circular")
    assert float(pseudo_inverse.std()) > 1000 * float(noise.std())


@pytest.mark.parametrize("photons", [20, 200, 2000])
@pytest.mark.parametrize("sample", ["filaments", "nuclei", "beads"])
def test_the_default_is_not_far_from_the_best_threshold(sample: str, photons: int) -> None:
    image, psf, truth = widefield_plane(sample, photons=photons)

    def error(threshold: float) -> float:
        return float((least_squares(image, psf, smallest_transfer=threshold, background=2.0) - truth).norm())

    best = min(error(threshold) for threshold in (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4))
    assert float((least_squares(image, psf, background=2.0) - truth).norm()) < 2 * best
    assert error(1e-6) > 1000 * best


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-0.1, "smallest_transfer is -0.1, but must be at least 0"),
        (1.0, "smallest_transfer is 1, but must be below 1"),
        (math.nan, "smallest_transfer is nan, but must be a finite number"),
    ],
)
def test_a_threshold_that_is_none(value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        least_squares(torch.ones(4, 4), torch.ones(1, 1), smallest_transfer=value)
