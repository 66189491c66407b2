r"""The paraxial PSF of Airy, and of Born and Wolf out of focus.

For a small aperture the rays hardly lean, and the field in the focal region is

.. math:: h(r, z) = \Bigl|2\int_0^1 J_0(k\,\mathrm{NA}\,r\,\rho)\,
          e^{-\frac{i}{2} k z \frac{\mathrm{NA}^2}{n}\rho^2}\rho\,d\rho\Bigr|^2 .

In focus this is Airy's pattern :math:`(2J_1(v)/v)^2` with :math:`v = 2\pi\,\mathrm{NA}\,r/\lambda`: a disk of full
width at half maximum :math:`0.5145\,\lambda/\mathrm{NA}`, dark at :math:`0.6098\,\lambda/\mathrm{NA}`, with 83.8 % of
the light inside. Along the axis it is :math:`\mathrm{sinc}^2` with the first zero at :math:`2n\lambda/\mathrm{NA}^2`.
Above an NA of about 0.7 the formula makes the PSF too long and, in the plane, forgets polarization.

References
----------
G. B. Airy, Trans. Cambridge Phil. Soc. 5 (1835) 283.
M. Born and E. Wolf, *Principles of Optics*, 7th ed., Cambridge 1999, §8.5 and §8.8.
"""

import math
from collections.abc import Sequence

import torch

from course_lib.optics._aperture import superpose, working_type
from course_lib.optics._grid import make_grid, quadrature
from course_lib.optics._radial import at_radii
from course_lib.optics.bessel import bessel_j0
from course_lib.optics.microscope import Microscope, as_float

__all__ = ["airy_psf"]


def airy_psf(
    microscope: Microscope,
    *,
    shape: Sequence[int],
    voxel_size_um: Sequence[float],
    points_per_pixel: int = 1,
) -> torch.Tensor:
    """Return the paraxial scalar widefield PSF.

    Parameters
    ----------
    microscope : Microscope
        Aperture, emission wavelength and immersion index; the other values do not enter.
    shape : sequence of int
        (y, x) for the focal plane or (z, y, x) in voxels; the emitter is at ``size // 2``.
    voxel_size_um : sequence of float
        Size of a voxel in µm, (y, x) or (z, y, x).
    points_per_pixel : int
        Points along each side of a pixel at which the intensity is taken (Gauss–Legendre). One samples its
        centre; 3 integrate over a pixel of Nyquist's size.

    Returns
    -------
    torch.Tensor, shape `shape`
        Sums to 1.

    Raises
    ------
    ValueError
        If shape and voxel size do not fit, or a size is not above 0.

    Warns
    -----
    UserWarning
        If a voxel is above the Nyquist limit.

    Examples
    --------
    >>> microscope = Microscope(numerical_aperture=0.5, immersion_index=1.0)
    >>> psf = airy_psf(microscope, shape=(65, 65), voxel_size_um=(0.05, 0.05))
    >>> print(f"{psf[32, 42] / psf[32, 32]:.3f}")  # 0.5 µm from the centre
    0.052
    """
    device, dtype = working_type(microscope)
    grid = make_grid(microscope, shape=shape, voxel_size_um=voxel_size_um, points_per_pixel=points_per_pixel)

    aperture = torch.as_tensor(microscope.numerical_aperture, dtype=torch.float64, device=device)
    wavenumber = 2 * math.pi * 1000 / torch.as_tensor(microscope.emission_wavelength_nm, dtype=torch.float64)
    defocus = wavenumber * aperture**2 / (2 * microscope.immersion_index) * grid.z_um.to(device)
    steepest = as_float(wavenumber * aperture * grid.radii_um.max() + 2 * defocus.abs().max())
    rho, weights = (t.to(device) for t in quadrature(steepest, dtype))

    phase = torch.exp(-1j * rho[:, None] ** 2 * defocus)
    phase = phase.to(torch.complex128 if dtype == torch.float64 else torch.complex64)

    def intensity(radii_um: torch.Tensor) -> torch.Tensor:
        x = radii_um.to(device, dtype)[:, None] * (wavenumber * aperture * rho).to(dtype)
        return superpose(bessel_j0(x)[None], (weights * rho)[None], phase)

    finest = as_float(wavenumber * aperture)
    return grid.normalized(at_radii(intensity, grid.radii_um, radians_per_um=finest, dtype=dtype))
