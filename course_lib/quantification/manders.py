r"""Manders' coefficients: which share of the light of one channel lies where the other channel is.

.. math:: M_1 = \frac{\sum_{f > t_f,\, s > t_s} f}{\sum_{f > t_f} f}, \qquad
          M_2 = \frac{\sum_{f > t_f,\, s > t_s} s}{\sum_{s > t_s} s}

with the thresholds :math:`t` above which a channel counts as present. Manders et al. [1]_ take 0, in images without
background; then every pixel of noise is presence. With thresholds, light below its own threshold counts in neither
sum, as in JACoP [2]_.

The two shares answer a question of biology (how much of the receptor is in endosomes?), each its own. Both depend on
the thresholds and on the background, so give the same ones for all conditions, or Costes' for each.

Where the second channel covers a share :math:`a` of the region, a first channel scattered at random has
:math:`M_1 = a`: what counts is by how much :math:`M_1` exceeds it.

References
----------
.. [1] E. M. M. Manders, F. J. Verbeek, J. A. Aten, "Measurement of co-localization of objects in dual-colour confocal
   images", Journal of Microscopy 169 (1993) 375.
.. [2] S. Bolte, F. P. Cordelières, "A guided tour into subcellular colocalization analysis in light microscopy",
   Journal of Microscopy 224 (2006) 213.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from course_lib.parameters import Parameter
from course_lib.quantification._channel_pair import chosen_pixels, two_channels
from course_lib.segmentation._check import Array

__all__ = ["Manders", "manders"]

THRESHOLD = Parameter(name="thresholds", default=0.0, meaning="above which a channel is present", minimum=0)


@dataclass(frozen=True)
class Manders:
    """Two shares of light, and what chance alone would give.

    Attributes
    ----------
    first_share : float
        M₁: share of the light of the first channel that lies where the second is present.
    second_share : float
        M₂: share of the light of the second channel that lies where the first is present.
    first_area, second_area : float
        Share of the pixels in which each channel is present. Scattered at random, the first channel would have a
        `first_share` of `second_area`.
    """

    first_share: float
    second_share: float
    first_area: float
    second_area: float


def manders(
    first: torch.Tensor | Array,
    second: torch.Tensor | Array,
    *,
    thresholds: Sequence[float],
    mask: torch.Tensor | Array | None = None,
) -> Manders:
    """Return Manders' coefficients of two channels.

    Parameters
    ----------
    first, second : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Two channels of one field, background subtracted, in any unit.
    thresholds : sequence of float
        Above which the first channel, and above which the second, is present; at least 0. `costes_threshold` finds
        them by itself.
    mask : torch.Tensor or numpy.ndarray of bool, same shape, optional
        The pixels that count, for example those of the cell.

    Returns
    -------
    Manders

    Raises
    ------
    ValueError
        If the shapes differ, values are NaN or infinite, fewer than 3 pixels count, a threshold is negative, or no
        pixel is above one.
    TypeError
        If an argument is no array of real numbers, or the mask is not bool.

    Examples
    --------
    >>> first = np.array([[0.0, 4.0, 6.0, 0.0]])
    >>> second = np.array([[0.0, 0.0, 5.0, 5.0]])
    >>> found = manders(first, second, thresholds=(0, 0))
    >>> found.first_share, found.second_share
    (0.6, 0.5)
    """
    one, other = two_channels(first, second)
    chosen = chosen_pixels(one, mask)
    limits = _two_thresholds(thresholds)
    pixels = (one[chosen], other[chosen])
    present = [channel > limit for channel, limit in zip(pixels, limits, strict=True)]
    for name, channel, limit, where in zip(("first", "second"), pixels, limits, present, strict=True):
        if not where.any():
            raise ValueError(
                f"no pixel of {name} is above its threshold of {limit:g}, the brightest has {channel.max():g}: lower "
                f"the threshold, or subtract less background."
            )
    both = present[0] & present[1]
    shares = [float(channel[both].sum() / channel[where].sum()) for channel, where in zip(pixels, present, strict=True)]
    return Manders(shares[0], shares[1], float(np.mean(present[0])), float(np.mean(present[1])))


def _two_thresholds(thresholds: Sequence[float]) -> tuple[float, float]:
    try:
        first, second = thresholds
    except (TypeError, ValueError):
        raise ValueError(f"thresholds is {thresholds!r}, but must be two numbers, one for each channel.") from None
    for limit in (first, second):
        THRESHOLD.check(limit)
    return float(first), float(second)
