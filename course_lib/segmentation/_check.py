"""What every tool of this subpackage asks of its images, masks, labels and lengths; each message has the remedy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from course_lib.images.image import as_array
from course_lib.parameters import Parameter

__all__ = [
    "Array",
    "Labels",
    "Mask",
    "check_image",
    "check_labels",
    "check_length",
    "check_mask",
    "check_same_shape",
    "check_share",
    "check_voxel_size",
]

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

LARGEST_LABEL = np.iinfo(np.int32).max
VOXEL_SIZE = Parameter(name="voxel_size_um", default=0.1, meaning="side of a voxel", unit="µm", minimum=1e-6)


def check_image(image: torch.Tensor | Array, *, name: str = "image") -> Array:
    """Return an image as a float array; raise unless it is (y, x) or (z, y, x), not empty and everywhere finite.

    Examples
    --------
    >>> check_image(torch.zeros(2, 3)).dtype
    dtype('float32')
    """
    values = _array(image, name=name)
    if values.dtype.kind not in "iuf":
        raise TypeError(
            f"{name} has dtype {values.dtype}, but must be an integer or floating-point type: "
            f"a mask is passed as mask=, and labels to the tools for labels."
        )
    values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
    low, high = values.min(), values.max()  # both are NaN if any value is
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int((~np.isfinite(values)).sum())
        raise ValueError(
            f"{name} has {bad} values that are NaN or infinite: replace them first, for example with torch.nan_to_num."
        )
    return values


def check_mask(mask: torch.Tensor | Array, *, name: str = "mask") -> Mask:
    """Return a mask as a bool array; raise unless it is one of (y, x) or (z, y, x), and not empty.

    Examples
    --------
    >>> check_mask(torch.ones(1, 2) > 0)
    array([[ True,  True]])
    """
    values = _array(mask, name=name)
    if values.dtype != np.bool_:
        raise TypeError(
            f"{name} has dtype {values.dtype}, but must be bool: {name} > 0 makes it so, "
            f"or {name} > 0.5 of probabilities."
        )
    return values


def check_labels(labels: torch.Tensor | Array, *, name: str = "labels") -> Labels:
    """Return labels as an int32 array; raise unless they are whole, at least 0, in (y, x) or (z, y, x).

    Examples
    --------
    >>> check_labels(torch.tensor([[0, 7]]))
    array([[0, 7]], dtype=int32)
    """
    values = _array(labels, name=name)
    if values.dtype == np.bool_:
        raise TypeError(f"{name} has dtype bool, but must be whole numbers: connected({name}) numbers its objects.")
    if values.dtype.kind not in "iu":
        raise TypeError(
            f"{name} has dtype {values.dtype}, but must be an integer type: {name}.astype(np.int32), after a look at "
            f"whether the values are whole."
        )
    if values.min() < 0:
        raise ValueError(
            f"{name} has values down to {values.min()}, but must be at least 0, the background: "
            f"set what is to be ignored to 0."
        )
    if values.max() > LARGEST_LABEL:
        raise ValueError(
            f"{name} has values up to {values.max()}, but must be at most {LARGEST_LABEL}: "
            f"np.unique({name}, return_inverse=True) numbers them anew."
        )
    return values.astype(np.int32, copy=False)


def check_same_shape(values: Array, other: Array, *, name: str, other_name: str) -> None:
    """Raise unless two arrays have one shape.

    Examples
    --------
    >>> check_same_shape(np.zeros((2, 3)), np.zeros((2, 4)), name="mask", other_name="image")
    Traceback (most recent call last):
    ValueError: mask has shape (2, 3), but the image (2, 4): take both from the same field and crop.
    """
    if values.shape != other.shape:
        raise ValueError(
            f"{name} has shape {values.shape}, but the {other_name} {other.shape}: "
            f"take both from the same field and crop."
        )


def check_voxel_size(voxel_size_um: Sequence[float], dimensions: int) -> tuple[float, ...]:
    """Return the voxel size as a tuple; raise unless it gives each axis a size above 0.

    Examples
    --------
    >>> check_voxel_size([1, 0.5], 2)
    (1.0, 0.5)
    """
    letters = "(z, y, x)" if dimensions == 3 else "(y, x)"
    try:
        sizes = tuple(voxel_size_um)
    except TypeError:
        raise TypeError(
            f"voxel_size_um is {voxel_size_um!r}, but must be {letters} in µm, one for each axis."
        ) from None
    if len(sizes) != dimensions:
        raise ValueError(
            f"voxel_size_um is {sizes}, with {len(sizes)} sizes, but there are {dimensions} axes: give {letters} in µm."
        )
    for size in sizes:
        VOXEL_SIZE.check(size)
    return tuple(float(size) for size in sizes)


def check_length(value: float, *, name: str, meaning: str) -> float:
    """Return a length in µm; raise unless it is a finite number above 0.

    Examples
    --------
    >>> check_length(0, name="window_um", meaning="side of the window")
    Traceback (most recent call last):
    course_lib.parameters.ParameterError: window_um is 0 µm, but must be at least 1e-06 µm: side of the window.
    """
    Parameter(name=name, default=1.0, meaning=meaning, unit="µm", minimum=1e-6).check(value)
    return float(value)


def check_share(value: float, *, name: str, meaning: str, most: float = 1.0) -> float:
    """Return a share; raise unless it is a number from 0 to `most`.

    Examples
    --------
    >>> check_share(2, name="least_share", meaning="common border over the outline")
    Traceback (most recent call last):
    course_lib.parameters.ParameterError: least_share is 2, but must be from 0 to 1: common border over the outline.
    """
    Parameter(name=name, default=0.5, meaning=meaning, minimum=0, maximum=most).check(value)
    return float(value)


def _array(data: torch.Tensor | Array, *, name: str) -> Array:
    """Return a tensor or array as an array of 2 or 3 axes that is not empty."""
    if isinstance(data, torch.Tensor):
        data = as_array(data)
    if not isinstance(data, np.ndarray):
        raise TypeError(
            f"{name} is a {type(data).__name__}, but must be a tensor or a NumPy array: np.asarray({name}) makes one."
        )
    if data.ndim not in (2, 3):
        raise ValueError(
            f"{name} has shape {data.shape}, but must be (y, x) or (z, y, x): choose one time and channel of it."
        )
    if data.size == 0:
        raise ValueError(f"{name} has shape {data.shape}, without any element: check how it was cropped.")
    return data
