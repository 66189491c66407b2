r"""Amplitude of a pattern that repeats every two pixels, as networks leave it that halve the grid and come back.

Where a network rises from a coarser grid by a transposed convolution, the pixels between the coarse ones get their
value from another number of terms than those upon them [1]_; and a blind-spot network guesses each pixel without its
own value, so that neighbours need not agree [2]_. Either way even and odd pixels differ. The pattern has three parts,

.. math:: c_{10}(-1)^x + c_{01}(-1)^y + c_{11}(-1)^{x+y} ,

columns, rows, and the chessboard proper. Each is multiplied by its own sign pattern, which makes it a constant, and
everything that is smooth a pattern; a mean over a block then keeps the one and drops the other. First a second
difference :math:`(1, -2, 1)/4` along the axes of alternation, whose gain is 1 for the pattern, removes slopes, too.
What is returned is the root of the mean over the blocks of :math:`c_{10}^2 + c_{01}^2 + c_{11}^2`, so that a pattern
whose sign changes from place to place is found as well.

No optics can answer for it: sampled by Nyquist's rule, an image has no signal at a period of two pixels. White noise
of standard deviation :math:`\sigma` has such a part by chance, a little less than :math:`\sqrt 3\,\sigma/B` for blocks
of :math:`B \times B` pixels. So the raw image tells how much is usual, and a restoration should have far less.

References
----------
.. [1] A. Odena, V. Dumoulin, C. Olah, "Deconvolution and checkerboard artifacts", Distill (2016),
   doi:10.23915/distill.00003.
.. [2] E. Höck, T.-O. Buchholz, A. Brachmann, F. Jug, A. Freytag, "N2V2 - fixing Noise2Void checkerboard artifacts with
   modified sampling strategies and a tweaked network architecture", ECCV Workshops (2022),
   doi:10.1007/978-3-031-25069-9_33.
"""

import torch

from course_lib.axes import check_spatial
from course_lib.metrics._check import double
from course_lib.parameters import Parameter

__all__ = ["chessboard"]


def chessboard(image: torch.Tensor, *, block_px: int = 16) -> torch.Tensor:
    """Return the amplitude of what repeats every two pixels, in the unit of the image.

    Parameters
    ----------
    image : torch.Tensor, shape (..., Y, X)
        Restored image, floating point, any unit; or the raw one, to compare. Sampled by Nyquist's rule: where pixels
        are larger, fine structure counts as pattern.
    block_px : int
        Rows and columns of a block, even. Larger blocks hear less noise, but lose a pattern whose sign changes within.

    Returns
    -------
    torch.Tensor, shape (...)
        One number an image, 0 for any plane.

    Raises
    ------
    ValueError
        If a value is not finite, `block_px` is odd or below 4, or the image is smaller than a block and its rim of one
        pixel.

    Examples
    --------
    >>> y, x = torch.meshgrid(torch.arange(66.0), torch.arange(66.0), indexing="ij")
    >>> round(float(chessboard(10 + 0.3 * x + 2 * (-1) ** (x + y))), 6)
    2.0
    >>> white = torch.randn(514, 514, generator=torch.Generator().manual_seed(0))
    >>> print(f"{chessboard(white):.2f}")  # √3/16 is 0.11
    0.10
    """
    check_spatial(image, 2, name="image")
    Parameter(name="block_px", default=16, meaning="rows and columns of a block", unit="px", minimum=4).check(block_px)
    if block_px % 2:
        raise ValueError(f"block_px is {block_px}, but must be even: a block holds as many even as odd pixels.")
    height, width = image.shape[-2:]
    if min(height, width) < block_px + 2:
        raise ValueError(
            f"image has shape {tuple(image.shape)}, but must have at least {block_px + 2} rows and columns: a block of "
            f"{block_px} pixels and its rim; pass a smaller block_px."
        )
    image = double(image)
    down = _alternation(image, axis=-2)
    both = _alternation(down, axis=-1)
    across = _alternation(image, axis=-1)[..., 1:-1, :]
    squares = [_block_means(part, block_px).square() for part in (down[..., :, 1:-1], across, both)]
    return torch.stack(squares).sum(dim=0).mean(dim=(-2, -1)).sqrt()


def _alternation(image: torch.Tensor, *, axis: int) -> torch.Tensor:
    """Return the second difference along an axis, over four and with alternating sign; shorter by the two ends."""
    inner = image.movedim(axis, -1)
    difference = (inner[..., :-2] - 2 * inner[..., 1:-1] + inner[..., 2:]) / 4
    signs = 1 - 2 * (torch.arange(difference.shape[-1], device=image.device) % 2).to(image)
    return (difference * signs).movedim(-1, axis)


def _block_means(image: torch.Tensor, side: int) -> torch.Tensor:
    """Return the means over whole blocks, (..., rows of blocks, columns of blocks)."""
    rows, columns = (length // side for length in image.shape[-2:])
    whole = image[..., : rows * side, : columns * side]
    return whole.reshape(*image.shape[:-2], rows, side, columns, side).mean(dim=(-3, -1))
