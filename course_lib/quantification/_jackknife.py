"""Means and covariances of channels over a region, and over the region without each of its blocks (jackknife)."""

import math
from collections.abc import Sequence

import numpy as np

from course_lib.segmentation._check import Array, Mask

__all__ = ["blocks_of", "jackknife_error", "means_and_covariances"]

BLOCKS_ALONG = 8
"""Blocks along y and x."""


def blocks_of(mask: Mask) -> Array:
    """Return the number of the block in which each pixel of a mask lies, of a grid over its extent in y and x.

    Examples
    --------
    >>> blocks_of(np.ones((1, 16)) > 0)
    array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7])
    """
    y, x = np.nonzero(mask)[-2:]
    row, column = (BLOCKS_ALONG * (at - at.min()) // (np.ptp(at) + 1) for at in (y, x))
    return np.unique(row * BLOCKS_ALONG + column, return_inverse=True)[1]


def means_and_covariances(channels: Sequence[Array], block: Array) -> tuple[Array, Array]:
    """Return the means (1 + blocks, channels) and covariances (1 + blocks, channels, channels) of pixels.

    The first is that of all pixels, the others leave one block out each.

    Examples
    --------
    >>> means, covariances = means_and_covariances([np.array([1.0, 2.0, 6.0, 7.0])], np.array([0, 0, 1, 1]))
    >>> means.ravel(), covariances.ravel().round(2)
    (array([4. , 6.5, 1.5]), array([8.67, 0.5 , 0.5 ]))
    """
    values = np.stack(channels)
    centre = values.mean(axis=1)
    values = values - centre[:, None]  # before squares are taken, so that no digits are lost
    pixels = np.bincount(block).astype(float)
    sums = np.stack([np.bincount(block, one) for one in values], axis=-1)
    products = np.stack([[np.bincount(block, one * other) for other in values] for one in values])
    products = np.moveaxis(products, -1, 0)
    number, first, second = (_total_and_without_each(part) for part in (pixels[:, None], sums, products))
    outer = first[:, :, None] * first[:, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        means = centre + first / number
        return means, (second - outer / number[..., None]) / (number[..., None] - 1)


def _total_and_without_each(parts: Array) -> Array:
    total = parts.sum(axis=0)
    return np.concatenate([total[None], total - parts])


def jackknife_error(without_each: Array) -> float:
    """Return the standard error of a number from its values without each block; NaN if those are not all finite.

    Examples
    --------
    >>> round(jackknife_error(np.array([1.5, 2.5, 3.5])), 3)  # of the mean of 2, 4, 6 is 1.155, by the usual formula
    1.155
    """
    count = len(without_each)
    if count < 2:
        return math.nan
    return float(math.sqrt((count - 1) / count) * np.linalg.norm(without_each - without_each.mean()))
