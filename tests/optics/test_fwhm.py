import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.optics import Microscope, airy_psf, fwhm_um, vectorial_psf

WIDTH = math.sqrt(8 * math.log(2))


def spot(shape: tuple[int, ...], centre: tuple[float, ...], sigma: tuple[float, ...]) -> torch.Tensor:
    profiles = [
        torch.exp(-(((torch.arange(n, dtype=torch.float64) - c) / s) ** 2) / 2)
        for n, c, s in zip(shape, centre, sigma, strict=True)
    ]
    product = profiles[0]
    for profile in profiles[1:]:
        product = product[..., None] * profile
    return product


@given(
    centre=st.tuples(*[st.floats(17, 23)] * 3),
    sigma=st.tuples(*[st.floats(1.3, 3)] * 3),
    height=st.floats(1e-6, 1e6),
)
@settings(deadline=None, max_examples=40)
def test_gaussian_wherever_its_maximum_is(centre, sigma, height) -> None:
    widths = fwhm_um(height * spot((41, 41, 41), centre, sigma), voxel_size_um=(0.3, 0.1, 0.2))
    truth = [WIDTH * s * size for s, size in zip(sigma, (0.3, 0.1, 0.2), strict=True)]
    assert widths == pytest.approx(truth, rel=1e-3)


@pytest.mark.parametrize("shape", [(32, 33), (33, 32)])
def test_float32_odd_and_even(shape: tuple[int, int]) -> None:
    widths = fwhm_um(spot(shape, (16.3, 15.5), (2.0, 3.0)).float(), voxel_size_um=(1, 1))
    assert widths == pytest.approx((2 * WIDTH, 3 * WIDTH), rel=1e-4)


def test_slanted_spot_is_cut_through_its_own_maximum() -> None:
    y, x = torch.meshgrid(*[torch.arange(41, dtype=torch.float64)] * 2, indexing="ij")
    dy, dx = y - 20.4, x - 19.7
    slanted = torch.exp(-(dy**2 + dx**2 - 1.2 * dy * dx) / (2 * 2.0**2))
    assert fwhm_um(slanted, voxel_size_um=(1, 1)) == pytest.approx((2 * WIDTH, 2 * WIDTH), rel=1e-3)


def test_airy_pattern_has_its_textbook_width() -> None:
    microscope = Microscope(numerical_aperture=0.3, emission_wavelength_nm=500, immersion_index=1.0, sample_index=1.0)
    psf = airy_psf(microscope.to(dtype=torch.float64), shape=(65, 65), voxel_size_um=(0.1, 0.1))
    assert fwhm_um(psf, voxel_size_um=(0.1, 0.1)) == pytest.approx([0.51450 * 0.5 / 0.3] * 2, rel=2e-4)


def test_voxels_of_nyquist_size_are_enough() -> None:
    microscope = Microscope(numerical_aperture=1.4, immersion_index=1.518, sample_index=1.518).to(dtype=torch.float64)
    fine = vectorial_psf(microscope, shape=(101, 101, 101), voxel_size_um=(0.03, 0.015, 0.015))
    coarse = vectorial_psf(microscope, shape=(12, 17, 18), voxel_size_um=(0.28, 0.093, 0.093))
    assert fwhm_um(coarse, voxel_size_um=(0.28, 0.093, 0.093)) == pytest.approx(
        fwhm_um(fine, voxel_size_um=(0.03, 0.015, 0.015)), rel=5e-4
    )


def test_nearest_half_maximum_counts_not_a_second_spot() -> None:
    two = spot((21, 61), (10, 15), (2, 2)) + 0.8 * spot((21, 61), (10, 45), (2, 2))
    assert fwhm_um(two, voxel_size_um=(1, 1)) == pytest.approx((2 * WIDTH, 2 * WIDTH), rel=1e-4)


def test_width_of_a_single_bright_voxel_is_found() -> None:
    point = torch.zeros(9, 9)
    point[4, 4] = 1
    assert fwhm_um(point, voxel_size_um=(1, 1)) == pytest.approx((1.207, 1.207), abs=0.03)  # of sin(πx)/πx


@pytest.mark.parametrize(
    ("psf", "message"),
    [
        (torch.zeros(9, 9), "no value above 0, the largest is 0"),
        (spot((9, 41), (4, 20), (6, 2)), "along y the psf falls only to 80% of its maximum on one side within its 9"),
        (spot((41, 41), (20, 40), (2, 2)), "along x the psf falls only to 100% of its maximum on one side"),
        (spot((41, 41), (20, 20), (2, 2)) + 2, "subtract any background"),
        (torch.ones(1, 1), "along y the psf falls only to 100%"),
        (torch.full((5, 5), torch.nan), "25 values that are NaN"),
        (torch.ones(5), "at least 2 axes"),
        (torch.ones(2, 5, 5, 5), r"both must be \(y, x\) or both \(z, y, x\)"),
    ],
)
def test_what_has_no_width(psf: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fwhm_um(psf, voxel_size_um=(0.1,) * min(psf.ndim, 3))


def test_a_stack_of_one_plane_has_no_width_along_z() -> None:
    with pytest.raises(ValueError, match="along z the psf falls only to 100% of its maximum on one side within its 1"):
        fwhm_um(spot((1, 21, 21), (0, 10, 10), (1, 2, 2)), voxel_size_um=(0.1, 0.1, 0.1))


@pytest.mark.parametrize("size", [0.0, -0.1, math.nan, math.inf])
def test_voxel_size(size: float) -> None:
    with pytest.raises(ValueError, match="voxel_size_um is"):
        fwhm_um(spot((21, 21), (10, 10), (2, 2)), voxel_size_um=(0.1, size))


def test_integers_and_arrays_are_refused() -> None:
    with pytest.raises(TypeError, match=r"psf.float\(\) converts it"):
        fwhm_um(torch.ones(5, 5, dtype=torch.int32), voxel_size_um=(1, 1))
    with pytest.raises(TypeError, match="psf is a ndarray"):
        fwhm_um(torch.ones(5, 5).numpy(), voxel_size_um=(1, 1))  # type: ignore[arg-type]
