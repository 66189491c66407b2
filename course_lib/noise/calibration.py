r"""Gain, offset and read noise from images of a real scene, when there are no flat frames.

A scene shows many levels at once. Pixels of similar brightness are put into one bin; the variance of each
bin against its mean follows the photon-transfer line

.. math:: \sigma^2 = \frac{F^2\mu}{g} + \Bigl(\frac{R^2}{g^2} + \frac1{12} - \frac{F^2 o}{g}\Bigr).

The slope gives the gain, for an EMCCD (:math:`F^2 = 2`) that of the input, the EM gain included. The 1/12 of
rounding holds where the noise is above half an ADU.

The intercept is one number for two unknowns: with the offset known it gives the read noise, with the read
noise known it gives the offset, and dark frames give both. With none of these the read noise is taken as 0,
and the offset comes out too low by :math:`R^2/g` ADU.

From a *stack* of a still scene the variance is temporal, by differences of successive frames, which cancel
the scene and the fixed pattern; what brightens or dims the whole scene (bleaching, a lamp that flickers) is
fitted and taken out. Pixels are binned by their neighbours' brightness, not by their own, whose noise would
spread the dim bins and flatten the line. Levels beyond a fall of the variance are saturated and left out.

From a *single image* the variance is read off a filter that smooth structure does not pass (a second
difference in both directions), where the scene is flattest. Structure that is finer than about five pixels
still passes and makes the gain too small; the noise must be white (`course_lib.noise.detect_structure`).

References
----------
R. Heintzmann et al., *Calibrating photon counts from a single image*, arXiv:1611.05654.
J. Immerkær, Computer Vision and Image Understanding 64 (1996) 300 (the filter).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch

from course_lib.axes import check_spatial
from course_lib.noise.line import ROUNDING_VARIANCE, Line, check_excess_noise, fit_transfer

__all__ = ["Calibration", "calibrate_image", "calibrate_stack"]

_BINS = 40
_PIXELS_PER_BIN = 50


@dataclass(frozen=True)
class Calibration:
    """Gain, offset and read noise, and how they were found.

    Attributes
    ----------
    gain_e_per_adu, gain_standard_error : float
        Electrons per ADU.
    offset_adu, offset_standard_error : float
        Value of a pixel without light; the error is 0 where it was given, and also where dark frames measured it,
        whose own error is not estimated.
    read_noise_e : float
        Standard deviation of the read-out.
    mean_adu, variance_adu2 : torch.Tensor
        Mean and variance of the bins, shape (bins,), for a plot.
    known : {"dark frames", "offset", "read noise", "nothing"}
        What split the intercept; "nothing" means that the read noise was taken as 0.
    """

    gain_e_per_adu: float
    gain_standard_error: float
    offset_adu: float
    offset_standard_error: float
    read_noise_e: float
    mean_adu: torch.Tensor
    variance_adu2: torch.Tensor
    known: Literal["dark frames", "offset", "read noise", "nothing"]

    def to_electrons(self, adu: torch.Tensor) -> torch.Tensor:
        """Convert ADU to electrons (photons that were detected); dark pixels may come out negative.

        Examples
        --------
        >>> calibration = Calibration(0.5, 0.01, 100.0, 0.0, 1.6, torch.zeros(0), torch.zeros(0), "offset")
        >>> calibration.to_electrons(torch.tensor([100.0, 300.0]))
        tensor([  0., 100.])
        """
        return (adu - self.offset_adu) * self.gain_e_per_adu


def calibrate_stack(
    frames: torch.Tensor,
    *,
    dark_frames: torch.Tensor | None = None,
    offset_adu: float | None = None,
    read_noise_e: float | None = None,
    excess_noise_factor: float = 1.0,
) -> Calibration:
    """Calibrate a camera from repeated frames of a still scene.

    Parameters
    ----------
    frames : torch.Tensor
        Raw frames of one scene, ADU, shape (T, Y, X) with T ≥ 2. Motion adds variance and makes the gain
        too small.
    dark_frames : torch.Tensor, optional
        Frames without light, shape (T, Y, X) with T ≥ 2; they give offset and read noise.
    offset_adu, read_noise_e : float, optional
        What is known of the camera when there are no dark frames; at most one of the three.
    excess_noise_factor : float
        :math:`F^2`: 1, or 2 for an EMCCD; gain and read noise are then those of the input.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        If there are too few frames or levels, more than one thing is known, or the variance does not grow.

    Examples
    --------
    >>> from course_lib.noise import Camera
    >>> scene = torch.linspace(0, 200, 256).expand(8, 256, 256)
    >>> calibration = calibrate_stack(Camera(gain_e_per_adu=0.5).capture(scene, rng=0), offset_adu=100)
    >>> round(calibration.gain_e_per_adu, 2), round(calibration.read_noise_e, 1)
    (0.5, 1.6)
    """
    _check_frames(frames, "frames")
    _check_known(dark_frames, offset_adu, read_noise_e, excess_noise_factor)
    values = frames.double()
    mean = values.mean(dim=0)
    _check_pixels(mean)
    if min(mean.shape) < 3:
        raise ValueError(
            f"frames have {mean.shape[0]} × {mean.shape[1]} pixels, but need at least 3 × 3 to see around each: "
            f"give larger frames."
        )
    change = _without_brightness_change(values.diff(dim=0), mean)
    variance = change.square().mean(dim=0) / 2
    frames_count = frames.shape[0]
    # the variance of a mean of T − 1 squared differences that share frames, in units of σ⁴
    spread = (3 * frames_count - 4) / (frames_count - 1) ** 2
    around = (25 * _box(mean, 5) - 9 * _box(mean, 3)) / 16
    level, level_variance, relative_error = _levels(mean, variance, key=around, spread=spread)
    linear = _linear(level, level_variance)
    line = fit_transfer(level[linear], level_variance[linear], relative_error[linear])

    dark = None
    if dark_frames is not None:
        _check_frames(dark_frames, "dark_frames")
        dark_variance = float(dark_frames.double().diff(dim=0).square().mean()) / 2
        dark = (float(dark_frames.double().mean()), max(dark_variance - ROUNDING_VARIANCE, 0.0) ** 0.5)
    return _calibration(line, level, level_variance, dark, offset_adu, read_noise_e, excess_noise_factor)


def calibrate_image(
    image: torch.Tensor,
    *,
    offset_adu: float | None = None,
    read_noise_e: float | None = None,
    excess_noise_factor: float = 1.0,
) -> Calibration:
    """Estimate gain, offset and read noise from one raw image: a guess with an error, not a calibration.

    Parameters
    ----------
    image : torch.Tensor
        One raw image, ADU, shape (Y, X), at least 64 × 64.
    offset_adu, read_noise_e : float, optional
        What is known of the camera; at most one of the two.
    excess_noise_factor : float
        :math:`F^2`: 1, or 2 for an EMCCD.

    Returns
    -------
    Calibration
        Its gain is within about 10 % on smooth scenes with white noise. Fine structure passes for noise and
        makes it too small: by 5 to 12 % for dense filaments and a PSF of σ = 2.5 px, by 20 to 35 % at Nyquist
        sampling (σ = 0.85 px). The standard error does not know of this.

    Raises
    ------
    ValueError
        If the image is too small, constant, or its variance does not grow with brightness.

    Examples
    --------
    >>> from course_lib.noise import Camera
    >>> rows = torch.linspace(0, 3, 256)
    >>> scene = 100 * (1 + torch.sin(rows)[:, None] * torch.cos(2 * rows))
    >>> image = Camera(gain_e_per_adu=2.0).capture(scene, rng=0)
    >>> abs(calibrate_image(image, offset_adu=100).gain_e_per_adu - 2) < 0.2
    True
    """
    check_spatial(image, 2)
    if image.ndim != 2 or min(image.shape) < 64:
        raise ValueError(
            f"image has shape {tuple(image.shape)}, but needs (Y, X) of at least 64 × 64 pixels: "
            f"choose one plane, or use calibrate_stack for repeated frames."
        )
    _check_known(None, offset_adu, read_noise_e, excess_noise_factor)
    pixels = image.double()
    residual = _second_difference(pixels)
    mean = _box(pixels, 9)[4:-4, 4:-4]
    smooth = _binomial(pixels)
    structure = (_box(smooth.square(), 9) - _box(smooth, 9).square())[4:-4, 4:-4]
    inner = slice(4, -4)
    level, level_variance, relative_error = _levels(
        mean, residual[inner, inner].square(), key=mean, structure=structure, spread=2 * _FILTER_CORRELATION
    )
    linear = _linear(level, level_variance)
    line = fit_transfer(level[linear], level_variance[linear], relative_error[linear])
    return _calibration(line, level, level_variance, None, offset_adu, read_noise_e, excess_noise_factor)


def _without_brightness_change(change: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Take from each difference of frames the multiple of the scene, and the constant, that it contains."""
    scene = mean - mean.mean()
    change = change - change.mean(dim=(-2, -1), keepdim=True)
    share = (change * scene).sum(dim=(-2, -1), keepdim=True) / scene.square().sum().clamp(min=1e-12)
    return change - share * scene


