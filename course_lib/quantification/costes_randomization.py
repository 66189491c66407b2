r"""Costes' randomization: whether chance alone could give this correlation.

One channel is cut into blocks as large as the point-spread function, which are shuffled. That keeps its brightness and
its structure up to the size of a block, and destroys any relation to the other channel. The share of shuffles whose
correlation is at least that of the images is the p value,

.. math:: p = \frac{1 + \#\{r_k \ge r\}}{1 + n} ,

with the 1, because the images are one of the possible arrangements. It is one-sided: only a correlation *larger* than
by chance makes it small. Shuffled pixels would not do: neighbours are alike because of blur, so that pixels are no
independent witnesses, and shuffled ones correlate far less by chance than blurred images do. Most pairs of unrelated
images whose correlation happens to be positive would then be significant: up to half of all pairs. The same holds for
blocks where structures are larger than a block: choose blocks as large as these. And over a field that is half empty,
cells alone correlate: crop to the inside of one cell.

A small p says that the correlation is no accident, not that it is large.

References
----------
S. V. Costes et al., Biophysical Journal 86 (2004) 3993. The published method smooths shuffled pixels for some images;
here blocks are moved whole. The 1 in p: B. V. North, D. Curtis, P. C. Sham, American Journal of Human Genetics 71
(2002) 439.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from course_lib.parameters import Parameter
from course_lib.quantification._channel_pair import two_channels
from course_lib.seeding import generator
from course_lib.segmentation._check import Array, check_length, check_voxel_size

__all__ = ["CostesRandomization", "costes_randomization"]

REPEATS = Parameter(name="repeats", default=200, meaning="shuffles of the blocks", minimum=1)
FEWEST_BLOCKS = 8
"""Of which there are 40,320 orders."""


@dataclass(frozen=True, eq=False)
class CostesRandomization:
    """A correlation beside those of shuffled blocks.

    Attributes
    ----------
    observed : float
        Pearson's r of the images, over whole blocks.
    shuffled : numpy.ndarray, shape (repeats,)
        Pearson's r with the blocks of the first channel shuffled.
    p_value : float
        Share of arrangements with at least the observed correlation: one-sided.
    blocks : int
        How many there are.
    """

    observed: float
    shuffled: Array
    p_value: float
    blocks: int


def costes_randomization(
    first: torch.Tensor | Array,
    second: torch.Tensor | Array,
    *,
    block_um: float,
    voxel_size_um: Sequence[float],
    repeats: int = 200,
    rng: int | torch.Generator | None,
) -> CostesRandomization:
    """Compare the correlation of two channels with that of shuffled blocks.

    Parameters
    ----------
    first, second : torch.Tensor or numpy.ndarray, shape (y, x) or (z, y, x)
        Two channels of one field, cropped to the inside of a cell, in any unit.
    block_um : float
        Side of a block: at least the full width of the point-spread function, and of the structures. It is rounded up
        to whole voxels along each axis; what is left over at the far borders is not used.
    voxel_size_um : sequence of float
        ([z,] y, x) in µm.
    repeats : int
        How often to shuffle. The smallest p is 1 / (repeats + 1).
    rng : int, torch.Generator or None
        Seed, or generator on the CPU.

    Returns
    -------
    CostesRandomization

    Raises
    ------
    ValueError
        If the shapes differ, values are NaN or infinite, there are fewer than 8 blocks, or a channel is constant.
    TypeError
        If an argument is no array of real numbers.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(3, 64, 64))
    >>> found = costes_randomization(
    ...     noise[0] + noise[1], noise[0] + noise[2], block_um=0.4, voxel_size_um=(0.1, 0.1), rng=0
    ... )
    >>> found.blocks, round(found.observed, 1), round(found.p_value, 3)
    (256, 0.5, 0.005)
    """
    channels = two_channels(first, second)
    sizes = check_voxel_size(voxel_size_um, channels[0].ndim)
    block_um = check_length(block_um, name="block_um", meaning="side of a block")
    REPEATS.check(repeats)
    sides = [max(1, int(np.ceil(block_um / size - 1e-9))) for size in sizes]
    one, other = (
        _standardized(_in_blocks(channel, sides), name)
        for name, channel in zip(("first", "second"), channels, strict=True)
    )
    rng = generator(rng)
    orders = (torch.randperm(len(one), generator=rng).numpy() for _ in range(int(repeats)))
    observed = float(np.vdot(one, other))
    shuffled = np.array([np.vdot(one[order], other) for order in orders])
    at_least = int((shuffled >= observed - 1e-12).sum())
    return CostesRandomization(observed, shuffled, (1 + at_least) / (1 + len(shuffled)), len(one))


def _in_blocks(image: Array, sides: Sequence[int]) -> Array:
    """Return the blocks of an image, shape (blocks, voxels of a block)."""
    counts = [length // side for length, side in zip(image.shape, sides, strict=True)]
    if np.prod(counts) < FEWEST_BLOCKS:
        raise ValueError(
            f"an image of {' × '.join(map(str, image.shape))} voxels has {int(np.prod(counts))} blocks of "
            f"{' × '.join(map(str, sides))}, but needs at least {FEWEST_BLOCKS}: lower block_um or enlarge the field."
        )
    whole = image[tuple(slice(count * side) for count, side in zip(counts, sides, strict=True))]
    split = whole.reshape([length for pair in zip(counts, sides, strict=True) for length in pair])
    dimensions = image.ndim
    ordered = split.transpose([*range(0, 2 * dimensions, 2), *range(1, 2 * dimensions, 2)])
    return np.ascontiguousarray(ordered.reshape(int(np.prod(counts)), -1))


def _standardized(blocks: Array, name: str) -> Array:
    """Take off the mean and divide by the norm: then the product of two is their correlation."""
    centred = blocks - blocks.mean()
    norm = float(np.linalg.norm(centred))
    if blocks.min() == blocks.max():
        raise ValueError(f"{name} is {blocks.flat[0]:g} in every voxel, so that it correlates with nothing: crop anew.")
    return np.asarray(centred / norm)
