"""Write everything that the published pages need to run the live figures without a server."""

import gzip
import hashlib
import inspect
import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from course_lib.live import front
from course_lib.live.declare import LiveFigure, Tensors
from course_lib.live.graph import export_graph, export_start
from course_lib.live.listing import list_figures
from course_lib.live.manifest import manifest
from course_lib.live.poster import poster
from course_lib.live.run import evaluate

__all__ = ["export_all"]

_LIBRARY = Path(__file__).parents[1]
_TOOLS = ("torch", "onnx", "onnxscript", "matplotlib", "numpy")


def _library_files() -> Iterable[Path]:
    for pattern in ("**/*.py", "**/registry.toml"):
        yield from sorted(_LIBRARY.glob(pattern))
    yield from sorted(_LIBRARY.parent.glob("data/registry.toml"))


def _fingerprint(figure: LiveFigure) -> str:
    """Hash all that the export depends on: the library, the figure's own module and the tools."""
    digest = hashlib.sha256()
    for path in (*_library_files(), Path(inspect.getfile(figure.function))):
        digest.update(path.read_bytes())
    for tool in _TOOLS:
        digest.update(f"{tool} {version(tool)}".encode())
    return digest.hexdigest()


def _packed(tensors: Tensors) -> bytes:
    """Join the tensors' float32 values, in their order, and compress them."""
    values = [np.ascontiguousarray(tensor.numpy(), dtype=np.float32).tobytes() for tensor in tensors.values()]
    return gzip.compress(b"".join(values), mtime=0)


def _rounded(outputs: Tensors) -> Tensors:
    """Keep 9 of the 24 binary digits of images, enough to be drawn in 256 shades, so that they compress well."""
    mask = np.uint32(0xFFFF8000)
    return {
        name: torch.from_numpy((tensor.numpy().view(np.uint32) & mask).view(np.float32)) if tensor.ndim > 1 else tensor
        for name, tensor in outputs.items()
    }


def _export(figure: LiveFigure, folder: Path, fingerprint: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    first = evaluate(figure)
    description = {**manifest(figure, first), "source": fingerprint}
    (folder / "model.onnx").write_bytes(export_graph(figure))
    (folder / "poster.png").write_bytes(poster(figure, first))
    (folder / "first.bin.gz").write_bytes(_packed(_rounded(first)))
    if figure.start:
        (folder / "start.onnx").write_bytes(export_start(figure))
    elif figure.state:
        (folder / "state.bin.gz").write_bytes(_packed(dict(figure.state)))
    # last, because it carries the fingerprint that declares the folder complete
    (folder / "manifest.json").write_text(json.dumps(description, ensure_ascii=False), encoding="utf-8")


def _exported_from(folder: Path) -> str:
    """Return the fingerprint of what was exported into `folder`; empty where that was nothing whole."""
    try:
        return str(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["source"])
    except (FileNotFoundError, json.JSONDecodeError):
        return ""


def export_all(folder: Path, *, chosen: Iterable[LiveFigure] | None = None) -> list[str]:
    """Export the live figures and the front end into `folder`.

    For each figure a folder of its name: ``model.onnx``, ``manifest.json`` (its declarations), ``first.bin.gz`` (the
    outputs at the default values, which the page draws before anything runs), ``poster.png`` and, if it iterates,
    ``state.bin.gz`` or ``start.onnx``. Beside them ``live.mjs``, ``worker.mjs`` and ``live.css``. A figure whose
    sources have not changed is left as it is.

    Parameters
    ----------
    folder : pathlib.Path
        Where to write; made if missing.
    chosen : iterable of LiveFigure
        The figures; None takes all of the course.

    Returns
    -------
    list of str
        Names of the figures that were written anew.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("live.mjs", front.page_script()),
        ("worker.mjs", front.worker_script()),
        ("live.css", front.style()),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    written = []
    for figure in list_figures() if chosen is None else chosen:
        fingerprint = _fingerprint(figure)
        if _exported_from(folder / figure.name) == fingerprint:
            continue
        _export(figure, folder / figure.name, fingerprint)
        written.append(figure.name)
    return written
