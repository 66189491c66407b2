"""What is known of each data set and each trained model of the course: ``data/registry.toml`` as records."""

import difflib
import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from course_lib.images import Unit

__all__ = ["Dataset", "Origin", "data_folder", "describe", "names", "pixels_sha256"]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The package on the Python package index that a file of ``data/images`` was made from.

    Attributes
    ----------
    package, version : str
        The package and its version.
    wheel, wheel_sha256 : str
        Name of the wheel file and its hash.
    path : str
        The sample file inside the wheel.
    """

    package: str
    version: str
    wheel: str
    wheel_sha256: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set, or a trained model: where it is, what it is, and what may be done with it.

    Attributes
    ----------
    name : str
        Its name in this course.
    description : str
        What is to be seen, in one line.
    file : str
        Path of the file below the data folder.
    sha256 : str
        Hash of the file.
    kind : {"data", "model"}
        Whether it is an image or archive, or a network that `course_lib.networks.pretrained` loads.
    size_bytes : int or None
        Size of the file, where it was published.
    licence, citation : str
        Terms of use, and what to cite.
    axes : str
        Axes of the image in the order TCZYX; empty for an archive.
    voxel_size_um : tuple of float or None
        (y, x) or (z, y, x) in µm; None where unknown.
    unit : {"photons", "electrons", "adu", "arbitrary"}
        What the values count.
    url : str or None
        Public address, for data that the course does not ship.
    origin : Origin or None
        The package that a shipped file was made from.
    pixels_sha256 : str or None
        Hash of shape, dtype and values of a shipped file, whatever its compression.
    made_by : str
        The command that makes a model; the settings in its file tell more.
    """

    name: str
    description: str
    file: str
    sha256: str
    licence: str
    citation: str
    kind: Literal["data", "model"] = "data"
    size_bytes: int | None = None
    axes: str = ""
    voxel_size_um: tuple[float, ...] | None = None
    unit: Unit = "arbitrary"
    url: str | None = None
    origin: Origin | None = None
    pixels_sha256: str | None = None
    made_by: str = ""


def data_folder() -> Path:
    """Return the folder of the course's own data: inside an installed wheel, or at the top of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"


@cache
def _registry() -> dict[str, Dataset]:
    path = data_folder() / "registry.toml"
    entries: dict[str, dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))
    records = {}
    for name, entry in entries.items():
        if "origin" in entry:
            entry["origin"] = Origin(**entry["origin"])
        if "voxel_size_um" in entry:
            entry["voxel_size_um"] = tuple(entry["voxel_size_um"])
        records[name] = Dataset(name=name, **entry)
    return records


def names(kind: Literal["data", "model"] = "data") -> list[str]:
    """List the names of all data sets, or of all models.

    Examples
    --------
    >>> "hazelnut" in names()
    True
    """
    return [name for name, record in _registry().items() if record.kind == kind]


def describe(name: str) -> Dataset:
    """Return what is known of one data set.

    Raises
    ------
    ValueError
        If there is none of that name; the message suggests the nearest.

    Examples
    --------
    >>> describe("hazelnut").unit
    'photons'
    >>> describe("hazlenut")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: there is no data set 'hazlenut'; did you mean 'hazelnut'? There are ...
    """
    registry = _registry()
    if name not in registry:
        near = difflib.get_close_matches(str(name), registry, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"there is no data set {name!r}{hint} There are {', '.join(registry)}.")
    return registry[name]


def pixels_sha256(pixels: np.ndarray[Any, Any]) -> str:
    """Hash shape, dtype and values, so that two files can be compared whatever their compression.

    Examples
    --------
    >>> pixels_sha256(np.zeros((2, 2), np.uint16))[:8]
    '8b81b1b7'
    """
    header = f"{pixels.shape} {pixels.dtype.newbyteorder('<').str} ".encode()
    values = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    return hashlib.sha256(header + values.tobytes()).hexdigest()
