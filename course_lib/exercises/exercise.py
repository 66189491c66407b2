"""The machine behind every exercise: hidden random inputs, the right answer, a hint for each usual slip.

An exercise cell of the book holds a skeleton and the call of its check::

    def brightest_pixel(image):
        ...                                          # your lines

    exercises.start.brightest_pixel.check(brightest_pixel)

The check never raises: a blank skeleton, a wrong answer and an exception in the reader's code each get an
answer in words, so that the book executes and a class can go on.
"""

import html
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from course_lib.seeding import generator

__all__ = ["Case", "Exercise", "Feedback", "Mistake"]

_CASES = 4
_SAME_MISTAKE = 1e-3
_MARKS = {"passed": "✓", "blank": "✎", "hint": "✗", "wrong": "✗", "error": "✗"}


@dataclass(frozen=True)
class Case:
    """One hidden test: the arguments of the reader's function and the value it should return."""

    arguments: tuple[Any, ...]
    expected: Any


@dataclass(frozen=True)
class Mistake:
    """A usual wrong answer, as the function that makes it, and the hint that leads out of it."""

    answer: Callable[..., Any]
    hint: str


@dataclass(frozen=True)
class Feedback:
    """What the check says; shown by Jupyter as a coloured line, printed as text elsewhere."""

    status: Literal["passed", "blank", "hint", "wrong", "error"]
    message: str

    def __repr__(self) -> str:
        """Show the mark and the message."""
        return f"{_MARKS[self.status]} {self.message}"

    def _repr_html_(self) -> str:
        return (
            f'<div class="exercise-feedback exercise-{self.status}" role="status">'
            f"{_MARKS[self.status]} {html.escape(self.message)}</div>"
        )


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """An exercise: how its hidden cases are drawn, its solution and the usual mistakes.

    Attributes
    ----------
    draw : callable
        Makes a `Case` from a `torch.Generator`.
    solution : callable
        A function that passes.
    mistakes : tuple of Mistake
        Tried in order when an answer is wrong.
    relative_tolerance : float
        Allowed relative error of numbers and of each element of tensors.
    praise : str
        Said when the answer passes: what the reader has just shown.
    """

    draw: Callable[[torch.Generator], Case]
    solution: Callable[..., Any]
    mistakes: tuple[Mistake, ...]
    relative_tolerance: float
    praise: str

    def check(self, answer: Callable[..., Any], *, rng: int | torch.Generator | None = None) -> Feedback:
        """Run the reader's function on hidden inputs and answer in words.

        Parameters
        ----------
        answer : callable
            The reader's function.
        rng : int, torch.Generator or None
            Randomness of the hidden inputs; fresh each time by default.

        Returns
        -------
        Feedback
        """
        draw = generator(rng)
        cases = [self.draw(draw) for _ in range(_CASES)]
        returned = []
        for case in cases:
            try:
                value = answer(*_copies(case.arguments))
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                return Feedback(
                    "error",
                    f"Your code stopped with {type(error).__name__}: {error} (line {where.lineno}: {where.line}). "
                    f"Mend that line and run the cell again.",
                )
            if value is None or value is ...:
                return Feedback("blank", "Nothing here yet: replace the dots by your own lines, and return a value.")
            returned.append(value)
        if all(
            _close(value, case.expected, self.relative_tolerance) for value, case in zip(returned, cases, strict=True)
        ):
            return Feedback("passed", self.praise)
        for mistake in self.mistakes:
            if all(
                _close(value, mistake.answer(*_copies(case.arguments)), _SAME_MISTAKE)
                for value, case in zip(returned, cases, strict=True)
            ):
                return Feedback("hint", mistake.hint)
        value, case = next(
            (value, case)
            for value, case in zip(returned, cases, strict=True)
            if not _close(value, case.expected, self.relative_tolerance)
        )
        return Feedback(
            "wrong",
            f"Not yet: for one hidden input you returned {_shown(value)}, but {_shown(case.expected)} is right.",
        )


def _copies(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.clone() if isinstance(a, torch.Tensor) else a for a in arguments)


def _close(value: Any, expected: Any, relative_tolerance: float) -> bool:
    if isinstance(expected, tuple):
        return (
            isinstance(value, tuple | list)
            and len(value) == len(expected)
            and all(_close(v, e, relative_tolerance) for v, e in zip(value, expected, strict=True))
        )
    if isinstance(expected, str):
        return bool(value == expected)
    try:
        given, wanted = torch.as_tensor(value).double(), torch.as_tensor(expected).double()
    except (TypeError, ValueError, RuntimeError):
        return False
    return given.shape == wanted.shape and bool(
        ((given - wanted).abs() <= relative_tolerance * wanted.abs().clamp(min=1e-12)).all()
    )


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor) and value.ndim:
        return f"a tensor of shape {tuple(value.shape)} and mean {float(value.double().mean()):.4g}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(_shown(v) for v in value) + ")"
    try:
        return f"{float(value):.4g}"
    except (TypeError, ValueError):
        return repr(value)[:80]
