"""What data sets there are, and all that is known of each: read from data/registry.toml."""

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from course_lib.images import Unit

__all__ = ["Dataset", "Origin", "data_folder", "describe", "names"]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a packaged file comes from: a sample inside a wheel on the Python package index.

    Attributes
    ----------
    package, version : str
        The package.
    wheel, wheel_sha256 : str
        The wheel's file name, and its checksum.
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
    """All that is known of one data set.

    Attributes
    ----------
    name : str
        The name to load it by.
    description : str
        What it shows, and what was measured of it.
    file : str
        Its file, relative to data/ or to the folder in ``COURSE_DATA``.
    sha256 : str
        The file's checksum.
    licence, citation : str
        The terms, and what to cite.
    axes : str or None
        The image's axes; None for an archive or a model.
    voxel_size_um : tuple of float or None
        (z, y, x) or (y, x) in µm; None when unknown.
    unit : {"photons", "electrons", "adu", "arbitrary"}
        What the values count.
    size_bytes : int or None
        The file's size, where the file is part of the course.
    pixels_sha256 : str or None
        Checksum of the values alone, in C order and little-endian, whatever compressed the file.
    url : str or None
        Where to download it; None for files that are part of the course.
    origin : Origin or None
        The package that data/prepare.py rebuilds it from.
    """

    name: str
    description: str
    file: str
    sha256: str
    licence: str
    citation: str
    axes: str | None = None
    voxel_size_um: tuple[float, ...] | None = None
    unit: Unit = "arbitrary"
    size_bytes: int | None = None
    pixels_sha256: str | None = None
    url: str | None = None
    origin: Origin | None = None


def data_folder() -> Path:
    """Return the folder data/: inside the package where it is installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside, beside = package / "data", package.parent / "data"
    return inside if (inside / "registry.toml").exists() else beside


def names() -> tuple[str, ...]:
    """List the data sets, those that are part of the course first.

    Examples
    --------
    >>> "hazelnut" in names()
    True
    """
    return tuple(_registry())


def describe(name: str) -> Dataset:
    """Return all that is known of a data set.

    Raises
    ------
    ValueError
        If there is no data set of this name; the message lists those there are.

    Examples
    --------
    >>> hazelnut = describe("hazelnut")
    >>> hazelnut.axes, hazelnut.unit, hazelnut.licence
    ('TYX', 'photons', 'BSD-3-Clause')
    """
    if name not in _registry():
        close = difflib.get_close_matches(str(name), names(), n=1)
        suggestion = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no data set {name!r}.{suggestion} There are {', '.join(map(repr, names()))}.")
    return _registry()[name]


@cache
def _registry() -> dict[str, Dataset]:
    with (data_folder() / "registry.toml").open("rb") as file:
        tables = tomllib.load(file)
    return {name: _dataset(name, table, tables["packages"]) for name, table in tables["datasets"].items()}


def _dataset(name: str, table: dict[str, Any], packages: dict[str, dict[str, Any]]) -> Dataset:
    """Build the record; what all samples of one package share is written once, in the package's table."""
    entries = dict(table)
    if "voxel_size_um" in entries:
        entries["voxel_size_um"] = tuple(entries["voxel_size_um"])
    if "package" in entries:
        package = packages[entries["package"]]
        entries["origin"] = Origin(
            package=entries.pop("package"),
            version=package["version"],
            wheel=package["wheel"],
            wheel_sha256=package["sha256"],
            path=entries.pop("sample"),
        )
        entries["licence"] = package["licence"]
        entries.setdefault("citation", package["citation"])
    return Dataset(name=name, **entries)
