"""What is checked and chosen before the first tile: shapes, background, the method, and how large the tiles are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from course_lib import images
from course_lib.deconvolution._check import check_number, check_psf
from course_lib.deconvolution._method import Method, check_for_parts, check_wrapping, warn_of_seams
from course_lib.deconvolution.volume import Volume
from course_lib.images.tiles import describe_sides

__all__ = ["BYTES_PER_VOXEL", "TilePlan", "check_background", "default_halo", "memory_for_tiles", "plan_tiles"]

BYTES_PER_VOXEL = 112
"""Memory of a restoration for each voxel of the padded tile: measured, 105 for `tikhonov_miller`, 92 with total
variation, 27 for `richardson_lucy` and 39 for its acceleration."""
DEFAULT_MEMORY_GIB = 2.0
SHARE_OF_GPU = 0.8
"""Of the memory that is free on a GPU, what tiles may take."""


@dataclass(frozen=True, kw_only=True)
class TilePlan:
    """Voxels of the largest tile, and of the margin on each side, along the axes of the PSF."""

    sides: tuple[int, ...]
    halo: tuple[int, ...]


def plan_tiles(
    volume: Volume,
    psf: torch.Tensor,
    *,
    method: Method,
    halo: Sequence[int] | None = None,
    memory_gib: float | None = None,
    device: torch.device,
) -> TilePlan:
    """Choose the tiles of `deconvolve_tiled`, without looking at a voxel.

    Parameters
    ----------
    volume, psf, method, halo, memory_gib
        As for `deconvolve_tiled`.
    device : torch.device
        Where it will be computed.

    Returns
    -------
    TilePlan

    Raises
    ------
    ValueError, TypeError
        Where volume, PSF, method, margins and memory do not fit.

    Warns
    -----
    UserWarning
        If the method fits its settings to each tile, so that seams are seen.

    Examples
    --------
    >>> import tempfile
    >>> from course_lib.deconvolution import open_volume, richardson_lucy
    >>> image = images.Image.from_tensor(torch.ones(400, 400), axes="YX", unit="photons")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images.write(folder + "/a.tif", image)
    ...     with open_volume(folder + "/a.tif") as volume:
    ...         plan_tiles(
    ...             volume,
    ...             torch.ones(5, 5) / 25,
    ...             method=richardson_lucy,
    ...             memory_gib=0.01,
    ...             device=torch.device("cpu"),
    ...         )
    TilePlan(sides=(400, 200), halo=(4, 4))
    """
    shape = _check_shapes(volume, psf)
    margin = _check_halo(halo, psf)
    check_for_parts(method, part="tile")
    memory_bytes = memory_for_tiles(device, memory_gib)
    try:
        sides = images.largest_tile(
            shape,
            margin,
            bytes_per_voxel=BYTES_PER_VOXEL,
            memory_bytes=memory_bytes,
            computed=lambda voxels, axis: _padded(voxels + psf.shape[axis] - 1),
        )
    except ValueError as error:
        raise ValueError(f"{error} Cropping the PSF does that.") from None
    if sides != shape:
        tiles = describe_sides(sides)
        check_wrapping(
            method,
            cut=f"the volume of {describe_sides(shape)} is cut into tiles of {tiles}",
            remedy="give more memory_gib",
        )
        warn_of_seams(method, part=f"tile of {tiles}", remedy="give enough memory_gib for one tile", stacklevel=3)
    return TilePlan(sides=sides, halo=margin)


def default_halo(psf: torch.Tensor) -> tuple[int, ...]:
    """Return the extent of the PSF less 1 along each axis: where the light of a voxel goes, and where that comes from.

    Examples
    --------
    >>> default_halo(torch.ones(9, 15, 15))
    (8, 14, 14)
    """
    return tuple(extent - 1 for extent in psf.shape)


def memory_for_tiles(device: torch.device, memory_gib: float | None = None) -> float:
    """Return the bytes that tiles may take, `memory_gib` or a default for the device.

    Examples
    --------
    >>> memory_for_tiles(torch.device("cpu")) / 2**30
    2.0
    """
    if memory_gib is not None:
        return check_number(memory_gib, name="memory_gib", above=0) * 2**30
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return SHARE_OF_GPU * free
    return DEFAULT_MEMORY_GIB * 2**30


def check_background(background: float, volume: Volume) -> float:
    """Return it, or raise if it is negative, or brighter than every voxel."""
    number = check_number(background, name="background", least=0)
    if number > volume.survey.largest:
        raise ValueError(
            f"background is {number:g} photons per voxel, but the brightest voxel of {volume.path} has only "
            f"{volume.survey.largest:g}: give it in photons, after offset and gain."
        )
    return number


def _padded(voxels: int) -> int:
    """Return the length to which `Blur` pads."""
    from scipy import fft

    return int(fft.next_fast_len(voxels, real=True))


def _check_shapes(volume: Volume, psf: torch.Tensor) -> tuple[int, ...]:
    check_psf(psf)
    if math.prod(volume.shape) == 0:
        raise ValueError(f"{volume.path} has no voxels: its shape is {volume.shape}.")
    if psf.ndim == 3 and "Z" not in volume.axes:
        raise ValueError(
            f"{volume.path} has the axes {volume.axes}, no Z, but the psf is 3D: pass a 2D psf, or name the axes."
        )
    shape = volume.shape[-psf.ndim :]
    if psf.ndim == 3 and shape[0] == 1:
        raise ValueError(
            f"{volume.path} has 1 plane, but the psf is 3D: a single plane cannot tell what lies above from what lies "
            f"below. Use a stack, or a 2D psf, psf[psf.shape[0] // 2] / psf[psf.shape[0] // 2].sum()."
        )
    return shape


def _check_halo(halo: Sequence[int] | None, psf: torch.Tensor) -> tuple[int, ...]:
    if halo is None:
        return default_halo(psf)
    least = tuple(extent // 2 for extent in psf.shape)
    if len(halo) != psf.ndim or any(margin < reach for margin, reach in zip(halo, least, strict=False)):
        raise ValueError(
            f"halo is {tuple(halo)}, but must be at least {least}, how far the light of a voxel goes; "
            f"{default_halo(psf)} makes the seams vanish."
        )
    return tuple(halo)
