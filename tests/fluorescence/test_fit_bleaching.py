import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from course_lib.fluorescence import fit_bleaching, survival

FRAMES = torch.arange(80, dtype=torch.float64)


def recorded(
    mean: torch.Tensor, *, seed: int, pixels: int = 1, gain_e_per_adu: float = 1.0, offset: float = 0.0
) -> torch.Tensor:
    """Mean of an object's pixels in ADU: shot noise, gain, offset."""
    photons = torch.poisson(mean * pixels, generator=torch.Generator().manual_seed(seed)) / pixels
    return photons / gain_e_per_adu + offset


def test_rate_and_error_are_right_on_many_recordings() -> None:
    # 9 pixels, gain and offset of a camera, background: pulls must have mean 0 and standard deviation 1
    mean = 200 * survival(FRAMES, rate=0.05) + 30
    fits = [
        fit_bleaching(
            recorded(mean, seed=seed, pixels=9, gain_e_per_adu=0.46, offset=100.0),
            offset=100.0,
            background=30 / 0.46,
        )
        for seed in range(200)
    ]
    pulls = np.array([(fit.rate - 0.05) / fit.rate_error for fit in fits])
    assert abs(pulls.mean()) < 4 / 200**0.5
    assert pulls.std() == pytest.approx(1, abs=4 / (2 * 200) ** 0.5)
    amplitude_pulls = np.array([(fit.amplitude - 200 / 0.46) / fit.amplitude_error for fit in fits])
    assert abs(amplitude_pulls.mean()) < 4 / 200**0.5
    assert amplitude_pulls.std() == pytest.approx(1, abs=4 / (2 * 200) ** 0.5)
    # the variance of a frame per intensity is 1/(gain · pixels)
    assert np.mean([fit.chi_square for fit in fits]) == pytest.approx(1 / (0.46 * 9), rel=0.05)


def test_the_weights_gain_precision_over_an_unweighted_fit() -> None:
    mean = 1000 * survival(FRAMES, rate=0.08) + 1
    weighted, plain = [], []
    for seed in range(150):
        trace = recorded(mean, seed=seed)
        weighted.append(fit_bleaching(trace, background=1.0).rate)
        found, _ = curve_fit(lambda x, a, k: a * np.exp(-k * x) + 1, FRAMES.numpy(), trace.numpy(), p0=[1000, 0.08])
        plain.append(found[1])
    assert np.std(weighted) < 0.9 * np.std(plain)


def test_agrees_with_scipy_given_the_same_weights() -> None:
    trace = recorded(500 * survival(FRAMES, rate=0.03) + 20, seed=3)
    fit = fit_bleaching(trace, background=20.0)
    sigma = np.sqrt(fit.amplitude * np.exp(-fit.rate * FRAMES.numpy()) + 20)
    found, covariance = curve_fit(
        lambda x, a, k: a * np.exp(-k * x) + 20, FRAMES.numpy(), trace.numpy(), p0=[400, 0.02], sigma=sigma
    )
    assert [fit.amplitude, fit.rate] == pytest.approx(found, rel=1e-4)
    assert [fit.amplitude_error, fit.rate_error] == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-3)


@given(rate=st.floats(0.01, 0.5), amplitude=st.floats(1, 1e5), offset=st.floats(-100, 1000))
@settings(max_examples=40, deadline=None)
def test_a_trace_without_noise_is_found_exactly(rate: float, amplitude: float, offset: float) -> None:
    fit = fit_bleaching(amplitude * survival(FRAMES, rate=rate) + offset, offset=offset)
    assert fit.rate == pytest.approx(rate, rel=1e-4)
    assert fit.amplitude == pytest.approx(amplitude, rel=1e-4)


def test_the_rate_is_per_unit_of_the_dose() -> None:
    trace = recorded(300 * survival(FRAMES, rate=0.05), seed=0)
    per_frame = fit_bleaching(trace)
    per_dose = fit_bleaching(trace, dose=2.5 * FRAMES)
    assert per_dose.rate * 2.5 == pytest.approx(per_frame.rate, rel=1e-5)
    assert per_dose.rate_error * 2.5 == pytest.approx(per_frame.rate_error, rel=1e-3)


def test_a_fit_without_any_spread_in_its_curve_ends_in_a_clear_error() -> None:
    draw = torch.Generator().manual_seed(6)
    noise_only = torch.randn(5, generator=draw, dtype=torch.float64) * 0.5 + 0.5
    for trace in (noise_only, torch.tensor([100.0, 0.0, 0.0, 0.0, 0.0, 0.0])):
        with pytest.raises(ValueError, match=r"does not bleach over several frames: .* flat, or dark after the first"):
            fit_bleaching(trace)


@pytest.mark.parametrize("first_dose", [-30.0, 40.0, 1000.0])
def test_the_dose_may_start_anywhere(first_dose: float) -> None:
    trace = 100 * survival(FRAMES, rate=0.05)
    fit = fit_bleaching(trace, dose=FRAMES + first_dose)
    assert fit.rate == pytest.approx(0.05, rel=1e-6)
    assert fit.amplitude == pytest.approx(100 * math.exp(0.05 * first_dose), rel=1e-6)


def test_errors_at_dose_zero_include_the_way_back_from_the_first_frame() -> None:
    first = 20.0
    mean = 300 * survival(FRAMES, rate=0.05)
    fits = [fit_bleaching(recorded(mean, seed=seed), dose=FRAMES + first) for seed in range(150)]
    pulls = np.array([(fit.amplitude - 300 * math.exp(0.05 * first)) / fit.amplitude_error for fit in fits])
    assert abs(pulls.mean()) < 4 / 150**0.5
    assert pulls.std() == pytest.approx(1, abs=4 / 300**0.5)


