r"""From grey values to a mask: four ways to choose the level above which a pixel is object.

Each is right under its own assumption, and tells nothing when that does not hold.

**Otsu** cuts the histogram into two classes so that the variance between them,
:math:`w_0 w_1 (\mu_1 - \mu_0)^2` with the shares :math:`w` and means :math:`\mu`, is greatest [1]_. The level lies
midway between the two means. It assumes two classes of about the same spread and number: where objects cover a few
percent of the field, or some are ten times as bright as others, it cuts through the bright ones and loses the dim.

**Li** makes the cross entropy between the image and its two-level copy least [2]_; the level obeys
:math:`t = (\mu_1 - \mu_0) / (\ln \mu_1 - \ln \mu_0)`, lower than Otsu's. It keeps dim objects of a mostly dark field,
and takes the blur around bright ones for object as well.

**Triangle** draws a line from the histogram's peak to its far end, and cuts where the histogram lies farthest below it
[3]_. It assumes one dominant peak, the background, and a long tail. If the objects are most of the field, the peak is
theirs; if the background is uneven, its flank is taken for tail.

**Local** asks of each pixel whether it is brighter than its surroundings: than their mean over a window, by an offset.
It follows uneven light and objects of different brightness. It assumes that each window shows object and background
both. Inside objects as large as the window it fails, and leaves a hole; in a window of background alone it cuts
through noise, which is what the offset is for.

None of them knows shape. Two nuclei that touch are one region to all four: that is for `watershed`.

References
----------
.. [1] N. Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on Systems, Man, and
   Cybernetics 9, 62-66 (1979), doi:10.1109/TSMC.1979.4310076.
.. [2] C. H. Li, P. K. S. Tam, "An iterative algorithm for minimum cross entropy thresholding", Pattern Recognition
   Letters 19, 771-776 (1998), doi:10.1016/S0167-8655(98)00057-9.
.. [3] G. W. Zack, W. E. Rogers, S. A. Latt, "Automatic measurement of sister chromatid exchange frequency", Journal of
   Histochemistry & Cytochemistry 25, 741-753 (1977), doi:10.1177/25.7.70454.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch

from course_lib.parameters import Parameter
from course_lib.segmentation._check import Array, Mask, check_image, check_length, check_voxel_size

__all__ = ["threshold", "threshold_level"]

GlobalMethod = Literal["otsu", "li", "triangle"]
Method = Literal["otsu", "li", "triangle", "local"]

OFFSET = Parameter(name="offset", default=0.0, meaning="how much brighter than its surroundings an object is")
ROUNDING = 1e-9  # of the range of values: a flat region is not brighter than its own mean


def threshold_level(image: torch.Tensor | Array, *, method: GlobalMethod = "otsu") -> float:
    """Return the one level that parts objects from background, in the unit of the image.

    Parameters
    ----------
    image : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Grey values in any unit, objects brighter than background.
    method : {"otsu", "li", "triangle"}
        How it is chosen; this module's docstring tells when each fails.

    Returns
    -------
    float
        The level. Object is what is brighter.

    Raises
    ------
    ValueError
        If the image is constant, empty or not finite, has another number of axes, or the method is unknown.
    TypeError
        If the image is no array of numbers.

    Notes
    -----
    Otsu and triangle bin the values into 256 from the darkest to the brightest: one hot pixel a thousand times as
    bright as all others leaves them in one bin. Remove it first.

    Examples
    --------
    >>> image = np.array([[10.0, 11, 12, 50, 51, 52]])
    >>> 12 <= threshold_level(image) < 50
    True
    """
    from skimage import filters

    _check_method(method, get_args(GlobalMethod))
    values, low, extent = _unit_range(check_image(image))
    choose: dict[str, Callable[[Array], Any]] = {
        "otsu": filters.threshold_otsu,
        "li": filters.threshold_li,
        "triangle": filters.threshold_triangle,
    }
    return low + extent * float(choose[method](values.ravel()))


def threshold(
    image: torch.Tensor | Array,
    *,
    method: Method = "otsu",
    window_um: float | None = None,
    offset: float = 0.0,
    voxel_size_um: Sequence[float] | None = None,
) -> Mask:
    """Return which pixels are object: those above one level, or brighter than their surroundings.

    Parameters
    ----------
    image : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Grey values in any unit, objects brighter than background.
    method : {"otsu", "li", "triangle", "local"}
        How the level is chosen; this module's docstring tells when each fails.
    window_um : float, optional
        For "local": side of the window in µm, along every axis, 1.5 to 3 times an object's diameter. At the image's
        border the window sees the image mirrored.
    offset : float
        For "local": how much brighter than the window's mean an object is, in the unit of the image. About twice the
        standard deviation of the noise keeps empty background empty.
    voxel_size_um : sequence of float, optional
        For "local": (y, x) or (z, y, x) in µm.

    Returns
    -------
    numpy.ndarray of bool, shape of the image

    Raises
    ------
    ValueError
        If the image is constant, empty or not finite, has another number of axes, the method is unknown, or window and
        voxel size are missing, not above 0 or given to a method that has no window.
    TypeError
        If the image is no array of numbers.

    Examples
    --------
    A dim and a bright spot: one level for both sees the bright one, the local level both.

    >>> image = torch.zeros(40, 80)
    >>> image[16:24, 16:24], image[16:24, 56:64] = 8.0, 100.0
    >>> mask = threshold(image)
    >>> bool(mask[20, 20]), bool(mask[20, 60])
    (False, True)
    >>> mask = threshold(image, method="local", window_um=4, voxel_size_um=(0.2, 0.2))
    >>> bool(mask[20, 20]), bool(mask[20, 60])
    (True, True)
    """
    from scipy import ndimage

    _check_method(method, get_args(Method))
    if method != "local":
        if window_um is not None or offset != 0:
            raise ValueError(
                f"window_um is {window_um} and offset {offset:g}, but the method {method!r} has one level for the "
                f"whole image: leave them out, or choose method='local'."
            )
        level = threshold_level(image, method=method)
        return np.asarray(check_image(image) > level, dtype=np.bool_)
    values, _, extent = _unit_range(check_image(image))
    if window_um is None or voxel_size_um is None:
        raise ValueError(
            f"window_um is {window_um} and voxel_size_um {voxel_size_um}, but the method 'local' needs both: "
            f"a window of 1.5 to 3 times an object's diameter, and the size of a voxel, in µm."
        )
    side_um = check_length(window_um, name="window_um", meaning="side of the window")
    sizes_um = check_voxel_size(voxel_size_um, values.ndim)
    OFFSET.check(offset)
    sides = [2 * round((side_um / size_um - 1) / 2) + 1 for size_um in sizes_um]
    surroundings = ndimage.uniform_filter(values, [max(1, side) for side in sides])
    return np.asarray(values > surroundings + float(offset) / extent + ROUNDING, dtype=np.bool_)


def _check_method(method: str, known: tuple[str, ...]) -> None:
    if method not in known:
        raise ValueError(f"method is {method!r}, but must be one of {', '.join(map(repr, known))}.")


def _unit_range(image: Array) -> tuple[Array, float, float]:
    """Return the values from 0 to 1 in float64, the lowest of before, and the extent; raise where there is none."""
    values = image.astype(np.float64)
    low = float(values.min())
    extent = float(values.max()) - low
    if extent == 0:
        raise ValueError(
            f"image has the value {low:g} everywhere, so that no level parts object from background: "
            f"leave such a field out, or check how it was read."
        )
    return (values - low) / extent, low, extent
