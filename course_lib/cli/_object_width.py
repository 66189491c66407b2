"""Are the objects of an image much larger than those that a network learned from? The image tells, without the network.

A network that meets larger objects than it learned from splits or loses them, and what it finds has the sizes that it
knows. So the width is measured on what is brighter than Otsu's level, which knows nothing of objects: half of that area
lies in pieces at least so wide. Crowded objects, which touch everywhere, pass for larger ones.
"""

import math
from typing import Any

import numpy as np

from course_lib import segmentation

__all__ = ["doubt_of_width", "usual_width_px"]

Array = np.ndarray[Any, Any]

SMOOTHING_PX = 2.0
MOST = 0.7
"""Usual width over that of the largest object learned, from which on objects are split: nuclei_2d found 0.82 of the
nuclei of an image at 0.5, 0.63 at 0.6, 0.27 at 0.7 (average precision at IoU 0.5); nuclei_2d_simulated 0.66 at 0.7."""
MOST_LOOKED_AT_PX = 2048
"""Side of the middle of a plane that is looked at, so that a large one costs little memory."""
SAFE = 0.4
"""To what the remedy brings it."""


def usual_width_px(plane: Array) -> float:
    """Return how wide a usual object of a plane (Y, X) is: in the middle, from edge to edge, in pixels; 0 for none.

    Examples
    --------
    >>> rows, columns = np.ogrid[:100, :100]
    >>> disc = np.hypot(rows - 50, columns - 50) < 20
    >>> abs(usual_width_px(1000 * disc + rows % 3) - 40) < 2
    True
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(plane.astype(np.float64), SMOOTHING_PX)
    if np.isclose(smooth.min(), smooth.max()):
        return 0.0
    above = segmentation.threshold(smooth)
    pieces, count = ndimage.label(above)
    widths = 2 * ndimage.maximum(ndimage.distance_transform_edt(above), pieces, np.arange(1, count + 1))
    areas = np.bincount(pieces.ravel())[1:]
    order = widths.argsort()
    total = areas[order].cumsum()
    return float(widths[order][np.searchsorted(total, total[-1] / 2)])


def doubt_of_width(frames: Array, *, largest_px: int, model: str) -> str:
    """Return a warning if the usual object of frames (T, [Z,] Y, X) is too large for a network; nothing if it is not.

    Parameters
    ----------
    frames : numpy.ndarray
        Of which the plane of the highest contrast is looked at.
    largest_px : int
        Width of the largest object that the network learned from.
    model : str
        Its name.
    """
    rows, columns = (slice(max(0, (side - MOST_LOOKED_AT_PX) // 2), None) for side in frames.shape[-2:])
    planes = frames.reshape(-1, *frames.shape[-2:])[:, rows, columns][:, :MOST_LOOKED_AT_PX, :MOST_LOOKED_AT_PX]
    contrasts = [plane.std(dtype=np.float64) for plane in planes]
    if not 0 < max(contrasts) < math.inf or (width := usual_width_px(planes[np.argmax(contrasts)])) < MOST * largest_px:
        return ""
    factor = max(2, math.ceil(width / (SAFE * largest_px)))
    return (
        f"objects look {width:.0f} pixels wide, and the largest that {model} learned from was {largest_px}: it splits "
        f"such objects, or misses them. Bin the image {factor} × {factor}, and give pixels {factor} times as large; or "
        f"segment with --diameter-um in place of --model; or train on such images (course train-segment). If many "
        f"small objects touch everywhere, look at the outlines instead."
    )
