"""The live figure of two channels against the library, and what its caption promises."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from course_lib import live
from course_lib.live.figures.quantification_colocalization import (
    APART_PX,
    FIGURE,
    RADIUS_PX,
    SIDE,
    VESICLES,
    brightness,
    first_area,
    first_image,
    half_a_count_above,
    middles,
    reliability,
    second_image,
)
from course_lib.live.graph import export_graph
from course_lib.quantification.manders import manders
from course_lib.quantification.pearson import pearson, pearson_corrected_for_noise

pytestmark = pytest.mark.usefixtures("one_thread")

PLACES: list[dict[str, float]] = [
    {},
    {"photons": 3.0, "background_photons": 0.0},
    {"photons": 300.0, "overlap_percent": 100.0, "threshold_percent": 20.0},
    {"photons": 30.0, "background_photons": 20.0, "overlap_percent": 25.0},
]


def show(seed: int = 0, **values: float) -> live.Tensors:
    return live.evaluate(FIGURE, values, seed=seed)


def read(seed: int = 0, **values: float) -> dict[str, float]:
    shown = show(seed, **values)
    names = ("truth", "pearson", "corrected", "true_share", "manders_first", "area")
    return {name: float(shown[name]) for name in names}


def mean(name: str, **values: float) -> float:
    return float(np.mean([read(seed, **values)[name] for seed in range(8)]))


@pytest.mark.parametrize("values", PLACES)
def test_the_numbers_are_those_of_the_library(values: dict[str, float]) -> None:
    shown = show(**values)
    first, second = shown["first"], shown["second"]
    assert float(shown["pearson"]) == pytest.approx(pearson(first, second), abs=1e-5)
    corrected = pearson_corrected_for_noise(first, second).corrected
    assert float(shown["corrected"]) == pytest.approx(corrected, abs=0.002)
    photons, background = values.get("photons", 10.0), values.get("background_photons", 2.0)
    level = values.get("threshold_percent", 40.0) / 100 * photons
    shares = manders(first - background, second - background, thresholds=(level, level))
    assert float(shown["manders_first"]) == pytest.approx(shares.first_share, abs=1e-5)
    found = 100 * shares.first_area * SIDE**2 / float(first_area())
    assert float(shown["area"]) == pytest.approx(found, rel=1e-5)


def test_vesicles_are_apart_and_inside() -> None:
    found = middles()
    assert found.shape == (2 * VESICLES, 2)
    distances = torch.cdist(found, found) + 1000 * torch.eye(2 * VESICLES)
    assert float(distances.min()) >= APART_PX > 2 * RADIUS_PX
    assert float(found.min()) >= RADIUS_PX
    assert float(found.max()) <= SIDE - 1 - RADIUS_PX


def test_the_true_area_is_that_of_the_discs() -> None:
    assert float(first_area()) == pytest.approx(VESICLES * math.pi * RADIUS_PX**2, rel=0.02)


def test_the_images_have_the_brightness_of_the_vesicles() -> None:
    for image in (first_image(), second_image()):
        assert image.shape == (SIDE, SIDE)
        assert float(image.max()) == 1
        assert float(image.min()) >= 0
    at_middles = torch.stack([first_image()[int(y.round()), int(x.round())] for y, x in middles()[:VESICLES]])
    assert float(torch.corrcoef(torch.stack([at_middles, brightness()]))[0, 1]) > 0.999


def test_what_is_shared_is_what_the_slider_says() -> None:
    assert read(overlap_percent=0.0)["true_share"] == 0
    assert read(overlap_percent=100.0)["true_share"] == 1
    assert read(overlap_percent=50.0)["true_share"] == pytest.approx(0.5, abs=0.03)
    assert read(overlap_percent=100.0)["truth"] == pytest.approx(1, abs=1e-6)
    assert read(overlap_percent=0.0)["truth"] < 0


def test_the_curve_is_what_many_recordings_give() -> None:
    for photons in (1.0, 10.0, 100.0):
        found = [float(show(seed, photons=photons)["pearson"]) for seed in range(20)]
        shown = show(photons=photons)
        expected = np.interp(math.log10(photons), np.log10(shown["dose"].numpy()), shown["expected_pearson"].numpy())
        assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / math.sqrt(20) + 0.002)


@pytest.mark.parametrize("values", [{"photons": 3.0, "background_photons": 0.0}, {"background_photons": 10.0}])
def test_noise_lowers_pearson_and_the_correction_brings_it_back(values: dict[str, float]) -> None:
    truth = read(**values)["truth"]
    corrected = [read(seed, **values)["corrected"] for seed in range(12)]
    assert mean("pearson", **values) < 0.6 * truth
    assert np.mean(corrected) == pytest.approx(truth, abs=4 * np.std(corrected) / math.sqrt(12))


def test_where_the_signal_drowns_nothing_is_corrected() -> None:
    assert math.isnan(read(photons=1.0, background_photons=50.0)["corrected"])
    assert math.isnan(float(reliability(torch.poisson(torch.full((SIDE, SIDE), 20.0, dtype=torch.float64)))))


def test_a_threshold_that_is_right_at_300_photons_is_wrong_at_3() -> None:
    bright = read(photons=300.0, threshold_percent=35.0)
    assert bright["manders_first"] == pytest.approx(bright["true_share"], abs=0.03)
    assert bright["area"] == pytest.approx(100, abs=6)
    dim = read(photons=3.0, threshold_percent=35.0)
    assert dim["manders_first"] < 0.6 * dim["true_share"]
    assert dim["area"] > 180


def test_near_the_background_noise_becomes_area_and_high_up_vesicles_vanish() -> None:
    assert read(threshold_percent=5.0)["area"] > 300
    assert read(photons=300.0, threshold_percent=95.0)["area"] < 10


@pytest.mark.parametrize("level", [0.0, 0.3, 2.0, 2.0000000001, 1.9999999999, 700.5])
def test_a_level_between_two_counts_parts_the_same_counts(level: float) -> None:
    counts = torch.arange(1000.0, dtype=torch.float64)
    moved = half_a_count_above(torch.tensor(level, dtype=torch.float64))
    assert torch.equal(counts > moved, counts > round(level, 6))


@pytest.mark.parametrize("control", FIGURE.controls, ids=lambda control: control.name)
def test_every_slider_has_ten_places_and_changes_the_picture_at_its_ends(control: Any) -> None:
    low, high = control.slider
    if control.scale == "log":
        places = [low, low * (high / low) ** 0.01, high * (low / high) ** 0.01, high]
    else:
        assert (high - low) / control.step >= 10
        places = [low, low + control.step, high - control.step, high]
    for one, other in (places[:2], places[2:]):
        before, after = (show(**{control.name: place}) for place in (one, other))
        assert any(not torch.equal(before[name], after[name]) for name in ("first", "second", "masks", "level_now"))


def test_the_graph_is_small() -> None:
    assert len(export_graph(FIGURE)) < 1e6
