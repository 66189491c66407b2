"""A volume on disk that need not fit into memory: one frame or a piece of it is read at a time, as photons.

TIFF without compression is a memory map; of compressed TIFF the planes that are needed are decoded; of Zarr the chunks.
"""

import itertools
import math
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tifffile
import torch

from course_lib import images
from course_lib.axes import AXES, check_axes
from course_lib.images.reading import SeriesInFile, opened_series
from course_lib.noise import Camera

__all__ = ["Survey", "Volume", "open_volume", "require_zarr"]

Array = np.ndarray[Any, Any]
Index = tuple[int | slice, ...]

BLOCK = 8
"""Side in pixels of the blocks whose mean tells the background: small enough to fit between cells."""


class ArrayOnDisk(Protocol):
    """What NumPy's memory maps and Zarr's arrays have in common."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    def __getitem__(self, index: Any, /) -> Any:
        """Read a part."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What one pass over a volume tells, before hours are spent on it.

    Attributes
    ----------
    total, largest : float
        Photons altogether, and in the brightest voxel.
    darkest : float
        Photons a voxel where it is dark: of each plane, the mean that 1 % of its blocks of 8 × 8 pixels are below;
        of these, the value that a tenth of the planes are below.
    brightest : tuple of int
        Where the brightest block is, an index for each axis.
    """

    total: float
    largest: float
    darkest: float
    brightest: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Pixels on disk with their axes, voxel size and the camera that turns them into photons: see `open_volume`.

    Attributes
    ----------
    path : Path
    values : array-like
        Memory map, pages of a TIFF or Zarr array, axes in the order of `axes`.
    axes : str
        Letters of TZYX: the channel is chosen.
    channel : int or None
    voxel_size_um : tuple of float or None
    unit : str
        What the file says its values count.
    camera : Camera or None
        Turns ADU into detected photons; None takes the values for photons.
    """

    path: Path
    values: ArrayOnDisk
    axes: str
    channel: int | None
    voxel_size_um: tuple[float, ...] | None
    unit: images.Unit
    camera: Camera | None = None

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

    @property
    def read_noise_photons(self) -> float:
        """Variance of the read noise, in photons: it is added to each voxel, so that the variance is the mean."""
        return 0.0 if self.camera is None else float(self.camera.read_noise_e) ** 2

    def read(self, index: Sequence[int | slice]) -> torch.Tensor:
        """Read a part as photons, float32, at least 0; `index`: a number or slice for each axis, slices for Y, X."""
        return self._converted(index).clamp_(min=0)

    def _converted(self, index: Sequence[int | slice]) -> torch.Tensor:
        place = tuple(index)
        if self.channel is not None:
            place = (*place[: self._channel_axis], self.channel, *place[self._channel_axis :])
        values = torch.from_numpy(np.array(self.values[place], dtype=np.float32, order="C"))
        _forget(self.values)
        if self.camera is None:
            return values
        return self.camera.to_electrons(values) + self.read_noise_photons

    @cached_property
    def survey(self) -> Survey:
        """Look at each plane once; raises ValueError where values are negative, NaN or infinite."""
        total, largest, most = 0.0, 0.0, -math.inf
        darkest, brightest, negative, lowest = [], (0,) * len(self.shape), 0, 0.0
        for place in np.ndindex(self.shape[:-2]):
            plane = self._converted((*place, slice(None), slice(None)))
            if not bool(torch.isfinite(plane).all()):
                raise ValueError(
                    f"{self.path} has {int((~torch.isfinite(plane)).sum())} NaN or infinite values in plane {place}: "
                    f"replace them, by the median around each for example, before the blur is undone."
                )
            negative, lowest = negative + int((plane < 0).sum()), min(lowest, float(plane.min()))
            light = float(plane.sum(dtype=torch.float64))
            total, largest = total + light, max(largest, float(plane.max()))
            sides = tuple(min(BLOCK, side) for side in plane.shape)
            means = torch.nn.functional.avg_pool2d(plane[None], sides)
            darkest.append(float(np.quantile(means, 0.01)))
            if float(means.max()) > most:
                most = float(means.max())
                block = np.unravel_index(int(means.argmax()), means.shape[1:])
                centre = (int(at) * side + side // 2 for at, side in zip(block, sides, strict=True))
                brightest = (*place, *centre)
        self._check_negative(negative, lowest)
        return Survey(
            total=total,
            largest=largest,
            darkest=max(0.0, float(np.quantile(darkest, 0.1))),
            brightest=brightest,
        )

    def _check_negative(self, negative: int, lowest: float) -> None:
        """Photons are at least 0; with read noise a few values stray below, which are clamped."""
        share = negative / math.prod(self.shape)
        if negative and self.camera is None:
            raise ValueError(
                f"{self.path} has {negative} negative values, the lowest {lowest:g}, but photons are at least 0: if "
                f"a background was subtracted, take the image before that; if the values are of a camera, say its "
                f"gain, offset and read noise."
            )
        if share > 0.01:
            raise ValueError(
                f"{share:.1%} of the voxels of {self.path} are negative after offset and read noise, the lowest "
                f"{lowest:.3g} photons: the offset is too large, or the read noise is larger than "
                f"{self.read_noise_photons**0.5:g} electrons."
            )


@contextmanager
def open_volume(
    path: str | os.PathLike[str],
    *,
    axes: str | None = None,
    voxel_size_um: tuple[float, ...] | None = None,
    channel: int | None = None,
    camera: Camera | None = None,
) -> Iterator[Volume]:
    """Open a TIFF file or a Zarr folder without loading it.

    Parameters
    ----------
    path : str or path
        TIFF, OME-TIFF, ImageJ TIFF, or a folder ``.zarr``: an array, or an OME-Zarr group, of which the first data set
        of its first image is taken.
    axes, voxel_size_um : optional
        As for `images.read`, where the file does not tell.
    channel : int, optional
        Which channel, from 0; must be given if there are several, because each has a PSF of its own.
    camera : Camera, optional
        Its gain, offset and read noise turn the values into detected photons; by default they are photons.

    Yields
    ------
    Volume

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        As `images.read`, and if the channel is missing, or the camera has a map with a value for each pixel.

    Examples
    --------
    >>> import tempfile
    >>> image = images.Image(np.full((9, 32, 32), 150, np.uint16), axes="ZYX", voxel_size_um=(0.3, 0.1, 0.1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images.write(folder + "/stack.tif", image)
    ...     camera = Camera(gain_e_per_adu=0.5, offset_adu=100.0, read_noise_e=1.0)
    ...     with open_volume(folder + "/stack.tif", camera=camera) as volume:
    ...         volume.shape, volume.read((0, slice(0, 1), slice(0, 2)))
    ((9, 32, 32), tensor([[26., 26.]]))
    """
    path = Path(path)
    _check_camera(camera)
    if path.is_dir() or path.suffix == ".zarr":
        yield _chosen(_opened_zarr(path, axes, voxel_size_um), channel, camera)
        return
    with opened_series(path, axes=axes) as found:
        is_mapped = found.series.dataoffset is not None
        if not is_mapped:
            yield _chosen(_opened_pages(path, found, voxel_size_um), channel, camera)
    if is_mapped:
        image = images.read(path, axes=axes, voxel_size_um=voxel_size_um, memory_map=True)
        whole = Volume(
            path=path,
            values=image.data,
            axes=image.axes,
            channel=None,
            voxel_size_um=image.voxel_size_um,
            unit=image.unit,
        )
        yield _chosen(whole, channel, camera)


def require_zarr() -> Any:
    """Import Zarr, which is not installed with the rest."""
    try:
        import zarr
    except ImportError:
        raise ValueError("Zarr is not installed: pip install zarr adds it, or use TIFF.") from None
    return zarr


def _chosen(volume: Volume, channel: int | None, camera: Camera | None) -> Volume:
    """Choose the channel; `volume.axes` still has C if there are any."""
    volume = replace(volume, camera=camera)
    if "C" not in volume.axes:
        if channel is not None:
            raise ValueError(f"channel is {channel}, but {volume.path} has no channels: leave it out.")
        return volume
    channels = volume.values.shape[volume.axes.index("C")]
    if channel is None and channels > 1:
        raise ValueError(
            f"{volume.path} has {channels} channels, each of another colour and so with a PSF of its own: choose one, "
            f"channel 0 to {channels - 1}."
        )
    if not 0 <= (channel or 0) < channels:
        raise ValueError(f"channel is {channel}, but {volume.path} has {channels}: choose 0 to {channels - 1}.")
    return replace(volume, axes=volume.axes.replace("C", ""), channel=channel or 0)


def _check_camera(camera: Camera | None) -> None:
    if camera is None:
        return
    maps = [p.name for p in camera.declared() if isinstance(getattr(camera, p.name), torch.Tensor)]
    if maps:
        raise ValueError(f"{maps[0]} is a map, but must be one number: apply the map, and write the photons, first.")
    if camera.em_gain > 1:
        raise ValueError(
            f"em_gain is {camera.em_gain:g}, but must be 1: an EM register doubles the variance, so that its electrons "
            f"are no photon counts. Divide the image by 2·em_gain/gain_e_per_adu after the offset, and pass no camera."
        )


@dataclass(frozen=True, kw_only=True)
class _Pages:
    """Planes of a TIFF that are decoded when they are read; `order` says where each axis is in the file."""

    path: Path
    series: tifffile.TiffPageSeries
    file_shape: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.file_shape[axis] for axis in self.order)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.series.dtype)

    def __getitem__(self, index: Index) -> Array:
        leading = [
            range(*asked.indices(side)) if isinstance(asked, slice) else (asked,)
            for asked, side in zip(index[:-2], self.shape, strict=False)
        ]
        planes = np.stack([self._plane(place)[index[-2:]] for place in itertools.product(*leading)])
        kept = [len(places) for places, asked in zip(leading, index, strict=False) if isinstance(asked, slice)]
        return planes.reshape(*kept, *planes.shape[1:])

    def _plane(self, place: tuple[int, ...]) -> Array:
        in_file = [at for _, at in sorted(zip(self.order, place, strict=False))]
        number = int(np.ravel_multi_index(in_file, self.file_shape[:-2])) if in_file else 0
        page: Any = self.series.pages[number]
        try:
            plane: Array = page.asarray()
        except Exception as error:  # damaged files raise errors of every kind
            raise ValueError(
                f"plane {number} of {self.path} cannot be decoded: {error}. If it is damaged, copy it again; if it "
                f"needs imagecodecs, install that or save the file uncompressed."
            ) from error
        return plane.reshape(self.file_shape[-2:])


