"""Other right ways to solve the exercises of the optics chapter pass, and their draws are what the text says."""

import numpy as np
import pytest
import torch
from scipy.optimize import curve_fit

from course_lib import optics
from course_lib.exercises.optics import aliased_grating, bead_fwhm, pixel_and_magnification, usable_psf

SEEDS = range(5)


def by_a_gaussian_in_the_line(image, pixel_um):
    profile = image[int(image.argmax()) // image.shape[1]].numpy()
    places = np.arange(len(profile))

    def gaussian(x, height, centre, sigma, background):
        return background + height * np.exp(-((x - centre) ** 2) / (2 * sigma**2))

    start = (np.ptp(profile), profile.argmax(), 2.0, np.median(profile))
    return 2.3548 * abs(curve_fit(gaussian, places, profile, start)[0][2]) * pixel_um


def by_straight_lines_between_pixels(image, pixel_um):
    row, column = divmod(int(image.argmax()), image.shape[1])
    profile = image[row] - image.median()
    half = profile[column] / 2
    left, right = column, column
    while profile[left] > half:
        left -= 1
    while profile[right] > half:
        right += 1
    before = left + (half - profile[left]) / (profile[left + 1] - profile[left])
    after = right - (half - profile[right]) / (profile[right - 1] - profile[right])
    return (after - before) * pixel_um


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "answer",
    [
        by_a_gaussian_in_the_line,
        by_straight_lines_between_pixels,
        lambda image, pixel_um: optics.fwhm_um(image - image.median(), voxel_size_um=(pixel_um, pixel_um))[1],
    ],
)
def test_every_honest_width_of_a_bead_passes(answer, seed):
    assert bead_fwhm.check(answer, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bead_has_the_width_of_the_airy_pattern(seed):
    """The expected width is measured in the image; it must be the FWHM that was drawn, 4.4 to 4.6 pixels."""
    case = bead_fwhm.draw(torch.Generator().manual_seed(seed))
    assert 4.3 < case.expected / case.arguments[1] < 4.7


@pytest.mark.parametrize("seed", SEEDS)
def test_pixel_and_magnification_are_those_of_the_library(seed):
    def answer(numerical_aperture, emission_nm, camera_pixel_um):
        microscope = optics.Microscope(
            numerical_aperture=numerical_aperture, emission_wavelength_nm=emission_nm, immersion_index=1.515
        )
        return microscope.lateral_nyquist_um, camera_pixel_um / microscope.lateral_nyquist_um

    assert pixel_and_magnification.check(answer, rng=seed).status == "passed"


def strongest_per_um(image, pixel_um):
    return float(torch.fft.rfft(image.mean(dim=0) - image.mean()).abs().argmax()) / (128 * pixel_um)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_alias_is_folded_at_the_nyquist_frequency(seed):
    """In the coarse image the alias appears at 1/pixel less its own frequency; the other two stay where they are."""
    case = aliased_grating.draw(torch.Generator().manual_seed(seed))
    *gratings, coarse_um, fine_um = case.arguments
    for index, ((coarse, fine), coarse_size, fine_size) in enumerate(zip(gratings, coarse_um, fine_um, strict=True)):
        seen, true = strongest_per_um(coarse, coarse_size), strongest_per_um(fine, fine_size)
        expected = 1 / coarse_size - true if index == case.expected else true
        assert seen == pytest.approx(expected, abs=2 / (128 * fine_size))


@pytest.mark.parametrize(
    "shortcut",
    [
        lambda pair, fine_um: strongest_per_um(pair[1], fine_um),  # the finest is the alias
        lambda pair, fine_um: -float(pair[0].mean(dim=0).std()),  # the faintest is the alias
        lambda pair, fine_um: -fine_um,  # the smallest pixels are the alias
    ],
)
def test_the_alias_is_not_found_without_a_comparison(shortcut):
    def answer(first, second, third, coarse_um, fine_um):
        marks = [shortcut(pair, size) for pair, size in zip((first, second, third), fine_um, strict=True)]
        return marks.index(max(marks))

    assert aliased_grating.check(answer, rng=0).status == "hint"


def test_an_answer_with_the_right_mean_is_told_where_it_differs():
    def turned(measured, background_adu):
        return usable_psf.solution(measured, background_adu).roll(3, dims=1)

    feedback = usable_psf.check(turned, rng=0)
    case = usable_psf.draw(torch.Generator().manual_seed(0))
    difference = turned(*case.arguments) - case.expected
    row, column = divmod(int(difference.abs().argmax()), 31)
    assert feedback.status == "wrong"
    assert f"most at [{row}, {column}], where you have" in feedback.message
    assert feedback.message.count("mean") == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_blurring_with_the_usable_psf_keeps_the_photons(seed):
    case = usable_psf.draw(torch.Generator().manual_seed(seed))
    image = torch.rand(64, 64, generator=torch.Generator().manual_seed(seed))
    blurred = optics.Convolution(usable_psf.solution(*case.arguments), image.shape, boundary="circular")(image)
    assert float(blurred.sum()) == pytest.approx(float(image.sum()), rel=1e-5)
