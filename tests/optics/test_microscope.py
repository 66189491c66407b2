import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.optics import Microscope, vectorial_psf
from course_lib.optics.vectorial import vectorial_intensity
from course_lib.parameters import ParameterError


def test_nyquist_of_a_common_oil_objective():
    microscope = Microscope(numerical_aperture=1.4, emission_wavelength_nm=520, immersion_index=1.515)
    assert microscope.lateral_nyquist_um == pytest.approx(0.0929, abs=5e-5)
    assert microscope.axial_nyquist_um == pytest.approx(0.278, abs=5e-4)


@given(aperture=st.floats(0.05, 1.3), wavelength=st.floats(300, 900))
def test_nyquist_is_half_the_finest_period_of_the_cone(aperture, wavelength):
    microscope = Microscope(numerical_aperture=aperture, emission_wavelength_nm=wavelength)
    angle = math.asin(aperture / 1.515)
    highest = 2 * 1.515 * math.sin(angle) / (wavelength / 1000)  # two rays from opposite edges
    along = 1.515 * (1 - math.cos(angle)) / (wavelength / 1000)  # an axial ray and one from the edge
    assert microscope.lateral_nyquist_um == pytest.approx(1 / (2 * highest))
    assert microscope.axial_nyquist_um == pytest.approx(1 / (2 * along))


@pytest.mark.parametrize("aperture", [1.515, 1.6, torch.tensor(1.55)])
def test_a_cone_beyond_the_immersion_medium_is_refused(aperture):
    with pytest.raises(ParameterError, match=r"must be below the immersion index, here 1\.515.*immerse the objective"):
        Microscope(numerical_aperture=aperture)


def test_an_aperture_that_the_coverslip_cannot_pass_is_refused():
    with pytest.raises(ParameterError, match=r"numerical_aperture is 1\.6, but must be below the coverslip's index"):
        Microscope(numerical_aperture=1.6, immersion_index=1.78)
    assert Microscope(numerical_aperture=1.6, immersion_index=1.78, coverslip_index=1.78).numerical_aperture == 1.6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("numerical_aperture", 0.0),
        ("numerical_aperture", float("nan")),
        ("emission_wavelength_nm", -520),
        ("immersion_index", 0.9),
        ("sample_index", float("inf")),
        ("depth_um", -1.0),
        ("depth_um", torch.tensor([1.0, 2.0])),
    ],
)
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(ParameterError, match=name):
        Microscope(**{name: value})


def test_to_makes_tensors_of_one_kind_and_the_psf_follows():
    microscope = Microscope().to(dtype=torch.float64)
    assert all(getattr(microscope, p.name).dtype == torch.float64 for p in microscope.declared())
    assert vectorial_psf(microscope, shape=(9, 9), voxel_size_um=(0.08, 0.08)).dtype == torch.float64
    assert vectorial_psf(Microscope(), shape=(9, 9), voxel_size_um=(0.08, 0.08)).dtype == torch.float32


def test_values_that_carry_a_gradient_are_checked_in_silence():
    aperture = torch.tensor(1.2, requires_grad=True)
    assert Microscope(numerical_aperture=aperture).lateral_nyquist_um == pytest.approx(0.525 / 4.8)


@pytest.mark.parametrize(("aperture", "index"), [(0.3, 1.0), (0.8, 1.0), (1.0, 1.33), (1.2, 1.33), (1.4, 1.515)])
def test_nearly_all_light_stays_within_its_reach(aperture, index):
    microscope = Microscope(numerical_aperture=aperture, immersion_index=index, sample_index=index)
    step, pixel = 4 * microscope.axial_nyquist_um, 0.9 * microscope.lateral_nyquist_um
    reach = microscope.light_reach_um(step)
    side = 2 * math.ceil(reach / pixel) + 1
    radii = pixel * torch.arange(20 * side, dtype=torch.float64) / 10
    at = torch.tensor([step], dtype=torch.float64)
    light = vectorial_intensity(microscope, wavelength_nm=525.0, radii_um=radii, z_um=at)[:, 0] * radii
    share = float(light[radii <= reach].sum() / light.sum())
    assert 0.96 < share < 0.98
    assert microscope.light_reach_um(-step) == reach
