"""Simulated dishes have the truth that they say."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib import quantification
from course_lib.quantification import DishPlan

SMALL = {"shape": (128, 128), "voxel_size_um": (0.5, 0.5)}
SHARP = DishPlan(dishes=1, cells=12, blur_um=0.0)


def test_spreads_and_effect_are_those_of_the_plan() -> None:
    plan = DishPlan(
        dishes=400, cells=50, effect=1.4, spread_between_days=0.3, spread_between_dishes=0.2, spread_between_cells=0.1
    )
    cells = quantification.simulated_cells(plan, rng=0)
    assert len(cells) == 2 * 400 * 50
    logarithm = np.log(cells["marker_photons"].to_numpy()).reshape(2, 400, 50)
    dishes = logarithm.mean(axis=2)
    assert logarithm.std(axis=2, ddof=1).mean() == pytest.approx(0.1, rel=0.02)
    difference = dishes[1] - dishes[0]  # days drop out
    assert difference.mean() == pytest.approx(math.log(1.4), abs=4 * 0.2 * math.sqrt(2 / 400))
    assert difference.std() == pytest.approx(0.2 * math.sqrt(2), rel=0.12)
    assert dishes[0].std() == pytest.approx(math.hypot(0.3, 0.2), rel=0.12)
    assert np.exp(logarithm[0]).mean() / 30 == pytest.approx(math.exp((0.3**2 + 0.2**2 + 0.1**2) / 2), rel=0.06)


def test_names_tell_condition_day_and_dish() -> None:
    cells = quantification.simulated_cells(DishPlan(dishes=3, cells=2), rng=0)
    assert cells["condition"].tolist() == ["control"] * 6 + ["treated"] * 6
    assert cells["day"].tolist() == [1, 1, 2, 2, 3, 3] * 2
    assert cells["ID"].tolist() == [1, 2] * 6
    assert (cells["dish"] == cells["condition"] + " " + cells["day"].astype(str)).all()


def test_the_mean_in_each_nucleus_is_its_true_marker() -> None:
    for dish in quantification.simulated_dishes(SHARP, **SMALL, rng=1):
        marker = dish.marker.numpy() - SHARP.background_photons
        for row in dish.cells.itertuples():
            inside = dish.labels == row.ID
            assert inside.sum() * 0.25 == row.area_um2
            assert marker[inside].mean() == pytest.approx(row.marker_photons, rel=1e-4)
            assert marker[inside].sum() == pytest.approx(row.marker_photons_sum, rel=1e-4)
        assert np.abs(marker[dish.labels == 0]).max() < 1e-5


def test_dishes_are_those_of_the_cells_and_of_the_seed() -> None:
    plan = SHARP.replace(dishes=2, effect=2.0)
    cells = quantification.simulated_cells(plan, rng=3)
    dishes = list(quantification.simulated_dishes(plan, **SMALL, rng=3))
    assert [(dish.condition, dish.day) for dish in dishes] == [
        ("control", 1),
        ("control", 2),
        ("treated", 1),
        ("treated", 2),
    ]
    together = np.concatenate([dish.cells["marker_photons"] for dish in dishes])
    assert np.array_equal(together, cells["marker_photons"])
    again = next(quantification.simulated_dishes(plan, **SMALL, rng=3))
    assert torch.equal(again.marker, dishes[0].marker)
    other = next(quantification.simulated_dishes(plan, **SMALL, rng=4))
    assert not torch.equal(other.marker, dishes[0].marker)


def test_background_bleed_through_and_size_follow_the_treatment() -> None:
    plan = SHARP.replace(
        background_effect=3.0, bleed_through=0.2, diameter_effect=1.3, marker_photons=0.0, spread_between_cells=0.0
    )
    control, treated = quantification.simulated_dishes(plan, **SMALL, rng=5)
    assert control.marker.min() == pytest.approx(5, abs=1e-4)
    assert treated.marker.min() == pytest.approx(15, abs=1e-4)
    for dish, background in ((control, 5), (treated, 15)):
        torch.testing.assert_close(dish.marker - background, 0.2 * (dish.nuclei - 5), atol=1e-4, rtol=1e-4)
    areas = [
        np.median(np.concatenate([dish.cells["area_um2"] for dish in dishes]))
        for dishes in zip(
            *(quantification.simulated_dishes(plan, shape=(180, 180), rng=seed) for seed in range(4)), strict=True
        )
    ]
    assert areas[1] / areas[0] == pytest.approx(1.3**2, rel=0.15)


def test_blur_moves_light_and_loses_none() -> None:
    plan = SHARP.replace(background_photons=0.0)
    sharp = next(quantification.simulated_dishes(plan, **SMALL, rng=6))
    blurred = next(quantification.simulated_dishes(plan.replace(blur_um=0.5), **SMALL, rng=6))
    assert float(blurred.marker.sum()) == pytest.approx(float(sharp.marker.sum()), rel=0.01)
    assert blurred.marker.max() < sharp.marker.max()
    assert np.array_equal(blurred.labels, sharp.labels)
    assert float(blurred.marker.min()) >= 0


def test_a_conclusion_turns_over_with_the_background() -> None:
    """Where the treatment clears the medium, raw means fall while the marker rises."""
    plan = DishPlan(
        dishes=4, cells=12, effect=1.4, spread_between_dishes=0.05, background_photons=60.0, background_effect=0.4
    )
    rows = []
    for seed, dish in enumerate(quantification.simulated_dishes(plan, **SMALL, rng=7)):
        image = torch.poisson(dish.marker, generator=torch.Generator().manual_seed(seed)).numpy()
        background = quantification.estimate_background(image, dish.labels, voxel_size_um=(0.5, 0.5))
        true_background = plan.background_photons * (plan.background_effect if dish.condition == "treated" else 1)
        assert abs(background.level - true_background) < 4 * background.standard_error + 0.05
        raw = np.bincount(dish.labels.ravel(), image.ravel())[1:] / np.bincount(dish.labels.ravel())[1:]
        rows.append(dish.cells.assign(raw=raw, corrected=raw - background.level))
    table = pd.concat(rows)
    columns = {"condition": "condition", "replicate": "dish"}
    assert quantification.compare(table, value="raw", **columns).interval[1] < 0
    assert quantification.compare(table, value="corrected", **columns).interval[0] > 0
    assert quantification.compare(table, value="marker_photons", **columns).interval[0] > 0


@pytest.mark.parametrize(
    ("plan", "arguments", "message"),
    [
        ({}, {"shape": (8, 64, 64)}, r"shape is \(8, 64, 64\), but a dish is seen in one plane: give \(y, x\)"),
        ({"cells": 500}, {"shape": (64, 64)}, "count is 500, but only .* nuclei found room"),
        ({"cells": 5}, {"voxel_size_um": (9.0, 9.0)}, "use voxels of at most half of that"),
    ],
)
def test_what_does_not_fit(plan: dict, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(quantification.simulated_dishes(DishPlan(**plan), **SMALL | arguments, rng=0))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dishes": 0}, "dishes is 0, but must be at least 1: of each condition, one a day"),
        ({"cells": 1.5}, "cells is 1.5, but must be a whole number"),
        ({"effect": 0}, "effect is 0, but must be from 0.01 to 100"),
        ({"spread_between_cells": float("nan")}, "spread_between_cells is nan, but must be at least 0"),
    ],
)
def test_plans_out_of_range(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DishPlan(**changed)
