"""The objects of a label image as runs of pixels: what every feature is counted from.

A label is constant over long runs of pixels along x. So an image of millions of pixels is some ten thousand runs, each
a start and a length, and whatever depends on the positions alone (area, centre, moments, bounding box) is a sum over
runs in closed form. Sorted by object, the runs of one object lie side by side, and so do its pixels: a sum, a minimum
or a median over each object is then one over neighbouring numbers (`numpy.ufunc.reduceat`), for all objects at once.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from course_lib.images.image import as_array

__all__ = ["Array", "Floats", "Integers", "Objects", "check_labels", "objects_of"]

Array = NDArray[Any]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PIXELS_OF_A_PART = 2**16
RADIX_LIMIT = 2**16  # numpy sorts up to 16 bits by counting, in linear time


@dataclass(frozen=True, eq=False)
class Objects:
    """Runs of pixels, sorted by object.

    Attributes
    ----------
    labels : numpy.ndarray of int, shape (y, x) or (z, y, x)
        The label image, or a part of it along its first axis.
    first_plane : int
        Where that part begins in the whole image; coordinates count from the beginning of the whole.
    shape : tuple of int
        Shape of the whole image.
    numbers : numpy.ndarray of int64, shape (objects,)
        Label of each object, ascending.
    first_run : numpy.ndarray of int64, shape (objects,)
        Where the runs of each object begin in the arrays of runs.
    place : numpy.ndarray of int64, shape (runs,)
        Which object a run belongs to, an index into `numbers`.
    start, length : numpy.ndarray of int64, shape (runs,)
        First pixel of each run, as an index into the flattened image, and how many there are.
    """

    labels: Array
    first_plane: int
    shape: tuple[int, ...]
    numbers: Integers
    first_run: Integers
    place: Integers
    start: Integers
    length: Integers

    @property
    def count(self) -> int:
        """How many objects there are."""
        return len(self.numbers)

    @cached_property
    def pixels(self) -> Integers:
        """Pixels of each object."""
        return self.sum(self.length)

    @cached_property
    def first_pixel(self) -> Integers:
        """Where the pixels of each object begin in `index`."""
        return np.cumsum(self.pixels) - self.pixels

    @cached_property
    def index(self) -> Integers:
        """Every pixel of an object as an index into the flattened image, object by object, in raster order."""
        if self.count == 0:
            return np.zeros(0, np.int64)
        end = np.cumsum(self.length)
        step = np.ones(int(end[-1]), np.int64)
        step[0] = self.start[0]
        step[end[:-1]] = self.start[1:] - (self.start[:-1] + self.length[:-1] - 1)
        return np.cumsum(step, out=step)

    @cached_property
    def row(self) -> tuple[Integers, ...]:
        """Coordinates of each run along all axes but x."""
        plane, *rest = np.unravel_index(self.start, self.labels.shape)[:-1]
        return plane + self.first_plane, *rest

    @cached_property
    def first_x(self) -> Integers:
        """X of the first pixel of each run."""
        x: Integers = self.start % self.labels.shape[-1]
        return x

    @cached_property
    def lowest(self) -> tuple[Integers, ...]:
        """First pixel of each object along each axis."""
        return tuple(self._least(values) for values in (*self.row, self.first_x))

    @cached_property
    def highest(self) -> tuple[Integers, ...]:
        """Last pixel of each object along each axis."""
        return tuple(-self._least(-values) for values in (*self.row, self.first_x + self.length - 1))

    @cached_property
    def line_start(self) -> Integers:
        """The first run of each line of pixels along x, of each object: an index into the runs."""
        line = self.start // self.labels.shape[-1]
        begins = np.ones(len(line), np.bool_)
        begins[1:] = (line[1:] != line[:-1]) | (self.place[1:] != self.place[:-1])
        return np.flatnonzero(begins)

    def sum(self, per_run: Array) -> Array:
        """Add up a value of each run over the runs of each object."""
        return np.add.reduceat(per_run, self.first_run) if self.count else per_run[:0]

    def sum_of_runs(self, per_pixel: Floats) -> Floats:
        """Add up a value of each pixel, in the order of `index`, over the pixels of each run."""
        return np.add.reduceat(per_pixel, np.cumsum(self.length) - self.length) if self.count else per_pixel[:0]

    def sum_of_pixels(self, per_pixel: Floats) -> Floats:
        """Add up a value of each pixel, in the order of `index`, over the pixels of each object."""
        return np.add.reduceat(per_pixel, self.first_pixel) if self.count else per_pixel[:0]

    def parts(self) -> "list[Objects]":
        """Divide into groups of neighbouring objects whose pixels, in float64, fit a processor's cache."""
        groups = np.cumsum(self.pixels) // PIXELS_OF_A_PART
        ends = [*np.flatnonzero(np.diff(groups)) + 1, self.count]
        return [self._part(first, last) for first, last in zip([0, *ends[:-1]], ends, strict=True)]

    def _part(self, first: int, last: int) -> "Objects":
        bounds = np.append(self.first_run, len(self.start))
        begin, end = int(bounds[first]), int(bounds[last])
        return Objects(
            self.labels,
            self.first_plane,
            self.shape,
            self.numbers[first:last],
            self.first_run[first:last] - begin,
            self.place[begin:end] - first,
            self.start[begin:end],
            self.length[begin:end],
        )

    def place_of(self, numbers: Array) -> Integers:
        """Return the index into `numbers` of labels that exist."""
        if self._lookup is None:
            return np.searchsorted(self.numbers, numbers)
        return self._lookup[numbers]

    @cached_property
    def _lookup(self) -> Integers | None:
        """The place of every label, or None where labels are so large that a table of them is larger than the image."""
        if self.count == 0 or self.numbers[-1] > self.labels.size:
            return None
        table = np.zeros(int(self.numbers[-1]) + 1, np.int64)
        table[self.numbers] = np.arange(self.count)
        return table

    def _least(self, per_run: Integers) -> Integers:
        return np.minimum.reduceat(per_run, self.first_run) if self.count else per_run[:0]


