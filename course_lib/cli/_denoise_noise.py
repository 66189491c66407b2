"""What noise an image has, as far as it tells: that of photon counts, of a camera, or one that is not known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from course_lib import images, noise
from course_lib.inspection import COUNTS_GAIN, COUNTS_OFFSET, LARGEST_GAIN_ERROR, doubt_of_offset, pile_share
from course_lib.noise import NoiseStructure
from course_lib.noise2void import proposed_extent

__all__ = ["Look", "look"]

SMALLEST = 16
"""Pixels of a side below which nothing can be said."""
MEASURABLE = 64
"""Pixels of a side from which the noise can be measured."""
FARTHEST_LAG = 7


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen, and the frames in the unit in which they are restored.

    Attributes
    ----------
    frames : torch.Tensor, shape (N, Y, X)
        Photon counts where the noise is that of photons, else the image's values.
    noise : {"photons", "unknown"}
        Of these frames.
    back : callable
        Gives restored frames in the image's own unit.
    mask_extent : (int, int)
        How far, down and right, pixels share their noise.
    structure : NoiseStructure or None
        Its autocorrelation; None where the image is too small.
    assumed : str
        What was taken for granted, in one sentence.
    warnings : tuple of str
        What may spoil the result.
    """

    frames: torch.Tensor
    noise: Literal["photons", "unknown"]
    assumed: str
    back: Callable[[torch.Tensor], torch.Tensor] = lambda restored: restored
    mask_extent: tuple[int, int] = (0, 0)
    structure: NoiseStructure | None = None
    warnings: tuple[str, ...] = ()


def look(frames: torch.Tensor, *, unit: images.Unit, known: Mapping[str, Any], seed: int) -> Look:
    """Look at the noise of frames (N, Y, X).

    Parameters
    ----------
    frames : torch.Tensor
        The image's values.
    unit : str
        What the file says that they are.
    known : mapping
        The flags `gain_e_per_adu`, `offset_adu` and `read_noise_e`, None where they were not given.
    seed : int
        For rounding a camera's values to counts.

    Raises
    ------
    ValueError
        If there is no noise, or too little of the image.
    """
    height, width = frames.shape[-2:]
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"the image has {height} × {width} pixels, but at least {SMALLEST} × {SMALLEST} are needed to tell noise "
            f"from signal: take a larger part."
        )
    if not bool(frames.isfinite().all()):
        raise ValueError("the image has values that are NaN or infinite: replace or crop them first.")
    if float(frames.min()) == float(frames.max()):
        raise ValueError(f"the image is {float(frames.min()):g} everywhere: there is no noise to remove.")
    frame = _busiest(frames)
    found = _with_structure(_in_counts(frames, frame, unit=unit, known=known, seed=seed), frames, frame)
    return replace(found, warnings=(*found.warnings, *_piles(frames, found)))


