"""One channel: its values, its camera, its noise, and how much signal stands above that."""

import math
from dataclasses import dataclass, replace

import torch

from course_lib import noise
from course_lib.inspection.flag import Flag
from course_lib.inspection.offset import doubt_of_offset
from course_lib.inspection.recommendation import Noise, Recommendation
from course_lib.inspection.values import Values, look_at_values
from course_lib.noise import Calibration, NoiseStructure

__all__ = [
    "COUNTS_GAIN",
    "COUNTS_OFFSET",
    "LARGEST_GAIN_ERROR",
    "ChannelInspection",
    "flags_of",
    "look_at_channel",
    "numbered",
]

LARGEST_GAIN_ERROR = 0.1
"""Relative standard error of a gain that is still used."""
COUNTS_GAIN, COUNTS_OFFSET = 0.15, 1.0
"""Whole numbers whose gain differs from 1 by less, and whose offset from 0, are photon counts."""
SHARED = "one image does not tell it where neighbours share noise: it would be wrong several times over."
LOW_SNR = 3.0
"""Below this signal-to-noise ratio, the outlines of objects are those of the noise."""


@dataclass(frozen=True, kw_only=True)
class ChannelInspection:
    """What was seen of one channel.

    Attributes
    ----------
    channel : int or None
        Its number, from 0; None where the image has no axis of channels.
    values : Values
        Extremes, saturation, clipping.
    noise : {"photons", "camera", "structured", "unknown"}
        See `recommend`.
    calibration : Calibration or None
        Gain and offset; `calibration_note` tells from what, or why there are none.
    structure : NoiseStructure or None
        Autocorrelation of the noise; `structure_note` tells why there is none.
    moves : bool
        Whether the frames differ by more than noise, so that a single frame was looked at.
    signal, snr : float or None
        Brightness of the brightest fortieth of the pixels above that of the darkest, in photons where the gain is
        known and else in grey levels, and the same in standard deviations of the noise there.
    recommendation : Recommendation or None
        The method to begin with; None until the rest of the image is known.
    """

    channel: int | None
    values: Values
    noise: Noise
    calibration: Calibration | None
    calibration_note: str
    structure: NoiseStructure | None
    structure_note: str
    moves: bool
    signal: float | None
    snr: float | None
    recommendation: Recommendation | None = None

    @property
    def offset_doubt(self) -> str:
        """Why the offset that was found is not credible; nothing where it is, and where photons are counted."""
        if self.noise == "photons" or self.calibration is None:
            return ""
        return doubt_of_offset(self.calibration, minimum=self.values.minimum, are_whole=self.values.are_whole)

    @property
    def camera_flags(self) -> str:
        """Gain and offset as flags of a command, where they are known well."""
        if self.noise != "camera" or self.calibration is None:
            return ""
        found = self.calibration
        read_noise = f" --read-noise-e {found.read_noise_e:.2g}" if found.read_noise_e > 0 else ""
        return f" --gain-e-per-adu {found.gain_e_per_adu:.3g} --offset-adu {found.offset_adu:.4g}{read_noise}"


