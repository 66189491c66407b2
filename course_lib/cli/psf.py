"""``course psf``: the PSF of a microscope of your own, from a stack of beads."""

import argparse
import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from course_lib import images, optics
from course_lib.cli._flags import add_microscope, microscope, three_sizes_um, three_whole_numbers
from course_lib.cli._messages import tell

__all__ = ["add", "default_shape"]

NYQUIST_STEPS = (4, 10, 10)
"""How far the PSF reaches from its centre by default, along z, y and x: about twice its length."""
FEWEST_VOXELS = 5
"""Voxels along each axis that a PSF has at least."""
HAZE = 0.1
"""Share of the light of a bead that may come from a background that was not taken off."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser; every parameter of `Microscope` becomes a flag."""
    parser = commands.add_parser(
        "psf",
        help="measure the PSF from a stack of beads, and compare it with theory",
        description="Find single beads, centre each between the voxels, average them, and write the PSF: float32, "
        "sum 1, its centre at half the size, ready for deconvolution; the size of the beads is still in it. The "
        "flags of the microscope say which theory, that of a widefield microscope, it is compared with.",
    )
    parser.add_argument("beads", type=Path, metavar="BEADS", help="TIFF, ImageJ TIFF or OME-TIFF, a stack of planes")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="OME-TIFF to write, psf.ome.tif for example")
    parser.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX, for example ZYX")
    parser.add_argument(
        "--voxel-size-um",
        type=three_sizes_um,
        metavar="Z,Y,X",
        help="size of a voxel in µm (default: what the file says)",
    )
    parser.add_argument("--channel", type=int, metavar="N", help="channel of the beads, from 0, if there are several")
    parser.add_argument(
        "--bead-diameter-um",
        type=float,
        default=0.0,
        metavar="X",
        help="diameter of the beads, whose share is taken off the widths (default 0: nothing is taken off)",
    )
    parser.add_argument(
        "--shape",
        type=three_whole_numbers,
        metavar="Z,Y,X",
        help=f"voxels of the PSF (default: from its centre {NYQUIST_STEPS[0]} Nyquist steps of the microscope along "
        f"z and {NYQUIST_STEPS[1]} along y and x, if the stack is as large)",
    )
    parser.add_argument(
        "--background",
        type=float,
        metavar="X",
        help="value of a voxel without light from beads (default: measured around each bead, which takes the light "
        "far from the focus for background)",
    )
    parser.add_argument(
        "--saturation",
        type=float,
        metavar="X",
        help="value of a saturated voxel, 65535 for example (default: the maximum of the stack, where a bead has four)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")
    add_microscope(parser, title="microscope, for the theory")
    parser.set_defaults(run=_run)


