"""Tensors in files that appear only when complete, and load without running code."""

import os
import pickle
import secrets
import zipfile
from pathlib import Path
from typing import Any

import torch

__all__ = ["load_tensors", "save_tensors"]


def save_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers, words, lists and dictionaries; an older file is replaced by a complete one."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}: make it first, or check the spelling.")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with beside.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise OSError(f"{path} could not be written: {error.strerror or error}; what was there is kept.") from error
    finally:
        beside.unlink(missing_ok=True)


def load_tensors(path: Path, *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save_tensors` wrote; nothing in the file is executed."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: check the spelling.")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is damaged, or not a file of this course: take another copy, or train again."
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} holds a {type(content).__name__}, but not what this course writes: take another file."
        )
    return content
