"""A declaration that contradicts itself is refused, and the message tells what to do."""

import dataclasses
from typing import Any

import pytest
import torch

from course_lib import live
from course_lib.parameters import Parameters, parameter


def changed(figure: live.LiveFigure, **changes: Any) -> live.LiveFigure:
    return dataclasses.replace(figure, **changes)


@pytest.mark.parametrize("name", ["", "Noise", "noise-camera", "1noise"])
def test_the_name_is_words_joined_by_underscores(blurred: live.LiveFigure, name: str) -> None:
    with pytest.raises(ValueError, match=r"must be lower case words joined by '_', for example 'noise_camera'"):
        changed(blurred, name=name)


@pytest.mark.parametrize("part", ["title", "caption", "alt"])
def test_people_are_told_what_they_see(blurred: live.LiveFigure, part: str) -> None:
    with pytest.raises(ValueError, match=f"'blur' has no {part}: write one"):
        changed(blurred, **{part: "  "})


def test_there_is_something_to_see(blurred: live.LiveFigure) -> None:
    with pytest.raises(ValueError, match="'blur' has no panels: declare at least one"):
        changed(blurred, panels=())


class Still(Parameters):
    hidden: float = parameter(default=1.0, meaning="not shown")


class Outside(Parameters):
    far: float = parameter(default=9.0, meaning="far", slider=(0, 5))


class FromZero(Parameters):
    zero: float = parameter(default=1.0, meaning="from zero", slider=(0, 5), scale="log")


class Beyond(Parameters):
    beyond: float = parameter(default=1.0, meaning="beyond its limit", maximum=4, slider=(0, 5))


@pytest.mark.parametrize(
    ("sliders", "message"),
    [
        (Still, "has no controls: give at least one parameter of Still a slider range or choices"),
        (Outside, "starts at 9, outside its range 0 to 5: widen the range or change the default"),
        (FromZero, "is logarithmic but starts at 0: start it above 0, or make it linear"),
        (Beyond, "beyond is 5, but must be at most 4: beyond its limit"),
    ],
)
def test_sliders_that_cannot_be(blurred: live.LiveFigure, sliders: type[Parameters], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(blurred, sliders=sliders)


def test_a_state_needs_steps_and_steps_a_state(averaged: live.LiveFigure) -> None:
    with pytest.raises(ValueError, match="has a state but no steps: an iterative figure declares both"):
        changed(averaged, steps="")
    with pytest.raises(ValueError, match="has steps but no state: an iterative figure declares both"):
        changed(averaged, state={})


@pytest.mark.parametrize("steps", ["noise", "iterations"])
def test_steps_are_a_slider_of_whole_numbers(averaged: live.LiveFigure, steps: str) -> None:
    with pytest.raises(
        ValueError, match=rf"'{steps}', which is not a slider of whole numbers: name one of \['frames'\]"
    ):
        changed(averaged, steps=steps)


def test_draws_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="kind is 'poisson', but must be 'uniform' or 'normal'"):
        live.Draw("poisson", (3,))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"shape is \(3, 0\), but every length must be at least 1"):
        live.Draw("normal", (3, 0))


def test_only_parameters_with_a_slider_or_choices_become_controls(blurred: live.LiveFigure) -> None:
    assert [control.name for control in blurred.controls] == ["width_px", "photons", "levels", "shape"]


def test_outputs_are_what_the_panels_read(blurred: live.LiveFigure) -> None:
    assert blurred.outputs == ("image", "pixel", "bottom", "top", "x", "counts", "levels", "points")


def test_an_output_that_is_not_returned_is_named(blurred: live.LiveFigure) -> None:
    wrong = changed(blurred, panels=(*blurred.panels, live.ImagePanel(output="imgae", title="Image")))
    with pytest.raises(ValueError, match=r"its panels also read \['imgae'\]: return these too, or correct the panels"):
        live.evaluate(wrong)


def test_a_listing_by_hand_is_not_needed() -> None:
    with pytest.raises(ValueError, match=r"there is no live figure 'nosie_camera': choose one of .*noise_camera"):
        live.load_figure("nosie_camera")


def test_a_module_without_its_figure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from course_lib.live.figures import noise_camera

    monkeypatch.setattr(noise_camera, "FIGURE", torch.zeros(1))
    with pytest.raises(ValueError, match=r"noise_camera must define FIGURE = LiveFigure\(name='noise_camera', ...\)"):
        live.list_figures()


def test_a_start_and_choices_done_at_once_need_steps_and_known_words(
    blurred: live.LiveFigure, averaged: live.LiveFigure
) -> None:
    with pytest.raises(ValueError, match="has a start or choices that are done at once, but does not iterate"):
        changed(blurred, start=lambda sliders, draws, assets: {})
    with pytest.raises(ValueError, match=r"does \['gauss'\] of 'shape' at once, but that control offers \[\]"):
        changed(averaged, at_once={"shape": ("gauss",)})


def test_a_start_returns_the_state_that_is_declared(averaged: live.LiveFigure) -> None:
    wrong = changed(averaged, start=lambda sliders, draws, assets: {"mean": draws["read"][0]})
    with pytest.raises(
        ValueError, match=r"returns {'mean': \(32,\)}, but its state is declared as {'mean': \(32, 32\)}"
    ):
        live.evaluate(wrong)
