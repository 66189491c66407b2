"""Background, method and number of iterations of ``course deconvolve``, chosen on the stack where nobody gave them."""

import functools
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from course_lib import deconvolution
from course_lib.cli._deconvolve_flags import AUTO, CHOSEN_BY_PHOTONS, METHODS, REGULARIZED
from course_lib.cli._messages import tell
from course_lib.deconvolution import Volume

__all__ = ["ChosenMethod", "choose_background", "choose_iterations", "choose_method"]

LARGEST_TRIAL = (64, 256, 256)
"""Voxels around the brightest place on which the number of iterations is chosen."""
LARGE_BACKGROUND = 0.2
"""Share of the photons from which on an automatic background is told of."""


@dataclass(frozen=True, kw_only=True)
class ChosenMethod:
    """A method with its settings, and how it is told."""

    method: Any
    told: str


def choose_background(given: Mapping[str, Any], volume: Volume) -> tuple[float, str]:
    """Return the background that was given, or that of the darkest places, and how it is told."""
    survey, noise = volume.survey, volume.read_noise_photons
    is_auto = given["background"] == AUTO
    background = max(0.0, survey.darkest - noise) if is_auto else float(given["background"])
    voxels = math.prod(volume.shape)
    photons = survey.total - noise * voxels
    share = background * voxels / photons if photons > 0 else 0.0
    if is_auto and share > LARGE_BACKGROUND:
        warnings.warn(
            f"the background that was found, {background:.4g} a voxel, is {share:.0%} of all photons: if light of the "
            f"object, haze for example, reaches the darkest places, that is too much. Look at a place without any, and "
            f"give --background.",
            stacklevel=2,
        )
    source = ", from the darkest places" if is_auto else ""
    return background, f"background {background:.4g} a voxel, {share:.0%} of the photons{source}"


def choose_method(given: Mapping[str, Any], volume: Volume) -> ChosenMethod:
    """Return the method with the settings that were given, and with iterations only if a number was."""
    name = given["method"]
    settings: dict[str, Any] = {"boundary": given["boundary"]}
    if given["regularization"] is not None:
        settings[REGULARIZED[name]] = given["regularization"]
    told = "".join(f", {key.replace('_', ' ')} {value}" for key, value in settings.items())
    if name in ("total-variation", "tikhonov-miller", "wiener"):
        settings["voxel_size_um"] = volume.voxel_size_um
    if given["iterations"] not in (None, AUTO):
        settings["iterations"] = given["iterations"]
        told = f", {given['iterations']} iterations{told}"
    return ChosenMethod(method=functools.partial(METHODS[name], **settings), told=f"{name}{told}")


def choose_iterations(
    given: Mapping[str, Any], chosen: ChosenMethod, volume: Volume, psf: torch.Tensor, *, background: float
) -> ChosenMethod:
    """Let held-out photons choose the iterations, unless a number was given or the method has no such choice."""
    name = given["method"]
    if name not in CHOSEN_BY_PHOTONS or given["iterations"] not in (None, AUTO):
        return chosen
    leading = len(volume.shape) - psf.ndim
    frame, centre = volume.survey.brightest[:leading], volume.survey.brightest[leading:]
    part = _around(centre, volume.shape[leading:])
    sides = " × ".join(str(one.stop - one.start) for one in part)
    tell(f"choosing the number of iterations on {sides} voxels about the brightest place …")
    iterations = deconvolution.automatic_stop(
        volume.read((*frame, *part)).to(psf.device),
        psf,
        method=chosen.method,
        background=background + volume.read_noise_photons,
        boundary=given["boundary"],
        rng=0,
    ).iterations
    told = chosen.told.removeprefix(name)
    return ChosenMethod(
        method=functools.partial(chosen.method, iterations=iterations),
        told=f"{name}, {iterations} iterations, chosen by photons held out{told}",
    )


def _around(centre: tuple[int, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the part of a frame, at most `LARGEST_TRIAL`, around a voxel."""
    part = []
    for at, side, most in zip(centre, shape, LARGEST_TRIAL[-len(shape) :], strict=True):
        start = max(0, min(at - most // 2, side - most))
        part.append(slice(start, min(side, start + most)))
    return tuple(part)
