import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.fluorescence import healthy_fraction, light_dose_j_per_cm2, plan_movie


def shot_noise(photons: torch.Tensor) -> torch.Tensor:
    return photons**0.5


def with_read_noise(photons: torch.Tensor) -> torch.Tensor:
    return photons / (photons + 1.6**2) ** 0.5


@given(photons=st.floats(1, 1e5), rate=st.floats(0.005, 1), minimum=st.floats(0.5, 20))
@settings(max_examples=80, deadline=None)
def test_shot_noise_alone_has_a_closed_form(photons: float, rate: float, minimum: float) -> None:
    # N exp(-k i) ≥ SNR²: the last frame is the whole part of ln(N/SNR²)/k
    plan = plan_movie(photons, bleaching_per_frame=rate, snr=shot_noise, minimum_snr=minimum)
    last = math.log(photons / minimum**2) / rate
    if abs(last - round(last)) > 1e-9:
        assert plan.frames == max(0, math.floor(last) + 1)
    assert plan.spent == pytest.approx(1 - math.exp(-rate * plan.frames))
    assert plan.photons.shape == plan.snr.shape == (plan.frames,)
    assert bool((plan.snr >= minimum).all())
    assert plan.ended_by_snr


@given(photons=st.floats(30, 1e4), rate=st.floats(0.01, 0.3))
@settings(max_examples=30, deadline=None)
def test_more_photons_never_shorten_and_faster_bleaching_never_lengthens(photons: float, rate: float) -> None:
    plan = plan_movie(photons, bleaching_per_frame=rate, snr=with_read_noise, minimum_snr=5.0)
    more = plan_movie(2 * photons, bleaching_per_frame=rate, snr=with_read_noise, minimum_snr=5.0)
    faster = plan_movie(photons, bleaching_per_frame=2 * rate, snr=with_read_noise, minimum_snr=5.0)
    assert more.frames >= plan.frames >= faster.frames


def test_without_bleaching_the_movie_is_as_long_as_was_looked_at() -> None:
    plan = plan_movie(100.0, bleaching_per_frame=0.0, snr=shot_noise, minimum_snr=5.0, longest_frames=500)
    assert plan.frames == 500
    assert not plan.ended_by_snr
    assert plan.spent == 0.0


def test_a_first_frame_that_is_too_dim_makes_no_movie() -> None:
    plan = plan_movie(10.0, bleaching_per_frame=0.05, snr=shot_noise, minimum_snr=5.0)
    assert plan.frames == 0
    assert plan.spent == 0.0


def test_a_gap_ends_the_movie() -> None:
    plan = plan_movie(
        100.0,
        bleaching_per_frame=0.05,
        snr=lambda photons: torch.where(torch.arange(len(photons)) == 3, torch.nan, photons),
        minimum_snr=5.0,
    )
    assert plan.frames == 3


@given(half=st.floats(1, 500), steepness=st.floats(0.5, 8), factor=st.floats(1.01, 50))
@settings(max_examples=50, deadline=None)
def test_the_dose_model_is_a_logistic_of_the_logarithm(half: float, steepness: float, factor: float) -> None:
    below = healthy_fraction(half / factor, half_dose_j_per_cm2=half, steepness=steepness)
    above = healthy_fraction(half * factor, half_dose_j_per_cm2=half, steepness=steepness)
    assert healthy_fraction(half, half_dose_j_per_cm2=half, steepness=steepness) == 0.5
    assert below + above == pytest.approx(1.0)
    assert below == pytest.approx(1 / (1 + math.exp(-steepness * math.log(factor))))
    assert healthy_fraction(0.0, half_dose_j_per_cm2=half, steepness=steepness) == 1.0


def test_a_huge_dose_leaves_nobody() -> None:
    assert healthy_fraction(1e300, half_dose_j_per_cm2=1.0) == 0.0
    assert healthy_fraction(1e300, half_dose_j_per_cm2=1e-300, steepness=8.0) == 0.0
    assert healthy_fraction(1e-300, half_dose_j_per_cm2=1e300, steepness=8.0) == 1.0
    assert isinstance(healthy_fraction(10.0), float)


def test_the_dose_model_has_gradients_and_says_that_it_is_a_model() -> None:
    inputs = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (30.0, 50.0, 3.0)]
    assert torch.autograd.gradcheck(
        lambda dose, half, steep: healthy_fraction(dose, half_dose_j_per_cm2=half, steepness=steep), inputs
    )
    assert "model" in (healthy_fraction.__doc__ or "")


def test_dose_is_irradiance_times_time() -> None:
    assert light_dose_j_per_cm2(5.0, exposure_ms=200.0, frames=30) == pytest.approx(30.0)
    doses = light_dose_j_per_cm2(torch.tensor([1.0, 2.0]), exposure_ms=1000.0)
    assert doses.tolist() == pytest.approx([1.0, 2.0])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: plan_movie(-1.0, bleaching_per_frame=0.1, snr=shot_noise, minimum_snr=5.0),
            r"photons_per_frame is -1, but must be at least 0",
        ),
        (
            lambda: plan_movie(1.0, bleaching_per_frame=-0.1, snr=shot_noise, minimum_snr=5.0),
            r"bleaching_per_frame is -0.1, but must be at least 0",
        ),
        (
            lambda: plan_movie(1.0, bleaching_per_frame=0.1, snr=shot_noise, minimum_snr=math.nan),
            r"minimum_snr is nan",
        ),
        (
            lambda: plan_movie(1.0, bleaching_per_frame=0.1, snr=shot_noise, minimum_snr=5.0, longest_frames=0),
            r"longest_frames is 0, but must be at least 1",
        ),
        (
            lambda: plan_movie(1.0, bleaching_per_frame=0.1, snr=lambda photons: photons.mean(), minimum_snr=5.0),
            r"snr returned \(\), but must return a tensor of shape \(10000,\): one SNR a frame",
        ),
        (
            lambda: plan_movie(1.0, bleaching_per_frame=0.1, snr=lambda photons: 3.0, minimum_snr=5.0),
            r"snr returned float, but must return a tensor",
        ),
        (lambda: healthy_fraction(-1.0), r"dose_j_per_cm2 is -1 J/cm², but must be at least 0"),
        (lambda: healthy_fraction(1.0, half_dose_j_per_cm2=0.0), r"half_dose_j_per_cm2 is 0 J/cm², .* on your cells"),
        (lambda: healthy_fraction(1.0, steepness=0.0), r"steepness is 0, but must be above 0"),
        (lambda: light_dose_j_per_cm2(1.0, exposure_ms=-1.0), r"exposure_ms is -1 ms"),
    ],
)
def test_bad_numbers_are_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
