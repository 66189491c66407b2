"""The flags of ``course deconvolve``, and what is checked before anything is read or computed."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_lib import deconvolution, optics
from course_lib.cli._batch import add_images
from course_lib.cli._flags import (
    PSFS,
    add_microscope,
    add_psf_size,
    check_model,
    flag,
    given_numbers,
    sizes_um,
    whole_numbers,
)
from course_lib.noise import Camera
from course_lib.parameters import Parameter

__all__ = ["AUTO", "CHOSEN_BY_PHOTONS", "LARGEST_PSF", "METHODS", "REGULARIZED", "add_flags", "camera", "check_flags"]

METHODS: dict[str, Any] = {
    "accelerated-richardson-lucy": deconvolution.accelerated_richardson_lucy,
    "richardson-lucy": deconvolution.richardson_lucy,
    "total-variation": deconvolution.total_variation_richardson_lucy,
    "landweber": deconvolution.landweber,
    "jansson-van-cittert": deconvolution.jansson_van_cittert,
    "tikhonov-miller": deconvolution.tikhonov_miller,
    "wiener": deconvolution.wiener,
    "tikhonov": deconvolution.tikhonov,
}
CHOSEN_BY_PHOTONS = ("accelerated-richardson-lucy", "richardson-lucy", "total-variation")
"""Methods whose number of iterations held-out photons can choose."""
REGULARIZED = {
    "total-variation": "regularization",
    "landweber": "regularization",
    "tikhonov-miller": "regularization",
    "tikhonov": "regularization",
    "wiener": "noise_to_signal",
}
REQUIRED = ("numerical_aperture", "emission_wavelength_nm")
"""Numbers of the microscope without a default: a PSF of another objective would sharpen what is not there."""
LARGEST_PSF = (65, 129, 129)
AUTO = "auto"
NUMBERS = (
    Parameter(name="channel", default=0, meaning="which channel, from 0", minimum=0),
    Parameter(name="background", default=0.0, meaning="photons of each voxel without object", minimum=0),
    Parameter(name="iterations", default=1, meaning="how many, or auto", minimum=1),
    Parameter(name="regularization", default=0.0, meaning="weight of smoothness", minimum=0),
    Parameter(name="memory_gib", default=2.0, meaning="memory for a tile", unit="GiB", minimum=1e-6),
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add all flags."""
    add_images(parser, metavar="STACK", also=" or Zarr folder")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUTPUT",
        help="OME-TIFF (BigTIFF) or .zarr folder to write, photons in float32; of several stacks, a folder "
        "(default: STACK_deconvolved.ome.tif)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUTPUT if it exists, and discard an interrupted run that had other settings",
    )
    parser.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX, for example ZYX")
    parser.add_argument(
        "--voxel-size-um", type=sizes_um, metavar="Z,Y,X", help="size of a voxel in µm (default: what the file says)"
    )
    parser.add_argument("--channel", type=int, metavar="N", help="which channel, from 0, if there are several")
    _add_light(parser)
    _add_psf(parser)
    _add_method(parser)
    _add_computer(parser)
    add_microscope(parser, title="microscope, for --model", required=REQUIRED)


def _add_light(parser: argparse.ArgumentParser) -> None:
    light = parser.add_argument_group("what the values of STACK are")
    light.add_argument("--photons", action="store_true", help="they are photons (default if the file says so)")
    for name, meaning in (
        ("gain_e_per_adu", "gain of the camera in electrons per ADU; then the values are ADU"),
        ("offset_adu", "value of a pixel without light"),
        ("read_noise_e", "read noise in electrons, standard deviation (default 0)"),
    ):
        light.add_argument(flag(name), type=float, metavar="X", help=meaning)
    light.add_argument(
        "--background",
        type=_number_or_auto,
        default=AUTO,
        metavar="X|auto",
        help="photons per voxel that do not come from the object (default: auto, the mean of the darkest places of the "
        "stack; that is too much where haze of the object reaches them)",
    )


def _add_psf(parser: argparse.ArgumentParser) -> None:
    blur = parser.add_argument_group("the PSF")
    blur.add_argument(
        "--psf", type=Path, metavar="FILE", help="measured PSF, with the voxels of STACK; course psf makes one"
    )
    blur.add_argument("--model", choices=PSFS, help="computed PSF, of the microscope below")
    largest = ",".join(map(str, LARGEST_PSF))
    add_psf_size(
        blur,
        model="--model",
        shape_help=f"voxels of the computed PSF (default: as far as light goes, at most {largest})",
    )


