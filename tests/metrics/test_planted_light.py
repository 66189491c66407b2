"""Planted spots keep what a linear filter leaves of them, at any brightness, and lose what a threshold takes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.metrics import planted_light
from course_lib.noise2void.classical import gaussian

PLACES = torch.cartesian_prod(*[torch.arange(10, 120, 20)] * 2)


def spot(sigma: float = 1.2) -> torch.Tensor:
    row = torch.exp(-0.5 * (torch.arange(-3.0, 4) / sigma) ** 2)
    return (row[:, None] * row) / row.sum() ** 2


def background(level: float = 2.0) -> torch.Tensor:
    return torch.poisson(torch.full((128, 128), level), generator=torch.Generator().manual_seed(0))


def planted(restore, photons: float, counts: torch.Tensor | None = None, seed: int = 0) -> float:
    counts = background() if counts is None else counts
    return planted_light(restore, counts, spot=spot(), places=PLACES, photons=photons, rng=seed)


@given(photons=st.floats(1, 1000), level=st.floats(0, 50))
@settings(max_examples=20, deadline=None)
def test_nothing_done_keeps_all(photons, level):
    assert planted(lambda image: image, photons, background(level)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("photons", [10, 1000])
def test_a_gaussian_leaves_one_share_whatever_the_brightness(photons):
    narrow = torch.zeros(128, 128)
    narrow[60:67, 60:67] = spot()
    window = gaussian(narrow, sigma=1.5)[60:67, 60:67]
    found = planted(lambda image: gaussian(image, sigma=1.5), photons)
    assert 0.6 < float(window.sum()) < 0.9
    assert found == pytest.approx(float(window.sum()), abs=4 / math.sqrt(36 * photons))


def test_a_threshold_takes_dim_spots():
    def threshold(image: torch.Tensor) -> torch.Tensor:
        smooth = gaussian(image, sigma=1.0)
        return torch.where(smooth > 6, smooth, torch.full_like(smooth, 2.0))

    assert planted(threshold, 10) < 0.1
    assert planted(threshold, 400) > 0.8


def test_the_photons_are_those_that_were_asked_for():
    counts, seen = background(), []

    def restore(image: torch.Tensor) -> torch.Tensor:
        seen.append(image)
        return image

    planted(restore, 100, counts)
    added = seen[0] - seen[1]
    assert bool((added == added.round()).all())
    assert bool((added >= 0).all())
    assert float(added.sum()) == pytest.approx(3600, abs=4 * 60)
    assert float(added[7:14, 27:34].sum()) > 50
    assert float(added[14:27].sum()) == 0  # between two rows of spots
    assert torch.equal(seen[1], counts)
    assert planted(gaussian_two, 20, seed=1) != planted(gaussian_two, 20, seed=2)
    assert planted(gaussian_two, 20, seed=1) == planted(gaussian_two, 20, seed=1)


def gaussian_two(image: torch.Tensor) -> torch.Tensor:
    return gaussian(image, sigma=2.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spot": torch.full((4, 3), 1 / 12)}, "odd sides"),
        ({"spot": torch.full((3, 3), 1.0)}, "spot sums to 9, but must be at least 0 and sum to 1"),
        ({"places": torch.tensor([[64, 126]])}, r"a spot at \[64, 126\] reaches beyond.*keep \[3, 3\] pixels"),
        ({"places": torch.tensor([[2, 64]])}, r"a spot at \[2, 64\] reaches beyond"),
        ({"places": torch.tensor([[8.0, 8.0]])}, "whole numbers"),
        ({"places": torch.zeros(0, 2, dtype=torch.long)}, r"places has shape \(0, 2\)"),
        ({"photons": 0.0}, "photons is 0, but must be above 0"),
        ({"restore": lambda image: image[:8]}, r"restore returned shape \(8, 128\) for counts of shape \(128, 128\)"),
    ],
)
def test_errors_name_the_remedy(change, message):
    usual = {"restore": lambda image: image, "spot": spot(), "places": PLACES, "photons": 20.0} | change
    restore = usual.pop("restore")
    with pytest.raises(ValueError, match=message):
        planted_light(restore, background(), rng=0, **usual)
