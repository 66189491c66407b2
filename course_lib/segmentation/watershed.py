r"""From a mask to objects: distance transform, seeds and watershed, all in µm.

Two round nuclei that touch make a mask with a waist. For each pixel of a mask :math:`M` let

.. math:: D(x) = \min_{y \notin M} |x - y|

be the distance to the nearest pixel outside, in µm: along :math:`z` a step counts as much as the voxel is high.
:math:`D` rises to a summit in the middle of each nucleus and has a saddle at the waist. Turn it over, let water well up
from each summit, and build a dam where two waters meet [1]_: the dams are the borders of the objects.

Everything depends on the seeds. A dent of an outline makes two summits, and of one object two pieces: that is
*over-segmentation*. So :math:`D` is smoothed, and of summits closer than a share of the diameter only the highest is
kept. Set too far apart, two small nuclei share a seed: *under-segmentation*. The diameter is the one number that the
method must be told, and why it suits fields of one kind of round object, not fields of many sizes or of rods, which are
cut in pieces as long as they are wide.

References
----------
.. [1] S. Beucher, C. Lantuéjoul, "Use of watersheds in contour detection", International Workshop on Image Processing,
   Rennes (1979).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from course_lib.segmentation._check import (
    Array,
    Labels,
    Mask,
    check_image,
    check_labels,
    check_length,
    check_mask,
    check_same_shape,
    check_share,
    check_voxel_size,
)
from course_lib.segmentation.labels import connected, relabelled
from course_lib.segmentation.threshold import threshold, threshold_level

__all__ = ["distance_um", "seeded_watershed", "seeds", "split_touching", "watershed"]

# lengths as shares of the diameter, contrasts as shares of what Otsu's level stands above the background
WINDOW, LOCAL_CONTRAST, LEAST_CONTRAST = 1.5, 0.05, 0.5
SMOOTHING_OF_DISTANCE, SPACING = 0.1, 0.5
SMALLEST = 0.2  # share of the area or volume of a round object of this diameter
FEWEST_PIXELS = 3
CUT_OFF = 3.0  # standard deviations to which a Gaussian is summed


def watershed(
    image: torch.Tensor | Array,
    *,
    diameter_um: float,
    voxel_size_um: Sequence[float],
    mask: torch.Tensor | Array | None = None,
    smoothing: float = 0.03,
    spacing: float = SPACING,
) -> Labels:
    """Segment round bright objects of about one size: smooth, threshold, distance transform, seeds, watershed.

    Object is what is brighter than the mean of its surroundings over 1.5 diameters, and than half of Otsu's level, both
    above the mean background. Holes smaller than a fifth of a round object are filled, and objects as small dropped.

    Parameters
    ----------
    image : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Grey values in any unit, objects brighter than background.
    diameter_um : float
        Diameter of a usual object in µm, at least 3 pixels. The notes tell what a wrong one costs.
    voxel_size_um : sequence of float
        (y, x) or (z, y, x) in µm. Where it is unknown, (1, 1), and the diameter in pixels.
    mask : torch.Tensor or numpy.ndarray of bool, optional
        What is object, of the image's shape. The image is then not thresholded and plays no part.
    smoothing : float
        Standard deviation of the Gaussian before the threshold, over the diameter; 0 leaves the image as it is. 0.06
        suits images of about 10 photons a pixel, 0.1 those of 2.
    spacing : float
        Distance of two seeds over the diameter, at least.

    Returns
    -------
    numpy.ndarray of int32, shape of the image
        0 background, objects 1 to n.

    Raises
    ------
    ValueError
        If the image is constant (and no mask given), empty or not finite, has another number of axes, the mask another
        shape, or a length or share is out of its limits.
    TypeError
        If the image is no array of numbers, or the mask not bool.

    Notes
    -----
    The defaults were chosen on 70 fluorescence images of the 2018 Data Science Bowl (CC0) whose true labels are known,
    with the median diameter of each, by the share TP/(TP + FP + FN) at an IoU of 0.5, 0.7 and 0.8. The image
    ``dsb2018_nuclei_2d``, which the course reports on, is not among them. Averaged over the 70 that share was 0.83,
    0.72 and 0.59; at an IoU of 0.7 it was 0.69 and 0.68 with diameters 20 % too small and too large, 0.59 with 50 % too
    large, and 0.46 with twice the diameter.

    It cannot tell that there is nothing to find: in a field of noise alone it thresholds the noise, and returns
    objects. In a stack the voxel size decides: of ``stardist_nuclei_3d``, whose planes are about twice as far apart as
    its pixels, it gets 0.87 at an IoU of 0.5 with voxels (2, 1, 1), and 0.47 with (1, 1, 1). Outlines of packed nuclei
    are rough: 0.12 at an IoU of 0.7.

    Examples
    --------
    Two discs that touch, 8 µm across:

    >>> y, x = np.mgrid[:60, :100] * 0.25
    >>> image = np.hypot(y - 7, x - 8.5) < 4
    >>> image = (image | (np.hypot(y - 7, x - 16) < 4)).astype(np.float32)
    >>> labels = watershed(image, diameter_um=8, voxel_size_um=(0.25, 0.25))
    >>> int(labels.max()), int(labels[28, 34]), int(labels[28, 64])
    (2, 1, 2)
    """
    values = check_image(image)
    sizes_um = check_voxel_size(voxel_size_um, values.ndim)
    diameter_um = _check_diameter(diameter_um, sizes_um)
    smoothing = check_share(smoothing, name="smoothing", meaning="standard deviation of the Gaussian over the diameter")
    if mask is None:
        objects = _mask(_smoothed(values, smoothing * diameter_um, sizes_um), diameter_um, sizes_um)
    else:
        objects = check_mask(mask)
        check_same_shape(objects, values, name="mask", other_name="image")
    smallest = SMALLEST * _round_size(diameter_um, values.ndim) / math.prod(sizes_um)
    objects = ~_without_specks(~objects, smallest)  # small holes of the mask are specks of its background
    regions = connected(_without_specks(objects, smallest))
    labels = split_touching(regions, diameter_um=diameter_um, voxel_size_um=sizes_um, spacing=spacing)
    sizes = np.bincount(labels.ravel())
    return relabelled(np.where(sizes[labels] >= smallest, labels, 0))


def split_touching(
    labels: torch.Tensor | Array, *, diameter_um: float, voxel_size_um: Sequence[float], spacing: float = SPACING
) -> Labels:
    """Cut each object at its waists: by the watershed of its own distance transform.

    Parameters
    ----------
    labels : torch.Tensor or numpy.ndarray of int, shape (y, x) or (z, y, x)
        0 background, objects above, with gaps or without.
    diameter_um : float
        Diameter of a usual object in µm, at least 3 pixels.
    voxel_size_um : sequence of float
        (y, x) or (z, y, x) in µm.
    spacing : float
        Distance of two seeds over the diameter, at least: what is below one stays one object.

    Returns
    -------
    numpy.ndarray of int32, shape of the labels
        The same foreground. The part with the highest summit keeps the object's number, the others get new ones above
        the highest.

    Raises
    ------
    ValueError, TypeError
        If the labels are not whole numbers of at least 0 in 2 or 3 axes, or a length or share is out of its limits.

    Examples
    --------
    >>> y, x = np.mgrid[:40, :70]
    >>> pair = np.hypot(y - 20, x - 22) < 13
    >>> pair |= np.hypot(y - 20, x - 46) < 13
    >>> np.unique(split_touching(7 * pair.astype(int), diameter_um=26, voxel_size_um=(1, 1)))
    array([0, 7, 8], dtype=int32)
    """
    from scipy import ndimage

    joined = check_labels(labels)
    sizes_um = check_voxel_size(voxel_size_um, joined.ndim)
    diameter_um = _check_diameter(diameter_um, sizes_um)
    spacing = check_share(spacing, name="spacing", meaning="distance of two seeds over the diameter", most=2.0)
    spacing_um = max(spacing * diameter_um, 1e-6)
    sequential = relabelled(joined)
    split, highest = joined.copy(), int(joined.max())
    for number, box in enumerate(ndimage.find_objects(sequential), start=1):
        own, inside = split[box], sequential[box] == number
        height = _height(inside, diameter_um, sizes_um)
        markers = seeds(height, spacing_um=spacing_um, voxel_size_um=sizes_um, mask=inside)
        count = int(markers.max())
        if count > 1:
            parts = seeded_watershed(-height, markers, mask=inside)
            own[parts > 1] = parts[parts > 1] + (highest - 1)
            highest += count - 1
    return split


def distance_um(mask: torch.Tensor | Array, *, voxel_size_um: Sequence[float]) -> Array:
    """Return how far inside the mask each pixel is: its distance to the nearest pixel outside, in µm.

    What lies beyond the image's border is unknown and does not count, unless the mask fills the image, which is then
    taken to end at its border.

    Parameters
    ----------
    mask : torch.Tensor or numpy.ndarray of bool, shape (y, x) or (z, y, x)
        What is object.
    voxel_size_um : sequence of float
        (y, x) or (z, y, x) in µm.

    Returns
    -------
    numpy.ndarray of float64, shape of the mask
        0 outside.

    Raises
    ------
    ValueError, TypeError
        If the mask is not bool in 2 or 3 axes, or a size is missing or not above 0.

    Examples
    --------
    >>> distance_um(np.array([[False, True, True, True]]), voxel_size_um=(1.0, 0.5))
    array([[0. , 0.5, 1. , 1.5]])
    """
    from scipy import ndimage

    objects = check_mask(mask)
    sizes_um = check_voxel_size(voxel_size_um, objects.ndim)
    if not objects.all():
        return np.asarray(ndimage.distance_transform_edt(objects, sampling=sizes_um))
    inner = (slice(1, -1),) * objects.ndim
    return np.asarray(ndimage.distance_transform_edt(np.pad(objects, 1), sampling=sizes_um)[inner])


def seeds(
    height: torch.Tensor | Array,
    *,
    spacing_um: float,
    voxel_size_um: Sequence[float],
    mask: torch.Tensor | Array,
) -> Labels:
    """Return a numbered seed on each summit, of summits closer than the spacing on the highest.

    Parameters
    ----------
    height : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Any map with a summit in each object: a smoothed distance, or a smoothed image.
    spacing_um : float
        Least distance of two seeds in µm.
    voxel_size_um : sequence of float
        (y, x) or (z, y, x) in µm.
    mask : torch.Tensor or numpy.ndarray of bool
        Where seeds may be.

    Returns
    -------
    numpy.ndarray of int32, shape of the height
        0, and at the seeds 1 to n, the highest summit first. At least one, unless the mask is empty.

    Raises
    ------
    ValueError, TypeError
        If the height is not finite, the mask of another shape or not bool, or a length not above 0.

    Examples
    --------
    >>> height = np.array([[0, 2, 0, 3, 0, 0, 0, 1, 0]])
    >>> seeds(height, spacing_um=3, voxel_size_um=(1, 1), mask=height > 0)
    array([[0, 0, 0, 1, 0, 0, 0, 2, 0]], dtype=int32)
    """
    values, allowed = check_image(height, name="height"), check_mask(mask)
    check_same_shape(allowed, values, name="mask", other_name="height")
    values = np.where(allowed, values, -np.inf)
    sizes_um = check_voxel_size(voxel_size_um, values.ndim)
    spacing_um = check_length(spacing_um, name="spacing_um", meaning="least distance of two seeds")
    markers = np.zeros(values.shape, np.int32)
    summits = _summits(values, allowed, spacing_um, sizes_um)
    kept = _apart(summits * np.array(sizes_um), spacing_um)
    markers[tuple(summits[kept].T)] = np.arange(1, len(kept) + 1)
    return markers


def seeded_watershed(
    landscape: torch.Tensor | Array, markers: torch.Tensor | Array, *, mask: torch.Tensor | Array
) -> Labels:
    """Flood a landscape from its markers until the waters meet or reach the end of the mask.

    Parameters
    ----------
    landscape : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Low inside the objects, high at their borders: a negative distance, a negative image, a gradient, or the
        probability of a border as a network gives it.
    markers : torch.Tensor or numpy.ndarray of int, same shape
        0, and a number above 0 in each object.
    mask : torch.Tensor or numpy.ndarray of bool, same shape
        What may be flooded.

    Returns
    -------
    numpy.ndarray of int32, same shape
        The number of the marker whose water came first; 0 outside the mask and in parts of it that no marker reaches.

    Raises
    ------
    ValueError, TypeError
        If the shapes differ, the landscape is not finite, the markers are not whole numbers of at least 0, or the mask
        is not bool.

    Examples
    --------
    >>> landscape = np.array([[0, 1, 2, 9, 1, 0]])
    >>> seeded_watershed(landscape, np.array([[5, 0, 0, 0, 0, 3]]), mask=landscape < 9)
    array([[5, 5, 5, 0, 3, 3]], dtype=int32)
    """
    from skimage import segmentation as skimage_segmentation

    heights, numbers, allowed = check_image(landscape, name="landscape"), check_labels(markers), check_mask(mask)
    check_same_shape(numbers, heights, name="markers", other_name="landscape")
    check_same_shape(allowed, heights, name="mask", other_name="landscape")
    flood: Callable[..., Array] = skimage_segmentation.watershed
    return flood(heights, numbers, mask=allowed).astype(np.int32, copy=False)


def _check_diameter(diameter_um: float, voxel_size_um: tuple[float, ...]) -> float:
    diameter_um = check_length(diameter_um, name="diameter_um", meaning="diameter of a usual object")
    least_um = FEWEST_PIXELS * max(voxel_size_um[-2:])
    if diameter_um < least_um:
        raise ValueError(
            f"diameter_um is {diameter_um:g} µm, but must be at least {FEWEST_PIXELS} pixels, {least_um:g} µm: "
            f"smaller objects have no shape. Check the unit of both sizes, or enlarge the image."
        )
    return diameter_um


def _mask(image: Array, diameter_um: float, voxel_size_um: tuple[float, ...]) -> Mask:
    otsu = threshold_level(image)
    dark = float(image[image <= otsu].mean())
    brighter_than_around = threshold(
        image,
        method="local",
        window_um=WINDOW * diameter_um,
        offset=LOCAL_CONTRAST * (otsu - dark),
        voxel_size_um=voxel_size_um,
    )
    return brighter_than_around & (image > dark + LEAST_CONTRAST * (otsu - dark))


def _smoothed(image: Array, sigma_um: float, voxel_size_um: tuple[float, ...]) -> Array:
    from scipy import ndimage

    sigma = [sigma_um / size_um for size_um in voxel_size_um]
    return np.asarray(ndimage.gaussian_filter(image, sigma, truncate=CUT_OFF))


def _height(inside: Mask, diameter_um: float, voxel_size_um: tuple[float, ...]) -> Array:
    """Return the smoothed distance within one object that fills its box, with nothing but background around it."""
    padded = np.pad(inside, 1)
    smooth = _smoothed(
        distance_um(padded, voxel_size_um=voxel_size_um), SMOOTHING_OF_DISTANCE * diameter_um, voxel_size_um
    )
    return smooth[(slice(1, -1),) * inside.ndim]


def _summits(height: Array, allowed: Mask, spacing_um: float, voxel_size_um: tuple[float, ...]) -> Array:
    """Return the places of local maxima, highest first; a plateau has one."""
    from scipy import ndimage

    inscribed_um = spacing_um / math.sqrt(height.ndim)
    sides = [2 * max(1, int(inscribed_um / size_um)) + 1 for size_um in voxel_size_um]
    highest = (ndimage.maximum_filter(height, sides, mode="constant", cval=-np.inf) == height) & allowed
    plateaus, _ = ndimage.label(highest, np.ones((3,) * height.ndim))
    places = np.argwhere(highest)
    _, first = np.unique(plateaus[highest], return_index=True)
    places = places[first]
    return np.asarray(places[np.argsort(-height[tuple(places.T)], kind="stable")])


def _apart(places_um: Array, spacing_um: float) -> list[int]:
    """Return which places to keep, in their order: each that has none kept before it within the spacing."""
    from scipy.spatial import cKDTree

    if len(places_um) == 0:
        return []
    near = cKDTree(places_um).query_ball_point(places_um, spacing_um)
    free, kept = np.ones(len(places_um), np.bool_), []
    for number, neighbours in enumerate(near):
        if free[number]:
            kept.append(number)
            free[neighbours] = False
    return kept


def _without_specks(mask: Mask, smallest: float) -> Mask:
    """Return the mask without parts of fewer than `smallest` pixels."""
    parts = connected(mask)
    large = np.bincount(parts.ravel()) >= smallest
    large[0] = False
    return np.asarray(large[parts], dtype=np.bool_)


def _round_size(diameter_um: float, dimensions: int) -> float:
    """Return the area of a disc in µm², or the volume of a ball in µm³."""
    return math.pi / 4 * diameter_um**2 if dimensions == 2 else math.pi / 6 * diameter_um**3
