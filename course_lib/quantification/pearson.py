r"""Pearson's correlation of two channels, and what noise takes away from it.

Over the pixels of a region,

.. math:: r = \frac{\mathrm{cov}(f, s)}{\sqrt{\mathrm{var}(f)\,\mathrm{var}(s)}} .

Noise is independent in the two channels. It adds to the variances and, on average, not to the covariance, so that the
correlation of noisy images is too small (*attenuation*, Spearman 1904):

.. math:: r_\text{observed} = r_\text{true} \sqrt{\rho_f\,\rho_s}, \qquad
          \rho = \frac{\mathrm{var}(\text{signal})}{\mathrm{var}(\text{observed})} ,

with the *reliabilities* :math:`\rho`. At a few photons a pixel they are small, and two images of one and the same
structure seem to have little in common. Two ways lead back:

* from the photon statistics: the variance of shot noise is the mean number of photons, so that the variance of the
  signal is :math:`\mathrm{var}(g) - F^2 \bar g - R^2`, with the read noise :math:`R` and the excess noise
  :math:`F^2` of a detector that multiplies,
* from two frames of a still scene, with nothing known about the camera: noise is independent between frames, and the
  covariance of the frames is the variance of the signal [1]_.

The correction acts on the number, not on the image. A denoised image is no way out: a filter or a network takes away
fine structure with the noise, and the correlation of what is left is that of other images. Nor does the correction undo
bleed-through or blur, which make images alike that are not: it gives the correlation that the same optics would find
without noise.

**Errors.** The standard errors come from a jackknife: the region is divided into blocks, each is left out in turn, and
the spread of the answers counts. They hold for structures smaller than a block.

References
----------
.. [1] J. Adler, S. N. Pagakis, I. Parmryd, "Replicate-based noise corrected correlation for accurate measurements of
   colocalization", Journal of Microscopy 230 (2008) 121.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from course_lib.parameters import Parameter
from course_lib.quantification._channel_pair import chosen_pixels, two_channels
from course_lib.quantification._jackknife import blocks_of, jackknife_error, means_and_covariances
from course_lib.segmentation._check import Array, check_same_shape

__all__ = ["CorrectedPearson", "pearson", "pearson_corrected_for_noise", "pearson_from_repeats"]

LEAST_RELIABILITY = 0.01
NAMES = ("first", "second")
READ_NOISE = Parameter(
    name="read_noise_photons", default=0.0, meaning="standard deviation of the read noise", unit="photons", minimum=0
)

EXCESS_NOISE = Parameter(
    name="excess_noise_factor", default=1.0, meaning="F², variance of multiplied over shot noise", minimum=1, maximum=4
)


@dataclass(frozen=True)
class CorrectedPearson:
    """A correlation before and after the correction.

    Attributes
    ----------
    observed : float
        Pearson's r of the images as they are; of two repeats, of single frames.
    corrected : float
        What it would be without noise. It may lie a little above 1, by chance.
    corrected_error : float
        Standard error of `corrected`, from a jackknife over blocks of the image.
    reliabilities : tuple of float
        Share of the variance of each channel that is signal.
    """

    observed: float
    corrected: float
    corrected_error: float
    reliabilities: tuple[float, float]


def pearson(
    first: torch.Tensor | Array, second: torch.Tensor | Array, *, mask: torch.Tensor | Array | None = None
) -> float:
    """Return Pearson's correlation of two channels.

    Parameters
    ----------
    first, second : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Two channels of one field, in any unit: r does not change with offset and gain.
    mask : torch.Tensor or numpy.ndarray of bool, same shape, optional
        The pixels that count, for example those of the cell. With the empty background, r mostly tells that both
        channels are in the cell.

    Returns
    -------
    float
        From -1 to 1.

    Raises
    ------
    ValueError
        If the shapes differ, values are NaN or infinite, fewer than 3 pixels count, or a channel is constant there.
    TypeError
        If an argument is no array of real numbers, or the mask is not bool.

    Examples
    --------
    >>> round(pearson(np.array([[0.0, 1.0, 2.0]]), np.array([[1.0, 2.0, 9.0]])), 3)
    0.918
    """
    channels = two_channels(first, second)
    chosen = chosen_pixels(channels[0], mask)
    one, other = (_not_constant(channel[chosen], name) for channel, name in zip(channels, NAMES, strict=True))
    _, covariance = means_and_covariances([one, other], np.zeros(len(one), int))
    return _correlation(covariance[0], 0, 1)


def pearson_corrected_for_noise(
    first: torch.Tensor | Array,
    second: torch.Tensor | Array,
    *,
    read_noise_photons: float = 0.0,
    excess_noise_factor: float = 1.0,
    mask: torch.Tensor | Array | None = None,
) -> CorrectedPearson:
    """Correct Pearson's correlation for shot noise and read noise, from the photon statistics.

    Parameters
    ----------
    first, second : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Two channels of one field in *photons*, raw: with the background of light, without the camera's offset, neither
        denoised nor scaled. A camera that detects a share of the photons counts electrons: give those.
    read_noise_photons : float
        Standard deviation of the read noise, in the unit of the channels.
    excess_noise_factor : float
        F², by which a multiplying detector raises the variance of shot noise: 2 for an EMCCD, 1 without
        multiplication, some 1.2 to 1.5 for a photomultiplier.
    mask : torch.Tensor or numpy.ndarray of bool, same shape, optional
        The pixels that count. It must not be drawn by a threshold on the same noisy pixels, which chooses their noise.

    Returns
    -------
    CorrectedPearson

    Raises
    ------
    ValueError
        As `pearson`, if the mean of a channel is negative, or if no more than 1 % of the variance of a channel is
        signal.
    TypeError
        As `pearson`.

    Examples
    --------
    The same structure in both channels, at 5 photons a pixel:

    >>> rng = torch.Generator().manual_seed(0)
    >>> photons = 10 * torch.rand(256, 256, generator=rng)
    >>> first, second = torch.poisson(photons, generator=rng), torch.poisson(photons, generator=rng)
    >>> found = pearson_corrected_for_noise(first, second)
    >>> print(f"{found.observed:.2f}, corrected {found.corrected:.3f} ± {found.corrected_error:.3f}")
    0.62, corrected 0.999 ± 0.004
    """
    READ_NOISE.check(read_noise_photons)
    EXCESS_NOISE.check(excess_noise_factor)
    channels = two_channels(first, second)
    chosen = chosen_pixels(channels[0], mask)
    one, other = (_not_constant(channel[chosen], name) for channel, name in zip(channels, NAMES, strict=True))
    for name, channel in zip(NAMES, (one, other), strict=True):
        if channel.mean() < 0:
            raise ValueError(
                f"the mean of {name} is {channel.mean():.3g}, but photons are at least 0: subtract no more than the "
                f"camera's offset."
            )
    means, covariance = means_and_covariances([one, other], blocks_of(chosen))
    noise = excess_noise_factor * means + read_noise_photons**2
    variance = covariance[:, [0, 1], [0, 1]]
    observed = _correlation(covariance[0], 0, 1)
    return _corrected(observed, covariance[:, 0, 1], variance - noise, variance[0])


def pearson_from_repeats(
    first: torch.Tensor | Array,
    second: torch.Tensor | Array,
    *,
    mask: torch.Tensor | Array | None = None,
) -> CorrectedPearson:
    r"""Correct Pearson's correlation for noise of any kind, from two frames of a still scene.

    .. math:: r = \frac{\mathrm{cov}(f_1, s_2) + \mathrm{cov}(f_2, s_1)}
                       {2 \sqrt{\mathrm{cov}(f_1, f_2)\,\mathrm{cov}(s_1, s_2)}}

    Only covariances between the frames occur, so that noise drops out even if it is common to the two channels.

    Parameters
    ----------
    first, second : torch.Tensor or numpy.ndarray, shape (2, y, x) or (2, z, y, x)
        Two frames of each channel, recorded one after the other, in any unit. Nothing may move or bleach in between;
        a uniform change of brightness does no harm.
    mask : torch.Tensor or numpy.ndarray of bool, shape (y, x) or (z, y, x), optional
        The pixels that count.

    Returns
    -------
    CorrectedPearson

    Raises
    ------
    ValueError
        As `pearson`, if there are not two frames, or if no more than 1 % of the variance of a channel is signal.
    TypeError
        As `pearson`.

    Examples
    --------
    >>> rng = torch.Generator().manual_seed(0)
    >>> photons = 10 * torch.rand(256, 256, generator=rng)
    >>> frames = torch.poisson(photons.expand(4, -1, -1), generator=rng)
    >>> found = pearson_from_repeats(frames[:2], frames[2:])
    >>> print(f"{found.observed:.2f}, corrected {found.corrected:.3f} ± {found.corrected_error:.3f}")
    0.62, corrected 0.999 ± 0.002
    """
    one, other = _two_frames(first, name="first"), _two_frames(second, name="second")
    check_same_shape(one[0], other[0], name="first", other_name="second")
    chosen = chosen_pixels(one[0], mask)
    frames = [
        _not_constant(frame[chosen], name) for name, pair in zip(NAMES, (one, other), strict=True) for frame in pair
    ]
    _, covariance = means_and_covariances(frames, blocks_of(chosen))
    across = (covariance[:, 0, 3] + covariance[:, 1, 2]) / 2
    signal = covariance[:, [0, 2], [1, 3]]
    spread = np.sqrt(np.diagonal(covariance[0]))
    observed = (_correlation(covariance[0], 0, 2) + _correlation(covariance[0], 1, 3)) / 2
    return _corrected(observed, across, signal, np.array([spread[0] * spread[1], spread[2] * spread[3]]))


def _corrected(observed: float, covariance: Array, signal: Array, variance: Array) -> CorrectedPearson:
    """Divide; the first of covariance (1 + blocks) and signal (1 + blocks, 2) is that of all pixels."""
    reliabilities = signal[0] / variance
    for name, reliability in zip(NAMES, reliabilities, strict=True):
        if not reliability > LEAST_RELIABILITY:
            raise ValueError(
                f"{max(reliability, 0):.1%} of the variance of {name} is signal, but the correction needs more than "
                f"{LEAST_RELIABILITY:.0%}: record more photons, or check that the unit is photons and the offset right."
            )
    with np.errstate(invalid="ignore", divide="ignore"):
        answers = covariance / np.sqrt(signal[:, 0] * signal[:, 1])
    return CorrectedPearson(
        observed=observed,
        corrected=float(answers[0]),
        corrected_error=jackknife_error(answers[1:]),
        reliabilities=(float(reliabilities[0]), float(reliabilities[1])),
    )


def _correlation(covariance: Array, i: int, j: int) -> float:
    return float(np.clip(covariance[i, j] / math.sqrt(covariance[i, i] * covariance[j, j]), -1, 1))


def _not_constant(pixels: Array, name: str) -> Array:
    if pixels.min() == pixels.max():
        raise ValueError(
            f"{name} is {pixels[0]:g} in all {len(pixels)} pixels that count, so that it correlates with nothing: "
            f"choose another region."
        )
    return pixels


def _two_frames(channel: torch.Tensor | Array, *, name: str) -> tuple[Array, Array]:
    if getattr(channel, "ndim", 0) not in (3, 4) or len(channel) != 2:
        raise ValueError(
            f"{name} has shape {tuple(getattr(channel, 'shape', ()))}, but must be two frames of one channel, "
            f"(2, y, x) or (2, z, y, x): stack them."
        )
    return two_channels(channel[0], channel[1])
