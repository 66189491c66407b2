"""The machine behind every exercise: hidden random inputs, the right answer, a hint for each usual slip.

An exercise cell of the book holds a skeleton and the call of its check::

    def brightest_pixel(image):
        ...                                          # your lines

    exercises.start.brightest_pixel.check(brightest_pixel)

The check never raises: a blank skeleton, a wrong answer and an exception in the reader's code each get an
answer in words, so that the book executes and a class can go on.
"""

import html
import itertools
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from course_lib.seeding import generator

__all__ = ["Case", "Exercise", "Feedback", "Mistake"]

_CASES = 4
_MARKS = {"passed": "✓", "blank": "✎", "hint": "✗", "wrong": "✗", "error": "✗"}


@dataclass(frozen=True)
class Case:
    """One hidden test: the arguments of the reader's function and the value it should return.

    Where any whole number from one to another is right, that is a ``range``.
    """

    arguments: tuple[Any, ...]
    expected: Any


@dataclass(frozen=True)
class Mistake:
    """A usual wrong answer, as the function that makes it, and the hint that leads out of it.

    `tolerance` takes the place of the exercise's `mistake_tolerance`, as for a number that hangs on chance.
    """

    answer: Callable[..., Any]
    hint: str
    tolerance: float | None = None


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
    draw_other : callable, optional
        Makes every second case, where each check must hold cases of two kinds.
    solution : callable
        A function that passes.
    mistakes : tuple of Mistake
        Tried in order when an answer is wrong.
    relative_tolerance : float
        Allowed relative error of numbers and of each element of tensors; of elements that are smaller, in parts of a
        thousandth of the largest.
    absolute_tolerance : float
        Allowed error in the unit of the answer, where that is more: for numbers near 0, such as shifts.
    mistake_tolerance : float
        Relative difference within which an answer counts as one of the mistakes.
    praise : str
        Said when the answer passes: what the reader has just shown.
    if_constant : str
        Hint for the same number in all cases that is none of the mistakes; none by default.
    """

    draw: Callable[[torch.Generator], Case]
    solution: Callable[..., Any]
    mistakes: tuple[Mistake, ...]
    relative_tolerance: float
    praise: str
    absolute_tolerance: float = 0.0
    mistake_tolerance: float = 1e-3
    draw_other: Callable[[torch.Generator], Case] | None = None
    if_constant: str = ""

    @np.errstate(divide="ignore", invalid="ignore")  # NaN is told in words
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
        kinds = itertools.cycle((self.draw, self.draw_other or self.draw))
        cases = [kind(draw) for kind in itertools.islice(kinds, _CASES)]
        returned = []
        for case in cases:
            try:
                returned.append(answer(*_copies(case.arguments)))
            except (Exception, SystemExit) as error:
                return Feedback(
                    "error", f"Your code stopped with {_told(error, answer)}. Mend that, and run the cell again."
                )
        if all(value is None or value is ... for value in returned):
            if _is_blank(answer):
                return Feedback("blank", "Nothing here yet: replace the dots by your own lines.")
            return Feedback("blank", "Your lines ran, but gave nothing back: the last one must `return` the answer.")
        if self._is_right(returned, cases):
            return Feedback("passed", self.praise)
        real = [_without_imaginary_part(value) for value in returned]
        if self._is_right(real, cases):
            return Feedback(
                "hint",
                "Right, but for the type: these are complex numbers, of which only the real part, `.real`, is meant. "
                "The imaginary part is rounding.",
            )
        for mistake in self.mistakes:
            tolerance = self.mistake_tolerance if mistake.tolerance is None else mistake.tolerance
            wrong = (mistake.answer(*_copies(case.arguments)) for case in cases)
            if all(_close(*pair, tolerance) for pair in zip(real, wrong, strict=True)):
                return Feedback("hint", mistake.hint)
        if self.if_constant and all(_is_number(value) and float(value) == float(returned[0]) for value in returned):
            return Feedback("hint", self.if_constant)
        pairs = zip(returned, cases, strict=True)
        value, case = next(pair for pair in pairs if not self._agrees(*pair))
        return Feedback(
            "wrong",
            f"Not yet: for one hidden input you returned {_compared(value, case.expected)}.",
        )

    def _is_right(self, returned: list[Any], cases: list[Case]) -> bool:
        return all(self._agrees(*pair) for pair in zip(returned, cases, strict=True))

    def _agrees(self, value: Any, case: Case) -> bool:
        return _close(value, case.expected, self.relative_tolerance, self.absolute_tolerance)


def _is_blank(answer: Callable[..., Any]) -> bool:
    """Tell whether the function has no lines but a docstring and the dots: then all it does is return a constant."""
    code, blank = getattr(answer, "__code__", None), (lambda: None).__code__
    return code is not None and len(code.co_code) == len(blank.co_code)


def _without_imaginary_part(value: Any) -> Any:
    """Return the real part of complex numbers whose imaginary part is rounding, and anything else as it is."""
    if not (isinstance(value, torch.Tensor | np.ndarray) and np.iscomplexobj(value)):
        return value
    numbers = np.asarray(value)
    return value.real if np.allclose(numbers.imag, 0, atol=1e-6 * np.abs(numbers).max(initial=0.0)) else value


def _told(error: BaseException, answer: Callable[..., Any]) -> str:
    """Name the error and the last line of the reader's own function that led to it."""
    told = f"{type(error).__name__}: {error}"
    file = getattr(getattr(answer, "__code__", None), "co_filename", None)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{told} (line {own[-1].lineno} of the cell: {own[-1].line})" if own else told


