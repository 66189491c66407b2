r"""Fluorescent beads at known positions, to measure a PSF or a localization.

A bead is a sphere filled evenly, or a point when its diameter is 0. Voxel :math:`k` has its centre at
:math:`k\,\Delta`, so that a position in µm divided by the voxel size is an index. Each part of a bead, at
:math:`p` between two voxel centres, is shared among them as :math:`1 - p/\Delta + k` and :math:`p/\Delta - k`
along each axis. Of all shares that are not negative this is the narrowest that keeps both

.. math:: \sum_k f_k = N \qquad \sum_k k\,\Delta\,f_k = N p

exactly: as many fluorophores, at the exact sub-voxel place. The price is a variance of
:math:`\varepsilon(1-\varepsilon)\Delta^2` with :math:`\varepsilon` the fraction :math:`p/\Delta - k`, which is
:math:`\Delta^2/6` on average. To measure a width better than that, draw the beads on finer voxels.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from course_lib.parameters import Parameter
from course_lib.samples._check import check_shape, check_voxel_size, check_whole
from course_lib.seeding import generator

__all__ = ["Beads", "beads"]

COUNT = Parameter(name="count", default=20, meaning="number of beads", minimum=1)
NUMBERS = (
    Parameter(name="diameter_um", default=0.1, meaning="diameter, 0 for points", unit="µm", minimum=0),
    Parameter(name="spacing_um", default=0.0, meaning="least distance between centres", unit="µm", minimum=0),
    Parameter(name="fluorophores_per_bead", default=1.0, meaning="fluorophores in each bead", minimum=0),
)
POINTS_ACROSS = 16
ATTEMPTS = 500
POINTS_AT_ONCE = 2**20
"""Points of a bead that are worked out in one step, which bounds the memory."""


class Beads(NamedTuple):
    """Beads and where they are.

    Attributes
    ----------
    density : torch.Tensor, shape (y, x) or (z, y, x)
        float32, fluorophores per voxel.
    positions_um : torch.Tensor, shape (count, 2) or (count, 3)
        float64, the centres in the order of the axes; voxel 0 has its centre at 0.
    """

    density: torch.Tensor
    positions_um: torch.Tensor


def _place(
    field_um: torch.Tensor, margin_um: torch.Tensor, count: int, spacing_um: float, rng: torch.Generator
) -> torch.Tensor:
    """Draw centres in the field, moved inside its margin, each at least `spacing_um` from those before it."""
    placed = torch.empty(0, len(field_um), dtype=torch.float64)
    for number in range(count):
        draws = torch.rand(ATTEMPTS, len(field_um), generator=rng, dtype=torch.float64)
        candidates = (field_um * draws).clamp(margin_um, field_um - margin_um)
        free = (torch.cdist(candidates, placed) >= spacing_um).all(1).nonzero()
        if len(free) == 0:
            raise ValueError(
                f"count is {count} and spacing_um is {spacing_um:g}, but only {number} beads found room: "
                f"lower either, or enlarge the field."
            )
        placed = torch.cat([placed, candidates[free[0]]])
    return placed


def _lines(diameter_um: float, voxel_um: torch.Tensor) -> list[torch.Tensor]:
    """Return the coordinates of the parts of a bead along each axis, in µm from its centre."""
    if diameter_um == 0:
        return [torch.zeros(1, dtype=torch.float64)] * len(voxel_um)
    lines = []
    # a grid that divides the voxels, so that the inside of a large bead is even
    for size_um in voxel_um.tolist():
        step_um = size_um / max(2, math.ceil(POINTS_ACROSS * size_um / diameter_um))
        half = math.floor(diameter_um / 2 / step_um)
        lines.append(step_um * torch.arange(-half, half + 1, dtype=torch.float64))
    return lines


def _slabs(diameter_um: float, lines_um: list[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield coordinates along the first axis and the weights of the parts there, a few layers of them at a time."""
    dimensions = len(lines_um)
    if diameter_um == 0:
        yield lines_um[0], torch.ones([1] * dimensions, dtype=torch.float64)
        return
    layer = math.prod(len(line_um) for line_um in lines_um[1:])
    for slab_um in torch.split(lines_um[0], max(1, POINTS_AT_ONCE // layer)):
        rest_um2 = torch.tensor(diameter_um**2 / 4, dtype=torch.float64)
        for axis, line_um in enumerate([slab_um, *lines_um[1:]]):
            rest_um2 = rest_um2 - (line_um**2).reshape(-1, *[1] * (dimensions - 1 - axis))
        # in a plane, a sphere is as dense as it is thick
        yield slab_um, (rest_um2 > 0) * rest_um2.clamp(min=0) ** ((3 - dimensions) / 2)


def _add_parts(image: torch.Tensor, places: list[torch.Tensor], shares: torch.Tensor) -> None:
    """Share parts at `places`, in voxels along each axis, among the voxel centres on both sides of each."""
    window = []
    for place, side in zip(places, image.shape, strict=True):
        first, last = max(0, math.floor(place[0])), min(side, math.floor(place[-1]) + 2)
        tent = (1 - (torch.arange(first, last)[:, None] - place).abs()).clamp(min=0)
        # each axis of the parts becomes, as the last one, an axis of the image
        shares = torch.tensordot(shares, tent, dims=([0], [1]))
        window.append(slice(first, last))
    image[tuple(window)] += shares


def beads(
    shape: Sequence[int],
    *,
    voxel_size_um: Sequence[float],
    count: int = 20,
    diameter_um: float = 0.1,
    spacing_um: float = 0.0,
    fluorophores_per_bead: float = 1.0,
    rng: int | torch.Generator | None,
) -> Beads:
    """Draw beads of one size anywhere in the field, whole, in fluorophores per voxel.

    The same seed gives the same beads for every voxel size that covers the same field, except that a bead at
    its border is moved inside by up to half a voxel, so that none of it is lost.

    Parameters
    ----------
    shape : sequence of int
        (y, x) or (z, y, x) in voxels. In a plane, the beads are seen in projection.
    voxel_size_um : sequence of float
        Side of a voxel in µm along each axis.
    count : int
        Number of beads.
    diameter_um : float
        Diameter of each; 0 makes it a point.
    spacing_um : float
        Least distance between two centres; 0 lets beads overlap.
    fluorophores_per_bead : float
        Fluorophores in each bead: the density sums to `count` times that.
    rng : int, torch.Generator or None
        Seed, generator on the CPU, or None for new beads each time.

    Returns
    -------
    Beads
        The density and the positions in µm, where position divided by voxel size is the index of a voxel.

    Raises
    ------
    ValueError
        If the shape is not (y, x) or (z, y, x), the voxel sizes do not match it, a number is out of range, a
        bead is larger than the field, or the beads do not find room.
    TypeError
        If a side or the count is not a whole number.

    References
    ----------
    R. W. Hockney and J. W. Eastwood, "Computer Simulation Using Particles", McGraw-Hill (1981), chapter 5:
    sharing a particle among the cells of a grid.

    Examples
    --------
    >>> density, positions_um = beads((32, 64, 64), voxel_size_um=(0.2, 0.1, 0.1), count=8, rng=0)
    >>> positions_um.shape
    torch.Size([8, 3])
    >>> round(float(density.sum()), 4)
    8.0
    """
    shape = check_shape(shape)
    voxel_um = torch.tensor(check_voxel_size(voxel_size_um, shape), dtype=torch.float64)
    count = check_whole(COUNT, count)
    for declared, value in zip(NUMBERS, (diameter_um, spacing_um, fluorophores_per_bead), strict=True):
        declared.check(value)
    field_um = voxel_um * torch.tensor(shape)
    if bool((diameter_um > field_um - voxel_um).any()):
        raise ValueError(
            f"diameter_um is {diameter_um:g} µm, but from the first to the last voxel centre the field spans "
            f"{' × '.join(f'{side:g}' for side in (field_um - voxel_um).tolist())} µm: "
            f"enlarge shape, or use smaller beads."
        )
    margin_um = (diameter_um + voxel_um) / 2
    # from the corner of the field, where positions are drawn, to the centre of the first voxel
    positions_um = _place(field_um, margin_um, count, spacing_um, generator(rng)) - voxel_um / 2
    lines_um = _lines(diameter_um, voxel_um)
    total = sum(float(weights.sum()) for _, weights in _slabs(diameter_um, lines_um))
    density = torch.zeros(shape, dtype=torch.float64)
    for slab_um, weights in _slabs(diameter_um, lines_um):
        for position_um in positions_um:
            parts = zip(position_um, [slab_um, *lines_um[1:]], voxel_um, strict=True)
            places = [(middle_um + line_um) / size_um for middle_um, line_um, size_um in parts]
            _add_parts(density, places, fluorophores_per_bead * (weights / total))
    return Beads(density.float(), positions_um)
