r"""The size of a spot: its full width at half maximum.

The profile of a PSF along an axis, through its maximum, falls to one half of the maximum at :math:`x_-` and at
:math:`x_+`; the width is :math:`x_+ - x_-`. For a Gaussian of standard deviation :math:`\sigma` it is
:math:`2\sqrt{2\ln 2}\,\sigma \approx 2.355\,\sigma`.

At Nyquist's sampling a spot is two to three voxels wide, so neither its maximum nor :math:`x_\pm` lie on voxels. A
PSF is band-limited, and so the trigonometric polynomial through all :math:`n` voxels gives the values in between; it
is taken of the PSF and its mirror image, which has no step where it repeats,

.. math::

   h(x) = \sum_j h_j w_j(x), \qquad
   w_j(x) = \frac1n \sum_{k=1-n}^{n-1} \cos\frac{\pi k (x + 1/2)}{n} \cos\frac{\pi k (j + 1/2)}{n}.

References
----------
R. W. Cole, T. Jinadasa, C. M. Brown, Nature Protocols 6 (2011) 1929 (measuring PSFs).
"""

import math
from collections.abc import Sequence

import torch

from course_lib.axes import AXES, check_spatial
from course_lib.optics._grid import VOXEL

__all__ = ["check_measured", "fwhm_um", "interpolation_weights"]

POINTS_PER_VOXEL = 32


def check_measured(image: torch.Tensor, voxel_size_um: Sequence[float], *, name: str = "psf") -> tuple[float, ...]:
    """Check an image (y, x) or (z, y, x) and its voxels, and return the voxel size.

    Examples
    --------
    >>> check_measured(torch.ones(3, 3), (0.1, 0.1))
    (0.1, 0.1)
    >>> check_measured(torch.ones(3, 3), (0.2, 0.1, 0.1))
    Traceback (most recent call last):
    ValueError: psf has shape (3, 3) and voxel_size_um is (0.2, 0.1, 0.1), but both must be (y, x) or both (z, y, x).
    """
    check_spatial(image.detach() if isinstance(image, torch.Tensor) else image, 2, name=name)
    sizes = tuple(voxel_size_um)
    if image.ndim > 3 or len(sizes) != image.ndim:
        raise ValueError(
            f"{name} has shape {tuple(image.shape)} and voxel_size_um is {sizes}, but both must be (y, x) or both "
            f"(z, y, x)."
        )
    for size in sizes:
        VOXEL.check(size)
    return tuple(float(size) for size in sizes)


def interpolation_weights(voxels: int, positions: torch.Tensor) -> torch.Tensor:
    """Return w: ``w @ values`` interpolates `voxels` values at `positions` (P,), counted in voxels; shape (P, voxels).

    Examples
    --------
    >>> values = torch.tensor([0.0, 1.0, 4.0, 1.0, 0.0], dtype=torch.float64)
    >>> positions = torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64)
    >>> [round(value, 3) for value in (interpolation_weights(5, positions) @ values).tolist()]
    [1.0, 2.989, 4.0]
    """
    frequency = torch.arange(voxels).to(positions) * math.pi / voxels
    here = torch.cos(frequency * (positions[:, None] + 0.5))
    there = torch.cos(frequency * (torch.arange(voxels).to(positions)[:, None] + 0.5))
    here[:, 1:] *= 2
    return here @ there.T / voxels