def _copies(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.clone() if isinstance(a, torch.Tensor) else a for a in arguments)


def _close(value: Any, expected: Any, relative_tolerance: float, absolute_tolerance: float = 0.0) -> bool:
    if isinstance(expected, tuple):
        if hasattr(value, "tolist"):
            value = value.tolist()
        return (
            isinstance(value, tuple | list)
            and len(value) == len(expected)
            and all(_close(*pair, relative_tolerance, absolute_tolerance) for pair in zip(value, expected, strict=True))
        )
    if isinstance(expected, range):
        return _is_number(value) and float(value) in expected
    try:
        given, wanted = torch.as_tensor(value), torch.as_tensor(expected)
    except (TypeError, ValueError, RuntimeError):
        return False
    if given.is_complex() != wanted.is_complex():
        return False
    given, wanted = (number.to(torch.promote_types(number.dtype, torch.float64)) for number in (given, wanted))
    if given.numel() == 1 and wanted.numel() == 1:
        given = given.reshape(wanted.shape)
    if given.shape != wanted.shape:
        return False
    size = wanted.abs()
    allowed = relative_tolerance * size.clamp(min=max(1e-12, 1e-3 * float(size.max())))
    near = (given - wanted).abs() <= allowed.clamp(min=absolute_tolerance)
    return bool((near | (given.isnan() & wanted.isnan())).all())  # a mistake may make NaN


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, RuntimeError):
        return False
    return True


def _compared(value: Any, expected: Any) -> str:
    """Say what was returned and what is right; where both look alike, where the largest difference is."""
    given, wanted = _shown(value), _shown(expected)
    if given != wanted or not isinstance(expected, torch.Tensor):
        return f"{given}, but {wanted} is right"
    difference = torch.as_tensor(value).double() - expected.double()
    place = tuple(int(i) for i in torch.unravel_index(difference.abs().argmax(), difference.shape))
    return (
        f"{given}, as it should be, but the elements differ: most at {list(place)}, where you have "
        f"{float(value[place]):.4g} and {float(expected[place]):.4g} is right"
    )


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, range):
        return f"any whole number from {value[0]} to {value[-1]}"
    if hasattr(value, "dtype") and np.iscomplexobj(value):
        return f"complex numbers of shape {tuple(value.shape)}, of which only the real part, `.real`, is meant"
    if isinstance(value, torch.Tensor) and value.numel() > 1:
        if nans := int(value.isnan().sum()):
            return f"a tensor of shape {tuple(value.shape)} with {nans} times NaN, as from 0 divided by 0"
        return f"a tensor of shape {tuple(value.shape)} and mean {float(value.double().mean()):.4g}"
    if isinstance(value, np.ndarray) and value.size > 1:
        return f"an array of shape {value.shape}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(_shown(v) for v in value) + ")"
    try:
        number = float(value)
    except (TypeError, ValueError):
        return f"a value of type {type(value).__name__}"
    if math.isnan(number):
        return "nan (not a number, as from the logarithm of a negative value or from 0 divided by 0)"
    return f"{number:.4g}"
