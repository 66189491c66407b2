r"""What a restoration leaves unexplained, in units of the photon noise: white, with variance 1, if nothing was missed.

.. math:: r = \frac{y - (H\hat x + b)}{\sqrt{H\hat x + b}}
"""

import math

import torch

__all__ = ["ResidualSums"]


class ResidualSums:
    """A stopping rule that stops after `iterations`, when it adds up the residual of a tile.

    The method must be allowed one iteration more, so that it asks once more.

    Parameters
    ----------
    sums : dict
        Is added to: ``count``, ``squares``, ``pairs`` and ``products`` of neighbours along y and x.
    image : torch.Tensor
        Photons of the tile with its margin.
    inner : tuple of slice
        The tile in it.
    iterations : int
        After how many it stops.
    """

    def __init__(
        self, sums: dict[str, float], image: torch.Tensor, inner: tuple[slice, ...], *, iterations: int
    ) -> None:
        self._sums, self._image, self._inner, self._iterations = sums, image, inner, iterations

    def __call__(self, iteration: int, _estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        """Add up; see `StoppingRule`."""
        if iteration < self._iterations:
            return False
        noise = torch.finfo(expected.dtype).eps * float(self._image.max())
        explained = expected[self._inner].clamp(min=max(noise, torch.finfo(expected.dtype).tiny))
        residual = (self._image[self._inner] - explained) / explained.sqrt()
        self._add("count", residual.numel())
        self._add("squares", float(residual.square().sum(dtype=torch.float64)))
        for axis in (-2, -1):
            pairs = residual.narrow(axis, 0, residual.shape[axis] - 1) * residual.narrow(
                axis, 1, residual.shape[axis] - 1
            )
            self._add("pairs", pairs.numel())
            self._add("products", float(pairs.sum(dtype=torch.float64)))
        return True

    def _add(self, name: str, value: float) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value

    @staticmethod
    def variance(sums: dict[str, float]) -> float:
        """Return the mean square; NaN where no tile was looked at."""
        return sums["squares"] / sums["count"] if sums.get("count") else math.nan

    @staticmethod
    def correlation(sums: dict[str, float]) -> float:
        """Return the correlation of voxels side by side; NaN where no tile was looked at."""
        if not sums.get("pairs") or not sums["squares"]:
            return math.nan
        return sums["products"] / sums["pairs"] / ResidualSums.variance(sums)
