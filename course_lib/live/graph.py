"""Export a live figure's torch function to an ONNX graph."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import onnx
import torch

from course_lib.live.declare import LiveFigure, Tensors
from course_lib.live.run import asset_tensors, check_values, chosen, draw_tensors, initial_state, slider_tensors

__all__ = ["export_graph"]

_CPU = torch.device("cpu")
_OPSET = 20


class _Graph(torch.nn.Module):
    """The figure's function with its dictionaries spread out, in the order of the declarations."""

    def __init__(self, figure: LiveFigure) -> None:
        super().__init__()
        self.figure = figure
        for name, tensor in asset_tensors(figure, _CPU).items():
            self.register_buffer(f"asset_{name}", tensor)

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        def part(prefix: str) -> Tensors:
            return {n.removeprefix(prefix): t for n, t in inputs.items() if n.startswith(prefix)}

        assets = {name: self.get_buffer(f"asset_{name}") for name in self.figure.assets}
        arguments = (part("slider_"), part("draw_"), assets)
        if not self.figure.state:
            return tuple(chosen(self.figure, self.figure.function(*arguments)).values())
        state, outputs = self.figure.function(*arguments, part("state_"), inputs["step"])
        return (
            *chosen(self.figure, outputs).values(),
            *(state[name].to(torch.float32) for name in self.figure.state),
        )


def example_inputs(figure: LiveFigure) -> Tensors:
    """Return the graph's inputs at the default values and seed 0, by the names they have in the graph."""
    inputs = {f"slider_{n}": t for n, t in slider_tensors(figure, check_values(figure, {}), _CPU).items()}
    inputs |= {f"draw_{n}": t for n, t in draw_tensors(figure, seed=0, step=0, device=_CPU).items()}
    if figure.state:
        inputs |= {f"state_{n}": t for n, t in initial_state(figure, _CPU).items()}
        inputs["step"] = torch.tensor(0.0)
    return inputs


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence torch's exporter: in every export it regrets that torchvision is not there, and its own old calls."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


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
    inputs = example_inputs(figure)
    outputs = [f"output_{name}" for name in figure.outputs] + [f"next_{name}" for name in figure.state]
    with _quiet_exporter():
        program = torch.onnx.export(
            _Graph(figure).eval(),
            kwargs={"inputs": inputs},
            dynamo=True,
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=outputs,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # None only where it was asked to write a file
    model = program.model_proto
    for node in model.graph.node:  # the exporter's notes name the folders of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString(deterministic=True)
    return written