def _add_method(parser: argparse.ArgumentParser) -> None:
    method = parser.add_argument_group("the method")
    method.add_argument(
        "--method", choices=METHODS, default="accelerated-richardson-lucy", help="(default: %(default)s)"
    )
    method.add_argument(
        "--iterations",
        type=_count_or_auto,
        metavar="N|auto",
        help="how many; auto: as many as photons that are held out ask for, on the brightest part of the stack "
        f"(default: auto with {', '.join(CHOSEN_BY_PHOTONS)}, otherwise that of the method)",
    )
    method.add_argument(
        "--regularization",
        type=float,
        metavar="X",
        help=f"weight of smoothness, with {', '.join(REGULARIZED)} (wiener: noise-to-signal ratio)",
    )
    method.add_argument(
        "--boundary",
        choices=("linear", "circular"),
        default="linear",
        help="whether the object goes on beyond the image or wraps round (default: %(default)s)",
    )


def _add_computer(parser: argparse.ArgumentParser) -> None:
    machine = parser.add_argument_group("the computer")
    machine.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, mps; auto takes the fastest (default)")
    machine.add_argument(
        "--memory-gib", type=float, metavar="X", help="memory for a tile (default: 2, on a GPU 80 %% of what is free)"
    )
    machine.add_argument(
        "--halo",
        type=whole_numbers,
        metavar="Z,Y,X",
        help="margin of the tiles that is computed and discarded (default: extent of the PSF less 1)",
    )


def _number_or_auto(text: str) -> float | str:
    try:
        return text if text == AUTO else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of photons, or auto") from None


def _count_or_auto(text: str) -> int | str:
    try:
        return text if text == AUTO else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, or auto") from None


def check_flags(given: Mapping[str, Any]) -> None:
    """Raise where flags lack, contradict each other or are out of range."""
    _check_psf(given)
    for declared in NUMBERS:
        if given[declared.name] not in (None, AUTO):
            declared.check(given[declared.name])
    _check_camera(given)
    _check_method(given)
    for name, least in (("psf_shape", 1), ("halo", 0)):
        if given[name] and (len(given[name]) not in (2, 3) or min(given[name]) < least):
            raise ValueError(
                f"{flag(name)} is {','.join(map(str, given[name]))}, but must be Z,Y,X, or Y,X for a plane, each at "
                f"least {least}."
            )


def camera(given: Mapping[str, Any]) -> Camera | None:
    """Return the camera that turns ADU into photons; None where the values are photons."""
    if given["gain_e_per_adu"] is None:
        return None
    return Camera(
        gain_e_per_adu=given["gain_e_per_adu"],
        offset_adu=given["offset_adu"],
        read_noise_e=given["read_noise_e"] or 0.0,
    )


def _check_psf(given: Mapping[str, Any]) -> None:
    if (given["psf"] is None) == (given["model"] is None):
        raise ValueError(
            "say which PSF blurred the stack: either --psf FILE, measured, or --model vectorial with the numbers of "
            "the microscope."
        )
    if given["model"] is None:
        for name in given_numbers(given):
            raise ValueError(f"{flag(name)} has no meaning for --psf, which was measured: leave it, or use --model.")
        if given["psf_shape"]:
            raise ValueError("--psf-shape has no meaning for --psf, whose shape the file has: leave it.")
    for declared in optics.Microscope.declared():
        if given["model"] is not None and given[declared.name] is None and declared.name in REQUIRED:
            raise ValueError(
                f"--model {given['model']} needs {flag(declared.name)}: {declared.meaning}; it stands on the objective "
                f"or filter."
            )
    check_model(given, model=given["model"], asked_by="--model")


def _check_camera(given: Mapping[str, Any]) -> None:
    if given["photons"] and given["gain_e_per_adu"] is not None:
        raise ValueError("--photons and --gain-e-per-adu exclude each other: ADU are no photons. Leave one of them.")
    if given["gain_e_per_adu"] is None:
        for name in ("offset_adu", "read_noise_e"):
            if given[name] is not None:
                raise ValueError(f"{flag(name)} needs --gain-e-per-adu, which turns ADU into photons.")
    elif given["offset_adu"] is None:
        raise ValueError("--gain-e-per-adu needs --offset-adu, the value of a pixel without light: 100 is common.")
    camera(given)


def _check_method(given: Mapping[str, Any]) -> None:
    method, iterations = given["method"], given["iterations"]
    if given["regularization"] is not None and method not in REGULARIZED:
        raise ValueError(
            f"--regularization has no meaning for --method {method}, which iterations regularize: leave it."
        )
    if iterations == AUTO and method not in CHOSEN_BY_PHOTONS:
        raise ValueError(
            f"--iterations auto has no meaning for --method {method}: give a number, or a method of "
            f"{', '.join(CHOSEN_BY_PHOTONS)}."
        )
    if iterations is not None and method in ("wiener", "tikhonov"):
        raise ValueError(f"--iterations has no meaning for --method {method}, which has none: leave it.")
