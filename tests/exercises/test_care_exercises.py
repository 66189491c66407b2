"""Other right ways to solve the exercises of the chapter on CARE pass, and their draws are what the text says."""

import numpy as np
import pytest
import torch
from skimage.measure import label
from skimage.registration import phase_cross_correlation

from course_lib import care, networks
from course_lib.exercises.care import HALO, STEP, TILE, bias_slope, drift, invented, seamless

SEEDS = range(5)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "answer",
    [
        lambda target, image: care.register(target, image, least_correlation=0.1).shift,
        lambda target, image: phase_cross_correlation(
            image.numpy(), target.numpy(), upsample_factor=50, normalization=None
        )[0],
    ],
    ids=["course_lib", "scikit-image"],
)
def test_every_good_registration_passes(answer, seed):
    assert drift.check(answer, rng=seed).status == "passed"


def test_the_solution_is_far_nearer_than_is_asked():
    errors = []
    for seed in range(20):
        case = drift.draw(generator(seed))
        found = zip(drift.solution(*case.arguments), case.expected, strict=True)
        errors += [abs(one - other) for one, other in found]
    assert max(errors) < 0.7 * drift.absolute_tolerance


def on_fixed_windows(image, network, tile, halo, step):
    """Cut windows of one size that begin on the grid, as `networks.predict_tiles` does."""
    margin = -(-halo // step) * step
    size, result = tile + 2 * margin, torch.empty_like(image)
    for top in range(0, image.shape[0], tile):
        for left in range(0, image.shape[1], tile):
            first, start = (
                min(max(0, place - margin), side - size) for place, side in zip((top, left), image.shape, strict=True)
            )
            answer = network(image[first : first + size, start : start + size])
            rows = slice(top - first, min(top + tile, image.shape[0]) - first)
            columns = slice(left - start, min(left + tile, image.shape[1]) - start)
            result[top : top + tile, left : left + tile] = answer[rows, columns]
    return result


@pytest.mark.parametrize("seed", SEEDS)
def test_windows_of_one_size_pass(seed):
    assert seamless.check(on_fixed_windows, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_image_at_once_is_refused(seed):
    feedback = seamless.check(lambda image, network, *_: network(image), rng=seed)
    assert feedback.status == "error"
    assert "memory is full at 80 × 80" in feedback.message


def test_the_halo_is_that_of_the_network():
    config = networks.UNetConfig(depth=2)
    assert TILE % STEP == 0
    assert config.steps == (STEP, STEP)
    assert config.halo == (-(-HALO // STEP) * STEP,) * 2


def test_sides_that_do_not_fit_the_network_are_named():
    def off(image, network, tile, halo, step):
        return network(image[1:40, :40])

    feedback = seamless.check(off, rng=0)
    assert feedback.status == "error"
    assert "takes images (Y, X) whose sides are multiples of 4" in feedback.message


def by_loops(restored, truth, places, background):
    found, true = [], []
    for row, column in places.numpy():
        box = np.s_[row - 4 : row + 5, column - 4 : column + 5]
        found.append(restored.numpy()[box].sum() - 81 * background)
        true.append(truth.numpy()[box].sum() - 81 * background)
    return np.linalg.lstsq(np.array(true)[:, None], np.array(found), rcond=None)[0][0]


@pytest.mark.parametrize("seed", SEEDS)
def test_least_squares_by_numpy_passes(seed):
    assert bias_slope.check(by_loops, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", SEEDS)
def test_dim_spots_lose_more(seed):
    restored, truth, places, background = bias_slope.draw(generator(seed)).arguments
    true = torch.stack([truth[r - 4 : r + 5, c - 4 : c + 5].sum() - 81 * background for r, c in places.tolist()])
    found = torch.stack([restored[r - 4 : r + 5, c - 4 : c + 5].sum() - 81 * background for r, c in places.tolist()])
    assert bool(((true > 9) & (true < 41)).all())
    assert float(torch.corrcoef(torch.stack([true, found / true]))[0, 1]) > 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_objects_counted_by_scikit_image_pass(seed):
    def answer(restored, background, height, pixel_um):
        objects = label((restored > background + height).numpy(), connectivity=2).max()
        return 100 * objects / (restored.numel() * pixel_um**2)

    assert invented.check(answer, rng=seed).status == "passed"
