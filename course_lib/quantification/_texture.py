r"""Texture: how alike neighbouring pixels of an object are.

All pairs of pixels of an object that share a side or a corner within a plane are counted in both orders, as in a
symmetric co-occurrence matrix of Haralick [1]_ over four directions. With :math:`a` and :math:`b` the values of a pair,

* contrast is the mean of :math:`(a - b)^2`,
* correlation is that of Pearson between :math:`a` and :math:`b`,
* entropy is :math:`-\sum p \log_2 p` over the pairs of grey levels, the object's own range cut into 16.

Contrast and correlation are taken from the values themselves, without levels. Along z nothing is compared, because a
step there is longer. In a noisy image all three tell of the noise first: independent noise of variance :math:`\sigma^2`
adds :math:`2\sigma^2` to the contrast.

References
----------
.. [1] R. M. Haralick, K. Shanmugam, I. Dinstein, "Textural features for image classification", IEEE Transactions on
   Systems, Man, and Cybernetics 3 (1973) 610, doi:10.1109/TSMC.1973.4309314.
"""

import numpy as np

from course_lib.quantification._objects import Array, Floats, Integers, Objects

__all__ = ["texture"]

LEVELS = 16
STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))  # (y, x)


def texture(objects: Objects, values: Floats) -> dict[str, Floats]:
    """Return contrast, correlation and entropy of each object; NaN without a pair, correlation also without contrast.

    Parameters
    ----------
    objects : Objects
        The objects.
    values : numpy.ndarray of float64, shape (pixels of objects,)
        Their values, in the order of `Objects.index`.
    """
    first, second = _pairs(objects)
    place = np.repeat(np.arange(objects.count), objects.pixels)[first]
    pairs = np.bincount(place, minlength=objects.count)
    mean = _mean(place, (values[first] + values[second]) / 2, pairs)
    a, b = values[first] - mean[place], values[second] - mean[place]
    variance = _mean(place, (a**2 + b**2) / 2, pairs)
    covariance = _mean(place, a * b, pairs)
    varied = variance > 0
    correlation = np.divide(covariance, variance, out=np.full(objects.count, np.nan), where=varied)
    levels = _levels(objects, values)
    return {
        "contrast": _mean(place, (a - b) ** 2, pairs),
        "correlation": correlation,
        "entropy_bits": _entropy(place, levels[first], levels[second], pairs),
    }


def _pairs(objects: Objects) -> tuple[Integers, Integers]:
    """Return all pairs of neighbouring pixels of the same object, as positions in `Objects.index`."""
    labels = objects.labels
    flat = np.zeros(labels.size, np.int64)
    flat[objects.index] = np.arange(len(objects.index))
    position = flat.reshape(labels.shape)
    found = []
    for down, right in STEPS:
        here = (..., slice(None, -down or None), slice(max(-right, 0), -right if right > 0 else None))
        there = (..., slice(down, None), slice(max(right, 0), right if right < 0 else None))
        same = (labels[here] == labels[there]) & (labels[here] != 0)
        found.append((position[here][same], position[there][same]))
    return np.concatenate([first for first, _ in found]), np.concatenate([second for _, second in found])


def _mean(place: Integers, values: Floats, pairs: Array) -> Floats:
    total = np.bincount(place, weights=values, minlength=len(pairs))
    return np.asarray(np.divide(total, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))


def _levels(objects: Objects, values: Floats) -> Integers:
    """Cut the range of each object into `LEVELS` levels of equal width."""
    if objects.count == 0:
        return np.zeros(0, np.int64)
    low = np.minimum.reduceat(values, objects.first_pixel)
    extent = np.maximum.reduceat(values, objects.first_pixel) - low
    share = (values - np.repeat(low, objects.pixels)) / np.repeat(np.where(extent > 0, extent, 1), objects.pixels)
    return np.asarray(np.minimum((share * LEVELS).astype(np.int64), LEVELS - 1))


def _entropy(place: Integers, first: Integers, second: Integers, pairs: Array) -> Floats:
    """Return the entropy of the pairs of levels of each object in bits."""
    cells = np.bincount((place * LEVELS + first) * LEVELS + second, minlength=len(pairs) * LEVELS**2)
    table = cells.reshape(-1, LEVELS, LEVELS)
    share = (table + table.transpose(0, 2, 1)) / np.maximum(2 * pairs, 1)[:, None, None]
    entropy = -(share * np.log2(share, out=np.zeros_like(share), where=share > 0)).sum(axis=(1, 2))
    return np.where(pairs > 0, entropy, np.nan)
