"""Decide what is learned from and what is kept apart, so that the validation loss tells how well *new* images are done.

Of five samples or more, whole ones are kept apart. Of fewer, each gives a band across its longer side. Not an end,
which in a microscope image is often empty: a network's loss on background does not tell good weights from bad ones. So
it is the band whose mean brightness is nearest to that of the whole field.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

__all__ = ["Region", "Sliceable", "as_tensor", "check_patch", "split_regions"]

FEWEST_WHOLE = 5
"""Samples from which on whole ones are kept apart."""
MOST_LOOKED_AT = 16
"""Planes, and images of one sample, whose brightness is looked at: the others lie between them."""
MOST_AT_ONCE = 2**24
"""Pixels that are read at once, because an image on disk may not fit into memory."""


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
    images: Sequence[Sliceable],
    *,
    patch_shape: tuple[int, ...],
    samples: Sequence[Hashable] | None = None,
    validation_share: float = 0.1,
    rng: torch.Generator,
) -> tuple[list[Region], list[Region]]:
    """Keep whole samples apart for validation, or, of fewer than five, a band of typical brightness of each.

    Parameters
    ----------
    images : sequence of array-like
        Each (C, [Z,] Y, X), in memory or on disk.
    patch_shape : tuple of int
        Sides of a patch: each part holds at least one.
    samples : sequence, optional
        Names, one for each image: images of one name show the same field, such as the times of a film or several
        thinnings of one recording, and are kept together. By default each image is a sample of its own.
    validation_share : float
        Of the samples, or of an image's longer side; above 0 and at most 0.5.
    rng : torch.Generator
        Chooses the samples.

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
    >>> image = torch.zeros(1, 256, 512)
    >>> image[..., 100:400] = 1.0
    >>> training, validation = split_regions([image], patch_shape=(64, 64), rng=torch.Generator().manual_seed(0))
    >>> [(region.start, region.stop) for region in validation], len(training)
    ([((0, 73), (256, 137))], 2)
    """
    if not 0 < validation_share <= 0.5:
        raise ValueError(f"validation_share is {validation_share:g}, but must be above 0 and at most 0.5.")
    names = list(range(len(images))) if samples is None else list(samples)
    if len(names) != len(images):
        raise ValueError(f"samples has {len(names)} names, but there are {len(images)} images: give one for each.")
    whole: dict[Hashable, list[Region]] = {}
    for index, (name, image) in enumerate(zip(names, images, strict=True)):
        sides = tuple(image.shape[1:])
        check_patch(patch_shape, sides, index)
        whole.setdefault(name, []).append(Region(image=index, start=(0,) * len(sides), stop=sides))
    if len(whole) >= FEWEST_WHOLE:
        order = torch.randperm(len(whole), generator=rng).tolist()
        apart = set(order[: max(1, round(validation_share * len(whole)))])
        together = list(whole.values())
        return (
            [region for k, regions in enumerate(together) if k not in apart for region in regions],
            [region for k, regions in enumerate(together) if k in apart for region in regions],
        )
    training: list[Region] = []
    validation: list[Region] = []
    for name, regions in whole.items():
        if len({region.stop for region in regions}) > 1:
            raise ValueError(f"the images of the sample {name!r} differ in their sides: crop them to one field.")
        axis, low, high = _typical_band(images, regions, patch_shape, validation_share)
        for region in regions:
            validation.append(_between(region, axis, low, high))
            parts = ((0, low), (high, region.stop[axis]))
            training.extend(_between(region, axis, *part) for part in parts if part[1] > part[0])
    return training, validation


def _typical_band(
    images: Sequence[Sliceable], regions: Sequence[Region], patch_shape: tuple[int, ...], share: float
) -> tuple[int, int, int]:
    """Return the axis across which images of one sample are cut, and where the band begins and ends."""
    sides = regions[0].stop
    axis = len(sides) - 2 + int(sides[-1] > sides[-2])  # the longer of Y and X
    side, patch = sides[axis], patch_shape[axis]
    if side < 2 * patch:
        raise ValueError(
            f"image {regions[0].image} has sides {sides}, too few along its longer side to keep a patch of "
            f"{patch_shape} apart for validation: make the patch at most {side // 2} long, or give larger images."
        )
    width = min(max(patch, round(share * side)), side - patch)
    looked_at = [regions[k].image for k in _evenly(len(regions))]
    profile = torch.stack([_brightness(images[index], axis) for index in looked_at]).mean(dim=0)
    starts = sorted({0, *range(patch, side - width - patch + 1), side - width})
    means = profile.unfold(0, width, 1).mean(dim=1)
    first = min(starts, key=lambda start: abs(float(means[start] - profile.mean())))
    return axis, first, first + width


def _evenly(count: int) -> list[int]:
    """Return at most `MOST_LOOKED_AT` numbers below `count`, at equal distances."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, MOST_LOOKED_AT))})


def _brightness(image: Sliceable, axis: int) -> torch.Tensor:
    """Return the mean of the values along Y or X, of planes at equal distances."""
    sides = tuple(image.shape[1:])
    planes = [(slice(plane, plane + 1),) for plane in _evenly(sides[0])] if len(sides) == 3 else [()]
    height, width = sides[-2:]
    rows = max(1, MOST_AT_ONCE // (width * image.shape[0]))
    along_x = axis == len(sides) - 1
    profile = torch.zeros(sides[axis], dtype=torch.float64)
    for plane in planes:
        for low in range(0, height, rows):
            part = image[(slice(None), *plane, slice(low, min(low + rows, height)), slice(None))]
            values = as_tensor(part, "cpu").double().flatten(0, -3).mean(dim=0)
            if along_x:
                profile += values.sum(dim=0) / height
            else:
                profile[low : low + rows] += values.mean(dim=1)
    return profile / len(planes)


def _between(region: Region, axis: int, low: int, high: int) -> Region:
    """Return the part of a region between two places along an axis."""
    start, stop = list(region.start), list(region.stop)
    start[axis], stop[axis] = low, high
    return Region(image=region.image, start=tuple(start), stop=tuple(stop))


def as_tensor(values: Any, device: torch.device | str) -> torch.Tensor:
    """Return values of any array-like as float32 on the device."""
    if isinstance(values, torch.Tensor):
        return values.to(device, torch.float32)
    return torch.from_numpy(np.array(values, dtype=np.float32)).to(device)


def check_patch(patch_shape: tuple[int, ...], sides: tuple[int, ...], image: int) -> None:
    """Refuse patches that do not fit."""
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
