r"""Bleed-through: light of a dye in the channel of another, and its removal by linear unmixing.

Channel :math:`c` shows :math:`g_c = \sum_d M_{cd} f_d`, with the light :math:`f_d` of dye :math:`d` in its own channel
and the bleed-through :math:`M_{cd}`, 1 on the diagonal. It is measured in samples with one dye each
(`measure_bleed_through`), on the same microscope with the same settings; `course_lib.fluorescence.bleed_through`
predicts it from spectra. Unmixing solves the equations,

.. math:: \hat f = M^{-1} g, \qquad \mathrm{var}(\hat f_d) = \sum_c (M^{-1})_{dc}^2\,\mathrm{var}(g_c) .

It is right in the mean and adds noise: what is subtracted was counted, with its shot noise. Values below 0 are part of
that, and setting them to 0 would add light to the dim places. As unmixing is linear, it may as well be done *after*
measuring: on the sums of each object, in the columns of a table. For a few numbers an object that is quicker, and the
image stays in photons.

References
----------
T. Zimmermann, J. Rietdorf, R. Pepperkok, "Spectral imaging and its applications in live cell microscopy", FEBS Letters
546 (2003) 87.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from course_lib.quantification._correction import values_of
from course_lib.segmentation._check import Array

__all__ = ["measure_bleed_through", "unmix", "unmixed_variance"]

WORST_CONDITION = 1e3


def unmix(
    channels: Mapping[str, torch.Tensor | Array], *, bleed_through: Sequence[Sequence[float]] | torch.Tensor | Array
) -> dict[str, Array]:
    """Remove the bleed-through between channels.

    Parameters
    ----------
    channels : mapping from str to torch.Tensor or numpy.ndarray
        Each channel by its name, all of one shape (any number of axes, so that columns of a table will do), background
        and offset subtracted.
    bleed_through : array, shape (channels, channels)
        Row for channel, column for dye, both in the order of the channels: the light of a dye in each channel over that
        in its own. 1 on the diagonal.

    Returns
    -------
    dict from str to numpy.ndarray
        Light of each dye in its own channel, negative in places.

    Raises
    ------
    ValueError
        If shapes do not fit, values are NaN or infinite, the diagonal is not 1, or the dyes cannot be told apart.
    TypeError
        If a channel is no array of numbers.

    Examples
    --------
    A quarter of the green dye's light is seen in red as well:

    >>> seen = {"green": np.array([100.0, 0.0]), "red": np.array([25.0, 40.0])}
    >>> unmix(seen, bleed_through=[[1, 0], [0.25, 1]])
    {'green': array([100.,   0.]), 'red': array([ 0., 40.])}
    """
    stack, inverse = _stacked(channels), _inverse(bleed_through, len(channels))
    return dict(zip(channels, np.tensordot(inverse, stack, axes=1), strict=True))


def unmixed_variance(
    variances: Mapping[str, torch.Tensor | Array], *, bleed_through: Sequence[Sequence[float]] | torch.Tensor | Array
) -> dict[str, Array]:
    """Return the variance that `unmix` gives, from the variances of the channels.

    Parameters
    ----------
    variances : mapping from str to torch.Tensor or numpy.ndarray
        Variance of each channel, by its name. Of an image in photons it is the mean number of photons before the
        background was subtracted; of a sum of photons, the square of its standard error.
    bleed_through : array, shape (channels, channels)
        As in `unmix`.

    Returns
    -------
    dict from str to numpy.ndarray

    Raises
    ------
    ValueError, TypeError
        As `unmix`, and if a variance is negative.

    Examples
    --------
    >>> seen = {"green": np.array([100.0]), "red": np.array([65.0])}
    >>> unmixed_variance(seen, bleed_through=[[1, 0], [0.25, 1]])
    {'green': array([100.]), 'red': array([71.25])}
    """
    stack, inverse = _stacked(variances), _inverse(bleed_through, len(variances))
    if stack.min() < 0:
        raise ValueError(f"variances go down to {stack.min():.3g}, but must be at least 0: give means, not raw counts.")
    return dict(zip(variances, np.tensordot(inverse**2, stack, axes=1), strict=True))


def measure_bleed_through(
    channels: Mapping[str, torch.Tensor | Array], *, dye: str, mask: torch.Tensor | Array
) -> dict[str, float]:
    """Measure the column of one dye, from a sample that has this dye only.

    Parameters
    ----------
    channels : mapping from str to torch.Tensor or numpy.ndarray
        Each channel by its name, background and offset subtracted.
    dye : str
        The channel to which the dye belongs.
    mask : torch.Tensor or numpy.ndarray of bool, same shape
        What counts: the whole field, or where the dye is, if that is known from another channel or another frame. It
        must not be drawn by a threshold on these noisy pixels of the dye: that chooses those whose noise is bright, and
        only in this channel. At 2 photons a pixel, such a mask finds half of the bleed-through.

    Returns
    -------
    dict from str to float
        Light in each channel over that in the dye's own: the ratio of sums, which noise does not bias as it does a
        fitted slope, where the mask is independent of it.

    Raises
    ------
    ValueError
        If shapes do not fit, values are NaN or infinite, or the dye's channel has no light in the mask.
    TypeError
        If a channel is no array of numbers.

    Examples
    --------
    >>> only_green = {"green": np.array([[90.0, 110.0]]), "red": np.array([[20.0, 30.0]])}
    >>> measure_bleed_through(only_green, dye="green", mask=np.ones((1, 2)) > 0)
    {'green': 1.0, 'red': 0.25}
    """
    stack, where = _stacked(channels), np.asarray(mask)
    if dye not in channels:
        raise ValueError(f"dye is {dye!r}, but must be one of the channels: {', '.join(channels)}.")
    if where.dtype != np.bool_ or where.shape != stack.shape[1:]:
        raise ValueError(
            f"mask has shape {where.shape} and dtype {where.dtype}, but must be bool of shape {stack.shape[1:]}: "
            f"numpy.ones({stack.shape[1:]}, bool) takes the whole field."
        )
    sums = dict(zip(channels, stack[:, where].sum(axis=1).tolist(), strict=True))
    if not sums[dye] > 0:
        raise ValueError(
            f"{dye!r} has a sum of {sums[dye]:.3g} in the mask, but must have light: check mask and background."
        )
    return {name: total / sums[dye] for name, total in sums.items()}


def _stacked(channels: Mapping[str, torch.Tensor | Array]) -> Array:
    """Return the channels as float64, shape (channels, ...)."""
    if not isinstance(channels, Mapping) or not channels:
        raise TypeError(
            f"channels is a {type(channels).__name__}, but must map names to images: {{'green': image, ...}}."
        )
    arrays: list[Array] = []
    for name, channel in channels.items():
        flat = channel if isinstance(channel, torch.Tensor) else np.asarray(channel)
        values = values_of(flat.reshape(1, -1), name=name).reshape(tuple(flat.shape)).astype(float)
        if arrays and values.shape != arrays[0].shape:
            raise ValueError(
                f"{name} has shape {values.shape}, but the channel before {arrays[0].shape}: crop all alike."
            )
        arrays.append(values)
    return np.stack(arrays)


def _inverse(bleed_through: Any, channels: int) -> Array:
    matrix = np.asarray(bleed_through, dtype=float)
    if matrix.shape != (channels, channels):
        raise ValueError(
            f"bleed_through has shape {matrix.shape}, but there are {channels} channels: give a row for each channel "
            f"and a column for each dye."
        )
    if not np.isfinite(matrix).all() or not np.allclose(np.diagonal(matrix), 1):
        raise ValueError(
            f"bleed_through has the diagonal {np.diagonal(matrix).tolist()}, but must be finite with 1 there: divide "
            f"each column by the light of its dye in its own channel."
        )
    if not np.linalg.cond(matrix) < WORST_CONDITION:
        raise ValueError(
            f"bleed_through has a condition of {np.linalg.cond(matrix):.3g}, but above {WORST_CONDITION:g} dyes cannot "
            f"be told apart: choose filters that see them differently."
        )
    return np.asarray(np.linalg.inv(matrix))
