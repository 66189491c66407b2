"""The whole image: every channel, the voxel, the sampling, and what follows."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from course_lib import images, optics
from course_lib.inspection.channel import ChannelInspection, flags_of, look_at_channel, numbered
from course_lib.inspection.flag import Flag
from course_lib.inspection.recommendation import recommend
from course_lib.inspection.sampling import Sampling, check_sampling

__all__ = ["Inspection", "inspect"]

MOST_FRAMES = 200
"""Frames of a long movie that are looked at; more do not sharpen the figures."""
MOST_PLANES = 32
"""Planes of a stack that are searched for saturation."""
FEWEST_PLANES = 8
"""Planes of a stack from which on deconvolution is proposed."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was seen of an image, and what follows.

    Attributes
    ----------
    title : str
        The image in one line.
    axes : str
    shape : tuple of int
    dtype : str
    voxel_size_um : tuple of float or None
    unit : str
        As in `images.Image`.
    channels : tuple of ChannelInspection
        At least one.
    sampling : Sampling or None
        Comparison with Nyquist, where microscope and voxel are known.
    plane : int or None
        Of a stack, the plane in which noise and camera were looked at.
    flags : tuple of Flag
        All that is wrong, what stops first.
    """

    title: str
    axes: str
    shape: tuple[int, ...]
    dtype: str
    voxel_size_um: tuple[float, ...] | None
    unit: str
    channels: tuple[ChannelInspection, ...]
    sampling: Sampling | None
    plane: int | None
    flags: tuple[Flag, ...]

    @property
    def flag_names(self) -> frozenset[str]:
        """The names of all flags."""
        return frozenset(flag.name for flag in self.flags)

    def lines(self) -> list[str]:
        r"""Return all of it in lines of text.

        Examples
        --------
        >>> from course_lib import datasets
        >>> print(*inspect(datasets.load("hazelnut")).lines()[:2], sep="\n")
        Image(T 5 × Y 256 × X 256, uint16, voxel 0.1463 × 0.1463 µm, photons)
        values 0 to 163, mean 18.51; 1 pixel is at the maximum
        """
        lines = [self.title]
        for seen in self.channels:
            prefix = "" if seen.channel is None else f"channel {seen.channel}: "
            lines += [prefix + line for line in _lines_of(seen, self.plane, self.unit)]
        if self.sampling is not None:
            lines.append(f"sampling: {self.sampling}")
        lines += map(str, self.flags)
        for seen in self.channels:
            prefix = "" if seen.channel is None else f"channel {seen.channel}: "
            lines.append(f"{prefix}begin with {seen.recommendation}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return all of it in numbers, strings, lists and None, as for JSON."""
        return {
            "title": self.title,
            "axes": self.axes,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "voxel_size_um": None if self.voxel_size_um is None else list(self.voxel_size_um),
            "unit": self.unit,
            "plane": self.plane,
            "channels": [_dict_of(seen) for seen in self.channels],
            "sampling": None
            if self.sampling is None
            else asdict(self.sampling) | {"undersampled": list(self.sampling.undersampled)},
            "flags": [asdict(flag) for flag in self.flags],
        }


def inspect(
    image: images.Image,
    *,
    offset_adu: float | None = None,
    microscope: optics.Microscope | None = None,
    file: str = "IMAGE",
) -> Inspection:
    """Look at a raw image, and say what can be done with it.

    Parameters
    ----------
    image : Image
        As it came from the microscope, also as a memory map: of long films 200 frames are read, of stacks 32 planes.
        Frames are taken to show one scene; where they differ by more than noise, one of them is looked at.
    offset_adu : float, optional
        Mean of a dark frame, in grey levels; without it the read noise is taken as 0.
    microscope : optics.Microscope, optional
        For the sampling: numerical aperture, emission wavelength, immersion.
    file : str
        The name of the image in the commands that are recommended.

    Returns
    -------
    Inspection

    Raises
    ------
    ValueError
        If the image has no pixel, or no finite one.

    Examples
    --------
    >>> from course_lib import datasets
    >>> seen = inspect(datasets.load("terra_nuclei"), file="cells.tif")
    >>> print(seen.channels[0].recommendation.command)
    course denoise cells.tif
    >>> sorted(seen.flag_names)
    ['structured noise']
    """
    if math.prod(image.data.shape) == 0:
        raise ValueError(f"the image has no pixel, its shape is {image.data.shape}: choose another file.")
    counts_photons = image.unit in ("photons", "electrons")
    bits = 8 * image.data.dtype.itemsize if image.data.dtype.kind in "ui" else None
    count = image.data.shape[image.axes.index("C")] if "C" in image.axes else 1
    sampling = None
    if microscope is not None and image.voxel_size_um is not None:
        sampling = check_sampling(image.voxel_size_um, microscope)
    flags = _flags_of_image(image, sampling)
    channels = []
    for number in range(count):
        channel = number if "C" in image.axes and count > 1 else None
        seen = look_at_channel(
            _frames(image, number),
            _searched(image, number),
            channel=channel,
            counts_photons=counts_photons,
            offset_adu=offset_adu,
        )
        wrong = flags_of(seen, counts_photons=counts_photons, bits=bits)
        flags += numbered(wrong, channel)
        channels.append(_with_recommendation(seen, wrong, image, sampling, file))
    return Inspection(
        title=repr(image),
        axes=image.axes,
        shape=tuple(image.data.shape),
        dtype=str(image.data.dtype),
        voxel_size_um=image.voxel_size_um,
        unit=image.unit,
        channels=tuple(channels),
        sampling=sampling,
        plane=image.data.shape[image.axes.index("Z")] // 2 if "Z" in image.axes else None,
        flags=tuple(sorted(flags, key=lambda flag: flag.severity != "stop")),
    )


