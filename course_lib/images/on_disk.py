"""An image that stays on disk: a part of it is read at a time, so that it need not fit into memory.

TIFF without compression is a memory map; of compressed TIFF the planes that are needed are decoded; of Zarr the chunks.
"""

import math
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch

from course_lib.axes import AXES
from course_lib.images.image import Unit
from course_lib.images.reading import SeriesInFile, opened_series, read
from course_lib.images.target import blank
from course_lib.images.tiff_pages import TiffPages
from course_lib.images.zarr_folder import opened_zarr

__all__ = ["ArrayOnDisk", "ImageOnDisk", "open_image"]


class ArrayOnDisk(Protocol):
    """What NumPy's memory maps, the pages of a TIFF and Zarr's arrays have in common."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    def __getitem__(self, index: Any, /) -> Any:
        """Read a part."""


@dataclass(frozen=True, kw_only=True)
class ImageOnDisk:
    """Pixels on disk with their axes, voxel size and unit: see `open_image`.

    Attributes
    ----------
    path : Path
    values : array-like
        Memory map, pages of a TIFF or Zarr array, all axes of the file in the order TCZYX.
    axes : str
        Letters of TCZYX, without C where a channel is chosen.
    channel : int or None
        The channel that is chosen.
    voxel_size_um : tuple of float or None
    unit : {"photons", "electrons", "adu", "arbitrary"}
        What the file says its values count.
    """

    path: Path
    values: ArrayOnDisk
    axes: str
    channel: int | None = None
    voxel_size_um: tuple[float, ...] | None
    unit: Unit

    def __post_init__(self) -> None:
        """Check axes, voxel size and unit as those of an `Image`."""
        blank(self.shape, axes=self.axes, voxel_size_um=self.voxel_size_um, unit=self.unit)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each of `axes`."""
        sides = list(self.values.shape)
        if self.channel is not None:
            del sides[self._channel_axis]
        return tuple(int(side) for side in sides)

    @property
    def _channel_axis(self) -> int:
        return sum(letter in self.axes for letter in AXES[: AXES.index("C")])

    def at_channel(self, channel: int) -> Self:
        """Choose one channel: the image without the axis C.

        Raises
        ------
        ValueError
            If there are no channels, or not so many.
        """
        if "C" not in self.axes:
            raise ValueError(f"channel is {channel}, but {self.path} has no channels: leave it out.")
        channels = self.shape[self.axes.index("C")]
        if not 0 <= channel < channels:
            raise ValueError(f"channel is {channel}, but {self.path} has {channels}: choose 0 to {channels - 1}.")
        return replace(self, axes=self.axes.replace("C", ""), channel=channel)

    def read(self, index: Sequence[int | slice]) -> torch.Tensor:
        """Read a part as float32; `index`: a number or slice for each of `axes`, slices for Y and X."""
        place = tuple(index)
        if self.channel is not None:
            place = (*place[: self._channel_axis], self.channel, *place[self._channel_axis :])
        values = torch.from_numpy(np.array(self.values[place], dtype=np.float32, order="C"))
        _forget(self.values)
        return values


@contextmanager
def open_image(
    path: str | os.PathLike[str], *, axes: str | None = None, voxel_size_um: tuple[float, ...] | None = None
) -> Iterator[ImageOnDisk]:
    """Open a TIFF file or a Zarr folder without loading it.

    Parameters
    ----------
    path : str or path
        TIFF, OME-TIFF, ImageJ TIFF, or a folder ``.zarr``: an array, or an OME-Zarr group, of which the first data set
        of its first image is taken.
    axes, voxel_size_um : optional
        As for `read`, where the file does not tell.

    Yields
    ------
    ImageOnDisk

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        As `read`.

    Examples
    --------
    >>> import tempfile
    >>> from course_lib import images
    >>> image = images.Image(np.full((9, 32, 32), 150, np.uint16), axes="ZYX", voxel_size_um=(0.3, 0.1, 0.1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images.write(folder + "/stack.tif", image)
    ...     with images.open_image(folder + "/stack.tif") as stack:
    ...         stack.shape, stack.read((0, slice(0, 1), slice(0, 2)))
    ((9, 32, 32), tensor([[150., 150.]]))
    """
    path = Path(path)
    if path.is_dir() or path.suffix == ".zarr":
        values, named, sizes, unit = opened_zarr(path, axes=axes)
        yield ImageOnDisk(path=path, values=values, axes=named, voxel_size_um=voxel_size_um or sizes, unit=unit)
        return
    with opened_series(path, axes=axes) as found:
        is_mapped = found.series.dataoffset is not None
        if not is_mapped:
            yield _of_pages(path, found, voxel_size_um)
    if is_mapped:
        image = read(path, axes=axes, voxel_size_um=voxel_size_um, memory_map=True)
        yield ImageOnDisk(
            path=path, values=image.data, axes=image.axes, voxel_size_um=image.voxel_size_um, unit=image.unit
        )


def _of_pages(path: Path, found: SeriesInFile, voxel_size_um: tuple[float, ...] | None) -> ImageOnDisk:
    pages = len(found.series.pages)
    if found.axes[-2:] != "YX" or pages != math.prod(found.shape[:-2]):
        raise ValueError(
            f"{path} is compressed and keeps {found.axes} of shape {found.shape} in {pages} pages, not a plane in "
            f"each: save it uncompressed, or as Zarr."
        )
    axes = "".join(letter for letter in AXES if letter in found.axes)
    order = tuple(found.axes.index(letter) for letter in axes)
    size_um = found.metadata.size_um
    spatial = [letter for letter in axes if letter in "ZYX"]
    if voxel_size_um is None and all(letter in size_um for letter in spatial):
        voxel_size_um = tuple(size_um[letter] for letter in spatial)
    unit: Any = found.metadata.ours.get("unit", "arbitrary")
    return ImageOnDisk(
        path=path,
        values=TiffPages(path=path, series=found.series, file_shape=found.shape, order=order),
        axes=axes,
        voxel_size_um=voxel_size_um,
        unit=unit,
    )


def _forget(values: ArrayOnDisk) -> None:
    """Let go of the pages of a memory map, which otherwise stay in memory until that is full."""
    part: Any = values
    while isinstance(part, np.ndarray):
        part = part.base
    if isinstance(part, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        part.madvise(mmap.MADV_DONTNEED)
