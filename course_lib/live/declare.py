"""What a live figure declares: its sliders, its random draws, its panels and one torch function."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from course_lib.parameters import Parameter, Parameters

__all__ = [
    "Curve",
    "CurvePanel",
    "Draw",
    "ImagePanel",
    "LiveFigure",
    "Number",
    "NumberPanel",
    "Panel",
    "Tensors",
]

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Draw:
    """Random numbers that the host passes in: a kind and a shape.

    Examples
    --------
    >>> Draw("uniform", (128, 128))
    Draw(kind='uniform', shape=(128, 128))
    """

    kind: Literal["uniform", "normal"]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the kind and the shape."""
        if self.kind not in ("uniform", "normal"):
            raise ValueError(f"a draw's kind is {self.kind!r}, but must be 'uniform' or 'normal'.")
        if any(length < 1 for length in self.shape):
            raise ValueError(f"a draw's shape is {self.shape}, but every length must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class ImagePanel:
    """An output of shape (Y, X), drawn with a colour bar and, where the pixel size is known, a scale bar.

    Attributes
    ----------
    output : str
        Name of the output.
    title : str
        Heading of the panel.
    unit : str
        Unit of the values, for example ``"e⁻"``.
    pixel_size_um : float, str or None
        Side of a pixel, or the name of the output that gives it; None for no scale bar.
    value_range : tuple of float, tuple of str or None
        Values at the two ends of the colour map: fixed, or the names of two outputs, or, for None, the
        extremes of the image.
    color_map : str
        A colour map of matplotlib that becomes steadily lighter, so that it can be read in grey.
    """

    output: str
    title: str
    unit: str = ""
    pixel_size_um: float | str | None = None
    value_range: tuple[float, float] | tuple[str, str] | None = None
    color_map: Literal["gray", "magma", "viridis", "inferno", "cividis"] = "gray"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all outputs that the panel reads."""
        named = (self.pixel_size_um, *(self.value_range or ()))
        return (self.output, *(name for name in named if isinstance(name, str)))


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One curve of a `CurvePanel`: an output as long as the panel's x, or as its own `x`.

    A single point over its own x, with ``style="points"``, marks where the sliders stand.
    """

    output: str
    label: str
    style: Literal["line", "dashed", "dotted", "points", "bars"] = "line"
    x: str | None = None


@dataclass(frozen=True, kw_only=True)
class CurvePanel:
    """Curves over one x axis; a range is fixed, or None for that of the data."""

    x: str
    curves: tuple[Curve, ...]
    title: str
    x_label: str
    y_label: str
    x_scale: Literal["linear", "log"] = "linear"
    y_scale: Literal["linear", "log"] = "linear"
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all outputs that the panel reads."""
        own = (curve.x for curve in self.curves if curve.x is not None)
        return (self.x, *own, *(curve.output for curve in self.curves))


@dataclass(frozen=True, kw_only=True)
class Number:
    """One read-out: an output of a single element, with its label, unit and number of decimals."""

    output: str
    label: str
    unit: str = ""
    digits: int = 1


@dataclass(frozen=True, kw_only=True)
class NumberPanel:
    """A column of read-outs."""

    numbers: tuple[Number, ...]
    title: str = "Read-outs"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all outputs that the panel reads."""
        return tuple(number.output for number in self.numbers)


Panel = ImagePanel | CurvePanel | NumberPanel


@dataclass(frozen=True, kw_only=True, eq=False)
class LiveFigure:
    """One torch function with its sliders and panels; runs in the kernel and, exported, in the browser.

    Attributes
    ----------
    name : str
        Its name in lower case with underscores: the name of its module, its folder and its address.
    title, caption : str
        Heading, and what is to be seen and tried.
    alt : str
        The picture in words, for those who cannot see it.
    sliders : type of Parameters
        The parameters that have a ``slider`` range or ``choices`` become controls, in the order of declaration.
    function : callable
        Without `state`: ``function(sliders, draws, assets) -> outputs``. With `state`, one step of an iteration:
        ``function(sliders, draws, assets, state, step) -> (state, outputs)``. All are dictionaries of tensors but
        `step`, which counts from 0; sliders and step are float32 tensors without axes (a choice is its place in
        the list). The function is pure: the same tensors give the same result, and no Python ``if`` looks at values.
    panels : tuple of ImagePanel, CurvePanel or NumberPanel
        What is drawn.
    draws : mapping of str to Draw
        Random numbers made by the host; an iterative figure gets fresh ones in every step.
    assets : mapping of str to callable
        Constants, for example a real image: each callable returns a float tensor, which is baked into the graph.
    state : mapping of str to Tensor
        What one step hands to the next, as it is before the first.
    steps : str
        Name of the slider that gives the number of steps of an iterative figure.
    start : callable or None
        ``start(sliders, draws, assets) -> state``, for an iterative figure whose state before the first step depends
        on the sliders or the draws: `state` then tells only names and shapes. The draws are made once, for it, and
        the steps get none.
    at_once : mapping of str to tuple of str
        Choices, by the name of their control, with which the last step alone gives what all of them give.

    Raises
    ------
    ValueError
        Where the declaration contradicts itself; the message tells which part.
    """

    name: str
    title: str
    caption: str
    alt: str
    sliders: type[Parameters]
    function: Callable[..., Any]
    panels: tuple[Panel, ...]
    draws: Mapping[str, Draw] = field(default_factory=dict)
    assets: Mapping[str, Callable[[], torch.Tensor]] = field(default_factory=dict)
    state: Mapping[str, torch.Tensor] = field(default_factory=dict)
    steps: str = ""
    start: Callable[[Tensors, Tensors, Tensors], Tensors] | None = None
    at_once: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the parts of the declaration against each other."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(
                f"a live figure's name is {self.name!r}, but must be lower case words joined by '_', "
                f"for example 'noise_camera'."
            )
        for part in ("title", "caption", "alt"):
            if not getattr(self, part).strip():
                raise ValueError(f"live figure {self.name!r} has no {part}: write one, for people.")
        if not self.panels:
            raise ValueError(f"live figure {self.name!r} has no panels: declare at least one.")
        if not self.controls:
            raise ValueError(
                f"live figure {self.name!r} has no controls: give at least one parameter of "
                f"{self.sliders.__name__} a slider range or choices."
            )
        for control in self.controls:
            self._check_control(control)
        if bool(self.state) != bool(self.steps):
            raise ValueError(
                f"live figure {self.name!r} has {'a state' if self.state else 'steps'} but no "
                f"{'steps' if self.state else 'state'}: an iterative figure declares both."
            )
        counts = [control.name for control in self.controls if isinstance(control.default, int)]
        if self.steps and self.steps not in counts:
            raise ValueError(
                f"live figure {self.name!r} takes its steps from {self.steps!r}, which is not a slider of whole "
                f"numbers: name one of {counts}, or declare one with a default of type int."
            )
        if (self.start or self.at_once) and not self.steps:
            raise ValueError(
                f"live figure {self.name!r} has a start or choices that are done at once, but does not iterate: "
                f"declare its state and steps, or leave these out."
            )
        choices = {control.name: control.choices for control in self.controls}
        for name, words in self.at_once.items():
            if unknown := [word for word in words if word not in choices.get(name, ())]:
                raise ValueError(
                    f"live figure {self.name!r} does {unknown} of {name!r} at once, but that control offers "
                    f"{list(choices.get(name, ()))}: name some of these."
                )

    def _check_control(self, control: Parameter) -> None:
        if control.slider is None:
            return
        low, high = control.slider
        if not low <= control.default <= high:
            raise ValueError(
                f"slider {control.name!r} of live figure {self.name!r} starts at {control.default:g}, outside its "
                f"range {low:g} to {high:g}: widen the range or change the default."
            )
        if control.scale == "log" and low <= 0:
            raise ValueError(
                f"slider {control.name!r} of live figure {self.name!r} is logarithmic but starts at {low:g}: "
                f"start it above 0, or make it linear."
            )
        control.check(low)
        control.check(high)

    @property
    def controls(self) -> tuple[Parameter, ...]:
        """The parameters that the reader can change."""
        return tuple(p for p in self.sliders.declared() if p.slider is not None or p.choices)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs that the panels read, each once."""
        return tuple(dict.fromkeys(name for panel in self.panels for name in panel.outputs))
