"""Named axes in the order TCZYX: time, channel, depth, row, column."""

import math
from typing import TypeVar

import numpy as np
import torch

__all__ = ["AXES", "check_axes", "check_spatial", "to_axes"]

AXES = "TCZYX"

ArrayT = TypeVar("ArrayT", np.ndarray, torch.Tensor)


def check_axes(axes: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `axes` names each dimension of `shape` once, in the order TCZYX, with Y and X.

    Examples
    --------
    >>> check_axes("ZYX", (16, 256, 256))
    >>> check_axes("XY", (16, 256))
    Traceback (most recent call last):
    ValueError: axes 'XY' must be letters of 'TCZYX', each once and in that order, and end in 'YX'.
    """
    in_order = [letter for letter in AXES if letter in axes]
    if "".join(in_order) != axes or not axes.endswith("YX"):
        raise ValueError(f"axes {axes!r} must be letters of {AXES!r}, each once and in that order, and end in 'YX'.")
    if len(axes) != len(shape):
        raise ValueError(
            f"axes {axes!r} name {len(axes)} dimensions, but the data have {len(shape)}, shape {shape}: "
            f"name every dimension, for example axes={AXES[-len(shape) :]!r}."
        )
    if 0 in shape:
        raise ValueError(f"the data have shape {shape}, without any element: check how they were cropped.")


def to_axes(data: ArrayT, *, axes: str, wanted: str) -> ArrayT:
    """Give `data` the axes `wanted`: missing ones are inserted with length 1, ones of length 1 dropped.

    Parameters
    ----------
    data : numpy.ndarray or torch.Tensor
        The data.
    axes : str
        Its axes now, in the order TCZYX.
    wanted : str
        The axes it should have, in the order TCZYX.

    Returns
    -------
    numpy.ndarray or torch.Tensor
        A view of `data`.

    Raises
    ------
    ValueError
        If an axis that is longer than 1 would have to be dropped.

    Examples
    --------
    >>> to_axes(np.zeros((3, 64, 64)), axes="ZYX", wanted="TCZYX").shape
    (1, 1, 3, 64, 64)
    """
    check_axes(axes, tuple(data.shape))
    for letter, length in zip(axes, data.shape, strict=True):
        if letter not in wanted and length > 1:
            raise ValueError(
                f"axis {letter} has length {length}, but the axes wanted are {wanted!r}: "
                f"choose one plane of {letter} first, or process each in a loop."
            )
    index = tuple(slice(None) if letter in wanted else 0 for letter in axes)
    kept = [letter for letter in axes if letter in wanted]
    insert = tuple(slice(None) if letter in kept else None for letter in wanted)
    view: ArrayT = data[index][insert]
    return view


def check_spatial(data: torch.Tensor, dimensions: int, *, name: str = "image") -> None:
    """Raise unless `data` is a float tensor of at least `dimensions` axes, not empty and everywhere finite.

    Examples
    --------
    >>> check_spatial(torch.zeros(4), 2)
    Traceback (most recent call last):
    ValueError: image has shape (4,), but needs at least 2 axes (..., Y, X): add the missing axes.
    """
    if not isinstance(data, torch.Tensor):
        raise TypeError(
            f"{name} is a {type(data).__name__}, but must be a tensor: "
            f"torch.as_tensor(data, dtype=torch.float32) makes one."
        )
    letters = ", ".join(AXES[-dimensions:])
    if data.ndim < dimensions:
        raise ValueError(
            f"{name} has shape {tuple(data.shape)}, but needs at least {dimensions} axes (..., {letters}): "
            f"add the missing axes."
        )
    if data.numel() == 0:
        raise ValueError(f"{name} has shape {tuple(data.shape)}, without any element: check how it was cropped.")
    if not data.is_floating_point():
        raise TypeError(f"{name} has dtype {data.dtype}, but must be floating point: {name}.float() converts it.")
    low, high = torch.aminmax(data.detach())  # both are NaN if any value is
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = int((~torch.isfinite(data)).sum())
        raise ValueError(
            f"{name} has {bad} values that are NaN or infinite: replace them first, for example with torch.nan_to_num."
        )
