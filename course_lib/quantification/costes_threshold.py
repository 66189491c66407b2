r"""Costes' automatic threshold: the pair of intensities below which two channels no longer rise together.

A straight line through the scatter of the two channels, by orthogonal regression (neither channel is the free one),

.. math:: s = a f + b, \qquad a = \frac{v_s - v_f + \sqrt{(v_s - v_f)^2 + 4 c^2}}{2 c}, \qquad b = \bar s - a \bar f ,

with the variances :math:`v` and the covariance :math:`c`, ties the thresholds of both channels together:
:math:`t_s = a t_f + b`. From the brightest value down, the published method lowers :math:`t_f` until Pearson's
correlation of the pixels *below* (in one channel or the other) is no longer above 0.

Those pixels are :math:`\min(f,\,(s - b)/a) \le t_f`. So the pixels are sorted by that number once, and running sums
give the correlation below every threshold: the answer is exact, where stepping skips values and bisection takes for
granted that the correlation falls evenly.

**Noise.** The threshold answers to noise as well as to structure. In images of few photons the correlation of dim
pixels is lost, the threshold rises, and less counts as colocalized. Use it on images of equal exposure only.

References
----------
S. V. Costes, D. Daelemans, E. H. Cho, Z. Dobbin, G. Pavlakis, S. Lockett, "Automatic and quantitative measurement of
protein-protein colocalization in live cells", Biophysical Journal 86 (2004) 3993.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from course_lib.quantification._channel_pair import chosen_pixels, two_channels
from course_lib.segmentation._check import Array

__all__ = ["CostesThreshold", "costes_threshold"]

ROUNDING = 1e-9
"""Correlations, and differences of intensities over their range, that are 0 but for the last digits."""


@dataclass(frozen=True)
class CostesThreshold:
    """Two thresholds on one line.

    Attributes
    ----------
    first, second : float
        Above both, pixels are colocalized. Where no pixel is uncorrelated, they lie at the dimmest pixel.
    slope, intercept : float
        Of the line: second = slope · first + intercept.
    correlation_below : float
        Pearson's r of the pixels below, not above 0; NaN where they are too few or constant.
    share_above : float
        Share of the pixels above both thresholds.
    """

    first: float
    second: float
    slope: float
    intercept: float
    correlation_below: float
    share_above: float

    @property
    def thresholds(self) -> tuple[float, float]:
        """Both, for `manders`; not below 0, where a threshold has no meaning."""
        return max(self.first, 0.0), max(self.second, 0.0)


def costes_threshold(
    first: torch.Tensor | Array, second: torch.Tensor | Array, *, mask: torch.Tensor | Array | None = None
) -> CostesThreshold:
    """Find the intensities below which two channels are not correlated.

    Parameters
    ----------
    first, second : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Two channels of one field, background subtracted, in any unit.
    mask : torch.Tensor or numpy.ndarray of bool, same shape, optional
        The pixels that count, for example those of the cell.

    Returns
    -------
    CostesThreshold

    Raises
    ------
    ValueError
        If the shapes differ, values are NaN or infinite, fewer than 3 pixels count, or the channels do not rise
        together.
    TypeError
        If an argument is no array of real numbers, or the mask is not bool.

    Examples
    --------
    Noise of 0 to 10 in both channels, and a structure that both share:

    >>> rng = np.random.default_rng(0)
    >>> first, second = rng.uniform(0, 10, (2, 100, 100))
    >>> first[40:60, 40:60] += 50
    >>> second[40:60, 40:60] += 100
    >>> found = costes_threshold(first, second)
    >>> 5 < found.first < 50, round(found.slope, 1), round(found.share_above, 2)
    (True, 2.0, 0.04)
    """
    channels = two_channels(first, second)
    chosen = chosen_pixels(channels[0], mask)
    one, other = (channel[chosen] for channel in channels)
    slope, intercept = _orthogonal_line(one, other)
    below_at = np.minimum(one, (other - intercept) / slope)
    order = np.argsort(below_at, kind="stable")
    limits, correlations = _correlations_below(below_at[order], one[order], other[order])
    not_correlated = np.flatnonzero(~(correlations > ROUNDING))  # NaN, of few or constant pixels, among them
    place = int(not_correlated[-1])
    limit = float(limits[place])
    return CostesThreshold(
        first=limit,
        second=slope * limit + intercept,
        slope=slope,
        intercept=intercept,
        correlation_below=float(correlations[place]),
        share_above=float(np.mean(below_at > limit)),
    )


def _orthogonal_line(one: Array, other: Array) -> tuple[float, float]:
    (first_variance, covariance), (_, second_variance) = np.cov(one, other)
    if not covariance > 1e-12 * math.sqrt(first_variance * second_variance):
        raise ValueError(
            f"first and second have a covariance of {covariance:.3g}, but must rise together to have a threshold: they "
            f"are not colocalized, or one of them is constant."
        )
    apart = second_variance - first_variance
    slope = (apart + math.hypot(apart, 2 * covariance)) / (2 * covariance)
    return float(slope), float(other.mean() - slope * one.mean())


def _correlations_below(limit: Array, one: Array, other: Array) -> tuple[Array, Array]:
    """Return each value of `limit`, which rises, once, and the correlation of all pixels up to it."""
    apart = np.diff(limit) > ROUNDING * (limit[-1] - limit[0])
    last = np.append(np.flatnonzero(apart), len(limit) - 1)
    one, other = one - one[0], other - other[0]
    pixels = last + 1.0
    sums = [np.cumsum(values)[last] for values in (one, other, one**2, other**2, one * other)]
    covariance = sums[4] - sums[0] * sums[1] / pixels
    squares = (sums[2] - sums[0] ** 2 / pixels) * (sums[3] - sums[1] ** 2 / pixels)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(pixels > 2, covariance / np.sqrt(squares), np.nan)
    return limit[last], correlation
