"""Sums, means, spread, extrema and percentiles of the intensities of each object, for all objects at once.

The pixels of an object lie side by side once they are taken in the order of `Objects.index`. Percentiles need them
sorted: objects of about the same size are put as rows of one array, the shorter ones filled up with infinity, and all
rows are sorted together.
"""

import numpy as np

from course_lib.quantification._objects import Array, Floats, Objects

__all__ = ["percentiles", "values_of"]

PERCENTILES = {"p05": 0.05, "median": 0.5, "p95": 0.95}
MOST_IN_A_BATCH = 2**18


def values_of(objects: Objects, image: Array) -> Floats:
    """Return the values of all pixels of objects, object by object, in float64."""
    values: Floats = image.reshape(-1)[objects.index].astype(np.float64)
    return values


def percentiles(objects: Objects, values: Floats, *, shares: tuple[float, ...]) -> list[Floats]:
    """Return percentiles of the values of each object, with linear interpolation as in numpy.

    Examples
    --------
    >>> from course_lib.quantification._objects import objects_of
    >>> found = objects_of(np.array([[1, 1, 1, 0, 2, 2]]))
    >>> percentiles(found, np.array([5.0, 3.0, 4.0, 1.0, 2.0]), shares=(0.5,))
    [array([4. , 1.5])]
    """
    results = [np.empty(objects.count) for _ in shares]
    by_size = np.argsort(objects.pixels, kind="stable")
    begin = 0
    while begin < objects.count:
        end = _end_of_batch(objects.pixels[by_size], begin)
        chosen = by_size[begin:end]
        table = _sorted_rows(values, objects.first_pixel[chosen], objects.pixels[chosen])
        for result, share in zip(results, shares, strict=True):
            result[chosen] = _between(table, objects.pixels[chosen], share)
        begin = end
    return results


def _end_of_batch(pixels: Array, begin: int) -> int:
    """Return where a batch of ascending sizes ends: at half as large again, or where it has become large."""
    at_size = int(np.searchsorted(pixels, max(1.5 * pixels[begin], 16), side="right"))
    most = max(1, MOST_IN_A_BATCH // int(pixels[at_size - 1]))
    return min(at_size, begin + most)


def _sorted_rows(values: Floats, first: Array, pixels: Array) -> Floats:
    """Return the sorted values of each object as a row, filled up with infinity."""
    column = np.arange(int(pixels.max()))
    inside = column < pixels[:, None]
    table = np.full(inside.shape, np.inf)
    table[inside] = values[(first[:, None] + column)[inside]]
    table.sort(axis=1)
    return table


def _between(table: Floats, pixels: Array, share: float) -> Floats:
    """Interpolate between the two sorted values around a share of each row."""
    rows = np.arange(len(table))
    position = share * (pixels - 1)
    below = position.astype(np.int64)
    above = np.minimum(below + 1, pixels - 1)
    low, high = table[rows, below], table[rows, above]
    return np.asarray(low + (high - low) * (position - below))