def _frames(image: images.Image, channel: int) -> torch.Tensor:
    """Return frames (T, Y, X) or the middle plane (Y, X) of one channel."""
    index: list[Any] = []
    for letter, length in zip(image.axes, image.data.shape, strict=True):
        several = slice(MOST_FRAMES) if length > 1 else 0
        index.append({"C": channel, "Z": length // 2, "T": several}.get(letter, slice(None)))
    return _as_float32(image.data[tuple(index)])


def _searched(image: images.Image, channel: int) -> torch.Tensor:
    """Return the frames in which saturation is looked for: of a stack, planes at equal distances of its first time."""
    if "Z" not in image.axes:
        return _frames(image, channel)
    index: list[Any] = []
    for letter, length in zip(image.axes, image.data.shape, strict=True):
        planes = slice(None, None, math.ceil(length / MOST_PLANES))
        index.append({"C": channel, "Z": planes, "T": 0}.get(letter, slice(None)))
    return _as_float32(image.data[tuple(index)])


def _as_float32(values: np.ndarray[Any, Any]) -> torch.Tensor:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is told as such
        return torch.as_tensor(np.array(values, dtype=np.float32))


def _flags_of_image(image: images.Image, sampling: Sampling | None) -> list[Flag]:
    flags = []
    if image.voxel_size_um is None:
        text = "The file does not say how large a pixel is: areas would be in pixels. Give --voxel-size-um."
        flags.append(Flag(name="no voxel size", severity="care", text=text))
    if sampling is not None and sampling.undersampled:
        coarse = " and ".join(sampling.undersampled)
        text = (
            f"The {coarse} are too coarse for the objective ({sampling}): detail is lost for good. Do not deconvolve, "
            f"and do not measure what is finer."
        )
        flags.append(Flag(name="undersampled", severity="stop", text=text))
    return flags


def _with_recommendation(
    seen: ChannelInspection, flags: list[Flag], image: images.Image, sampling: Sampling | None, file: str
) -> ChannelInspection:
    names = {flag.name for flag in flags}
    planes = image.data.shape[image.axes.index("Z")] if "Z" in image.axes else 1
    found = recommend(
        noise=seen.noise,
        structure=seen.structure,
        snr=seen.snr,
        is_image=not names & {"constant", "labels", "not finite"},
        is_raw=not names & {"rescaled", "8 bits", "no counts"},
        can_deconvolve=planes >= FEWEST_PLANES
        and sampling is not None
        and not sampling.undersampled
        and not names & {"saturated", "rescaled"},
        camera_flags=seen.camera_flags,
        file=file if seen.channel is None else f"{file} --channel {seen.channel}",
    )
    return replace(seen, recommendation=found)


def _lines_of(seen: ChannelInspection, plane: int | None, unit: str) -> list[str]:
    values = seen.values
    first = (
        f"values {values.minimum:g} to {values.maximum:g}, mean {values.mean:.4g}; "
        f"{_pixels(values.maximum_count)} at the maximum"
    )
    if plane is not None:
        first += f" (noise and gain: plane {plane} of the stack)"
    structure = seen.structure or f"structure of the noise: unknown, {seen.structure_note}"
    lines = [first, _line_of_camera(seen), str(structure)]
    if seen.snr is not None:
        if seen.noise == "camera":
            unit = "photons"
        amount = f"{seen.signal:.3g} {'grey levels' if unit in ('adu', 'arbitrary') else unit}"
        lines.append(f"signal of the brightest areas: {amount} above the darkest, {seen.snr:.1f} × the noise (SNR)")
    return lines


def _pixels(count: int) -> str:
    return "1 pixel is" if count == 1 else f"{count} pixels are"


def _line_of_camera(seen: ChannelInspection) -> str:
    found = seen.calibration
    if found is None:
        return f"gain: unknown, {seen.calibration_note}"
    gain = f"gain {found.gain_e_per_adu:.3g} ± {found.gain_standard_error:.2g} e⁻/ADU"
    if found.known == "nothing":
        return (
            f"{gain}, offset {found.offset_adu:.1f} ± {found.offset_standard_error:.2g} ADU if there is no read noise"
            f"{', which is not credible' if seen.offset_doubt else ''} ({seen.calibration_note}; try --offset-adu)"
        )
    return f"{gain}, read noise {found.read_noise_e:.2f} e⁻ at the offset given ({seen.calibration_note})"


def _dict_of(seen: ChannelInspection) -> dict[str, Any]:
    calibration, structure = seen.calibration, seen.structure
    return {
        "channel": seen.channel,
        "values": asdict(seen.values),
        "noise": seen.noise,
        "gain_e_per_adu": None if calibration is None else calibration.gain_e_per_adu,
        "gain_standard_error": None if calibration is None else calibration.gain_standard_error,
        "offset_adu": None if calibration is None else calibration.offset_adu,
        "offset_standard_error": None if calibration is None else calibration.offset_standard_error,
        "offset_doubt": seen.offset_doubt,
        "read_noise_e": None if calibration is None else calibration.read_noise_e,
        "structure": None if structure is None else structure.verdict,
        "correlation_down": None if structure is None else structure.at(1, 0),
        "correlation_right": None if structure is None else structure.at(0, 1),
        "moves": seen.moves,
        "signal": seen.signal,
        "snr": seen.snr,
        "recommendation": None if seen.recommendation is None else asdict(seen.recommendation),
    }
