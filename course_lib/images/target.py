"""Where the tiles of a result go: a BigTIFF or OME-Zarr folder under a temporary name, renamed when it is complete."""

import errno
import itertools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tifffile
import torch

from course_lib.images.image import Image, Unit
from course_lib.images.writing import ome_xml
from course_lib.images.zarr_folder import require_zarr

__all__ = ["Target", "TiffTarget", "ZarrTarget", "blank", "make_target", "partial_path", "remove"]

CHUNK = (32, 256, 256)


def blank(
    shape: Sequence[int], *, axes: str, voxel_size_um: tuple[float, ...] | None = None, unit: Unit = "arbitrary"
) -> Image:
    """Return a float32 image of zeros that takes no memory, to tell a target what it will hold.

    Examples
    --------
    >>> blank((2000, 8192, 8192), axes="ZYX", unit="photons")
    Image(Z 2000 × Y 8192 × X 8192, float32, voxel size unknown, photons)
    """
    zeros = np.broadcast_to(np.float32(0), tuple(shape))
    return Image(zeros, axes=axes, voxel_size_um=voxel_size_um, unit=unit)


class Target(Protocol):
    """A volume of float32 that is written piece by piece."""

    def create(self) -> None:
        """Make the file under its temporary name."""

    def write(self, place: Sequence[int | slice], values: torch.Tensor) -> None:
        """Write a part to disk; when this returns, it is there."""

    def finish(self) -> None:
        """Give the file its name."""


def partial_path(path: Path) -> Path:
    """Return the temporary name, beside the target."""
    return path.with_name(f"{path.name}.partial")


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_target(path: Path, image: Image) -> Target:
    """Choose by the name how an image like `image` is stored; of that only axes, shape, voxel size and unit count.

    Parameters
    ----------
    path : Path
        ``.tif`` or ``.tiff``: BigTIFF with OME metadata, uncompressed, so that it can be memory-mapped; ``.zarr``:
        OME-Zarr 0.4.
    image : Image
        What `blank` gives, or any image of that kind.

    Raises
    ------
    ValueError
        If the name says neither, or Zarr is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from course_lib import images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = make_target(Path(folder) / "a.tif", blank((4, 6), axes="YX", unit="photons"))
    ...     target.create()
    ...     target.write((slice(0, 2), slice(3, 6)), torch.ones(2, 3))
    ...     target.finish()
    ...     images.read(folder + "/a.tif").data.sum()
    np.float32(6.0)
    """
    suffix = path.suffix.lower()
    if suffix == ".zarr":
        require_zarr()
        return ZarrTarget(path, image)
    if suffix in (".tif", ".tiff"):
        return TiffTarget(path, image)
    raise ValueError(f"{path} must end in .tif, .tiff or .zarr, which say how it is stored: rename it.")


class TiffTarget:
    """BigTIFF with OME metadata, as `images.write` makes them: one uncompressed block that can be memory-mapped."""

    def __init__(self, path: Path, image: Image) -> None:
        self._path, self._image = path, image
        self._partial = partial_path(path)
        self._shape = image.data.shape

    def create(self) -> None:
        """Make a file of zeros, which take no space yet."""
        needed, free = 4 * self._image.data.size, shutil.disk_usage(self._path.parent).free
        if needed > free:
            raise OSError(
                errno.ENOSPC, f"needs {needed / 1e9:.3g} GB, but its disk has {free / 1e9:.3g} GB free", str(self._path)
            )
        tifffile.imwrite(
            self._partial,
            shape=self._shape,
            dtype=np.float32,
            bigtiff=True,
            photometric="minisblack",
            description=ome_xml(self._image),
            metadata=None,
        )

    def write(self, place: Sequence[int | slice], values: torch.Tensor) -> None:
        """Write row by row: a full disk is then an error, where it would kill a process with a memory map."""
        with tifffile.TiffFile(self._partial) as tiff:
            offset = int(tiff.series[0].dataoffset or 0)  # one block, as `create` made it
        array = np.ascontiguousarray(values.cpu().numpy(), dtype="<f4")
        *leading, columns = place
        assert isinstance(columns, slice)
        rows = itertools.product(
            *(
                range(*one.indices(side)) if isinstance(one, slice) else (one,)
                for one, side in zip(leading, self._shape, strict=False)
            )
        )
        with self._partial.open("r+b") as file:
            for at, row in zip(rows, array.reshape(-1, array.shape[-1]), strict=True):
                file.seek(offset + 4 * int(np.ravel_multi_index((*at, columns.start), self._shape)))
                file.write(row.data)
            file.flush()
            os.fsync(file.fileno())

    def finish(self) -> None:
        """Rename, which the file system does in one step."""
        self._partial.replace(self._path)


class ZarrTarget:
    """OME-Zarr 0.4 with a single resolution."""

    def __init__(self, path: Path, image: Image) -> None:
        self._path, self._image = path, image
        self._partial = partial_path(path)

    def create(self) -> None:
        """Make a group with an array "0" and its axes and voxel size; chunks that are not written take no space."""
        image = self._image
        leading = image.data.ndim - 3
        chunks = (*(1,) * max(0, leading), *CHUNK[max(0, -leading) :])
        remove(self._partial)
        group = require_zarr().open_group(self._partial, mode="w", zarr_format=2)
        group.create_array(
            "0",
            shape=image.data.shape,
            chunks=tuple(min(chunk, side) for chunk, side in zip(chunks, image.data.shape, strict=True)),
            dtype="float32",
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        kinds = {"T": "time", "C": "channel"}
        sizes = dict(zip([a for a in image.axes if a in "ZYX"], image.voxel_size_um or (), strict=False))
        axes: list[dict[str, Any]] = [{"name": a.lower(), "type": kinds.get(a, "space")} for a in image.axes]
        for axis in axes:
            if axis["name"].upper() in sizes:
                axis["unit"] = "micrometer"
        scale = [sizes.get(letter, 1.0) for letter in image.axes]
        transformations = [{"type": "scale", "scale": scale}]
        group.attrs["multiscales"] = [
            {
                "version": "0.4",
                "name": self._path.stem,
                "axes": axes,
                "datasets": [{"path": "0", "coordinateTransformations": transformations}],
            }
        ]
        group.attrs["course_lib"] = {"unit": image.unit}

    def write(self, place: Sequence[int | slice], values: torch.Tensor) -> None:
        """Write the chunks that the part touches."""
        require_zarr().open_group(self._partial, mode="r+")["0"][tuple(place)] = values.cpu().numpy()

    def finish(self) -> None:
        """Rename; a folder that is to be replaced is moved out of the way first."""
        if not self._path.exists():
            self._partial.replace(self._path)
            return
        old = self._path.with_name(f"{self._path.name}.old")
        self._path.replace(old)
        self._partial.replace(self._path)
        shutil.rmtree(old)
