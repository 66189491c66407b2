import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from course_lib.noise import Camera, split_photons

COUNTS = arrays(np.int32, array_shapes(min_dims=1, max_dims=3, max_side=8), elements=st.integers(0, 3000))


@given(counts=COUNTS, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_no_photon_is_lost_and_the_seed_decides(counts: np.ndarray, fraction: float, seed: int) -> None:
    left, right = split_photons(torch.as_tensor(counts), fraction=fraction, rng=seed)
    assert bool((left + right == torch.as_tensor(counts)).all())
    assert bool((left >= 0).all())
    assert bool((right >= 0).all())
    assert bool((left == left.round()).all())
    assert bool((left == split_photons(torch.as_tensor(counts), fraction=fraction, rng=seed)[0]).all())


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.8])
def test_halves_of_poisson_counts_are_poisson_and_independent(fraction: float) -> None:
    rate, pixels = 12.0, 1_000_000
    counts = torch.poisson(torch.full((pixels,), rate), generator=torch.Generator().manual_seed(0))
    left, right = (half.double() for half in split_photons(counts, fraction=fraction, rng=1))
    for half, expected in ((left, fraction * rate), (right, (1 - fraction) * rate)):
        assert abs(float(half.mean()) - expected) < 5 * (expected / pixels) ** 0.5
        assert abs(float(half.var()) - expected) < 5 * ((2 * expected**2 + expected) / pixels) ** 0.5
    correlation = float(torch.corrcoef(torch.stack([left, right]))[0, 1])
    assert abs(correlation) < 5 / pixels**0.5


def test_counts_that_are_not_poisson_do_not_split_into_independent_halves() -> None:
    left, right = split_photons(torch.full((100_000,), 20), fraction=0.5, rng=0)
    assert float(torch.corrcoef(torch.stack([left, right]))[0, 1]) == pytest.approx(-1.0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int64, torch.float32, torch.float64])
def test_dtypes(dtype: torch.dtype) -> None:
    left, right = split_photons(torch.full((8, 8), 9).to(dtype), fraction=0.5, rng=0)
    assert left.dtype == right.dtype == torch.float32
    assert bool((left + right == 9).all())


@pytest.mark.parametrize(
    ("counts", "fraction", "message"),
    [
        ([1.0, -2.0], 0.5, r"counts has a value of -2, but must be whole numbers of photons"),
        ([1.5], 0.5, r"counts has a value of 1.5, but must be whole"),
        ([float("nan")], 0.5, r"counts has NaN or infinite values"),
        ([float("inf")], 0.5, r"counts has NaN or infinite values"),
        ([2.0**24], 0.5, r"counts reach 1.67772e\+07, but must be below 2²⁴"),
        ([1.0], 0.0, r"fraction is 0, but must be between 0 and 1"),
        ([1.0], 1.0, r"fraction is 1, but must be between 0 and 1"),
        ([1.0], float("nan"), r"fraction is nan"),
    ],
)
def test_bad_input(counts: list[float], fraction: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_photons(torch.tensor(counts), fraction=fraction)


def test_arrays_are_refused_and_the_remedy_works() -> None:
    with pytest.raises(TypeError, match=r"counts is a ndarray, but must be a tensor"):
        split_photons(np.ones((2, 2)), fraction=0.5)  # type: ignore[arg-type]
    camera = Camera(quantum_efficiency=0.5, read_noise_e=0.2, gain_e_per_adu=0.1)
    adu = camera.capture(torch.full((1000, 1000), 20.0), rng=0)
    left, right = split_photons(camera.to_electrons(adu).round().clamp(min=0), fraction=0.5, rng=1)
    assert abs(float(torch.corrcoef(torch.stack([left.flatten(), right.flatten()]))[0, 1])) < 0.02