def objects_of(labels: Array, *, first_plane: int = 0, planes: int | None = None) -> Objects:
    """Find the runs of each object.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (y, x) or (z, y, x)
        0 background, objects above, gaps allowed.
    first_plane, planes : int
        Where the labels begin along the first axis of the whole image, and how long that is.

    Raises
    ------
    ValueError
        If a label is negative or above the largest 64-bit integer.

    Examples
    --------
    >>> found = objects_of(np.array([[7, 7, 0, 2], [7, 0, 0, 2]]))
    >>> found.numbers, found.pixels
    (array([2, 7]), array([2, 3]))
    """
    width = labels.shape[-1]
    begins = np.ones((labels.size // width, width), np.bool_)
    lines = labels.reshape(-1, width)
    np.not_equal(lines[:, 1:], lines[:, :-1], out=begins[:, 1:])
    start = np.flatnonzero(begins)
    value = labels.ravel()[start]
    _check_range(value)
    length = np.diff(start, append=labels.size)
    inside = np.flatnonzero(value)
    numbers, place = _numbered(value[inside].astype(np.int64))
    small = place.astype(np.uint16) if len(numbers) <= RADIX_LIMIT else place
    order = np.argsort(small, kind="stable")
    place, inside = place[order], inside[order]
    first_run = np.searchsorted(place, np.arange(len(numbers)))
    shape = (labels.shape[0] if planes is None else planes, *labels.shape[1:])
    return Objects(labels, first_plane, shape, numbers, first_run, place, start[inside], length[inside])


def check_labels(labels: torch.Tensor | Array, *, name: str = "labels") -> Array:
    """Return labels as an array of their own integer type, or raise.

    Examples
    --------
    >>> check_labels(torch.tensor([[0, 7]]))
    array([[0, 7]])
    >>> check_labels(np.zeros((4, 4)))
    Traceback (most recent call last):
    TypeError: labels have dtype float64, but must be whole numbers: labels.astype(np.int32) converts them.
    """
    image = as_array(labels) if isinstance(labels, torch.Tensor) else labels
    if not isinstance(image, np.ndarray):
        raise TypeError(f"{name} are a {type(image).__name__}, but must be an array or a tensor of whole numbers.")
    if image.dtype == np.bool_:
        raise TypeError(
            f"{name} are a mask of True and False, but must number the objects: segmentation.connected({name}) does."
        )
    if image.dtype.kind not in "iu":
        raise TypeError(
            f"{name} have dtype {image.dtype}, but must be whole numbers: {name}.astype(np.int32) converts them."
        )
    if image.ndim not in (2, 3):
        raise ValueError(
            f"{name} have shape {image.shape}, but must be (y, x) or (z, y, x): choose one time and channel, or "
            f"measure_frames for a time series."
        )
    if image.size == 0:
        raise ValueError(f"{name} have shape {image.shape}, without any element: check how they were cropped.")
    return image


def _check_range(value: Array) -> None:
    if value.min() < 0:
        raise ValueError(
            f"labels have a value of {value.min()}, but must be at least 0, the background: set to 0 what is no object."
        )
    if value.max() > np.iinfo(np.int64).max:
        raise ValueError(
            f"labels have a value of {value.max()}, but must be at most {np.iinfo(np.int64).max}: "
            f"segmentation.relabelled numbers them anew."
        )


def _numbered(value: Integers) -> tuple[Integers, Integers]:
    """Return the distinct values in ascending order, and for each value its place among them."""
    if value.size == 0 or int(value.max()) > 16 * value.size + RADIX_LIMIT:
        numbers, place = np.unique(value, return_inverse=True)
        return numbers, place
    exists = np.zeros(int(value.max()) + 1, np.bool_)
    exists[value] = True
    places = np.cumsum(exists) - 1
    return np.flatnonzero(exists), places[value]