def _busiest(frames: torch.Tensor) -> torch.Tensor:
    """Return that of some 32 frames which varies most: it is not empty."""
    some = frames[:: max(1, len(frames) // 32)]
    return some[some.flatten(1).std(dim=1).argmax()]


def _in_counts(
    frames: torch.Tensor, frame: torch.Tensor, *, unit: images.Unit, known: Mapping[str, Any], seed: int
) -> Look:
    whole = bool((frames >= 0).all()) and bool((frames == frames.round()).all())
    if known["gain_e_per_adu"] is not None:
        camera = {name: known[name] or 0.0 for name in ("gain_e_per_adu", "offset_adu", "read_noise_e")}
        said = f"gain {camera['gain_e_per_adu']:g} e⁻/ADU and offset {camera['offset_adu']:g} ADU, as given"
        return _camera(frames, camera, seed, said)
    try:
        measured = noise.calibrate_image(frame)
    except ValueError as reason:
        measured, why = None, str(reason)
    if unit in ("photons", "electrons") and whole:
        counts = Look(frames=frames, noise="photons", assumed=f"The values are {unit}, as the file says.")
        if measured is None or abs(measured.gain_e_per_adu - 1) < COUNTS_GAIN + 3 * measured.gain_standard_error:
            return counts
        doubt = (
            f"the file says {unit}, but the noise looks as if one of them were {1 / measured.gain_e_per_adu:.2g} grey "
            f"levels: if the image was scaled, averaged or filtered, the comparison of methods is wrong. Give "
            f"--gain-e-per-adu and --offset-adu, or a raw image."
        )
        return replace(counts, warnings=(doubt,))
    if measured is None:
        said = f"Nothing is known of the noise: {why} So methods are judged by hidden pixels."
        return Look(frames=frames, noise="unknown", assumed=said)
    gain, error = measured.gain_e_per_adu, measured.gain_standard_error
    shown = f"{gain:.3g} ± {error:.2g} e⁻ per grey level"
    if error > LARGEST_GAIN_ERROR * gain:
        said = f"The gain, {shown} as the image shows, is too uncertain: methods are judged by hidden pixels."
        return Look(frames=frames, noise="unknown", assumed=said)
    if whole and abs(gain - 1) < COUNTS_GAIN and abs(measured.offset_adu) < COUNTS_OFFSET:
        return Look(frames=frames, noise="photons", assumed=f"The values are photon counts: their gain is {shown}.")
    doubt = doubt_of_offset(measured, minimum=float(frames.min()), are_whole=whole)
    if doubt:
        said = f"Methods are judged by hidden pixels, because photons cannot be counted. {doubt}"
        return Look(frames=frames, noise="unknown", assumed=said)
    camera = {"gain_e_per_adu": gain, "offset_adu": measured.offset_adu, "read_noise_e": measured.read_noise_e}
    said = f"gain {shown} and an offset of {measured.offset_adu:.4g}, which includes the read noise, as the image shows"
    return _camera(frames, camera, seed, said)


def _camera(frames: torch.Tensor, camera: dict[str, float], seed: int, said: str) -> Look:
    found = noise.equivalent_counts(frames, **camera, rng=seed)
    if float(found.counts.min()) == float(found.counts.max()):
        raise ValueError(
            f"with a gain of {camera['gain_e_per_adu']:g} e⁻/ADU and an offset of {camera['offset_adu']:g} ADU all "
            f"pixels are {float(found.counts.max()):g} electrons: check both."
        )
    warnings: tuple[str, ...] = ()
    if found.clipped_share > 0.01:
        warnings = (
            f"{100 * found.clipped_share:.1f} % of the pixels lie so far below the offset that they count as 0: check "
            f"--offset-adu and --read-noise-e.",
        )
    return Look(
        frames=found.counts,
        noise="photons",
        back=found.to_adu,
        assumed=f"The values become photon counts by a {said}.",
        warnings=warnings,
    )


def _with_structure(found: Look, frames: torch.Tensor, frame: torch.Tensor) -> Look:
    """Add the autocorrelation of the noise; where neighbours share it, counts do not help."""
    if min(frame.shape) < MEASURABLE:
        return found
    try:
        structure = noise.detect_structure(frame, max_lag=FARTHEST_LAG)
    except ValueError:
        return found
    found = replace(found, structure=structure)
    if structure.verdict == "white":
        return found
    evidence = f"ρ is {structure.at(1, 0):+.2f} to the pixel below and {structure.at(0, 1):+.2f} to that on the right"
    if structure.verdict == "uncertain":
        doubt = (
            f"neighbouring pixels may share a part of their noise, or the finest detail is of a pixel's size "
            f"({evidence}): look at the autocorrelation of the residual."
        )
        return replace(found, warnings=(*found.warnings, doubt))
    down, right = proposed_extent(structure)
    warning = (
        f"the noise is structured: {evidence}, so that a method can tell the noise of a pixel from its neighbours. "
        f"Only hidden pixels can judge; with each are hidden {down} above and below it, and {right} on both sides."
    )
    return Look(
        frames=frames,
        noise="unknown",
        assumed="The noise is not that of photons alone.",
        mask_extent=(down, right),
        structure=structure,
        warnings=(warning,),
    )


def _piles(frames: torch.Tensor, found: Look) -> list[str]:
    """Say where pixels pile up at an extreme: saturated, or clipped at zero."""
    warnings = []
    top, bottom = float(frames.max()), float(frames.min())
    share = pile_share(frames, top)
    if share:
        warnings.append(
            f"{100 * share:.2g} % of the pixels are {top:g}, the largest value, and fewer just below: they are "
            f"saturated, and remain wrong."
        )
    is_counted = found.noise == "photons" and found.frames is frames
    share = pile_share(frames, bottom)
    if share and not is_counted:
        warnings.append(
            f"{100 * share:.2g} % of the pixels are {bottom:g}, the smallest value, and fewer just above: "
            f"negative noise was clipped, and dark regions are too bright. Record with an offset."
        )
    return warnings
