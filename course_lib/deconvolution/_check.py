"""Checks that all algorithms share: each tells the value, the limit and the remedy."""

import math
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Literal, SupportsFloat

import torch

from course_lib.axes import check_spatial

__all__ = [
    "Background",
    "Boundary",
    "Callback",
    "StoppingRule",
    "check_count",
    "check_inputs",
    "check_number",
    "check_photons",
    "check_psf",
]

LARGEST_POWER = 0.4
"""Of the largest number of its type, up to which an image may reach: so that the squares of millions add up."""

Boundary = Literal["linear", "circular"]
Background = float | torch.Tensor
Callback = Callable[[int, torch.Tensor], None]
StoppingRule = Callable[[int, torch.Tensor, torch.Tensor], bool]
"""Gets the iterations done, the estimate (shape of the object) and the photons expected of it (shape of the image)."""


def check_inputs(image: torch.Tensor, psf: torch.Tensor, *, background: Background) -> torch.Tensor:
    """Check image and PSF, and return the background as a tensor that fits the image."""
    check_psf(psf)
    check_spatial(image, psf.ndim)
    if image.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"image has dtype {image.dtype}, but must be float32 or float64: image.float() converts it.")
    if image.dtype != psf.dtype:
        raise TypeError(f"image has dtype {image.dtype}, but the psf {psf.dtype}: psf.to({image.dtype}) converts it.")
    if image.device != psf.device:
        raise ValueError(f"image is on {image.device}, but the psf on {psf.device}: move one of them with .to().")
    _check_size_of_numbers(image)
    if psf.ndim == 3:
        _check_planes(image.shape[-3], psf.shape[0])
    return _check_background(background, image)


def check_psf(psf: torch.Tensor) -> None:
    """Raise unless `psf` is a point-spread function: 2 or 3 axes, float32 or float64, at least 0, with sum 1."""
    check_spatial(psf, 2, name="psf")
    if psf.ndim > 3:
        raise ValueError(
            f"psf has shape {tuple(psf.shape)}, but must be (y, x) or (z, y, x): choose one channel and time of it."
        )
    if psf.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"psf has dtype {psf.dtype}, but must be float32 or float64: psf.float() converts it.")
    lowest, total = float(psf.detach().min()), float(psf.detach().sum())
    if lowest < 0:
        raise ValueError(
            f"psf has a value of {lowest:g}, but a share of the light is at least 0: subtract the camera's offset, "
            f"then psf.clamp(min=0), and divide by the sum."
        )
    if abs(total - 1) > 1e-3:
        raise ValueError(
            f"psf sums to {total:g}, but must sum to 1, or photons are made and lost: psf / psf.sum() scales it."
        )


def check_photons(image: torch.Tensor) -> None:
    """Raise if `image` is negative anywhere, which no number of photons is."""
    lowest = float(image.detach().min())
    if lowest < 0:
        raise ValueError(
            f"image has {int((image < 0).sum())} negative values, the lowest {lowest:g}, but must be photons, at least "
            f"0. If read noise made them, add its variance to both image and background (read_noise_e**2), and clamp "
            f"what is left of them at 0; if an offset was subtracted twice, add it again."
        )


def check_count(value: int | Integral, *, name: str) -> int:
    """Return `value`, or raise unless it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} is {value!r}, but must be a whole number, for example 30.")
    if value < 1:
        raise ValueError(f"{name} is {value}, but must be at least 1.")
    return int(value)


def check_number(value: float, *, name: str, above: float = -math.inf, least: float = -math.inf) -> float:
    """Return `value` as a float, or raise unless it is finite, above `above` and at least `least`."""
    if isinstance(value, bool) or not isinstance(value, SupportsFloat):
        raise TypeError(f"{name} is {value!r}, but must be a number.")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}, but must be a finite number.")
    if number <= above:
        raise ValueError(f"{name} is {number:g}, but must be above {above:g}.")
    if number < least:
        raise ValueError(f"{name} is {number:g}, but must be at least {least:g}.")
    return number


def _check_size_of_numbers(image: torch.Tensor) -> None:
    largest, limit = float(image.detach().abs().max()), torch.finfo(image.dtype).max ** LARGEST_POWER
    if largest > limit:
        raise ValueError(
            f"image reaches {largest:g}, but must stay below {limit:.1g} in {image.dtype}, or sums of squares "
            f"overflow: turn it into photons."
        )


def _check_planes(planes: int, psf_planes: int) -> None:
    if planes == 1:
        raise ValueError(
            "image has 1 plane, but the psf is 3D: a single plane cannot tell what lies above from what lies below. "
            "Use a stack, or a 2D psf, psf[psf.shape[0] // 2] / psf[psf.shape[0] // 2].sum()."
        )
    if 4 * planes < psf_planes:
        warnings.warn(
            f"image has {planes} planes, but the psf reaches over {psf_planes}: most of the light comes from planes "
            f"that were not recorded, and their objects are guessed. Record more planes, or crop the psf in z.",
            stacklevel=4,
        )


def _check_background(background: Background, image: torch.Tensor) -> torch.Tensor:
    if isinstance(background, bool) or not isinstance(background, Real | torch.Tensor):
        raise TypeError(
            f"background is a {type(background).__name__}, but must be photons per voxel: a number or a tensor."
        )
    behind = torch.as_tensor(background, dtype=image.dtype, device=image.device).detach()
    if not bool(torch.isfinite(behind).all()) or float(behind.min()) < 0:
        raise ValueError(
            f"background is {float(behind.min()):g}, but must be finite and at least 0 photons per voxel: "
            f"an empty part of the image tells it."
        )
    level, mean = float(behind.mean()), float(image.detach().mean())
    if level > 0 and mean < 0.5 * level:
        warnings.warn(
            f"background is {level:g}, but the image has only {mean:g} per voxel on average: no object is left. "
            f"Give both in photons, after offset and gain.",
            stacklevel=4,
        )
    try:
        behind.expand(image.shape)
    except RuntimeError:
        raise ValueError(
            f"background has shape {tuple(behind.shape)}, but must be one number or fit the image's shape "
            f"{tuple(image.shape)}."
        ) from None
    return behind
