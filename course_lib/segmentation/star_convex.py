r"""Star-convex polygons: how far it is, from a pixel inside, to the border along each of 32 rays.

A region is star-convex if the straight way from its middle to each of its pixels stays inside, as it does for most
nuclei. For every pixel, the network gives the distances :math:`r_k` to the border along rays of the directions
:math:`2\pi k/32`, and the probability of being well inside an object [1]_: a polygon for every pixel. Many pixels
propose the same nucleus. So the proposals are taken in the order of their probability, and one that is covered by
those before it is suppressed.

Proposals of neighbouring pixels are almost the same. So only pixels whose probability is not below that of any
neighbour propose: some few for each nucleus, instead of hundreds. The rest is exact.

A nucleus that is bent, or any cell with branches, is no star: its polygon cuts or misses what no ray reaches.

References
----------
.. [1] U. Schmidt, M. Weigert, C. Broaddus, G. Myers, "Cell detection with star-convex polygons", MICCAI (2018),
   doi:10.1007/978-3-030-00934-2_30.
"""

import math
from collections.abc import Mapping
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from course_lib.segmentation._check import Labels
from course_lib.segmentation.labels import relabelled

__all__ = ["RAYS", "StarConvex", "depth_inside", "ray_distances", "suppressed"]

RAYS = 32
UNIT_PX = 10.0
"""Distances are learned in tens of pixels, so that they are near 1."""
DISTANCE_WEIGHT = 2.0
LEAST_DISTANCE_PX = 0.5


