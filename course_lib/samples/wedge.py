"""A step wedge: flat bands from dark to bright, the test chart of a photon transfer."""

from collections.abc import Sequence

import torch

from course_lib.parameters import Parameter
from course_lib.samples._check import check_shape, check_whole

__all__ = ["wedge"]


def wedge(shape: Sequence[int], *, levels: int) -> torch.Tensor:
    """Return `levels` vertical bands of constant brightness, in equal steps from 0 (left) to 1 (right).

    Parameters
    ----------
    shape : sequence of int
        (y, x) or (z, y, x) in pixels.
    levels : int
        Number of bands, from 2 to the width in pixels; their widths differ by at most one pixel.

    Returns
    -------
    torch.Tensor, shape `shape`
        float32; band k of K is exactly k / (K - 1), from 0 to 1.

    Raises
    ------
    ValueError
        If the shape is not (y, x) or (z, y, x), or there are fewer than 2 bands or more than columns.

    References
    ----------
    J. R. Janesick, "Photon Transfer", SPIE Press (2007).

    Examples
    --------
    >>> wedge((1, 6), levels=3)
    tensor([[0.0000, 0.0000, 0.5000, 0.5000, 1.0000, 1.0000]])
    >>> photons = 10 ** (4 * wedge((64, 80), levels=5))  # equal steps on a logarithmic axis: 1 to 10,000
    """
    shape = check_shape(shape)
    width = shape[-1]
    if width < 2:
        raise ValueError(f"shape is {shape}, but a wedge needs at least 2 columns: pass a wider shape.")
    declared = Parameter(
        name="levels",
        default=2,
        meaning="number of bands, each at least one column",
        minimum=2,
        maximum=width,
    )
    levels = check_whole(declared, levels)
    band = torch.arange(width) * levels // width
    return (band / (levels - 1)).expand(shape).clone()
