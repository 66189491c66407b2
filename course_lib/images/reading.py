"""Read a TIFF file as an `Image`: OME-TIFF, ImageJ hyperstacks and plain TIFF.

Three dialects say in three ways which dimension is which: OME-TIFF in XML, ImageJ in lines of text, tifffile
in JSON. A plain TIFF says nothing, and guessing would mistake time for depth: then the caller must say.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile

from course_lib.axes import AXES, to_axes
from course_lib.images.image import Image, Unit
from course_lib.images.metadata import Metadata, metadata_of

__all__ = ["SeriesInFile", "can_be_mapped", "opened_series", "read", "read_provenance"]


def read(
    path: str | os.PathLike[str],
    *,
    axes: str | None = None,
    voxel_size_um: tuple[float, ...] | None = None,
    unit: Unit | None = None,
    series: int | None = None,
    memory_map: bool = False,
) -> Image:
    """Read a TIFF file; what is not given is taken from its metadata.

    Parameters
    ----------
    path : str or path
        The file.
    axes : str, optional
        A letter of TCZYX for each dimension, in the order of the file; the data are then put in the order
        TCZYX. Without it, axes of length 1 other than Y and X are dropped (`write` keeps them).
    voxel_size_um : tuple of float, optional
        (z, y, x), or (y, x) without an axis Z, in µm. Without it, and without a size of every one of these
        axes in the metadata, the voxel size is None.
    unit : {"photons", "electrons", "adu", "arbitrary"}, optional
        What the values count; "arbitrary" where neither this nor the metadata tell.
    series : int, optional
        Which image, from 0, of a file that has several.
    memory_map : bool
        Leave the data on disk and load what is used; only for uncompressed, contiguous data.

    Returns
    -------
    Image
        The data in the dtype of the file, axes in the order TCZYX.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a TIFF file or damaged, if axes are missing or do not fit, if it has several series or
        colour samples, or if it cannot be memory-mapped. The message tells the remedy.
    TypeError
        If the values are not real numbers.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tifffile.imwrite(folder + "/stack.tif", np.zeros((9, 32, 32), np.uint16))
    ...     read(folder + "/stack.tif", axes="ZYX", voxel_size_um=(0.3, 0.1, 0.1))
    Image(Z 9 × Y 32 × X 32, uint16, voxel 0.3 × 0.1 × 0.1 µm, arbitrary)
    """
    path = Path(path)
    with opened_series(path, axes=axes, series=series) as found:
        data = _mapped(found.series, path) if memory_map else _loaded(found.series, path)
    metadata, file_axes = found.metadata, found.axes
    data = data.reshape(found.shape)
    data, axes = _in_order(data, file_axes, metadata if axes is None else Metadata())
    if metadata.ours.get("dtype") == "bool":
        data = data.view(np.bool_)
    if voxel_size_um is None:
        spatial = [letter for letter in axes if letter in "ZYX"]
        if all(letter in metadata.size_um for letter in spatial):
            voxel_size_um = tuple(metadata.size_um[letter] for letter in spatial)
    noted: Any = metadata.ours.get("unit", "arbitrary")
    return Image(data, axes=axes, voxel_size_um=voxel_size_um, unit=noted if unit is None else unit)


def can_be_mapped(path: str | os.PathLike[str], *, series: int = 0) -> bool:
    """Tell whether `read` can leave an image of a file on disk; False where it cannot be read at all.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tifffile.imwrite(folder + "/stack.tif", np.zeros((9, 32, 32), np.uint16))
    ...     can_be_mapped(folder + "/stack.tif")
    True
    """
    try:
        with _opened(Path(path)) as tiff, _decoding(Path(path)):
            return tiff.series[series].dataoffset is not None
    except (OSError, ValueError):
        return False


def read_provenance(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the program and the command that wrote an image, where a command of this course did.

    Returns
    -------
    dict
        `program`, with its version, and `command`; nothing for other files.

    Examples
    --------
    >>> from course_lib import datasets
    >>> read_provenance(datasets.path("hazelnut"))
    {}
    """
    path = Path(path)
    with _opened(path) as tiff, _decoding(path):
        ours = metadata_of(tiff, 0).ours
    return {key: ours[key] for key in ("program", "command") if key in ours}


@dataclass(frozen=True, kw_only=True)
class SeriesInFile:
    """One image of an open file, with its axes and shape in the order of the file."""

    series: tifffile.TiffPageSeries
    axes: str
    shape: tuple[int, ...]
    metadata: Metadata


