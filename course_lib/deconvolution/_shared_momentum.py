"""One acceleration for all parts of an image: measured on the first, brightest one, and then the same everywhere.

If each part measured its own, parts would be differently far on their way after as many iterations, and differ at their
seams by some percent of the peak.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch

from course_lib.deconvolution.accelerated_richardson_lucy import measured_momentum

__all__ = ["SharedMomentum", "measures_momentum"]


def measures_momentum(method: Callable[..., Any]) -> bool:
    """Return whether a method would measure its momentum on the image that it gets.

    Examples
    --------
    >>> from course_lib.deconvolution import accelerated_richardson_lucy, richardson_lucy
    >>> measures_momentum(accelerated_richardson_lucy), measures_momentum(richardson_lucy)
    (True, False)
    """
    momentum = inspect.signature(method).parameters.get("momentum")
    return momentum is not None and momentum.default is measured_momentum


class SharedMomentum:
    """The rule `momentum` of one part after the other: repeats what it knows, and measures the rest.

    Parameters
    ----------
    known : list of float
        Alpha of each iteration, as far as it is known; empty for the first part.
    """

    def __init__(self, known: list[float]) -> None:
        self.values: list[float] = []
        self._known = known

    def __call__(self, move: torch.Tensor, last_move: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """Return alpha for the next iteration of this part."""
        if len(self.values) < len(self._known):
            alpha = move.new_tensor(self._known[len(self.values)])
        else:
            alpha = measured_momentum(move, last_move, axes)
        self.values.append(float(alpha))
        return alpha