def _opened_pages(path: Path, found: SeriesInFile, voxel_size_um: tuple[float, ...] | None) -> Volume:
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
    return Volume(
        path=path,
        values=_Pages(path=path, series=found.series, file_shape=found.shape, order=order),
        axes=axes,
        channel=None,
        voxel_size_um=voxel_size_um,
        unit=unit,
    )


def _opened_zarr(path: Path, axes: str | None, voxel_size_um: tuple[float, ...] | None) -> Volume:
    zarr = require_zarr()
    try:
        node = zarr.open(path, mode="r")
    except Exception as error:
        raise ValueError(f"{path} is no Zarr array or group: {error}.") from error
    named, sizes, unit = None, None, "arbitrary"
    if isinstance(node, zarr.Group):
        node, named, sizes, unit = _of_ome_zarr(node, path)
    axes = axes or named
    if axes is None:
        raise ValueError(
            f"{path} does not say what its {node.ndim} dimensions {node.shape} are: pass axes with a letter of "
            f"{AXES!r} for each, for example axes={AXES[-node.ndim :]!r}."
        )
    check_axes(axes, node.shape)
    if node.dtype.kind not in "buif":
        raise TypeError(f"{path} has dtype {node.dtype}, but must be integer or floating point.")
    chosen: Any = unit
    return Volume(path=path, values=node, axes=axes, channel=None, voxel_size_um=voxel_size_um or sizes, unit=chosen)


