"""Counts from a camera: their variance is their mean, and their halves are uncorrelated."""

import pytest
import torch

from course_lib.noise import Camera, calibrate_image, equivalent_counts, split_photons

FRAMES = 2000


def _captured(level_e: float, read_noise_e: float, gain_e_per_adu: float) -> torch.Tensor:
    camera = Camera(
        gain_e_per_adu=gain_e_per_adu, quantum_efficiency=1.0, dark_current_e_per_s=0.0, read_noise_e=read_noise_e
    )
    return camera.capture(torch.full((FRAMES, 8, 8), level_e), rng=0)


@pytest.mark.parametrize("gain_e_per_adu", [0.46, 1.3])
@pytest.mark.parametrize("read_noise_e", [0.8, 1.6, 4.0])
@pytest.mark.parametrize("level_e", [5.0, 40.0])
def test_variance_is_mean_and_halves_are_uncorrelated(
    level_e: float, read_noise_e: float, gain_e_per_adu: float
) -> None:
    adu = _captured(level_e, read_noise_e, gain_e_per_adu)
    found = equivalent_counts(adu, gain_e_per_adu=gain_e_per_adu, offset_adu=100.0, read_noise_e=read_noise_e, rng=1)
    counts = found.counts.double()
    expected, pixels = level_e + found.background_photons, counts.numel()
    assert float(counts.mean()) == pytest.approx(expected, abs=4 * (expected / pixels) ** 0.5)
    spread = (2 * expected**2 + expected) / pixels  # of the variance of that many Poisson counts
    assert float(counts.var()) == pytest.approx(expected, abs=4 * spread**0.5)
    left, right = (half.double() for half in split_photons(found.counts, fraction=0.3, rng=2))
    covariance = float(((left - left.mean()) * (right - right.mean())).mean())
    assert abs(covariance) < 4 * (0.21 * expected**2 / pixels) ** 0.5


def test_the_way_back() -> None:
    adu = _captured(20.0, 1.6, 0.46)
    found = equivalent_counts(adu, gain_e_per_adu=0.46, offset_adu=100.0, read_noise_e=1.6, rng=1)
    assert found.clipped_share == 0
    assert float((found.to_adu(found.counts) - adu).abs().max()) <= 1 / 0.46
    assert float(found.to_adu(found.counts).mean()) == pytest.approx(float(adu.mean()), abs=0.01)


def test_a_single_image_tells_all_that_is_needed() -> None:
    """Nothing known: the offset that is too low by R²/g adds the same background as a known read noise does."""
    rows = torch.linspace(0, 3, 512)
    scene = 60 * (1.3 + torch.sin(rows)[:, None] * torch.cos(2 * rows))
    camera = Camera(gain_e_per_adu=0.5, quantum_efficiency=1.0, dark_current_e_per_s=0.0, read_noise_e=3.0)
    guessed = calibrate_image(camera.capture(scene, rng=0))
    frames = camera.capture(scene.expand(60, -1, -1), rng=1)
    found = equivalent_counts(
        frames,
        gain_e_per_adu=guessed.gain_e_per_adu,
        offset_adu=guessed.offset_adu,
        read_noise_e=guessed.read_noise_e,
        rng=2,
    )
    ratio = found.counts.var(dim=0) / found.counts.mean(dim=0)
    assert float(ratio.mean()) == pytest.approx(1, abs=0.1)


def test_dark_pixels_that_would_be_negative_are_counted() -> None:
    adu = _captured(0.0, 1.6, 0.46)
    found = equivalent_counts(adu, gain_e_per_adu=0.46, offset_adu=100.0, read_noise_e=1.6, rng=1)
    assert 0.01 < found.clipped_share < 0.06
    assert float(found.counts.mean()) - found.background_photons < 0.06


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"gain_e_per_adu": 0.0}, "gain_e_per_adu is 0 e⁻/ADU, but must be above 0"),
        ({"read_noise_e": -1.0}, "read_noise_e is -1 e⁻, but must be at least 0"),
        ({"offset_adu": float("inf")}, "offset_adu is inf ADU, but must be finite: pass the mean of a dark frame"),
    ],
)
def test_wrong_cameras_get_a_clear_error(changed: dict[str, float], says: str) -> None:
    known = {"gain_e_per_adu": 0.5, "offset_adu": 100.0, "read_noise_e": 1.0}
    with pytest.raises(ValueError, match=says):
        equivalent_counts(torch.ones(8, 8), **(known | changed), rng=0)
