import math

import pytest
import torch

from course_lib.optics import confocal_psf, vectorial_psf


def test_a_closed_pinhole_gives_the_product_of_both_psfs(oil):
    options = {"shape": (9, 33, 33), "voxel_size_um": (0.12, 0.04, 0.04)}
    excitation = vectorial_psf(oil.replace(emission_wavelength_nm=488.0), **options)
    emission = vectorial_psf(oil, **options)
    expected = excitation * emission / (excitation * emission).sum()
    found = confocal_psf(oil, pinhole_airy_units=0.0, **options)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


def test_an_open_pinhole_leaves_the_focus_of_the_laser(oil):
    options = {"shape": (5, 25, 25), "voxel_size_um": (0.12, 0.04, 0.04)}
    laser = vectorial_psf(oil.replace(emission_wavelength_nm=488.0), **options)
    found = confocal_psf(oil, pinhole_airy_units=30.0, **options)
    assert float((found - laser).norm() / laser.norm()) < 0.02


def test_the_pinhole_is_a_disk(oil):
    """Against a pinhole made of fine pixels, summed in space."""
    fine = 0.02
    options = {"shape": (1, 61, 61), "voxel_size_um": (0.1, fine, fine)}
    radius = 0.61 * 0.525 / 1.4
    reach = math.ceil(radius / fine)
    y, x = torch.meshgrid(torch.arange(-reach, reach + 1), torch.arange(-reach, reach + 1), indexing="ij")
    subpixels = (torch.arange(20) + 0.5) / 20 - 0.5
    distance = torch.hypot(y[..., None, None] + subpixels[:, None], x[..., None, None] + subpixels) * fine
    disk = (distance <= radius).float().mean(dim=(-2, -1))
    wide = {"shape": (1, 61 + 2 * reach, 61 + 2 * reach), "voxel_size_um": (0.1, fine, fine)}
    emission = vectorial_psf(oil, **wide)
    through = torch.nn.functional.conv2d(emission[None], disk[None, None])[0]
    laser = vectorial_psf(oil.replace(emission_wavelength_nm=488.0), **options)
    expected = laser * through / (laser * through).sum()
    found = confocal_psf(oil, pinhole_airy_units=1.0, **options)
    assert float((found - expected).norm() / expected.norm()) < 2e-3


def test_sectioning_comes_with_the_pinhole(oil):
    """The light of whole planes falls off with defocus; in widefield it does not."""
    options = {"shape": (41, 127, 127), "voxel_size_um": (0.1, 0.04, 0.04)}
    planes = [confocal_psf(oil, pinhole_airy_units=diameter, **options).sum(dim=(1, 2)) for diameter in (0.5, 1.0, 4.0)]
    defocused = [float(p[30] / p[20]) for p in planes]
    assert defocused[0] < defocused[1] < defocused[2]
    assert defocused[1] < 0.1
    widefield = vectorial_psf(oil, **options).sum(dim=(1, 2))
    assert float(widefield[30] / widefield[20]) > 0.9


def test_a_laser_above_the_emission_is_refused(oil):
    with pytest.raises(ValueError, match=r"excitation_wavelength_nm is 600, but must be below the emission, 525 nm"):
        confocal_psf(oil.replace(excitation_wavelength_nm=600.0), shape=(9, 9), voxel_size_um=(0.04, 0.04))


@pytest.mark.parametrize("diameter", [-1.0, float("nan"), 1e4])
def test_a_pinhole_that_cannot_be_is_named(diameter, oil):
    with pytest.raises(ValueError, match="pinhole_airy_units is"):
        confocal_psf(oil, pinhole_airy_units=diameter, shape=(9, 9), voxel_size_um=(0.04, 0.04))
