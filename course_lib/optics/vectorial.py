r"""The vectorial PSF of Richards and Wolf for an emitter that turns freely.

Light is a transverse wave. In a wide cone the fields of its rays point in different directions and do not add up
to nothing where a scalar theory says so: the focus is wider than a scalar one, and its minima are not dark. With the
axial indices :math:`\kappa` and the phase :math:`W` of each wave (`course_lib.optics._aperture`), the three integrals

.. math::

   I_0 &= \int \sqrt{\tfrac{\kappa_i}{n_i}}\,\Bigl(t_s + t_p\frac{\kappa_s}{n_s}\Bigr) J_0(k r s)\,e^{ikW}
          \frac{s\,ds}{\kappa_i} \\
   I_1 &= \int \sqrt{\tfrac{\kappa_i}{n_i}}\;t_p\frac{s}{n_s}\;J_1(k r s)\,e^{ikW}\frac{s\,ds}{\kappa_i} \\
   I_2 &= \int \sqrt{\tfrac{\kappa_i}{n_i}}\,\Bigl(t_s - t_p\frac{\kappa_s}{n_s}\Bigr) J_2(k r s)\,e^{ikW}
          \frac{s\,ds}{\kappa_i}

give the image of an emitter averaged over its orientations, :math:`h = |I_0|^2 + 2|I_1|^2 + |I_2|^2`.
:math:`\sqrt{\kappa_i/n_i} = \sqrt{\cos\theta}` keeps the energy of each ray through the lens, :math:`t_s` and
:math:`t_p` are Fresnel's transmissions between immersion medium and sample. By reciprocity the same :math:`h` is the
energy density of the electric field in the focus of an unpolarized laser, which is what `confocal_psf` uses.

Each integral is a Gauss–Legendre quadrature, that is, one matrix product: (radii, waves) times (waves, planes). The
intensity between a few radii follows without error (`course_lib.optics._radial`).

References
----------
B. Richards and E. Wolf, Proc. R. Soc. A 253 (1959) 358.
P. Török and P. Varga, Applied Optics 36 (1997) 2305 (two media).
F. Aguet, S. Geissbühler et al., Optics Express 17 (2009) 6829 (isotropic emitter).
"""

import math
from collections.abc import Sequence

import torch

from course_lib.optics._aperture import make_waves, superpose, working_type
from course_lib.optics._grid import make_grid
from course_lib.optics._radial import at_radii
from course_lib.optics.bessel import bessel_j0_j1_j2
from course_lib.optics.microscope import Microscope, Quantity, as_float

__all__ = ["vectorial_intensity", "vectorial_psf"]


def vectorial_intensity(
    microscope: Microscope, *, wavelength_nm: Quantity, radii_um: torch.Tensor, z_um: torch.Tensor
) -> torch.Tensor:
    """Return the unscaled intensity (R, Z) at distances `radii_um` (R,) from the axis and heights `z_um` (Z,).

    Examples
    --------
    >>> at = torch.tensor([0.0, 10.0], dtype=torch.float64)
    >>> intensity = vectorial_intensity(Microscope(), wavelength_nm=525, radii_um=at, z_um=at[:1])
    >>> bool(intensity[1] < 1e-4 * intensity[0])
    True
    """
    device, dtype = working_type(microscope)
    waves = make_waves(microscope, wavelength_nm=wavelength_nm, radius_um=float(radii_um.max()), z_um=z_um)
    n_i = torch.as_tensor(microscope.immersion_index, dtype=torch.float64, device=device)
    n_s = torch.as_tensor(microscope.sample_index, dtype=torch.float64, device=device)
    k_i, k_s = waves.immersion, waves.sample
    t_s = 2 * k_i / (k_i + k_s)
    t_p = 2 * k_i * n_i * n_s / (n_s**2 * k_i + n_i**2 * k_s)
    weight = waves.weights / torch.sqrt(k_i)

    radial, axial = t_p * k_s / n_s, t_p * waves.transverse / n_s
    amplitudes = weight * torch.stack([t_s + radial, math.sqrt(2) * axial, t_s - radial])

    def intensity(radii_um: torch.Tensor) -> torch.Tensor:
        x = radii_um.to(device, dtype)[:, None] * (waves.wavenumber * waves.transverse).to(dtype)
        return superpose(torch.stack(bessel_j0_j1_j2(x)), amplitudes, waves.phase)

    finest = as_float(waves.wavenumber * microscope.numerical_aperture)
    return at_radii(intensity, radii_um, radians_per_um=finest, dtype=dtype)


def vectorial_psf(
    microscope: Microscope,
    *,
    shape: Sequence[int],
    voxel_size_um: Sequence[float],
    points_per_pixel: int = 1,
) -> torch.Tensor:
    """Return the widefield PSF of a freely turning emitter, with all that a high aperture does.

    Parameters
    ----------
    microscope : Microscope
        Aperture, emission wavelength, indices, depth and coverslip.
    shape : sequence of int
        (y, x) for the focal plane or (z, y, x) in voxels; the emitter is at ``size // 2``.
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

    Examples
    --------
    >>> microscope = Microscope(numerical_aperture=1.4, immersion_index=1.518, sample_index=1.518)
    >>> psf = vectorial_psf(microscope, shape=(33, 65, 65), voxel_size_um=(0.2, 0.065, 0.065))
    >>> psf.shape, [int(i) for i in torch.unravel_index(psf.argmax(), psf.shape)]
    (torch.Size([33, 65, 65]), [16, 32, 32])
    """
    grid = make_grid(microscope, shape=shape, voxel_size_um=voxel_size_um, points_per_pixel=points_per_pixel)
    intensity = vectorial_intensity(
        microscope, wavelength_nm=microscope.emission_wavelength_nm, radii_um=grid.radii_um, z_um=grid.z_um
    )
    return grid.normalized(intensity)
