r"""The two-photon microscope: only the focus of an infrared laser is bright enough to excite.

Two photons must arrive together, so the emitter is excited with the *square* of the laser's intensity, and all the
light that comes out counts, since no other place can have sent it:

.. math:: h = h_\mathrm{ex}^2

with the vectorial focus :math:`h_\mathrm{ex}` (`course_lib.optics.vectorial`) at the wavelength of the laser, about
twice that of one-photon excitation. The square makes it sectioning without a pinhole; the long wavelength makes it
wider than a confocal microscope's.

References
----------
W. Denk, J. H. Strickler and W. W. Webb, Science 248 (1990) 73.
W. R. Zipfel, R. M. Williams and W. W. Webb, Nature Biotechnology 21 (2003) 1369.
"""

from collections.abc import Sequence

import torch

from course_lib.optics._grid import make_grid
from course_lib.optics.microscope import Microscope, as_float
from course_lib.optics.vectorial import vectorial_intensity

__all__ = ["two_photon_psf"]


def two_photon_psf(
    microscope: Microscope,
    *,
    shape: Sequence[int],
    voxel_size_um: Sequence[float],
) -> torch.Tensor:
    """Return the PSF of a two-photon microscope whose laser fills the aperture evenly.

    Parameters
    ----------
    microscope : Microscope
        Aperture, excitation wavelength (of the infrared laser), indices, depth and coverslip.
    shape : sequence of int
        (y, x) for the focal plane or (z, y, x) in voxels; the emitter is at ``size // 2``.
    voxel_size_um : sequence of float
        Size of a voxel in µm, (y, x) or (z, y, x).

    Returns
    -------
    torch.Tensor, shape `shape`
        Sums to 1.

    Raises
    ------
    ValueError
        If the laser has the shorter wavelength, shape and voxel size do not fit, or a size is not above 0.

    Warns
    -----
    UserWarning
        If a voxel is above the Nyquist limit of the two-photon microscope.

    Examples
    --------
    >>> microscope = Microscope(
    ...     numerical_aperture=1.0, immersion_index=1.33, sample_index=1.33, excitation_wavelength_nm=920
    ... )
    >>> psf = two_photon_psf(microscope, shape=(17, 33, 33), voxel_size_um=(0.3, 0.1, 0.1))
    >>> round(float(psf.sum()), 5)
    1.0
    """
    excitation, emission = as_float(microscope.excitation_wavelength_nm), as_float(microscope.emission_wavelength_nm)
    if excitation <= emission:
        raise ValueError(
            f"excitation_wavelength_nm is {excitation:g}, but must be above the emission, {emission:g} nm: two-photon "
            f"excitation of a green dye takes about 920 nm. For one-photon excitation use confocal_psf."
        )
    axial, lateral = microscope.nyquist_um(excitation)
    grid = make_grid(
        microscope,
        shape=shape,
        voxel_size_um=voxel_size_um,
        points_per_pixel=1,
        nyquist_um=(axial / 2, lateral / 2),
    )
    intensity = vectorial_intensity(
        microscope,
        wavelength_nm=microscope.excitation_wavelength_nm,
        radii_um=grid.radii_um,
        z_um=grid.z_um,
    )
    return grid.normalized(intensity**2)
