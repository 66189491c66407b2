"""What `measure`, `measure_blocks` and `measure_frames` ask of their images; each message has the remedy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from course_lib.images.image import as_array
from course_lib.quantification._light import BackgroundLevel
from course_lib.quantification._objects import Array
from course_lib.quantification.background import Background

__all__ = ["Channels", "channels_of"]


@dataclass(frozen=True, eq=False)
class Channels:
    """Images and backgrounds by the names of their channels, in memory or on disk.

    Attributes
    ----------
    images, backgrounds : dict
        One for each channel. A single image has the name "".
    """

    images: dict[str, Any]
    backgrounds: dict[str, Any]

    def at(self, part: Any) -> tuple[dict[str, Array], dict[str, BackgroundLevel]]:
        """Read a part of the images along the first axis, and of the backgrounds that are images."""
        images = {name: _numbers(image[part], _title("intensity", name)) for name, image in self.images.items()}
        backgrounds = {
            name: _numbers(level[part], _title("background", name)) if _is_image(level) else level
            for name, level in self.backgrounds.items()
        }
        return images, backgrounds


def channels_of(intensity: Any, background: Any, shape: tuple[int, ...]) -> Channels:
    """Return the channels and their backgrounds; raise unless the images have the shape of the labels.

    Examples
    --------
    >>> channels_of({"dna": np.ones((2, 2))}, 3.0, (2, 2)).backgrounds
    {'dna': 3.0}
    """
    images = {} if intensity is None else dict(intensity) if isinstance(intensity, Mapping) else {"": intensity}
    levels = dict(background) if isinstance(background, Mapping) else dict.fromkeys(images, background)
    for name, image in images.items():
        if not isinstance(name, str):
            raise TypeError(f"intensity has a channel {name!r}, but channels need names: {{'dna': image}}.")
        _check_shape(image, shape, _title("intensity", name))
        if name not in levels:
            raise ValueError(
                f"background has no value for the channel {name!r}, but must have one for each: 0 means none."
            )
        _check_background(levels[name], shape, _title("background", name))
    unknown = [name for name in levels if name not in images]
    if unknown:
        there = ", ".join(map(repr, images)) or "none"
        raise ValueError(f"background has a channel {unknown[0]!r}, but intensity has {there}: use the same names.")
    return Channels(images, {name: _plain(levels[name]) for name in images})


def _title(what: str, name: str) -> str:
    return f"{what}[{name!r}]" if name else what


def _is_image(level: Any) -> bool:
    return hasattr(level, "shape") and len(level.shape) > 0


def _plain(level: Any) -> Any:
    return float(level) if level is not None and not isinstance(level, Background) and not _is_image(level) else level


def _check_shape(image: Any, shape: tuple[int, ...], title: str) -> None:
    if not hasattr(image, "shape") or not hasattr(image, "__getitem__"):
        raise TypeError(
            f"{title} is a {type(image).__name__}, but must be an array or a tensor, or a mapping of channel names to "
            f"them: np.asarray makes one."
        )
    if tuple(image.shape) != shape:
        raise ValueError(
            f"{title} has shape {tuple(image.shape)}, but the labels {shape}: take both from the same field, "
            f"and several channels as a mapping, for example {{'dna': image[0], 'actin': image[1]}}."
        )


def _check_background(level: Any, shape: tuple[int, ...], title: str) -> None:
    if level is None:
        return
    if _is_image(level):
        _check_shape(level, shape, title)
        return
    value = level.level if isinstance(level, Background) else level
    if isinstance(value, bool | str | Sequence) or not isinstance(value, int | float | np.number | np.ndarray):
        raise TypeError(
            f"{title} is {level!r}, but must be a number, what estimate_background returns, or an image of the shape "
            f"of the labels."
        )
    if not math.isfinite(value):
        raise ValueError(f"{title} is {float(value):g}, but must be finite: 0 means none.")


def _numbers(image: Any, title: str) -> Array:
    """Return an image, or a part, as an array of real numbers in the machine's byte order."""
    values = as_array(image) if isinstance(image, torch.Tensor) else np.asarray(image)
    if values.dtype.kind not in "iuf":
        raise TypeError(
            f"{title} has dtype {values.dtype}, but must be integer or floating point: "
            f"of complex numbers take the absolute values; a mask has no intensity."
        )
    if values.dtype == np.float16:
        return values.astype(np.float32)
    return values.astype(values.dtype.newbyteorder("="), copy=False)