def look_at_channel(
    frames: torch.Tensor,
    values: torch.Tensor,
    *,
    channel: int | None,
    counts_photons: bool,
    offset_adu: float | None,
) -> ChannelInspection:
    """Look at one channel.

    Parameters
    ----------
    frames : torch.Tensor, shape (T, Y, X) or (Y, X)
        Frames of one scene, or one plane, for camera and noise.
    values : torch.Tensor, shape (..., Y, X)
        As many pixels as shall be searched for saturation.
    channel : int or None
        Its number.
    counts_photons : bool
        Whether the file says that its values are photons or electrons.
    offset_adu : float, optional
        Offset of the camera, where it is known.
    """
    seen = look_at_values(values)
    structure, note, moves = _structure(frames)
    used = frames[len(frames) // 2] if moves else frames
    calibration, told = _calibration(used, offset_adu)
    if used.ndim == 2 and structure is not None and structure.verdict == "structured":
        calibration, told = None, SHARED
    kind = _kind(seen, structure, calibration, counts_photons=counts_photons)
    signal, snr = _signal(calibration, in_photons=kind == "camera")
    return ChannelInspection(
        channel=channel,
        values=seen,
        noise=kind,
        calibration=calibration,
        calibration_note=told,
        structure=structure,
        structure_note=note,
        moves=moves,
        signal=signal,
        snr=snr,
    )


def _structure(frames: torch.Tensor) -> tuple[NoiseStructure | None, str, bool]:
    """Return the autocorrelation, or why there is none, and whether the scene moves.

    What moves leaves edges in the difference of frames, whose neighbours correlate; in a single frame they do not.
    """
    try:
        found = noise.detect_structure(frames)
    except ValueError as reason:
        return None, str(reason), False
    if frames.ndim == 3 and not found.white:
        single = noise.detect_structure(frames[len(frames) // 2])
        if single.white:
            return single, "", True
    return found, "", False


def _calibration(frames: torch.Tensor, offset_adu: float | None) -> tuple[Calibration | None, str]:
    is_stack = frames.ndim == 3
    source = f"{len(frames)} frames" if is_stack else "one image: a guess, too small on fine structure"
    try:
        calibrate = noise.calibrate_stack if is_stack else noise.calibrate_image
        return calibrate(frames, offset_adu=offset_adu), f"from {source}"
    except ValueError as reason:
        return None, str(reason)


def _kind(
    values: Values, structure: NoiseStructure | None, calibration: Calibration | None, *, counts_photons: bool
) -> Noise:
    if structure is not None and structure.verdict == "structured":
        return "structured"
    stretched = values.grey_step > 1 and (counts_photons or not values.are_multiples)
    if stretched or values.are_labels:
        return "unknown"
    if counts_photons and values.are_whole:
        return "photons"
    if calibration is None or calibration.gain_standard_error > LARGEST_GAIN_ERROR * calibration.gain_e_per_adu:
        return "unknown"
    is_one = abs(calibration.gain_e_per_adu - 1) < COUNTS_GAIN and abs(calibration.offset_adu) < COUNTS_OFFSET
    if is_one and values.are_whole:
        return "photons"
    doubt = doubt_of_offset(calibration, minimum=values.minimum, are_whole=values.are_whole)
    return "unknown" if doubt else "camera"


def _signal(calibration: Calibration | None, *, in_photons: bool) -> tuple[float | None, float | None]:
    if calibration is None:
        return None, None
    bright = int(calibration.mean_adu.argmax())
    adu = float(calibration.mean_adu[bright] - calibration.mean_adu.min())
    variance = float(calibration.variance_adu2[bright])
    return adu * (calibration.gain_e_per_adu if in_photons else 1.0), adu / math.sqrt(
        variance
    ) if variance > 0 else None


def flags_of(seen: ChannelInspection, *, counts_photons: bool, bits: int | None) -> list[Flag]:
    """Return what is wrong with one channel; `bits` are those of an integer type."""
    values = seen.values
    if values.not_finite:
        text = f"{values.not_finite} pixels are NaN, infinite or beyond 3e38: replace them, or crop the image."
        return [Flag(name="not finite", severity="stop", text=text)]
    if values.minimum == values.maximum:
        return [Flag(name="constant", severity="stop", text=f"All pixels are {values.minimum:g}: nothing is seen.")]
    if values.are_labels:
        text = (
            "The values are whole numbers that stay the same over whole areas: this looks like labels or a mask, not "
            "like a raw image."
        )
        return [Flag(name="labels", severity="stop", text=text)]
    return [*_flags_of_values(seen, bits=bits), *_flags_of_noise(seen, counts_photons=counts_photons)]


def _flags_of_values(seen: ChannelInspection, *, bits: int | None) -> list[Flag]:
    values, flags = seen.values, []
    if values.saturated_share:
        text = (
            f"{100 * values.saturated_share:.2g} % of the pixels are {values.maximum:g}, the largest value, and fewer "
            f"just below: they are saturated. Their intensities cannot be measured; outlines can. Expose shorter."
        )
        flags.append(Flag(name="saturated", severity="stop", text=text))
    if values.clipped_share and seen.noise != "photons":
        text = (
            f"{100 * values.clipped_share:.2g} % of the pixels are {values.minimum:g}, the smallest value, and fewer "
            f"just above: negative noise was clipped, and dark regions are too bright. Record with an offset."
        )
        flags.append(Flag(name="clipped", severity="care", text=text))
    if values.are_multiples:
        text = (
            f"All grey levels lie {values.grey_step:g} apart: the values were multiplied by {values.grey_step:g}, as "
            f"some cameras do that write 12 bits into 16. Nothing is lost, if the offset was multiplied, too: a gain "
            f"that is given per level of the camera is to be divided by {values.grey_step:g}."
        )
        flags.append(Flag(name="multiplied", severity="care", text=text))
    elif values.grey_step > 1:
        text = (
            f"Of {values.grey_step:.3g} grey levels only one is used, and the gaps differ: the contrast was stretched "
            f"after the recording. Photons cannot be counted from such values; take the raw file."
        )
        flags.append(Flag(name="rescaled", severity="stop", text=text))
    if bits == 8 and seen.noise == "unknown":
        text = (
            "The values have 8 bits. If another program made them of more, intensities were rescaled: ask for the raw "
            "file."
        )
        flags.append(Flag(name="8 bits", severity="care", text=text))
    return flags


def _flags_of_noise(seen: ChannelInspection, *, counts_photons: bool) -> list[Flag]:
    structure, calibration, flags = seen.structure, seen.calibration, []
    if structure is None:
        text = f"The noise could not be looked at: {seen.structure_note}"
        flags.append(Flag(name="noise unknown", severity="care", text=text))
    elif not structure.white:
        shown = f"ρ = {structure.at(1, 0):+.2f} down, {structure.at(0, 1):+.2f} right"
        if structure.verdict == "structured":
            text = (
                f"Neighbours share noise ({shown}): plain Noise2Void learns it as signal, and counts cannot be split."
            )
            flags.append(Flag(name="structured noise", severity="stop", text=text))
        else:
            text = (
                f"Neighbours may share noise, or the finest detail is of a pixel's size ({shown}): look at the "
                f"autocorrelation of what a restoration takes away."
            )
            flags.append(Flag(name="noise uncertain", severity="care", text=text))
    if seen.moves:
        text = "The frames differ by more than noise: the scene moves or bleaches. A single frame was looked at."
        flags.append(Flag(name="moving", severity="care", text=text))
    if calibration is None and structure is not None and structure.verdict != "structured":
        text = (
            f"No gain could be measured: {seen.calibration_note} Give the gain and offset of the camera, if you know "
            f"them."
        )
        flags.append(Flag(name="no gain", severity="care", text=text))
    elif calibration is not None and counts_photons and _are_no_counts(calibration):
        text = (
            f"The file says photons, but the noise looks as if one of them were {1 / calibration.gain_e_per_adu:.2g} "
            f"grey levels: was it scaled, averaged or filtered?"
        )
        flags.append(Flag(name="no counts", severity="care", text=text))
    if seen.offset_doubt:
        flags.append(Flag(name="offset not credible", severity="care", text=seen.offset_doubt))
    if seen.snr is not None and seen.snr < LOW_SNR:
        text = (
            f"The brightest areas stand {seen.snr:.1f} standard deviations above the darkest: a pixel alone tells "
            f"nothing, and outlines follow the noise. Restore before segmenting, and measure areas with care."
        )
        flags.append(Flag(name="few photons", severity="care", text=text))
    return flags


def _are_no_counts(calibration: Calibration) -> bool:
    return abs(calibration.gain_e_per_adu - 1) > COUNTS_GAIN + 3 * calibration.gain_standard_error


def numbered(flags: list[Flag], channel: int | None) -> list[Flag]:
    """Say of which channel flags are."""
    return [replace(flag, channel=channel) for flag in flags]
