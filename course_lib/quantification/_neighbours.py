"""How many objects lie next to an object.

Two objects that share a side of a pixel, or a face of a voxel, touch. With a distance, every pixel of the background
belongs to the object that is nearest, and two objects are neighbours where such zones meet and their nearest pixels,
from centre to centre, are no farther apart than that. So an object that is hidden behind another is no neighbour.
"""

import numpy as np

from course_lib.quantification._objects import Array, Integers, Objects

__all__ = ["neighbours"]


def neighbours(objects: Objects, voxel_size_um: tuple[float, ...], *, distance_um: float) -> Integers:
    """Return the number of neighbours of each object; with a distance of 0, of objects that touch it.

    Examples
    --------
    >>> from course_lib.quantification._objects import objects_of
    >>> found = objects_of(np.array([[1, 2, 0, 3]]))
    >>> neighbours(found, (0.5, 0.5), distance_um=0), neighbours(found, (0.5, 0.5), distance_um=1.0)
    (array([1, 1, 0]), array([1, 2, 1]))
    """
    count = objects.count
    if count == 0:
        return np.zeros(0, np.int64)
    meetings = _touching(objects.labels) if distance_um == 0 else _near(objects.labels, voxel_size_um, distance_um)
    first, second = objects.place_of(meetings[0]), objects.place_of(meetings[1])
    pairs = np.unique(np.minimum(first, second) * count + np.maximum(first, second))
    return np.bincount(np.concatenate(np.divmod(pairs, count)), minlength=count)


def _meeting(labels: Array, axis: int) -> tuple[Array, Array, Array]:
    """Return the labels on both sides of every border between two objects along an axis, and where it is."""
    moved = np.moveaxis(labels, axis, 0)
    low, high = moved[:-1], moved[1:]
    borders = (low != high) & (low != 0) & (high != 0)
    return low[borders], high[borders], borders


def _touching(labels: Array) -> tuple[Array, Array]:
    sides = [_meeting(labels, axis)[:2] for axis in range(labels.ndim)]
    return np.concatenate([low for low, _ in sides]), np.concatenate([high for _, high in sides])


def _near(labels: Array, voxel_size_um: tuple[float, ...], distance_um: float) -> tuple[Array, Array]:
    """Return the labels on both sides of borders between zones whose objects are near enough there."""
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(
        labels == 0, sampling=voxel_size_um, return_distances=False, return_indices=True
    )
    zones = labels[tuple(nearest)]
    found = []
    for axis in range(labels.ndim):
        low, high, borders = _meeting(zones, axis)
        at = np.moveaxis(nearest, axis + 1, 1)
        steps = (at[:, 1:][:, borders] - at[:, :-1][:, borders]) * np.array(voxel_size_um)[:, None]
        near = (steps**2).sum(axis=0) <= (distance_um * (1 + 1e-9)) ** 2
        found.append((low[near], high[near]))
    return np.concatenate([low for low, _ in found]), np.concatenate([high for _, high in found])
