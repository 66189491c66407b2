"""Beads in an image: where they are, and which of them show the PSF.

A bead is a maximum of the smoothed image far above the noise of its background. A maximum close to a much brighter
one is its side lobe. Beads with a neighbour in the crop, cut by the border, saturated, brighter or dimmer than most,
or of another form are left out, each with the reason.
"""

from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["alike", "find", "in_words", "reasons_against", "refuse", "spot_size", "tally"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Words = NDArray[np.str_]

NOISE_LEVELS = 8.0
"""How many standard deviations of the smoothed background a bead is above it."""
DIMMEST = 0.02
"""Height of the dimmest bead, as a share of the brightest."""
BRIGHTNESS = (0.5, 1.5)
"""Height of beads that are used, as a share of the median."""
DIFFERENCE = 0.005
"""By how much the correlation of a smoothed bead with the median bead may fall short of 1, noise aside."""
CROWDED, BORDER = "close to another", "close to the border"
SATURATED, BRIGHT, UNLIKE = "saturated", "of unusual brightness", "of unusual form"
REMEDIES = {
    CROWDED: "use a smaller shape, or dilute the beads",
    BORDER: "use a smaller shape, or take a larger stack with the beads in its middle planes",
    SATURATED: "expose for a shorter time, or lower the power",
    BRIGHT: "use beads of one size, without clusters",
    UNLIKE: "use single beads of one size, all at the same depth",
}


def find(
    values: Floats, *, sigma: Floats, shape: tuple[int, ...], neighbour_height: float
) -> tuple[Integers, Floats, Flags]:
    """Return the voxels (N, axes) and heights (N,) of the beads, and which have a neighbour in their crop."""
    voxels, heights = _local_maxima(values, sigma)
    near = (np.abs(voxels[:, None] - voxels[None]) <= np.array(shape) // 2).all(-1)
    lobe = (near & (heights[:, None] < neighbour_height * heights[None])).any(1)
    np.fill_diagonal(near, False)
    crowded: Flags = near[~lobe][:, ~lobe].any(1)
    return voxels[~lobe], heights[~lobe], crowded


def spot_size(values: Floats) -> Floats:
    """Return the standard deviation in voxels along each axis that spots have: the median of the brighter half."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(values, 1.0)
    level = float(np.median(smooth))
    voxels, heights = _local_maxima(values, 1.0)
    brighter = np.argsort(heights)[len(heights) // 2 :][-50:]
    widths = np.ones((len(brighter), values.ndim))
    for row, i in enumerate(brighter):
        for axis in range(values.ndim):
            index = tuple(slice(None) if a == axis else voxels[i, a] for a in range(values.ndim))
            profile = (smooth[index] - level) / heights[i]
            centre = voxels[i, axis]
            widths[row, axis] = _half_width(profile[centre:]) + _half_width(profile[centre::-1])
    variance = (np.median(widths, axis=0) / 2.355) ** 2 - 1
    sigma: Floats = np.sqrt(variance.clip(0.7**2))
    return sigma


def reasons_against(
    values: Floats,
    voxels: Integers,
    heights: Floats,
    crowded: Flags,
    *,
    sigma: Floats,
    shape: tuple[int, ...],
    saturation: float | None,
) -> Words:
    """Return for each bead (N,) why it cannot be used, "" where it can."""
    reasons = np.full(len(voxels), "", dtype=f"U{max(map(len, REMEDIES))}")
    first = voxels - np.array(shape) // 2
    reasons[((first < 0) | (first + shape > values.shape)).any(1)] = BORDER
    reasons[crowded] = CROWDED
    for i in np.flatnonzero(reasons == ""):
        if _saturated(values, voxels[i], sigma, saturation):
            reasons[i] = SATURATED
    chosen = np.flatnonzero(reasons == "")
    if len(chosen) >= 3:
        relative = heights[chosen] / np.median(heights[chosen])
        reasons[chosen[(relative < BRIGHTNESS[0]) | (relative > BRIGHTNESS[1])]] = BRIGHT
    return reasons


def alike(crops: torch.Tensor, offsets: torch.Tensor, *, sigma: Floats) -> Flags:
    """Tell which beads have a maximum close to their centre and, of three or more, the form of the median bead."""
    from scipy import ndimage

    centred: Flags = (offsets.abs() < 1.5).all(1).numpy()
    if centred.sum() < 3:
        return centred
    smooth = ndimage.gaussian_filter(crops.numpy(), (0, *sigma)).reshape(len(crops), -1)
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True)
    median = np.median(smooth[centred], axis=0)
    difference = 1 - smooth @ median / np.linalg.norm(median)
    limit = DIFFERENCE + 4 * np.median(difference[centred])
    same: Flags = centred & (difference < limit)
    return same


def tally(reasons: Words) -> dict[str, int]:
    """Return how many beads each reason left out."""
    return {reason: int((reasons == reason).sum()) for reason in REMEDIES if (reasons == reason).any()}


def in_words(rejected: dict[str, int]) -> str:
    """Write a `tally` as a list, "2 saturated, 1 close to the border" for example."""
    return ", ".join(f"{count} {reason}" for reason, count in rejected.items())


def refuse(reasons: Words) -> NoReturn:
    """Raise ValueError, with the remedy for the most frequent reason."""
    rejected = tally(reasons)
    most = max(rejected, key=lambda reason: rejected[reason])
    raise ValueError(f"none of the {len(reasons)} beads found can be used, {in_words(rejected)}: {REMEDIES[most]}.")


def _local_maxima(values: Floats, sigma: Floats | float) -> tuple[Integers, Floats]:
    """Return voxels (N, axes) and heights (N,) of the maxima of the smoothed image that are above its noise."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(values, sigma)
    level = float(np.median(smooth))
    noise = 1.4826 * float(np.median(np.abs(smooth - level)))
    brightest = float(smooth.max()) - level
    least = max(NOISE_LEVELS * noise, DIMMEST * brightest)
    if not brightest > least:
        raise ValueError(
            f"no bead found: the brightest place of the smoothed image is {brightest:.3g} above its median, "
            f"but beads must be {NOISE_LEVELS:g} times above its noise of {noise:.3g}. Expose for longer, or, if "
            f"beads cover half the image, dilute them."
        )
    reach = (2 * np.ceil(2 * np.broadcast_to(sigma, values.ndim)).astype(int) + 1).tolist()
    top = (smooth == ndimage.maximum_filter(smooth, size=reach)) & (smooth > level + least)
    labels, count = ndimage.label(top, np.ones((3,) * values.ndim))  # equal neighbours are one maximum
    voxels = np.array(ndimage.maximum_position(smooth, labels, range(1, count + 1)))
    return voxels, smooth[tuple(voxels.T)] - level


def _half_width(profile: Floats) -> float:
    """Return how far a profile that starts at its maximum, 1, stays above one half, by a straight line in between."""
    under = np.flatnonzero(profile < 0.5)
    if len(under) == 0:
        return float(len(profile))
    i = under[0]
    return float(i - (0.5 - profile[i]) / (profile[i - 1] - profile[i]))


def _saturated(values: Floats, voxel: Integers, sigma: Floats, saturation: float | None) -> bool:
    reach = np.ceil(2 * sigma).astype(int)
    core = values[tuple(slice(max(v - r, 0), v + r + 1) for v, r in zip(voxel, reach, strict=True))]
    if saturation is not None:
        return bool(core.max() >= saturation)
    return int((core == values.max()).sum()) >= 4
