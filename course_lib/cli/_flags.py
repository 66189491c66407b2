"""Flags that several commands share: lists of numbers, the microscope and the model of its PSF."""

import argparse
import functools
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from course_lib import optics
from course_lib.cli._flag_name import flag
from course_lib.optics.confocal import PINHOLE

__all__ = [
    "PSFS",
    "WIDEFIELD",
    "add_microscope",
    "add_psf_size",
    "check_model",
    "flag",
    "given_numbers",
    "microscope",
    "sizes_um",
    "three_sizes_um",
    "three_whole_numbers",
    "whole_numbers",
]

PSFS = {
    "gaussian": optics.gaussian_psf,
    "airy": optics.airy_psf,
    "gibson-lanni": optics.gibson_lanni_psf,
    "vectorial": optics.vectorial_psf,
    "confocal": optics.confocal_psf,
    "two-photon": optics.two_photon_psf,
}
WIDEFIELD = ("airy", "gibson-lanni", "vectorial")
"""Models whose planes all hold the same light, if the PSF is wide enough."""
ABERRATIONS = ("sample_index", "depth_um", "coverslip_error_um")
IGNORED = {
    "gaussian": (*ABERRATIONS, "excitation_wavelength_nm"),
    "airy": (*ABERRATIONS, "excitation_wavelength_nm"),
    "gibson-lanni": ("excitation_wavelength_nm",),
    "vectorial": ("excitation_wavelength_nm",),
    "confocal": (),
    "two-photon": (),
}
"""Numbers of the microscope that a model does not look at."""


def _list_of(kind: str, example: str, read: Callable[[str], Any], text: str, count: int | None) -> tuple[Any, ...]:
    try:
        numbers = tuple(read(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or count not in (None, len(numbers)):
        three = "three " if count == 3 else ""
        raise argparse.ArgumentTypeError(f"{text!r} must be {three}{kind} with commas between, as {example}")
    return numbers


def sizes_um(text: str, *, count: int | None = None) -> tuple[float, ...]:
    """Read sizes in µm, above 0, with commas between."""
    sizes = _list_of("numbers", "0.2,0.08,0.08", float, text, count)
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} must be sizes above 0 µm")
    return sizes


def whole_numbers(text: str, *, count: int | None = None) -> tuple[int, ...]:
    """Read whole numbers with commas between."""
    return _list_of("whole numbers", "33,65,65", int, text, count)


def add_microscope(parser: argparse.ArgumentParser, *, title: str, required: Collection[str] = ()) -> None:
    """Give `parser` a flag for each number of `Microscope`; None where it is not given."""
    group = parser.add_argument_group(title)
    for declared in optics.Microscope.declared():
        default = "required" if declared.name in required else f"default {declared.default:g} {declared.unit}".rstrip()
        group.add_argument(
            flag(declared.name),
            type=float,
            metavar="X",
            help=f"{declared.meaning}; {declared.limits} ({default})".replace("%", "%%"),
        )


def add_psf_size(parser: "argparse._ActionsContainer", *, model: str, shape_help: str) -> None:
    """Add the voxels of a computed PSF, and the pinhole of the confocal one; `model` is the flag of the model."""
    parser.add_argument("--psf-shape", type=whole_numbers, metavar="Z,Y,X", help=shape_help)
    parser.add_argument(
        "--pinhole-airy-units", type=float, metavar="X", help=f"diameter of the pinhole of {model} confocal (default 1)"
    )


def given_numbers(given: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of the microscope that were given."""
    return {p.name: given[p.name] for p in optics.Microscope.declared() if given[p.name] is not None}


def microscope(given: Mapping[str, Any]) -> optics.Microscope:
    """Build the microscope from parsed flags, with its defaults for the others."""
    return optics.Microscope(**given_numbers(given))


def check_model(given: Mapping[str, Any], *, model: str | None, asked_by: str) -> None:
    """Raise where a number of the microscope, or the pinhole, is given in vain or does not fit the model of the PSF.

    Parameters
    ----------
    given : mapping
        Parsed flags.
    model : str or None
        A key of `PSFS`; None if no PSF is computed.
    asked_by : str
        The flag that chooses the model.
    """
    if given["pinhole_airy_units"] is not None and model != "confocal":
        raise ValueError(f"--pinhole-airy-units has no meaning without a pinhole: add {asked_by} confocal.")
    if given["pinhole_airy_units"] is not None:
        PINHOLE.check(given["pinhole_airy_units"])
    if model is None:
        return
    for name in IGNORED[model]:
        if given[name] is not None:
            other = "vectorial" if name in ABERRATIONS else "confocal"
            raise ValueError(
                f"{flag(name)} has no meaning for {asked_by} {model}, which does not look at it: leave it, or use "
                f"{asked_by} {other}."
            )
    chosen = microscope(given)
    laser_nm, emission_nm = chosen.excitation_wavelength_nm, chosen.emission_wavelength_nm
    if model == "two-photon" and laser_nm <= emission_nm:
        raise ValueError(
            f"{asked_by} two-photon needs a laser above the emission, {emission_nm:g} nm, but it has {laser_nm:g} nm: "
            f"add --excitation-wavelength-nm 920, for example."
        )
    if model == "confocal" and laser_nm >= emission_nm:
        raise ValueError(
            f"{asked_by} confocal needs a laser below the emission, {emission_nm:g} nm, but it has {laser_nm:g} nm: "
            f"add --excitation-wavelength-nm 405, for example."
        )


three_sizes_um = functools.partial(sizes_um, count=3)
three_whole_numbers = functools.partial(whole_numbers, count=3)
