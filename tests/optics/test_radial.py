"""Intensities between the distances at which they are computed."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from course_lib.optics import Microscope, airy_psf
from course_lib.optics._radial import at_radii
from course_lib.optics.vectorial import vectorial_intensity

F64 = torch.float64


@given(radians=st.floats(0.0, 2000.0), sharp=st.booleans())
def test_the_error_stays_below_the_rounding(radians: float, sharp: bool) -> None:
    dtype, limit = (F64, 1e-13 + 2e-16 * radians**2) if sharp else (torch.float32, 2e-7)
    radii = torch.rand(3000, dtype=F64, generator=torch.Generator().manual_seed(0))

    def airy(r: torch.Tensor) -> torch.Tensor:
        waves = [1.0, 0.7, 0.1]
        return torch.stack([torch.from_numpy(special.jv(0, radians * s * r.numpy())) ** 2 for s in waves], dim=1)

    found = at_radii(airy, radii, radians_per_um=radians, dtype=dtype)
    assert float((found - airy(radii)).abs().max()) < limit


def test_few_distances_are_computed_one_by_one() -> None:
    asked = []

    def intensity(r: torch.Tensor) -> torch.Tensor:
        asked.append(r)
        return r[:, None]

    radii = torch.tensor([0.0, 1.0, 2.0], dtype=F64)
    assert torch.equal(at_radii(intensity, radii, radians_per_um=100.0, dtype=F64)[:, 0], radii)
    assert torch.equal(asked[0], radii)


def test_many_distances_cost_as_many_as_the_field_resolves() -> None:
    asked = []

    def intensity(r: torch.Tensor) -> torch.Tensor:
        asked.append(len(r))
        return torch.special.bessel_j0(10 * r)[:, None] ** 2

    for count in (1_000, 10_000):
        at_radii(intensity, torch.linspace(0, 5, count, dtype=F64), radians_per_um=10.0, dtype=torch.float32)
    assert asked[0] == asked[1] < 75


def test_what_is_kept_from_inference_can_be_differentiated() -> None:
    radii = torch.linspace(0, 1, 977, dtype=F64)  # a number of radii that no other test has
    scale = torch.ones((), dtype=F64, requires_grad=True)

    def intensity(r: torch.Tensor) -> torch.Tensor:
        return scale * torch.special.bessel_j0(10 * r)[:, None]

    with torch.inference_mode():
        at_radii(intensity, radii, radians_per_um=10.0, dtype=F64)
    total = at_radii(intensity, radii, radians_per_um=10.0, dtype=F64).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert scale.grad is not None
    assert scale.grad.item() == pytest.approx(total.item(), rel=1e-12)


@pytest.mark.parametrize("count", [3_000, 30_000])
def test_many_distances_are_taken_in_blocks_that_agree(count: int) -> None:
    radii = torch.linspace(0, 1, count, dtype=F64)
    found = at_radii(lambda r: torch.cos(100 * r)[:, None] ** 2, radii, radians_per_um=100.0, dtype=F64)
    assert float((found[:, 0] - torch.cos(100 * radii) ** 2).abs().max()) < 1e-10


def test_the_axis_alone() -> None:
    radii = torch.zeros(1, dtype=F64)
    assert float(at_radii(lambda r: 1 + r[:, None], radii, radians_per_um=10.0, dtype=F64)) == 1


@pytest.mark.parametrize("sample_index", [1.518, 1.33])
def test_dark_rings_stay_dark_and_nothing_is_negative(sample_index: float) -> None:
    microscope = Microscope(numerical_aperture=1.4, immersion_index=1.518, sample_index=sample_index)
    radii = torch.linspace(0, 4, 2000, dtype=F64)
    z = torch.linspace(-3, 3, 16, dtype=F64)

    def intensity(at: torch.Tensor) -> torch.Tensor:
        return vectorial_intensity(microscope, wavelength_nm=525, radii_um=at, z_um=z).double()

    many = intensity(radii)
    # batches too small for interpolation
    one_by_one = torch.cat([intensity(torch.cat([some, radii[-1:]]))[:-1] for some in radii.split(20)])
    assert bool((many > 0).all())
    assert float((many / one_by_one - 1).abs().max()) < 3e-4
    assert float((many - one_by_one).norm() / one_by_one.norm()) < 5e-7


@pytest.mark.parametrize("side", [31, 64, 255])
def test_the_zeros_of_an_airy_pattern_do_not_fall_below_zero(side: int) -> None:
    psf = airy_psf(Microscope(numerical_aperture=0.8, immersion_index=1.0), shape=(side,) * 2, voxel_size_um=(0.1,) * 2)
    assert float(psf.min()) >= 0


def test_an_airy_pattern_in_one_plane_is_the_closed_form() -> None:
    microscope = Microscope(numerical_aperture=torch.tensor(0.5, dtype=F64), immersion_index=1.0)
    psf = airy_psf(microscope, shape=(255, 255), voxel_size_um=(0.05, 0.05))
    y = 0.05 * (torch.arange(255, dtype=F64) - 127)
    v = 2 * math.pi / (microscope.emission_wavelength_nm / 1000) * 0.5 * torch.hypot(y[:, None], y)
    at = v.clamp(min=1e-9).numpy()
    closed = torch.from_numpy(2 * special.jv(1, at) / at) ** 2
    assert float((psf / psf.max() - closed).abs().max()) < 2e-7
