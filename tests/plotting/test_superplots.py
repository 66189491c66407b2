"""Several superplots on one scale."""

import re

import pytest

from course_lib.plotting import superplots
from course_lib.quantification import DishPlan, compare, simulated_cells

COLUMNS = {"value": "marker_photons", "condition": "condition", "replicate": "dish"}


def drawn(count: int, **more):
    tables = {f"way {number}": simulated_cells(DishPlan(dishes=3, cells=5), rng=number) for number in range(count)}
    return tables, superplots(tables, **COLUMNS, y_label="marker (photons)", **more)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_each_table_has_a_panel_and_the_scale_is_common(count: int) -> None:
    tables, figure = drawn(count)
    assert [axes.get_title() for axes in figure.axes] == list(tables)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    expected = ["marker (photons)", ""] * 2
    assert [axes.get_ylabel() for axes in figure.axes] == expected[:count]
    highest = max(float(table["marker_photons"].max()) for table in tables.values())
    assert figure.axes[0].get_ylim()[1] >= highest


def test_a_result_stands_above_its_own_panel() -> None:
    tables, _ = drawn(2)
    found = compare(tables["way 1"], **COLUMNS)
    _, figure = drawn(2, comparisons={"way 1": found})
    first, second = (axes.get_title() for axes in figure.axes)
    assert first == "way 0"
    assert second.startswith("way 1\n")
    _, effect, p = second.split("\n")
    shown = [float(number) for number in re.findall(r"[+-][0-9.e-]+", effect.replace("\N{MINUS SIGN}", "-"))]
    assert shown == pytest.approx([found.difference, *found.interval], rel=0.05)
    assert p == f"p = {found.p_value:.2g}, 3 and 3 replicates"


def test_no_panel_and_a_stranger_are_refused() -> None:
    with pytest.raises(ValueError, match="tables is empty"):
        superplots({}, **COLUMNS, y_label="y")
    found = compare(simulated_cells(DishPlan(dishes=3, cells=5), rng=0), **COLUMNS)
    with pytest.raises(ValueError, match=r"comparisons has \['other'\], but the tables are \['way 0'\]"):
        drawn(1, comparisons={"other": found})
