"""Find the file of a data set: in data/, then in the folder ``COURSE_DATA``, then on the network; verified."""

import hashlib
import os
from functools import cache
from pathlib import Path

from course_lib import images
from course_lib.datasets.registry import Dataset, data_folder, describe

__all__ = ["load", "path"]


def load(name: str) -> images.Image:
    """Load an image.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    Image
        With its axes, voxel size and unit.

    Raises
    ------
    ValueError
        If there is no such data set, it is not one image but an archive, or its file is damaged.
    ConnectionError
        If its file is not on this machine and cannot be downloaded.

    Examples
    --------
    >>> load("hazelnut")
    Image(T 5 × Y 256 × X 256, uint16, voxel 0.1463 × 0.1463 µm, photons)
    """
    dataset = describe(name)
    if dataset.axes is None:
        raise ValueError(
            f"{name!r} is not one image but the file {dataset.file}: datasets.path({name!r}) gives its path; "
            f"unpack an archive, and read what you need with images.read."
        )
    return images.read(path(name))


def path(name: str) -> Path:
    """Return the path of a data set's file on this machine, downloaded first where it must be.

    The folder ``data`` of the course comes first, then the folder in the environment variable
    ``COURSE_DATA``, for example a memory stick at a workshop, then the download. The file's sha256 is
    verified wherever it comes from, once a process.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        If there is no such data set, or its file is damaged.
    FileNotFoundError
        If a file that is part of the course is not there.
    ConnectionError
        If the file is not on this machine and cannot be downloaded.

    Examples
    --------
    >>> path("hazelnut").name
    'hazelnut_flim_photon_counts_t5.tif'
    """
    dataset = describe(name)
    for folder in _folders():
        local = folder / dataset.file
        if local.exists():
            _verify(local, dataset)
            return local
    if dataset.url is None:
        raise FileNotFoundError(
            f"{dataset.file} of the data set {name!r} is in none of {', '.join(map(str, _folders()))}: restore "
            f"it with 'python data/prepare.py {name}', or set COURSE_DATA to a folder that has it."
        )
    return _download(dataset, dataset.url)


def _folders() -> list[Path]:
    offline = os.environ.get("COURSE_DATA", "")
    return [data_folder(), Path(offline)] if offline else [data_folder()]


def _verify(file: Path, dataset: Dataset) -> None:
    state = file.stat()
    found = _sha256(file, state.st_size, state.st_mtime_ns)
    if found != dataset.sha256:
        raise ValueError(
            f"{file} of the data set {dataset.name!r} is damaged: its sha256 is {found}, "
            f"but {dataset.sha256} is registered. Delete it, and fetch it again from where it came."
        )


@cache
def _sha256(file: Path, _size_bytes: int, _modified_ns: int) -> str:
    """Hash a file; its size and time are arguments so that a changed file is hashed again."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _download(dataset: Dataset, url: str) -> Path:
    import pooch

    try:
        found = pooch.retrieve(
            url,
            known_hash=f"sha256:{dataset.sha256}",
            fname=dataset.file,
            path=os.environ.get("COURSE_DATA") or pooch.os_cache("course_lib"),
            progressbar=True,
        )
    except OSError as error:
        raise ConnectionError(
            f"the data set {dataset.name!r} could not be downloaded: {error}. Without a network, get {url} "
            f"(sha256 {dataset.sha256}) elsewhere, save it as {dataset.file} in a folder, "
            f"and set the environment variable COURSE_DATA to that folder."
        ) from error
    return Path(found)
