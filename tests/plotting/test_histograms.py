import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.plotting import histograms
from course_lib.plotting.histograms import bin_edges


@given(low=st.integers(-500, 500), span=st.integers(0, 70000), bins=st.integers(1, 200))
def test_bins_hold_equally_many_whole_numbers(low, span, bins):
    edges = bin_edges(low, low + span, whole=True, bins=bins)
    assert edges[0] == low - 0.5
    assert edges[-1] > low + span
    assert len(edges) - 1 <= bins
    widths = np.diff(edges)
    assert (widths == widths[0]).all()
    assert widths[0] == round(widths[0])


def test_every_pixel_is_counted_in_its_bin():
    counts = np.array([[0, 0, 1], [3, 3, 3]], dtype=np.uint16)
    (axes,) = histograms({"frame": counts}, x_label="photons").axes
    values, edges, _ = axes.patches[0].get_data()
    np.testing.assert_array_equal(values, [2, 1, 0, 3])
    np.testing.assert_array_equal(edges, [-0.5, 0.5, 1.5, 2.5, 3.5])


def test_histograms_share_bins_and_carry_labels():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=500), rng.normal(3, 1, size=400)
    (axes,) = histograms({"a": first, "b": second}, x_label="brightness (ADU)", log="y", title="t").axes
    (one, edges, _), (two, other_edges, _) = (patch.get_data() for patch in axes.patches)
    np.testing.assert_array_equal(edges, other_edges)
    assert (one.sum(), two.sum()) == (500, 400)
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("brightness (ADU)", "pixels", "t")
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert axes.patches[0].get_linestyle() != axes.patches[1].get_linestyle()
    assert axes.patches[0].get_edgecolor() != axes.patches[1].get_edgecolor()


@pytest.mark.parametrize("value", [7, 0.1])
def test_a_constant_image_is_drawn(value):
    (axes,) = histograms({"flat": np.full((4, 4), value)}, x_label="photons").axes
    assert axes.patches[0].get_data().values.sum() == 16


@pytest.mark.parametrize(
    ("series", "bins", "message"),
    [
        ({}, 10, "series is empty, but must hold at least one histogram"),
        ({"a": [1, 2]}, 0, "bins is 0, but must be at least 1"),
        ({"a": []}, 10, r"a has shape \(0,\), without any element"),
        ({"a": [1, np.nan]}, 10, "a has 1 values that are NaN or infinite"),
    ],
)
def test_bad_input_is_refused(series, bins, message):
    with pytest.raises(ValueError, match=message):
        histograms(series, x_label="photons", bins=bins)
