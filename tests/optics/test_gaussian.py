import math

import numpy as np
import pytest
from scipy import special

from course_lib.optics import Microscope, gaussian_psf


def test_gaussian_is_the_least_squares_fit_to_airy(lateral_fwhm):
    from scipy.optimize import minimize_scalar

    r = np.linspace(1e-9, 12, 200_001)
    airy = (2 * special.j1(2 * np.pi * r) / (2 * np.pi * r)) ** 2
    fit = minimize_scalar(
        lambda s: np.sum(r * (airy - np.exp(-(r**2) / (2 * s**2))) ** 2), bounds=(0.15, 0.3), method="bounded"
    )
    microscope = Microscope(numerical_aperture=0.5, emission_wavelength_nm=500.0, immersion_index=1.0)
    assert lateral_fwhm(gaussian_psf, microscope) == pytest.approx(fit.x * math.sqrt(8 * math.log(2)), rel=1e-3)


def test_gaussian_has_the_axial_width_of_a_high_aperture(axial_fwhm):
    microscope = Microscope(numerical_aperture=1.4, emission_wavelength_nm=520.0, immersion_index=1.515)
    assert axial_fwhm(gaussian_psf, microscope) == pytest.approx(0.489, abs=1e-3)
