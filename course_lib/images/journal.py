"""What is left to do of a long run, kept beside its output, so that it can be interrupted and go on."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from course_lib.images.tiles import Tile

__all__ = ["Journal", "describe_call", "fingerprint"]


@dataclass(kw_only=True)
class Journal:
    """What is kept of a run.

    Attributes
    ----------
    path : Path
        The file.
    settings : dict
        All that changes the result; a run goes on only where it is the same.
    remaining : list of Tile
        The tiles that are not yet on disk.
    notes : dict
        What the finished tiles leave to the others and to the end, sums for example: numbers, strings and lists.
    """

    path: Path
    settings: dict[str, Any]
    remaining: list[Tile] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def save(self) -> None:
        """Write beside, flush, rename: whenever the power fails, one complete journal is there."""
        content = {
            "settings": self.settings,
            "remaining": [asdict(tile) for tile in self.remaining],
            "notes": self.notes,
        }
        beside = self.path.with_name(f"{self.path.name}.new")
        with beside.open("w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)

    def load(self) -> list[str]:
        """Take over what the file tells, and return what is different in its settings: nothing is taken over then."""
        try:
            content = json.loads(self.path.read_text())
            then = content["settings"]
            remaining = [Tile(**{key: tuple(value) for key, value in one.items()}) for one in content["remaining"]]
            notes = dict(content["notes"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path} is damaged ({error}): delete it to start anew.") from error
        now = json.loads(json.dumps(self.settings))
        changes = [f"{key} was {then.get(key)} and is {now[key]}" for key in now if then.get(key) != now[key]]
        if not changes:
            self.remaining, self.notes = remaining, notes
        return changes


def fingerprint(tensor: torch.Tensor) -> str:
    """Return shape and hash of the values.

    Examples
    --------
    >>> fingerprint(torch.zeros(2, 3))
    '2 × 3 values with hash 9d908ecfb6b2'
    """
    digest = hashlib.sha256(tensor.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
    return f"{' × '.join(map(str, tensor.shape))} values with hash {digest[:12]}"


def describe_call(method: Callable[..., Any]) -> str:
    """Name a method with the settings that `functools.partial` gives it.

    Examples
    --------
    >>> describe_call(partial(sorted, reverse=True))
    'sorted(reverse=True)'
    """
    given: dict[str, Any] = {}
    while isinstance(method, partial):
        given = method.keywords | given
        method = method.func
    settings = (
        f"{name}={fingerprint(value) if isinstance(value, torch.Tensor) else value!r}"
        for name, value in sorted(given.items())
    )
    return f"{getattr(method, '__qualname__', type(method).__qualname__)}({', '.join(settings)})"
