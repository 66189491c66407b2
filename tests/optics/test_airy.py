import math

import numpy as np
import pytest
import torch
from scipy import special

from course_lib.optics import Microscope, airy_psf


def test_airy_in_focus_is_the_closed_form():
    microscope = Microscope(numerical_aperture=0.3, emission_wavelength_nm=500.0, immersion_index=1.0)
    psf = airy_psf(microscope.to(dtype=torch.float64), shape=(65, 65), voxel_size_um=(0.1, 0.1))
    y, x = np.mgrid[-32:33, -32:33] * 0.1
    v = 2 * np.pi * 0.3 / 0.5 * np.hypot(y, x)
    v[32, 32] = 1e-9
    expected = (2 * special.j1(v) / v) ** 2
    np.testing.assert_allclose(psf.numpy(), expected / expected.sum(), atol=1e-9)


def test_airy_numbers_of_the_textbook(lateral_fwhm):
    microscope = Microscope(numerical_aperture=0.5, emission_wavelength_nm=500.0, immersion_index=1.0)  # λ/NA = 1 µm
    assert lateral_fwhm(airy_psf, microscope) == pytest.approx(0.5145, abs=2e-4)
    line = airy_psf(microscope.to(dtype=torch.float64), shape=(1, 4001), voxel_size_um=(0.001, 0.001))[0, 2000:]
    radii = 0.001 * torch.arange(2001)
    first_zero = int(line[:800].argmin())
    assert float(radii[first_zero]) == pytest.approx(0.6098, abs=1e-3)
    inside = torch.trapezoid((2 * math.pi * line * radii)[: first_zero + 1], radii[: first_zero + 1])
    all_light = line[0] / math.pi  # of (2J₁(v)/v)², integrated over the plane, for λ/NA = 1
    assert float(inside / all_light) == pytest.approx(0.838, abs=1e-3)
    two = line[305] * 2  # two points at the Rayleigh distance, in the middle between them
    assert float(two / (line[0] + line[610])) == pytest.approx(0.735, abs=2e-3)


def test_airy_along_the_axis_is_sinc_squared_with_its_zero_at_two_n_lambda_over_na_squared():
    microscope = Microscope(numerical_aperture=1.4, emission_wavelength_nm=520.0, immersion_index=1.515)
    step = 0.804 / 100
    psf = airy_psf(microscope.to(dtype=torch.float64), shape=(301, 1, 1), voxel_size_um=(step, 0.09, 0.09))[:, 0, 0]
    z = step * (np.arange(301) - 150)
    expected = np.sinc(z * 1.4**2 / (2 * 1.515 * 0.52)) ** 2
    np.testing.assert_allclose(psf.numpy(), expected / expected.sum(), atol=1e-9)
    assert float(psf[250] / psf[150]) < 1e-4
