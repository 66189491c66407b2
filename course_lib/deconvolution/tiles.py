r"""Deconvolution of volumes that do not fit into memory: tile by tile, from disk to disk.

What a voxel is restored to depends on the voxels that its light reaches, on those that add light there, and, weaker and
weaker, on theirs. So a tile is restored with a margin on all sides, of which nothing is kept. With the extent of the
PSF less 1, both of these are in it: what the seams change after 20 iterations of Richardson-Lucy is below 0.1 % of the
peak for a PSF that fades, and some 0.5 % for that of a widefield microscope; it grows with the iterations.

Numbers that a method measures on the whole image differ from tile to tile: the acceleration of Richardson-Lucy is
therefore measured on the brightest tile and used in all of them, but the conjugate gradients of `tikhonov_miller` and a
noise-to-signal ratio that `wiener` estimates are those of each tile.

The work that the margins cost falls with the size of the tiles, so they are as large as memory allows. Each finished
tile is on the disk before the journal says so: a run that is interrupted goes on where it was.
"""

import functools
import inspect
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from course_lib import devices, images
from course_lib.deconvolution._check import check_count, check_number, check_psf
from course_lib.deconvolution._journal import Journal, describe_call, fingerprint
from course_lib.deconvolution._residual import ResidualSums
from course_lib.deconvolution._shared_momentum import SharedMomentum
from course_lib.deconvolution._target import Target, make_target, partial_path, remove
from course_lib.deconvolution._tile_plan import Tile, describe_sides, largest_tile
from course_lib.deconvolution.accelerated_richardson_lucy import accelerated_richardson_lucy, measured_momentum
from course_lib.deconvolution.depth_varying import Method
from course_lib.deconvolution.volume import Volume

__all__ = ["TiledRestoration", "deconvolve_tiled", "default_halo", "memory_for_tiles"]

DEFAULT_MEMORY_GIB = 2.0
FITTED_TO_EACH_TILE = {
    "jansson_van_cittert": "its step and its upper bound",
    "tikhonov_miller": "its step and, unless given, its regularization",
    "wiener": "the ratio of noise to signal, unless given,",
}
SHARE_OF_GPU = 0.8
"""Of the memory that is free on a GPU, what tiles may take."""


@dataclass(frozen=True, kw_only=True)
class TiledRestoration:
    """What was done.

    Attributes
    ----------
    path : Path
        The restored volume.
    tiles : int
        How many were computed now.
    resumed : bool
        Whether an interrupted run was finished.
    tile_sides, halo : tuple of int
        Voxels of the largest tile, and of the margin on each side.
    residual_variance : float
        Mean square of the residual in units of the photon noise; 1 if all but noise was explained, less where noise
        was, too. NaN for methods without a stopping rule.
    residual_correlation : float
        Correlation of the residuals of voxels side by side, 0 if they are white noise.
    """

    path: Path
    tiles: int
    resumed: bool
    tile_sides: tuple[int, ...]
    halo: tuple[int, ...]
    residual_variance: float
    residual_correlation: float