def _directions() -> NDArray[np.float32]:
    """Return unit vectors (rays, 2) in the order y, x."""
    angles = 2 * math.pi * np.arange(RAYS) / RAYS
    return np.stack([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def ray_distances(labels: Labels) -> NDArray[np.float32]:
    """Return how far each pixel's object goes on along each ray.

    Parameters
    ----------
    labels : numpy.ndarray
        int32, (y, x).

    Returns
    -------
    numpy.ndarray
        In pixels, to half a pixel, (rays, y, x); 0 in the background.

    Examples
    --------
    >>> labels = np.zeros((5, 9), dtype=np.int32)
    >>> labels[1:4, 2:7] = 1
    >>> [float(ray_distances(labels)[ray, 2, 4]) for ray in (0, 8, 16, 24)]
    [2.5, 1.5, 2.5, 1.5]
    """
    y, x = np.nonzero(labels)
    numbers = labels[y, x]
    bordered = np.pad(labels, 1)
    distances = np.zeros((RAYS, *labels.shape), dtype=np.float32)
    for ray, (down, right) in enumerate(_directions()):
        inside, length = np.arange(len(y)), 0
        while len(inside):
            length += 1
            rows = np.rint(y[inside] + length * down).astype(np.int64).clip(-1, labels.shape[0]) + 1
            columns = np.rint(x[inside] + length * right).astype(np.int64).clip(-1, labels.shape[1]) + 1
            goes_on = bordered[rows, columns] == numbers[inside]
            ended = inside[~goes_on]
            distances[ray, y[ended], x[ended]] = length - 0.5
            inside = inside[goes_on]
    return distances


def depth_inside(labels: Labels) -> NDArray[np.float32]:
    """Return the distance of each pixel to the border of its object, relative to the largest in that object.

    Where the image cuts an object is no border, unless the object fills the image.

    Examples
    --------
    >>> labels = np.zeros((7, 7), dtype=np.int32)
    >>> labels[1:6, 1:6] = 3
    >>> print(depth_inside(labels)[3].round(2))
    [0.   0.33 0.67 1.   0.67 0.33 0.  ]
    """
    from scipy import ndimage

    depth = np.zeros(labels.shape, dtype=np.float32)
    sequential = relabelled(labels)
    for number, box in enumerate(ndimage.find_objects(sequential), start=1):
        own = sequential[box] == number
        fills = own.shape == labels.shape and own.all()
        edges = [
            (int(fills or side.start > 0), int(fills or side.stop < most))
            for side, most in zip(box, labels.shape, strict=True)
        ]
        distance = ndimage.distance_transform_edt(np.pad(own, edges))
        distance = distance[tuple(slice(a, distance.shape[k] - b) for k, (a, b) in enumerate(edges))]
        depth[box][own] = (distance / distance.max())[own]
    return depth


def suppressed(
    probability: torch.Tensor,
    distances_px: torch.Tensor,
    *,
    least_probability: float,
    most_covered: float,
    unit_px: float = 1.0,
) -> Labels:
    """Draw the polygons of the most probable pixels, and leave out those that are covered already.

    Parameters
    ----------
    probability : torch.Tensor
        (y, x).
    distances_px : torch.Tensor
        (rays, y, x), in pixels, or in units of `unit_px`.
    least_probability : float
        Of a pixel that proposes.
    most_covered : float
        Share of a polygon's pixels that more probable ones may cover.
    unit_px : float
        Pixels that a distance of 1 stands for.

    Returns
    -------
    numpy.ndarray
        int32 labels, numbered from the most probable object on.

    Examples
    --------
    >>> labels = np.zeros((20, 20), dtype=np.int32)
    >>> labels[3:10, 3:10], labels[10:17, 10:17] = 2, 1
    >>> distances = torch.from_numpy(ray_distances(labels))
    >>> probability = torch.from_numpy(depth_inside(labels))
    >>> int(suppressed(probability, distances, least_probability=0.5, most_covered=0.4).max())
    2
    """
    highest = functional.max_pool2d(probability[None, None], 3, stride=1, padding=1)[0, 0]
    y, x = ((probability >= highest) & (probability > least_probability)).nonzero(as_tuple=True)
    order = probability[y, x].argsort(descending=True, stable=True)
    y, x = y[order], x[order]
    lengths = (unit_px * distances_px[:, y, x]).clamp(min=LEAST_DISTANCE_PX).T.numpy()
    return _drawn(np.stack([y.numpy(), x.numpy()], axis=1), lengths, tuple(probability.shape), most_covered)


def _drawn(
    middles: NDArray[np.int64], lengths: NDArray[np.float32], shape: tuple[int, ...], most_covered: float
) -> Labels:
    r"""Draw polygons, one after the other, each with corners at `lengths` (rays) from its middle.

    Seen from the middle, a pixel lies between two rays, and is inside if it lies on the near side of the edge between
    their corners: :math:`n_k \cdot p \le 1`, with one vector :math:`n_k` for each edge, and one table for all polygons
    of which two rays those are.
    """
    corners = lengths[..., None] * _directions()
    edges = np.roll(corners, -1, axis=1) - corners
    across = np.stack([edges[..., 1], -edges[..., 0]], axis=-1)
    across /= (corners * across).sum(axis=-1, keepdims=True)
    reach = math.ceil(lengths.max(initial=0))
    steps = np.arange(-reach, reach + 1, dtype=np.float32)
    sector = np.floor(np.arctan2(steps[:, None], steps) * RAYS / (2 * math.pi)).astype(np.int64) % RAYS
    last = np.array(shape) - 1
    lows = np.maximum(middles + np.floor(corners.min(axis=1)).astype(np.int64), 0)
    highs = np.minimum(middles + np.ceil(corners.max(axis=1)).astype(np.int64), last) + 1
    labels, number = np.zeros(shape, dtype=np.int32), 0
    for middle, low, high, normal in zip(middles, lows, highs, across, strict=True):
        rows, columns = (slice(*ends) for ends in zip(low - middle + reach, high - middle + reach, strict=True))
        down, right = normal[sector[rows, columns]].transpose(2, 0, 1)
        inside = down * steps[rows, None] + right * steps[columns] <= 1
        place = labels[low[0] : high[0], low[1] : high[1]]
        free = inside & (place == 0)
        size = max(1, int(np.count_nonzero(inside)))
        if np.count_nonzero(free) >= (1 - most_covered) * size:
            number += 1
            place[free] = number
    return labels


class StarConvex:
    """Depth inside, and distances to the border along rays; for images, not for stacks.

    Examples
    --------
    >>> labels = np.zeros((40, 60), dtype=np.int32)
    >>> labels[np.hypot(*np.ogrid[-20:20, -20:40]) < 12] = 1
    >>> stars = StarConvex()
    >>> targets = stars.targets(labels)
    >>> certain = torch.cat([targets[:1].clamp(0.001, 0.999).logit(), targets[1:]])
    >>> found = stars.objects(certain)
    >>> bool(((found > 0) & (labels > 0)).sum() > 0.9 * ((found > 0) | (labels > 0)).sum())
    True
    """

    choices: tuple[Mapping[str, float], ...] = tuple(
        {"least_probability": probability, "most_covered": covered}
        for probability, covered in product((0.3, 0.4, 0.5, 0.6, 0.7), (0.3, 0.5))
    )

    def maps(self, dimensions: int) -> int:
        """Return 1 for the depth, and 1 for each ray."""
        if dimensions != 2:
            raise ValueError("star-convex polygons are for images, but the training images are stacks: choose flows.")
        return 1 + RAYS

    def targets(self, labels: Labels) -> torch.Tensor:
        """Return depth and distances in tens of pixels, (1 + rays, y, x)."""
        return torch.from_numpy(np.concatenate([depth_inside(labels)[None], ray_distances(labels) / UNIT_PX]))

    def turned(self, targets: torch.Tensor, number: int) -> torch.Tensor:
        """Return the targets with the rays in the order of the turned image."""
        rays = torch.arange(RAYS)
        order = (rays + number % 4 * RAYS // 4) % RAYS
        if number >= 4:
            order = (RAYS // 2 - order) % RAYS
        return torch.cat([targets[:1], targets[1:][order]])

    def loss(self, given: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the cross entropy of the depth, and the error of the distances where that is large."""
        given, depth = given.float(), targets[:, :1]
        crossed = functional.binary_cross_entropy_with_logits(given[:, :1], depth, reduction="none")
        errors = (given[:, 1:] - targets[:, 1:]).abs() * depth
        return crossed.flatten(1).mean(dim=1) + DISTANCE_WEIGHT * errors.flatten(1).mean(dim=1)

    def objects(self, given: torch.Tensor, *, least_probability: float = 0.5, most_covered: float = 0.4) -> Labels:
        """Return the labels: see `suppressed`."""
        return suppressed(
            given[0].sigmoid(),
            given[1:],
            least_probability=least_probability,
            most_covered=most_covered,
            unit_px=UNIT_PX,
        )
