"""The live figure of the microscope against independent ways to the same pictures and numbers."""

import math

import pytest
import torch

from course_lib import live, optics, samples
from course_lib.live.figures.optics_psf import FIELD_UM, FIGURE, PSF_PIXEL_UM, PSF_REACH, SIDE


@pytest.mark.parametrize(
    ("aperture", "index", "fwhm_um", "length_um"),
    [
        (1.4, 1.515, 0.1859, 0.5039),
        (0.7, 1.515, 0.3839, 2.714),
        (0.8, 1.515, 0.3353, 2.037),
        (0.8, 1.0, 0.3306, 1.168),
        (0.2, 1.0, 0.5145 * 0.525 / 0.2, 23.2),
    ],
)
def test_widths_at_half_maximum(aperture: float, index: float, fwhm_um: float, length_um: float) -> None:
    outputs = live.evaluate(FIGURE, {"numerical_aperture": aperture, "immersion_index": index})
    assert float(outputs["fwhm_um"]) == pytest.approx(fwhm_um, rel=3e-3)
    assert float(outputs["length_um"]) == pytest.approx(length_um, rel=1e-2)


def test_numbers_of_the_facts() -> None:
    outputs = live.evaluate(FIGURE, {"wavelength_nm": 520.0, "pixel_nm": 186.0})
    assert float(outputs["rayleigh_um"]) == pytest.approx(0.226, abs=0.001)
    assert float(outputs["nyquist_nm"]) == pytest.approx(93, abs=0.3)
    assert float(outputs["undersampled"]) == pytest.approx(2, abs=0.01)
    assert outputs["nyquist"].tolist() == pytest.approx([1 / 0.372] * 2)
    assert outputs["cutoff"].tolist() == pytest.approx([2 * 1.4 / 0.52] * 2, rel=1e-3)


def test_an_aperture_that_the_immersion_does_not_allow_is_held_below_it() -> None:
    lowered = live.evaluate(FIGURE, {"immersion_index": 1.0})
    assert float(lowered["aperture"]) == pytest.approx(0.98, abs=1e-4)
    assert float(lowered["lowered"]) == pytest.approx(0.42, abs=1e-4)
    assert f"{float(live.evaluate(FIGURE)['lowered']):.2f}" == "0.00"
    assert float(live.evaluate(FIGURE, {"numerical_aperture": 0.9})["aperture"]) == pytest.approx(0.9, abs=1e-4)
    assert float(live.evaluate(FIGURE, {"numerical_aperture": 1.45})["aperture"]) == pytest.approx(1.45, abs=1e-3)


@pytest.mark.parametrize(
    "values",
    [{}, {"defocus_um": -1.0}, {"numerical_aperture": 1.45, "wavelength_nm": 400.0, "defocus_um": 2.0}],
)  # fmt: skip
def test_the_psf_is_that_of_the_library(values: dict[str, float]) -> None:
    outputs = live.evaluate(FIGURE, values)
    slider = {"wavelength_nm": 525.0, "defocus_um": 0.0, **values}
    microscope = optics.Microscope(
        numerical_aperture=float(outputs["aperture"]),
        emission_wavelength_nm=slider["wavelength_nm"],
        immersion_index=1.515,
    )
    side = 2 * PSF_REACH + 1
    defocus_um = abs(slider["defocus_um"])
    stack = optics.zernike_psf(
        microscope,
        shape=(1 if defocus_um == 0 else 2 * round(defocus_um / 0.1) + 1, side, side),
        voxel_size_um=(0.1, PSF_PIXEL_UM, PSF_PIXEL_UM),
        coefficients_waves={},
    )
    expected = stack[-1] / stack[-1].max()
    torch.testing.assert_close(outputs["psf"], expected, rtol=0, atol=1e-3)


