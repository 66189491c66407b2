"""How long to work: quick on a CPU, full on a GPU, or as ``COURSE_EFFORT`` says; only numbers change."""

import os
from typing import Literal, TypeVar

__all__ = ["by_effort", "current_effort"]

T = TypeVar("T")


def current_effort() -> Literal["quick", "full"]:
    """Return the effort in force.

    Raises
    ------
    ValueError
        If the environment variable ``COURSE_EFFORT`` is neither ``quick`` nor ``full``.
    """
    asked = os.environ.get("COURSE_EFFORT", "")
    if asked == "":
        import torch

        return "full" if torch.cuda.is_available() else "quick"
    if asked == "quick":
        return "quick"
    if asked == "full":
        return "full"
    raise ValueError(f"COURSE_EFFORT is {asked!r}, but must be 'quick' or 'full': set it so, or unset it.")


def by_effort(*, quick: T, full: T) -> T:
    """Choose between the number for a laptop and the number for a GPU.

    Examples
    --------
    >>> import os
    >>> os.environ["COURSE_EFFORT"] = "quick"
    >>> by_effort(quick=20, full=200)
    20
    """
    return quick if current_effort() == "quick" else full