def _linear(level: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Say which levels lie below saturation, where the variance falls again instead of rising."""
    top = variance.argmax()
    brighter = level > level[top]
    if bool((variance[brighter] < 0.7 * variance[top]).any()):
        return level <= level.min() + 0.7 * (level[top] - level.min())
    return torch.ones_like(brighter)


def _second_difference(image: torch.Tensor) -> torch.Tensor:
    """Filter with [1, −2, 1] along rows and columns, scaled so that white noise keeps its variance."""
    rows = image[..., :-2, :] - 2 * image[..., 1:-1, :] + image[..., 2:, :]
    both = rows[..., :, :-2] - 2 * rows[..., :, 1:-1] + rows[..., :, 2:]
    return torch.nn.functional.pad(both / 6, (1, 1, 1, 1))


# squares of neighbouring residuals correlate with ρ², so n of them count as n / Σρ²
_FILTER_CORRELATION = sum((a * b / 36) ** 2 for a in (1, -4, 6, -4, 1) for b in (1, -4, 6, -4, 1))


def _box(image: torch.Tensor, width: int) -> torch.Tensor:
    padded = torch.nn.functional.pad(image[None, None], (width // 2,) * 4, mode="reflect")
    rows = torch.nn.functional.avg_pool2d(padded, (width, 1), stride=1)
    return torch.nn.functional.avg_pool2d(rows, (1, width), stride=1)[0, 0]


def _binomial(image: torch.Tensor) -> torch.Tensor:
    kernel = torch.tensor([1.0, 2.0, 1.0], dtype=image.dtype, device=image.device) / 4
    padded = torch.nn.functional.pad(image[None, None], (1, 1, 1, 1), mode="reflect")
    return torch.nn.functional.conv2d(padded, (kernel[:, None] * kernel)[None, None])[0, 0]


def _levels(
    mean: torch.Tensor,
    variance: torch.Tensor,
    *,
    key: torch.Tensor,
    spread: float,
    structure: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Average mean and variance over bins of pixels with similar `key`; with `structure`, over its flatter half.

    Returns the mean, the variance and the relative standard error of the variance of each bin.
    """
    order = key.flatten().argsort()
    bins = min(_BINS, order.numel() // _PIXELS_PER_BIN)
    levels, variances, errors = [], [], []
    for chosen in order.tensor_split(bins):
        if structure is not None:
            chosen = chosen[structure.flatten()[chosen].argsort()[: len(chosen) // 2]]
        level_variance = variance.flatten()[chosen].mean()
        levels.append(mean.flatten()[chosen].mean())
        variances.append(level_variance)
        errors.append((spread / len(chosen)) ** 0.5)
    return torch.stack(levels), torch.stack(variances), torch.tensor(errors, dtype=torch.float64)


def _calibration(
    line: Line,
    level: torch.Tensor,
    level_variance: torch.Tensor,
    dark: tuple[float, float] | None,
    offset_adu: float | None,
    read_noise_e: float | None,
    excess_noise_factor: float,
) -> Calibration:
    if not line.slope > 2 * line.slope_standard_error:
        raise ValueError(
            f"the variance does not grow with brightness (slope {line.slope:.3g} ADU, standard error "
            f"{line.slope_standard_error:.2g}), so no gain follows: use a raw image with photon noise, "
            f"neither averaged nor denoised."
        )
    middle = level.median()
    if offset_adu is not None and offset_adu > float(middle + 3 * level_variance.clamp(min=0).max() ** 0.5):
        raise ValueError(
            f"offset_adu is {offset_adu:g} ADU, but half of the image lies below {float(middle):.4g} ADU: "
            f"an offset is the mean of a frame without light; pass that, or None."
        )
    gain = excess_noise_factor / line.slope
    known: Literal["dark frames", "offset", "read noise", "nothing"]
    offset_error = 0.0
    if dark is not None:
        known, offset, read_noise = "dark frames", dark[0], dark[1] * gain
    elif offset_adu is not None:
        known, offset = "offset", offset_adu
        read_noise = gain * max(line.intercept + offset * line.slope - ROUNDING_VARIANCE, 0.0) ** 0.5
    else:
        known, read_noise = ("nothing", 0.0) if read_noise_e is None else ("read noise", read_noise_e)
        offset = (read_noise**2 / gain**2 + ROUNDING_VARIANCE - line.intercept) / line.slope
        offset_error = _offset_standard_error(line, offset, read_noise / gain)
    return Calibration(
        gain_e_per_adu=gain,
        gain_standard_error=gain * line.slope_standard_error / line.slope,
        offset_adu=offset,
        offset_standard_error=offset_error,
        read_noise_e=read_noise,
        mean_adu=level.float(),
        variance_adu2=level_variance.float(),
        known=known,
    )


def _offset_standard_error(line: Line, offset: float, read_noise_adu: float) -> float:
    """Return the error of an offset that follows from the line; that of the intercept and of the slope share noise."""
    by_slope = (2 * read_noise_adu**2 / line.slope - offset) / line.slope
    by_intercept = -1 / line.slope
    variance = (by_slope * line.slope_standard_error) ** 2 + (by_intercept * line.intercept_standard_error) ** 2
    return math.sqrt(max(variance + 2 * by_slope * by_intercept * line.covariance, 0.0))


def _check_frames(frames: torch.Tensor, name: str) -> None:
    check_spatial(frames, 3, name=name)
    if frames.ndim != 3 or frames.shape[0] < 2:
        raise ValueError(
            f"{name} has shape {tuple(frames.shape)}, but needs (T, Y, X) with at least 2 frames: "
            f"use calibrate_image for a single image."
        )


def _check_pixels(mean: torch.Tensor) -> None:
    if mean.numel() < 2 * _PIXELS_PER_BIN:
        raise ValueError(
            f"the image has {mean.numel()} pixels, too few for 2 levels of {_PIXELS_PER_BIN} each: use a larger region."
        )


def _check_known(
    dark_frames: torch.Tensor | None,
    offset_adu: float | None,
    read_noise_e: float | None,
    excess_noise_factor: float,
) -> None:
    if sum(known is not None for known in (dark_frames, offset_adu, read_noise_e)) > 1:
        raise ValueError(
            "dark_frames, offset_adu and read_noise_e each split the same intercept, but more than one is "
            "given: pass the one that is known best (dark frames, then the offset)."
        )
    if offset_adu is not None and not math.isfinite(offset_adu):
        raise ValueError(f"offset_adu is {offset_adu:g} ADU, but must be finite: pass the mean of a dark frame.")
    if read_noise_e is not None and not 0 <= read_noise_e < math.inf:
        raise ValueError(f"read_noise_e is {read_noise_e:g} e⁻, but must be at least 0 e⁻ and finite.")
    check_excess_noise(excess_noise_factor)
