r"""The Gaussian that stands in for a PSF where only its width matters.

.. math:: h \propto \exp\Bigl(-\frac{x^2 + y^2}{2\sigma_{xy}^2} - \frac{z^2}{2\sigma_z^2}\Bigr), \qquad
          \sigma_{xy} = 0.2103\,\frac{\lambda}{\mathrm{NA}}, \qquad
          \sigma_z = \frac{0.88}{\sqrt{8\ln 2}}\,\frac{\lambda}{n - \sqrt{n^2 - \mathrm{NA}^2}}

:math:`\sigma_{xy}` is that of the Gaussian of Airy's height with the least squared error in the plane; one that has
Airy's curvature at the centre has 0.2251, one of the same half width 0.2185. :math:`\sigma_z` gives the axial full
width at half maximum of a high aperture. A Gaussian has neither rings nor a missing cone, and its tails hold far too
little light.

References
----------
B. Zhang, J. Zerubia and J.-C. Olivo-Marin, Applied Optics 46 (2007) 1819.
"""

import math
from collections.abc import Sequence

import torch

from course_lib.optics._aperture import working_type
from course_lib.optics._grid import make_grid
from course_lib.optics.microscope import Microscope

__all__ = ["gaussian_psf", "gaussian_sigmas_um"]

LATERAL = 0.2103
AXIAL = 0.88 / math.sqrt(8 * math.log(2))


def gaussian_sigmas_um(microscope: Microscope) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the standard deviations along and across the axis, in µm.

    Examples
    --------
    >>> axial, lateral = gaussian_sigmas_um(Microscope(numerical_aperture=1.4, emission_wavelength_nm=520))
    >>> print(f"{axial:.3f} {lateral:.4f}")
    0.208 0.0781
    """
    device, _ = working_type(microscope)
    aperture = torch.as_tensor(microscope.numerical_aperture, dtype=torch.float64, device=device)
    wavelength_um = torch.as_tensor(microscope.emission_wavelength_nm, dtype=torch.float64, device=device) / 1000
    n = torch.as_tensor(microscope.immersion_index, dtype=torch.float64, device=device)
    return AXIAL * wavelength_um / (n - torch.sqrt(n**2 - aperture**2)), LATERAL * wavelength_um / aperture


def gaussian_psf(
    microscope: Microscope,
    *,
    shape: Sequence[int],
    voxel_size_um: Sequence[float],
    points_per_pixel: int = 1,
) -> torch.Tensor:
    """Return a Gaussian about as wide as the PSF of the microscope.

    Parameters
    ----------
    microscope : Microscope
        Aperture, emission wavelength and immersion index; the other values do not enter.
    shape : sequence of int
        (y, x) or (z, y, x) in voxels; the emitter is at ``size // 2``.
    voxel_size_um : sequence of float
        Size of a voxel in µm, (y, x) or (z, y, x).
    points_per_pixel : int
        Points along each side of a pixel at which the intensity is taken (Gauss–Legendre). One samples its
        centre; 3 integrate over a pixel of Nyquist's size.

    Returns
    -------
    torch.Tensor, shape `shape`
        Sums to 1. Across it is 4 % narrower than Airy's pattern, and 12 % narrower than the vectorial PSF at NA 1.4.

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
    >>> psf = gaussian_psf(Microscope(), shape=(9, 9), voxel_size_um=(0.08, 0.08))
    >>> round(float(psf.sum()), 6)
    1.0
    """
    device, dtype = working_type(microscope)
    grid = make_grid(microscope, shape=shape, voxel_size_um=voxel_size_um, points_per_pixel=points_per_pixel)
    axial, lateral = gaussian_sigmas_um(microscope)
    across = torch.exp(-(grid.radii_um.to(device) ** 2) / (2 * lateral**2))
    along = torch.exp(-(grid.z_um.to(device) ** 2) / (2 * axial**2))
    return grid.normalized((across[:, None] * along).to(dtype))
