"""Corrections take a tensor or an array, and give back the same kind."""

from typing import TypeVar

import numpy as np
import torch

from course_lib.images.image import as_array
from course_lib.segmentation._check import Array

__all__ = ["ImageT", "like", "values_of"]

ImageT = TypeVar("ImageT", torch.Tensor, Array)


def values_of(image: torch.Tensor | Array, *, name: str) -> Array:
    """Return an image as float32 or float64; raise unless it is (..., y, x), not empty and everywhere finite.

    Examples
    --------
    >>> values_of(np.array([[3]], np.uint16), name="flat").dtype
    dtype('float32')
    """
    values = as_array(image) if isinstance(image, torch.Tensor) else image
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise TypeError(f"{name} is of {kind}, but must be a tensor or an array of numbers: np.asarray makes one.")
    if values.ndim < 2 or values.size == 0:
        raise ValueError(f"{name} has shape {values.shape}, but must be (..., y, x) and not empty: check its crop.")
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise ValueError(
            f"{name} has {bad} values that are NaN or infinite: look where they come from, and replace them."
        )
    return values.astype(np.result_type(values.dtype, np.float32), copy=False)


def like(image: ImageT, result: Array) -> ImageT:
    """Return a result as float32 tensor on the device of `image`, or as an array, whichever `image` is.

    Examples
    --------
    >>> like(torch.zeros(1, 1), np.ones((1, 1)))
    tensor([[1.]])
    """
    if isinstance(image, torch.Tensor):
        return torch.from_numpy(np.ascontiguousarray(result, dtype=np.float32)).to(image.device)
    return result
