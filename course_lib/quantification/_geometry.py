r"""Size, position and second moments of objects, in closed form from their runs of pixels.

The covariance of the positions of an object's pixels gives the ellipse, in a stack the ellipsoid, with the same second
moments. Along a main axis with variance :math:`\lambda` its full length is

.. math:: 4 \sqrt{\lambda} \quad\text{(ellipse)}, \qquad \sqrt{20\,\lambda} \quad\text{(ellipsoid)} ,

because a filled ellipse of semi-axis :math:`a` has :math:`\lambda = a^2/4`, and an ellipsoid :math:`a^2/5`. A pixel
counts as a point at its centre, as in scikit-image, without the variance 1/12 of its own extent: a line of pixels has
the width 0.

Sums are taken from the corner of each object's bounding box. They are whole numbers, exact in float64, and no precision
is lost where an object lies far from the image's origin.
"""

import math

import numpy as np

from course_lib.quantification._objects import Array, Floats, Objects

__all__ = ["geometry", "size_and_centre"]

LETTERS = "zyx"
ROUNDING = 1e-13
"""Of the largest variance: smaller ones are 0."""


def size_and_centre(objects: Objects, voxel_size_um: tuple[float, ...]) -> dict[str, Array]:
    """Return area or volume, and the centre.

    Examples
    --------
    >>> from course_lib.quantification._objects import objects_of
    >>> size_and_centre(objects_of(np.array([[0, 3, 3]])), (0.5, 0.5))
    {'area_um2': array([0.5]), 'y_um': array([0.]), 'x_um': array([0.75])}
    """
    size = "volume_um3" if len(voxel_size_um) == 3 else "area_um2"
    columns: dict[str, Array] = {size: objects.pixels * math.prod(voxel_size_um)}
    for letter, low, mean, spacing in zip(
        _letters(objects), objects.lowest, _means(objects), voxel_size_um, strict=True
    ):
        columns[f"{letter}_um"] = (low + mean) * spacing
    return columns


def geometry(objects: Objects, voxel_size_um: tuple[float, ...]) -> dict[str, Array]:
    """Return diameter, axes, orientation, eccentricity, extent, bounding box and whether the border is touched."""
    pixels, dimensions = objects.pixels, len(voxel_size_um)
    sides = [high - low + 1 for low, high in zip(objects.lowest, objects.highest, strict=True)]
    size = pixels * math.prod(voxel_size_um)
    columns: dict[str, Array] = {"equivalent_diameter_um": (2 * dimensions * size / math.pi) ** (1 / dimensions)}
    columns |= (_ellipse if dimensions == 2 else _ellipsoid)(_covariance(objects, voxel_size_um))
    columns["extent"] = pixels / np.prod(np.array(sides, np.float64), axis=0)
    columns |= {f"bbox_{name}_start_px": low for name, low in zip(_letters(objects), objects.lowest, strict=True)}
    columns |= {f"bbox_{name}_stop_px": high + 1 for name, high in zip(_letters(objects), objects.highest, strict=True)}
    at_border = [
        (low == 0) | (high == length - 1)
        for low, high, length in zip(objects.lowest, objects.highest, objects.shape, strict=True)
    ]
    columns["touches_border"] = np.any(at_border, axis=0)
    return columns


def _letters(objects: Objects) -> str:
    return LETTERS[-objects.labels.ndim :]


def _from_corner(objects: Objects) -> list[Floats]:
    """Return the coordinates of the first pixel of each run, counted from the corner of its object."""
    coordinates = (*objects.row, objects.first_x)
    return [
        (values - low[objects.place]).astype(np.float64)
        for values, low in zip(coordinates, objects.lowest, strict=True)
    ]


def _run_sums(objects: Objects) -> tuple[list[Floats], Floats]:
    """Return for each run the sums over its pixels of each coordinate, and of x²."""
    *rows, first = _from_corner(objects)
    length = objects.length.astype(np.float64)
    last = first + length - 1
    sum_of_x = length * (first + last) / 2
    sum_of_squares = (last * (last + 1) * (2 * last + 1) - (first - 1) * first * (2 * first - 1)) / 6
    return [*(row * length for row in rows), sum_of_x], sum_of_squares


def _means(objects: Objects) -> list[Floats]:
    """Return the mean of each coordinate, from the corner of the bounding box."""
    sums, _ = _run_sums(objects)
    return [objects.sum(each) / objects.pixels for each in sums]


def _covariance(objects: Objects, voxel_size_um: tuple[float, ...]) -> Floats:
    """Return the covariance of the positions of each object's pixels in µm², shape (objects, axes, axes)."""
    *rows, _ = _from_corner(objects)
    sums, squares_of_x = _run_sums(objects)
    means = [objects.sum(each) / objects.pixels for each in sums]
    axes = len(voxel_size_um)
    covariance = np.empty((objects.count, axes, axes))
    for first in range(axes):
        for second in range(first, axes):
            products = squares_of_x if first == axes - 1 else rows[first] * sums[second]
            central = objects.sum(products) / objects.pixels - means[first] * means[second]
            covariance[:, first, second] = central * voxel_size_um[first] * voxel_size_um[second]
            covariance[:, second, first] = covariance[:, first, second]
    return covariance


def _ellipse(covariance: Floats) -> dict[str, Array]:
    """Return axes, orientation from the y axis as in scikit-image, and eccentricity."""
    along_y, along_x, both = covariance[:, 0, 0], covariance[:, 1, 1], covariance[:, 0, 1]
    larger = (along_y + along_x) / 2 + np.hypot((along_y - along_x) / 2, both)
    smaller = _not_rounding(along_y + along_x - larger, larger)
    orientation = np.arctan2(2 * both, along_y - along_x) / 2
    round_ones = along_y == along_x
    orientation[round_ones] = np.where(both[round_ones] > 0, math.pi / 4, -math.pi / 4)
    share = np.divide(smaller, larger, out=np.ones_like(larger), where=larger > 0)
    return {
        "major_axis_um": 4 * np.sqrt(larger),
        "minor_axis_um": 4 * np.sqrt(smaller),
        "orientation_rad": orientation,
        "eccentricity": np.sqrt(1 - share),
    }


def _ellipsoid(covariance: Floats) -> dict[str, Array]:
    """Return the three axes of the ellipsoid."""
    variances = np.linalg.eigvalsh(covariance)
    variances = _not_rounding(variances, variances[:, -1:])
    names = ("minor_axis_um", "middle_axis_um", "major_axis_um")
    return {name: np.sqrt(20 * variances[:, place]) for place, name in reversed(list(enumerate(names)))}


def _not_rounding(variance: Array, largest: Array) -> Array:
    """Return 0 for what only rounding made of pixels in a line or in a plane."""
    return np.where(variance > ROUNDING * largest, variance, 0.0)
