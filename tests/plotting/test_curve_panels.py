import pytest

from course_lib.plotting import curve_panels


def test_panels_share_their_scale_and_label_only_the_outer_axes() -> None:
    panels = {"low": {"a": [1, 2], "b": [2, 3]}, "high": {"a": [10, 90]}}
    first, second = curve_panels([1, 10], panels, x_label="photons", y_label="error", log="x").axes
    assert first.get_ylim() == second.get_ylim()
    assert (first.get_title(), second.get_title()) == ("low", "high")
    assert (first.get_ylabel(), second.get_ylabel()) == ("error", "")
    assert len(first.get_lines()) == 2
    assert first.get_xscale() == second.get_xscale() == "log"


def test_no_panel_is_refused() -> None:
    with pytest.raises(ValueError, match="panels is empty"):
        curve_panels([1, 2], {}, x_label="x", y_label="y")
