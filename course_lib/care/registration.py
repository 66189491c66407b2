r"""Lay one image of a pair exactly over the other.

A network that learns from pairs learns whatever differs between them. If the target is shifted by a pixel, the network
learns to shift, and blurs, because the shift is never quite the same. Cross-correlation finds the whole pixels [1]_,
and a fit the rest: a small shift changes an image by its gradient times the shift, so that the best step is a linear
least squares problem, solved again until nothing is left to move [2]_. Noise matters little, since all pixels vote. But
two images without common structure have a highest peak, too, somewhere: so the quality of the overlap is measured as
well, and a pair that is not one is refused.

References
----------
.. [1] M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup, "Efficient subpixel image registration algorithms", Optics
   Letters 33, 156-158 (2008), doi:10.1364/OL.33.000156.
.. [2] B. D. Lucas, T. Kanade, "An iterative image registration technique with an application to stereo vision", IJCAI
   (1981), 674-679.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from course_lib.axes import check_spatial

__all__ = ["MisregisteredError", "Registration", "register"]

Array = np.ndarray[Any, np.dtype[np.float64]]

LEAST_FADED = 16
"""Sides shorter than this, such as few planes, do not fade."""

BORDER = 4
MOST_STEPS, LONGEST_STEP, PRECISION = 50, 1.0, 0.002
"""Of the sub-pixel fit: how many, and in pixels how long at most, and how short the last."""


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
    >>> [round(one, 1) for one in register(moved, scene).shift]
    [-3.0, 2.0]
    """
    from scipy import ndimage

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
    smooth, drifted_smooth = _smoothed(fixed), _smoothed(drifted)
    found = tuple(map(float, _whole_pixels(drifted_smooth, smooth)))
    for _ in range(MOST_STEPS):
        _check_shift(found, fixed.shape, largest_shift)
        moved = ndimage.shift(drifted_smooth, found, order=3, mode="mirror")
        inner = tuple(map(_inner, found, fixed.shape))
        step = _step(moved[inner], smooth[inner])
        found = tuple(one + part for one, part in zip(found, step, strict=True))
        if max(map(abs, step)) < PRECISION:
            break
    _check_shift(found, fixed.shape, largest_shift)
    laid_over = ndimage.shift(drifted, found, order=3, mode="mirror")
    inside = tuple(map(_overlap, found, fixed.shape))
    common = _smoothed(laid_over)[inside]
    correlation = float(np.corrcoef(common.ravel(), smooth[inside].ravel())[0, 1])
    if correlation < least_correlation:
        raise MisregisteredError(
            f"laid over each other, the images correlate by {correlation:.2f}, less than {least_correlation:g}: they "
            f"show different fields, or one is too faint; look at both, or lower least_correlation."
        )
    image = torch.from_numpy(laid_over).to(moving.device, moving.dtype)
    return Registration(image=image, shift=found, correlation=correlation, inside=inside)


def _whole_pixels(moving: Array, reference: Array) -> tuple[int, ...]:
    """Return by how many pixels `moving` is to be moved: about, because the ends of few planes pull that towards 0."""
    from skimage.registration import phase_cross_correlation

    window = np.ones(reference.shape)
    for axis, side in enumerate(reference.shape):
        if side >= LEAST_FADED:
            fade = np.sqrt(np.hanning(side + 2)[1:-1])
            window *= np.expand_dims(fade, [other for other in range(window.ndim) if other != axis])
    correlate: Any = phase_cross_correlation
    shift = correlate(*((image - image.mean()) * window for image in (reference, moving)), normalization=None)[0]
    return tuple(round(float(one)) for one in shift)


def _step(moving: Array, reference: Array) -> tuple[float, ...]:
    """Return by how much further `moving` is to be moved, to first order: the best fit of its gradients.

    With an offset and a scale that are fitted, too, the reference is a·(moving - Σ step·gradient) + b.
    """
    slopes = [slope.ravel() for slope in np.gradient(moving)]
    columns = np.stack([moving.ravel(), *slopes, np.ones(moving.size)], axis=1)
    fitted = np.linalg.lstsq(columns, reference.ravel(), rcond=None)[0]
    if fitted[0] <= 0:
        return (0.0,) * moving.ndim  # nothing in common: the correlation will say so
    return tuple(float(np.clip(-one / fitted[0], -LONGEST_STEP, LONGEST_STEP)) for one in fitted[1:-1])


def _smoothed(image: Array) -> Array:
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(image, [float(side >= LEAST_FADED) for side in image.shape]))


def _overlap(shift: float, side: int) -> slice:
    """Return what both have seen, to a hundredth of a pixel."""
    return slice(max(0, math.ceil(shift - 0.01)), side + min(0, math.floor(shift + 0.01)))


def _inner(shift: float, side: int) -> slice:
    """Return what both have seen, at least 2 pixels, but for the border, where smoothing sees what lies beyond."""
    seen = _overlap(shift, side)
    margin = BORDER if side >= LEAST_FADED else 0
    start, stop = seen.start + margin, seen.stop - margin
    return slice(start, stop) if stop - start >= 2 else slice(0, side)


def _check_shift(shift: tuple[float, ...], sides: tuple[int, ...], largest: float) -> None:
    if any(abs(one) > min(largest, side / 2) for one, side in zip(shift, sides, strict=True)):
        listed = ", ".join(f"{one:.2f}" for one in shift)
        raise MisregisteredError(
            f"the images are shifted by {listed} pixels, more than {largest:g} or half the image: check that they show "
            f"one field, or raise largest_shift."
        )
