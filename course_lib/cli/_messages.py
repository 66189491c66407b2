"""What a command tells: warnings when they come, and flags where the library names its parameters."""

import functools
import re
import sys
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from course_lib.cli._flag_name import flag

__all__ = ["EXPECTED", "as_flags", "tell", "told_at_once", "words_of"]

EXPECTED = (ValueError, TypeError, OSError, MemoryError)
"""Errors of what was given: they are told in one line. Any other is a mistake of the program."""

ALIASES = {"rng": "seed", "noise_to_signal": "regularization"}
"""Parameters whose flag has another name."""
REMEDIES = (
    ("axes", r"axes[= ]'(\w+)'", r"--axes \1"),
    ("axes", r"pass axes with", "pass --axes with"),
    ("series", r"series=(\d+)", r"--series \1"),
    ("overwrite", r"pass overwrite=True", "add --overwrite"),
    ("overwrite", r"overwrite=True", "--overwrite"),
    ("boundary", r"boundary='(\w+)'", r"--boundary \1"),
    ("channel", r"(?<!-)\bchannel (\d)", r"--channel \1"),
    ("memory_gib", r"the memory for tiles is", "--memory-gib is"),
    ("method", r"Use richardson_lucy", "Use --method richardson-lucy"),
    ("iterations", r"raise most_iterations.*", "--iterations N goes further, with a number."),
)
"""A parameter, what messages say of it, and what to say if it has a flag."""


def as_flags(text: str, names: Collection[str]) -> str:
    """Name flags where a message of the library names its parameters.

    Parameters
    ----------
    text : str
        The message.
    names : collection of str
        Parameters that have a flag. Those of one word, such as `halo`, are replaced only where the message begins with
        them, because they are words of the language, too.

    Examples
    --------
    >>> as_flags("depth_um is -1 µm, but must be at least 0 µm.", ["depth_um"])
    '--depth-um is -1 µm, but must be at least 0 µm.'
    >>> as_flags("read the file with voxel_size_um=(z, y, x), in µm.", ["voxel_size_um"])
    'read the file with --voxel-size-um z,y,x, in µm.'
    """
    for name, pattern, flags in REMEDIES:
        if name in names:
            text = re.sub(pattern, flags, text)
    named = {name: name for name in names} | {alias: name for alias, name in ALIASES.items() if name in names}
    for name, owner in named.items():
        if "_" in name:
            text = re.sub(rf"(?<![\w-]){name}=\(([^)]*)\)", functools.partial(_with_value, owner), text)
            text = re.sub(rf"(?<![\w-]){name}=", f"{flag(owner)} ", text)
            text = re.sub(rf"(?<![\w-]){name}(?!\w)", flag(owner), text)
        else:
            text = re.sub(rf"^{name}(?= is | ')", flag(owner), text)
    return text


def _with_value(name: str, found: re.Match[str]) -> str:
    return f"{flag(name)} {found[1].replace(' ', '')}"


def words_of(error: BaseException) -> str:
    r"""Return the message of an error in one line.

    Examples
    --------
    >>> words_of(ValueError("two\nlines"))
    'two lines'
    >>> words_of(MemoryError())
    'there is not enough memory: take a part of the image, or close other programs.'
    """
    if isinstance(error, MemoryError):
        more = f" ({error})" if str(error) else ""
        return f"there is not enough memory{more}: take a part of the image, or close other programs."
    return " ".join(str(error).split()) or type(error).__name__


def tell(text: str) -> None:
    """Print a line on stderr, above a progress bar if there is one."""
    tqdm.write(f"course: {text}", file=sys.stderr)


@contextmanager
def told_at_once(names: Collection[str]) -> Iterator[list[str]]:
    """Print each warning when it comes, once, with flags in place of `names`; the list has what was printed."""
    told: list[str] = []

    def show(message: Warning | str, *_origin: Any, **_named: Any) -> None:
        text = as_flags(str(message), names)
        if text not in told:
            told.append(text)
            tell(text)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        yield told
