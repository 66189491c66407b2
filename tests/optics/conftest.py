"""Two microscopes, and the widths of a model's PSF."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from course_lib.optics import Microscope, two_photon_psf

Model = Callable[..., torch.Tensor]
OIL = Microscope(numerical_aperture=1.4, emission_wavelength_nm=525.0, immersion_index=1.518, sample_index=1.518)


@pytest.fixture(scope="session")
def oil() -> Microscope:
    """An oil objective in a medium of its own index."""
    return OIL


@pytest.fixture(scope="session")
def infrared() -> Microscope:
    """The same with a laser for two-photon excitation."""
    return OIL.replace(excitation_wavelength_nm=920.0)


@pytest.fixture(scope="session")
def suited(oil: Microscope, infrared: Microscope) -> Callable[[Model], Microscope]:
    """Choose the one that a model can take."""
    return lambda model: infrared if model is two_photon_psf else oil


def profile_fwhm(values: np.ndarray, step: float) -> float:
    """Full width at half maximum of a symmetric profile whose peak is its middle, by cubic interpolation."""
    from scipy.interpolate import CubicSpline

    half = CubicSpline(step * np.arange(len(values) // 2 + 1), values[len(values) // 2 :] / values.max() - 0.5)
    return 2 * float(half.roots(extrapolate=False)[0])


@pytest.fixture(scope="session")
def lateral_fwhm() -> Callable[[Model, Microscope], float]:
    """Width across, in focus, in µm."""

    def measure(model: Model, microscope: Microscope, step: float = 0.004) -> float:
        psf = model(microscope.to(dtype=torch.float64), shape=(1, 201), voxel_size_um=(step, step))
        return profile_fwhm(psf[0].numpy(), step)

    return measure


@pytest.fixture(scope="session")
def axial_fwhm() -> Callable[[Model, Microscope], float]:
    """Width along the axis, in µm."""

    def measure(model: Model, microscope: Microscope, step: float = 0.01) -> float:
        psf = model(microscope.to(dtype=torch.float64), shape=(201, 1, 1), voxel_size_um=(step, step, step))
        return profile_fwhm(psf[:, 0, 0].numpy(), step)

    return measure
