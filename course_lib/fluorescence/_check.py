"""The questions that every number of this subpackage is asked; tensors are not, since live figures export them."""

import math
from collections.abc import Sequence
from numbers import Real

import torch

__all__ = ["check_between", "check_finite", "check_name", "check_not_negative", "check_number", "check_positive"]


def check_number(value: object, *, name: str) -> float:
    """Return `value` as a float; raise unless it is a single number, of Python or NumPy."""
    if not isinstance(value, Real):
        raise TypeError(f"{name} is a {type(value).__name__}, but must be a number: float({name}) makes one.")
    return float(value)


def check_name(name: object, *, known: Sequence[str]) -> None:
    """Raise unless `name` is a string."""
    if not isinstance(name, str):
        raise TypeError(f"name is a {type(name).__name__}, but must be a string, such as {known[0]!r}.")


def _number(value: object, *, name: str) -> float | None:
    """Return a number as a float and a tensor as None; raise for all else."""
    if isinstance(value, torch.Tensor):
        return None
    if not isinstance(value, Real):
        raise TypeError(
            f"{name} is a {type(value).__name__}, but must be a number or a tensor: torch.as_tensor({name}) makes one."
        )
    return float(value)


def check_finite(value: object, *, name: str, unit: str = "", remedy: str) -> None:
    """Raise if `value` is NaN or infinite."""
    number = _number(value, name=name)
    if number is not None and not math.isfinite(number):
        raise ValueError(f"{name} is {number:g}{unit}, but must be finite: {remedy}.")


def check_positive(value: object, *, name: str, unit: str = "", remedy: str) -> None:
    """Raise unless `value` is above 0 and finite."""
    number = _number(value, name=name)
    if number is not None and not 0 < number < math.inf:
        raise ValueError(f"{name} is {number:g}{unit}, but must be above 0{unit} and finite: {remedy}.")


def check_not_negative(value: object, *, name: str, unit: str = "", remedy: str) -> None:
    """Raise unless `value` is at least 0 and finite."""
    number = _number(value, name=name)
    if number is not None and not 0 <= number < math.inf:
        raise ValueError(f"{name} is {number:g}{unit}, but must be at least 0{unit} and finite: {remedy}.")


def check_between(value: object, low: float, high: float, *, name: str, remedy: str) -> None:
    """Raise unless `value` lies from `low` to `high`."""
    number = _number(value, name=name)
    if number is not None and not low <= number <= high:
        raise ValueError(f"{name} is {number:g}, but must be from {low:g} to {high:g}: {remedy}.")
