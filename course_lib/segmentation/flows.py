r"""Flows: each pixel of an object points the way to its middle.

Inside each object, heat is produced everywhere alike and lost at the border,

.. math:: -\Delta \varphi = 1 \text{ inside}, \qquad \varphi = 0 \text{ at the border and beyond},

so that the temperature :math:`\varphi` rises from the border to one top in the middle, around bends as well [2]_. The
network learns the direction of its gradient, which is near 1 long everywhere and points away from each border: along
the line where two nuclei touch, the flows of both point apart, many pixels wide. That is evidence which a missing
piece of the line does not destroy. In the manner of Cellpose [1]_, whose heat comes from one pixel in the middle.

To read objects, each pixel of the foreground walks along the flow: pixels that arrive together belong together. A few
steps of one pixel are computed; then each pixel knows its way to another one, and following *that* one's way doubles
the length, so that six doublings make 64 times as many steps.

All of it holds for two and three dimensions alike.

References
----------
.. [1] C. Stringer, T. Wang, M. Michaelos, M. Pachitariu, "Cellpose: a generalist algorithm for cellular segmentation",
   Nature Methods 18, 100-106 (2021), doi:10.1038/s41592-020-01018-x.
.. [2] L. Gorelick et al., "Shape representation and classification using the Poisson equation", IEEE Transactions on
   Pattern Analysis and Machine Intelligence 28, 1991-2005 (2006), doi:10.1109/TPAMI.2006.253.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from course_lib.segmentation._check import Labels

__all__ = ["Flows", "arrivals", "flow", "temperature"]

STEPS, DOUBLINGS = 4, 6
"""Steps of one pixel, and how often their length is then doubled: 256 steps, more than half the largest object."""
LEAST_FLOW = 1e-3
"""A flow that is shorter has no direction."""
MOST_ITERATIONS, ENOUGH = 1000, 1e-3
"""The temperature is solved until its equation holds to a thousandth."""
FLOW_WEIGHT = 2.0


class _Neighbour(NamedTuple):
    """A step along one axis, and where it stays in the object: 1, or 0; 1 also out of the image, into its mirror."""

    axis: int
    shift: int
    same: torch.Tensor

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """Return the neighbour's value for each pixel, 0 where that is not of the object."""
        ends = [0] * (2 * values.ndim)
        ends[2 * (values.ndim - 1 - self.axis) + int(self.shift > 0)] = 1
        mirrored = functional.pad(values[None, None], ends, mode="replicate")[0, 0]
        return self.same * mirrored.narrow(self.axis, int(self.shift > 0), values.shape[self.axis])


def _neighbours(labels: torch.Tensor) -> Iterator[_Neighbour]:
    for axis in range(labels.ndim):
        for shift in (1, -1):
            whole = _Neighbour(axis, shift, torch.ones(()))
            same = (whole.of(labels.double()) == labels) & (labels > 0)
            yield _Neighbour(axis, shift, same.float())


def temperature(labels: Labels) -> torch.Tensor:
    r"""Solve :math:`-\Delta\varphi = 1` in all objects at once, by conjugate gradients.

    Where the image cuts an object, nothing is lost: the object is taken to go on as its mirror image. One that fills
    the image loses nothing anywhere, and has no temperature but 0 everywhere.

    Parameters
    ----------
    labels : numpy.ndarray
        int32, ([z,] y, x).

    Returns
    -------
    torch.Tensor
        float32, in pixels squared, 0 in the background.

    Examples
    --------
    >>> labels = np.zeros((1, 9), dtype=np.int32)
    >>> labels[0, 1:8] = 1
    >>> [round(value, 1) for value in temperature(labels)[0].tolist()]
    [0.0, 3.5, 6.0, 7.5, 8.0, 7.5, 6.0, 3.5, 0.0]
    """
    numbers = torch.from_numpy(labels)
    neighbours = list(_neighbours(numbers))
    inside = (numbers > 0).float()

    def minus_laplacian(values: torch.Tensor) -> torch.Tensor:
        around = torch.zeros_like(values)
        for neighbour in neighbours:
            around += neighbour.of(values)
        return (2 * labels.ndim * values - around) * inside

    warmth, rest, direction = torch.zeros_like(inside), inside.clone(), inside.clone()
    remaining = first = float((rest * rest).sum())
    for _ in range(MOST_ITERATIONS):
        if remaining <= ENOUGH**2 * first:
            break
        changed = minus_laplacian(direction)
        lost = float((direction * changed).sum())
        if lost <= 0:
            break
        length = remaining / lost
        warmth += length * direction
        rest -= length * changed
        former, remaining = remaining, float((rest * rest).sum())
        direction = rest + (remaining / former) * direction
    return warmth


