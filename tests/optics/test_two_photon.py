import math

import pytest
import torch

from course_lib.optics import confocal_psf, two_photon_psf, vectorial_psf


def test_two_photon_is_the_square_of_the_infrared_focus(oil, infrared):
    options = {"shape": (9, 33, 33), "voxel_size_um": (0.12, 0.04, 0.04)}
    focus = vectorial_psf(oil.replace(emission_wavelength_nm=920.0), **options)
    torch.testing.assert_close(two_photon_psf(infrared, **options), focus**2 / (focus**2).sum(), rtol=1e-4, atol=1e-9)


def test_widths_fall_from_widefield_to_confocal_and_two_photon_is_the_widest_of_the_sectioning(
    oil, infrared, lateral_fwhm
):
    widefield, closed = (
        lateral_fwhm(vectorial_psf, oil),
        lateral_fwhm(lambda m, **o: confocal_psf(m, pinhole_airy_units=0.0, **o), oil),
    )
    two_photon = lateral_fwhm(two_photon_psf, infrared)
    assert closed < 0.75 * widefield
    assert closed < two_photon
    assert two_photon == pytest.approx(widefield * 920 / 525 / math.sqrt(2), rel=0.05)


def test_a_laser_below_the_emission_is_refused(oil):
    with pytest.raises(ValueError, match=r"excitation_wavelength_nm is 488, but must be above the emission, 525 nm"):
        two_photon_psf(oil, shape=(9, 9), voxel_size_um=(0.04, 0.04))


def test_two_photon_asks_for_half_the_pixel_of_its_laser(infrared):
    axial, lateral = infrared.nyquist_um(920.0)
    fits = {"shape": (5, 9, 9), "voxel_size_um": (0.5 * axial, 0.5 * lateral, 0.5 * lateral)}
    two_photon_psf(infrared, **fits)
    with pytest.warns(UserWarning, match="along x"):
        two_photon_psf(infrared, shape=(9, 9), voxel_size_um=(0.5 * lateral, 0.52 * lateral))
    with pytest.warns(UserWarning, match="along z"):
        two_photon_psf(infrared, shape=(5, 9, 9), voxel_size_um=(0.52 * axial, 0.04, 0.04))