def _of_ome_zarr(group: Any, path: Path) -> tuple[Any, str, tuple[float, ...] | None, str]:
    """Return the full-size array of the first image of an OME-Zarr group, with its axes, voxel size and unit."""
    attributes = group.attrs.asdict()
    multiscales = attributes.get("ome", attributes).get("multiscales")
    if not multiscales:
        raise ValueError(f"{path} is a Zarr group without an image in OME-Zarr: pass one of its arrays, {path}/NAME.")
    axes = multiscales[0]["axes"]
    first = multiscales[0]["datasets"][0]
    (scale,) = (step["scale"] for step in first["coordinateTransformations"] if step["type"] == "scale")
    spatial = [(axis, size) for axis, size in zip(axes, scale, strict=True) if axis["type"] == "space"]
    is_known = all(axis.get("unit") == "micrometer" for axis, _ in spatial)
    sizes = tuple(float(size) for _, size in spatial) if is_known else None
    unit = attributes.get("course_lib", {}).get("unit", "arbitrary")
    return group[first["path"]], "".join(axis["name"].upper() for axis in axes), sizes, unit


def _forget(values: ArrayOnDisk) -> None:
    """Let go of the pages of a memory map, which otherwise stay in memory until that is full."""
    part: Any = values
    while isinstance(part, np.ndarray):
        part = part.base
    if isinstance(part, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        part.madvise(mmap.MADV_DONTNEED)
