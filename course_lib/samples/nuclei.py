r"""Cell nuclei with their labels: the truth of a segmentation.

A nucleus is an ellipsoid whose radius waves with the direction :math:`u` seen from its centre,

.. math:: R(u) = \frac{1 + \sum_k a_k \cos(w_k \cdot u + \varphi_k)}{|A^{-1} u|}

with :math:`A` the matrix of its semi-axes. A point at distance :math:`\rho` from the centre is :math:`R - \rho`
deep. Where two nuclei press against each other, a point belongs to the one in which it lies deeper: they touch
along a smooth face, never overlap, and keep a thin dark gap between them.

Chromatin is a random field: cubic B-splines with normal deviates as coefficients, one set of coarse grain and
one of fine, and its exponential is the density. To that come a bright rim under the envelope and dark, round
nucleoli. All of it is laid out in µm and averaged over each voxel, so that a field of view holds the same
nuclei for every voxel size.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from course_lib.parameters import Parameter
from course_lib.samples._check import check_shape, check_voxel_size, check_whole, fluorophores_per_voxel
from course_lib.samples._random_field import random_field
from course_lib.seeding import generator

__all__ = ["Nuclei", "nuclei"]

COUNT = Parameter(name="count", default=20, meaning="number of nuclei", minimum=1)
NUMBERS = (
    Parameter(name="diameter_um", default=10.0, meaning="mean diameter in y and x", unit="µm", minimum=0.1),
    Parameter(name="height_ratio", default=0.6, meaning="height over diameter", minimum=0.2, maximum=2.0),
    Parameter(name="touching", default=0.4, meaning="share set against another nucleus", minimum=0, maximum=1),
    Parameter(name="dividing", default=0.0, meaning="chance that a nucleus divides", minimum=0, maximum=1),
    Parameter(name="texture", default=1.0, meaning="contrast of the chromatin", minimum=0, maximum=1.25),
)
SIZE_SPREAD, BRIGHTNESS_SPREAD, MOST_ELONGATED = 0.12, 0.25, 1.6
CLOSEST = 0.92  # distance of two centres over the sum of their radii
ATTEMPTS = 200
PLATE, PLATE_WAVINESS = 0.35, 0.12  # thickness of a dividing nucleus over its diameter
WAVES, WAVE_NUMBER, WAVINESS = 6, 2.2, 0.035
NUCLEOLI = 3
MOST_POINTS, BYTES_PER_POINT = 2**27, 40  # 5 GB
# lengths as shares of the diameter
GAP, FINEST = 0.03, 0.05
RIM, RIM_CONTRAST = 0.03, 0.6
NUCLEOLUS, NUCLEOLUS_EDGE, NUCLEOLUS_CONTRAST = 0.16, 0.02, 0.7
GRAINS_AND_CONTRASTS = ((0.035, 0.35), (0.12, 0.3))


class Nuclei(NamedTuple):
    """Nuclei, and which of them each voxel belongs to.

    Attributes
    ----------
    density : torch.Tensor, shape (y, x) or (z, y, x)
        float32, 0 outside the nuclei.
    labels : torch.Tensor, same shape
        int32, 0 outside, 1 to `count` inside.
    """

    density: torch.Tensor
    labels: torch.Tensor


class _Ellipsoids(NamedTuple):
    """Ellipsoids that lie flat: semi-axes (n, 3) in µm, the first along z, the others turned by `angle` (n)."""

    radii_um: torch.Tensor
    angle: torch.Tensor

    def take(self, which: slice | torch.Tensor) -> "_Ellipsoids":
        """Return some of them."""
        return _Ellipsoids(self.radii_um[which], self.angle[which])

    def turned(self, y: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the components of (y, x) along the second and third axis of each."""
        cos, sin = self.angle.cos(), self.angle.sin()
        return cos * y + sin * x, cos * x - sin * y

    def radius_um(self, direction: torch.Tensor) -> torch.Tensor:
        """Return the radius of each along unit vectors (3, ..., n) in the order z, y, x."""
        second, third = self.turned(direction[1], direction[2])
        first_um, second_um, third_um = self.radii_um.unbind(1)
        squares = (direction[0] / first_um) ** 2 + (second / second_um) ** 2 + (third / third_um) ** 2
        return squares.rsqrt()


