"""Tools for labels: number objects, fill their holes, choose them by border and size, merge them.

Labels are one whole number a pixel: 0 is background, and all pixels of one object share a number above 0. Which number
it is means nothing, and gaps are usual: an object that was dropped leaves its number free. A table of features that was
made by the same numbers then still belongs to the labels; so the tools here keep the numbers of what they keep. Only
`relabelled` counts anew.

No tool visits objects one by one: what is asked of each object is counted for all at once in one pass over the pixels
(`numpy.bincount`), and the answer is looked up for each pixel by its number.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from course_lib.segmentation._check import Array, Labels, check_labels, check_mask, check_share, check_voxel_size

__all__ = ["connected", "filled", "merged", "of_size", "relabelled", "touching_pairs", "without_border"]


def connected(mask: torch.Tensor | Array) -> Labels:
    """Give each region of a mask a number: pixels that share a side, or voxels that share a face, are one object.

    Pixels that touch at a corner only are two objects, so that a thin dark line parts objects also where it runs
    diagonally.

    Parameters
    ----------
    mask : torch.Tensor or numpy.ndarray of bool, shape (y, x) or (z, y, x)
        What is object.

    Returns
    -------
    numpy.ndarray of int32, shape of the mask
        0 background, objects 1 to n in the order of their first pixels.

    Raises
    ------
    ValueError, TypeError
        If the mask is not bool, empty, or has another number of axes.

    Examples
    --------
    >>> connected(np.array([[True, True, False], [False, False, True]]))
    array([[1, 1, 0],
           [0, 0, 2]], dtype=int32)
    """
    from scipy import ndimage

    labels, _ = ndimage.label(check_mask(mask), output=np.int32)
    return np.asarray(labels, dtype=np.int32)


def relabelled(labels: torch.Tensor | Array) -> Labels:
    """Count the objects anew, from 1 to n without gaps, in the order of their old numbers.

    Parameters
    ----------
    labels : torch.Tensor or numpy.ndarray of int, shape (y, x) or (z, y, x)
        0 background, objects above.

    Returns
    -------
    numpy.ndarray of int32, same shape

    Raises
    ------
    ValueError, TypeError
        If the labels are not whole numbers of at least 0 in 2 or 3 axes, or empty.

    Examples
    --------
    >>> relabelled(np.array([[0, 7, 7, 3, 0, 900]]))
    array([[0, 2, 2, 1, 0, 3]], dtype=int32)
    """
    return _sequential(check_labels(labels))[1]


def filled(labels: torch.Tensor | Array) -> Labels:
    """Fill the holes of each object: background that one object alone encloses.

    Background that reaches the image's border, or lies between two objects, is no hole.

    Parameters
    ----------
    labels : torch.Tensor or numpy.ndarray of int, shape (y, x) or (z, y, x)
        0 background, objects above. In a stack, a hole is closed in depth as well.

    Returns
    -------
    numpy.ndarray of int32, same shape

    Raises
    ------
    ValueError, TypeError
        If the labels are not whole numbers of at least 0 in 2 or 3 axes, or empty.

    Examples
    --------
    >>> filled(np.array([[4, 4, 4, 0], [4, 0, 4, 0], [4, 4, 4, 0]]))
    array([[4, 4, 4, 0],
           [4, 4, 4, 0],
           [4, 4, 4, 0]], dtype=int32)
    """
    objects = check_labels(labels)
    regions = connected(objects == 0)
    count = int(regions.max())
    around, owner = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    for axis in range(objects.ndim):
        for low, high in (_neighbours(axis, objects.ndim), _neighbours(axis, objects.ndim)[::-1]):
            meets = (regions[low] > 0) & (objects[high] > 0)
            around.append(regions[low][meets])
            owner.append(objects[high][meets])
    region, neighbour = np.concatenate(around), np.concatenate(owner)
    lowest, highest = np.full(count + 1, np.iinfo(np.int32).max, np.int32), np.zeros(count + 1, np.int32)
    np.minimum.at(lowest, region, neighbour)
    np.maximum.at(highest, region, neighbour)
    is_hole = lowest == highest
    is_hole[_at_border(regions)] = False
    return np.where(objects == 0, np.where(is_hole, highest, 0)[regions], objects)


def without_border(labels: torch.Tensor | Array, *, axes: str | None = None) -> Labels:
    """Drop objects that touch the image's border: cut objects have no size and no shape.

    What is left has a bias of its own, since a large object touches the border more often than a small one.

    Parameters
    ----------
    labels : torch.Tensor or numpy.ndarray of int, shape (y, x) or (z, y, x)
        0 background, objects above.
    axes : str, optional
        Along which axes a border counts, for example "YX" for a thin stack in which every object is cut in depth; all
        by default.

    Returns
    -------
    numpy.ndarray of int32, same shape
        The other objects with their numbers.

    Raises
    ------
    ValueError, TypeError
        If the labels are not whole numbers of at least 0 in 2 or 3 axes, or empty, or the axes are not theirs.

    Examples
    --------
    >>> without_border(np.array([[0, 0, 0, 0], [0, 2, 0, 5], [0, 0, 0, 5]]))
    array([[0, 0, 0, 0],
           [0, 2, 0, 0],
           [0, 0, 0, 0]], dtype=int32)
    """
    objects = check_labels(labels)
    named = "ZYX"[-objects.ndim :]
    chosen = named if axes is None else axes
    if not isinstance(chosen, str) or not chosen or not set(chosen) <= set(named):
        raise ValueError(f"axes is {axes!r}, but must be letters of {named!r}, or None for all of them.")
    numbers, sequential = _sequential(objects)
    keep = np.ones(len(numbers), np.bool_)
    keep[_at_border(sequential, tuple(named.index(letter) for letter in chosen))] = False
    return np.where(keep[sequential], objects, 0)


def of_size(
    labels: torch.Tensor | Array,
    *,
    voxel_size_um: Sequence[float],
    area_um2: tuple[float, float] | None = None,
    volume_um3: tuple[float, float] | None = None,
) -> Labels:
    """Keep the objects whose area, or in a stack volume, lies within limits.

    Parameters
    ----------
    labels : torch.Tensor or numpy.ndarray of int, shape (y, x) or (z, y, x)
        0 background, objects above.
    voxel_size_um : sequence of float
        (y, x) or (z, y, x) in µm.
    area_um2 : tuple of float, optional
        Lowest and highest area in µm², both allowed, of objects in (y, x). ``(20, math.inf)`` has no upper limit.
    volume_um3 : tuple of float, optional
        Lowest and highest volume in µm³, of objects in (z, y, x).

    Returns
    -------
    numpy.ndarray of int32, same shape
        These objects with their numbers.

    Raises
    ------
    ValueError, TypeError
        If the labels are not whole numbers of at least 0 in 2 or 3 axes, or empty, or a limit is missing, not that of
        these axes, or above the other.

    Examples
    --------
    >>> labels = np.array([[1, 0, 2, 2, 2, 2]])
    >>> of_size(labels, voxel_size_um=(0.5, 0.5), area_um2=(1, math.inf))
    array([[0, 0, 2, 2, 2, 2]], dtype=int32)
    """
    objects = check_labels(labels)
    sizes_um = check_voxel_size(voxel_size_um, objects.ndim)
    names = ("area_um2", "volume_um3") if objects.ndim == 2 else ("volume_um3", "area_um2")
    limits, others = (area_um2, volume_um3) if objects.ndim == 2 else (volume_um3, area_um2)
    if limits is None or others is not None:
        raise ValueError(
            f"labels have {objects.ndim} axes, so that their size is {names[0]}, not {names[1]}: "
            f"give {names[0]}=(lowest, highest)."
        )
    lowest, highest = _check_limits(limits, names[0])
    numbers, sequential = _sequential(objects)
    pixels = np.bincount(sequential.ravel(), minlength=len(numbers))
    unit = math.prod(sizes_um)
    slack = 1e-9 * unit  # a limit of so many pixels includes them, whatever the rounding
    keep = (pixels * unit >= lowest - slack) & (pixels * unit <= highest + slack)
    return np.where(keep[sequential], objects, 0)


def touching_pairs(
    labels: torch.Tensor | Array, *, voxel_size_um: Sequence[float], least_share: float = 0.0
) -> NDArray[np.int32]:
    """Return the pairs of objects with a common border, by how large a share it is of the smaller outline.

    An object cut in two by mistake has a common border as long as the parts are wide; two that merely touch have a
    short one. The share is the border of the two, over the whole outline, or surface, of whichever has the smaller. The
    sides of pixels are counted, so that slanting borders count up to √2 times too long, and the outlines with them.

    Parameters
    ----------
    labels : torch.Tensor or numpy.ndarray of int, shape (y, x) or (z, y, x)
        0 background, objects above.
    voxel_size_um : sequence of float
        (y, x) or (z, y, x) in µm.
    least_share : float
        Only pairs with at least this share, from 0 to 1.

    Returns
    -------
    numpy.ndarray of int32, shape (pairs, 2)
        The lower number first, in ascending order.

    Raises
    ------
    ValueError, TypeError
        If the labels are not whole numbers of at least 0 in 2 or 3 axes, or empty, or the share is out of its limits.

    Notes
    -----
    The image's border counts as outline.

    Examples
    --------
    >>> labels = np.array([[1, 1, 2, 2, 0], [1, 1, 2, 2, 0], [0, 0, 0, 3, 3]])
    >>> touching_pairs(labels, voxel_size_um=(1, 1)).tolist()
    [[1, 2], [2, 3]]
    >>> touching_pairs(labels, voxel_size_um=(1, 1), least_share=0.2).tolist()
    [[1, 2]]
    """
    from scipy import sparse

    objects = check_labels(labels)
    sizes_um = check_voxel_size(voxel_size_um, objects.ndim)
    least_share = check_share(least_share, name="least_share", meaning="common border over the smaller outline")
    numbers, sequential = _sequential(objects)
    padded, count = np.pad(sequential, 1), len(numbers)
    common = sparse.csr_array((count, count))
    for axis in range(objects.ndim):
        low, high = (padded[part] for part in _neighbours(axis, objects.ndim))
        differ = low != high
        face = math.prod(sizes_um) / sizes_um[axis]
        ends = np.minimum(low, high)[differ], np.maximum(low, high)[differ]
        common = common + sparse.coo_array((np.full(len(ends[0]), face), ends), shape=(count, count)).tocsr()
    outline = common.sum(axis=0) + common.sum(axis=1)
    border = sparse.coo_array(common)
    first, second = border.coords
    share = border.data / np.minimum(outline[first], outline[second])
    wanted = (first > 0) & (share >= least_share)
    pairs = np.stack([first[wanted], second[wanted]], axis=1)
    return np.asarray(numbers[pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]], dtype=np.int32)


def merged(labels: torch.Tensor | Array, *, pairs: Array | Sequence[tuple[int, int]]) -> Labels:
    """Make one object of each pair, and of all pairs that hang together.

    Parameters
    ----------
    labels : torch.Tensor or numpy.ndarray of int, shape (y, x) or (z, y, x)
        0 background, objects above.
    pairs : array of int, shape (pairs, 2), or sequence of tuple
        Numbers of two objects each, as `touching_pairs` returns them, or by hand. They need not touch.

    Returns
    -------
    numpy.ndarray of int32, same shape
        A merged object has the lowest number of its parts.

    Raises
    ------
    ValueError, TypeError
        If the labels are not whole numbers of at least 0 in 2 or 3 axes, or empty, or a number of the pairs is none of
        the objects'.

    Examples
    --------
    >>> merged(np.array([[1, 2, 5, 9]]), pairs=[(2, 5), (9, 5)])
    array([[1, 2, 2, 2]], dtype=int32)
    """
    from scipy import sparse
    from scipy.sparse import csgraph

    objects = check_labels(labels)
    numbers, sequential = _sequential(objects)
    joined = np.asarray(pairs)
    if joined.size == 0:
        return objects.copy()
    if joined.ndim != 2 or joined.shape[1] != 2 or joined.dtype.kind not in "iu":
        raise ValueError(
            f"pairs has shape {joined.shape} and dtype {joined.dtype}, but must be whole numbers of shape (pairs, 2): "
            f"for example [(3, 4)]."
        )
    unknown = np.setdiff1d(joined, numbers[1:])
    if len(unknown):
        raise ValueError(f"pairs has the number {unknown[0]}, but no object has it: np.unique(labels) lists them.")
    first, second = np.searchsorted(numbers, joined).T
    graph = sparse.coo_array((np.ones(len(first)), (first, second)), shape=(len(numbers),) * 2)
    _, group = csgraph.connected_components(graph, directed=False)
    lowest = np.full(len(numbers), np.iinfo(np.int32).max, np.int32)
    np.minimum.at(lowest, group, numbers)
    numbers_now: Labels = lowest[group]
    return numbers_now[sequential]


def _sequential(labels: Labels) -> tuple[Labels, Labels]:
    """Return the numbers of background and objects in ascending order, and for each pixel the place in that list."""
    if int(labels.max()) > labels.size:
        numbers = np.union1d(labels, np.int32(0))
        return numbers, np.searchsorted(numbers, labels).astype(np.int32)
    exists = np.bincount(labels.ravel()) > 0
    exists[0] = True
    places = np.cumsum(exists, dtype=np.int32) - np.int32(1)
    return np.flatnonzero(exists).astype(np.int32), places[labels]


def _neighbours(axis: int, dimensions: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the slices of all pixels but the last along an axis, and of all but the first."""
    before = (slice(None),) * axis
    after = (slice(None),) * (dimensions - axis - 1)
    return (*before, slice(None, -1), *after), (*before, slice(1, None), *after)


def _at_border(labels: Labels, axes: tuple[int, ...] | None = None) -> NDArray[np.int32]:
    """Return the numbers, 0 among them, of all that lies in the first or last pixel along the axes."""
    ends = [np.take(labels, [0, -1], axis=axis).ravel() for axis in (range(labels.ndim) if axes is None else axes)]
    return np.unique(np.concatenate(ends))


def _check_limits(limits: tuple[float, float], name: str) -> tuple[float, float]:
    try:
        lowest, highest = (float(limit) for limit in limits)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} is {limits!r}, but must be two numbers: (lowest, highest), for example (20, 400)."
        ) from None
    if not 0 <= lowest <= highest:
        raise ValueError(f"{name} is ({lowest:g}, {highest:g}), but must be (lowest, highest), both at least 0.")
    return lowest, highest
