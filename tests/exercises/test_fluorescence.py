"""What the fluorescence chapter says in words about its exercises and its live figure."""

import math

import numpy
import pytest
import torch

from course_lib import fluorescence, live, noise
from course_lib.exercises import fluorescence as exercises
from course_lib.seeding import generator

FIGURE = next(figure for figure in live.list_figures() if figure.name == "fluorescence_movie")
TASK = {"frames": 200, "moment_percent": 100.0}


def read(**sliders: float) -> dict[str, float]:
    outputs = live.evaluate(FIGURE, {**TASK, **sliders})
    return {name: float(value) for name, value in outputs.items() if value.numel() == 1}


@pytest.mark.parametrize("seed", range(3))
def test_the_library_solves_the_first_two_exercises(seed: int) -> None:
    def fitted(movie: torch.Tensor, background: float) -> float:
        return fluorescence.fit_bleaching(movie.mean(dim=(1, 2)), background=background).rate

    def planned(photons: float, rate: float, background: float, read_noise_e: float) -> int:
        return fluorescence.plan_movie(
            photons,
            bleaching_per_frame=rate,
            snr=lambda n: noise.snr(n, background_photons=background, read_noise_e=read_noise_e),
            minimum_snr=5.0,
        ).frames

    assert exercises.bleaching_rate.check(fitted, rng=seed).status == "passed"
    assert exercises.longest_movie.check(planned, rng=seed).status == "passed"


def test_a_rate_from_two_frames_is_good_enough() -> None:
    def two_frames(movie: torch.Tensor, background: float) -> float:
        first, last = movie[0].mean() - background, movie[-1].mean() - background
        return float((first / last).log()) / (len(movie) - 1)

    assert exercises.bleaching_rate.check(two_frames, rng=0).status == "passed"


def test_without_correction_the_signal_to_noise_ratio_is_the_same() -> None:
    assert exercises.corrected_snr.check(lambda movie: movie.mean((1, 2)) / movie.std((1, 2)), rng=0).status == "passed"
    assert exercises.corrected_snr.check(lambda movie: movie.mean((1, 2)).sqrt(), rng=0).status == "passed"


def test_a_background_taken_for_signal_ends_and_is_explained() -> None:
    def with_background(photons: float, rate: float, background: float, read_noise_e: float) -> int:
        frames = 0
        while True:
            signal = photons * math.exp(-rate * frames) + background
            if signal / math.sqrt(signal + read_noise_e**2) < 5:
                return frames
            frames += 1

    for seed in range(20):
        assert "background is not signal" in exercises.longest_movie.check(with_background, rng=seed).message


def test_no_hidden_background_keeps_a_loop_alive() -> None:
    for seed in range(200):
        _, _, background, read_noise_e = exercises.longest_movie.draw(generator(seed)).arguments
        assert max(math.sqrt(background), background / read_noise_e) < 5


def test_single_pixels_below_the_background_give_no_logarithm() -> None:
    def pixelwise(movie: torch.Tensor, background: float) -> float:
        trace = (movie - background).log().mean(dim=(1, 2))
        return float(trace[0] - trace[-1]) / (len(movie) - 1)

    assert "nan (not a number" in exercises.bleaching_rate.check(pixelwise, rng=0).message


def test_polyfit_as_the_text_advises_passes() -> None:
    def fitted(movie: torch.Tensor, background: float) -> float:
        trace = movie.mean(dim=(1, 2)) - background
        slope, _ = numpy.polyfit(torch.arange(20), trace.log(), 1)
        return -slope

    assert exercises.bleaching_rate.check(fitted, rng=0).status == "passed"


def test_power_and_exposure_count_as_their_product() -> None:
    fast, slow = read(power_mw=10.0, exposure_ms=100.0), read(power_mw=5.0, exposure_ms=200.0)
    assert slow == pytest.approx(fast, rel=1e-3)


def test_the_answers_to_the_tasks_of_the_live_figure() -> None:
    task = read(power_mw=1.0, exposure_ms=60.0)
    assert 5.0 < task["snr"] < 5.2
    assert 100 < task["dose"] < 115
    longer = read(power_mw=1.0, exposure_ms=30.0, frames=400)
    assert longer["dose"] == pytest.approx(task["dose"])
    assert longer["snr"] < 5.0
    assert read(power_mw=10.0)["snr"] == pytest.approx(5.6, abs=0.05)
    assert read(power_mw=14.0)["snr"] == pytest.approx(3.3, abs=0.05)
    assert read(power_mw=30.0)["snr"] < 0.2


def test_the_slider_of_frames_finds_the_numbers_of_the_tasks() -> None:
    slider = next(p for p in FIGURE.sliders.declared() if p.name == "frames")
    low, high = slider.slider
    assert {200, 400} <= {low + slider.step * index for index in range(int((high - low) / slider.step) + 1)}


def test_correction_changes_the_brightness_and_not_the_ratio() -> None:
    outputs = live.evaluate(FIGURE, {**TASK, "power_mw": 10.0})
    left = float(outputs["left_percent"]) / 100
    torch.testing.assert_close(outputs["corrected"] * left, outputs["image"])
    assert float(outputs["measured"]) == pytest.approx(float(outputs["snr"]), rel=0.1)


def test_the_formula_of_the_live_figure_is_that_of_the_budget() -> None:
    budget = fluorescence.photon_budget(
        fluorescence.fluorophore("EGFP"),
        fluorescence.led(center_nm=470, width_nm=25, power_mw=10.0),
        filters=fluorescence.filter_set("GFP"),
        exposure_ms=100.0,
    )
    shown = read(power_mw=10.0, exposure_ms=100.0)
    assert shown["detected"] == pytest.approx(budget.detected, rel=1e-4)
    assert shown["left_percent"] == pytest.approx(100 * math.exp(-budget.bleaching_per_frame * 199), rel=1e-3)
    assert shown["dose"] == pytest.approx(200 * budget.light_dose_j_per_cm2, rel=1e-4)
