r"""Write a trained model as ONNX, for programs that know nothing of torch or of this course.

Fiji, QuPath, napari, a browser or a microscope's own software can run the file. It takes the image in its unit, such as
photons, and gives the answer in its unit: the normalization is part of the graph, so that nobody can forget it. What
the graph cannot do is cut an image into tiles. Its sides must be whole multiples of the network's ``steps``, and who
makes tiles needs its ``halo``; the file's metadata tell both.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_lib.networks._files import check_folder, write_whole
from course_lib.networks.model import Model

__all__ = ["OPSET", "export_onnx", "to_onnx"]

OPSET = 20
"""Version of ONNX's operators: since 2023, and known to onnxruntime 1.17 and later."""
LARGEST_BYTES = 2**31 - 2**20
"""A file of ONNX holds 2 GiB, less room for the graph itself."""
NEEDED = ("onnx", "onnxscript")
AXES = {2: ("y", "x"), 3: ("z", "y", "x")}


def export_onnx(model: Model, path: str | os.PathLike[str]) -> None:
    """Write `model` as an ONNX file.

    The graph's input is ``image``, float32, (N, C, [Z,] Y, X) in the unit of the training's images; its output is
    ``restored``, likewise, and, of a network that tells its errors, ``errors``, the mean absolute error that it expects
    of each value. All sides but C are free; the spatial ones must be whole multiples of the model's
    ``network.config.steps``.

    Parameters
    ----------
    model : Model
        A trained model, 2D or 3D.
    path : str or path
        File to write, ``.onnx``; it has this name only when it is complete.

    Raises
    ------
    ImportError
        If the packages onnx and onnxscript are not installed.
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the name does not end in ``.onnx``, a weight is NaN or infinite, the weights are too large for such a file,
        or torch's exporter does not know a part of the network.
    OSError
        If the file cannot be written; an older one is kept.

    Examples
    --------
    >>> import tempfile
    >>> from course_lib.images import Normalization
    >>> from course_lib.networks import UNet, UNetConfig
    >>> plain = Normalization(offset=0.0, scale=1.0)
    >>> network = UNet(UNetConfig(base_channels=4, depth=1), rng=0)
    >>> model = Model(network=network, method="example", input_normalization=(plain,), output_normalization=(plain,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx(model, folder + "/example.onnx")
    ...     [file.name for file in Path(folder).iterdir()]
    ['example.onnx']
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"path is {path}, but its name must end in .onnx, by which programs know the format.")
    check_folder(path)
    _check_packages()
    _check_weights(model.network)
    config = model.network.config
    steps, names = config.steps, AXES[config.dimensions]
    channels, device = config.in_channels, next(model.network.parameters()).device
    graph = _InUnit(model).eval()
    # 2 images and 3 steps: torch takes a side of 1 in the example for one that is always 1
    example = torch.zeros((2, channels, *(3 * step for step in steps)), device=device)
    free = {0: torch.export.Dim("n", min=1)}
    for axis, (name, step) in enumerate(zip(names, steps, strict=True), start=2):
        free[axis] = step * torch.export.Dim(f"{name}_over_{step}", min=1) if step > 1 else torch.export.Dim(name)
    outputs = ["restored"] if config.gives == "values" else ["restored", "errors"]
    try:
        proto = to_onnx(graph, {"image": example}, outputs, dynamic_shapes={"image": free})
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(
            f"torch {torch.__version__} cannot write this network, {config}, as ONNX: predict with Model.predict, or "
            f"train one of other settings."
        ) from error
    for key, value in _description(model).items():
        proto.metadata_props.add(key=key, value=value)
    write_whole(path, proto.SerializeToString(deterministic=True))


class _InUnit(nn.Module):
    """The network with the normalization around it: values in their unit on both sides."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network, self.out_channels = model.network, model.network.config.out_channels
        dimensions, device = model.network.config.dimensions, next(model.network.parameters()).device
        for name, each in (("input", model.input_normalization), ("output", model.output_normalization)):
            for part in ("offset", "scale"):
                numbers = torch.tensor([getattr(one, part) for one in each], dtype=torch.float32, device=device)
                self.register_buffer(f"{name}_{part}", numbers.reshape(-1, *(1,) * dimensions))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the values, and the errors if there are any."""
        given = self.network((image - self.get_buffer("input_offset")) / self.get_buffer("input_scale"))
        scale = self.get_buffer("output_scale")
        values = given[:, : self.out_channels] * scale + self.get_buffer("output_offset")
        if self.network.config.gives == "values":
            return (values,)
        return values, given[:, self.out_channels :] * scale


def _check_packages() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"writing ONNX needs {' and '.join(missing)}: install {' '.join(NEEDED)} with pip, or the course with its "
            f"extra 'book'."
        )


def _check_weights(network: nn.Module) -> None:
    size = 0
    for name, values in network.state_dict().items():
        size += 4 * values.numel()
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f"the weights {name} have values that are NaN or infinite: train again.")
    if size > LARGEST_BYTES:
        raise ValueError(
            f"the network has {size / 2**30:.1f} GiB of weights, but an ONNX file holds less than 2 GiB: train a "
            f"network of fewer base_channels."
        )


def _description(model: Model) -> dict[str, str]:
    """Return what tiling needs, and where the file comes from: words by name."""
    config = model.network.config
    return {
        "method": model.method,
        "library": f"deep-learning-microscopy-course {version('deep-learning-microscopy-course')}",
        "axes": ",".join(("n", "c", *AXES[config.dimensions])),
        "steps": ",".join(map(str, config.steps)),
        "halo": ",".join(map(str, config.halo)),
    }


def to_onnx(
    graph: nn.Module,
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    dynamic_shapes: Mapping[str, Any] | None = None,
) -> Any:
    """Export a module to ONNX's own object, without traces of this machine; the same module gives the same bytes.

    Parameters
    ----------
    graph : torch.nn.Module
        In evaluation mode.
    inputs : mapping
        Its arguments by name.
    outputs : sequence of str
        Names of what it returns.
    names : sequence of str, optional
        Names of the inputs in the file; by default those of the arguments.
    dynamic_shapes : mapping, optional
        See `torch.onnx.export`.

    Returns
    -------
    onnx.ModelProto
        Checked.
    """
    import onnx

    with _quiet_exporter():
        program = torch.onnx.export(
            graph,
            kwargs=dict(inputs),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs if names is None else names),
            output_names=list(outputs),
            dynamic_shapes=None if dynamic_shapes is None else dict(dynamic_shapes),
            external_data=False,
            verbose=False,
        )
    assert program is not None  # None only where it was asked to write a file
    proto = program.model_proto
    for node in proto.graph.node:  # the exporter's notes name the folders of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]
    del proto.metadata_props[:]
    onnx.checker.check_model(proto)
    return proto


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
