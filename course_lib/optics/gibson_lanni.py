r"""The scalar PSF of Gibson and Lanni: a sample whose index is not the one that the objective was made for.

.. math:: h(r, z) = \Bigl|\int_0^{\mathrm{NA}} J_0(k r s)\, e^{ikW(s, z)}\, s\,ds\Bigr|^2

:math:`W` is the extra path of the ray that crosses the aperture at :math:`s = n\sin\theta`
(`course_lib.optics._aperture`): through the sample above the emitter and through a coverslip of the wrong thickness.
Where all indices agree, :math:`W = -z\sqrt{n^2 - s^2}` and the PSF is symmetric in z. Where they do not, rays of
different angle focus at different heights, and the PSF grows a tail on one side (spherical aberration).

References
----------
S. F. Gibson and F. Lanni, J. Opt. Soc. Am. A 8 (1991) 1601, and 9 (1992) 154.
"""

from collections.abc import Sequence

import torch

from course_lib.optics._aperture import make_waves, superpose, working_type
from course_lib.optics._grid import make_grid
from course_lib.optics._radial import at_radii
from course_lib.optics.bessel import bessel_j0
from course_lib.optics.microscope import Microscope, as_float

__all__ = ["gibson_lanni_psf"]


def gibson_lanni_psf(
    microscope: Microscope,
    *,
    shape: Sequence[int],
    voxel_size_um: Sequence[float],
    points_per_pixel: int = 1,
) -> torch.Tensor:
    """Return the scalar widefield PSF with the aberration of depth and coverslip.

    Parameters
    ----------
    microscope : Microscope
        Aperture, emission wavelength, the three indices, depth and coverslip.
    shape : sequence of int
        (y, x) for the focal plane or (z, y, x) in voxels; the paraxial focus of the emitter is at ``size // 2``.
    voxel_size_um : sequence of float
        Size of a voxel in µm, (y, x) or (z, y, x); along z, the step of the focus drive.
    points_per_pixel : int
        Points along each side of a pixel at which the intensity is taken (Gauss–Legendre). One samples its
        centre; 3 integrate over a pixel of Nyquist's size.

    Returns
    -------
    torch.Tensor, shape `shape`
        Sums to 1. Index 0 of z is closest to the coverslip.

    Raises
    ------
    ValueError
        If shape and voxel size do not fit, or a size is not above 0.

    Warns
    -----
    UserWarning
        If a voxel is above the Nyquist limit.

    Notes
    -----
    Scalar theory makes the focus of NA 1.4 about 9 % too narrow; use `vectorial_psf` where that matters.

    Examples
    --------
    Oil, and an emitter 10 µm deep in water: the brightest plane is above the paraxial focus.

    >>> microscope = Microscope(numerical_aperture=1.3, sample_index=1.33, depth_um=10)
    >>> psf = gibson_lanni_psf(microscope, shape=(65, 33, 33), voxel_size_um=(0.2, 0.08, 0.08))
    >>> bool(psf[:, 16, 16].argmax() > 32)
    True
    """
    device, dtype = working_type(microscope)
    grid = make_grid(microscope, shape=shape, voxel_size_um=voxel_size_um, points_per_pixel=points_per_pixel)
    waves = make_waves(
        microscope,
        wavelength_nm=microscope.emission_wavelength_nm,
        radius_um=float(grid.radii_um.max()),
        z_um=grid.z_um,
    )

    def intensity(radii_um: torch.Tensor) -> torch.Tensor:
        x = radii_um.to(device, dtype)[:, None] * (waves.wavenumber * waves.transverse).to(dtype)
        return superpose(bessel_j0(x)[None], waves.weights[None], waves.phase)

    finest = as_float(waves.wavenumber * microscope.numerical_aperture)
    return grid.normalized(at_radii(intensity, grid.radii_um, radians_per_um=finest, dtype=dtype))
