r"""The confocal microscope: a focused laser, and a pinhole that lets through what comes from its focus.

The laser excites the emitter with the intensity of its focus, and the emission reaches the detector if it falls on
the pinhole, a disk :math:`P` in the image of the focus:

.. math:: h = h_\mathrm{ex} \cdot (h_\mathrm{em} \otimes P)

Both factors are vectorial PSFs (`course_lib.optics.vectorial`), at the wavelengths of the laser and of the emission.
The convolution is done in Fourier space in each plane, with the exact transform of a disk of radius :math:`a`,
:math:`2J_1(2\pi f a)/(2\pi f a)`, so that no pinhole is too small for the pixels. A plane that is even in x and y has
a cosine transform, two matrix products with one of its quadrants.

The diameter of the pinhole is counted in Airy units, each the diameter of Airy's disk,
:math:`1\,\mathrm{AU} = 1.22\,\lambda_\mathrm{em}/\mathrm{NA}`. At 0 the PSF is sharpest and nothing arrives; at 1
most of the light of the focus arrives and the planes out of focus are dark; wide open it is a microscope with a
scanned laser, without sectioning.

References
----------
J. B. Pawley (ed.), *Handbook of Biological Confocal Microscopy*, 3rd ed., Springer 2006.
C. J. R. Sheppard and A. Choudhury, Optica Acta 24 (1977) 1051.
"""

import math
from collections.abc import Sequence

import torch

from course_lib.optics._aperture import working_type
from course_lib.optics._grid import check_shape, make_grid
from course_lib.optics.bessel import jinc
from course_lib.optics.microscope import Microscope, Quantity, as_float
from course_lib.optics.vectorial import vectorial_intensity
from course_lib.parameters import Parameter

__all__ = ["confocal_psf"]

PINHOLE = Parameter(
    name="pinhole_airy_units", default=1.0, meaning="diameter of the pinhole", unit="AU", minimum=0.0, maximum=100.0
)


def _cosines(count: int, like: torch.Tensor) -> torch.Tensor:
    """Return the cosine transform of `count` samples of an even function, (frequencies, samples): DCT-I."""
    index = torch.arange(count, device=like.device)
    turns = (index[:, None] * index).remainder(2 * (count - 1)).to(like) / (2 * (count - 1))
    twice = torch.ones(count, device=like.device, dtype=like.dtype)
    twice[1:-1] = 2
    return torch.cos(2 * math.pi * turns) * twice


def _through_pinhole(quarter: torch.Tensor, radius_um: torch.Tensor, pixel_um: Sequence[float]) -> torch.Tensor:
    """Average planes, of which `quarter` (Z, Q, P) is one quadrant, over a disk around each pixel."""
    rows, columns = quarter.shape[-2:]
    down, across = _cosines(rows, quarter), _cosines(columns, quarter)
    y, x = (
        torch.arange(count, device=quarter.device, dtype=quarter.dtype) / (2 * (count - 1) * size)
        for count, size in ((rows, pixel_um[-2]), (columns, pixel_um[-1]))
    )
    disk = jinc(2 * math.pi * radius_um.to(quarter.dtype) * torch.hypot(y[:, None], x))
    spectrum = disk * (down @ quarter @ across.T)
    return down @ spectrum @ across.T / (4 * (rows - 1) * (columns - 1))


def confocal_psf(
    microscope: Microscope,
    *,
    shape: Sequence[int],
    voxel_size_um: Sequence[float],
    pinhole_airy_units: Quantity = 1.0,
) -> torch.Tensor:
    """Return the PSF of a confocal microscope whose laser fills the aperture evenly.

    Parameters
    ----------
    microscope : Microscope
        All its values enter; the laser has the excitation wavelength.
    shape : sequence of int
        (y, x) for the focal plane or (z, y, x) in voxels; the emitter is at ``size // 2``.
    voxel_size_um : sequence of float
        Size of a voxel in µm, (y, x) or (z, y, x). Nyquist asks for smaller ones than in widefield.
    pinhole_airy_units : float or torch.Tensor
        Diameter of the pinhole in units of Airy's disk at the emission wavelength.

    Returns
    -------
    torch.Tensor, shape `shape`
        Sums to 1. How much light a pinhole lets through is not in it.

    Raises
    ------
    ValueError
        If the laser has the longer wavelength, shape and voxel size do not fit, or a size is out of range.

    Warns
    -----
    UserWarning
        If a voxel is above the Nyquist limit of the confocal microscope.

    Examples
    --------
    >>> microscope = Microscope(numerical_aperture=1.2, immersion_index=1.33, sample_index=1.33)
    >>> psf = confocal_psf(microscope, shape=(17, 33, 33), voxel_size_um=(0.15, 0.05, 0.05))
    >>> round(float(psf.sum()), 5)
    1.0
    """
    PINHOLE.check(pinhole_airy_units)
    excitation, emission = microscope.excitation_wavelength_nm, microscope.emission_wavelength_nm
    if as_float(excitation) >= as_float(emission):
        raise ValueError(
            f"excitation_wavelength_nm is {as_float(excitation):g}, but must be below the emission, "
            f"{as_float(emission):g} nm: one photon gives at most its own energy. For two-photon excitation use "
            f"two_photon_psf."
        )
    device, _ = working_type(microscope)
    limits = zip(microscope.nyquist_um(as_float(excitation)), microscope.nyquist_um(as_float(emission)), strict=True)
    axial, lateral = (1 / (1 / blue + 1 / red) for blue, red in limits)
    emission_um = torch.as_tensor(emission, dtype=torch.float64, device=device) / 1000
    radius = 0.61 * pinhole_airy_units * emission_um / microscope.numerical_aperture
    check_shape(shape, voxel_size_um)
    margin = math.ceil(as_float(radius) / min(voxel_size_um[-2:])) + 1
    grid = make_grid(
        microscope,
        shape=shape,
        voxel_size_um=voxel_size_um,
        points_per_pixel=1,
        nyquist_um=(axial, lateral),
        margin=margin,
    )
    blue, red = (
        vectorial_intensity(microscope, wavelength_nm=wavelength, radii_um=grid.radii_um, z_um=grid.z_um)
        for wavelength in (excitation, emission)
    )
    seen = _through_pinhole(grid.quarter(red), radius, voxel_size_um).clamp(min=0)
    volume = grid.mirrored(grid.quarter(blue) * seen)
    volume = volume / volume.sum()
    return volume[0] if grid.planar else volume
