"""The live figure of metrics against the library's metrics, and what the chapter tells the reader to find in it."""

from typing import Any

import pytest
import torch
from scipy.ndimage import gaussian_filter

from course_lib import live, metrics
from course_lib.live.figures.learning_metrics import FIGURE, LEAST_ERROR, PEAK, blurred

SPOILED = [
    {},
    {"noise_photons": 0.0, "blur_px": 2.0},
    {"noise_photons": 12.0, "blur_px": 1.0, "brightness_percent": 60.0, "offset_photons": 20.0},
    {"noise_photons": 3.0, "brightness_percent": 180.0, "offset_photons": -40.0},
]


def show(**values: Any) -> live.Tensors:
    return live.evaluate(FIGURE, values)


@pytest.mark.parametrize("values", SPOILED)
def test_the_numbers_are_those_of_the_library(values: dict[str, float]) -> None:
    found = show(**values)
    pair = found["estimate"], found["truth"]
    expected = {
        "nrmse": metrics.nrmse(*pair),
        "squared": metrics.normalized_squared_error(*pair),
        "psnr": metrics.psnr(*pair, data_range=PEAK),
        "ssim_one": metrics.ssim(*pair, data_range=1.0),
        "ssim": metrics.ssim(*pair, data_range=PEAK),
        "ssim_16_bits": metrics.ssim(*pair, data_range=65535.0),
        "bias": 100 * (pair[0].double().sum() / pair[1].double().sum() - 1),
    }
    for name, number in expected.items():
        assert float(found[name]) == pytest.approx(float(number), rel=1e-3, abs=1e-4), name
    span = float(pair[1].max() - pair[1].min())  # the range that si_psnr takes
    difference = 20 * torch.log10(torch.tensor(PEAK / span))
    assert float(found["si_psnr"]) == pytest.approx(float(metrics.si_psnr(*pair) + difference), abs=0.01)


def test_the_peak_is_the_range() -> None:
    assert float(show()["truth"].max()) == pytest.approx(PEAK)


@pytest.mark.parametrize("sigma_px", [0.0, 0.8, 3.0])
def test_the_blur_is_a_gaussian_that_keeps_the_light(sigma_px: float) -> None:
    image = show()["truth"]
    found = blurred(image, torch.tensor(sigma_px))
    assert float(found.sum()) == pytest.approx(float(image.sum()), rel=1e-6)
    expected = gaussian_filter(image.double().numpy(), sigma_px, mode="reflect", truncate=8) if sigma_px else image
    assert float((found - torch.as_tensor(expected)).abs().max()) < 0.02 * PEAK


def test_a_perfect_image_has_finite_numbers() -> None:
    perfect = show(noise_photons=0.0)
    most = -20 * torch.log10(torch.tensor(LEAST_ERROR / PEAK))
    assert float(perfect["psnr"]) == pytest.approx(float(most), abs=0.01)
    assert float(perfect["si_psnr"]) == pytest.approx(float(most), abs=0.01)
    assert float(perfect["nrmse"]) == pytest.approx(0, abs=1e-5)


def test_noise_and_blur_of_one_nrmse_differ_in_ssim() -> None:
    noisy = show(noise_photons=6.0)
    widths = [k / 10 for k in range(1, 61)]
    errors = [abs(float(show(noise_photons=0.0, blur_px=w)["nrmse"] - noisy["nrmse"])) for w in widths]
    width = widths[errors.index(min(errors))]
    assert width == 2.9
    smooth = show(noise_photons=0.0, blur_px=width)
    assert float(smooth["nrmse"]) == pytest.approx(float(noisy["nrmse"]), rel=0.01)
    assert float(smooth["ssim"]) > float(noisy["ssim"]) + 0.1


def test_half_the_brightness_costs_psnr_and_not_si_psnr() -> None:
    dim = show(noise_photons=0.0, brightness_percent=50.0)
    noisy = show(noise_photons=6.0)
    assert float(dim["psnr"]) == pytest.approx(18.0, abs=0.05)
    assert float(noisy["psnr"]) == pytest.approx(24.5, abs=0.05)
    assert float(dim["si_psnr"]) > 79
    assert float(dim["bias"]) == pytest.approx(-50, abs=0.01)


def test_the_range_decides_how_similar_two_images_are() -> None:
    found = show()
    assert float(found["ssim_one"]) < float(found["ssim"]) < float(found["ssim_16_bits"])
    assert float(found["ssim_16_bits"]) > 0.999


def test_a_small_offset_is_seen_by_most() -> None:
    shifted = show(noise_photons=0.0, offset_photons=10.0)
    assert float(shifted["nrmse"]) == pytest.approx(0.4, abs=0.005)
    assert float(shifted["bias"]) == pytest.approx(50, abs=0.1)
    assert float(shifted["ssim"]) < 0.9
    assert float(shifted["si_psnr"]) > 79
