import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import restoration

from course_lib.deconvolution import Blur, naive_inverse, tikhonov
from synthetic import lopsided_psf, random


def objective(x: torch.Tensor, image: torch.Tensor, blur: Blur, weight: float) -> float:
    return float((image - blur(x)).square().sum() + weight * x.square().sum())


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), weight=st.floats(1e-4, 10))
def test_nothing_near_it_has_a_smaller_objective(seed: int, weight: float) -> None:
    psf, image = lopsided_psf((4, 3), seed=seed), random((7, 8), seed=seed + 1)
    blur = Blur(psf, (7, 8), boundary="circular")
    best = tikhonov(image, psf, regularization=weight, boundary="circular")
    least = objective(best, image, blur, weight)
    gradient = blur.adjoint(blur(best) - image) + weight * best
    assert float(gradient.abs().max()) < 1e-12
    for step in range(3):
        nearby = best + 0.01 * (random((7, 8), seed=seed + 2 + step) - 0.5)
        assert objective(nearby, image, blur, weight) > least


@pytest.mark.parametrize("shape", [(24, 25), (25, 24), (8, 12, 9)])
@pytest.mark.parametrize("extent", [4, 5])
def test_against_skimage(shape: tuple[int, ...], extent: int) -> None:
    psf, image = lopsided_psf((extent,) * len(shape), seed=0), random(shape, seed=1)
    nothing = np.zeros((3,) * len(shape))
    nothing[(1,) * len(shape)] = 1  # penalizes the object itself, not its Laplacian
    expected = restoration.wiener(image.numpy(), psf.numpy(), balance=0.03, reg=nothing, clip=False)
    restored = tikhonov(image, psf, regularization=0.03, boundary="circular")
    np.testing.assert_allclose(restored.numpy(), expected, atol=1e-12)


def test_a_lopsided_psf_needs_the_conjugate() -> None:
    """The common slip HY/(H² + λ) is right only where H is real."""
    psf = torch.tensor([[0.0, 0.1, 0.0], [0.0, 0.5, 0.3], [0.0, 0.1, 0.0]]).double()
    truth = torch.zeros(16, 16).double()
    truth[5, 7] = 100
    blur = Blur(psf, (16, 16), boundary="circular")
    weak = tikhonov(blur(truth), psf, regularization=1e-3, boundary="circular")
    assert float((weak - truth).abs().max()) < 3

    strong = tikhonov(blur(truth), psf, regularization=0.3, boundary="circular")
    torch.testing.assert_close(strong, strong.roll((-5, -7), (0, 1)).flip(0, 1).roll((6, 8), (0, 1)))  # even about it
    wrong = torch.fft.irfft2(torch.fft.rfft2(blur(truth)) * blur.transfer / (blur.transfer**2 + 0.3), s=(16, 16))
    assert float((strong - truth).square().sum()) < 0.8 * float((wrong - truth).square().sum())


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), weights=st.tuples(st.floats(1e-3, 1), st.floats(1e-3, 1)))
def test_more_penalty_fits_less_and_is_smaller(seed: int, weights: tuple[float, float]) -> None:
    psf, image = lopsided_psf((3, 5), seed=seed), random((9, 9), seed=seed + 1)
    blur = Blur(psf, (9, 9), boundary="circular")
    weak, strong = (tikhonov(image, psf, regularization=w, boundary="circular") for w in sorted(weights))
    assert float(strong.norm()) <= float(weak.norm()) + 1e-12
    assert float((blur(strong) - image).norm()) >= float((blur(weak) - image).norm()) - 1e-12


def test_the_mean_darkens_by_the_weight() -> None:
    psf, image = lopsided_psf((3, 3), seed=0), random((8, 8), seed=1)
    for weight in (0.01, 0.5):
        restored = tikhonov(image, psf, regularization=weight, boundary="circular")
        assert float(restored.mean() * (1 + weight)) == pytest.approx(float(image.mean()), rel=1e-12)


def test_without_weight_it_is_the_naive_inverse() -> None:
    psf, image = lopsided_psf((3, 3), seed=0), random((8, 8), seed=1)
    torch.testing.assert_close(tikhonov(image, psf, regularization=0), naive_inverse(image, psf), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1e-3, "regularization is -0.001, but must be at least 0"),
        (math.inf, "regularization is inf, but must be a finite number"),
    ],
)
def test_a_weight_that_is_none(value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tikhonov(torch.ones(4, 4), torch.ones(1, 1), regularization=value)
