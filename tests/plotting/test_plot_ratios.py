import io

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.plotting import COLORS, ratios

GROUPS = {
    "PSF": {"slow peer": (8.0, 9.0, 12.0), "quick peer": (0.3, 0.4, 0.5)},
    "camera": {"close peer": (0.9, 1.1, 1.2)},
}


def drawn(axes):
    """Return (least, median, most, line of the page, colour) of each ratio, as they stand in the picture."""
    found = []
    for container in axes.containers:
        (point, _, (bar,)) = container
        (segment,) = bar.get_segments()
        found.append((segment[0, 0], point.get_xdata()[0], segment[1, 0], point.get_ydata()[0], point.get_color()))
    return found


def test_each_ratio_is_a_point_with_its_range_below_its_heading():
    figure = ratios(GROUPS, x_label="peer's time / ours", title="speed")
    figure.savefig(io.BytesIO())
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_title(), axes.get_xscale()) == ("peer's time / ours", "speed", "log")
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["PSF", "slow peer", "quick peer", "camera", "close peer"]
    expected = {name: ratio for members in GROUPS.values() for name, ratio in members.items()}
    found = {names[place]: (least, median, most) for least, median, most, place, _ in drawn(axes)}
    assert found.keys() == expected.keys()
    for name, ratio in expected.items():
        np.testing.assert_allclose(found[name], ratio)
    assert [text.get_text() for text in axes.texts] == ["9×", "0.4×", "1.1×"]
    assert [text.get_fontweight() for text in axes.get_yticklabels()] == ["bold", "normal", "normal", "bold", "normal"]


def test_above_below_and_across_look_different_and_are_explained_once():
    axes = ratios({**GROUPS, "more": {"slow too": (2.0, 3.0, 4.0)}}, x_label="ratio").axes[0]
    above, below, across, again = (colour for *_, colour in drawn(axes))
    assert (above, below, across, again) == (COLORS[2], COLORS[3], COLORS[0], COLORS[2])
    assert len({container[0].get_marker() for container in axes.containers}) == 3
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "above 1 in every round",
        "below 1 in every round",
        "1 lies in the range",
    ]


def test_one_is_marked_and_inside_even_where_all_are_faster():
    axes = ratios({"PSF": {"slow peer": (800.0, 900.0, 1000.0)}}, x_label="ratio").axes[0]
    assert [1, 1] in [list(line.get_xdata()) for line in axes.lines]
    left, right = axes.get_xlim()
    assert left < 1 < 1000 < right


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(1e-3, 1e4), min_size=3, max_size=3))
def test_every_range_fits_the_axis(values):
    axes = ratios({"any": {"peer": sorted(values)}}, x_label="ratio").axes[0]
    left, right = axes.get_xlim()
    assert left < min(values)
    assert max(values) < right


def test_it_draws_where_it_is_told():
    figure = matplotlib.figure.Figure()
    axes = figure.subplots()
    assert ratios(GROUPS, x_label="ratio", axes=axes) is figure


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({}, "groups holds no ratio, but must hold one"),
        ({"PSF": {}}, "groups holds no ratio, but must hold one"),
        ({"PSF": {"peer": (1.0, 2.0)}}, r"ratio 'peer' is \[1.0, 2.0\], but must be \[least, median, most\]"),
        ({"PSF": {"peer": (3.0, 2.0, 4.0)}}, r"ratio 'peer' is \[3.0, 2.0, 4.0\], but must be \[least, median, most\]"),
        ({"PSF": {"peer": (0.0, 1.0, 2.0)}}, "all above 0"),
        ({"PSF": {"peer": (1.0, float("nan"), 2.0)}}, "ratio 'peer' has 1 values that are NaN or infinite"),
        ({"PSF": {"peer": ()}}, "ratio 'peer' has shape .* without any element"),
    ],
)
def test_bad_input_is_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        ratios(bad, x_label="ratio")
