"""``course deconvolve``: undo the blur of a stack of your own, however large it is."""

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from course_lib import deconvolution, devices, images
from course_lib.cli._batch import for_each, stem_of
from course_lib.cli._deconvolve_flags import add_flags, camera, check_flags
from course_lib.cli._deconvolve_method import choose_background, choose_iterations, choose_method
from course_lib.cli._deconvolve_psf import computed_psf, measured_psf
from course_lib.cli._messages import tell, told_at_once
from course_lib.deconvolution import TiledRestoration, Volume, plan_tiles
from course_lib.images.target import partial_path
from course_lib.images.tiled_run import check_target, journal_path

__all__ = ["add"]

RESULT = "_deconvolved.ome.tif"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser; every parameter of `Microscope` becomes a flag."""
    parser = commands.add_parser(
        "deconvolve",
        help="undo the blur of the microscope, in stacks of any size",
        description="Restore photons from an image and the PSF, measured (--psf) or computed (--model). Stacks that "
        "do not fit into memory are cut into tiles; an interrupted run goes on when the same command is given again.",
    )
    add_flags(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    check_flags(vars(arguments))
    for_each(arguments, _run_one, result=RESULT)


def _run_one(arguments: argparse.Namespace) -> None:
    given = vars(arguments)
    path: Path = given["image"]
    output: Path = given["output"] or path.with_name(f"{stem_of(path)}{RESULT}")
    check_target(output, overwrite=given["overwrite"], source=path)
    device = devices.resolve(given["device"])
    with told_at_once(given):
        lines = _deconvolve(given, output, device)
    print(*lines, sep="\n  ")


def _deconvolve(given: Mapping[str, Any], output: Path, device: torch.device) -> list[str]:
    """Do the work, and return what to print."""
    has_begun = False
    shape: tuple[int, ...] = ()
    try:
        with deconvolution.open_volume(
            given["image"],
            axes=given["axes"],
            voxel_size_um=given["voxel_size_um"],
            channel=given["channel"],
            camera=camera(given),
        ) as volume:
            shape = volume.shape
            _check_volume(given, volume)
            psf = measured_psf(given["psf"], volume) if given["psf"] else computed_psf(given, volume)
            chosen = choose_method(given, volume)
            tiling: dict[str, Any] = {"halo": given["halo"], "memory_gib": given["memory_gib"], "device": device}
            plan_tiles(volume, psf.values, method=chosen.method, **tiling)
            background, told_background = choose_background(given, volume)
            chosen = choose_iterations(given, chosen, volume, psf.values.to(device), background=background)
            has_begun = True
            done = deconvolution.deconvolve_tiled(
                volume,
                output,
                psf.values,
                method=chosen.method,
                background=background,
                overwrite=given["overwrite"],
                **tiling,
            )
            survey = volume.survey
            restored = images.blank(volume.shape, axes=volume.axes, voxel_size_um=volume.voxel_size_um, unit="photons")
    except KeyboardInterrupt:
        tell(_what_is_kept(output, shape) if has_begun else "interrupted before the first tile: nothing was written.")
        raise SystemExit(130) from None
    return [
        f"{output}: {restored}",
        f"device: {devices.describe(device)}",
        f"PSF: {psf.told}",
        f"photons: {survey.total:.4g}, {survey.largest:.4g} in the brightest voxel; {told_background}",
        f"method: {chosen.told}",
        *_told_of_tiles(done),
    ]


def _told_of_tiles(done: TiledRestoration) -> list[str]:
    lines = [
        f"tiles: {done.tiles} of up to {' × '.join(map(str, done.tile_sides))} voxels, margin "
        f"{' × '.join(map(str, done.halo))}{', of a run that was interrupted' if done.resumed else ''}"
    ]
    if not math.isnan(done.residual_variance):
        lines.append(
            f"residual: variance {done.residual_variance:.3g} of the photon noise's, correlation with the next voxel "
            f"{done.residual_correlation:.2g} (1 and 0 if only noise is left; well "
            f"below 1: noise was fitted, too, or the values are no photons)"
        )
    return lines


def _what_is_kept(output: Path, shape: tuple[int, ...]) -> str:
    """Return what an interrupted run leaves on disk, and how to go on."""
    journal = journal_path(output)
    if not journal.exists():
        return "interrupted before the first tile: nothing was written."
    tiles = json.loads(journal.read_text())["remaining"]
    left = sum(math.prod(b - a for a, b in zip(tile["start"], tile["stop"], strict=True)) for tile in tiles)
    return (
        f"interrupted. {1 - left / math.prod(shape):.0%} of the stack is finished and kept in {partial_path(output)}, "
        f"the tile in work is not: give the same command to go on, or delete the file and {journal.name}."
    )


def _check_volume(given: Mapping[str, Any], volume: Volume) -> None:
    """Raise unless values, voxel size and planes of the stack are known and enough."""
    counts = volume.unit in ("photons", "electrons")
    if counts and volume.camera is not None:
        raise ValueError(f"{volume.path} says that its values are {volume.unit}: leave --gain-e-per-adu.")
    if not counts and volume.camera is None and not given["photons"]:
        raise ValueError(
            f"the values of {volume.path} are in {'ADU' if volume.unit == 'adu' else 'a unit that it does not tell'}, "
            f"but the noise is known for photons only: give --gain-e-per-adu and --offset-adu of the camera (and "
            f"--read-noise-e), or --photons if they are photons."
        )
    if volume.voxel_size_um is None:
        raise ValueError(
            f"{volume.path} does not say how large its voxels are: add --voxel-size-um "
            f"{','.join(letter for letter in volume.axes if letter in 'ZYX')}, in µm."
        )
    if "Z" in volume.axes and volume.shape[volume.axes.index("Z")] == 1:
        raise ValueError(
            f"{volume.path} has 1 plane, which cannot tell what lies above from what lies below: take a stack, or add "
            f"--axes {volume.axes.replace('Z', '')} to restore it as a plane."
        )