def test_errors_include_that_of_the_background_if_it_is_given() -> None:
    mean = 1000 * survival(FRAMES, rate=0.05) + 50
    background_error = 2.0
    found = 50 + background_error * torch.randn(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pulls = {0.0: [], background_error: []}
    for seed, background in enumerate(found.tolist()):
        trace = recorded(mean, seed=seed, pixels=100)
        for given_error, column in pulls.items():
            fit = fit_bleaching(trace, background=background, background_error=given_error)
            column.append((fit.rate - 0.05) / fit.rate_error)
    assert np.std(pulls[0.0]) > 2
    assert np.std(pulls[background_error]) == pytest.approx(1, abs=4 / (2 * 200) ** 0.5)
    assert abs(np.mean(pulls[background_error])) < 4 / 200**0.5


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_the_intensity_does_not_matter(unit: float) -> None:
    trace = recorded(300 * survival(FRAMES, rate=0.05) + 20, seed=0)
    fit = fit_bleaching(trace, background=20.0)
    scaled = fit_bleaching(trace * unit, background=20.0 * unit)
    assert (scaled.rate, scaled.rate_error) == pytest.approx((fit.rate, fit.rate_error), rel=1e-4)
    assert scaled.amplitude_error / unit == pytest.approx(fit.amplitude_error, rel=1e-4)
    assert scaled.chi_square / unit == pytest.approx(fit.chi_square, rel=1e-4)


def test_a_wrong_offset_biases_the_rate() -> None:
    trace = recorded(300 * survival(FRAMES, rate=0.05), seed=0, offset=100.0)
    assert fit_bleaching(trace, offset=100.0).rate == pytest.approx(0.05, rel=0.02)
    assert fit_bleaching(trace, offset=80.0).rate < 0.045


def test_brightness_correction_does_not_restore_the_snr() -> None:
    mean = 400 * survival(FRAMES, rate=0.05)
    movie = torch.poisson(mean[:, None].expand(-1, 4000), generator=torch.Generator().manual_seed(0))
    corrected = movie / survival(FRAMES, rate=fit_bleaching(movie.mean(dim=1)).rate)[:, None]
    assert float(corrected[60].mean()) == pytest.approx(float(corrected[0].mean()), rel=0.02)
    snr = corrected.mean(dim=1) / corrected.std(dim=1)
    assert float(snr[60] / snr[0]) == pytest.approx(math.exp(-0.05 * 60 / 2), rel=0.05)


@given(seed=st.integers(0, 10_000), mean=st.floats(0.5, 1e4), frames=st.integers(5, 60))
@settings(max_examples=40, deadline=None)
def test_any_noise_gives_a_rate_or_one_clear_error(seed: int, mean: float, frames: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    trace = torch.randn(frames, generator=draw, dtype=torch.float64) * mean + mean
    complaint = ""
    try:
        fit = fit_bleaching(trace)
    except ValueError as error:
        complaint = str(error)
    if complaint:
        assert complaint.startswith(("the trace does not bleach", "the trace lies", "the fit does not settle"))
    else:
        assert fit.rate > 3 * fit.rate_error >= 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: fit_bleaching(torch.full((50,), 10.0)), r"the trace does not bleach: its rate is"),
        (lambda: fit_bleaching(torch.linspace(10, 20, 50)), r"the trace does not bleach: its rate is -"),
        (lambda: fit_bleaching(torch.tensor([4.0, 3.0, 2.0])), r"trace has shape \(3,\), .* at least 5 frames"),
        (lambda: fit_bleaching(torch.ones(5, 5)), r"trace has shape \(5, 5\), but must be \(frames,\)"),
        (lambda: fit_bleaching(torch.tensor([5.0, 4, 3, float("nan"), 1])), r"NaN or infinite: leave those frames"),
        (
            lambda: fit_bleaching(torch.ones(9), offset=100.0),
            r"the trace lies 99 below offset \+ background on average",
        ),
        (lambda: fit_bleaching(torch.ones(9), offset=math.nan), r"offset is nan, but must be finite"),
        (lambda: fit_bleaching(torch.ones(9), background=-1.0), r"background is -1, but must be at least 0"),
        (lambda: fit_bleaching(torch.ones(9), background_error=-1.0), r"background_error is -1, but must be at least"),
        (
            lambda: fit_bleaching(100 * survival(FRAMES, rate=0.05), dose=FRAMES + 1e5),
            r"dose starts at 100000, but at a rate of 0.05 no number is large enough .*: give dose - dose\[0\]",
        ),
        (lambda: fit_bleaching(torch.ones(9), dose=torch.ones(9)), r"dose has shape \(9,\), .* growing"),
        (lambda: fit_bleaching(torch.ones(9), dose=torch.arange(8.0)), r"dose has shape \(8,\), but must be \(9,\)"),
    ],
)
def test_bad_input_is_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: fit_bleaching(np.ones(9)), r"trace is a ndarray, but must be a tensor"),
        (lambda: fit_bleaching(torch.ones(9), dose=list(range(9))), r"dose is a list, but must be a tensor"),
        (lambda: fit_bleaching(torch.ones(9), offset=torch.tensor(1.0)), r"offset is a Tensor, but must be a number"),
        (lambda: fit_bleaching(torch.ones(9), background="5"), r"background is a str, but must be a number"),
    ],
)
def test_what_is_no_number_is_refused(build, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        build()
