"""What every simulated object asks of its shape, its voxels and its brightness."""

import operator
from collections.abc import Sequence
from typing import Any

import torch

from course_lib.parameters import Parameter

__all__ = ["check_shape", "check_voxel_size", "check_whole", "fluorophores_per_voxel"]

SIDE = Parameter(name="shape", default=1, meaning="pixels along each side", unit="px", minimum=1)
VOXEL_SIZE = Parameter(
    name="voxel_size_um", default=0.1, meaning="side of a voxel", unit="µm", minimum=1e-4, maximum=1e4
)
CONCENTRATION = Parameter(
    name="fluorophores_per_um3", default=1.0, meaning="fluorophores where the relative density is 1", minimum=0
)


def check_whole(declared: Parameter, value: Any) -> int:
    """Return `value` as an int; raise unless it is one within the limits of `declared`.

    Examples
    --------
    >>> check_whole(Parameter(name="count", default=1, meaning="number of beads", minimum=1), 3)
    3
    """
    declared.check(value)
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"{declared.name} is {value!r}, a {type(value).__name__}, but must be a whole number: "
            f"write {int(value)} or int(...)."
        ) from None


def check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return `shape` as a tuple; raise unless it is (y, x) or (z, y, x) with each side at least 1.

    Examples
    --------
    >>> check_shape([16, 64, 64])
    (16, 64, 64)
    """
    try:
        sides = tuple(shape)
    except TypeError:
        raise TypeError(f"shape is {shape!r}, but must be a sequence of sides: for example (256, 256).") from None
    if len(sides) not in (2, 3):
        raise ValueError(
            f"shape is {sides}, with {len(sides)} sides, but must have 2 (y, x) or 3 (z, y, x): for example (256, 256)."
        )
    return tuple(check_whole(SIDE, side) for side in sides)


def check_voxel_size(voxel_size_um: Sequence[float], shape: tuple[int, ...]) -> tuple[float, ...]:
    """Return `voxel_size_um` as a tuple; raise unless it gives each side of `shape` a size above 0.

    Examples
    --------
    >>> check_voxel_size([0.2, 0.1, 0.1], (16, 64, 64))
    (0.2, 0.1, 0.1)
    """
    try:
        sizes = tuple(voxel_size_um)
    except TypeError:
        raise TypeError(
            f"voxel_size_um is {voxel_size_um!r}, but must be a sequence with one size for each side of "
            f"shape {shape}: for example {(voxel_size_um,) * len(shape)}."
        ) from None
    if len(sizes) != len(shape):
        raise ValueError(
            f"voxel_size_um is {sizes}, with {len(sizes)} sizes, but shape {shape} has {len(shape)} sides: "
            f"give one size in µm for each side, in the same order."
        )
    for size in sizes:
        VOXEL_SIZE.check(size)
    return tuple(float(size) for size in sizes)


def fluorophores_per_voxel(
    relative: torch.Tensor, voxel_size_um: Sequence[float], fluorophores_per_um3: float | None
) -> torch.Tensor:
    """Turn a density relative to 1 into fluorophores per voxel; None leaves it relative.

    A pixel of a plane counts as 1 µm deep, so that fluorophores per µm³ are fluorophores per µm² there.

    Examples
    --------
    >>> fluorophores_per_voxel(torch.ones(1, 1), (0.1, 0.1), 500.0)
    tensor([[5.]])
    """
    if fluorophores_per_um3 is None:
        return relative
    CONCENTRATION.check(fluorophores_per_um3)
    volume_um3 = 1.0
    for size in voxel_size_um:
        volume_um3 *= size
    return relative * (fluorophores_per_um3 * volume_um3)
