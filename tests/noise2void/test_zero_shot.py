"""One image, a small network, some seconds."""

import importlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib import samples
from course_lib.noise2void import zero_shot
from course_lib.noise2void.zero_shot import _halves, _network, _restored

pytestmark = pytest.mark.usefixtures("one_thread")


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _scene(side: int = 96) -> torch.Tensor:
    scene = samples.filaments((side, side), voxel_size_um=(0.1, 0.1), count=25, diameter_um=0.8, rng=3)
    return 20 * scene / scene.max() + 3


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 100))
def test_the_two_halves_have_no_pixel_in_common_and_leave_none_out(rows: int, columns: int, seed: int) -> None:
    image = torch.rand((1, 1, 2 * rows, 2 * columns), generator=_generator(seed), requires_grad=True)
    first, second = _halves(image)
    assert first.shape == second.shape == (1, 1, rows, columns)
    torch.testing.assert_close((first + second) / 2, torch.nn.functional.avg_pool2d(image, 2))
    of_first, of_second = (torch.autograd.grad(half.sum(), image)[0] for half in (first, second))
    assert torch.equal(of_first + of_second, torch.full_like(image, 0.5))
    assert float((of_first * of_second).abs().max()) == 0


def test_it_takes_away_two_thirds_of_the_error_of_odd_sides_too() -> None:
    truth = _scene()[:95, :77]
    noisy = torch.poisson(truth, generator=_generator())
    restored = zero_shot(noisy, steps=120, rng=0, device="cpu", progress=False)
    assert restored.shape == (95, 77)
    error, before = (float((image - truth).square().mean()) for image in (restored, noisy))
    assert error < before / 3
    assert float(restored.mean()) == pytest.approx(float(noisy.mean()), rel=0.03)


def test_offset_and_gain_of_the_image_are_those_of_the_answer() -> None:
    noisy = torch.poisson(_scene(), generator=_generator())
    plain, changed = (zero_shot(one, steps=5, rng=0, device="cpu", progress=False) for one in (noisy, 100 + 4 * noisy))
    torch.testing.assert_close(changed, 100 + 4 * plain, rtol=1e-4, atol=1e-2)


def test_bands_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = _generator()
    network, noisy = _network(draws), torch.rand((1, 1, 41, 12), generator=draws)
    torch.nn.init.normal_(network[-1].weight, generator=draws)
    whole = _restored(network, noisy)
    assert not torch.equal(whole, noisy)
    module = importlib.import_module("course_lib.noise2void.zero_shot")
    for band in (1, 7, 40, 41):
        monkeypatch.setattr(module, "BAND", band)
        torch.testing.assert_close(_restored(network, noisy), whole)


def test_the_same_seed_restores_the_same() -> None:
    noisy = torch.poisson(_scene(), generator=_generator())
    one, two, other = (zero_shot(noisy, steps=3, rng=seed, device="cpu", progress=False) for seed in (4, 4, 5))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("image", "steps", "message"),
    [
        (torch.full((64, 64), 3.0), 10, "constant or nearly so"),
        (torch.rand(2, 64, 64), 10, r"shape \(2, 64, 64\), but must be one plane, \(Y, X\)"),
        (torch.rand(64, 7), 10, r"shape \(64, 7\), but needs at least 8 rows and columns"),
        (torch.rand(64, 64), 0, "steps is 0, but must be at least 1"),
        (torch.full((64, 64), torch.nan), 10, "NaN or infinite"),
    ],
)
def test_bad_images_are_named(image: torch.Tensor, steps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        zero_shot(image, steps=steps, rng=0, device="cpu", progress=False)
