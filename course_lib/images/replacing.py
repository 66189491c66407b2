"""A file that is complete, or not there."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a temporary file beside `path`, and put it there when all is written; an older file stays until then."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(
            f"{path} could not be written: {error.strerror or error}. An older file there is as it was; "
            f"free space, or write to another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
