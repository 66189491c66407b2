"""What every live figure of the course must have; they are found by listing."""

import numpy as np
import pytest

from course_lib import live
from course_lib.live.manifest import color_table, manifest

FIGURES = {figure.name: figure for figure in live.list_figures()}

# Quantities that are counted or are ratios have no unit.
PURE = ("frames", "iterations", "steps", "levels", "aperture", "index", "regularization")


def test_there_are_figures() -> None:
    assert {"noise_camera", "noise_frames"} <= set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_people_get_title_caption_and_the_picture_in_words(name: str) -> None:
    figure = FIGURES[name]
    assert len(figure.title) >= 10
    assert len(figure.caption) >= 60
    assert len(figure.alt) >= 60
    assert figure.alt != figure.caption


@pytest.mark.parametrize("name", FIGURES)
def test_every_slider_has_a_meaning_a_unit_and_a_range_within_its_limits(name: str) -> None:
    for control in FIGURES[name].controls:
        assert control.meaning
        assert control.unit or control.choices or any(word in control.name for word in PURE), control.name
        if control.slider is not None:
            for end in control.slider:
                control.check(end)


@pytest.mark.parametrize("name", FIGURES)
def test_every_image_has_a_unit_and_every_axis_a_label(name: str) -> None:
    for panel in FIGURES[name].panels:
        assert panel.title
        if isinstance(panel, live.ImagePanel):
            assert panel.unit
        if isinstance(panel, live.CurvePanel):
            assert panel.x_label
            assert panel.y_label


@pytest.mark.parametrize("name", FIGURES)
def test_each_control_changes_what_is_shown(name: str) -> None:
    figure = FIGURES[name]
    outputs = live.evaluate(figure)
    for slider in manifest(figure, outputs)["sliders"]:
        other = slider["choices"][-1] if "choices" in slider else slider["high"]
        moved = live.evaluate(figure, {slider["name"]: other})
        assert any(not moved[key].equal(outputs[key]) for key in outputs), slider["name"]


@pytest.mark.parametrize("name", ["gray", "magma", "viridis", "inferno", "cividis"])
def test_color_maps_become_steadily_lighter(name: str) -> None:
    colors = np.frombuffer(bytes.fromhex(color_table(name)), dtype=np.uint8).reshape(256, 3)
    lightness = colors @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness[::8]) > 0).all()
