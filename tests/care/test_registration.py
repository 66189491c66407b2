import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from course_lib import samples
from course_lib.care import MisregisteredError, register

MARGIN = 12


def scene(shape: tuple[int, ...], seed: int = 0, *, shift: tuple[float, ...] = ()) -> torch.Tensor:
    """Return a field of a larger scene, which has moved by `shift`."""
    voxel = (0.3, 0.1, 0.1)[-len(shape) :]
    sides = tuple(side + 2 * MARGIN for side in shape)
    sharp = samples.filaments(sides, voxel_size_um=voxel, count=60, rng=seed).numpy()
    smooth = ndimage.gaussian_filter(sharp, 1.5).astype(float)
    drifted = ndimage.shift(smooth, shift, order=5) if shift else smooth
    return torch.from_numpy(drifted[(slice(MARGIN, -MARGIN),) * len(shape)] / smooth.max())


@given(shift=st.tuples(st.floats(-6, 6), st.floats(-6, 6)), seed=st.integers(0, 5))
@settings(max_examples=20)
def test_a_shift_is_found_to_a_tenth_of_a_pixel_in_noise(shift: tuple[float, float], seed: int) -> None:
    clean = scene((128, 120), seed)
    draw = torch.Generator().manual_seed(seed)
    dim = torch.poisson(30 * clean + 1, generator=draw)
    bright = torch.poisson(1000 * scene((128, 120), seed, shift=shift).clamp(min=0) + 30, generator=draw)
    found = register(bright, dim, least_correlation=0.1).shift
    assert found == pytest.approx([-one for one in shift], abs=0.1)


def test_a_stack_is_registered_along_all_axes() -> None:
    clean = scene((24, 96, 96))
    found = register(scene((24, 96, 96), shift=(1.4, -3.3, 2.2)), clean)
    assert found.shift == pytest.approx((-1.4, 3.3, -2.2), abs=0.1)
    assert found.inside == (slice(0, 22), slice(4, 96), slice(0, 93))
    assert found.correlation > 0.98


@pytest.mark.parametrize(
    ("planes", "shift"),
    [(4, (-0.5, 1.3, 0.2)), (8, (-0.5, 1.3, 0.2)), (8, (-1.5, 0.0, -2.6)), (15, (-1.5, 0.0, -2.6))],
)
def test_few_planes_are_registered_without_bias(planes: int, shift: tuple[float, ...]) -> None:
    found = register(scene((planes, 96, 96), shift=shift), scene((planes, 96, 96)))
    assert found.shift == pytest.approx([-one for one in shift], abs=0.1)


def test_what_is_laid_over_agrees_where_both_were_recorded() -> None:
    clean = scene((128, 128))
    found = register(scene((128, 128), shift=(2.5, -4.25)), clean)
    difference = (found.image - clean)[found.inside]
    assert float(difference.abs().max()) < 0.05 * float(clean.max())


def test_a_registered_pair_stays_as_it_is() -> None:
    clean = scene((64, 64))
    found = register(clean, clean)
    assert found.shift == pytest.approx((0, 0), abs=1e-9)
    assert found.inside == (slice(0, 64), slice(0, 64))
    torch.testing.assert_close(found.image, clean, rtol=0, atol=1e-9 * float(clean.max()))


@pytest.mark.parametrize(
    ("moving", "reference", "says"),
    [
        (scene((64, 64), 1), scene((64, 64), 2), "they show different fields, or one is too faint"),
        (torch.rand(64, 64), torch.rand(64, 64), r"correlate by|shifted by"),
        (torch.ones(64, 64), scene((64, 64)), "moving is constant, 1 everywhere"),
        (scene((64, 64)), torch.zeros(64, 64), "reference is constant, 0 everywhere"),
    ],
)
def test_what_is_no_pair_is_refused(moving: torch.Tensor, reference: torch.Tensor, says: str) -> None:
    with pytest.raises(MisregisteredError, match=says):
        register(moving, reference, least_correlation=0.6)


def test_a_drift_too_large_is_refused() -> None:
    clean = scene((128, 128))
    with pytest.raises(MisregisteredError, match=r"shifted by 9\.00, 0\.00 pixels, more than 5 or half the image"):
        register(clean.roll(-9, dims=0), clean, largest_shift=5)


@pytest.mark.parametrize(
    ("moving", "says"),
    [
        (torch.rand(64, 63), r"moving has shape \(64, 63\), reference \(64, 64\): crop both"),
        (torch.rand(2, 2, 64, 64), "one image or stack is needed"),
        (torch.full((64, 64), float("nan")), "NaN or infinite"),
    ],
)
def test_wrong_images_get_a_clear_error(moving: torch.Tensor, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        register(moving, torch.rand(64, 64))
