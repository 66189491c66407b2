"""The PSF of ``course deconvolve``, measured or computed, and what is told of one that looks wrong."""

import functools
import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course_lib import images, optics
from course_lib.cli._deconvolve_flags import LARGEST_PSF
from course_lib.cli._flags import PSFS, WIDEFIELD, given_numbers, microscope
from course_lib.deconvolution import Volume

__all__ = ["Psf", "computed_psf", "describe_sizes", "measured_psf"]

NYQUIST_STEPS = 8
"""How far above and below its centre a PSF reaches that fades along z, that is, of any but a widefield microscope."""
POINTS_PER_PIXEL = 3
"""Points along each side of a pixel over which a computed PSF is averaged, as the camera does, if its model can."""
FARTHEST_OFF = 1.0
"""Voxels off its centre from which on a PSF is told of."""
PEDESTAL, DARK_SHARE = 0.1, 0.05
"""Share of a PSF's light that is told of if it is evenly spread, as the value that 5 % of the voxels are below."""
LEFT_OUT = 0.05
"""Share of the light from which on a PSF that is too small is told of."""


@dataclass(frozen=True, kw_only=True)
class Psf:
    """Values with sum 1, and a line about them."""

    values: torch.Tensor
    told: str


def measured_psf(path: Path, volume: Volume) -> Psf:
    """Read a PSF that fits the volume; warns if it is off its centre or stands on a pedestal."""
    image = images.read(path)
    _check_fit(image, path, volume)
    values = image.tensor()
    total = float(values.sum(dtype=torch.float64))
    if not math.isfinite(total) or total <= 0 or float(values.min()) < 0:
        raise ValueError(
            f"the PSF {path} has a sum of {total:g} and a lowest value of {float(values.min()):g}, but a PSF is finite "
            f"and at least 0: subtract the camera's offset from it, and set what is left below 0 to 0."
        )
    values /= total
    pedestal = float(np.percentile(values.numpy(), 100 * DARK_SHARE))
    _tell_of_pedestal(values, pedestal, path)
    _tell_of_centre(values, pedestal, path)
    return Psf(values=values, told=f"measured, {path}, {_describe(values, volume)}")


def computed_psf(given: Mapping[str, Any], volume: Volume) -> Psf:
    """Compute the PSF that the flags ask for; warns if voxels are coarse or --psf-shape leaves out light."""
    sizes = volume.voxel_size_um or ()
    model = _model(given)
    chosen = microscope(given)
    reach = _reaching_shape(chosen, volume.shape[-len(sizes) :], sizes, model=given["model"])
    if given["psf_shape"] and len(given["psf_shape"]) != len(sizes):
        raise ValueError(
            f"--psf-shape is {','.join(map(str, given['psf_shape']))}, but {volume.path} has the axes {volume.axes}: "
            f"give {len(sizes)} numbers."
        )
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        values = model(chosen, shape=given["psf_shape"] or reach, voxel_size_um=sizes)
        if given["psf_shape"]:
            whole = model(chosen, shape=_larger(reach, given["psf_shape"]), voxel_size_um=sizes)
    if any("Nyquist" in str(warning.message) for warning in warned):
        warnings.warn(
            f"the voxels of {describe_sizes(sizes)} µm are above the Nyquist limit of this microscope: what is finer "
            f"than two of them was never recorded, and no method brings it back.",
            stacklevel=2,
        )
    if given["psf_shape"]:
        _tell_what_is_left_out(whole, given["psf_shape"])
    else:
        _tell_what_is_cut(chosen, reach, sizes, model=given["model"])
    numbers = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in given_numbers(given).items())
    return Psf(values=values, told=f"{given['model']}, {numbers}, {_describe(values, volume)}")


def describe_sizes(voxel_size_um: tuple[float, ...]) -> str:
    """Return the sides of a voxel, for messages."""
    return " × ".join(f"{size:.4g}" for size in voxel_size_um)


def _check_fit(image: images.Image, path: Path, volume: Volume) -> None:
    """Raise unless the PSF has the axes and the voxels of the volume."""
    spatial = "".join(letter for letter in volume.axes if letter in "ZYX")
    if image.axes != spatial:
        raise ValueError(
            f"the PSF {path} has the axes {image.axes}, but {volume.path} has {volume.axes}, which needs a PSF of the "
            f"axes {spatial}: choose one channel and time of it, or measure one like the stack."
        )
    if image.voxel_size_um is None:
        warnings.warn(
            f"{path} does not say how large its voxels are: they are taken for those of the stack.", stacklevel=3
        )
    elif any(abs(a / b - 1) > 0.01 for a, b in zip(image.voxel_size_um, volume.voxel_size_um or (), strict=True)):
        raise ValueError(
            f"the PSF {path} has voxels of {describe_sizes(image.voxel_size_um)} µm, but {volume.path} of "
            f"{describe_sizes(volume.voxel_size_um or ())} µm (z, y, x): measure the PSF with the voxels of the stack, "
            f"use --model, or correct the stack's with --voxel-size-um if its file is wrong."
        )


def _tell_of_pedestal(values: torch.Tensor, pedestal: float, path: Path) -> None:
    """Warn where a value that nearly all voxels exceed makes up a good part of the sum."""
    share = pedestal * values.numel()
    if share > PEDESTAL:
        warnings.warn(
            f"{share:.0%} of the sum of {path} is a pedestal, evenly spread, as a camera's offset or a background that "
            f"was not subtracted makes it: as much of the light would be taken for haze. Subtract it, or measure the "
            f"PSF with course psf.",
            stacklevel=3,
        )


