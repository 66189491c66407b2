r"""Features of the outline: its length, in a stack the surface, and how round and how full the object is.

Circularity :math:`4 \pi A / P^2` compares the area with that of a disc of the same outline, sphericity
:math:`\pi^{1/3} (6V)^{2/3} / S` the volume with a ball of the same surface. Both are 1 for disc and ball and less for
everything else, as far as length and surface are right. They are taken from Crofton's formula, which is right on
average at every size. With the outline through the centres of pixels, the circularity of a perfect disc would fall from
1.08 at a radius of 5 pixels to 0.92 at 40, and small cells would look rounder than large ones. Right on average still
leaves a scatter: up to some 50 pixels, single discs have from 0.9 to 1.1. Below 10 pixels or voxels, where debris of
any shape would be rounder than a disc (one pixel: 1.75), circularity and sphericity are NaN.
"""

import math

import numpy as np

from course_lib.quantification._crofton import crofton
from course_lib.quantification._objects import Array, Objects
from course_lib.quantification._perimeter import perimeter_um
from course_lib.quantification._solidity import solidity

__all__ = ["outline"]

FEWEST_PIXELS = 10
"""Of an object whose roundness can be told."""


def outline(objects: Objects, voxel_size_um: tuple[float, ...]) -> dict[str, Array]:
    """Return perimeters, circularity and solidity; in a stack surface, sphericity and solidity."""
    size = objects.pixels * math.prod(voxel_size_um)
    crossed = crofton(objects, voxel_size_um)
    if len(voxel_size_um) == 3:
        sphericity = math.pi ** (1 / 3) * (6 * size) ** (2 / 3) / crossed
        return {
            "surface_um2": crossed,
            "sphericity": np.where(objects.pixels < FEWEST_PIXELS, math.nan, sphericity),
            "solidity": solidity(objects),
        }
    return {
        "perimeter_um": perimeter_um(objects, voxel_size_um),
        "perimeter_crofton_um": crossed,
        "circularity": np.where(objects.pixels < FEWEST_PIXELS, math.nan, 4 * math.pi * size / crossed**2),
        "solidity": solidity(objects),
    }