def default_shape(
    microscope: optics.Microscope, *, voxel_size_um: tuple[float, ...], stack_shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the odd sides (z, y, x) that reach `NYQUIST_STEPS` from the centre, as far as the stack does.

    Examples
    --------
    >>> microscope = optics.Microscope(numerical_aperture=1.4, emission_wavelength_nm=520)
    >>> default_shape(microscope, voxel_size_um=(0.2, 0.08, 0.08), stack_shape=(60, 512, 512))
    (11, 23, 23)
    >>> default_shape(microscope, voxel_size_um=(0.2, 0.08, 0.08), stack_shape=(10, 512, 512))
    (9, 23, 23)
    """
    limits_um = (microscope.axial_nyquist_um, microscope.lateral_nyquist_um, microscope.lateral_nyquist_um)
    wanted = (
        2 * math.floor(steps * limit / size) + 1
        for steps, limit, size in zip(NYQUIST_STEPS, limits_um, voxel_size_um, strict=True)
    )
    return tuple(
        min(max(side, FEWEST_VOXELS), most - 1 + most % 2) for side, most in zip(wanted, stack_shape, strict=True)
    )


def _run(arguments: argparse.Namespace) -> None:
    chosen = microscope(vars(arguments))
    _check_flags(arguments)
    stack = _stack(arguments)
    voxel_size_um = stack.known_voxel_size_um
    shape = arguments.shape or default_shape(chosen, voxel_size_um=voxel_size_um, stack_shape=stack.data.shape)
    printed_shape = ",".join(map(str, shape))
    try:
        measured = optics.bead_psf(
            stack.tensor(),
            voxel_size_um=voxel_size_um,
            shape=shape,
            bead_diameter_um=arguments.bead_diameter_um,
            background=arguments.background,
            saturation=arguments.saturation,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="the voxel is", category=UserWarning)
            theory = optics.vectorial_psf(chosen, shape=shape, voxel_size_um=voxel_size_um, points_per_pixel=3)
        table = _table(measured, optics.fwhm_um(theory, voxel_size_um=voxel_size_um))
    except ValueError as reason:
        raise ValueError(f"{arguments.beads}, with --shape {printed_shape}: {reason}") from None
    psf = images.Image.from_tensor(measured.psf, axes="ZYX", voxel_size_um=voxel_size_um)
    images.write(arguments.output, psf)
    _tell_of_large_voxels(chosen, voxel_size_um)
    _tell_of_haze(measured, median=float(np.median(stack.data)))
    print(f"{arguments.output}: {psf}", measured, _background(measured), *table, _theory(chosen), sep="\n  ")


def _check_flags(arguments: argparse.Namespace) -> None:
    if arguments.excitation_wavelength_nm is not None:
        raise ValueError(
            "--excitation-wavelength-nm has no meaning here: the theory is that of a widefield microscope. Leave it."
        )
    if arguments.output.suffix.lower() not in (".tif", ".tiff"):
        raise ValueError(f"{arguments.output} must end in .tif or .tiff, because it will be a TIFF file: rename it.")
    if arguments.output.exists():
        if not arguments.overwrite:
            raise ValueError(f"{arguments.output} exists: choose another name, or add --overwrite to replace it.")
        if arguments.beads.exists() and arguments.output.samefile(arguments.beads):
            raise ValueError(f"{arguments.output} is the stack of beads itself: choose another name for the PSF.")


def _stack(arguments: argparse.Namespace) -> images.Image:
    """Read the planes (z, y, x) of one channel, whose voxel size is known."""
    path = arguments.beads
    image = images.read(path, axes=arguments.axes)
    if "C" in image.axes:
        channels = image.data.shape[image.axes.index("C")]
        if arguments.channel is None or not 0 <= arguments.channel < channels:
            raise ValueError(f"{path} has {channels} channels: choose one with --channel 0 to {channels - 1}.")
        image = image.at("C", arguments.channel)
    elif arguments.channel is not None:
        raise ValueError(f"--channel has no meaning for {path}, which has no channels: leave it.")
    if "T" in image.axes:
        raise ValueError(
            f"{path} is a series in time, axes {image.axes}: save one stack of it, or if its planes are only named "
            f"so, add --axes ZYX."
        )
    planes = image.data.shape[0] if "Z" in image.axes else 1
    if planes < FEWEST_VOXELS:
        raise ValueError(
            f"{path} has {planes} plane{'s' if planes > 1 else ''}, but a PSF needs {FEWEST_VOXELS} or more: take a "
            f"stack through the beads."
        )
    if arguments.voxel_size_um is not None:
        image = replace(image, voxel_size_um=arguments.voxel_size_um)
    if image.voxel_size_um is None:
        raise ValueError(f"{path} does not say how large its voxels are: add --voxel-size-um Z,Y,X, in µm.")
    return image.require_axes("ZYX")


def _background(measured: optics.BeadPsf) -> str:
    background, light = float(measured.background.mean()), float(measured.light.mean())
    return f"background {background:.4g} a voxel, light of a bead {light:.3g}"


def _table(measured: optics.BeadPsf, theory_um: tuple[float, ...]) -> list[str]:
    rows = ["FWHM in µm  of beads  bead taken off  theory  ratio to theory"]
    for axis, width, point, ideal in zip("zyx", measured.fwhm_um, measured.point_fwhm_um, theory_um, strict=True):
        rows.append(f"{axis:10s}  {width:8.3f}  {point:14.3f}  {ideal:6.3f}  {point / ideal:15.2f}")
    return rows


def _theory(microscope: optics.Microscope) -> str:
    return (
        f"theory: vectorial, NA {microscope.numerical_aperture:g}, {microscope.emission_wavelength_nm:g} nm, index "
        f"{microscope.immersion_index:g} before and {microscope.sample_index:g} behind the coverslip, "
        f"{microscope.depth_um:g} µm deep"
    )


def _tell_of_large_voxels(microscope: optics.Microscope, voxel_size_um: tuple[float, ...]) -> None:
    limits_um = (microscope.axial_nyquist_um, microscope.lateral_nyquist_um, microscope.lateral_nyquist_um)
    for axis, size, limit in zip("zyx", voxel_size_um, limits_um, strict=True):
        if size > limit:
            tell(
                f"the voxel is {size:g} µm along {axis}, above the Nyquist limit of {limit:.3g} µm of this "
                f"microscope: the PSF lacks fine detail. Take the beads with smaller voxels."
            )


def _tell_of_haze(measured: optics.BeadPsf, *, median: float) -> None:
    """Warn where the background that was taken off leaves a good part of the stack's median, that of no bead."""
    background, light = float(measured.background.mean()), float(measured.light.mean())
    haze = (median - background) * measured.psf.numel() / light
    if haze > HAZE:
        tell(
            f"the background of {background:.4g} is below the median of the stack, {median:.4g}, which makes "
            f"{haze:.0%} of the light of the PSF: give --background {median:.4g}, unless that is light of the beads."
        )
