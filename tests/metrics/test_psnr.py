import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from course_lib.metrics import psnr, si_psnr


def images(seed: int = 0, noise: float = 0.03) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    rows = torch.linspace(0, 6, 64, dtype=torch.float64)
    truth = 0.1 * (1 + torch.sin(rows)[:, None] * torch.cos(2 * rows))
    truth[0, 0] = 1.0  # one bright pixel gives the image its range
    return truth + noise * torch.randn(truth.shape, generator=rng, dtype=torch.float64), truth


@given(seed=st.integers(0, 1000), data_range=st.floats(0.1, 1e5))
@settings(deadline=None)
def test_psnr_equals_scikit_image(seed, data_range):
    estimate, truth = images(seed)
    expected = peak_signal_noise_ratio(truth.numpy(), estimate.numpy(), data_range=data_range)
    assert float(psnr(estimate, truth, data_range=data_range)) == pytest.approx(expected, abs=1e-9)


def test_ten_times_the_range_is_twenty_decibel_more():
    estimate, truth = images()
    difference = psnr(estimate, truth, data_range=10.0) - psnr(estimate, truth, data_range=1.0)
    assert float(difference) == pytest.approx(20, abs=1e-9)


def test_psnr_of_a_perfect_estimate_is_infinite():
    _, truth = images()
    assert psnr(truth, truth, data_range=1.0) == math.inf


def test_a_noise_free_image_at_half_brightness_scores_below_a_noisy_one_until_it_is_scaled():
    noisy, truth = images()
    assert psnr(truth / 2, truth, data_range=1.0) < psnr(noisy, truth, data_range=1.0) - 5
    assert si_psnr(truth / 2, truth) > si_psnr(noisy, truth) + 100


def test_si_psnr_equals_the_psnr_of_a_straight_line_fit():
    estimate, truth = images()
    columns = torch.stack([estimate.flatten(), torch.ones(estimate.numel(), dtype=torch.float64)], dim=1)
    fitted = columns @ torch.linalg.lstsq(columns, truth.flatten()[:, None]).solution
    expected = psnr(fitted.reshape(64, 64), truth, data_range=float(truth.max() - truth.min()))
    torch.testing.assert_close(si_psnr(estimate, truth), expected, rtol=1e-10, atol=0)


@given(
    scale=st.floats(0.01, 100) | st.floats(-100, -0.01),
    offset=st.floats(-100, 100),
    unit=st.floats(0.01, 100),
)
def test_si_psnr_is_blind_to_scale_and_offset(scale, offset, unit):
    estimate, truth = images()
    changed = si_psnr(scale * estimate + offset, unit * truth - offset)
    torch.testing.assert_close(changed, si_psnr(estimate, truth), rtol=1e-6, atol=0)


@given(seed=st.integers(0, 1000), data=st.data())
def test_si_psnr_is_never_below_psnr_with_the_range_of_the_truth(seed, data):
    estimate, truth = images(seed, noise=data.draw(st.floats(0.001, 10)))
    assert si_psnr(estimate, truth) >= psnr(estimate, truth, data_range=float(truth.max() - truth.min())) - 1e-9


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_estimate_scores_like_the_mean_of_the_truth(value):
    _, truth = images()
    data_range = float(truth.max() - truth.min())
    expected = psnr(torch.full_like(truth, float(truth.mean())), truth, data_range=data_range)
    torch.testing.assert_close(si_psnr(torch.full_like(truth, value), truth), expected, rtol=1e-12, atol=0)


def test_a_constant_truth_has_no_range():
    truth = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0))
    truth[2] = 0.1
    with pytest.raises(ValueError, match=r"truth is constant in 1 of 3 images.*known data_range"):
        si_psnr(truth, truth)
