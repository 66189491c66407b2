"""What the chapter on quantification says in words about numbers that no cell of it prints."""

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_lib import datasets, live, networks, quantification, segmentation
from course_lib.live.figures.quantification_colocalization import FIGURE
from course_lib.noise2void import classical

ROOT = Path(__file__).resolve().parents[2]
SIZE_UM = (0.75, 0.75)
COLUMNS = {"value": "intensity_mean", "condition": "condition", "replicate": "dish"}

pytestmark = pytest.mark.usefixtures("one_thread")


def cells() -> list[str]:
    notebook = json.loads((ROOT / "book" / "quantification.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def cell(beginning: str) -> str:
    (source,) = [source for source in cells() if beginning in source]
    return source


def test_the_four_largest_objects_are_merged_nuclei() -> None:
    image = datasets.load("dsb2018_nuclei_2d").tensor().float()
    truth = datasets.load("dsb2018_nuclei_2d_labels").data.astype(np.int32)
    labels = segmentation.watershed(image, diameter_um=24, voxel_size_um=(1, 1))
    table = quantification.measure(labels, voxel_size_um=(1, 1), features=())
    for number in table.nlargest(4, "area_um2")["ID"]:
        assert (np.bincount(truth[labels == number])[1:] > 100).sum() >= 2


def test_the_median_of_counts_jumps() -> None:
    assert [stats.poisson.median(mean) for mean in (3.6, 3.7)] == [3, 4]


def test_a_right_voxel_size_makes_planes_that_are_left_out_good() -> None:
    namespace: dict[str, Any] = {}
    exec(cells()[0], namespace)
    exec(cell('stack = datasets.load("cells3d_nuclei")'), namespace)
    every, right, old = (
        quantification.measure(volume, voxel_size_um=size) for volume, size in namespace["ways"].values()
    )
    assert len(every) == 3
    for column in ("volume_um3", "major_axis_um", "minor_axis_um", "sphericity"):
        np.testing.assert_allclose(right[column], every[column], rtol=0.03)
    np.testing.assert_allclose(old["volume_um3"], every["volume_um3"] / 4, rtol=0.02)
    np.testing.assert_allclose(old["major_axis_um"], every["major_axis_um"], rtol=0.02)
    np.testing.assert_allclose(old["minor_axis_um"] / every["minor_axis_um"], [0.31, 0.25, 0.25], atol=0.01)
    np.testing.assert_allclose(old["sphericity"], [0.6, 0.6, 0.7], atol=0.02)
    assert every["volume_um3"].iloc[2] == pytest.approx(np.pi / 6 * 1000, rel=0.005)
    assert every["solidity"].iloc[0] < every["solidity"].iloc[1]


def shown(seed: int = 0, **values: float) -> dict[str, float]:
    outputs = live.evaluate(FIGURE, values, seed=seed)
    return {name: float(outputs[name]) for name in ("truth", "pearson", "true_share", "manders_first", "area")}


def test_one_pearson_falls_from_its_truth_to_next_to_nothing() -> None:
    assert shown(photons=1000.0)["pearson"] == pytest.approx(0.38, abs=0.01)
    assert shown(photons=1.0)["pearson"] < 0.03


def test_two_the_threshold_of_35_percent_is_right_at_300_photons_alone() -> None:
    bright, dim = shown(photons=300.0, threshold_percent=35.0), shown(photons=3.0, threshold_percent=35.0)
    assert bright["manders_first"] == pytest.approx(bright["true_share"], abs=0.03)
    assert bright["area"] == pytest.approx(100, abs=6)
    assert dim["manders_first"] < 0.6 * dim["true_share"]
    assert dim["area"] == pytest.approx(200, abs=20)


def test_three_and_four_background_costs_and_avoidance_is_negative() -> None:
    assert shown(background_photons=50.0)["pearson"] < 0.3 * shown(background_photons=0.0)["pearson"]
    assert shown(background_photons=50.0)["area"] > 2 * shown(background_photons=0.0)["area"]
    assert shown(overlap_percent=0.0)["pearson"] < 0


@cache
def unrelated_pairs() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return pairs of images as the chapter draws them, no two of which have anything to do with each other."""
    namespace: dict[str, Any] = {"torch": torch, "classical": classical}
    exec(cell("def spots(seed)").split("\n\n\n")[0], namespace)
    draw = torch.Generator().manual_seed(0)
    images = [torch.poisson(namespace["spots"](seed), generator=draw) for seed in range(200)]
    return list(zip(images[::2], images[1::2], strict=True))


@pytest.mark.parametrize(("block_um", "share"), [(1, 0.4), (12, 0.1)])
def test_shuffled_pixels_find_what_is_not_there(block_um: float, share: float) -> None:
    p_values = [
        quantification.costes_randomization(*pair, block_um=block_um, voxel_size_um=(1, 1), repeats=60, rng=0).p_value
        for pair in unrelated_pairs()
    ]
    error = (share * (1 - share) / len(p_values)) ** 0.5
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(share, abs=2.5 * error)


def test_one_object_in_three_is_on_its_track_after_100_frames() -> None:
    right_up_to = np.cumprod(np.full(99, 0.99))
    assert right_up_to[-1] == pytest.approx(1 / 3, abs=0.05)


def test_four_cells_make_both_parts_of_the_variance_equal() -> None:
    plan = quantification.DishPlan()
    assert plan.spread_between_cells**2 / 4 == pytest.approx(plan.spread_between_dishes**2)
    scatter = [math.hypot(plan.spread_between_dishes, plan.spread_between_cells / m**0.5) for m in (4, 20, 100, 1e6)]
    assert [round(100 * one) for one in scatter] == [21, 16, 15, 15]


def test_the_median_of_a_dish_is_no_scale_where_the_share_of_on_differs() -> None:
    source = cell('cells["Type"] = np.where(on, "on", "off")').split("classifier = ")[0]

    def score(seed: int, shares: list[float]) -> float:
        namespace: dict[str, Any] = {"quantification": quantification, "np": np}
        wanted = source.replace("default_rng(0)", f"default_rng({seed})").replace("rng=1", f"rng={seed + 1}")
        wanted = wanted.replace("< 0.4", "< np.repeat(shares, 60)")
        exec(wanted, namespace | {"shares": shares}, namespace)
        return quantification.validate_classifier(
            namespace["cells"],
            classifier=make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
            columns=["relative"],
            replicate="dish",
        ).balanced_accuracy

    for shares, expected in (([0.4] * 8, 0.88), ([0.2] * 4 + [0.7] * 4, 0.77)):
        assert np.mean([score(seed, shares) for seed in range(15)]) == pytest.approx(expected, abs=0.02)


def test_students_factor_for_3_and_for_6_dishes() -> None:
    assert [round(stats.t.ppf(0.975, 2 * dishes - 2), 1) for dishes in (3, 6)] == [2.8, 2.2]


def plan_of_the_chapter() -> quantification.DishPlan:
    source = cell("effect=1.0, diameter_effect=0.6")
    namespace: dict[str, Any] = {"quantification": quantification}
    exec(source.split("size = (0.75, 0.75)")[0], namespace)
    plan: quantification.DishPlan = namespace["plan"]
    return plan


def three_conclusions(seed: int, **changed: float) -> list[quantification.Comparison]:
    """Return what the three ways of the chapter say of an experiment of another seed, or with another drug."""
    plan = plan_of_the_chapter().replace(**changed)
    network = networks.pretrained("care_live_2d")
    draw = torch.Generator().manual_seed(100 + seed)
    tables: list[list[pd.DataFrame]] = [[], [], []]
    dishes = list(quantification.simulated_dishes(plan, shape=(192, 192), voxel_size_um=SIZE_UM, rng=seed))
    markers = [torch.poisson(dish.marker, generator=draw) for dish in dishes]
    for dish, marker in zip(dishes, markers, strict=True):
        marks = dish.labels
        for table, picture, subtract in zip(
            tables, (marker, network.predict(marker), marker), (False, True, True), strict=True
        ):
            level = quantification.estimate_background(picture, marks, voxel_size_um=SIZE_UM, margin_um=3)
            found = quantification.measure(
                marks,
                picture,
                voxel_size_um=SIZE_UM,
                background=level if subtract else 0.0,
                features=("geometry", "intensity"),
            )
            whole = found[~found["touches_border"]]
            table.append(whole.assign(condition=dish.condition, dish=f"{dish.condition} {dish.day}"))
    return [quantification.compare(pd.concat(table), **COLUMNS) for table in tables]


@pytest.mark.parametrize("seed", range(5))
def test_one_experiment_has_three_conclusions_whatever_the_seed(seed: int) -> None:
    left_in, restored, right = three_conclusions(seed)
    assert left_in.difference > 0
    assert left_in.p_value < 0.001
    assert restored.difference < 0
    assert restored.p_value < 0.05
    assert right.p_value > 0.05
    assert right.interval[0] < 0 < right.interval[1]


def biases(**changed: float) -> tuple[float, float]:
    """Return by how much the two mistakes shift the difference, for a drug that does less."""
    left_in, restored, right = three_conclusions(1, **changed)
    return left_in.difference - right.difference, restored.difference - right.difference


def test_a_bias_that_hits_both_conditions_alike_drops_out() -> None:
    first, second = biases()
    assert abs(biases(background_effect=1.0)[0]) < 0.05 * first
    assert 0.1 * second > biases(diameter_effect=1.0)[1] > 0.5 * second  # both are negative
    assert abs(biases(background_effect=1.0, diameter_effect=1.0)[1]) < 0.1 * abs(second)


def test_outlines_on_raw_counts_hold_more_light_in_the_recording_that_they_were_drawn_on() -> None:
    namespace: dict[str, Any] = {}
    exec(cells()[0], namespace)
    namespace |= {"pixels": (1.0, 1.0), "image": datasets.load("dsb2018_nuclei_2d").tensor().float()}
    namespace["truth"] = datasets.load("dsb2018_nuclei_2d_labels").data.astype(np.int32)
    exec(cell("blind = noise2void.train").split("schedule")[0], namespace)
    helpers = cell("def light_of")
    exec(helpers.split("ways =")[0] + "def light_of" + helpers.split("def light_of")[1], namespace)
    exec(cell('("another", again)').replace("print(", "ratios = [*globals().get('ratios', ()), ratio]  # ("), namespace)
    drawn_on, other = namespace["ratios"]
    assert drawn_on > other + 0.03
    assert other == pytest.approx(0.96, abs=0.02)


def test_the_drug_of_the_chapter_does_nothing_to_the_marker() -> None:
    assert plan_of_the_chapter().effect == 1
