"""Tensors in files that appear only when complete, and load without running code."""

import io
import os
import pickle
import secrets
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["check_folder", "load_tensors", "save_tensors", "write_whole"]


def save_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers, words, lists and dictionaries; an older file is replaced by a complete one."""
    check_folder(path)
    packed = io.BytesIO()
    torch.save(_plain(content, path.name), packed)
    write_whole(path, packed.getbuffer())


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file that has its name only when it is complete; an older one is kept until then."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise OSError(f"{path} could not be written: {error.strerror or error}; what was there is kept.") from error
    finally:
        beside.unlink(missing_ok=True)


def check_folder(path: Path) -> None:
    """Raise unless the folder of `path` is there."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}: make it first, or check the spelling.")


def load_tensors(path: Path) -> dict[str, Any]:
    """Read what `save_tensors` wrote, onto the CPU; nothing in the file is executed."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: check the spelling.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is damaged, or not a file of this course: take another copy, or train again."
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} holds a {type(content).__name__}, but not what this course writes: take another file."
        )
    return content


def _plain(value: Any, name: str) -> Any:
    """Return what loads again without running code: NumPy's numbers as Python's, paths as words."""
    if isinstance(value, dict):
        return {key: _plain(one, f"{name}, {key}") for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, name) for one in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, torch.Tensor | str | int | float):
        return value
    raise TypeError(
        f"{name} is a {type(value).__name__}, but only tensors, numbers and words can be written to a file: "
        f"convert it first."
    )
