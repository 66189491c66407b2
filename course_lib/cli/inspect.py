"""``course inspect``: what is in a file, what its camera is like, and what its noise is like."""

import argparse
from pathlib import Path
from typing import Any

import torch

from course_lib import images, noise

__all__ = ["add", "describe"]

_FRAMES = 200
"""Frames of a long movie that are looked at; more do not sharpen the figures."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser."""
    parser = commands.add_parser(
        "inspect",
        help="axes, saturation, gain, read noise and structure of the noise",
        description="Look at raw images before anything is done to them. A time series is taken to show a scene "
        "that holds still.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="TIFF, ImageJ TIFF or OME-TIFF")
    parser.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX, for example TYX")
    parser.add_argument(
        "--offset-adu", type=float, metavar="X", help="mean of a dark frame; without it the read noise is taken as 0"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    failed = []
    for path in arguments.paths:
        try:
            image = images.read(path, axes=arguments.axes, memory_map=_mappable(path))
        except (OSError, ValueError, TypeError) as error:
            failed.append(str(error))
            continue
        print(path, *describe(image, offset_adu=arguments.offset_adu), sep="\n  ")
    if failed:
        raise ValueError("; ".join(failed))


def _mappable(path: Path) -> bool:
    import tifffile

    if not path.is_file():
        return False
    try:
        with tifffile.TiffFile(path) as tiff:
            return bool(tiff.series[0].dataoffset)
    except (tifffile.TiffFileError, IndexError, ValueError):
        return False


def describe(image: images.Image, *, offset_adu: float | None = None) -> list[str]:
    r"""Describe a raw image in lines of text, for each channel.

    Parameters
    ----------
    image : Image
        Raw image.
    offset_adu : float, optional
        Offset of the camera; 0 for photon counts.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from course_lib import datasets
    >>> print(*describe(datasets.load("hazelnut"), offset_adu=0)[:2], sep="\n")  # doctest: +ELLIPSIS
    Image(T 5 × Y 256 × X 256, uint16, voxel 0.1463 × 0.1463 µm, photons)
    values 0 to 163, mean 18.51; ... % of the pixels are at the maximum
    """
    lines = [repr(image)]
    channels = image.data.shape[image.axes.index("C")] if "C" in image.axes else 1
    for channel in range(channels):
        prefix = f"channel {channel}: " if channels > 1 else ""
        frames = _frames(image, channel)
        at_top = int((frames == frames.max()).sum())
        share = 100 * at_top / frames.numel()
        lines.append(
            f"{prefix}values {float(frames.min()):g} to {float(frames.max()):g}, mean {float(frames.mean()):.4g}; "
            f"{share:.2g} % of the pixels are at the maximum{', saturated?' if at_top > 10 and share > 0.01 else ''}"
        )
        if "Z" in image.axes:
            lines[-1] += f" (plane {image.data.shape[image.axes.index('Z')] // 2} of the stack)"
        lines.append(prefix + _calibration(frames, offset_adu))
        try:
            lines.append(prefix + str(noise.detect_structure(frames)))
        except ValueError as reason:
            lines.append(f"{prefix}structure of the noise: unknown, {reason}")
    return lines


def _frames(image: images.Image, channel: int) -> torch.Tensor:
    """Choose the frames (T, Y, X) or the middle plane (Y, X) of one channel."""
    index: list[Any] = []
    for letter, length in zip(image.axes, image.data.shape, strict=True):
        chosen: int | slice = slice(None)
        if letter == "C":
            chosen = channel
        elif letter == "Z":
            chosen = length // 2
        elif letter == "T":
            chosen = slice(_FRAMES) if length > 1 else 0
        index.append(chosen)
    return torch.as_tensor(image.data[tuple(index)].astype("float32"))


def _calibration(frames: torch.Tensor, offset_adu: float | None) -> str:
    calibrate = noise.calibrate_stack if frames.ndim == 3 else noise.calibrate_image
    source = f"{len(frames)} frames" if frames.ndim == 3 else "one image: a guess, too small on fine structure"
    try:
        found = calibrate(frames, offset_adu=offset_adu)
    except ValueError as reason:
        return f"gain: unknown, {reason}"
    gain = f"gain {found.gain_e_per_adu:.3g} ± {found.gain_standard_error:.2g} e⁻/ADU"
    if found.known == "nothing":
        return f"{gain}, offset {found.offset_adu:.1f} ADU if there is no read noise (from {source}; try --offset-adu)"
    return f"{gain}, read noise {found.read_noise_e:.2f} e⁻ at the offset given (from {source})"
