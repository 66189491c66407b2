"""Other right ways to solve the exercises of the chapter on Noise2Void pass, and their draws are what the text says."""

import numpy as np
import pytest
import torch

from course_lib import noise2void
from course_lib.exercises.noise2void import COUNTED, floor, hide, leak, reach
from course_lib.noise import detect_structure

SEEDS = range(5)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hidden_by_numpy(image, places):
    padded = np.pad(image.numpy(), 1, constant_values=np.nan)
    seen = image.clone()
    for row, column in places.numpy():
        window = padded[row : row + 3, column : column + 3].copy()
        window[1, 1] = np.nan
        seen[row, column] = float(np.nanmean(window))
    return seen


@pytest.mark.parametrize("seed", SEEDS)
def test_hiding_by_numpy_passes(seed: int) -> None:
    assert hide.check(hidden_by_numpy, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", range(20))
def test_no_hidden_pixel_is_a_neighbour_of_another_and_one_is_at_the_border(seed: int) -> None:
    _, places = hide.draw(generator(seed)).arguments
    apart = (places[:, None] - places).abs().amax(dim=-1) + 9 * torch.eye(len(places), dtype=torch.long)
    assert int(apart.min()) > 1
    assert int((places[:, 0] == 0).sum()) == 1


def by_central_difference(network, image, row, column):
    step = torch.zeros_like(image)
    step[row, column] = 1e-5
    return float((network(image + step) - network(image - step))[row, column] / 2e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_difference_passes_as_well(seed: int) -> None:
    assert leak.check(by_central_difference, rng=seed).status == "passed"


def test_one_network_is_blind_and_the_other_is_not() -> None:
    for seed in range(20):
        assert leak.draw(generator(seed)).expected < -0.3
        assert leak.draw_other is not None
        assert leak.draw_other(generator(seed)).expected == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_floor_is_the_variance_of_simulated_noise(seed: int) -> None:
    mean, gain, offset, read_noise, scale = floor.draw(generator(seed)).arguments
    draw = generator(seed)
    electrons = torch.poisson(torch.full((1000, 1000), (mean - offset) * gain), generator=draw)
    adu = (electrons + read_noise * torch.randn((1000, 1000), generator=draw)) / gain + offset
    found = float((adu / scale).var())
    assert found == pytest.approx(floor.solution(mean, gain, offset, read_noise, scale), rel=0.01)


@pytest.mark.parametrize("seed", range(10))
def test_the_correlations_are_far_from_the_limit(seed: int) -> None:
    case = reach.draw(generator(seed))
    assert reach.solution(*case.arguments) == case.expected
    structure = detect_structure(*case.arguments, max_lag=6)
    down, right = case.expected
    assert structure.at(down, right) > 2 * COUNTED
    assert noise2void.proposed_extent(structure) == case.expected
