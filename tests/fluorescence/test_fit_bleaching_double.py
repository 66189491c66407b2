import math

import numpy as np
import pytest
import torch

from course_lib.fluorescence import fit_bleaching_double, survival, survival_double

FRAMES = torch.arange(80, dtype=torch.float64)


def recorded(mean: torch.Tensor, *, seed: int) -> torch.Tensor:
    return torch.poisson(mean, generator=torch.Generator().manual_seed(seed))


def test_two_rates_and_their_errors() -> None:
    frames = torch.arange(300, dtype=torch.float64)
    mean = 5e4 * survival_double(frames, fast_rate=0.08, slow_rate=0.008, fast_share=0.4)
    fits = [fit_bleaching_double(recorded(mean, seed=seed)) for seed in range(60)]
    for name, truth in {"fast_rate": 0.08, "slow_rate": 0.008, "fast_share": 0.4, "amplitude": 5e4}.items():
        pulls = np.array([(getattr(fit, name) - truth) / getattr(fit, f"{name}_error") for fit in fits])
        assert abs(pulls.mean()) < 4 / 60**0.5, name
        assert pulls.std() == pytest.approx(1, abs=4 / 120**0.5), name
    assert np.mean([fit.chi_square for fit in fits]) == pytest.approx(1, abs=0.05)


def test_two_rates_without_noise() -> None:
    fit = fit_bleaching_double(100 * survival_double(FRAMES, fast_rate=0.5, slow_rate=0.02, fast_share=0.7))
    assert (fit.fast_rate, fit.slow_rate, fit.fast_share) == pytest.approx((0.5, 0.02, 0.7), rel=1e-3)


@pytest.mark.parametrize("first_dose", [-30.0, 40.0, 1000.0])
def test_share_and_amplitude_are_those_at_dose_zero(first_dose: float) -> None:
    both = fit_bleaching_double(
        60 * survival(FRAMES, rate=0.3) + 40 * survival(FRAMES, rate=0.02), dose=FRAMES + first_dose
    )
    fast, slow = 60 * math.exp(0.3 * first_dose), 40 * math.exp(0.02 * first_dose)
    assert (both.fast_rate, both.slow_rate) == pytest.approx((0.3, 0.02), rel=1e-4)
    assert both.fast_share == pytest.approx(fast / (fast + slow), rel=1e-3)
    assert both.amplitude == pytest.approx(fast + slow, rel=0.02)


def test_errors_of_share_and_amplitude_include_the_way_back_from_the_first_frame() -> None:
    frames = torch.arange(300, dtype=torch.float64)
    mean = 5e4 * survival_double(frames, fast_rate=0.08, slow_rate=0.008, fast_share=0.4)
    fits = [fit_bleaching_double(recorded(mean, seed=seed), dose=frames + 5) for seed in range(40)]
    fast, slow = 0.4 * math.exp(0.4), 0.6 * math.exp(0.04)
    for name, truth in {"fast_share": fast / (fast + slow), "amplitude": 5e4 * (fast + slow)}.items():
        pulls = np.array([(getattr(fit, name) - truth) / getattr(fit, f"{name}_error") for fit in fits])
        assert abs(pulls.mean()) < 4 / 40**0.5, name
        assert pulls.std() == pytest.approx(1, abs=4 / 80**0.5), name


def test_one_rate_is_not_taken_for_two() -> None:
    for seed in range(5):
        with pytest.raises(
            ValueError, match=r"the trace does not hold two rates that can be told apart: .* Use fit_ble"
        ):
            fit_bleaching_double(recorded(1000 * survival(FRAMES, rate=0.05), seed=seed))


def test_too_few_frames_for_two_rates_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(8,\), .* at least 12 frames"):
        fit_bleaching_double(100 * survival(FRAMES[:8], rate=0.1))
