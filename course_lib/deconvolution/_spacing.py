"""How far apart neighbouring voxels are: penalties that compare neighbours need it."""

import warnings
from collections.abc import Sequence

from course_lib.deconvolution._check import check_number

__all__ = ["relative_spacing"]


def relative_spacing(voxel_size_um: Sequence[float] | None, dimensions: int) -> tuple[float, ...]:
    """Return the sides of a voxel in units of its smallest, and 1 each for None.

    Examples
    --------
    >>> relative_spacing((0.3, 0.1, 0.1), 3) == (0.3 / 0.1, 1.0, 1.0)
    True
    """
    if voxel_size_um is None:
        if dimensions == 3:
            warnings.warn(
                "voxel_size_um is None, so that voxels are taken as cubes, which those of a stack seldom are: give "
                "voxel_size_um=(z, y, x), or (1, 1, 1) for cubes.",
                stacklevel=4,
            )
        return (1.0,) * dimensions
    sizes = tuple(check_number(size, name="voxel_size_um", above=0) for size in voxel_size_um)
    if len(sizes) != dimensions:
        wanted = "(y, x)" if dimensions == 2 else "(z, y, x)"
        raise ValueError(f"voxel_size_um is {sizes}, but the psf has {dimensions} axes: give {wanted}.")
    return tuple(size / min(sizes) for size in sizes)
