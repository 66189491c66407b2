r"""Length of outlines and size of surfaces from how often lines cross them, with pixels and voxels of any shape.

The longer an outline, the more often lines across the image cross it. Over all directions the formula of Crofton makes
a length of the counts in the plane, and a surface in space:

.. math:: P = \frac{\pi}{2} \sum_k c_k\, N_k\, \frac{A}{d_k} , \qquad S = 2 \sum_k c_k\, N_k\, \frac{V}{d_k} .

:math:`N_k` counts the changes between object and not object along all rows of pixels in direction :math:`k`. Such rows
are :math:`A/d_k` apart, the pixel's area over the step along the row; in space each stands for the area :math:`V/d_k`.
The directions are those from a pixel to its 8 neighbours, 26 in space. The weight :math:`c_k` is the share of the
circle, or sphere, that is closer to a direction and its opposite than to any other [1]_, [2]_; it is taken in µm, so
that elongated voxels are right. For square pixels this is ``skimage.measure.perimeter_crofton(..., directions=4)``.

A sum over the sides of pixels is too large by up to √2, and over faces of voxels √3, however fine they are; this is
not.

References
----------
.. [1] J. Ohser, F. Mücklich, *Statistical Analysis of Microstructures in Materials Science*, Wiley (2000).
.. [2] D. Legland, K. Kiêu, M.-F. Devaux, "Computation of Minkowski measures on 2D and 3D binary images", Image Analysis
   & Stereology 26 (2007) 83, doi:10.5566/ias.v26.p83-92.
"""

import itertools
import math

import numpy as np

from course_lib.quantification._objects import Array, Floats, Objects

__all__ = ["crofton"]

Direction = tuple[int, ...]


def crofton(objects: Objects, voxel_size_um: tuple[float, ...]) -> Floats:
    """Return the length of each outline in µm, or in a stack each surface in µm², cuts by the image's border included.

    Examples
    --------
    >>> from course_lib.quantification._objects import objects_of
    >>> ball = (sum((axis - 12) ** 2 for axis in np.ogrid[:25, :25, :25]) <= 10.0**2).astype(int)
    >>> bool(abs(crofton(objects_of(ball), (0.5, 0.5, 0.5)) - 4 * np.pi * 5**2) < 0.02 * 4 * np.pi * 5**2)
    True
    """
    padded = np.pad(objects.labels, 1)
    size, factor = math.prod(voxel_size_um), math.pi / 2 if objects.labels.ndim == 2 else 2.0
    directions = [step for step in itertools.product((-1, 0, 1), repeat=padded.ndim) if step > (0,) * padded.ndim]
    steps_um = np.array(directions) * voxel_size_um
    lengths_um = np.linalg.norm(steps_um, axis=1)
    total = np.zeros(objects.count)
    for direction, length_um, share in zip(
        directions, lengths_um, _shares(steps_um / lengths_um[:, None]), strict=True
    ):
        total += factor * share * size / length_um * _changes(padded, direction, objects)
    return total


def _changes(padded: Array, direction: Direction, objects: Objects) -> Array:
    """Count how often each object begins or ends along a direction.

    Along x that is twice for each of its runs. In other directions, a step is one distance in the flattened image;
    where it leaves a row, it goes from padding to padding.
    """
    if direction[-1] == 1 and not any(direction[:-1]):
        return 2 * np.bincount(objects.place, minlength=objects.count)
    flat = padded.ravel()
    step = int(np.dot(direction, [stride // padded.itemsize for stride in padded.strides]))
    at = np.flatnonzero(flat[:-step] != flat[step:])
    met = np.concatenate([flat[at], flat[at + step]])
    return np.bincount(objects.place_of(met[met != 0]), minlength=objects.count)


def _shares(directions: Floats) -> Floats:
    """Return the share of the circle, or sphere, that is closest to each direction or its opposite."""
    if directions.shape[1] == 2:
        angle = np.arctan2(directions[:, 0], directions[:, 1]) % math.pi
        order = np.argsort(angle)
        ends = np.concatenate([[angle[order[-1]] - math.pi], angle[order], [angle[order[0]] + math.pi]])
        shares = np.empty(len(angle))
        shares[order] = (ends[2:] - ends[:-2]) / (2 * math.pi)
        return shares
    from scipy.spatial import SphericalVoronoi

    areas = SphericalVoronoi(np.concatenate([directions, -directions])).calculate_areas()
    return np.asarray((areas[: len(directions)] + areas[len(directions) :]) / (4 * math.pi))
