"""Find the file of a data set, verify it, and read it."""

import hashlib
import os
from functools import cache
from pathlib import Path

from course_lib import images
from course_lib.datasets.registry import Dataset, data_folder, describe

__all__ = ["load", "path"]


def path(name: str) -> Path:
    """Return the path of the verified file of a data set, downloading it if it must be.

    Looked for in this order: the course's own ``data/``; the folder that the environment variable
    ``COURSE_DATA`` names (a memory stick, a shared disk); the public address, from which it is kept in
    ``COURSE_DATA`` if that is set, otherwise in the user's cache.

    Parameters
    ----------
    name : str
        Name of the data set, see `names`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        If there is no data set of that name, or its file is damaged.
    FileNotFoundError
        If a file that the course ships is missing.
    OSError
        If it must be downloaded and cannot be; the message tells how to bring it by hand.

    Examples
    --------
    >>> path("hazelnut").name
    'hazelnut_flim_photon_counts_t5.tif'
    """
    dataset = describe(name)
    own = data_folder() / dataset.file
    if own.exists():
        return _verified(own, dataset)
    brought = _brought_folder()
    if brought is not None and (brought / dataset.file).exists():
        return _verified(brought / dataset.file, dataset)
    if dataset.url is None:
        rebuild = dataset.made_by or f"python data/prepare.py {name}"
        raise FileNotFoundError(
            f"{own}, which the course ships, is missing: restore it with git checkout -- data/{dataset.file}, or "
            f"rebuild it with {rebuild}."
        )
    return _downloaded(dataset, brought)


def load(name: str) -> images.Image:
    """Read a data set as an image with its axes, voxel size and unit.

    Parameters
    ----------
    name : str
        Name of the data set, see `names`.

    Returns
    -------
    Image

    Raises
    ------
    ValueError
        If there is no data set of that name, if it is an archive of many files, or damaged.
    OSError
        If it must be downloaded and cannot be.

    Examples
    --------
    >>> load("hazelnut")
    Image(T 5 × Y 256 × X 256, uint16, voxel 0.1463 × 0.1463 µm, photons)
    """
    dataset = describe(name)
    if dataset.kind == "model":
        raise ValueError(f"{name} is a trained network, not an image: networks.pretrained({name!r}) loads it.")
    if not dataset.file.endswith((".tif", ".tiff")):
        raise ValueError(
            f"{name} is an archive, {dataset.file}, not one image: datasets.path({name!r}) returns the file; "
            f"unpack it, and read what you need with images.read."
        )
    return images.read(path(name), axes=dataset.axes, voxel_size_um=dataset.voxel_size_um, unit=dataset.unit)


def _brought_folder() -> Path | None:
    named = os.environ.get("COURSE_DATA", "")
    return Path(named).expanduser() if named else None


def _verified(file: Path, dataset: Dataset) -> Path:
    status = file.stat()
    found = _sha256(file, status.st_mtime_ns, status.st_size)
    if found != dataset.sha256:
        raise ValueError(
            f"{file} is damaged or not the published file: its sha256 is {found}, but must be {dataset.sha256}. "
            f"Delete it, and copy or download it again."
        )
    return file


@cache
def _sha256(file: Path, _modified_ns: int, _size_bytes: int) -> str:
    """Hash a file once, and again only when it has changed."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _downloaded(dataset: Dataset, brought: Path | None) -> Path:
    import pooch

    folder = brought or Path(pooch.os_cache("deep-learning-microscopy-course"))
    try:
        fetched = pooch.retrieve(
            dataset.url, known_hash=f"sha256:{dataset.sha256}", fname=dataset.file, path=folder, progressbar=True
        )
    except ValueError as error:  # pooch deletes what does not have the hash
        raise ValueError(
            f"the download of {dataset.name} from {dataset.url} is not the published file: {error}"
        ) from None
    except OSError as error:
        raise OSError(
            f"{dataset.name} could not be downloaded from {dataset.url} ({error}): without a network, bring the file "
            f"(sha256 {dataset.sha256}) as {dataset.file} in a folder, and set COURSE_DATA to that folder."
        ) from None
    return Path(fetched)