def fwhm_um(psf: torch.Tensor, *, voxel_size_um: Sequence[float]) -> tuple[float, ...]:
    """Measure the full width at half maximum along each axis, through the maximum.

    Parameters
    ----------
    psf : torch.Tensor
        Spot without background, shape (y, x) or (z, y, x); its maximum may lie between voxels.
    voxel_size_um : sequence of float
        Size of a voxel in µm, (y, x) or (z, y, x).

    Returns
    -------
    tuple of float
        Width along each axis in µm, in the order of the axes.

    Raises
    ------
    ValueError
        If no value is above 0, or the profile does not fall to half its maximum on both sides within the array.

    Examples
    --------
    >>> y, x = torch.meshgrid(torch.arange(33.0), torch.arange(33.0), indexing="ij")
    >>> spot = torch.exp(-(((y - 16.3) / 2) ** 2 + ((x - 15.8) / 3) ** 2) / 2)
    >>> [round(width, 3) for width in fwhm_um(spot, voxel_size_um=(0.1, 0.1))]
    [0.471, 0.706]
    """
    sizes = check_measured(psf, voxel_size_um)
    values = psf.detach().double()
    if not values.max() > 0:
        raise ValueError(f"the psf has no value above 0, the largest is {float(values.max()):g}: check its background.")
    peak = [float(i) for i in torch.unravel_index(values.argmax(), values.shape)]
    for _ in range(3):  # one axis after the other, as often as a slanted spot needs it
        for axis in range(values.ndim):
            peak[axis] = _maximum(_profile(values, peak, axis), peak[axis])
    return tuple(
        size * _width(_profile(values, peak, axis), peak[axis], AXES[axis - values.ndim].lower())
        for axis, size in enumerate(sizes)
    )


def _profile(values: torch.Tensor, peak: list[float], axis: int) -> torch.Tensor:
    """Return the values on the line through `peak` along `axis`, one a voxel."""
    weights = [interpolation_weights(n, values.new_tensor([x]))[0] for n, x in zip(values.shape, peak, strict=True)]
    line = values
    for before in weights[:axis]:
        line = torch.tensordot(before, line, dims=1)
    for after in reversed(weights[axis + 1 :]):
        line = line @ after
    return line


def _maximum(profile: torch.Tensor, start: float) -> float:
    """Return where the interpolated profile is largest, at most a voxel from `start`."""
    steps = torch.arange(-POINTS_PER_VOXEL, POINTS_PER_VOXEL + 1).to(profile) / POINTS_PER_VOXEL
    positions = (start + steps).clamp(0, len(profile) - 1)
    fine = interpolation_weights(len(profile), positions) @ profile
    top = int(fine[1:-1].argmax()) + 1
    before, here, after = fine[top - 1 : top + 2].tolist()
    curvature = before - 2 * here + after
    vertex = (before - after) / curvature / 2 if curvature < 0 else 0.0
    return min(max(float(positions[top]) + vertex / POINTS_PER_VOXEL, 0.0), len(profile) - 1.0)


def _width(profile: torch.Tensor, peak: float, axis: str) -> float:
    """Return the distance in voxels of the two points next to `peak` at which the profile is at half its maximum."""
    half = float(interpolation_weights(len(profile), profile.new_tensor([peak]))[0] @ profile) / 2
    under = profile <= half
    ends: list[float] = []
    for outward in (torch.arange(math.floor(peak), -1, -1), torch.arange(math.ceil(peak), len(profile))):
        below = outward[under[outward].cpu()]
        if len(below) == 0:
            lowest = float(profile[outward].min()) / half / 2
            raise ValueError(
                f"along {axis} the psf falls only to {lowest:.0%} of its maximum on one side within its "
                f"{len(profile)} voxels, so its width at half maximum is not in the array: use more voxels, and "
                f"subtract any background."
            )
        outer = float(below[0])
        inner = max(peak, outer - 1) if outer > peak else min(peak, outer + 1)
        positions = torch.linspace(inner, outer, POINTS_PER_VOXEL + 1).to(profile)
        fine = interpolation_weights(len(profile), positions) @ profile
        crossing = int((fine[1:-1] > half).sum()) + 1
        above, beneath = fine[crossing - 1 : crossing + 1].tolist()
        share = (above - half) / (above - beneath)
        ends.append(float(positions[crossing - 1]) + share * float(positions[crossing] - positions[crossing - 1]))
    return ends[1] - ends[0]
