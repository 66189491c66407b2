"""Filters that learn nothing, against scipy, and the transform of Anscombe against the Poisson distribution."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from course_lib.noise2void.classical import gaussian, nonlocal_means, stabilized, total_variation, unstabilized


@given(sigma=st.floats(0.3, 6), height=st.integers(3, 40), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_the_blur_is_that_of_scipy_and_keeps_the_light(sigma: float, height: int, seed: int) -> None:
    image = torch.rand((2, height, 31), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = ndimage.gaussian_filter(image.numpy(), (0, sigma, sigma), radius=(0, *[int(np.ceil(4 * sigma))] * 2))
    blurred = gaussian(image, sigma=sigma)
    torch.testing.assert_close(blurred, torch.from_numpy(expected))
    torch.testing.assert_close(blurred.sum(dim=(-2, -1)), image.sum(dim=(-2, -1)))


def test_a_blur_of_no_width_leaves_the_image() -> None:
    image = torch.rand(5, 6)
    assert torch.equal(gaussian(image, sigma=0), image)


@pytest.mark.parametrize("mean", [1.0, 3.0, 10.0, 100.0])
def test_the_inverse_undoes_the_mean_of_the_transform(mean: float) -> None:
    """The plain inverse would be wrong by about a quarter of a photon."""
    counts = torch.arange(int(mean + 20 * mean**0.5 + 20), dtype=torch.float64)
    probability = torch.from_numpy(stats.poisson.pmf(counts.numpy(), mean))
    average = (probability * stabilized(counts)).sum()
    assert float(unstabilized(average)) == pytest.approx(mean, abs=0.03)
    assert abs(float(average.square() / 4 - 0.375) - mean) > 0.15


@pytest.mark.parametrize("mean", [4.0, 20.0, 200.0])
def test_the_noise_is_1_after_the_transform(mean: float) -> None:
    counts = torch.poisson(torch.full((512, 512), mean), generator=torch.Generator().manual_seed(0))
    assert float(stabilized(counts).std()) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("restore", "name"), [(nonlocal_means, "strength"), (total_variation, "weight")])
def test_both_restore_frames_one_by_one_and_take_most_noise(restore, name: str) -> None:
    truth = torch.full((2, 48, 48), 20.0)
    truth[:, 16:32, 16:32] = 60.0
    counts = torch.poisson(truth, generator=torch.Generator().manual_seed(0))
    restored = restore(counts, **{name: 0.8})
    torch.testing.assert_close(restored[1], restore(counts[1], **{name: 0.8}))
    assert float((restored - truth).square().mean()) < float((counts - truth).square().mean()) / 4
    assert torch.equal(restore(counts, **{name: 0.0}), counts)


@pytest.mark.parametrize(("restore", "name"), [(nonlocal_means, "strength"), (total_variation, "weight")])
def test_negative_counts_get_a_clear_error(restore, name: str) -> None:
    with pytest.raises(ValueError, match="counts go down to -1, but must be at least 0: they are photons"):
        restore(torch.full((8, 8), -1.0), **{name: 0.8})
    with pytest.raises(ValueError, match=f"{name} is -1, but must be at least 0"):
        restore(torch.full((8, 8), 1.0), **{name: -1.0})


def test_a_negative_width_gets_a_clear_error() -> None:
    with pytest.raises(ValueError, match="sigma is -1 pixels, but must be at least 0"):
        gaussian(torch.ones(8, 8), sigma=-1)
