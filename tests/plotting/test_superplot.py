import io

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import quantification
from course_lib.plotting import COLORS, superplot
from course_lib.quantification import DishPlan

CELLS = quantification.simulated_cells(DishPlan(dishes=3, cells=20, effect=1.5), rng=0)
COLUMNS = {"value": "marker_photons", "condition": "condition", "replicate": "dish"}


def marks(axes):
    """Return the places of the small marks and of the large ones."""
    small, large = [], []
    for collection in axes.collections:
        if isinstance(collection, matplotlib.collections.PathCollection):
            (large if collection.get_sizes()[0] > 50 else small).append(np.asarray(collection.get_offsets()))
    return np.concatenate(small), np.concatenate(large)


def test_every_cell_and_every_mean_stands_in_its_column():
    figure = superplot(CELLS, **COLUMNS, y_label="marker (photons)", title="dishes")
    figure.savefig(io.BytesIO())
    (axes,) = figure.axes
    assert (axes.get_ylabel(), axes.get_title()) == ("marker (photons)", "dishes")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["control", "treated"]
    small, large = marks(axes)
    for place, name in enumerate(("control", "treated")):
        inside = CELLS[CELLS["condition"] == name]
        np.testing.assert_allclose(np.sort(small[small[:, 0].round() == place, 1]), np.sort(inside["marker_photons"]))
        means = inside.groupby("dish")["marker_photons"].mean()
        np.testing.assert_allclose(np.sort(large[large[:, 0].round() == place, 1]), np.sort(means))


def test_the_bar_is_the_standard_error_of_the_replicates():
    axes = superplot(CELLS, **COLUMNS, y_label="y").axes[0]
    lines = [one.get_segments() for one in axes.collections if isinstance(one, matplotlib.collections.LineCollection)]
    for place, name in enumerate(("control", "treated")):
        means = CELLS[CELLS["condition"] == name].groupby("dish")["marker_photons"].mean()
        across, up = lines[2 * place][0], lines[2 * place + 1][0]
        assert across[:, 1] == pytest.approx([means.mean()] * 2)
        assert up[:, 1] == pytest.approx([means.mean() - means.sem(), means.mean() + means.sem()])


def test_pairs_are_joined_and_other_replicates_are_not():
    paired = superplot(CELLS, **COLUMNS | {"replicate": "day"}, y_label="y").axes[0]
    assert len(paired.lines) == 3
    for line in paired.lines:
        assert np.round(line.get_xdata()).tolist() == [0, 1]
    assert len(superplot(CELLS, **COLUMNS, y_label="y").axes[0].lines) == 0


def test_colour_and_shape_tell_the_replicate():
    axes = superplot(CELLS, **COLUMNS | {"replicate": "day"}, y_label="y").axes[0]
    means = [
        one
        for one in axes.collections
        if isinstance(one, matplotlib.collections.PathCollection) and one.get_sizes()[0] > 50
    ]
    colors = [matplotlib.colors.to_hex(one.get_facecolor()[0]) for one in means]
    assert colors == [*COLORS[:3], *COLORS[:3]]
    assert len({len(one.get_paths()[0].vertices) for one in means[:3]}) > 1


def test_the_result_is_written_above():
    comparison = quantification.compare(CELLS, **COLUMNS)
    title = superplot(CELLS, **COLUMNS, y_label="y", title="marker", comparison=comparison).axes[0].get_title()
    assert title.replace("\n", ", ").endswith(str(comparison))
    assert title.startswith("marker\n")


@settings(max_examples=20)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    dishes=st.integers(1, 12),
)
def test_marks_stay_in_their_column_for_any_table(values, dishes):
    table = pd.DataFrame({"v": values, "c": [f"c{n % 3}" for n in range(len(values))]})
    table["d"] = [n % dishes for n in range(len(values))]
    axes = superplot(table, value="v", condition="c", replicate="d", y_label="y").axes[0]
    small, large = marks(axes)
    for places in (small, large):
        assert (np.abs(places[:, 0] - places[:, 0].round()) < 0.35).all()
    np.testing.assert_allclose(np.sort(small[:, 1]), np.sort(values))


def test_it_draws_where_it_is_told_and_takes_any_mapping():
    figure = matplotlib.figure.Figure()
    axes = figure.subplots()
    table = {"v": [1, 2], "c": ["a", "b"], "d": [1, 1]}
    assert superplot(table, value="v", condition="c", replicate="d", y_label="y", axes=axes) is figure


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"v": [], "c": [], "d": []}, "column 'v' has shape .* without any element"),
        ({"v": [1.0, np.nan], "c": ["a", "b"], "d": [1, 2]}, "column 'v' has 1 values that are NaN or infinite"),
        ({"v": [1.0, 2.0], "c": ["a"], "d": [1, 2]}, "columns 'v', 'c' and 'd' have 2, 1 and 2 rows, but must have"),
    ],
)
def test_bad_tables_are_refused(table, message):
    with pytest.raises(ValueError, match=message):
        superplot(table, value="v", condition="c", replicate="d", y_label="y")
