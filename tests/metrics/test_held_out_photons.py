"""The referee against the truth of simulations: right on average, and as unsure as it says."""

from collections.abc import Callable

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import restoration

from course_lib.metrics import held_out_difference, held_out_error
from course_lib.noise import Camera, equivalent_counts, split_photons

RUNS, SIDE = 1500, 24
Restore = Callable[[torch.Tensor], torch.Tensor]


def scene() -> torch.Tensor:
    rows = torch.linspace(0, 6, SIDE, dtype=torch.float64)
    return 15 * (1.2 + torch.sin(rows)[:, None] * torch.cos(2 * rows))


def blur(sigma: float) -> Restore:
    return lambda seen: torch.from_numpy(ndimage.gaussian_filter(seen.double().numpy(), (0, sigma, sigma)))


def anscombe_nonlocal_means(seen: torch.Tensor) -> torch.Tensor:
    flat = 2 * (seen.double() + 0.375).sqrt()
    restored = [restoration.denoise_nl_means(one.numpy(), 3, 5, h=0.8, sigma=1.0) for one in flat]
    return torch.from_numpy(numpy.stack(restored)).div(2).square() - 0.125


def flat(seen: torch.Tensor) -> torch.Tensor:
    return seen.double().mean(dim=(-2, -1), keepdim=True).expand(seen.shape)


def as_it_is(seen: torch.Tensor) -> torch.Tensor:
    return seen.double()


def true_error(estimate: torch.Tensor, share: float) -> torch.Tensor:
    return (estimate / (1 - share) - scene()).square().mean(dim=(-2, -1))


def split(share: float, runs: int = RUNS, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    counts = torch.poisson(scene().expand(runs, -1, -1), generator=torch.Generator().manual_seed(seed))
    held_out, seen = split_photons(counts, fraction=share, rng=seed + 1)
    return seen, held_out


def within_standard_errors(found: torch.Tensor, expected: float = 0.0) -> bool:
    return abs(float(found.mean()) - expected) < 4 * float(found.std()) / len(found) ** 0.5


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("restore", [blur(1.5), flat, as_it_is])
def test_it_is_right_on_average_and_as_unsure_as_it_says(restore: Restore, share: float) -> None:
    """Errors that are smooth, as a blur's and a wrong constant's are, do not make it surer than it is."""
    seen, held_out = split(share)
    estimate = restore(seen)
    found = held_out_error(estimate, held_out, share=share)
    off = found.value - true_error(estimate, share)
    assert within_standard_errors(off)
    assert float(off.var()) == pytest.approx(float(found.standard_error.square().mean()), rel=0.15)
    covered = (off.abs() < 1.96 * found.standard_error).double().mean()
    assert float(covered) == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / RUNS) ** 0.5)


def test_what_saw_the_photons_held_out_is_praised_too_much() -> None:
    """What independence is for: the same blur of all photons would seem better than it is."""
    seen, held_out = split(0.2)
    estimate = blur(0.7)((seen + held_out) * 0.8)
    found = held_out_error(estimate, held_out, share=0.2)
    off = found.value - true_error(estimate, 0.2)
    assert float(off.mean()) < -20 * float(off.std()) / RUNS**0.5


@pytest.mark.parametrize("other", [blur(1.4), anscombe_nonlocal_means])
def test_two_restorations_are_compared_more_sharply_than_each_is_judged(other: Restore) -> None:
    runs = 300
    seen, held_out = split(0.2, runs)
    first, second = blur(1.2)(seen), other(seen)
    found = held_out_difference(first, second, held_out, share=0.2)
    off = found.value - (true_error(first, 0.2) - true_error(second, 0.2))
    assert within_standard_errors(off)
    assert float(off.var()) == pytest.approx(float(found.standard_error.square().mean()), rel=4 * (2 / runs) ** 0.5)
    alone = held_out_error(first, held_out, share=0.2).standard_error
    assert float(found.standard_error.mean()) < float(alone.mean()) / 3