def deconvolve_tiled(
    volume: Volume,
    target: str | os.PathLike[str],
    psf: torch.Tensor,
    *,
    method: Method = accelerated_richardson_lucy,
    background: float = 0.0,
    halo: Sequence[int] | None = None,
    memory_gib: float | None = None,
    device: str | torch.device = "cpu",
    overwrite: bool = False,
    progress: bool = True,
) -> TiledRestoration:
    """Restore a volume on disk, frame by frame and tile by tile.

    Parameters
    ----------
    volume : Volume
        What `open_volume` gives.
    target : str or path
        ``.tif`` or ``.tiff``: BigTIFF with OME metadata, uncompressed, so that it can be memory-mapped; ``.zarr``:
        OME-Zarr 0.4. Photons in float32. Until it is complete it is called ``target.partial``, with a journal
        ``target.partial.json`` beside it.
    psf : torch.Tensor
        Shape (z, y, x), or (y, x), with which each plane is restored for itself.
    method : callable
        Any algorithm of this package; `functools.partial` gives it settings.
    background : float
        Photons per voxel that do not come from the object; the variance of the read noise is added by itself.
    halo : sequence of int, optional
        Margin of the tiles along each axis of the PSF; by default the PSF's extent less 1, see `default_halo`.
    memory_gib : float, optional
        Memory that tiles may take; by default 2 GiB, on a GPU 80 % of what is free.
    device : str or torch.device
        Where it is computed. If a GPU runs out of memory, the tiles are halved, with a warning.
    overwrite : bool
        Replace a file of that name, and discard an interrupted run with other settings.
    progress : bool
        Show a progress bar, if a terminal is there to show it.

    Returns
    -------
    TiledRestoration

    Raises
    ------
    ValueError, TypeError
        As the method does; if volume and PSF do not fit, the target exists, or an interrupted run of that name had
        another input or other settings.
    OSError
        If the disk is full: finished tiles are kept, and the same call goes on.

    Notes
    -----
    Settings that change the result are compared on resuming: those of method, background, halo, camera, PSF, and file.
    A method that is a lambda looks like any other lambda.

    Examples
    --------
    >>> import tempfile
    >>> from course_lib.deconvolution import open_volume
    >>> image = images.Image(np.full((2, 40, 40), 9.0, np.float32), axes="TYX", unit="photons")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images.write(folder + "/blurred.tif", image)
    ...     with open_volume(folder + "/blurred.tif") as volume:
    ...         done = deconvolve_tiled(volume, folder + "/sharp.tif", torch.ones(3, 3) / 9)
    ...     images.read(folder + "/sharp.tif")
    Image(T 2 × Y 40 × X 40, float32, voxel size unknown, photons)
    """
    target = Path(target)
    where = devices.resolve(device)
    _check_target(target, volume, overwrite=overwrite)
    shape = _check_shapes(volume, psf)
    _check_background(background, volume)
    margin = _check_halo(halo, psf)
    memory_bytes = memory_for_tiles(where, memory_gib)
    sides = largest_tile(shape, tuple(psf.shape), margin, memory_bytes=memory_bytes)
    _check_method(method, sides, shape)
    _warn_of_seams(method, sides, shape)

    run = Journal(
        path=target.with_name(f"{partial_path(target).name}.json"),
        settings=_settings(volume, psf, method, background=background, halo=margin),
    )
    store = make_target(target, _as_image(volume))
    resumed = _resume(run, target, overwrite=overwrite)
    if not resumed:
        frames = np.ndindex(*volume.shape[: len(volume.shape) - psf.ndim])
        run.remaining = [Tile(frame=frame, start=(0,) * psf.ndim, stop=shape) for frame in frames]
        run.path.unlink(missing_ok=True)  # of another run: with the new, empty file it would tell of finished tiles
        with _kept(target, run):
            store.create()
            run.save()
    run.remaining = [piece for tile in run.remaining for piece in tile.split(sides)]
    run.remaining.sort(key=lambda tile: not tile.holds(volume.survey.brightest))
    job = _Job(volume=volume, psf=psf.to(where, torch.float32), method=method, background=background, halo=margin)
    done = _run_tiles(job, store, run, target, progress=progress)
    with _kept(target, run):
        store.finish()
    run.path.unlink(missing_ok=True)
    return TiledRestoration(
        path=target,
        tiles=done,
        resumed=resumed,
        tile_sides=sides,
        halo=margin,
        residual_variance=ResidualSums.variance(run.sums),
        residual_correlation=ResidualSums.correlation(run.sums),
    )


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


