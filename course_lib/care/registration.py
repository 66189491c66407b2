r"""Lay one image of a pair exactly over the other.

A network that learns from pairs learns whatever differs between them. If the target is shifted by a pixel, the network
learns to shift, and blurs, because the shift is never quite the same. Phase correlation finds the shift: the Fourier
transforms of an image and of its shifted copy differ by a phase, :math:`e^{-2\pi i k \cdot s}`, whose transform is a
peak at :math:`s`; evaluated on a finer grid around the peak, it gives hundredths of a pixel [1]_. Noise matters little,
since all pixels vote. But two images without common structure have a highest peak, too, somewhere: so the quality of
the overlap is measured as well, and a pair that is not one is refused.

References
----------
.. [1] M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup, "Efficient subpixel image registration algorithms", Optics
   Letters 33, 156-158 (2008), doi:10.1364/OL.33.000156.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from course_lib.axes import check_spatial

__all__ = ["MisregisteredError", "Registration", "register"]

Array = np.ndarray[Any, np.dtype[np.float64]]

LEAST_FADED = 16
"""Sides shorter than this, such as few planes, do not fade."""

FINENESS = 50
"""Steps of a pixel in which the shift is found."""


class MisregisteredError(ValueError):
    """Two images do not show the same field; the message gives the evidence."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """How two images of a pair lay to each other.

    Attributes
    ----------
    image : torch.Tensor
        The moving image, laid over the reference; what was outside its field is mirrored.
    shift : tuple of float
        By how many pixels it was moved, along each spatial axis.
    correlation : float
        Pearson's correlation of the two, both smoothed by one pixel, where both were recorded: the quality of the pair.
    inside : tuple of slice
        The part where both were recorded: cut patches there.
    """

    image: torch.Tensor
    shift: tuple[float, ...]
    correlation: float
    inside: tuple[slice, ...]


def register(
    moving: torch.Tensor, reference: torch.Tensor, *, largest_shift: float = 20.0, least_correlation: float = 0.3
) -> Registration:
    """Find the shift of `moving` against `reference` to a few hundredths of a pixel, and undo it.

    Parameters
    ----------
    moving, reference : torch.Tensor
        One field, recorded twice, shape (y, x) or (z, y, x), in any unit. Give the clean image as `moving`: it is
        interpolated, which would smooth the noise of the other.
    largest_shift : float
        In pixels; a larger one is no drift but a mistake.
    least_correlation : float
        A lower one is refused. A faint recording correlates little even with itself: lower it for those.

    Returns
    -------
    Registration

    Raises
    ------
    MisregisteredError
        If the shift is too large, or the images have too little in common.
    ValueError
        If shapes differ or values are not finite.

    Examples
    --------
    >>> from course_lib import samples
    >>> scene = samples.filaments((64, 64), voxel_size_um=(0.1, 0.1), count=12, rng=0)
    >>> moved = scene.roll((3, -2), dims=(0, 1))
    >>> register(moved, scene).shift
    (-3.0, 2.0)
    """
    for name, image in (("moving", moving), ("reference", reference)):
        check_spatial(image, 2, name=name)
        if image.ndim > 3:
            raise ValueError(
                f"{name} has shape {tuple(image.shape)}, but one image or stack is needed: loop over others."
            )
    if moving.shape != reference.shape:
        raise ValueError(
            f"moving has shape {tuple(moving.shape)}, reference {tuple(reference.shape)}: crop both to one field."
        )
    fixed, drifted = (image.detach().cpu().numpy().astype(np.float64) for image in (reference, moving))
    for name, values in (("moving", drifted), ("reference", fixed)):
        if values.min() == values.max():
            raise MisregisteredError(f"{name} is constant, {values.min():g} everywhere: there is nothing to register.")
    smooth, drifted_smooth = (ndimage.gaussian_filter(values, 1.0) for values in (fixed, drifted))
    whole = tuple(round(one) for one in _shift(drifted_smooth, smooth, fineness=1))
    _check_shift(whole, fixed.shape, largest_shift)
    overlap = tuple(map(_overlap, whole, fixed.shape))
    rest = _shift(
        drifted_smooth[tuple(there for _, there in overlap)],
        smooth[tuple(here for here, _ in overlap)],
        fineness=FINENESS,
    )
    found = tuple(pixels + part for pixels, part in zip(whole, rest, strict=True))
    _check_shift(found, fixed.shape, largest_shift)
    laid_over = ndimage.shift(drifted, found, order=3, mode="mirror")
    inside = tuple(
        slice(max(0, int(np.ceil(one))), side + min(0, int(np.floor(one))))
        for one, side in zip(found, fixed.shape, strict=True)
    )
    common = ndimage.gaussian_filter(laid_over, 1.0)[inside]
    correlation = float(np.corrcoef(common.ravel(), smooth[inside].ravel())[0, 1])
    if correlation < least_correlation:
        raise MisregisteredError(
            f"laid over each other, the images correlate by {correlation:.2f}, less than {least_correlation:g}: they "
            f"show different fields, or one is too faint; look at both, or lower least_correlation."
        )
    image = torch.from_numpy(laid_over).to(moving.device, moving.dtype)
    return Registration(image=image, shift=found, correlation=correlation, inside=inside)


def _shift(moving: Array, reference: Array, *, fineness: int) -> tuple[float, ...]:
    """Return by how much `moving` is to be moved.

    Images fade to 0 towards their borders, where one has what the other lacks. The fading stays in place, and so pulls
    a large shift towards 0 by about 1 %: that is why whole pixels are taken off first.
    """
    window = np.ones(reference.shape)
    for axis, side in enumerate(reference.shape):
        if side >= LEAST_FADED:
            fade = np.sqrt(np.hanning(side + 2)[1:-1])
            window *= np.expand_dims(fade, [other for other in range(window.ndim) if other != axis])
    ready = [(image - image.mean()) * window for image in (reference, moving)]
    found: Any = phase_cross_correlation
    shift = found(*ready, upsample_factor=fineness, normalization=None)[0]
    return tuple(float(one) + 0.0 for one in shift)


def _overlap(shift: int, side: int) -> tuple[slice, slice]:
    """Return what is seen by both, in the reference and in the moving image."""
    return slice(max(0, shift), side + min(0, shift)), slice(max(0, -shift), side + min(0, -shift))


def _check_shift(shift: tuple[float, ...], sides: tuple[int, ...], largest: float) -> None:
    if any(abs(one) > min(largest, side / 2) for one, side in zip(shift, sides, strict=True)):
        listed = ", ".join(f"{one:.2f}" for one in shift)
        raise MisregisteredError(
            f"the images are shifted by {listed} pixels, more than {largest:g} or half the image: check that they show "
            f"one field, or raise largest_shift."
        )
