"""Run a live figure with torch: what the kernel, the poster and the tests do."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch

from course_lib import devices
from course_lib.live.declare import LiveFigure, Tensors
from course_lib.live.draws import draw_numbers

__all__ = ["advance", "check_values", "evaluate", "first_step", "initial_state"]

Values = Mapping[str, Any]


def check_values(figure: LiveFigure, values: Values) -> dict[str, Any]:
    """Return a value for every control: those given, checked, and the defaults of the others.

    Raises
    ------
    ValueError
        If a value is outside its limits, or belongs to no control.
    """
    defaults = {control.name: control.default for control in figure.controls}
    for name in values:
        if name not in defaults:
            raise ValueError(f"{name!r} is no slider of live figure {figure.name!r}: it has {', '.join(defaults)}.")
    figure.sliders(**values)
    return {**defaults, **values}


def slider_tensors(figure: LiveFigure, values: Values, device: torch.device) -> Tensors:
    """Turn the values of the controls into tensors without axes; a choice becomes its place in the list."""
    return {
        control.name: torch.tensor(
            float(control.choices.index(values[control.name]) if control.choices else values[control.name]),
            device=device,
        )
        for control in figure.controls
    }


def draw_tensors(figure: LiveFigure, *, seed: int, step: int, device: torch.device) -> Tensors:
    """Make the figure's random numbers for one step."""
    return {
        name: torch.from_numpy(draw_numbers(draw, seed=seed, index=index, step=step)).to(device)
        for index, (name, draw) in enumerate(figure.draws.items())
    }


@lru_cache(maxsize=32)
def asset_tensors(figure: LiveFigure, device: torch.device) -> Tensors:
    """Load the figure's constants once."""
    return {name: load().to(device) for name, load in figure.assets.items()}


def initial_state(figure: LiveFigure, *, values: Values, seed: int, device: torch.device) -> Tensors:
    """Return the state before the first step."""
    if figure.start is None:
        return {name: tensor.to(device) for name, tensor in figure.state.items()}
    draws = draw_tensors(figure, seed=seed, step=0, device=device)
    with torch.no_grad(), device:
        return started(
            figure, figure.start(slider_tensors(figure, values, device), draws, asset_tensors(figure, device))
        )


def started(figure: LiveFigure, state: Tensors) -> Tensors:
    """Put the state that the figure's start returned into the declared order.

    Raises
    ------
    ValueError
        If its names or shapes are not those that the figure declares.
    """
    declared = {name: tuple(tensor.shape) for name, tensor in figure.state.items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if found != declared:
        raise ValueError(
            f"the start of live figure {figure.name!r} returns {found}, but its state is declared as {declared}: "
            f"make them the same."
        )
    return {name: state[name].to(torch.float32) for name in figure.state}


def first_step(figure: LiveFigure, values: Values) -> int:
    """Return the step to begin with: 0, or the last one where a choice lets it stand for all."""
    at_once = any(values[name] in words for name, words in figure.at_once.items())
    return int(values[figure.steps]) - 1 if at_once else 0


def chosen(figure: LiveFigure, outputs: Tensors) -> Tensors:
    """Keep what the panels read, as float32.

    Raises
    ------
    ValueError
        If the function did not return an output that a panel reads.
    """
    missing = [name for name in figure.outputs if name not in outputs]
    if missing:
        raise ValueError(
            f"the function of live figure {figure.name!r} returns {sorted(outputs)}, but its panels also read "
            f"{missing}: return these too, or correct the panels."
        )
    return {name: outputs[name].to(torch.float32) for name in figure.outputs}


def advance(
    figure: LiveFigure, *, values: Values, seed: int, state: Tensors, first: int, last: int, device: torch.device
) -> tuple[Tensors, Tensors]:
    """Run the steps from `first` up to but without `last`; a figure that does not iterate has one step.

    Returns
    -------
    state, outputs : dict of Tensor
        The state after the last step, and its outputs on the CPU.
    """
    sliders = slider_tensors(figure, values, device)
    assets = asset_tensors(figure, device)
    outputs: Tensors = {}
    with torch.no_grad(), device:  # what the function itself creates, such as an arange, lies there too
        for step in range(first, last):
            draws = {} if figure.start else draw_tensors(figure, seed=seed, step=step, device=device)
            if figure.state:
                count = torch.tensor(float(step), device=device)
                state, outputs = figure.function(sliders, draws, assets, state, count)
            else:
                outputs = figure.function(sliders, draws, assets)
    return state, {name: tensor.cpu() for name, tensor in chosen(figure, outputs).items()}


def evaluate(
    figure: LiveFigure,
    values: Values | None = None,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Tensors:
    """Compute what the figure shows.

    Parameters
    ----------
    figure : LiveFigure
        The figure.
    values : mapping of str to float, int or str
        Values of the controls; those left out have their defaults.
    seed : int
        Seed of the random draws.
    device : str or torch.device
        Where to compute.

    Returns
    -------
    dict of str to Tensor
        The outputs that the panels read, float32, on the CPU; of the last step if the figure iterates.

    Raises
    ------
    ValueError
        If a value is outside its limits, or belongs to no control.
    """
    values = check_values(figure, values or {})
    where = devices.resolve(device)
    steps = int(values[figure.steps]) if figure.steps else 1
    state = initial_state(figure, values=values, seed=seed, device=where)
    first = first_step(figure, values)
    return advance(figure, values=values, seed=seed, state=state, first=first, last=steps, device=where)[1]
