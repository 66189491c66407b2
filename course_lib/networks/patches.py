"""Cut training patches from images, in memory or on disk, without looking at the validation set.

Networks learn from small patches: many fit into a batch, and an image has thousands of them. Three things can go
wrong. Patches that overlap between training and validation leak: the validation loss then rewards learning by heart.
So whole images or regions are kept apart (`course_lib.networks.split_regions`). Most of a fluorescence image is dark,
and a network that sees mostly background learns mostly background; so patches without foreground can be left out. And
data may be larger than memory; so a patch is read when it is drawn, and memory maps and Zarr arrays serve as well as
tensors.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from course_lib.networks.regions import Region, Sliceable, as_tensor, check_patch

__all__ = ["Patches"]


class Patches:
    """Patches of images that belong together, such as input and target.

    Parameters
    ----------
    images : sequence of tuple of array-like
        For each field of view, its images (C, [Z,] Y, X): of equal spatial sides, and the same number for each field.
    regions : sequence of Region
        Where patches may be cut.
    patch_shape : tuple of int
        Sides of a patch, ([z,] y, x).
    foreground_share : float
        Leaves out patches that are dark: from 0, none, to 1, all but the brightest. The brightness of a patch is the
        99th percentile of a channel of its first image; the share is meant between the darkest and the brightest patch.
    device : torch.device
        Where the patches go.

    Raises
    ------
    ValueError
        If images that belong together differ in their sides, a region is smaller than a patch, or there is none.

    Notes
    -----
    Every place for a patch is equally probable. Places are kept as cells of half a patch; a cell is left out if the
    patch at its middle is dark.

    Examples
    --------
    >>> image = torch.arange(64.0).reshape(1, 8, 8)
    >>> region = Region(image=0, start=(0, 0), stop=(8, 8))
    >>> patches = Patches([(image,)], [region], patch_shape=(4, 4))
    >>> patches.draw(3, rng=torch.Generator().manual_seed(0))[0].shape
    torch.Size([3, 1, 4, 4])
    """

    def __init__(
        self,
        images: Sequence[tuple[Sliceable, ...]],
        regions: Sequence[Region],
        *,
        patch_shape: tuple[int, ...],
        foreground_share: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        if not 0 <= foreground_share <= 1:
            raise ValueError(f"foreground_share is {foreground_share:g}, but must be from 0, all patches, to 1.")
        if not regions:
            raise ValueError("there is no region to cut patches from: give at least one.")
        for index, together in enumerate(images):
            sides = {tuple(image.shape[1:]) for image in together}
            if len(sides) > 1:
                raise ValueError(f"the images of field {index} have the sides {sorted(sides)}, but must have the same.")
            if len(together[0].shape) != len(patch_shape) + 1:
                raise ValueError(
                    f"image {index} has shape {tuple(together[0].shape)}, but a patch of {patch_shape} needs "
                    f"{len(patch_shape) + 1} axes, (C, {'Z, ' if len(patch_shape) == 3 else ''}Y, X)."
                )
        for region in regions:
            check_patch(patch_shape, region.sides, region.image)
        self.images, self.regions, self.patch_shape = list(images), list(regions), patch_shape
        self.device = torch.device(device)
        self._cells = np.concatenate([self._cells_of(region) for region in regions])
        if foreground_share > 0:
            self._cells = self._cells[self._bright(foreground_share)]
        places = np.prod(self._cells[:, 2] - self._cells[:, 1], axis=-1)
        self._cumulated = np.cumsum(places / places.sum())

    def _cells_of(self, region: Region) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return, for each cell, the image (repeated), and the first and the end of the places of a patch's corner."""
        edges = []
        for start, stop, patch in zip(region.start, region.stop, self.patch_shape, strict=True):
            last = stop - patch + 1
            parts = math.ceil((last - start) / max(1, patch // 2))
            edges.append(np.linspace(start, last, parts + 1).round().astype(int))
        lows = np.stack(np.meshgrid(*(one[:-1] for one in edges), indexing="ij"), axis=-1).reshape(-1, len(edges))
        highs = np.stack(np.meshgrid(*(one[1:] for one in edges), indexing="ij"), axis=-1).reshape(-1, len(edges))
        return np.stack((np.full_like(lows, region.image), lows, highs), axis=1)

    def _bright(self, share: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return which cells to keep; each channel counts relative to its own brightest patch."""
        middles = (self._cells[:, 1] + self._cells[:, 2] - 1) // 2
        spatial = tuple(range(1, 1 + len(self.patch_shape)))
        brightness = np.stack(
            [
                np.percentile(_numbers(self.images[cell[0, 0]][0][self._place(middle.tolist())]), 99, axis=spatial)
                for cell, middle in zip(self._cells, middles, strict=True)
            ]
        )
        low, high = brightness.min(axis=0), brightness.max(axis=0)
        relative = (brightness - low) / np.where(high > low, high - low, 1)
        return np.asarray(relative.max(axis=1) >= share)

    def _place(self, start: Sequence[int]) -> tuple[slice, ...]:
        spatial = (slice(first, first + side) for first, side in zip(start, self.patch_shape, strict=True))
        return (slice(None), *spatial)

    def _read(self, image: int, start: Sequence[int]) -> tuple[torch.Tensor, ...]:
        return tuple(as_tensor(one[self._place(start)], self.device) for one in self.images[image])

    def draw(self, count: int, *, rng: torch.Generator, rank: int = 0, ranks: int = 1) -> tuple[torch.Tensor, ...]:
        """Draw `count` patches: tensors (N, C, [Z,] Y, X), one for each of the images that belong together.

        Parameters
        ----------
        count : int
            For all processes together.
        rng : torch.Generator
            On the CPU; advances alike in all processes.
        rank, ranks : int
            This process reads every `ranks`-th patch, from number `rank` on.
        """
        draws = torch.rand((count, 1 + len(self.patch_shape)), generator=rng, dtype=torch.float64).numpy()
        chosen = np.searchsorted(self._cumulated, draws[:, 0], side="right").clip(max=len(self._cells) - 1)
        cells, within = self._cells[chosen], draws[:, 1:]
        starts = cells[:, 1] + np.floor(within * (cells[:, 2] - cells[:, 1])).astype(int)
        read = [self._read(int(cells[k, 0, 0]), starts[k].tolist()) for k in range(rank, count, ranks)]
        return tuple(torch.stack(one) for one in zip(*read, strict=True))

    def each(self, batch_size: int, *, rank: int = 0, ranks: int = 1) -> Iterator[tuple[torch.Tensor, ...]]:
        """Go once through patches that lie side by side and cover the regions, as far as whole ones fit."""
        starts = [
            (
                region.image,
                [
                    start + place * side
                    for start, place, side in zip(region.start, places, self.patch_shape, strict=True)
                ],
            )
            for region in self.regions
            for places in np.ndindex(
                *(side // patch for side, patch in zip(region.sides, self.patch_shape, strict=True))
            )
        ]
        mine = starts[rank::ranks]
        for first in range(0, len(mine), batch_size):
            read = [self._read(image, start) for image, start in mine[first : first + batch_size]]
            yield tuple(torch.stack(one) for one in zip(*read, strict=True))


def _numbers(values: Any) -> np.ndarray[Any, Any]:
    return np.asarray(values.cpu() if isinstance(values, torch.Tensor) else values)