def flow(labels: Labels) -> torch.Tensor:
    """Return the direction to the middle of each object.

    Parameters
    ----------
    labels : numpy.ndarray
        int32, ([z,] y, x).

    Returns
    -------
    torch.Tensor
        Unit vectors, (axes, [z,] y, x), 0 in the background and where the temperature has its top.

    Examples
    --------
    >>> labels = np.zeros((1, 7), dtype=np.int32)
    >>> labels[0, 1:6] = 1
    >>> flow(labels)[1, 0].tolist()
    [0.0, 1.0, 1.0, 0.0, -1.0, -1.0, 0.0]
    """
    warmth = temperature(labels)
    ahead_and_behind = [one.of(warmth) for one in _neighbours(torch.from_numpy(labels))]
    slope = torch.stack([a - b for a, b in zip(ahead_and_behind[::2], ahead_and_behind[1::2], strict=True)])
    slope *= torch.from_numpy(labels > 0)
    length = slope.norm(dim=0)
    flat = length < ENOUGH * length.amax().clamp(min=1e-6)
    return torch.where(flat, 0.0, slope / length.clamp(min=1e-12))


def arrivals(flows: NDArray[np.float32], foreground: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Walk along the flow from each pixel of the foreground.

    Parameters
    ----------
    flows : numpy.ndarray
        (axes, [z,] y, x); only the direction counts: each step is one pixel long.
    foreground : numpy.ndarray
        bool, ([z,] y, x).

    Returns
    -------
    numpy.ndarray
        For each pixel of the foreground, in the order of ``numpy.nonzero``, where it arrives: (axes, pixels).

    Examples
    --------
    >>> labels = np.ones((1, 5), dtype=np.int32)
    >>> flows = np.zeros((2, 1, 5), dtype=np.float32)
    >>> flows[1, 0] = [1, 1, 0, -1, -1]
    >>> arrivals(flows, labels > 0)[1]
    array([2, 2, 2, 2, 2])
    """
    from scipy import ndimage

    start = np.stack(np.nonzero(foreground))
    last = np.array(foreground.shape)[:, None] - 1
    number = np.full(foreground.shape, -1, dtype=np.int64)
    number[tuple(start)] = np.arange(start.shape[1])
    place = start.astype(np.float32)
    for _ in range(STEPS):
        here = [ndimage.map_coordinates(along, place, order=1, mode="nearest") for along in flows]
        place = np.clip(place + here / np.maximum(np.linalg.norm(here, axis=0), LEAST_FLOW), 0, last)
    reached = number[tuple(np.rint(place).astype(np.int64))]
    reached = np.where(reached < 0, np.arange(len(reached)), reached)  # out of the foreground: it stays
    for _ in range(DOUBLINGS):
        reached = reached[reached]
    return start[:, reached]


class Flows:
    """Foreground, and the direction to the middle of its object.

    Examples
    --------
    >>> labels = np.zeros((12, 16), dtype=np.int32)
    >>> labels[2:10, 1:8], labels[2:10, 8:15] = 1, 2
    >>> flows = Flows()
    >>> targets = flows.targets(labels)
    >>> certain = torch.cat([40 * targets[:1] - 20, targets[1:]])
    >>> np.array_equal(flows.objects(certain), labels)
    True
    """

    choices: tuple[Mapping[str, float], ...] = tuple(
        {"least_foreground": foreground, "joined_within_px": joined}
        for foreground, joined in product((0.3, 0.4, 0.5, 0.6, 0.7), (1, 2, 3))
    )

    def maps(self, dimensions: int) -> int:
        """Return 1 for the foreground, and 1 for each axis."""
        return 1 + dimensions

    def targets(self, labels: Labels) -> torch.Tensor:
        """Return foreground and flow, (1 + axes, [z,] y, x)."""
        return torch.cat([torch.from_numpy(labels > 0)[None].float(), flow(labels)])

    def turned(self, targets: torch.Tensor, number: int) -> torch.Tensor:
        """Return the targets with the flow turned like the image."""
        *others, y, x = targets.unbind(0)
        if number >= 4:
            x = -x
        for _ in range(number % 4):
            y, x = -x, y
        return torch.stack([*others, y, x])

    def loss(self, given: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the cross entropy of the foreground, and the squared error of the flow."""
        given = given.float()
        foreground = functional.binary_cross_entropy_with_logits(given[:, :1], targets[:, :1], reduction="none")
        squares = (given[:, 1:] - targets[:, 1:]).square()
        return foreground.flatten(1).mean(dim=1) + FLOW_WEIGHT * squares.flatten(1).mean(dim=1)

    def objects(self, given: torch.Tensor, *, least_foreground: float = 0.5, joined_within_px: float = 2) -> Labels:
        """Return the labels: pixels that arrive at places which touch, when grown a little, belong together."""
        from scipy import ndimage

        foreground = (given[0].sigmoid() > least_foreground).numpy()
        labels = np.zeros(foreground.shape, dtype=np.int32)
        if not foreground.any():
            return labels
        arrived = tuple(arrivals(given[1:].numpy(), foreground))
        middles = np.zeros_like(foreground)
        middles[arrived] = True
        steps = round(joined_within_px)
        grown = ndimage.binary_dilation(middles, iterations=steps) if steps > 0 else middles
        numbers, _ = ndimage.label(grown, np.ones((3,) * foreground.ndim))
        labels[foreground] = numbers[arrived]
        return labels
