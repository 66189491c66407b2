r"""Random curved filaments, like a cytoskeleton.

Each filament is a worm-like chain: its direction :math:`t` turns at random from step to step, and after
an arc length :math:`s` remembers where it was heading by

.. math:: \langle t(0) \cdot t(s) \rangle = e^{-s/P}

with the persistence length :math:`P`. To reach that with steps :math:`h` in :math:`D` dimensions, a normal
deviate of variance :math:`2h / ((D-1)P)` is added to each component of :math:`t`, and :math:`t` made a unit
vector again. Across, the filament is a Gaussian. One ball of that Gaussian for each step, the steps as long
as its standard deviation :math:`\sigma`, adds up to a tube: an endless row of whole balls would be even to a few parts
in :math:`10^9`. Every ball is integrated over each voxel with error functions, so that the edges are smooth and the
fluorophores are the same in number, however coarse the voxels. The numbers here are float32, and a ball ends where it
is beyond :math:`4\sigma` and one voxel on either side, with at most 6 parts in :math:`10^5` of it outside along each
axis; the tube is even to that.
"""

import math
from collections.abc import Sequence

import torch

from course_lib.parameters import Parameter
from course_lib.samples._check import check_shape, check_voxel_size, check_whole, fluorophores_per_voxel
from course_lib.seeding import generator

__all__ = ["filaments", "worm_like_chains"]

FWHM_PER_SIGMA = math.sqrt(8 * math.log(2))
COUNT = Parameter(name="count", default=40, meaning="number of filaments", minimum=1)
LENGTHS = (
    Parameter(name="length_um", default=15.0, meaning="length of a filament", unit="µm", minimum=1e-3),
    Parameter(name="diameter_um", default=0.2, meaning="full width at half maximum", unit="µm", minimum=1e-3),
    Parameter(name="persistence_um", default=15.0, meaning="persistence length", unit="µm", minimum=1e-3),
)
VOXELS_AT_ONCE = 2**20
"""Voxels of all balls that are added in one step, which bounds the memory."""


def worm_like_chains(
    start: torch.Tensor,
    direction: torch.Tensor,
    *,
    steps: int,
    step: float,
    persistence: float,
    rng: torch.Generator,
) -> torch.Tensor:
    """Walk from each start with a slowly turning direction.

    Parameters
    ----------
    start, direction : torch.Tensor, shape (count, D)
        Where each chain begins and where it heads, D = 2 or 3; directions need not be unit vectors.
    steps : int
        Points of each chain.
    step, persistence : float
        Distance between points, and persistence length, in one unit.
    rng : torch.Generator
        Source of the turns.

    Returns
    -------
    torch.Tensor, shape (count, steps, D)

    Examples
    --------
    >>> start, right = torch.zeros(1, 2), torch.tensor([[0.0, 1.0]])
    >>> chains = worm_like_chains(start, right, steps=3, step=1.0, persistence=1e9, rng=generator(0))
    >>> chains[0, :, 1]
    tensor([0., 1., 2.])
    """
    count, dimensions = start.shape
    turn = math.sqrt(2 * step / ((dimensions - 1) * persistence))
    turns = turn * torch.randn(steps, count, dimensions, generator=rng)
    points = [start]
    for deviate in turns[1:]:
        direction = torch.nn.functional.normalize(direction, dim=-1)
        points.append(points[-1] + step * direction)
        direction = direction + deviate
    return torch.stack(points, dim=1)


def _reach(sigma: float) -> int:
    """Return how many voxels a ball reaches to either side of the one with its centre."""
    return math.ceil(4 * sigma) + 1


