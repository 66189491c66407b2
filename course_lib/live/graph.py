"""Export a live figure's torch functions to ONNX graphs."""

from collections.abc import Mapping

import torch

from course_lib.live.declare import LiveFigure, Tensors
from course_lib.live.run import (
    asset_tensors,
    check_values,
    chosen,
    draw_tensors,
    initial_state,
    slider_tensors,
    started,
)
from course_lib.networks.onnx_export import to_onnx

__all__ = ["export_graph", "export_start"]

_CPU = torch.device("cpu")


class _Graph(torch.nn.Module):
    """The figure's function with its dictionaries spread out, in the order of the declarations."""

    def __init__(self, figure: LiveFigure) -> None:
        super().__init__()
        self.figure = figure
        for name, tensor in asset_tensors(figure, _CPU).items():
            self.register_buffer(f"asset_{name}", tensor)

    def arguments(self, inputs: Mapping[str, torch.Tensor]) -> tuple[Tensors, Tensors, Tensors]:
        assets = {name: self.get_buffer(f"asset_{name}") for name in self.figure.assets}
        return _part(inputs, "slider_"), _part(inputs, "draw_"), assets

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        if not self.figure.state:
            return tuple(chosen(self.figure, self.figure.function(*self.arguments(inputs))).values())
        state, outputs = self.figure.function(*self.arguments(inputs), _part(inputs, "state_"), inputs["step"])
        return (
            *chosen(self.figure, outputs).values(),
            *(state[name].to(torch.float32) for name in self.figure.state),
        )


class _Start(_Graph):
    """The figure's start, likewise."""

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        assert self.figure.start is not None
        return tuple(started(self.figure, self.figure.start(*self.arguments(inputs))).values())


def _part(inputs: Mapping[str, torch.Tensor], prefix: str) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in inputs.items() if name.startswith(prefix)}


def slider_inputs(figure: LiveFigure) -> Tensors:
    """Return the sliders' inputs at the default values, by the names they have in the graph."""
    return {f"slider_{n}": t for n, t in slider_tensors(figure, check_values(figure, {}), _CPU).items()}


def draw_inputs(figure: LiveFigure) -> Tensors:
    """Return the draws' inputs at seed 0."""
    return {f"draw_{n}": t for n, t in draw_tensors(figure, seed=0, step=0, device=_CPU).items()}


def state_inputs(figure: LiveFigure) -> Tensors:
    """Return the state's inputs before the first step; none if the figure does not iterate."""
    if not figure.state:
        return {}
    state = initial_state(figure, values=check_values(figure, {}), seed=0, device=_CPU)
    return {**{f"state_{n}": t for n, t in state.items()}, "step": torch.tensor(0.0)}


def export_graph(figure: LiveFigure) -> bytes:
    """Export `figure` (one step of it, if it iterates) as an ONNX file.

    Inputs are named ``slider_NAME``, ``draw_NAME``, ``state_NAME`` and ``step``, outputs ``output_NAME`` and
    ``next_NAME``; all are float32. The same figure gives the same bytes.

    Returns
    -------
    bytes
        The file.

    Notes
    -----
    Torch's exporter knows no ``fft.fftfreq`` (make it an asset), ``erfinv``, ``lgamma``, ``median``, ``searchsorted``,
    ``amax`` without an axis (take ``max``) and no Bessel functions; in float64 onnxruntime has neither ``erf`` nor
    convolution. The other float64 arithmetic, comparisons, sums, sorting and Fourier transforms work.
    """
    inputs = {**slider_inputs(figure), **({} if figure.start else draw_inputs(figure)), **state_inputs(figure)}
    outputs = [f"output_{name}" for name in figure.outputs] + [f"next_{name}" for name in figure.state]
    return _export(_Graph(figure), inputs, outputs)


def export_start(figure: LiveFigure) -> bytes:
    """Export the start of an iterative `figure` as an ONNX file, from ``slider_NAME`` and ``draw_NAME`` to ``NAME``."""
    return _export(_Start(figure), {**slider_inputs(figure), **draw_inputs(figure)}, list(figure.state))


def _export(graph: _Graph, inputs: Tensors, outputs: list[str]) -> bytes:
    graph.eval()(inputs)  # loads what is loaded on first use, which the exporter cannot follow
    proto = to_onnx(graph, {"inputs": inputs}, outputs, names=list(inputs))
    written: bytes = proto.SerializeToString(deterministic=True)
    return written