@dataclass(frozen=True, kw_only=True)
class _Job:
    volume: Volume
    psf: torch.Tensor
    method: Method
    background: float
    halo: tuple[int, ...]

    def restore(
        self, tile: Tile, momentum: SharedMomentum, tick: Callable[[float], Any]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Restore a tile, and add up its residual; `tick` is told each share of it that is done."""
        outer = tile.grown(self.halo, self.volume.shape[-self.psf.ndim :])
        inner = tile.within(outer)
        image = self.volume.read(outer.place).to(self.psf.device)
        understood = inspect.signature(self.method).parameters
        free = {name for name, one in understood.items() if one.default is None}
        given: dict[str, Any] = {}
        last: list[torch.Tensor] = []
        sums: dict[str, float] = {}
        if "iterations" in understood and {"stop", "callback"} <= free:
            iterations = understood["iterations"].default

            def after(iteration: int, estimate: torch.Tensor) -> None:
                tick(1 / iterations)
                if iteration == iterations:
                    last.append(estimate[inner].cpu().clone())

            given["iterations"] = iterations + 1
            given["stop"] = ResidualSums(sums, image, inner, iterations=iterations)
            given["callback"] = after
        if "momentum" in understood and understood["momentum"].default is measured_momentum:
            given["momentum"] = momentum
        background = self.background + self.volume.read_noise_photons
        restored = self.method(image, self.psf, background=background, **given)
        return (last.pop() if last else restored[inner].cpu()), sums


def _run_tiles(job: _Job, store: Target, run: Journal, target: Path, *, progress: bool) -> int:
    """Work off what the journal lists, and return how many tiles that were."""
    voxels = math.prod(job.volume.shape)
    left = sum(math.prod(tile.sides) for tile in run.remaining)
    done = 0
    with tqdm(
        total=voxels,
        initial=voxels - left,
        unit="voxel",
        unit_scale=True,
        desc="deconvolution",
        disable=None if progress else True,
    ) as bar:
        while run.remaining:
            tile = run.remaining[0]
            size, shown, momentum = math.prod(tile.sides), bar.n, SharedMomentum(run.momentum)
            try:
                restored, sums = job.restore(tile, momentum, functools.partial(_advance, bar, size))
            except (torch.OutOfMemoryError, MemoryError):
                run.remaining = _smaller(run.remaining, job)
                bar.update(shown - bar.n)
                continue
            with _kept(target, run):
                store.write(tile.place, restored)
                del run.remaining[0]
                run.momentum = run.momentum or momentum.values
                for name, value in sums.items():
                    run.sums[name] = run.sums.get(name, 0.0) + value
                run.save()
            bar.update(shown + size - bar.n)
            done += 1
    return done


def _advance(bar: Any, voxels: int, share: float) -> None:
    bar.update(share * voxels)


def _smaller(remaining: list[Tile], job: _Job) -> list[Tile]:
    """Halve the tiles along their longest axis, and say so."""
    if job.psf.device.type == "cuda":
        torch.cuda.empty_cache()
    sides = remaining[0].sides
    longest = max(sides)
    if longest == 1:
        raise ValueError(
            f"memory on {devices.describe(job.psf.device)} is not even enough for one voxel with its margin of "
            f"{describe_sides(job.halo)}: close other programs, or crop the PSF."
        )
    halved = tuple(math.ceil(side / 2) if side == longest else side for side in sides)
    warnings.warn(
        f"a tile of {describe_sides(sides)} voxels needs more memory than {devices.describe(job.psf.device)} has: it "
        f"goes on with {describe_sides(halved)}.",
        stacklevel=5,
    )
    return [piece for tile in remaining for piece in tile.split(halved)]


@contextmanager
def _kept(target: Path, run: Journal) -> Iterator[None]:
    """Say what is kept when the disk is full."""
    try:
        yield
    except OSError as error:
        partial_file = partial_path(target)
        if run.path.exists():
            remedy = f"what is finished is kept in {partial_file}; free space, and run the same again to go on"
        else:
            remedy = "nothing is left there; free space, or write to another disk"
            remove(partial_file)
        raise OSError(f"{target} could not be written: {error.strerror or error}; {remedy}.") from error


def _resume(run: Journal, target: Path, *, overwrite: bool) -> bool:
    """Take over an interrupted run of the same settings, and return whether there is one."""
    if not run.path.exists() or not partial_path(target).exists():
        return False
    changes = run.load()
    if changes and not overwrite:
        raise ValueError(
            f"{partial_path(target)} is from an interrupted run with other settings: {'; '.join(changes)}. Run it with "
            f"the former settings to finish it, delete it, or pass overwrite=True to start anew."
        )
    return not changes


def _settings(
    volume: Volume, psf: torch.Tensor, method: Method, *, background: float, halo: tuple[int, ...]
) -> dict[str, Any]:
    files = [volume.path, *volume.path.rglob("*")] if volume.path.is_dir() else [volume.path]
    states = [file.stat() for file in files]
    return {
        "file": str(volume.path.resolve()),
        "size in bytes": sum(state.st_size for state in states),
        "last change": max(state.st_mtime_ns for state in states),
        "axes": volume.axes,
        "shape": list(volume.shape),
        "channel": volume.channel,
        "camera": repr(volume.camera),
        "psf": fingerprint(psf),
        "method": describe_call(method),
        "background": background,
        "halo": list(halo),
    }


def _as_image(volume: Volume) -> images.Image:
    """Return axes, voxel size and unit of the restored volume, with values that take no memory."""
    return images.Image(
        np.broadcast_to(np.float32(0), volume.shape),
        axes=volume.axes,
        voxel_size_um=volume.voxel_size_um,
        unit="photons",
    )


def _check_target(target: Path, volume: Volume, *, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}: make it first, or check the spelling.")
    if not target.exists():
        return
    if target.resolve() == volume.path.resolve():
        raise ValueError(f"{target} is the image itself: choose another name for the restored one.")
    if not overwrite:
        raise ValueError(f"{target} exists: choose another name, or pass overwrite=True to replace it.")


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


def _check_background(background: float, volume: Volume) -> None:
    number = check_number(background, name="background", least=0)
    if number > volume.survey.largest:
        raise ValueError(
            f"background is {number:g} photons per voxel, but the brightest voxel of {volume.path} has only "
            f"{volume.survey.largest:g}: give it in photons, after offset and gain."
        )


def _check_method(method: Method, sides: tuple[int, ...], shape: tuple[int, ...]) -> None:
    understood = inspect.signature(method).parameters
    if "iterations" in understood:
        check_count(understood["iterations"].default, name="iterations")
    boundary = understood.get("boundary")
    if sides != shape and boundary is not None and boundary.default == "circular":
        raise ValueError(
            f"the boundary is circular, but the volume of {describe_sides(shape)} is cut into tiles of "
            f"{describe_sides(sides)}, which do not wrap round: use boundary='linear', or give more memory_gib."
        )


def _warn_of_seams(method: Method, sides: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Say so if a method fits its settings to each tile, so that tiles differ."""
    name = getattr(getattr(method, "func", method), "__name__", "")
    if sides != shape and name in FITTED_TO_EACH_TILE:
        warnings.warn(
            f"{name} fits {FITTED_TO_EACH_TILE[name]} to the image, and so to each tile of {describe_sides(sides)}: "
            f"expect seams of some per cent of the peak. Use richardson_lucy, or give enough memory_gib for one tile.",
            stacklevel=3,
        )


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