def _tell_of_centre(values: torch.Tensor, pedestal: float, path: Path) -> None:
    """Warn where the maximum or the centre of mass above the pedestal lies a voxel or more off the centre."""
    peak = torch.unravel_index(values.argmax(), values.shape)
    light = (values.double() - pedestal).clamp(min=0)
    axes = range(light.ndim)
    of_each = [light.sum(dim=[other for other in axes if other != axis]) for axis in axes]
    mass = [float((torch.arange(len(sums)) * sums).sum() / sums.sum().clamp(min=1e-300)) for sums in of_each]
    for name, place in (("maximum", [float(at) for at in peak]), ("centre of mass", mass)):
        off = [at - side // 2 for at, side in zip(place, values.shape, strict=True)]
        if max(map(abs, off)) >= FARTHEST_OFF:
            shown = ", ".join(f"{round(voxels, 1) + 0.0:g}" for voxels in off)  # -0.0 becomes 0
            warnings.warn(
                f"the {name} of {path} is {shown} voxels off its centre at half "
                f"the size: the restored stack is shifted by as much, the other way. Cut the PSF out anew, about its "
                f"{name}.",
                stacklevel=3,
            )
            return


def _model(given: Mapping[str, Any]) -> Callable[..., torch.Tensor]:
    """Return the model of the PSF with the settings that are no numbers of the microscope."""
    if given["model"] == "confocal":
        pinhole = 1.0 if given["pinhole_airy_units"] is None else given["pinhole_airy_units"]
        return functools.partial(optics.confocal_psf, pinhole_airy_units=pinhole)
    model: Callable[..., torch.Tensor] = PSFS[given["model"]]
    if "points_per_pixel" in inspect.signature(model).parameters:
        return functools.partial(model, points_per_pixel=POINTS_PER_PIXEL)
    return model


def _reaching_shape(
    chosen: optics.Microscope, shape: tuple[int, ...], voxel_size_um: tuple[float, ...], *, model: str
) -> tuple[int, ...]:
    """Return odd sides as far as light goes within the stack, at most `LARGEST_PSF`."""
    planes = tuple(min(2 * side - 1, most) for side, most in zip(shape[:-2], LARGEST_PSF, strict=False))
    if planes and model not in WIDEFIELD:
        planes = (min(*planes, 2 * math.ceil(NYQUIST_STEPS * chosen.axial_nyquist_um / voxel_size_um[0]) + 1),)
    limits = [min(2 * side - 1, most) for side, most in zip(shape[-2:], LARGEST_PSF[-2:], strict=True)]
    widths = _light_widths(chosen, planes, voxel_size_um, model=model)
    return (*planes, *(min(pair) for pair in zip(widths, limits, strict=True)))


def _light_widths(
    chosen: optics.Microscope, planes: tuple[int, ...], voxel_size_um: tuple[float, ...], *, model: str
) -> tuple[int, ...]:
    """Return the pixels along y and x that hold nearly all light of a PSF with so many planes."""
    defocus_um = planes[0] // 2 * voxel_size_um[0] if planes and model in WIDEFIELD else 0.0
    reach_um = chosen.light_reach_um(defocus_um)
    return tuple(2 * math.ceil(reach_um / size) + 1 for size in voxel_size_um[-2:])


def _tell_what_is_cut(
    chosen: optics.Microscope, shape: tuple[int, ...], voxel_size_um: tuple[float, ...], *, model: str
) -> None:
    """Warn where a PSF is as large as `LARGEST_PSF` allows, but its light goes further."""
    widths = _light_widths(chosen, shape[:-2], voxel_size_um, model=model)
    if any(width > most for width, most in zip(widths, LARGEST_PSF[-2:], strict=True)):
        warnings.warn(
            f"the PSF is cut to {shape[-2]} × {shape[-1]} pixels, but light goes as far as {widths[0]} × {widths[1]} "
            f"at its outermost planes: haze from there stays. Give --psf-shape more, at the price of time and memory.",
            stacklevel=3,
        )


def _larger(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(pair) for pair in zip(one, other, strict=True))


def _tell_what_is_left_out(whole: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Warn where a PSF of `shape`, cut out of the whole one, lacks a good part of its light."""
    sides = " × ".join(map(str, whole.shape))
    for axis, side in enumerate(shape):
        whole = whole.narrow(axis, whole.shape[axis] // 2 - side // 2, side)
    left_out = 1 - float(whole.sum(dtype=torch.float64))
    if left_out > LEFT_OUT:
        warnings.warn(
            f"--psf-shape {','.join(map(str, shape))} leaves out {left_out:.0%} of the light of a PSF of {sides} "
            f"voxels: haze from there stays. Give more, at the price of time and memory, or leave the flag.",
            stacklevel=3,
        )


def _describe(psf: torch.Tensor, volume: Volume) -> str:
    sides = " × ".join(map(str, psf.shape))
    try:
        widths = optics.fwhm_um(psf, voxel_size_um=volume.voxel_size_um or ())
    except ValueError:  # a PSF that ends before it has fallen to one half
        return f"{sides} voxels"
    letters = "zyx"[-len(widths) :]
    return f"{sides} voxels, FWHM {', '.join(f'{a} {width:.3g}' for a, width in zip(letters, widths, strict=True))} µm"
