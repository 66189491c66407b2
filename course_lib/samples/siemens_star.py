r"""A Siemens star: spokes that come ever closer towards the centre, in every direction.

Of :math:`n` spokes, the period at radius :math:`r` is

.. math:: p(r) = \frac{2\pi r}{n}

so that the grey disc in the middle of an image, where the spokes run together, has the diameter
:math:`n p / \pi` of the finest period :math:`p` resolved; that it is no circle shows in which direction the
resolution is worse.
"""

from collections.abc import Sequence

import torch

from course_lib.parameters import Parameter
from course_lib.samples._check import check_shape, check_voxel_size, check_whole, fluorophores_per_voxel
from course_lib.samples._thin_plane import thin_plane

__all__ = ["siemens_star"]

SPOKES = Parameter(name="spokes", default=36, meaning="number of bright spokes", minimum=1)
DIAMETER = Parameter(name="diameter_um", default=10.0, meaning="diameter of the star", unit="µm", minimum=1e-3)
SUBPIXELS = 8


def siemens_star(
    shape: Sequence[int],
    *,
    voxel_size_um: Sequence[float],
    diameter_um: float,
    spokes: int = 36,
    thickness_um: float = 0.1,
    fluorophores_per_um3: float | None = None,
) -> torch.Tensor:
    """Draw a Siemens star in the middle of the field, by default as density relative to that of a spoke.

    Parameters
    ----------
    shape : sequence of int
        (y, x) or (z, y, x) in voxels.
    voxel_size_um : sequence of float
        Side of a voxel in µm along each axis.
    diameter_um : float
        Diameter of the star.
    spokes : int
        Number of bright spokes; one points to the right.
    thickness_um : float
        In a stack, thickness of the star, which lies halfway up.
    fluorophores_per_um3 : float or None
        Fluorophores in a spoke, to get fluorophores per voxel (per µm² in a plane); None for the share of each
        voxel that spokes fill, found on 8 × 8 points in each.

    Returns
    -------
    torch.Tensor, shape `shape`
        float32. Relative, from 0 to 1; a stack stays below 1 where the star is thinner than a voxel.

    Raises
    ------
    ValueError
        If the shape is not (y, x) or (z, y, x), the voxel sizes do not match it, or a number is out of range.
    TypeError
        If a side or the number of spokes is not a whole number.

    References
    ----------
    C. Loebich, D. Wueller, B. Klingen and A. Jaeger, "Digital camera resolution measurement using sinusoidal
    Siemens stars", Proc. SPIE 6502 (2007) 65020N.

    Examples
    --------
    >>> star = siemens_star((64, 64), voxel_size_um=(0.1, 0.1), diameter_um=6.0, spokes=8)
    >>> [float(star[32, 60]), float(star[0, 0])]
    [1.0, 0.0]
    """
    shape = check_shape(shape)
    voxel_size_um = check_voxel_size(voxel_size_um, shape)
    spokes = check_whole(SPOKES, spokes)
    DIAMETER.check(diameter_um)
    pattern = torch.zeros(shape[-2:])
    y_um, x_um = (
        size * (torch.arange(side) + (0.5 / SUBPIXELS - side / 2))
        for side, size in zip(shape[-2:], voxel_size_um[-2:], strict=True)
    )
    for down in range(SUBPIXELS):
        for right in range(SUBPIXELS):
            y = (y_um + down / SUBPIXELS * voxel_size_um[-2])[:, None]
            x = x_um + right / SUBPIXELS * voxel_size_um[-1]
            bright = torch.cos(spokes * torch.atan2(y, x)) > 0
            pattern += bright & (y**2 + x**2 < diameter_um**2 / 4)
    star = thin_plane(pattern / SUBPIXELS**2, shape, voxel_size_um, thickness_um)
    return fluorophores_per_voxel(star, voxel_size_um, fluorophores_per_um3)
