"""``course deconvolve``: undo the blur of a stack of your own, however large it is."""

import argparse
import functools
import inspect
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course_lib import deconvolution, devices, images, optics
from course_lib.cli.simulate import IGNORED, PSFS, WIDEFIELD
from course_lib.deconvolution import Volume
from course_lib.noise import Camera

__all__ = ["add"]

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
NYQUIST_STEPS = 8
"""How far above and below its centre a PSF reaches that fades along z, that is, of any but a widefield microscope."""
POINTS_PER_PIXEL = 3
"""Points along each side of a pixel over which a computed PSF is averaged, as the camera does, if its model can."""
LARGEST_TRIAL = (64, 256, 256)
"""Voxels around the brightest place on which the number of iterations is chosen."""
AUTO = "auto"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser; every parameter of `Microscope` becomes a flag."""
    parser = commands.add_parser(
        "deconvolve",
        help="undo the blur of the microscope, in stacks of any size",
        description="Restore photons from an image and the PSF, measured (--psf) or computed (--model). Stacks that "
        "do not fit into memory are cut into tiles; an interrupted run goes on when the same command is given again.",
    )
    parser.add_argument("stack", type=Path, metavar="STACK", help="TIFF, ImageJ TIFF, OME-TIFF or Zarr folder")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUTPUT",
        help="OME-TIFF (BigTIFF) or .zarr folder to write, photons in float32 (default: STACK_deconvolved.ome.tif)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists, and begin anew")
    parser.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX, for example ZYX")
    parser.add_argument(
        "--voxel-size-um", type=_numbers, metavar="Z,Y,X", help="size of a voxel in µm (default: what the file says)"
    )
    parser.add_argument("--channel", type=int, metavar="N", help="which channel, from 0, if there are several")

    light = parser.add_argument_group("what the values of STACK are")
    light.add_argument("--photons", action="store_true", help="they are photons (default if the file says so)")
    for name, meaning in (
        ("gain_e_per_adu", "gain of the camera in electrons per ADU; then the values are ADU"),
        ("offset_adu", "value of a pixel without light"),
        ("read_noise_e", "read noise in electrons, standard deviation (default 0)"),
    ):
        light.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="X", help=meaning)
    light.add_argument(
        "--background",
        type=_number_or_auto,
        default=AUTO,
        metavar="X|auto",
        help="photons per voxel that do not come from the object (default: auto, from the darkest places of the stack)",
    )

    blur = parser.add_argument_group("the PSF")
    blur.add_argument(
        "--psf", type=Path, metavar="FILE", help="measured PSF, with the voxels of STACK; course psf makes one"
    )
    blur.add_argument("--model", choices=PSFS, help="computed PSF, of the microscope below")
    blur.add_argument(
        "--psf-shape",
        type=_whole_numbers,
        metavar="Z,Y,X",
        help=f"voxels of the computed PSF (default: as far as light goes, at most {','.join(map(str, LARGEST_PSF))})",
    )
    blur.add_argument("--pinhole-airy-units", type=float, metavar="X", help="pinhole of --model confocal (default 1)")

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

    machine = parser.add_argument_group("the computer")
    machine.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, mps; auto takes the fastest (default)")
    machine.add_argument(
        "--memory-gib", type=float, metavar="X", help="memory for a tile (default: 2, on a GPU 80 %% of what is free)"
    )
    machine.add_argument(
        "--halo",
        type=_whole_numbers,
        metavar="Z,Y,X",
        help="margin of the tiles that is computed and discarded (default: extent of the PSF less 1)",
    )

    microscope = parser.add_argument_group("microscope, for --model")
    for declared in optics.Microscope.declared():
        default = "required" if declared.name in REQUIRED else f"default {declared.default:g} {declared.unit}".rstrip()
        microscope.add_argument(
            f"--{declared.name.replace('_', '-')}",
            type=float,
            metavar="X",
            help=f"{declared.meaning}; {declared.limits} ({default})".replace("%", "%%"),
        )
    parser.set_defaults(run=_run)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be numbers with commas between, as 0.2,0.08,0.08") from None
    return numbers


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be whole numbers with commas between, as 33,65,65") from None


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


@dataclass(frozen=True, kw_only=True)
class _Psf:
    values: torch.Tensor
    told: str


def _run(arguments: argparse.Namespace) -> None:
    given = vars(arguments)
    output = given["output"] or _default_output(given["stack"])
    _check_flags(given, output)
    with _flags_in_errors(), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            lines = _deconvolve(given, output)
        except KeyboardInterrupt:
            print(
                f"\ncourse: interrupted. Finished tiles are kept in {output}.partial: give the same command to go on.",
                file=sys.stderr,
            )
            raise SystemExit(130) from None
        finally:
            for message in dict.fromkeys(str(warning.message) for warning in warned):
                text = re.sub("raise most_iterations.*", "--iterations N goes further, with a number.", message)
                print(f"course: {text}", file=sys.stderr)
    print(*lines, sep="\n  ")


def _deconvolve(given: dict[str, Any], output: Path) -> list[str]:
    """Do the work, and return what to print."""
    device = devices.resolve(given["device"])
    with deconvolution.open_volume(
        given["stack"],
        axes=given["axes"],
        voxel_size_um=given["voxel_size_um"],
        channel=given["channel"],
        camera=_camera(given),
    ) as volume:
        _check_unit(given, volume)
        if volume.voxel_size_um is None:
            raise ValueError(
                f"{volume.path} does not say how large its voxels are: add --voxel-size-um "
                f"{','.join(letter for letter in volume.axes if letter in 'ZYX')}, in µm."
            )
        psf = _measured_psf(given["psf"], volume) if given["psf"] else _computed_psf(given, volume)
        background, told_background = _background(given, volume)
        method, told_method = _method(given, volume, psf.values.to(device), background)
        done = deconvolution.deconvolve_tiled(
            volume,
            output,
            psf.values,
            method=method,
            background=background,
            halo=given["halo"],
            memory_gib=given["memory_gib"],
            device=device,
            overwrite=given["overwrite"],
        )
        survey = volume.survey
        restored = images.Image(
            np.broadcast_to(np.float32(0), volume.shape),
            axes=volume.axes,
            voxel_size_um=volume.voxel_size_um,
            unit="photons",
        )
    lines = [
        f"{output}: {restored}",
        f"device: {devices.describe(device)}",
        f"PSF: {psf.told}",
        f"photons: {survey.total:.4g}, {survey.largest:.4g} in the brightest voxel; {told_background}",
        f"method: {told_method}",
        f"tiles: {done.tiles} of up to {' × '.join(map(str, done.tile_sides))} voxels, margin "
        f"{' × '.join(map(str, done.halo))}{', of a run that was interrupted' if done.resumed else ''}",
    ]
    if not math.isnan(done.residual_variance):
        lines.append(
            f"residual: variance {done.residual_variance:.3g} of the photon noise's, correlation with the next voxel "
            f"{done.residual_correlation:.2g} (1 and 0 if only noise is left)"
        )
    return lines


def _default_output(stack: Path) -> Path:
    stem = stack.name.removesuffix(stack.suffix).removesuffix(".ome")
    return stack.with_name(f"{stem}_deconvolved.ome.tif")


def _check_flags(given: dict[str, Any], output: Path) -> None:
    if (given["psf"] is None) == (given["model"] is None):
        raise ValueError(
            "say which PSF blurred the stack: either --psf FILE, measured, or --model vectorial with the numbers of "
            "the microscope."
        )
    _check_microscope(given)
    if given["psf_shape"] and given["psf"]:
        raise ValueError("--psf-shape has no meaning for --psf, whose shape the file has: leave it.")
    if given["photons"] and given["gain_e_per_adu"] is not None:
        raise ValueError("--photons and --gain-e-per-adu exclude each other: ADU are no photons. Leave one of them.")
    if given["gain_e_per_adu"] is None:
        for name in ("offset_adu", "read_noise_e"):
            if given[name] is not None:
                raise ValueError(f"--{name.replace('_', '-')} needs --gain-e-per-adu, which turns ADU into photons.")
    elif given["offset_adu"] is None:
        raise ValueError("--gain-e-per-adu needs --offset-adu, the value of a pixel without light: 100 is common.")
    if given["regularization"] is not None and given["method"] not in REGULARIZED:
        raise ValueError(
            f"--regularization has no meaning for --method {given['method']}, which iterations regularize: leave it."
        )
    if given["iterations"] == AUTO and given["method"] not in CHOSEN_BY_PHOTONS:
        raise ValueError(
            f"--iterations auto has no meaning for --method {given['method']}: give a number, or a method of "
            f"{', '.join(CHOSEN_BY_PHOTONS)}."
        )
    if given["iterations"] is not None and given["method"] in ("wiener", "tikhonov"):
        raise ValueError(f"--iterations has no meaning for --method {given['method']}, which has none: leave it.")
    if output.exists() and not given["overwrite"]:
        raise ValueError(f"{output} exists: choose another name with -o, or add --overwrite to replace it.")


def _check_microscope(given: dict[str, Any]) -> None:
    """Raise where a number of the microscope lacks, or is given in vain."""
    model = given["model"]
    for declared in optics.Microscope.declared():
        flag, value = f"--{declared.name.replace('_', '-')}", given[declared.name]
        if model is None and value is not None:
            raise ValueError(f"{flag} has no meaning for --psf, which was measured: leave it, or use --model.")
        if model is not None and value is None and declared.name in REQUIRED:
            raise ValueError(f"--model {model} needs {flag}: {declared.meaning}; it stands on the objective or filter.")
        if model is not None and value is not None and declared.name in IGNORED[model]:
            raise ValueError(f"{flag} has no meaning for --model {model}, which does not look at it: leave it.")
    if given["pinhole_airy_units"] is not None and model != "confocal":
        raise ValueError("--pinhole-airy-units has no meaning without a pinhole: add --model confocal.")


def _camera(given: dict[str, Any]) -> Camera | None:
    if given["gain_e_per_adu"] is None:
        return None
    return Camera(
        gain_e_per_adu=given["gain_e_per_adu"],
        offset_adu=given["offset_adu"],
        read_noise_e=given["read_noise_e"] or 0.0,
    )


def _check_unit(given: dict[str, Any], volume: Volume) -> None:
    counts = volume.unit in ("photons", "electrons")
    if counts and volume.camera is not None:
        raise ValueError(f"{volume.path} says that its values are {volume.unit}: leave --gain-e-per-adu.")
    if not counts and volume.camera is None and not given["photons"]:
        raise ValueError(
            f"the values of {volume.path} are in {'ADU' if volume.unit == 'adu' else 'a unit that it does not tell'}, "
            f"but the noise is known for photons only: give --gain-e-per-adu and --offset-adu of the camera (and "
            f"--read-noise-e), or --photons if they are photons."
        )


def _measured_psf(path: Path, volume: Volume) -> _Psf:
    image = images.read(path)
    spatial = "".join(letter for letter in volume.axes if letter in "ZYX")
    if image.axes != spatial:
        raise ValueError(
            f"the PSF {path} has the axes {image.axes}, but {volume.path} has {volume.axes}, which needs a PSF of the "
            f"axes {spatial}: choose one channel and time of it, or measure one like the stack."
        )
    if image.voxel_size_um is None:
        warnings.warn(
            f"{path} does not say how large its voxels are: they are taken for those of the stack.", stacklevel=2
        )
    elif any(abs(a / b - 1) > 0.01 for a, b in zip(image.voxel_size_um, volume.voxel_size_um or (), strict=True)):
        raise ValueError(
            f"the PSF {path} has voxels of {_sizes(image.voxel_size_um)} µm, but {volume.path} of "
            f"{_sizes(volume.voxel_size_um or ())} µm (z, y, x): measure the PSF with the voxels of the stack, use "
            f"--model, or correct the stack's with --voxel-size-um if its file is wrong."
        )
    values = image.tensor()
    total = float(values.sum(dtype=torch.float64))
    if not math.isfinite(total) or total <= 0 or float(values.min()) < 0:
        raise ValueError(
            f"the PSF {path} has a sum of {total:g} and a lowest value of {float(values.min()):g}, but a PSF is finite "
            f"and at least 0: subtract the camera's offset from it, and set what is left below 0 to 0."
        )
    values /= total
    place = torch.unravel_index(values.argmax(), values.shape)
    off = [int(at) - side // 2 for at, side in zip(place, values.shape, strict=True)]
    if max(map(abs, off)) > 1:
        warnings.warn(
            f"the maximum of {path} is {', '.join(map(str, off))} voxels off its centre at half the size: the restored "
            f"stack is shifted by as much, the other way.",
            stacklevel=2,
        )
    return _Psf(values=values, told=f"measured, {path}, {_describe(values, volume)}")


def _computed_psf(given: dict[str, Any], volume: Volume) -> _Psf:
    chosen = {p.name: given[p.name] for p in optics.Microscope.declared() if given[p.name] is not None}
    microscope = optics.Microscope(**chosen)
    sizes = volume.voxel_size_um or ()
    shape = given["psf_shape"] or _psf_shape(microscope, volume.shape[-len(sizes) :], sizes, model=given["model"])
    if given["model"] == "confocal":
        pinhole = 1.0 if given["pinhole_airy_units"] is None else given["pinhole_airy_units"]
        model: Callable[..., torch.Tensor] = functools.partial(optics.confocal_psf, pinhole_airy_units=pinhole)
    else:
        model = PSFS[given["model"]]
    if "points_per_pixel" in inspect.signature(model).parameters:
        model = functools.partial(model, points_per_pixel=POINTS_PER_PIXEL)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        values = model(microscope, shape=shape, voxel_size_um=sizes)
    if any("Nyquist" in str(warning.message) for warning in warned):
        warnings.warn(
            f"the voxels of {_sizes(sizes)} µm are above the Nyquist limit of this microscope: what is finer than two "
            f"of them was never recorded, and no method brings it back.",
            stacklevel=2,
        )
    numbers = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in chosen.items())
    return _Psf(values=values, told=f"{given['model']}, {numbers}, {_describe(values, volume)}")


def _psf_shape(
    microscope: optics.Microscope, shape: tuple[int, ...], voxel_size_um: tuple[float, ...], *, model: str
) -> tuple[int, ...]:
    """Return odd sides as far as light goes within the stack, at most `LARGEST_PSF`."""
    planes = tuple(min(2 * side - 1, most) for side, most in zip(shape[:-2], LARGEST_PSF, strict=False))
    if planes and model not in WIDEFIELD:
        planes = (min(*planes, 2 * math.ceil(NYQUIST_STEPS * microscope.axial_nyquist_um / voxel_size_um[0]) + 1),)
    defocus_um = planes[0] // 2 * voxel_size_um[0] if planes and model in WIDEFIELD else 0.0
    reach_um = microscope.light_reach_um(defocus_um)
    widths = [2 * math.ceil(reach_um / size) + 1 for size in voxel_size_um[-2:]]
    limits = [min(2 * side - 1, most) for side, most in zip(shape[-2:], LARGEST_PSF[-2:], strict=True)]
    if any(width > most for width, most in zip(widths, LARGEST_PSF[-2:], strict=True)):
        warnings.warn(
            f"the PSF is cut to {limits[0]} × {limits[1]} pixels, but light goes as far as {widths[0]} × {widths[1]} "
            f"at its outermost planes: haze from there stays. Give --psf-shape more, at the price of time and memory.",
            stacklevel=2,
        )
    return (*planes, *(min(pair) for pair in zip(widths, limits, strict=True)))


def _describe(psf: torch.Tensor, volume: Volume) -> str:
    sides = " × ".join(map(str, psf.shape))
    try:
        widths = optics.fwhm_um(psf, voxel_size_um=volume.voxel_size_um or ())
    except ValueError:  # a PSF that ends before it has fallen to one half
        return f"{sides} voxels"
    letters = "zyx"[-len(widths) :]
    return f"{sides} voxels, FWHM {', '.join(f'{a} {width:.3g}' for a, width in zip(letters, widths, strict=True))} µm"


def _background(given: dict[str, Any], volume: Volume) -> tuple[float, str]:
    if given["background"] != AUTO:
        return given["background"], f"background {given['background']:.4g} a voxel"
    background = max(0.0, volume.survey.darkest - volume.read_noise_photons)
    return background, f"background {background:.4g} a voxel, from the darkest places"


def _method(given: dict[str, Any], volume: Volume, psf: torch.Tensor, background: float) -> tuple[Any, str]:
    """Return the method with all its settings, and how it is told."""
    name = given["method"]
    settings: dict[str, Any] = {"boundary": given["boundary"]}
    if given["regularization"] is not None:
        settings[REGULARIZED[name]] = given["regularization"]
    if name in ("total-variation", "tikhonov-miller", "wiener"):
        settings["voxel_size_um"] = volume.voxel_size_um
    method = functools.partial(METHODS[name], **settings)
    told = "".join(f", {key.replace('_', ' ')} {value}" for key, value in settings.items() if key != "voxel_size_um")
    iterations = given["iterations"]
    if iterations is None and name in CHOSEN_BY_PHOTONS:
        iterations = AUTO
    if iterations == AUTO:
        leading = len(volume.shape) - psf.ndim
        frame, centre = volume.survey.brightest[:leading], volume.survey.brightest[leading:]
        part = _around(centre, volume.shape[leading:])
        iterations = deconvolution.automatic_stop(
            volume.read((*frame, *part)).to(psf.device),
            psf,
            method=method,
            background=background + volume.read_noise_photons,
            boundary=given["boundary"],
            rng=0,
        ).iterations
        told = f", {iterations} iterations, chosen by photons held out{told}"
    elif iterations is not None:
        told = f", {iterations} iterations{told}"
    if iterations is not None:
        method = functools.partial(method, iterations=iterations)
    return method, f"{name}{told}"


def _around(centre: tuple[int, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the part of a frame, at most `LARGEST_TRIAL`, around a voxel."""
    part = []
    for at, side, most in zip(centre, shape, LARGEST_TRIAL[-len(shape) :], strict=True):
        start = max(0, min(at - most // 2, side - most))
        part.append(slice(start, min(side, start + most)))
    return tuple(part)


def _sizes(voxel_size_um: tuple[float, ...]) -> str:
    return " × ".join(f"{size:.4g}" for size in voxel_size_um)


@contextmanager
def _flags_in_errors() -> Iterator[None]:
    """Let errors of the library name flags where it names its own parameters."""
    try:
        yield
    except ValueError as error:
        text = str(error)
        text = re.sub(r"axes[= ]'(\w+)'", r"--axes \1", text).replace("pass axes with", "pass --axes with")
        text = text.replace("pass overwrite=True", "add --overwrite").replace("overwrite=True", "--overwrite")
        text = text.replace("boundary='linear'", "--boundary linear").replace("more memory_gib", "more --memory-gib")
        text = re.sub(r"(?<!-)\bchannel (\d)", r"--channel \1", text)
        raise ValueError(text) from error
