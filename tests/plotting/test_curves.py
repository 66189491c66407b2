import io

import numpy as np
import pytest
import torch

from course_lib.plotting import COLORS, curves

x = torch.tensor([1.0, 2.0, 4.0])


def draw(series, **arguments):
    return curves(x, series, x_label="photons per pixel", y_label="SNR", **arguments)


def test_curves_are_drawn_with_labels_legend_and_colours_of_their_own():
    figure = draw({"ideal": x.sqrt(), "camera": x / 2}, title="dose")
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("photons per pixel", "SNR", "dose")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ideal", "camera"]
    assert [line.get_color() for line in axes.lines] == list(COLORS[:2])
    assert len({(line.get_linestyle(), line.get_marker()) for line in axes.lines}) == 2
    np.testing.assert_allclose(axes.lines[0].get_xydata(), np.stack([x, x.sqrt()], axis=1))


def test_a_single_curve_needs_no_legend():
    assert draw({"ideal": x}).axes[0].get_legend() is None


@pytest.mark.parametrize(("log", "scales"), [("", "linear linear"), ("x", "log linear"), ("xy", "log log")])
def test_axes_are_logarithmic_as_asked(log, scales):
    (axes,) = draw({"ideal": x}, log=log).axes
    assert f"{axes.get_xscale()} {axes.get_yscale()}" == scales


def test_error_bars_span_the_errors_and_take_no_colour():
    (axes,) = draw({"a": x, "b": x, "c": x}, errors={"b": [0.1, 0.2, 0.3]}).axes
    (bars,) = axes.collections
    np.testing.assert_allclose([np.ptp(segment[:, 1]) for segment in bars.get_segments()], [0.2, 0.4, 0.6])
    names = [line for line in axes.lines if line.get_linestyle() != "None"]
    assert [line.get_color() for line in names] == list(COLORS[:3])


def test_axes_given_are_drawn_on():
    first = draw({"a": x})
    assert draw({"b": 2 * x}, axes=first.axes[0]) is first
    assert len(first.axes[0].lines) == 2


def test_measured_values_are_points_without_a_line():
    axes = draw({"measured": x, "fit": x}, points=["measured"], errors={"measured": x / 10}).axes[0]
    measured, fit = (container.lines[0] for container in axes.containers)
    assert (measured.get_linestyle(), measured.get_marker(), measured.get_markevery()) == ("None", "o", None)
    assert (fit.get_linestyle(), fit.get_marker()) == ("--", "")


@pytest.mark.parametrize(("length", "marker"), [(39, "o"), (40, "")])
def test_long_and_jagged_curves_have_no_markers(length, marker):
    zigzag = np.arange(length) % 2
    figure = curves(np.arange(length), {"noise": zigzag}, x_label="x", y_label="y")
    assert figure.axes[0].lines[0].get_marker() == marker


def test_long_and_smooth_curves_keep_theirs():
    figure = curves(np.arange(200), {"sine": np.sin(np.arange(200) / 9)}, x_label="x", y_label="y")
    assert figure.axes[0].lines[0].get_marker() == "o"


def test_one_point_is_drawn():
    figure = curves([1], {"a": [2]}, x_label="x", y_label="y")
    figure.savefig(io.BytesIO())
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("series", "arguments", "message"),
    [
        ({}, {}, "series is empty, but must hold at least one curve"),
        ({"a": [1, 2]}, {}, r"a has shape \(2,\), but must have \(3,\), that of x"),
        ({"a": [1, 2, np.inf]}, {}, "a has 1 values that are NaN or infinite"),
        ({"a": [0, 1, 2]}, {"log": "y"}, "a goes down to 0, but a logarithmic axis starts above 0"),
        ({"a": x}, {"log": "z"}, "log is 'z', but must be '', 'x', 'y' or 'xy'"),
        ({"a": x}, {"errors": {"b": x}}, r"errors name \['b'\], but the curves are \['a'\]"),
        ({"a": x}, {"points": ["b"]}, r"points name \['b'\], but the curves are \['a'\]: use the same names"),
        ({"a": x}, {"errors": {"a": -x}}, "errors of a go down to -4, but must be at least 0"),
        ({"a": x}, {"errors": {"a": [1]}}, r"errors of a has shape \(1,\), but must have \(3,\)"),
    ],
)
def test_bad_input_is_refused(series, arguments, message):
    with pytest.raises(ValueError, match=message):
        draw(series, **arguments)


def test_positions_must_be_one_dimensional():
    with pytest.raises(ValueError, match=r"x has shape \(2, 2\), but must have \(n,\)"):
        curves(np.ones((2, 2)), {"a": [1, 2]}, x_label="x", y_label="y")
