r"""Photon transfer: the gain of a camera from pairs of flat frames.

With :math:`e` electrons a pixel holds :math:`e/g` ADU above the offset, and its variance over frames is

.. math:: \sigma^2 = \frac{e + R^2}{g^2} + \frac1{12} = \frac{\mu - o}{g} + \frac{R^2}{g^2} + \frac1{12},

a straight line in the signal :math:`\mu - o` with slope :math:`1/g` (:math:`F^2/g` with EM gain, and then
:math:`g` and :math:`R` are those of the input). The 1/12 of rounding holds where the noise exceeds half an ADU.
The variance over the *pixels* of one frame would add the fixed pattern :math:`(\mathrm{PRNU}\cdot(\mu - o))^2`;
the difference of two frames of the same level does not contain it:

.. math:: \sigma^2 = \tfrac12 \operatorname{var}(a - b).

References
----------
J. R. Janesick, *Photon Transfer*, SPIE Press 2007. EMVA Standard 1288, section 6.6.
"""

from dataclasses import dataclass

import torch

from course_lib.axes import check_spatial
from course_lib.noise.line import ROUNDING_VARIANCE, check_excess_noise, fit_transfer

__all__ = ["PhotonTransfer", "photon_transfer"]


@dataclass(frozen=True)
class PhotonTransfer:
    """The measured curve and what follows from it.

    Attributes
    ----------
    signal_adu, variance_adu2 : torch.Tensor
        Mean above the offset and temporal variance of each level, shape (levels,).
    frame_variance_adu2 : torch.Tensor
        Variance over the pixels of single frames, which contains the fixed pattern, shape (levels,).
    linear : torch.Tensor
        Which levels the fit used: up to 70 % of the signal at which the variance is largest.
    gain_e_per_adu, gain_standard_error : float
        Gain and its standard error.
    offset_adu, read_noise_e, read_noise_standard_error : float
        From the dark pair. Where its noise is below half an ADU, rounding hides the read noise, and the error
        is half an ADU.
    fixed_pattern : float
        PRNU, the relative standard deviation of the pixels' response, at the brightest level of the fit and
        without the pattern that the dark frames have.
    brightest_level_e : float
        The level at which the variance is largest, in electrons: saturation lies between it and the next.
    """

    signal_adu: torch.Tensor
    variance_adu2: torch.Tensor
    frame_variance_adu2: torch.Tensor
    linear: torch.Tensor
    gain_e_per_adu: float
    gain_standard_error: float
    offset_adu: float
    read_noise_e: float
    read_noise_standard_error: float
    fixed_pattern: float
    brightest_level_e: float


def photon_transfer(
    pairs: torch.Tensor, dark_pair: torch.Tensor, *, excess_noise_factor: float = 1.0
) -> PhotonTransfer:
    """Measure gain, offset, read noise and PRNU.

    Parameters
    ----------
    pairs : torch.Tensor
        Two frames of the same evenly lit field at each of several levels, ADU, shape (levels, 2, Y, X).
    dark_pair : torch.Tensor
        Two frames with the shutter closed and the same exposure, shape (2, Y, X).
    excess_noise_factor : float
        :math:`F^2`: 1, or 2 for an EMCCD.

    Returns
    -------
    PhotonTransfer

    Raises
    ------
    ValueError
        If the shapes do not fit, values are NaN, fewer than two levels are below saturation, or the
        variance does not grow with the signal.

    Examples
    --------
    >>> from course_lib.noise import Camera
    >>> camera = Camera(gain_e_per_adu=0.5, read_noise_e=2.0)
    >>> levels = torch.logspace(0.5, 4, 12)[:, None, None, None].expand(-1, 2, 128, 128)
    >>> pairs, dark_pair = camera.capture(levels, rng=0), camera.capture(0 * levels[0], rng=1)
    >>> curve = photon_transfer(pairs, dark_pair)
    >>> round(curve.gain_e_per_adu, 2), round(curve.read_noise_e, 1)
    (0.5, 2.0)
    """
    check_spatial(pairs, 4, name="pairs")
    check_spatial(dark_pair, 3, name="dark_pair")
    if pairs.shape[1] != 2 or dark_pair.shape != pairs.shape[1:]:
        raise ValueError(
            f"pairs has shape {tuple(pairs.shape)} and dark_pair {tuple(dark_pair.shape)}, but they must be "
            f"(levels, 2, Y, X) and (2, Y, X): stack two frames of each level."
        )
    pixels = pairs.shape[-1] * pairs.shape[-2]
    if pixels < 64:
        raise ValueError(f"the frames have {pixels} pixels, but a variance needs at least 64: use a larger region.")
    check_excess_noise(excess_noise_factor)
    offset = float(dark_pair.double().mean())
    dark_variance = float(_pair_variance(dark_pair))
    signal = pairs.double().mean(dim=(1, 2, 3)) - offset
    variance = _pair_variance(pairs)
    frame_variance = pairs.double().var(dim=(-2, -1)).mean(dim=-1)

    brightest = signal[variance.argmax()]
    linear = (signal > 0) & (signal <= 0.7 * brightest)
    if variance.argmax() == signal.argmax():  # no level saturates
        linear = signal > 0
    if int(linear.sum()) < 2:
        raise ValueError(
            f"only {int(linear.sum())} level is in the linear range, up to {0.7 * float(brightest):g} ADU "
            f"above the offset, but the fit needs 2: add dimmer levels."
        )
    relative_error = torch.full_like(variance, (2 / (pixels - 1)) ** 0.5)
    line = fit_transfer(signal[linear], variance[linear], relative_error[linear])
    if not line.slope > 0:
        raise ValueError(
            f"the variance falls with the signal (slope {line.slope:.3g} ADU), so no gain follows: check "
            f"that the frames are raw, neither averaged nor filtered, and sorted into levels."
        )
    gain = excess_noise_factor / line.slope
    read_noise = gain * max(dark_variance - ROUNDING_VARIANCE, 0.0) ** 0.5
    read_noise_error = gain * 0.5
    if dark_variance > 0.25:  # below, rounding hides the read noise
        read_noise_error = gain * dark_variance / (pixels - 1) ** 0.5 / (2 * (dark_variance - ROUNDING_VARIANCE)) ** 0.5
    top = signal.where(linear, signal.min()).argmax()
    dark_pattern = float(dark_pair.double().var(dim=(-2, -1)).mean()) - dark_variance
    pattern = max(float(frame_variance[top] - variance[top]) - dark_pattern, 0.0) ** 0.5
    return PhotonTransfer(
        signal_adu=signal.float(),
        variance_adu2=variance.float(),
        frame_variance_adu2=frame_variance.float(),
        linear=linear,
        gain_e_per_adu=gain,
        gain_standard_error=gain * line.slope_standard_error / line.slope,
        offset_adu=offset,
        read_noise_e=read_noise,
        read_noise_standard_error=read_noise_error,
        fixed_pattern=pattern / float(signal[top]),
        brightest_level_e=float(brightest) * gain,
    )


def _pair_variance(pairs: torch.Tensor) -> torch.Tensor:
    """Half the variance of the difference, over the pixels: temporal noise without the fixed pattern."""
    return (pairs[..., 0, :, :].double() - pairs[..., 1, :, :].double()).var(dim=(-2, -1)) / 2
