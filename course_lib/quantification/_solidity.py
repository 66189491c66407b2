"""Solidity: how much of its convex hull an object fills.

As in scikit-image a pixel is a diamond, from the middle of each of its sides to the next, a voxel an octahedron, and
the hull counts the pixels whose centres lie in the convex hull of these or on its outline. So a straight bar fills its
hull whatever its direction, which it would not if the corners of pixels counted.

Of an object only the first and the last pixel of each row can be corners. In the plane the hull is the space between an
upper and a lower envelope (`course_lib.quantification._envelope`), found for all objects at once in whole numbers. In a
stack these envelopes thin out each plane, and Qhull finds the hull of what is left, object by object; then the faces
bound an interval of x in each row, which counts whole rows instead of voxels.
"""

from typing import Any

import numpy as np

from course_lib.quantification._envelope import upper_envelope, upper_envelope_at
from course_lib.quantification._objects import Array, Floats, Integers, Objects

__all__ = ["solidity"]

TOLERANCE = 1e-10  # of a voxel, as in scikit-image: a centre this far outside lies on the hull
MOST_AT_ONCE = 2**22  # faces × rows


def solidity(objects: Objects) -> Floats:
    """Return pixels of each object over pixels of its convex hull.

    Examples
    --------
    >>> from course_lib.quantification._objects import objects_of
    >>> corner = np.array([[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    >>> solidity(objects_of(corner))
    array([0.6])
    """
    if objects.count == 0:
        return np.empty(0)
    hull = _hull_pixels(objects) if objects.labels.ndim == 2 else _hull_voxels(objects)
    return np.asarray(objects.pixels / hull)


def _rows(objects: Objects) -> tuple[Integers, list[Integers], Integers, Integers]:
    """Return object, coordinates, first and last x of each row of each object."""
    first = objects.line_start
    last = np.append(first[1:], len(objects.start)) - 1
    place, coordinates = objects.place[first], [values[first] for values in objects.row]
    return place, coordinates, objects.first_x[first], (objects.first_x + objects.length - 1)[last]


def _hull_pixels(objects: Objects) -> Integers:
    """Count the pixels in the hull of each object in the plane.

    All in half pixels: each row end (y, x) stands for the three points (2y - 1, 2x), (2y, 2x + 1), (2y + 1, 2x).
    """
    place, (y,), first, last = _rows(objects)
    heights = objects.highest[0] - objects.lowest[0] + 1
    all_places = np.repeat(np.arange(objects.count), heights)
    begin = np.cumsum(heights) - heights
    all_rows = np.arange(len(all_places)) + (objects.lowest[0] - begin)[all_places]
    pixels = np.ones(len(all_rows), np.int64)
    for end in (last, -first):
        points = _one_a_position(np.repeat(place, 3), _three(2 * y, -1, 0, 1), _three(2 * end, 0, 1, 0))
        pixels += upper_envelope_at(*points, at_group=all_places, at_position=2 * all_rows, per=2)
    in_hull: Integers = np.add.reduceat(pixels, begin)
    return in_hull


def _three(values: Integers, *offsets: int) -> Integers:
    return np.asarray((values[:, None] + np.array(offsets)).ravel())


def _one_a_position(group: Integers, position: Integers, height: Integers) -> tuple[Integers, Integers, Integers]:
    """Keep the higher of two neighbouring points at the same position of a group."""
    again = np.flatnonzero((group[1:] == group[:-1]) & (position[1:] == position[:-1]))
    height[again] = np.maximum(height[again], height[again + 1])
    return tuple(np.delete(values, again + 1) for values in (group, position, height))  # type: ignore[return-value]


def _hull_voxels(objects: Objects) -> Integers:
    """Count the voxels in the hull of each object of a stack."""
    place, (z, y), first, last = _rows(objects)
    ends = [_corners_of_ends(objects, place, z, y, x) for x in (last, -first)]
    ends[1][:, -1] *= -1
    owner, corners = np.concatenate(ends)[:, 0], np.concatenate(ends)[:, 1:]
    order = np.argsort(owner, kind="stable")
    each = np.split(corners[order], np.searchsorted(owner[order], np.arange(1, objects.count)))
    return np.array([_voxels_within(points - points.min(axis=0)) for points in each])


def _corners_of_ends(objects: Objects, place: Integers, z: Integers, y: Integers, x: Integers) -> Integers:
    """Keep those ends of rows that are corners both in their plane of constant z and in that of constant y."""
    kept = upper_envelope(place * objects.shape[0] + z, y, x)
    kept = kept[np.lexsort((z[kept], y[kept], place[kept]))]
    kept = kept[upper_envelope(place[kept] * objects.shape[1] + y[kept], z[kept], x[kept])]
    return np.stack([place[kept], z[kept], y[kept], x[kept]], axis=1)


def _voxels_within(corners: Integers) -> int:
    """Count the voxels within the convex hull of octahedra at the corners, whose lowest coordinates are 0."""
    from scipy.spatial import ConvexHull

    octahedron = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    points = (_hull_corners(corners)[:, None] + octahedron).reshape(-1, 3)
    faces: Array = np.unique(ConvexHull(points).equations, axis=0)
    z, y = (axis.ravel() for axis in np.indices(corners.max(axis=0)[:2] + 1))
    step = max(1, MOST_AT_ONCE // len(faces))
    return sum(_voxels_of_rows(faces, z[at : at + step], y[at : at + step]) for at in range(0, len(z), step))


def _hull_corners(points: Integers) -> Integers:
    """Return the corners of the hull of the voxels' centres, or all points where these lie in a plane."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        corners: Integers = points[ConvexHull(points).vertices]
    except QhullError:
        return points
    return corners


def _voxels_of_rows(faces: Array, z: Integers, y: Integers) -> int:
    """Count the voxels of some rows that lie behind all faces n·(z, y, x) + d ≤ 0."""
    slope = faces[:, 2]
    slack: Any = TOLERANCE - (np.outer(z, faces[:, 0]) + np.outer(y, faces[:, 1]) + faces[:, 3])
    rising, falling, level = slope > 0, slope < 0, slope == 0
    most = np.floor((slack[:, rising] / slope[rising]).min(axis=1))
    least = np.ceil((slack[:, falling] / slope[falling]).max(axis=1))
    inside = np.maximum(most - least + 1, 0) * (slack[:, level] > 0).all(axis=1)
    return int(inside.sum())
