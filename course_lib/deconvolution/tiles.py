r"""Deconvolution of volumes that do not fit into memory: tile by tile, from disk to disk.

What a voxel is restored to depends on the voxels that its light reaches, on those that add light there, and, weaker and
weaker, on theirs. So a tile is restored with a margin on all sides, of which nothing is kept. With the extent of the
PSF less 1, both of these are in it. What the seams change, after 20 iterations of Richardson-Lucy or 10 of its
acceleration, is below 0.1 % of the peak for a PSF that fades, and below 0.5 % for that of a widefield microscope; it
grows with the iterations.

Numbers that a method measures on the whole image differ from tile to tile: the acceleration of Richardson-Lucy is
therefore measured on the brightest tile and used in all of them. That makes no seams, but the tiles together are not
quite as far on their way as the whole image would be, as if by some iterations more or fewer: by up to 0.5 % of the
peak after 10 iterations with a PSF that fades, and up to 10 % with a widefield one. The conjugate gradients of
`tikhonov_miller` and a noise-to-signal ratio that `wiener` estimates are those of each tile.

The work that the margins cost falls with the size of the tiles, so they are as large as memory allows. Each finished
tile is on the disk before the journal says so: a run that is interrupted goes on where it was.
"""

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from course_lib import devices, images
from course_lib.deconvolution._method import Method, check_given_once
from course_lib.deconvolution._residual import ResidualSums
from course_lib.deconvolution._shared_momentum import SharedMomentum, measures_momentum
from course_lib.deconvolution._tile_plan import check_background, default_halo, memory_for_tiles, plan_tiles
from course_lib.deconvolution.accelerated_richardson_lucy import accelerated_richardson_lucy
from course_lib.deconvolution.volume import Volume
from course_lib.images.journal import describe_call, fingerprint
from course_lib.images.tiled_run import check_target

__all__ = ["TiledRestoration", "deconvolve_tiled", "default_halo", "memory_for_tiles"]


@dataclass(frozen=True, kw_only=True)
class TiledRestoration:
    r"""What was done.

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
        Mean of :math:`(y - e)^2 / e` over all voxels, for the photons :math:`y` and those expected, :math:`e`. If
        :math:`e` were the true mean, its expected value would be exactly 1, for any number of photons, because the
        variance of a count is its mean. An estimate that is fitted to :math:`y` explains noise, too, and comes out
        lower; what it leaves unexplained makes it larger. NaN for methods without a stopping rule.
    residual_correlation : float
        Correlation of the residuals of voxels side by side along y and x, 0 if they are white noise.

    Notes
    -----
    Accelerated Richardson-Lucy tells what is expected of the point from which its next step would begin, not of the
    estimate, which would take one more transform; the two are nearly the same after some iterations.
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
        Any algorithm of this package; `functools.partial` gives it settings, but no `stop` or `callback`: tiles must do
        as many iterations each. A `background` belongs beside it, not in it.
    background : float
        Photons per voxel that do not come from the object; the variance of the read noise is added by itself.
    halo : sequence of int, optional
        Margin of the tiles along each axis of the PSF; by default the PSF's extent less 1.
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
        As the method does; if volume and PSF do not fit, the method has a `stop`, a `callback` or another
        `background`, the target exists, or an interrupted run of that name had another input or other settings.
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
    >>> image = images.Image.from_tensor(torch.full((2, 40, 40), 9.0), axes="TYX", unit="photons")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images.write(folder + "/blurred.tif", image)
    ...     with open_volume(folder + "/blurred.tif") as volume:
    ...         done = deconvolve_tiled(volume, folder + "/sharp.tif", torch.ones(3, 3) / 9)
    ...     images.read(folder + "/sharp.tif")
    Image(T 2 × Y 40 × X 40, float32, voxel size unknown, photons)
    """
    target = Path(target)
    where = devices.resolve(device)
    check_target(target, overwrite=overwrite, source=volume.path)
    plan = plan_tiles(volume, psf, method=method, halo=halo, memory_gib=memory_gib, device=where)
    check_given_once(method, background=background)
    background = check_background(background, volume)
    run = images.TiledRun(
        target=target,
        like=images.blank(volume.shape, axes=volume.axes, voxel_size_um=volume.voxel_size_um, unit="photons"),
        sides=plan.sides,
        halo=plan.halo,
        settings=_settings(volume, psf, method, background=background, halo=plan.halo),
        overwrite=overwrite,
    )
    job = _Job(
        volume=volume,
        psf=psf.to(where, torch.float32),
        method=method,
        background=background + volume.read_noise_photons,
        halo=plan.halo,
        notes=run.notes,
    )
    done = run.compute(
        job.restore, device=where, first=volume.survey.brightest, progress=progress, description="deconvolution"
    )
    sums = run.notes.get("residual", {})
    return TiledRestoration(
        path=target,
        tiles=done,
        resumed=run.resumed,
        tile_sides=plan.sides,
        halo=plan.halo,
        residual_variance=ResidualSums.variance(sums),
        residual_correlation=ResidualSums.correlation(sums),
    )


@dataclass(frozen=True, kw_only=True)
class _Job:
    volume: Volume
    psf: torch.Tensor
    method: Method
    background: float
    halo: tuple[int, ...]
    notes: dict[str, Any]
    """``momentum`` of the first tile, and sums over the ``residual`` of all; see `images.TiledRun`."""

    def restore(self, tile: images.Tile, tick: Callable[[float], Any]) -> torch.Tensor:
        """Restore a tile, and add up its residual; `tick` is told each share of it that is done."""
        outer = tile.grown(self.halo, self.volume.shape[-self.psf.ndim :])
        inner = tile.within(outer)
        image = self.volume.read(outer.place).to(self.psf.device)
        understood = inspect.signature(self.method).parameters
        given: dict[str, Any] = {}
        sums: dict[str, float] = {}
        if {"iterations", "stop", "callback"} <= understood.keys():
            iterations = understood["iterations"].default
            given["iterations"] = iterations + 1  # is never done: the rule is asked before it
            given["stop"] = ResidualSums(sums, image, inner, iterations=iterations)
            given["callback"] = lambda _iteration, _estimate: tick(1 / iterations)
        momentum = SharedMomentum(self.notes.get("momentum", []))
        if measures_momentum(self.method):
            given["momentum"] = momentum
        restored = self.method(image, self.psf, background=self.background, **given)[inner].cpu()
        self.notes.setdefault("momentum", momentum.values)
        all_sums = self.notes.setdefault("residual", {})
        for name, value in sums.items():
            all_sums[name] = all_sums.get(name, 0.0) + value
        return restored


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