@given(seed=st.integers(0, 1000), share=st.floats(0.05, 0.95))
@settings(max_examples=20)
def test_the_difference_is_that_of_the_two_errors(seed: int, share: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    first, second = 20 * torch.rand(2, 3, 9, 8, generator=draw, dtype=torch.float64)
    held_out = torch.poisson(torch.full((3, 9, 8), 5.0, dtype=torch.float64), generator=draw)
    one, two = (held_out_error(each, held_out, share=share).value for each in (first, second))
    found = held_out_difference(first, second, held_out, share=share)
    torch.testing.assert_close(found.value, one - two)
    turned = held_out_difference(second, first, held_out, share=share)
    torch.testing.assert_close(turned.value, -found.value)
    torch.testing.assert_close(turned.standard_error, found.standard_error)


def test_a_stack_is_one_image_in_three_dimensions() -> None:
    seen, held_out = split(0.2, 6)
    whole = held_out_error(seen, held_out, share=0.2, dimensions=3)
    each = held_out_error(seen, held_out, share=0.2)
    torch.testing.assert_close(whole.value, each.value.mean())
    torch.testing.assert_close(whole.standard_error, each.standard_error.square().mean().div(6).sqrt())


CAMERA = Camera(gain_e_per_adu=0.46, quantum_efficiency=1.0, dark_current_e_per_s=0.0, read_noise_e=1.6)


def from_camera(runs: int, gain_e_per_adu: float = 0.46) -> tuple[torch.Tensor, torch.Tensor, float]:
    adu = CAMERA.capture(scene().float().expand(runs, -1, -1), rng=2)
    found = equivalent_counts(adu, gain_e_per_adu=gain_e_per_adu, offset_adu=100.0, read_noise_e=1.6, rng=3)
    held_out, seen = split_photons(found.counts, fraction=0.2, rng=4)
    return seen, held_out, found.background_photons


def camera_error(estimate: torch.Tensor, background: float) -> torch.Tensor:
    return (estimate / 0.8 - background - scene()).square().mean(dim=(-2, -1))


@pytest.mark.parametrize("other", [blur(0.5), anscombe_nonlocal_means])
def test_a_camera_is_judged_after_calibration(other: Restore) -> None:
    runs = 300
    seen, held_out, background = from_camera(runs)
    first, second = blur(1.2)(seen), other(seen)
    found = held_out_difference(first, second, held_out, share=0.2)
    off = found.value - (camera_error(first, background) - camera_error(second, background))
    assert within_standard_errors(off)
    assert float(off.var()) == pytest.approx(float(found.standard_error.square().mean()), rel=4 * (2 / runs) ** 0.5)
    alone = held_out_error(first, held_out, share=0.2)
    assert within_standard_errors(alone.value - camera_error(first, background))


def test_a_gain_that_is_too_large_praises_what_keeps_noise() -> None:
    """Both parts of counts that vary too much share a part of their noise: the bias that the module warns of."""
    seen, held_out, _ = from_camera(600, gain_e_per_adu=0.6)
    truth = scene() * 0.6 / 0.46 + (1.6**2 + 0.6**2 / 12 + 1 / 6)
    noisy, smooth = as_it_is(seen), blur(1.2)(seen)
    found = held_out_difference(noisy, smooth, held_out, share=0.2)
    errors = [(each / 0.8 - truth).square().mean(dim=(-2, -1)) for each in (noisy, smooth)]
    off = found.value - (errors[0] - errors[1])
    assert float(off.mean()) < -20 * float(off.std()) / 600**0.5


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_the_share_is_between_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match=r"share is .*, but must be between 0 and 1: the share of the photons held"):
        held_out_error(torch.ones(9, 8), torch.ones(9, 8), share=share)


@pytest.mark.parametrize("value", [-1.0, 0.5])
def test_what_is_held_out_are_counts(value: float) -> None:
    with pytest.raises(ValueError, match=rf"held_out has a value of {value:g}, but must be whole numbers of photons"):
        held_out_error(torch.ones(9, 8), torch.full((9, 8), value), share=0.2)


def test_shapes_and_values_are_checked() -> None:
    with pytest.raises(ValueError, match=r"other has shape \(9, 7\), but held_out has \(9, 8\): both must be the same"):
        held_out_difference(torch.ones(9, 8), torch.ones(9, 7), torch.ones(9, 8), share=0.2)
    with pytest.raises(ValueError, match="estimate has 1 values that are NaN or infinite"):
        held_out_error(torch.tensor([[float("nan"), 1.0]]), torch.ones(1, 2), share=0.2)
