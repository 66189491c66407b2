import numpy as np
import pytest

from course_lib.plotting import convergence


def test_each_curve_counts_iterations_from_1_and_marks_its_least_error() -> None:
    errors = {"first": [0.5, 0.2, 0.3], "second": [0.9, 0.8]}
    (axes,) = convergence(errors, y_label="error").axes
    lines = axes.get_lines()
    assert [line.get_xdata().tolist() for line in lines] == [[1, 2, 3], [1, 2]]
    assert [line.get_markevery() for line in lines] == [[1], [1]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "first: 0.200 after 2",
        "second: 0.800 after 2",
    ]


def test_levels_are_lines_with_names_that_do_not_overlap() -> None:
    levels = {"one": 0.4, "two": 0.41, "three": 0.42}
    (axes,) = convergence({"method": [0.5, 0.3]}, levels=levels, y_label="error").axes
    assert sorted(line.get_ydata()[0] for line in axes.get_lines()[1:]) == [0.4, 0.41, 0.42]
    heights = sorted(text.xy[1] for text in axes.texts)
    assert np.diff(heights).min() > 0.05
    assert [text.get_text() for text in axes.texts] == ["one 0.4", "two 0.41", "three 0.42"]


def test_a_level_beyond_the_range_is_named_at_its_edge_and_has_no_line() -> None:
    figure = convergence({"method": [0.5, 0.3]}, levels={"inverse": 7e4}, y_label="error", y_range=(0.1, 1))
    (axes,) = figure.axes
    assert len(axes.get_lines()) == 1
    assert [text.get_text() for text in axes.texts] == ["↑ inverse 7·$10^{4}$"]
    assert axes.get_ylim() == (0.1, 1)


@pytest.mark.parametrize("count", [0, 6])
def test_too_few_and_too_many_curves_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"there are {count} curves, but must be 1 to 5"):
        convergence({str(number): [1.0] for number in range(count)}, y_label="error")


def test_errors_of_0_and_nan_are_refused() -> None:
    with pytest.raises(ValueError, match=r"errors of method have shape \(2,\) and go down to 0"):
        convergence({"method": [0.0, 1.0]}, y_label="error")
    with pytest.raises(ValueError, match="errors of level has 1 values that are NaN or infinite"):
        convergence({"method": [1.0]}, levels={"level": np.nan}, y_label="error")
