"""Where a file comes from: the program and the command that are at work, which every file they write carries.

A command of the shell says once what it is; what writes files asks here. In a notebook there is no command, and files
carry nothing but what they are told.
"""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from course_lib import __version__

__all__ = ["PROGRAM", "of_command", "record"]

PROGRAM = f"deep-learning-microscopy-course {__version__}"
_command: ContextVar[str] = ContextVar("command", default="")


@contextmanager
def of_command(words: Sequence[str]) -> Iterator[None]:
    """Say that what is written meanwhile comes from a command of the shell.

    Examples
    --------
    >>> with of_command(["course", "segment", "my cells.tif"]):
    ...     record()["command"]
    "course segment 'my cells.tif'"
    >>> record()
    {}
    """
    token = _command.set(shlex.join(words))
    try:
        yield
    finally:
        _command.reset(token)


def record() -> dict[str, str]:
    """Return `program`, with its version, and `command`; nothing where no command is at work."""
    command = _command.get()
    return {"program": PROGRAM, "command": command} if command else {}
