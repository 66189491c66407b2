r"""The light that is there without the object: out of focus, from the medium, from the camera's offset.

An object of :math:`A` pixels on a background :math:`b` has the sum :math:`S + A\,b`. An error :math:`\delta` of the
background becomes an error :math:`A\,\delta` of the sum, the same in each pixel, so that it does not average out. Three
tools, from the simplest on:

* `estimate_background`: **one number** with its standard error, from the pixels that belong to no object and do not lie
  in the glow around one.
* `background_map`: a **slowly varying** background, which averages those pixels in a wide window around each place,

  .. math:: b(x) = \frac{\int w(x - x')\,u(x')\,g(x')\,\mathrm dx'}{\int w(x - x')\,u(x')\,\mathrm dx'} ,

  with the Gaussian :math:`w`, and :math:`u` 1 where there is no object. An average is right in the mean, at any number
  of photons.
* `subtract_background`: where **no labels** are known yet, a morphological opening (white top-hat): what is narrower
  than the window counts as object. It takes minima, and minima follow the noise downwards; so the image is smoothed
  before. A little of the noise's pull stays: use it to find objects, and one of the others to measure them.

None of them clips at 0: the noise of an empty place is as often below its mean as above it, and a clipped image has
light where there is none.

**Why not the median of the pixels?** In counts of photons it is a whole number: with a mean of 0.6, the median is 0 or
1. Here the free pixels are divided into small blocks of equally many, in crowded fields as well, and the number is the
mean of the blocks' means. Blocks that are far off their median, where an object was overlooked, do not count.

**The standard error** is that of the mean over the field. It has two sources, and the larger one counts: the spread
between blocks, and that between nine parts of the field (eight of a stack), which sees slow variations: haze, a slope.
With haze as wide as such a part it is still too small, by up to a factor of two. Nor is it the error at one place:
where the background varies, it is off by more at each single object, and one number is not enough. Take
`background_map` then, which has no error of its own: `measure` counts it as known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from course_lib.quantification._correction import ImageT, like
from course_lib.segmentation._check import (
    Array,
    Mask,
    check_image,
    check_labels,
    check_length,
    check_same_shape,
    check_voxel_size,
)

__all__ = ["Background", "background_map", "estimate_background", "subtract_background"]

TILE_PX = 16
PIXELS_OF_A_BLOCK = TILE_PX**2
FEWEST_BLOCKS = 20
FEWEST_MEANS_WITHIN_SPREAD = 5
"""Below, blocks have a few counts only: their distribution is skewed and has steps."""
SPREAD_OVER_MAD = 1.4826
FARTHEST_IN_SPREADS = 4.0
PARTS_OF_AN_AXIS = {2: 3, 3: 2}
"""Into how many parts each axis is divided, by the number of axes."""
SMOOTHING = 0.25
"""Standard deviation of the smoothing over the radius."""
LEAST_WEIGHT = 0.01


@dataclass(frozen=True)
class Background:
    """One number for the background.

    Attributes
    ----------
    level : float
        In the unit of the image; with the camera's offset, where the image has it.
    standard_error : float
        Of the mean over the field, from the spread between blocks and between parts of the image. Of the background at
        one place only if it is uniform.
    share : float
        Share of the image that it was taken from.
    """

    level: float
    standard_error: float
    share: float


def estimate_background(
    image: torch.Tensor | Array,
    labels: torch.Tensor | Array,
    *,
    voxel_size_um: Sequence[float],
    margin_um: float = 1.0,
) -> Background:
    """Estimate a background that is uniform, or its mean over the field, from the pixels outside of all objects.

    Parameters
    ----------
    image : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Raw, in any unit.
    labels : torch.Tensor or numpy.ndarray of int, same shape
        0 background, objects above.
    voxel_size_um : sequence of float
        ([z,] y, x) in µm.
    margin_um : float
        Around each object, what is so close is left out: a few widths of the point-spread function.

    Returns
    -------
    Background

    Raises
    ------
    ValueError
        If shapes differ, values are NaN or infinite, or fewer than 20 pixels are left outside.
    TypeError
        If image or labels are not arrays of numbers, the labels of whole ones.

    Examples
    --------
    >>> image = torch.poisson(torch.full((128, 128), 0.6), generator=torch.Generator().manual_seed(0))
    >>> labels = torch.zeros(128, 128, dtype=torch.int32)
    >>> found = estimate_background(image, labels, voxel_size_um=(0.1, 0.1))
    >>> print(f"{found.level:.2f} ± {found.standard_error:.2f}")
    0.61 ± 0.01
    """
    values, free = _free_pixels(image, labels, voxel_size_um=voxel_size_um, margin_um=margin_um)
    number = int(free.sum())
    if number < FEWEST_BLOCKS:
        raise ValueError(
            f"{number} pixels lie outside of all objects and their margins, but the background needs at least "
            f"{FEWEST_BLOCKS}: lower margin_um, or record an empty field."
        )
    means, part = _blocks(values, free)
    kept = _not_far_off(means)
    level, standard_error = _mean_and_error(means[kept], part[kept])
    return Background(level, standard_error, float(free.mean()))


def background_map(
    image: ImageT,
    labels: torch.Tensor | Array,
    *,
    width_um: float,
    voxel_size_um: Sequence[float],
    margin_um: float = 1.0,
) -> ImageT:
    """Estimate a background that varies slowly, from the pixels outside of all objects.

    Parameters
    ----------
    image : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Raw, in any unit.
    labels : torch.Tensor or numpy.ndarray of int, same shape
        0 background, objects above.
    width_um : float
        Standard deviation of the window, about the diameter of the objects or more. In a stack, planes have each their
        own background.
    voxel_size_um : sequence of float
        ([z,] y, x) in µm.
    margin_um : float
        Around each object, what is so close is left out.

    Returns
    -------
    torch.Tensor or numpy.ndarray, as the image
        Background in each pixel: subtract it, or give it to `measure`, whose standard errors take it as known.

    Raises
    ------
    ValueError
        If shapes differ, values are NaN or infinite, or some place has no background in its window.
    TypeError
        If image or labels are not arrays of numbers, the labels of whole ones.

    Examples
    --------
    >>> slope = np.tile(np.linspace(10.0, 20.0, 100), (50, 1))
    >>> cell = np.zeros((50, 100), np.int32)
    >>> cell[20:30, 45:55] = 1
    >>> found = background_map(slope + 80 * cell, cell, width_um=5, voxel_size_um=(1, 1))
    >>> found[25, [30, 50, 70]].round(1)
    array([13. , 15.1, 17.1])
    """
    from scipy import ndimage

    values, free = _free_pixels(image, labels, voxel_size_um=voxel_size_um, margin_um=margin_um)
    width_um = check_length(width_um, name="width_um", meaning="standard deviation of the window")
    sigmas = [0.0] * (values.ndim - 2) + [width_um / size for size in voxel_size_um[-2:]]
    weight = ndimage.gaussian_filter(free.astype(float), sigmas, mode="constant")
    inside = ndimage.gaussian_filter(np.ones(values.shape[-2:]), sigmas[-2:], mode="constant")
    if (weight < LEAST_WEIGHT * inside).any():
        raise ValueError(
            f"some places have objects only within width_um of {width_um:g} µm: raise it above the size of the largest "
            f"cluster of objects, or use estimate_background, which is one number."
        )
    total = ndimage.gaussian_filter(np.where(free, values, 0.0), sigmas, mode="constant", output=float)
    return like(image, total / weight)


def subtract_background(image: ImageT, *, radius_um: float, voxel_size_um: Sequence[float]) -> ImageT:
    r"""Take off what is wider than a window, by a smoothed top-hat: for finding objects, before there are labels.

    Parameters
    ----------
    image : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        In any unit. A stack is treated plane by plane.
    radius_um : float
        Half the side of the window in y and x, at least the diameter of the largest object: half of that would remove
        objects that touch one another.
    voxel_size_um : sequence of float
        ([z,] y, x) in µm.

    Returns
    -------
    torch.Tensor or numpy.ndarray, as the image
        Image without background, negative in places, because of noise.

    Raises
    ------
    ValueError
        If values are NaN or infinite, or a number is out of range.
    TypeError
        If the image is not an array of numbers.

    Notes
    -----
    With noise of standard deviation σ in each pixel, the background comes out too low by up to about
    :math:`\sigma / s`, where :math:`s` is the smoothing, a quarter of the radius in pixels.

    Examples
    --------
    >>> slope = np.tile(np.linspace(10.0, 20.0, 100), (50, 1))
    >>> slope[24:27, 49:52] += 80
    >>> left = subtract_background(slope, radius_um=8, voxel_size_um=(1, 1))
    >>> bool(left[25, 50] > 75), bool(abs(left[25, 20]) < 1)
    (True, True)
    """
    from scipy import ndimage

    values = check_image(image)
    sizes = check_voxel_size(voxel_size_um, values.ndim)
    radius_um = check_length(radius_um, name="radius_um", meaning="half the side of the window")
    radii = np.zeros(values.ndim)
    radii[-2:] = radius_um / np.array(sizes[-2:])
    smooth = ndimage.gaussian_filter(values, SMOOTHING * radii, mode="nearest")
    window = 2 * np.ceil(radii).astype(int) + 1
    return like(image, values - ndimage.grey_opening(smooth, size=window, mode="nearest"))


def _free_pixels(
    image: torch.Tensor | Array, labels: torch.Tensor | Array, *, voxel_size_um: Sequence[float], margin_um: float
) -> tuple[Array, Mask]:
    """Return the image, and where it lies farther from all objects than the margin."""
    from scipy import ndimage

    values, objects = check_image(image), check_labels(labels)
    check_same_shape(objects, values, name="labels", other_name="image")
    sizes = check_voxel_size(voxel_size_um, values.ndim)
    if margin_um != 0:
        margin_um = check_length(margin_um, name="margin_um", meaning="left out around each object")
    if margin_um == 0 or not objects.any():
        return values, objects == 0
    return values, ndimage.distance_transform_edt(objects == 0, sampling=sizes) > margin_um


def _blocks(values: Array, free: Mask) -> tuple[Array, Array]:
    """Return the means of compact blocks of equally many free pixels, and the part of the field that each lies in.

    Blocks grow until their means are not coarse, as those of very few counts are.
    """
    pixels, part = _in_order_of_place(values, free)
    size = max(1, min(PIXELS_OF_A_BLOCK, len(pixels) // FEWEST_BLOCKS))
    while True:
        edges = np.arange(len(pixels) // size + 1) * len(pixels) // (len(pixels) // size)
        means = np.add.reduceat(pixels, edges[:-1]) / np.diff(edges)
        if len(pixels) // (2 * size) < FEWEST_BLOCKS or not _coarse(means):
            return means, part[(edges[:-1] + edges[1:]) // 2]
        size *= 2


def _in_order_of_place(values: Array, free: Mask) -> tuple[Array, Array]:
    """Return the free pixels and their part of the field, sorted by part, and within it by small square tiles."""
    part = tile = np.zeros((1,) * values.ndim, np.int64)
    for axis, length in enumerate(values.shape):
        along = np.arange(length).reshape([-1 if other == axis else 1 for other in range(values.ndim)])
        parts, side = PARTS_OF_AN_AXIS[values.ndim], TILE_PX if axis >= values.ndim - 2 else 1
        part = part * parts + along * parts // length
        tile = tile * (length // side + 1) + along // side
    order = np.argsort((part * (int(tile.max()) + 1) + tile)[free], kind="stable")
    return values[free][order].astype(float), part[free][order]


def _coarse(means: Array) -> bool:
    middle, spread = _middle_and_spread(means)
    near = means[np.abs(means - middle) <= spread]
    return len(np.unique(near.astype(np.float32))) < FEWEST_MEANS_WITHIN_SPREAD


def _middle_and_spread(means: Array) -> tuple[float, float]:
    middle = float(np.median(means))
    return middle, SPREAD_OVER_MAD * float(np.median(np.abs(means - middle)))


def _not_far_off(means: Array) -> Mask:
    """Return which means are near their median, by the spread, or where most are equal by the smallest step."""
    middle, spread = _middle_and_spread(means)
    if spread == 0:
        spread = float(np.diff(np.unique(means)).min(initial=np.inf))
    return np.asarray(np.abs(means - middle) <= FARTHEST_IN_SPREADS * spread)


def _mean_and_error(means: Array, part: Array) -> tuple[float, float]:
    """Return the mean, and its error from the variance of blocks or the one between parts of the field."""
    level, variance = float(means.mean()), float(means.var(ddof=1))
    number = np.bincount(part)
    there = number > 0
    of_parts = np.bincount(part, means)[there] / number[there]
    if len(of_parts) > 1:
        between = float((number[there] * (of_parts - level) ** 2).sum()) / (len(of_parts) - 1)
        variance = max(variance, between)
    return level, (variance / len(means)) ** 0.5
