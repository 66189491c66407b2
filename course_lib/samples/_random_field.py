r"""A smooth random field that is the same in µm on every grid.

It is a sum of cubic B-splines, one at each knot along each axis, with normal deviates as coefficients. Where the
voxels are coarse, each spline is averaged over them, so that grain finer than a voxel fades as it would in an image.
A cubic B-spline and those at all other knots have squares that sum to :math:`151/315` on average, by which the
variance of the field becomes 1 per axis.
"""

import math
from collections.abc import Sequence

import torch

__all__ = ["random_field"]

SPLINE_NORM = math.sqrt(151 / 315)
PARTS = (torch.arange(8) + 0.5) / 8 - 0.5


def random_field(
    grid_um: Sequence[torch.Tensor],
    field_um: Sequence[float],
    *,
    step_um: Sequence[float],
    grain_um: float,
    rng: torch.Generator,
) -> torch.Tensor:
    """Return normal deviates that are smooth over `grain_um`, of variance 1 on a grid finer than that.

    Parameters
    ----------
    grid_um : sequence of torch.Tensor
        Coordinates of the points along each axis, from 0 to the side of the field.
    field_um : sequence of float
        Sides of the field.
    step_um : sequence of float
        Extent of a voxel along each axis, over which the field is averaged.
    grain_um : float
        Distance of the knots.
    rng : torch.Generator
        Source of the deviates.

    Returns
    -------
    torch.Tensor
        float32, one side for each axis.

    Examples
    --------
    >>> line_um = torch.linspace(0, 10, 1000)
    >>> random_field([line_um], [10.0], step_um=[0.01], grain_um=1.0, rng=torch.Generator().manual_seed(0)).shape
    torch.Size([1000])
    """
    # a field of a whole number of grains must not gain a knot by rounding
    knots = [math.ceil(side / grain_um - 1e-4) + 3 for side in field_um]
    values = torch.randn(knots, generator=rng)
    for line_um, number, step in zip(grid_um, knots, step_um, strict=True):
        points_um = line_um[:, None, None] + step * PARTS
        distance = (points_um / grain_um + 1 - torch.arange(number)[:, None]).abs()
        near = 2 / 3 - distance**2 + distance**3 / 2
        far = (2 - distance).clamp(min=0) ** 3 / 6
        spline = torch.where(distance < 1, near, far).mean(-1)
        values = torch.tensordot(values, spline / SPLINE_NORM, dims=([0], [1]))
    return values
