"""A live figure's declarations as JSON: all that the front end knows of it."""

import dataclasses
import math
from typing import Any

import matplotlib as mpl

from course_lib.live.declare import CurvePanel, ImagePanel, LiveFigure, NumberPanel, Panel, Tensors
from course_lib.parameters import Parameter

__all__ = ["color_table", "manifest"]

_KINDS = {ImagePanel: "image", CurvePanel: "curves", NumberPanel: "numbers"}


def color_table(name: str) -> str:
    """Return the 256 colours of a colour map of matplotlib as one string of hexadecimal digits."""
    rgba = mpl.colormaps[name](range(256), bytes=True)
    return bytes(rgba[:, :3].ravel()).hex()


def _step(control: Parameter, low: float, high: float) -> float:
    """Take the declared step, or 1, 2 or 5 times a power of ten so that the slider has 50 to 150 steps."""
    if control.step is not None:
        return control.step
    wished = (high - low) / 100
    power = 10 ** math.floor(math.log10(wished))
    step = float(min((1, 2, 5, 10), key=lambda digit: abs(math.log(digit * power / wished))) * power)
    return max(1.0, step) if isinstance(control.default, int) else step


def _control(control: Parameter) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": control.name, "label": control.meaning, "unit": control.unit}
    if control.slider is None:
        return {**entry, "value": control.default, "choices": list(control.choices)}
    low, high = control.slider
    return {
        **entry,
        "value": control.default,
        "low": low,
        "high": high,
        "step": _step(control, low, high),
        "scale": control.scale,
        "whole": isinstance(control.default, int),
    }


def _panel(panel: Panel) -> dict[str, Any]:
    return {"kind": _KINDS[type(panel)], **dataclasses.asdict(panel)}


def manifest(figure: LiveFigure, outputs: Tensors) -> dict[str, Any]:
    """Describe `figure`, and the shapes of its `outputs`, in plain dictionaries, lists, numbers and strings."""
    maps = {panel.color_map for panel in figure.panels if isinstance(panel, ImagePanel)}
    return {
        "name": figure.name,
        "title": figure.title,
        "caption": figure.caption,
        "alt": figure.alt,
        "sliders": [_control(control) for control in figure.controls],
        "draws": [{"name": name, **dataclasses.asdict(draw)} for name, draw in figure.draws.items()],
        "panels": [_panel(panel) for panel in figure.panels],
        "state": [{"name": name, "shape": list(initial.shape)} for name, initial in figure.state.items()],
        "steps": figure.steps,
        "start": figure.start is not None,
        "at_once": {name: list(words) for name, words in figure.at_once.items()},
        "outputs": [{"name": name, "shape": list(tensor.shape)} for name, tensor in outputs.items()],
        "colors": {name: color_table(name) for name in sorted(maps)},
    }
