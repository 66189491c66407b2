"""What every simulated object asks of its shape."""

from collections.abc import Sequence

from course_lib.parameters import Parameter

__all__ = ["check_shape", "check_voxel_size"]


def check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return `shape` as a tuple; raise unless it is (y, x) or (z, y, x) with each side at least 1.

    Examples
    --------
    >>> check_shape([16, 64, 64])
    (16, 64, 64)
    """
    sides = tuple(shape)
    if len(sides) not in (2, 3):
        raise ValueError(
            f"shape is {sides}, with {len(sides)} sides, but must have 2 (y, x) or 3 (z, y, x): for example (256, 256)."
        )
    declared = Parameter(name="shape", default=1, meaning="pixels along each side", unit="px", minimum=1)
    for side in sides:
        declared.check(side)
    return sides


def check_voxel_size(voxel_size_um: Sequence[float], shape: tuple[int, ...]) -> tuple[float, ...]:
    """Return `voxel_size_um` as a tuple; raise unless it gives each side of `shape` a size above 0.

    Examples
    --------
    >>> check_voxel_size([0.2, 0.1, 0.1], (16, 64, 64))
    (0.2, 0.1, 0.1)
    """
    sizes = tuple(voxel_size_um)
    if len(sizes) != len(shape):
        raise ValueError(
            f"voxel_size_um is {sizes}, with {len(sizes)} sizes, but shape {shape} has {len(shape)} sides: "
            f"give one size in µm for each side, in the same order."
        )
    declared = Parameter(
        name="voxel_size_um", default=0.1, meaning="side of a voxel", unit="µm", minimum=1e-4, maximum=1e4
    )
    for size in sizes:
        declared.check(size)
    return sizes
