"""Which tiles an image is cut into: as large as memory allows, because their margins are computed and thrown away."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from course_lib.axes import AXES

__all__ = ["Tile", "describe_sides", "largest_tile"]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Part of one frame: `frame` along the leading axes, `start` and `stop` along the spatial ones."""

    frame: tuple[int, ...]
    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def sides(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))

    @property
    def place(self) -> tuple[int | slice, ...]:
        """Index of the tile in the image."""
        return (*self.frame, *map(slice, self.start, self.stop))

    def holds(self, place: Sequence[int]) -> bool:
        """Return whether a voxel of the image is in the tile."""
        leading = len(self.frame)
        inside = (a <= at < b for a, at, b in zip(self.start, place[leading:], self.stop, strict=True))
        return tuple(place[:leading]) == self.frame and all(inside)

    def grown(self, halo: Sequence[int], shape: Sequence[int]) -> Self:
        """Return the tile with a margin, as far as the image goes."""
        return type(self)(
            frame=self.frame,
            start=tuple(max(0, start - margin) for start, margin in zip(self.start, halo, strict=True)),
            stop=tuple(min(side, stop + margin) for stop, margin, side in zip(self.stop, halo, shape, strict=True)),
        )

    def within(self, outer: Self) -> tuple[slice, ...]:
        """Return the index of this tile in the voxels of `outer`."""
        return tuple(
            slice(start - origin, stop - origin)
            for start, stop, origin in zip(self.start, self.stop, outer.start, strict=True)
        )

    def split(self, largest: Sequence[int]) -> list[Self]:
        """Cut the tile into even pieces, none longer than `largest` along any axis.

        Examples
        --------
        >>> [piece.stop for piece in Tile(frame=(), start=(0, 0), stop=(4, 10)).split((4, 4))]
        [(4, 4), (4, 7), (4, 10)]
        """
        cuts = []
        for start, side, most in zip(self.start, self.sides, largest, strict=True):
            parts = math.ceil(side / most)
            edges = [start + math.ceil(part * side / parts) for part in range(parts + 1)]
            cuts.append(list(itertools.pairwise(edges)))
        return [
            type(self)(frame=self.frame, start=tuple(a for a, _ in piece), stop=tuple(b for _, b in piece))
            for piece in itertools.product(*cuts)
        ]


def _as_it_is(voxels: int, _axis: int) -> int:
    return voxels


def largest_tile(
    shape: Sequence[int],
    halo: Sequence[int],
    *,
    bytes_per_voxel: float,
    memory_bytes: float,
    computed: Callable[[int, int], int] = _as_it_is,
) -> tuple[int, ...]:
    """Return the sides of the tiles with the least to compute altogether among those that fit into memory.

    Parameters
    ----------
    shape, halo : sequence of int
        Voxels of the image, and of the margin that a tile gets on each side, as far as the image goes.
    bytes_per_voxel : float
        Memory for each voxel that is computed.
    memory_bytes : float
        Memory for a tile.
    computed : callable
        Gets the voxels of a tile with its margins along an axis, and the number of the axis; returns how many are
        computed: more, if a method pads what it gets.

    Raises
    ------
    ValueError
        If not even a tile of one voxel fits, for its margins.

    Examples
    --------
    >>> largest_tile((64, 512, 512), (8, 8, 8), bytes_per_voxel=100, memory_bytes=4 * 2**30)
    (64, 512, 512)
    >>> largest_tile((64, 512, 512), (8, 8, 8), bytes_per_voxel=100, memory_bytes=2**30)
    (64, 512, 256)
    """
    sides, tiles, voxels = [], [], []
    for axis, (whole, margin) in enumerate(zip(shape, halo, strict=True)):
        choices = sorted({math.ceil(whole / parts) for parts in range(1, whole + 1)}, reverse=True)
        sides.append(choices)
        tiles.append([math.ceil(whole / side) for side in choices])
        voxels.append([computed(min(side + 2 * margin, whole), axis) for side in choices])
    needed = bytes_per_voxel * _products(voxels)
    work = np.where(needed <= memory_bytes, needed * _products(tiles), np.inf)
    best = np.unravel_index(np.argmin(work), work.shape)
    if np.isinf(work[best]):
        raise ValueError(
            f"the memory for tiles is {memory_bytes / 2**30:.3g} GiB, but with margins of {describe_sides(halo)} "
            f"voxels the smallest tile takes {needed.min() / 2**30:.3g} GiB: give more, or make the margins smaller."
        )
    return tuple(choices[at] for choices, at in zip(sides, best, strict=True))


def _products(lengths: Sequence[Sequence[int]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the product of each choice of one length per axis."""
    return functools.reduce(np.multiply.outer, [np.asarray(one, dtype=np.float64) for one in lengths])


def describe_sides(sides: Sequence[int]) -> str:
    """Name the sides, for messages, as Z 64 × Y 256 × X 256."""
    letters = AXES[-len(sides) :]
    return " × ".join(f"{letter} {side}" for letter, side in zip(letters, sides, strict=True))
