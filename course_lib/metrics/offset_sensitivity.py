r"""What a restoration makes of a constant: the same image, brighter by the same amount everywhere.

A camera adds an offset to every pixel. It is no light, and if it is left in the image, a restoration :math:`R` should
carry it through unchanged,

.. math:: R(y + c) - c = R(y) .

Every linear filter whose weights sum to 1 does. A network does not: it learned how grainy a dark background is and how
grainy 50 photons are, and with an offset the background looks like 50 photons that have far too little noise. How far
the two sides differ tells what a forgotten, or a changed, offset costs. No truth is needed.
"""

import math
from collections.abc import Callable

import torch

from course_lib.axes import check_spatial
from course_lib.metrics._check import double

__all__ = ["offset_sensitivity"]


def offset_sensitivity(
    restore: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor, *, offset: float, dimensions: int = 2
) -> torch.Tensor:
    """Return by how much a restoration changes when a constant is added before and taken away after.

    Parameters
    ----------
    restore : callable
        Takes an image and returns the restored one, of the same shape and in the same unit.
    image : torch.Tensor, shape (..., [Z,] Y, X)
        The recorded image, floating point, any unit.
    offset : float
        The constant, in the unit of the image; not 0. A fifth of the brightness is a hard test, a change of one or two
        ADU a realistic one.
    dimensions : {2, 3}
        How many of the last axes make up one image.

    Returns
    -------
    torch.Tensor, shape (...)
        Root-mean-square change, one number an image, in its unit; 0 for a restoration that carries constants through.

    Raises
    ------
    ValueError
        If a value is not finite, `offset` is 0 or not finite, or `restore` returns another shape.

    References
    ----------
    M. Weigert et al., "Content-aware image restoration", Nature Methods 15 (2018) 1090 (why images are normalized).

    Examples
    --------
    >>> noisy = torch.poisson(torch.full((64, 64), 9.0), generator=torch.Generator().manual_seed(0))
    >>> blur = torch.nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    >>> mean_of_nine = lambda y: blur(y[None])[0]
    >>> print(f"{offset_sensitivity(mean_of_nine, noisy, offset=5.0):.2f} photons")
    0.00 photons
    >>> of_the_roots = lambda y: mean_of_nine(y.sqrt()) ** 2  # depends on how grainy 9 photons are
    >>> print(f"{offset_sensitivity(of_the_roots, noisy, offset=5.0):.2f} photons")
    0.11 photons
    """
    if dimensions not in (2, 3):
        raise ValueError(f"dimensions is {dimensions}, but must be 2 (images) or 3 (stacks).")
    check_spatial(image, dimensions, name="image")
    if not math.isfinite(offset) or offset == 0:
        raise ValueError(f"offset is {offset:g}, but must be finite and not 0: what is added to every pixel.")
    before, after = restore(image.clone()), restore(image + offset)
    for answer in (before, after):
        if answer.shape != image.shape:
            raise ValueError(
                f"restore returned shape {tuple(answer.shape)} for an image of shape {tuple(image.shape)}, but both "
                f"must be the same."
            )
        if not bool(answer.isfinite().all()):
            raise ValueError("restore returned values that are NaN or infinite: mend it, or look at what it was given.")
    change = double(after) - offset - double(before)
    return change.square().mean(dim=tuple(range(-dimensions, 0))).sqrt()
