"""From the intensity at distances from the axis to a PSF on voxels that sums to 1."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from course_lib.optics.microscope import Microscope, check_sampling
from course_lib.parameters import Parameter

Array = npt.NDArray[Any]

__all__ = ["Grid", "check_shape", "gauss_legendre", "make_grid", "quadrature"]

SIDE = Parameter(name="shape", default=1, meaning="voxels along each side", unit="voxels", minimum=1)
VOXEL = Parameter(name="voxel_size_um", default=0.1, meaning="side of a voxel", unit="µm", minimum=1e-4, maximum=1e3)
POINTS = Parameter(
    name="points_per_pixel", default=1, meaning="points along each side of a pixel", minimum=1, maximum=16
)


@functools.cache
def _gauss_legendre(count: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def gauss_legendre(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return nodes and weights that integrate a polynomial of degree 2·count − 1 over (0, 1) exactly.

    Examples
    --------
    >>> nodes, weights = gauss_legendre(3)
    >>> round(float((weights * nodes**5).sum()), 12) == round(1 / 6, 12)
    True
    """
    nodes, weights = _gauss_legendre(count)
    return torch.from_numpy(nodes), torch.from_numpy(weights)


def quadrature(radians: float, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Return nodes and weights over (0, 1) that follow a phase whose steepest slope is `radians`.

    A Gauss–Legendre rule of N nodes follows 4N radians; the margin, which brings the error below the rounding of
    `dtype`, grows with the cube root of them, as the range does in which a Bessel function of high order sets in.
    Long phases are cut into panels. Nodes and weights are float64 whatever is computed with them.

    Examples
    --------
    >>> nodes, weights = quadrature(1000.0)
    >>> wave = torch.exp(1000j * nodes)
    >>> bool(((weights * wave).sum() - (wave.new_tensor(1000j).exp() - 1) / 1000j).abs() < 1e-10)
    True
    """
    panels = math.ceil(radians / 400) or 1
    each = radians / panels
    margin = 12 if dtype == torch.float64 else 4
    nodes, weights = gauss_legendre(margin + math.ceil(each / 4 + 2 * each ** (1 / 3)))
    starts = torch.arange(panels, dtype=torch.float64)[:, None]
    return ((starts + nodes) / panels).flatten(), (weights / panels).repeat(panels)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Where a PSF is to be known, with each distance from the axis named once.

    Attributes
    ----------
    radii_um : torch.Tensor, shape (R,)
        Distances from the axis that occur, float64.
    areas : torch.Tensor, shape (R,)
        How many pixels each distance stands for, float64.
    z_um : torch.Tensor, shape (Z,)
        Focus above the emitter, float64.
    quadrant : torch.Tensor, shape (Q, p, P, p)
        Which of the radii the p × p Gauss–Legendre points have in the pixels of one quadrant, Q × P of them.
    pixels : torch.Tensor, shape (Y, X)
        Which pixel of the quadrant, row by row, each pixel mirrors.
    planar : bool
        Whether the PSF has no z axis.
    """

    radii_um: torch.Tensor
    areas: torch.Tensor
    z_um: torch.Tensor
    quadrant: torch.Tensor
    pixels: torch.Tensor
    planar: bool

    def normalized(self, intensity: torch.Tensor) -> torch.Tensor:
        """Return the PSF (z, y, x) or (y, x) of the `intensity` (R, Z), integrated over pixels, with sum 1."""
        total = (self.areas.to(intensity) @ intensity).sum()
        volume = self.sampled(intensity / total)
        return volume[0] if self.planar else volume

    def sampled(self, intensity: torch.Tensor) -> torch.Tensor:
        """Return `intensity` (R, Z) on voxels, (Z, Y, X), integrated over pixels but not scaled."""
        if self.quadrant.shape[1] > 1:
            return self.mirrored(self.quarter(intensity))
        which = self.quadrant.flatten()[self.pixels].to(intensity.device)
        return intensity.T.gather(1, which.flatten().expand(len(self.z_um), -1)).view(-1, *which.shape)

    def quarter(self, intensity: torch.Tensor) -> torch.Tensor:
        """Return `intensity` (R, Z) on the pixels of one quadrant, (Z, Q, P)."""
        quadrant, points = self.quadrant.to(intensity.device), self.quadrant.shape[1]
        values = intensity.T.contiguous().index_select(1, quadrant.flatten()).view(-1, *quadrant.shape)
        if points == 1:
            return values[:, :, 0, :, 0]
        weights = gauss_legendre(points)[1].to(intensity)
        return torch.einsum("zyaxb,a,b->zyx", values, weights, weights)

    def mirrored(self, quarter: torch.Tensor) -> torch.Tensor:
        """Return the planes (Z, Y, X) of which `quarter` (Z, Q, P) is one quadrant."""
        pixels = self.pixels.to(quarter.device)
        return quarter.flatten(1).gather(1, pixels.flatten().expand(len(quarter), -1)).view(-1, *pixels.shape)


def check_shape(shape: Sequence[int], voxel_size_um: Sequence[float]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return both as tuples; raise unless they are (y, x) or (z, y, x) and above 0."""
    sides, sizes = tuple(shape), tuple(voxel_size_um)
    if len(sides) not in (2, 3) or len(sizes) != len(sides):
        raise ValueError(
            f"shape is {sides} and voxel_size_um is {sizes}, but both must be (y, x) or both (z, y, x): "
            f"for example shape=(33, 65, 65), voxel_size_um=(0.2, 0.065, 0.065)."
        )
    for side in sides:
        SIDE.check(side)
    for size in sizes:
        VOXEL.check(size)
    return sides, sizes


@functools.lru_cache(maxsize=2)
def _distances(
    sides: tuple[int, ...], sizes_um: tuple[float, ...], points_per_pixel: int, margin: int
) -> tuple[Array, Array, Array, Array]:
    """Return radii, areas, quadrant and pixels of a `Grid`; a slider asks for the same ones again and again."""
    nodes, weights = _gauss_legendre(points_per_pixel)
    mirrored, squares = [], []
    for side, size in zip(sides, sizes_um, strict=True):
        pixel = np.abs(np.arange(-(side // 2), side - side // 2))
        mirrored.append(pixel)
        squares.append((size * (np.arange(pixel.max() + 1 + margin)[:, None] + nodes - 0.5)) ** 2)
    distances = squares[0][:, :, None, None] + squares[1]
    radii, quadrant = np.unique(distances.round(12), return_inverse=True)
    pixels = mirrored[0][:, None] * len(squares[1]) + mirrored[1]
    times = np.bincount(pixels.ravel(), minlength=len(squares[0]) * len(squares[1]))
    times = times.reshape(len(squares[0]), 1, len(squares[1]), 1)
    shares = times * weights[:, None, None] * weights
    return np.sqrt(radii), np.bincount(quadrant.ravel(), shares.ravel()), quadrant.reshape(distances.shape), pixels


def make_grid(
    microscope: Microscope,
    *,
    shape: Sequence[int],
    voxel_size_um: Sequence[float],
    points_per_pixel: int,
    nyquist_um: tuple[float, float] | None = None,
    margin: int = 0,
) -> Grid:
    """Check what a PSF was asked for, and list the distances from the axis at which to compute it.

    Parameters
    ----------
    microscope : Microscope
        For the Nyquist limits.
    shape, voxel_size_um : sequence
        (y, x) or (z, y, x).
    points_per_pixel : int
        Points along each side of a pixel.
    nyquist_um : (float, float), optional
        Axial and lateral limit; by default those of the widefield microscope.
    margin : int
        Pixels by which the quadrant reaches beyond the planes.
    """
    sides, sizes = check_shape(shape, voxel_size_um)
    POINTS.check(points_per_pixel)
    planes = sides[0] if len(sides) == 3 else 1
    check_sampling(sizes, nyquist_um or (microscope.axial_nyquist_um, microscope.lateral_nyquist_um), planes=planes)

    radii_um, areas, quadrant, pixels = _distances(sides[-2:], sizes[-2:], points_per_pixel, margin)
    z = (torch.arange(planes, dtype=torch.float64) - planes // 2) * (sizes[0] if len(sides) == 3 else 0.0)
    return Grid(
        radii_um=torch.from_numpy(radii_um),
        areas=torch.from_numpy(areas),
        z_um=z,
        quadrant=torch.from_numpy(quadrant),
        pixels=torch.from_numpy(pixels),
        planar=len(sides) == 2,
    )