def _ellipsoids(divides: torch.Tensor, diameter_um: float, height_ratio: float, rng: torch.Generator) -> _Ellipsoids:
    """Draw sizes, elongations and angles; those that divide are plates."""
    count = len(divides)
    size_um = diameter_um / 2 * (1 + SIZE_SPREAD * torch.randn(count, generator=rng).clamp(-2.5, 2.5))
    stretch = (1 + (MOST_ELONGATED - 1) * torch.rand(count, generator=rng)).sqrt()
    radii_um = torch.stack([size_um * height_ratio, size_um * stretch, size_um / stretch], dim=1)
    radii_um[:, 2] *= torch.where(divides, PLATE, 1.0)
    return _Ellipsoids(radii_um, 2 * math.pi * torch.rand(count, generator=rng))


def _place(bodies: _Ellipsoids, field_um: Sequence[float], touching: float, rng: torch.Generator) -> torch.Tensor:
    """Return centres (n, 3) in µm, no two closer than their ellipsoids allow.

    They lie anywhere in y and x, so that the field cuts some nuclei; in z, nuclei are whole where that fits.
    """
    count = len(bodies.angle)
    centres_um = torch.empty(0, 3)
    for number in range(count):
        new, old = bodies.take(slice(number, number + 1)), bodies.take(slice(number))
        low_um = torch.tensor([min(float(new.radii_um[0, 0]), field_um[0] / 2), 0.0, 0.0])
        high_um = torch.tensor(field_um) - low_um
        candidates_um = low_um + (high_um - low_um) * torch.rand(ATTEMPTS, 3, generator=rng)
        angle = 2 * math.pi * torch.rand(ATTEMPTS, generator=rng)
        neighbour = (number * torch.rand(ATTEMPTS, generator=rng)).long()
        if float(torch.rand(1, generator=rng)) < touching and number > 0:
            direction = torch.stack([torch.zeros(ATTEMPTS), angle.sin(), angle.cos()])
            reach_um = CLOSEST * (new.radius_um(direction) + bodies.take(neighbour).radius_um(direction))
            beside_um = centres_um[neighbour] + 1.001 * (reach_um * direction).T
            in_field = ((beside_um >= low_um) & (beside_um <= high_um)).all(1)
            candidates_um = torch.cat([beside_um[in_field], candidates_um])
        apart_um = candidates_um.T[:, :, None] - centres_um.T[:, None]
        distance_um = apart_um.square().sum(0).sqrt()
        direction = apart_um / distance_um
        free = (distance_um >= CLOSEST * (new.radius_um(direction) + old.radius_um(direction))).all(1).nonzero()
        if len(free) == 0:
            raise ValueError(
                f"count is {count}, but only {number} nuclei found room in a field of "
                f"{' × '.join(f'{side:.4g}' for side in field_um if side)} µm: "
                f"lower count or diameter_um, or enlarge the field."
            )
        centres_um = torch.cat([centres_um, candidates_um[free[0]]])
    return centres_um


