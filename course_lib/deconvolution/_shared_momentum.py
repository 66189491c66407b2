"""One acceleration for all tiles of a volume: measured on the first, brightest one, and then the same everywhere.

If each tile measured its own, tiles would be differently far on their way after as many iterations, and differ at their
seams by some percent of the peak.
"""

import torch

from course_lib.deconvolution.accelerated_richardson_lucy import measured_momentum

__all__ = ["SharedMomentum"]


class SharedMomentum:
    """The rule `momentum` of one tile after the other: repeats what it knows, and measures the rest.

    Parameters
    ----------
    known : list of float
        Alpha of each iteration, as far as it is known; empty for the first tile.
    """

    def __init__(self, known: list[float]) -> None:
        self.values: list[float] = []
        self._known = known

    def __call__(self, move: torch.Tensor, last_move: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """Return alpha for the next iteration of this tile."""
        if len(self.values) < len(self._known):
            alpha = move.new_tensor(self._known[len(self.values)])
        else:
            alpha = measured_momentum(move, last_move, axes)
        self.values.append(float(alpha))
        return alpha
