"""Torch against onnxruntime, for every live figure of the course, at random places of its sliders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from course_lib import live
from course_lib.live.draws import draw_numbers
from course_lib.live.graph import export_graph, export_start
from course_lib.live.run import check_values, first_step
from course_lib.parameters import Parameter

FIGURES = {figure.name: figure for figure in live.list_figures()}
POSITIONS = 5


def somewhere(control: Parameter, rng: np.random.Generator) -> Any:
    """Draw a place of the control."""
    if control.slider is None:
        return str(rng.choice(control.choices))
    low, high = control.slider
    where = rng.random()
    value = low * (high / low) ** where if control.scale == "log" else low + (high - low) * where
    return round(value) if isinstance(control.default, int) else value


def run_graph(figure: live.LiveFigure, graph: bytes, values: Any, seed: int) -> Any:
    """Do in Python what the page's worker does."""
    session, start = opened(graph), opened(export_start(figure)) if figure.start else None
    feeds = {
        f"slider_{c.name}": np.float32(c.choices.index(values[c.name]) if c.choices else values[c.name])
        for c in figure.controls
    }

    def draw(step: int) -> Any:
        return {
            f"draw_{name}": draw_numbers(draw, seed=seed, index=index, step=step)
            for index, (name, draw) in enumerate(figure.draws.items())
        }

    state = run(start, feeds | draw(0)) if start else {name: tensor.numpy() for name, tensor in figure.state.items()}
    results: dict[str, Any] = {}
    for step in range(first_step(figure, values), values[figure.steps] if figure.steps else 1):
        handed = {f"state_{name}": array for name, array in state.items()} | {"step": np.float32(step)}
        results = run(session, feeds | handed | ({} if start else draw(step)))
        state = {name: results[f"next_{name}"] for name in state}
    return {name: results[f"output_{name}"] for name in figure.outputs}


def opened(graph: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, feeds: Any) -> dict[str, Any]:
    used = {entry.name: np.asarray(feeds[entry.name], dtype=np.float32) for entry in session.get_inputs()}
    names = [entry.name for entry in session.get_outputs()]
    return dict(zip(names, session.run(names, used), strict=True))


def ends(figure: live.LiveFigure) -> list[dict[str, Any]]:
    """Return the positions with one slider at one of its ends, where an error is 0 or a divisor is."""
    return [
        {control.name: type(control.default)(end)}
        for control in figure.controls
        if control.slider is not None
        for end in control.slider
    ]


def compare(figure: live.LiveFigure, graph: bytes, further: Sequence[Any] = ()) -> None:
    rng = np.random.default_rng(0)
    positions = [{c.name: somewhere(c, rng) for c in figure.controls} for _ in range(POSITIONS)]
    for seed, position in enumerate([*positions, *further]):
        values = check_values(figure, position)
        expected = live.evaluate(figure, values, seed=seed)
        found = run_graph(figure, graph, values, seed)
        for name, tensor in expected.items():
            reference = tensor.numpy()
            finite = reference[np.isfinite(reference)]
            span = float(np.ptp(finite)) if finite.size > 1 else float(np.abs(finite).max(initial=0.0))
            message = f"{name} at {values}, seed {seed}"
            np.testing.assert_allclose(
                found[name], reference, rtol=0, atol=1e-4 * (span or 1.0) + 1e-6, err_msg=message
            )


@pytest.mark.parametrize("name", FIGURES)
def test_both_runtimes_agree_on_every_live_figure(name: str) -> None:
    compare(FIGURES[name], export_graph(FIGURES[name]), ends(FIGURES[name]))


@pytest.fixture(scope="module")
def graphs() -> dict[str, bytes]:
    """Graphs by name, exported once."""
    return {}


def graph_of(figure: live.LiveFigure, graphs: dict[str, bytes]) -> bytes:
    if figure.name not in graphs:
        graphs[figure.name] = export_graph(figure)
    return graphs[figure.name]


def test_both_runtimes_agree_on_transforms_choices_and_draws(
    blurred: live.LiveFigure, graphs: dict[str, bytes]
) -> None:
    compare(blurred, graph_of(blurred, graphs))


def test_both_runtimes_agree_on_an_iteration(averaged: live.LiveFigure, graphs: dict[str, bytes]) -> None:
    compare(averaged, graph_of(averaged, graphs))


def test_the_same_figure_gives_the_same_bytes(averaged: live.LiveFigure, graphs: dict[str, bytes]) -> None:
    assert export_graph(averaged) == graph_of(averaged, graphs)


def test_the_file_names_no_folder_of_this_machine(averaged: live.LiveFigure, graphs: dict[str, bytes]) -> None:
    graph = graph_of(averaged, graphs)
    assert str(Path(live.__file__).parents[1]).encode() not in graph
    assert str(Path(torch.__file__).parent).encode() not in graph