def _points_near(
    body: _Ellipsoids, centre_um: torch.Tensor, grid_um: Sequence[torch.Tensor], scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the grid points in an ellipsoid made larger by `scale`: flat indices, and places (3, m) on its axes."""
    reach_um = scale * body.radii_um.amax()
    starts, lines = [], []
    for line_um, middle_um in zip(grid_um, centre_um, strict=True):
        first, last = torch.searchsorted(line_um, torch.stack([middle_um - reach_um, middle_um + reach_um])).tolist()
        starts.append(first)
        lines.append(line_um[first:last] - middle_um)
    # nuclei lie flat, so that z adds to what is worked out for one plane
    second_um, third_um = body.turned(lines[1][:, None], lines[2])
    radii_um = body.radii_um[0]
    plane = (second_um / radii_um[1]) ** 2 + (third_um / radii_um[2]) ** 2
    height = (lines[0] / radii_um[0]) ** 2
    z, y, x = (height[:, None, None] + plane < scale**2).nonzero(as_tuple=True)
    places_um = torch.stack([lines[0][z], second_um[y, x], third_um[y, x]])
    index = ((z + starts[0]) * len(grid_um[1]) + y + starts[1]) * len(grid_um[2]) + x + starts[2]
    return index, places_um


def _nucleus(
    body: _Ellipsoids,
    centre_um: torch.Tensor,
    grid_um: Sequence[torch.Tensor],
    diameter_um: float,
    *,
    waviness: float,
    nucleoli: float,
    rng: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the grid points in and around one nucleus, how deep they lie, and 1 less what nucleoli exclude."""
    frequency = WAVE_NUMBER * torch.randn(WAVES, 3, generator=rng)
    phase = 2 * math.pi * torch.rand(WAVES, 1, generator=rng)
    amplitude = waviness * torch.randn(WAVES, generator=rng)
    sizes_um = NUCLEOLUS * diameter_um * torch.rand(NUCLEOLI, generator=rng)
    middles_um = 0.3 * body.radii_um * torch.randn(NUCLEOLI, 3, generator=rng)

    scale = 1 + float(amplitude.abs().sum() + 2 * GAP * diameter_um / body.radii_um.amin())
    index, places_um = _points_near(body, centre_um, grid_um, scale)
    distance_um = places_um.square().sum(0).sqrt().clamp(min=1e-6)
    unit = places_um / distance_um
    waves = 1 + amplitude @ torch.cos(frequency @ unit + phase)
    depth_um = waves / (unit / body.radii_um.T).square().sum(0).sqrt() - distance_um

    content = torch.ones_like(depth_um)
    for size_um, middle_um in zip(sizes_um, middles_um, strict=True):
        inside_um = size_um - (places_um - middle_um[:, None]).square().sum(0).sqrt()
        content *= 1 - NUCLEOLUS_CONTRAST * nucleoli * torch.sigmoid(inside_um / (NUCLEOLUS_EDGE * diameter_um))
    return index, depth_um, content


def _check_size(points: int, shape: tuple[int, ...], diameter_um: float) -> None:
    """Raise if the field would be laid out on too many points."""
    if points > MOST_POINTS:
        raise ValueError(
            f"shape is {shape}, which takes {points:.2g} points of {BYTES_PER_POINT} bytes to draw, but at most "
            f"{MOST_POINTS:.2g} are: make the field smaller, or, since voxels of {2 * FINEST * diameter_um:g} µm and "
            f"more are divided, draw it on voxels just below that."
        )


def nuclei(
    shape: Sequence[int],
    *,
    voxel_size_um: Sequence[float],
    count: int = 20,
    diameter_um: float = 10.0,
    height_ratio: float = 0.6,
    touching: float = 0.4,
    dividing: float = 0.0,
    texture: float = 1.0,
    fluorophores_per_um3: float | None = None,
    rng: int | torch.Generator | None,
) -> Nuclei:
    """Draw nuclei of irregular shape with chromatin texture, by default as density relative to 1, with labels.

    The same seed gives the same nuclei in µm for every voxel size that covers the same field. They lie flat, as
    on a coverslip, and their centres lie anywhere in y and x, so that the borders cut some of them; in z they are
    whole where the field is high enough, and above one another where it is higher. A plane shows the section
    through the middle of each.

    Parameters
    ----------
    shape : sequence of int
        (y, x) or (z, y, x) in voxels.
    voxel_size_um : sequence of float
        Side of a voxel in µm along each axis, at most half the extent of a nucleus there.
    count : int
        Number of nuclei.
    diameter_um : float
        Mean diameter in y and x; sizes spread by 12 %, and grain, rim, gaps and nucleoli grow with it.
    height_ratio : float
        Height in z over diameter.
    touching : float
        Share of nuclei set against another one, from 0 to 1; others may touch by chance.
    dividing : float
        Chance that a nucleus is in division, from 0 to 1: a plate a third as thick with twice the DNA, so that it
        is six times as bright.
    texture : float
        Contrast of chromatin, rim and nucleoli; 0 fills each nucleus evenly.
    fluorophores_per_um3 : float or None
        Fluorophores where the relative density is 1, to get fluorophores per voxel (per µm² in a plane); None
        for the mean relative density in each voxel. DNA stained with a dye each 50 base pairs has about 3e5.
    rng : int, torch.Generator or None
        Seed, generator on the CPU, or None for new nuclei each time.

    Returns
    -------
    Nuclei
        Density and labels. Relative, a nucleus of mean brightness has a density of about 1 on average.

    Raises
    ------
    ValueError
        If the shape is not (y, x) or (z, y, x), the voxel sizes do not match it or are too coarse, a number is
        out of range, the nuclei do not find room, or the field has so many voxels, or such coarse ones, which are
        divided to draw on, that it would take more than about 5 GB of memory.
    TypeError
        If a side or the count is not a whole number.

    References
    ----------
    D. Svoboda, M. Kozubek and S. Stejskal, "Generation of digital phantoms of cell nuclei and simulation of
    image formation in 3D image cytometry", Cytometry A 75 (2009) 494.

    Examples
    --------
    >>> density, labels = nuclei((16, 64, 64), voxel_size_um=(0.5, 0.4, 0.4), count=4, rng=0)
    >>> labels.unique()
    tensor([0, 1, 2, 3, 4], dtype=torch.int32)
    """
    shape = check_shape(shape)
    voxel_size_um = check_voxel_size(voxel_size_um, shape)
    count = check_whole(COUNT, count)
    for declared, value in zip(NUMBERS, (diameter_um, height_ratio, touching, dividing, texture), strict=True):
        declared.check(value)
    extents_um = [height_ratio * diameter_um, diameter_um, diameter_um][3 - len(shape) :]
    for size, extent in zip(voxel_size_um, extents_um, strict=True):
        if size > extent / 2:
            raise ValueError(
                f"voxel_size_um is {voxel_size_um}, but nuclei measure "
                f"{' × '.join(f'{side:g}' for side in extents_um)} µm: use voxels of at most half of that."
            )
    rng = generator(rng)
    # a plane is the section through the middle of the nuclei
    flat = len(shape) == 2
    sides = (1, *shape) if flat else shape
    sizes_um = (0.0, *voxel_size_um) if flat else voxel_size_um
    # points finer than the voxels where those are coarse for the shape, with one at the centre of each voxel
    factors = [1 + 2 * int(size / (2 * FINEST * diameter_um)) for size in sizes_um]
    steps_um = [size / factor for size, factor in zip(sizes_um, factors, strict=True)]
    _check_size(math.prod(side * factor for side, factor in zip(sides, factors, strict=True)), shape, diameter_um)
    grid_um = [
        (torch.arange(side * factor) + 0.5) * step for side, factor, step in zip(sides, factors, steps_um, strict=True)
    ]
    edge_um = (steps_um[1] + steps_um[2]) / 2
    field_um = [side * size for side, size in zip(sides, sizes_um, strict=True)]

    divides = torch.rand(count, generator=rng) < dividing
    bodies = _ellipsoids(divides, diameter_um, height_ratio, rng)
    centres_um = _place(bodies, field_um, touching, rng)
    # twice the DNA in the smaller volume of a plate
    brightness = torch.exp(BRIGHTNESS_SPREAD * torch.randn(count, generator=rng)) * torch.where(divides, 2 / PLATE, 1.0)

    points = [len(line) for line in grid_um]
    depth_um = torch.full((math.prod(points),), -2 * GAP * diameter_um)
    second_um = depth_um.clone()
    labels = torch.zeros(len(depth_um), dtype=torch.int32)
    density = torch.zeros(len(depth_um))
    for number in range(count):
        body = bodies.take(slice(number, number + 1))
        waviness, nucleoli = (PLATE_WAVINESS, 0.0) if divides[number] else (WAVINESS, texture)
        index, here_um, content = _nucleus(
            body, centres_um[number], grid_um, diameter_um, waviness=waviness, nucleoli=nucleoli, rng=rng
        )
        before_um = depth_um[index]
        wins = here_um > before_um
        second_um[index] = torch.maximum(second_um[index], torch.minimum(here_um, before_um))
        depth_um[index] = torch.maximum(before_um, here_um)
        labels[index] = torch.where(wins & (here_um > 0), number + 1, labels[index])
        density[index] = torch.where(wins, brightness[number] * content, density[index])

    density = density.reshape(points)
    for grain, contrast in GRAINS_AND_CONTRASTS:
        field = random_field(grid_um, field_um, step_um=steps_um, grain_um=grain * diameter_um, rng=rng)
        chromatin = field.mul_(texture * contrast).exp_()
        density *= chromatin.div_(chromatin.mean())
    # a face between two nuclei is a surface of both, with half the gap on either side
    inside_um = torch.minimum(depth_um, (depth_um - second_um - GAP * diameter_um) / 2).reshape(points)
    density *= 1 + RIM_CONTRAST * texture * torch.exp(inside_um.clamp(min=0) / (-RIM * diameter_um))
    density *= (0.5 + inside_um / edge_um).clamp(0, 1)

    density = torch.nn.functional.avg_pool3d(density[None], factors)[0].reshape(shape)
    labels = labels.reshape(points)[tuple(slice(factor // 2, None, factor) for factor in factors)].reshape(shape)
    return Nuclei(fluorophores_per_voxel(density, voxel_size_um, fluorophores_per_um3), labels)
