"""Cut training patches from images, in memory or on disk, without looking at the validation set.

Networks learn from small patches: many fit into a batch, and an image has thousands of them. Three things can go
wrong. Patches that overlap between training and validation leak: the validation loss then rewards learning by heart.
So whole images are kept apart, or, where there are few, whole regions (`split_regions`). Most of a fluorescence image
is dark, and a network that sees mostly background learns mostly background; so patches without foreground can be left
out. And data may be larger than memory; so a patch is read when it is drawn, and memory maps and Zarr arrays serve as
well as tensors.
"""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

__all__ = ["Patches", "Region", "Sliceable", "split_regions"]


class Sliceable(Protocol):
    """What tensors, NumPy's arrays and memory maps, and Zarr's arrays have in common."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    def __getitem__(self, index: Any, /) -> Any:
        """Read a part."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A box in one of several images.

    Attributes
    ----------
    image : int
        Which image.
    start, stop : tuple of int
        First voxel and first voxel beyond, along each spatial axis.
    """

    image: int
    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def sides(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))


def split_regions(
    shapes: Sequence[tuple[int, ...]],
    *,
    patch_shape: tuple[int, ...],
    samples: Sequence[Hashable] | None = None,
    validation_share: float = 0.1,
    rng: torch.Generator,
) -> tuple[list[Region], list[Region]]:
    """Keep whole samples apart for validation, or, of fewer than five, one end of each.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Sides of each image along the spatial axes, ([z,] y, x).
    patch_shape : tuple of int
        Sides of a patch: each part holds at least one.
    samples : sequence, optional
        Names, one for each image: images of one name show the same field, such as the times of a film or several
        thinnings of one recording, and are kept together. By default each image is a sample of its own.
    validation_share : float
        Of the samples, or of an image's longer side; above 0 and at most 0.5.
    rng : torch.Generator
        Chooses the samples, or the ends.

    Returns
    -------
    tuple of list of Region
        For training, and for validation; they have no voxel in common.

    Raises
    ------
    ValueError
        If the share is out of range, an image is too small to be split, or images of one sample differ in their sides.

    Examples
    --------
    >>> training, validation = split_regions(
    ...     [(512, 256)], patch_shape=(64, 64), rng=torch.Generator().manual_seed(0)
    ... )
    >>> training[0].sides, validation[0].sides
    ((448, 256), (64, 256))
    """
    if not 0 < validation_share <= 0.5:
        raise ValueError(f"validation_share is {validation_share:g}, but must be above 0 and at most 0.5.")
    names = list(range(len(shapes))) if samples is None else list(samples)
    if len(names) != len(shapes):
        raise ValueError(f"samples has {len(names)} names, but there are {len(shapes)} images: give one for each.")
    whole: dict[Hashable, list[Region]] = {}
    for index, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        _check_patch(patch_shape, shape, index)
        whole.setdefault(name, []).append(Region(image=index, start=(0,) * len(shape), stop=tuple(shape)))
    order = torch.randperm(len(whole), generator=rng).tolist()
    if len(whole) >= 5:
        apart = set(order[: max(1, round(validation_share * len(whole)))])
        together = list(whole.values())
        return (
            [region for k, regions in enumerate(together) if k not in apart for region in regions],
            [region for k, regions in enumerate(together) if k in apart for region in regions],
        )
    training, validation = [], []
    for name, regions in whole.items():
        if len({region.stop for region in regions}) > 1:
            raise ValueError(f"the images of the sample {name!r} differ in their sides: crop them to one field.")
        at_start = bool(torch.randint(2, (), generator=rng))
        for region in regions:
            learned, kept = _cut_apart(region, patch_shape, validation_share, at_start=at_start)
            training.append(learned)
            validation.append(kept)
    return training, validation


def _cut_apart(region: Region, patch_shape: tuple[int, ...], share: float, *, at_start: bool) -> tuple[Region, Region]:
    """Return what is left of an image, and the end that is kept apart."""
    sides = region.sides
    axis = len(sides) - 2 + int(sides[-1] > sides[-2])  # the longer of Y and X
    side, patch = sides[axis], patch_shape[axis]
    if side < 2 * patch:
        raise ValueError(
            f"image {region.image} has sides {sides}, too few along its longer side to keep a patch of "
            f"{patch_shape} apart for validation: make the patch at most {side // 2} long, or give larger images."
        )
    kept = min(max(patch, round(share * side)), side - patch)
    cut = kept if at_start else side - kept
    first = Region(image=region.image, start=region.start, stop=_with(region.stop, axis, cut))
    second = Region(image=region.image, start=_with(region.start, axis, cut), stop=region.stop)
    return (second, first) if at_start else (first, second)


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
            _check_patch(patch_shape, region.sides, region.image)
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
        return tuple(_as_tensor(one[self._place(start)], self.device) for one in self.images[image])

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


def _as_tensor(values: Any, device: torch.device) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values.to(device, torch.float32)
    return torch.from_numpy(np.array(values, dtype=np.float32)).to(device)


def _with(values: tuple[int, ...], axis: int, value: int) -> tuple[int, ...]:
    return (*values[:axis], value, *values[axis + 1 :])


def _check_patch(patch_shape: tuple[int, ...], sides: tuple[int, ...], image: int) -> None:
    if len(patch_shape) != len(sides):
        raise ValueError(
            f"patch_shape is {patch_shape}, but image {image} has {len(sides)} spatial axes, sides {tuple(sides)}: "
            f"give one side for each."
        )
    if any(not 1 <= patch <= side for patch, side in zip(patch_shape, sides, strict=True)):
        raise ValueError(
            f"patch_shape is {patch_shape}, but image {image} offers only {tuple(sides)}: make the patch smaller, or "
            f"give a larger image."
        )