def test_the_image_is_the_star_convolved_with_the_psf() -> None:
    values = {"numerical_aperture": 0.6, "immersion_index": 1.0, "defocus_um": 1.0}
    found = live.evaluate(FIGURE, values)["blurred"]
    microscope = optics.Microscope(numerical_aperture=0.6, immersion_index=1.0)
    psf = optics.zernike_psf(
        microscope, shape=(3, 257, 257), voxel_size_um=(1.0, FIELD_UM / SIDE, FIELD_UM / SIDE), coefficients_waves={}
    )[2, :SIDE, :SIDE]
    star = samples.siemens_star((SIDE, SIDE), voxel_size_um=(FIELD_UM / SIDE,) * 2, diameter_um=12.0, spokes=24)
    transfer = torch.fft.fft2(torch.fft.ifftshift(psf / psf.sum()))
    expected = torch.fft.ifft2(torch.fft.fft2(star) * transfer).real
    assert float((found - expected).abs().max()) < 0.01


@pytest.mark.parametrize("pixel_nm", [150.0, 400.0])
def test_pixels_hold_the_mean_of_the_image(pixel_nm: float) -> None:
    outputs = live.evaluate(FIGURE, {"pixel_nm": pixel_nm})
    points = round(pixel_nm / 1000 / (FIELD_UM / SIDE))  # 3 or 8 points of the image in each pixel
    start = SIDE // 2 - points * (SIDE // 2 // points)
    inside = slice(start, SIDE - start)
    pixels = outputs["camera"][inside, inside]
    blocks = outputs["blurred"][inside, inside].unflatten(0, (-1, points)).unflatten(2, (-1, points))
    expected = blocks.mean((1, 3)).repeat_interleave(points, 0).repeat_interleave(points, 1)
    assert float((pixels - expected).abs().max()) < 0.02
    assert float(pixels.mean()) == pytest.approx(float(expected.mean()), abs=1e-4)


@pytest.mark.parametrize("values", [{}, {"defocus_um": 2.0}, {"numerical_aperture": 0.2}])
def test_the_stretched_scale_holds_the_star_inside_a_circle_of_4_um(values: dict[str, float]) -> None:
    outputs = live.evaluate(FIGURE, values)
    place_um = (torch.arange(SIDE) + 0.5) * FIELD_UM / SIDE - FIELD_UM / 2
    inside = outputs["blurred"][place_um[:, None] ** 2 + place_um**2 < 4.0**2]
    black, white = float(outputs["black"]), float(outputs["white"])
    assert black + white == pytest.approx(float(inside.min() + inside.max()), abs=1e-3)
    assert white - black == pytest.approx(max(float(inside.max() - inside.min()), 0.1), abs=1e-3)


def ring(image: torch.Tensor, radius_um: float) -> float:
    """Return the contrast of the 24 spokes on a ring, negative where bright and dark have changed places."""
    angle = 2 * math.pi * torch.arange(1000) / 1000
    row, column = (
        ((radius_um * wave(angle) + FIELD_UM / 2) / FIELD_UM * SIDE).long() for wave in (torch.sin, torch.cos)
    )
    return float((image[row, column] * torch.cos(24 * angle)).mean() * 2)


def test_the_reader_sees_what_the_caption_promises() -> None:
    sharp = live.evaluate(FIGURE)
    assert ring(sharp["star"], 2.0) > 0.55
    assert ring(sharp["blurred"], 2.0) > 0.3
    low = live.evaluate(FIGURE, {"numerical_aperture": 0.4})
    assert abs(ring(low["blurred"], 2.0)) < 0.01
    defocused = live.evaluate(FIGURE, {"defocus_um": 0.5})
    reversed_per_um = defocused["frequency"][defocused["otf"] < -0.005]
    assert float(reversed_per_um.min()) == pytest.approx(1.5, abs=0.1)
    assert float(reversed_per_um.max()) == pytest.approx(4.1, abs=0.1)
    assert ring(defocused["blurred"], 2.0) < -0.01
    coarse = live.evaluate(FIGURE, {"pixel_nm": 400.0})
    difference = (coarse["camera"] - sharp["blurred"])[96:160, 96:160]
    assert float(difference.abs().max()) > 0.15
