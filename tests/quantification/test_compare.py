"""Comparisons against SciPy, and their rates of false alarms against what they promise."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from course_lib import quantification
from course_lib.quantification import DishPlan

COLUMNS = {"value": "marker_photons", "condition": "condition", "replicate": "dish"}
MEANS = hnp.arrays(np.float64, st.integers(2, 6), elements=st.floats(-100, 100, width=32))


def one_cell_a_dish(*groups: np.ndarray) -> pd.DataFrame:
    rows = [
        ("ab"[number], f"dish {dish}", value) for number, group in enumerate(groups) for dish, value in enumerate(group)
    ]
    return pd.DataFrame(rows, columns=["condition", "dish", "marker_photons"])


@settings(max_examples=60)
@given(first=MEANS, second=MEANS)
def test_of_replicates_it_is_welchs_test(first: np.ndarray, second: np.ndarray) -> None:
    assume(np.ptp(first) > 0.1 and np.ptp(second) > 0.1)
    found = quantification.compare(one_cell_a_dish(first, second), **COLUMNS)
    expected = stats.ttest_ind(second, first, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.degrees_of_freedom == pytest.approx(expected.df)
    assert found.difference == pytest.approx(second.mean() - first.mean(), abs=1e-9)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)
    assert found.conditions == ("a", "b")
    assert found.observations == found.cells == (len(first), len(second))
    assert found.unit == "replicates"


@settings(max_examples=60)
@given(values=hnp.arrays(np.float64, st.tuples(st.just(2), st.integers(2, 6)), elements=st.floats(-100, 100, width=32)))
def test_of_pairs_it_is_the_paired_test(values: np.ndarray) -> None:
    assume(np.ptp(values[1] - values[0]) > 0.1)
    found = quantification.compare_paired(one_cell_a_dish(*values), **COLUMNS)
    expected = stats.ttest_rel(values[1], values[0])
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)
    assert (found.unit, found.degrees_of_freedom) == ("pairs", values.shape[1] - 1)


def test_of_pooled_cells_it_is_welchs_test_of_cells() -> None:
    cells = quantification.simulated_cells(DishPlan(effect=1.2), rng=0)
    found = quantification.compare_pooled_cells(cells, value="marker_photons", condition="condition", confidence=0.99)
    groups = [cells.loc[cells["condition"] == name, "marker_photons"] for name in ("control", "treated")]
    expected = stats.ttest_ind(groups[1], groups[0], equal_var=False)
    interval = expected.confidence_interval(0.99)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert (found.unit, found.observations) == ("cells", (80, 80))


def test_each_dish_weighs_the_same_however_many_cells_it_has() -> None:
    table = pd.DataFrame(
        {
            "condition": ["a"] * 5 + ["b"] * 2,
            "dish": ["1", "2", "2", "2", "2", "1", "2"],
            "marker_photons": [10.0, 20.0, 20.0, 20.0, 20.0, 31.0, 33.0],
        }
    )
    found = quantification.compare(table, **COLUMNS)
    assert found.means == (15, 32)  # dish 1 of a is another dish than dish 1 of b
    assert (found.observations, found.cells) == ((2, 2), (5, 2))


def test_the_reference_turns_the_sign_and_rows_may_come_in_any_order() -> None:
    cells = quantification.simulated_cells(DishPlan(effect=1.5), rng=1)
    plain = quantification.compare(cells, **COLUMNS)
    turned = quantification.compare(cells, **COLUMNS, reference="treated")
    shuffled = quantification.compare(cells.sample(frac=1, random_state=0), **COLUMNS, reference="control")
    assert turned.difference == -plain.difference
    assert turned.interval == (-plain.interval[1], -plain.interval[0])
    assert turned.p_value == pytest.approx(plain.p_value)
    assert turned.hedges_g == pytest.approx(-plain.hedges_g)
    assert shuffled.difference == pytest.approx(plain.difference)
    assert shuffled.interval == pytest.approx(plain.interval)
    categories = quantification.compare(cells.astype({"condition": "category", "dish": "category"}), **COLUMNS)
    assert categories.interval == pytest.approx(plain.interval)


def test_hedges_g_has_no_bias() -> None:
    rng = np.random.default_rng(2)
    found = [
        quantification.compare(one_cell_a_dish(rng.normal(0, 2, 3), rng.normal(2, 2, 4)), **COLUMNS).hedges_g
        for _ in range(500)
    ]
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert abs(np.mean(found) - 1) < 3 * error
    exact = math.gamma(2.5) / (math.gamma(2) * math.sqrt(2.5))  # J for 5 degrees of freedom
    assert abs(np.mean(found) / exact - 1) > 3 * error  # without J it is too large


def pairs_of(rng: np.random.Generator, pairs: int, *, correlation: float, effect: float) -> pd.DataFrame:
    """Return days that both conditions share more or less, of standard deviation 2."""
    day, first, second = rng.normal(0, 2, (3, pairs))
    own = math.sqrt(1 - correlation)
    return one_cell_a_dish(
        math.sqrt(correlation) * day + own * first, math.sqrt(correlation) * day + own * second + 2 * effect
    )


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_g_means_the_same_in_pairs_as_between_groups(correlation: float) -> None:
    rng = np.random.default_rng(6)
    tables = [pairs_of(rng, 5, correlation=correlation, effect=1.0) for _ in range(150)]
    found = np.array([quantification.compare_paired(table, **COLUMNS).hedges_g for table in tables])
    error = found.std(ddof=1) / math.sqrt(len(found))
    assert abs(found.mean() - 1) < 3 * error + 0.03  # the degrees of freedom are an estimate
    for table in tables[:20]:
        paired, plain = quantification.compare_paired(table, **COLUMNS), quantification.compare(table, **COLUMNS)
        assert plain.hedges_g == pytest.approx(paired.hedges_g, rel=0.13)
        assert abs(paired.hedges_g) <= abs(plain.hedges_g)  # fewer degrees of freedom


def test_two_pairs_give_an_interval_but_no_effect_size() -> None:
    found = quantification.compare_paired(one_cell_a_dish(np.array([1.0, 2.0]), np.array([4.0, 6.0])), **COLUMNS)
    assert math.isnan(found.hedges_g)
    assert found.difference == 3.5


NO_EFFECT = DishPlan(dishes=4, cells=50, spread_between_dishes=0.15, spread_between_cells=0.3, spread_between_days=0.0)


def false_alarms(plan: DishPlan, experiments: int) -> dict[str, float]:
    p_values: dict[str, list[float]] = {"replicates": [], "pairs": [], "cells": []}
    for seed in range(experiments):
        cells = quantification.simulated_cells(plan, rng=seed)
        for found in (
            quantification.compare(cells, **COLUMNS),
            quantification.compare_paired(cells, **COLUMNS | {"replicate": "day"}),
            quantification.compare_pooled_cells(cells, value="marker_photons", condition="condition"),
        ):
            p_values[found.unit].append(found.p_value)
    return {unit: float(np.mean(np.array(found) < 0.05)) for unit, found in p_values.items()}


def test_replicates_keep_the_rate_of_false_alarms_and_cells_do_not() -> None:
    rates = false_alarms(NO_EFFECT, 400)
    error = math.sqrt(0.05 * 0.95 / 400)
    assert rates["replicates"] < 0.05 + 3 * error  # Welch's test of four is a little careful
    assert rates["replicates"] > 0.05 - 4 * error
    assert abs(rates["pairs"] - 0.05) < 3 * error
    # a t of cells is too wide by the root of 1 + 50 · (share of dishes in the variance)
    wide = math.sqrt((50 * 0.15**2 + 0.3**2) / (0.15**2 + 0.3**2))
    expected = 2 * stats.norm.sf(1.96 / wide)
    assert rates["cells"] == pytest.approx(expected, abs=0.1)
    assert rates["cells"] > 0.4


def test_intervals_hold_the_true_effect_as_often_as_they_say() -> None:
    plan = DishPlan(dishes=5, cells=30, effect=1.3, spread_between_days=0.3, spread_between_dishes=0.1)
    held = {"replicates": 0, "pairs": 0}
    narrower = 0
    for seed in range(300):
        cells = quantification.simulated_cells(plan, rng=seed)
        cells["logarithm"] = np.log(cells["marker_photons"])
        paired = quantification.compare_paired(cells, value="logarithm", condition="condition", replicate="day")
        plain = quantification.compare(cells, value="logarithm", condition="condition", replicate="dish")
        for found in (paired, plain):
            held[found.unit] += found.interval[0] < math.log(1.3) < found.interval[1]
        narrower += np.ptp(paired.interval) < np.ptp(plain.interval)
    error = math.sqrt(0.95 * 0.05 / 300)
    assert abs(held["pairs"] / 300 - 0.95) < 3 * error
    assert held["replicates"] / 300 > 0.95 - 3 * error  # days that both conditions share make it careful
    assert narrower > 0.9 * 300


def test_in_a_sentence() -> None:
    table = one_cell_a_dish(np.array([10.0, 12.0, 14.0]), np.array([20.0, 22.0, 27.0]))
    assert str(quantification.compare(table, **COLUMNS)) == (
        "b − a: 11 (95 % interval 3.59 to 18.4), g = 3, p = 0.017, 3 and 3 replicates"
    )
    assert str(quantification.compare_paired(table, **COLUMNS)).endswith("3 pairs")
    far = one_cell_a_dish(np.array([10.0, 10.01, 10.02]), np.array([20.0, 20.01, 20.02]))
    assert "p < 0.0001" in str(quantification.compare(far, **COLUMNS))


CELLS = quantification.simulated_cells(DishPlan(dishes=2, cells=3), rng=0)


@pytest.mark.parametrize("test", [quantification.compare, quantification.compare_paired])
@pytest.mark.parametrize(
    ("table", "changed", "error", "message"),
    [
        (
            CELLS,
            {"value": "area"},
            ValueError,
            "the table has no column 'area': it has condition, day, dish, ID, marker",
        ),
        (CELLS, {"value": "condition"}, TypeError, "column 'condition' holds 'control', but must hold numbers"),
        (
            CELLS,
            {"condition": "ID"},
            ValueError,
            r"column 'ID' has 3 conditions \(1, 2, 3\), but 2 are compared: choose",
        ),
        (CELLS[:6], {}, ValueError, r"column 'condition' has 1 conditions \('control'\), but 2 are compared"),
        (CELLS[:0], {}, ValueError, "the table has no rows"),
        (CELLS, {"reference": "drug"}, ValueError, "reference is 'drug', but must be one of 'control' and 'treated'"),
        (CELLS, {"confidence": 95}, ValueError, "confidence is 95, but must be from 0.5 to 0.9999: chance that the"),
        (CELLS.assign(marker_photons=5.0), {"replicate": "day"}, ValueError, "do not differ from one another, so that"),
        (
            CELLS.assign(marker_photons=CELLS["marker_photons"].where(CELLS["ID"] > 1)),
            {},
            ValueError,
            r"column 'marker_photons' has 4 missing values: drop those rows with table.dropna\(subset=",
        ),
        (CELLS.assign(marker_photons=np.inf), {}, ValueError, "column 'marker_photons' has 12 infinite values"),
        (CELLS.to_dict(), {}, TypeError, "table is a dict, but must be a pandas.DataFrame: pandas.DataFrame"),
    ],
)
def test_bad_tables(test, table, changed, error, message) -> None:
    with pytest.raises(error, match=message):
        test(table, **COLUMNS | changed)


def test_too_few_replicates_pairs_and_cells() -> None:
    single = quantification.simulated_cells(DishPlan(dishes=1, cells=30), rng=0)
    with pytest.raises(
        ValueError, match=r"condition 'control' has 1 replicate, .* repeat the experiment, more cells are"
    ):
        quantification.compare(single, **COLUMNS)
    with pytest.raises(ValueError, match="there is 1 pair, but the spread between pairs needs at least 2, better 5"):
        quantification.compare_paired(single, **COLUMNS | {"replicate": "day"})
    with pytest.raises(ValueError, match="replicate 'control 1' has no cells of 'treated', but pairs need both"):
        quantification.compare_paired(single, **COLUMNS)
    with pytest.raises(ValueError, match="condition 'treated' has 1 cell, but a spread needs at least 2"):
        quantification.compare_pooled_cells(single[:31], value="marker_photons", condition="condition")
