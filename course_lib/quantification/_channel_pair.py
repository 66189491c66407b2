"""Two channels of one field, as every measure of colocalization wants them."""

import numpy as np
import torch

from course_lib.segmentation._check import Array, Mask, check_image, check_mask, check_same_shape

__all__ = ["chosen_pixels", "two_channels"]


def two_channels(first: torch.Tensor | Array, second: torch.Tensor | Array) -> tuple[Array, Array]:
    """Return two channels as float64 arrays; raise unless they are finite and of one shape, (y, x) or (z, y, x).

    Examples
    --------
    >>> two_channels(torch.ones(2, 2), torch.ones(2, 3))
    Traceback (most recent call last):
    ValueError: first has shape (2, 2), but the second (2, 3): take both from the same field and crop.
    """
    one, other = check_image(first, name="first"), check_image(second, name="second")
    check_same_shape(one, other, name="first", other_name="second")
    return one.astype(float), other.astype(float)


def chosen_pixels(image: Array, mask: torch.Tensor | Array | None) -> Mask:
    """Return which pixels count: all, or those of a mask; raise unless at least 3 do.

    Examples
    --------
    >>> chosen_pixels(np.zeros((1, 3)), None)
    array([[ True,  True,  True]])
    """
    if mask is None:
        chosen = np.ones(image.shape, np.bool_)
    else:
        chosen = check_mask(mask)
        check_same_shape(chosen, image, name="mask", other_name="image")
    if chosen.sum() < 3:
        raise ValueError(
            f"{int(chosen.sum())} pixels are chosen, but a correlation needs at least 3: enlarge the image or the mask."
        )
    return chosen