@contextmanager
def opened_series(
    path: str | os.PathLike[str], *, axes: str | None = None, series: int | None = None
) -> Iterator[SeriesInFile]:
    """Open one image of a TIFF file, complete and with known axes, without loading its pixels; see `read`."""
    path = Path(path)
    with _opened(path) as tiff:
        number = _one_series(tiff, series, path)
        chosen = tiff.series[number]
        _check_complete(chosen, path)
        with _decoding(path):
            metadata = metadata_of(tiff, number)
        file_axes, file_shape = _file_axes(chosen, axes, path)
        yield SeriesInFile(series=chosen, axes=file_axes, shape=file_shape, metadata=metadata)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn whatever the decoder stumbles over into one error; damaged files raise errors of every kind."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{path} cannot be decoded: {error}. If it is damaged or truncated, copy it again; "
            f"if it needs imagecodecs, install that or save the file uncompressed."
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[tifffile.TiffFile]:
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}: check the name, and the folder you run in, {Path.cwd()}.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: pass one of the files in it.")
    with path.open("rb") as file:
        start = file.read(4)
    if start[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        raise ValueError(
            f"{path} is not a TIFF file, its first bytes are {start!r}: export it as TIFF or OME-TIFF first."
        )
    with _decoding(path):
        tiff = tifffile.TiffFile(path)
    with tiff:
        yield tiff


def _one_series(tiff: tifffile.TiffFile, series: int | None, path: Path) -> int:
    with _decoding(path):
        shapes = [one.shape for one in tiff.series]
    if series is None and len(shapes) > 1:
        raise ValueError(
            f"{path} holds {len(shapes)} images, of shapes {', '.join(map(str, shapes))}: "
            f"choose one with series=0 to series={len(shapes) - 1}."
        )
    number = series or 0
    if not 0 <= number < len(shapes):
        raise ValueError(f"series is {number}, but {path} has {len(shapes)}: pass 0 to {len(shapes) - 1}.")
    return number


def _check_complete(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Raise where pixels are missing: tifffile would leave planes out, or fill them with zeros."""
    with _decoding(path):
        pages = list(series.pages)
        needed = [(_end_of_pages(path), path.stat().st_size)]
        if series.dataoffset is not None:
            needed.append((series.dataoffset + series.nbytes, path.stat().st_size))
        for page in pages:
            if page is not None:
                ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))
                needed.append((max(ends, default=0), page.parent.filehandle.size))
    for end, size_bytes in needed:
        if end > size_bytes:
            raise ValueError(f"{path} is truncated, {end - size_bytes} bytes or more are missing: copy it again.")
    if None in pages:
        raise ValueError(f"{path} lacks planes: keep all files of a multi-file data set in one folder.")


def _end_of_pages(path: Path) -> int:
    """Follow the list of pages, each of which tells where the next is, and return where it ends."""
    with path.open("rb") as file:
        header = file.read(16)
        order: Literal["little", "big"] = "little" if header[:2] == b"II" else "big"
        is_big = 43 in header[2:4]
        count_bytes, entry_bytes, offset_bytes = (8, 20, 8) if is_big else (2, 12, 4)
        offset = int.from_bytes(header[8:16] if is_big else header[4:8], order)
        end, seen = 0, set[int]()
        while offset != 0 and offset not in seen:
            seen.add(offset)
            file.seek(offset)
            entries = int.from_bytes(file.read(count_bytes), order)
            next_at = offset + count_bytes + entries * entry_bytes
            end = max(end, next_at + offset_bytes)
            file.seek(next_at)
            offset = int.from_bytes(file.read(offset_bytes), order)
    return end


def _file_axes(series: tifffile.TiffPageSeries, given: str | None, path: Path) -> tuple[str, tuple[int, ...]]:
    """Return axes and shape in the order of the file."""
    axes, shape = series.get_axes(squeeze=False), series.get_shape(squeeze=False)
    kept = [(axis, size) for axis, size in zip(axes, shape, strict=True) if size > 1 or axis in "YX"]
    short_axes, short_shape = "".join(axis for axis, _ in kept), tuple(size for _, size in kept)
    if given is not None:
        if len(given) not in (len(shape), len(short_shape)):
            raise ValueError(
                f"axes {given!r} name {len(given)} dimensions, but {path} has the shape {short_shape}: "
                f"pass a letter of {AXES!r} for each of these {len(short_shape)}."
            )
        if not set("YX") <= set(given) <= set(AXES) or len(set(given)) != len(given):
            raise ValueError(f"axes {given!r} must be letters of {AXES!r}, each once, with Y and X.")
        return given, (shape if len(given) == len(shape) else short_shape)
    if "S" in short_axes:
        raise ValueError(
            f"{path} is a colour image: shape {short_shape}, axes {short_axes!r}, where S are samples such as "
            f"red, green and blue. If they are channels, pass axes={short_axes.replace('S', 'C')!r}; "
            f"a picture of an image, with a colour map, cannot be measured: export the original values."
        )
    if not set(short_axes) <= set(AXES):
        raise ValueError(
            f"{path} does not say what its {len(short_shape)} dimensions {short_shape} are: "
            f"pass axes with a letter of {AXES!r} for each (T is time, Z depth), "
            f"for example axes={AXES[-len(short_shape) :]!r}."
        )
    return short_axes, short_shape


def _loaded(series: tifffile.TiffPageSeries, path: Path) -> np.ndarray[Any, Any]:
    with _decoding(path):
        data: np.ndarray[Any, Any] = series.asarray()
    return data


def _mapped(series: tifffile.TiffPageSeries, path: Path) -> np.ndarray[Any, Any]:
    if series.dataoffset is None:
        page = series.keyframe
        reason = "compressed" if page.compression != 1 else "scattered over the file, not in one block"
        raise ValueError(
            f"{path} cannot be memory-mapped, its pixels are {reason}: "
            f"read it without memory_map, or write it anew with images.write."
        )
    dtype = series.dtype.newbyteorder(series.keyframe.parent.byteorder)
    return np.memmap(path, dtype=dtype, mode="r", offset=series.dataoffset, shape=series.shape)


def _in_order(data: np.ndarray[Any, Any], file_axes: str, metadata: Metadata) -> tuple[np.ndarray[Any, Any], str]:
    """Transpose to TCZYX, and put back the axes of length 1 that `write` noted."""
    axes = "".join(letter for letter in AXES if letter in file_axes)
    data = data.transpose([file_axes.index(letter) for letter in axes])
    noted = metadata.ours.get("axes", "")
    wanted = noted if set(axes) <= set(noted) else axes
    return to_axes(data, axes=axes, wanted=wanted), wanted