def _ball_in_voxels(centres: torch.Tensor, sigma: float, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the share of each unit Gaussian in the voxels of the field near it along one axis, and their indices."""
    reach = _reach(sigma)
    middles = centres.floor().long()[:, None]
    width = min(2 * reach + 1, side)
    voxels = (middles - reach).clamp(0, side - width) + torch.arange(width)
    left = (voxels - centres[:, None]) / (math.sqrt(2) * sigma)
    right = (voxels + 1 - centres[:, None]) / (math.sqrt(2) * sigma)
    share = (torch.erf(right) - torch.erf(left)) / 2
    return share * ((voxels - middles).abs() <= reach), voxels


def _add_balls(image: torch.Tensor, centres: torch.Tensor, sigmas: Sequence[float]) -> None:
    """Add a unit Gaussian at each of `centres` (n, D), both in voxels, to `image`."""
    reaches = torch.tensor([_reach(sigma) for sigma in sigmas])
    middles = centres.floor()
    touches = ((middles >= -reaches) & (middles < torch.tensor(image.shape) + reaches)).all(1)
    ball = math.prod(min(2 * _reach(sigma) + 1, side) for sigma, side in zip(sigmas, image.shape, strict=True))
    for near in torch.split(centres[touches], max(1, VOXELS_AT_ONCE // ball)):
        shares = torch.ones(len(near), 1)
        indices = torch.zeros(len(near), 1, dtype=torch.long)
        for axis, side in enumerate(image.shape):
            share, index = _ball_in_voxels(near[:, axis], sigmas[axis], side)
            shares = (shares[:, :, None] * share[:, None, :]).flatten(1)
            indices = (indices[:, :, None] * side + index[:, None, :]).flatten(1)
        image.view(-1).index_add_(0, indices.flatten(), shares.flatten())


def filaments(
    shape: Sequence[int],
    *,
    voxel_size_um: Sequence[float],
    count: int = 40,
    length_um: float = 15.0,
    diameter_um: float = 0.2,
    persistence_um: float = 15.0,
    fluorophores_per_um3: float | None = None,
    rng: int | torch.Generator | None,
) -> torch.Tensor:
    """Draw random curved filaments, by default as density relative to that on the axis of one.

    The same seed gives the same filaments in µm for every voxel size that covers the same field. They start
    anywhere in the field, most lie along its longer sides as in a flat cell, and they end at its borders.

    Parameters
    ----------
    shape : sequence of int
        (y, x) or (z, y, x) in voxels.
    voxel_size_um : sequence of float
        Side of a voxel in µm along each axis.
    count : int
        Number of filaments.
    length_um : float
        Length of each.
    diameter_um : float
        Full width at half maximum of their Gaussian cross-section.
    persistence_um : float
        Length over which they keep their direction: small is curly, large is straight.
    fluorophores_per_um3 : float or None
        Fluorophores on the axis of a filament, to get fluorophores per voxel (per µm² in a plane); None for
        the mean density in each voxel relative to 1 on that axis.
    rng : int, torch.Generator or None
        Seed, generator on the CPU, or None for new filaments each time.

    Returns
    -------
    torch.Tensor, shape `shape`
        float32, at least 0. Relative, a filament peaks at 1 where voxels are much finer than its diameter, and lower
        where a voxel averages over it; where filaments cross, they add up, so that some voxels exceed 1.

    Raises
    ------
    ValueError
        If the shape is not (y, x) or (z, y, x), the voxel sizes do not match it, or a number is out of range.
    TypeError
        If a side or the count is not a whole number.

    References
    ----------
    O. Kratky and G. Porod, "Röntgenuntersuchung gelöster Fadenmoleküle", Recueil des Travaux Chimiques des
    Pays-Bas 68 (1949) 1106.

    Examples
    --------
    >>> cell = filaments((24, 64, 64), voxel_size_um=(0.2, 0.065, 0.065), rng=0)
    >>> cell.shape
    torch.Size([24, 64, 64])
    """
    shape = check_shape(shape)
    voxel_size_um = check_voxel_size(voxel_size_um, shape)
    voxel = torch.tensor(voxel_size_um)
    count = check_whole(COUNT, count)
    for declared, value in zip(LENGTHS, (length_um, diameter_um, persistence_um), strict=True):
        declared.check(value)
    rng = generator(rng)
    dimensions = len(shape)
    field_um = voxel * torch.tensor(shape)
    sigma_um = diameter_um / FWHM_PER_SIGMA

    chains_um = worm_like_chains(
        field_um * torch.rand(count, dimensions, generator=rng),
        field_um * torch.randn(count, dimensions, generator=rng),
        steps=max(1, round(length_um / sigma_um)),
        step=sigma_um,
        persistence=persistence_um,
        rng=rng,
    )
    image = torch.zeros(shape)
    for chain_um in chains_um:
        _add_balls(image, chain_um / voxel, (sigma_um / voxel).tolist())
    # one ball a sigma sums to a tube of density 1 on its axis when each weighs (√2π)^(D-1) σ^D
    weight_um = math.sqrt(2 * math.pi) ** (dimensions - 1) * sigma_um**dimensions
    volume_um = float(voxel.prod())
    return fluorophores_per_voxel(image * (weight_um / volume_um), voxel_size_um, fluorophores_per_um3)
