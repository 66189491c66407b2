"""The host's random numbers: good enough for noise, and the same in both runtimes."""

import json
from typing import Any

import numpy as np
import pytest
from scipy import stats

from course_lib.live import Draw
from course_lib.live.draws import _mix, draw_numbers

COUNT = 128 * 128


def numbers(kind: Any, **key: int) -> Any:
    return draw_numbers(Draw(kind, (COUNT,)), **{"seed": 0, "index": 0, "step": 0, **key}).astype(float)


def test_the_mixing_function_is_one_to_one_on_a_sample() -> None:
    words = np.arange(2**20, dtype=np.uint32)
    assert len(np.unique(_mix(words))) == len(words)


def test_the_mixing_function_is_lowbias32() -> None:
    x = 1
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        x = ((x ^ (x >> shift)) * factor) % 2**32
    assert int(_mix(np.array([1], dtype=np.uint32))[0]) == x


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_uniform_numbers_are_uniform(seed: int) -> None:
    sample = numbers("uniform", seed=seed)
    assert sample.min() > 0
    assert sample.max() < 1
    observed = np.histogram(sample, bins=64, range=(0, 1))[0]
    assert stats.chisquare(observed).pvalue > 1e-3


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_normal_numbers_are_normal(seed: int) -> None:
    assert stats.kstest(numbers("normal", seed=seed), "norm").pvalue > 1e-3


@pytest.mark.parametrize("key", [{"seed": 1}, {"index": 1}, {"step": 1}])
def test_another_seed_draw_or_step_gives_independent_numbers(key: dict[str, int]) -> None:
    correlation = np.corrcoef(numbers("normal"), numbers("normal", **key))[0, 1]
    assert abs(correlation) < 4 / np.sqrt(COUNT)


def test_neighbours_are_independent() -> None:
    image = numbers("normal").reshape(128, 128)
    for shift in ((0, 1), (1, 0), (1, 1)):
        assert abs(np.mean(image * np.roll(image, shift, (0, 1)))) < 4 / np.sqrt(COUNT)


def test_steps_do_not_share_a_sequence() -> None:
    sample = np.concatenate([numbers("uniform", step=step) for step in range(50)])
    pairs = np.stack([sample[:-1], sample[1:]], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)  # two numbers in a row would come again where sequences overlap


@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize(("seed", "index", "step"), [(0, 0, 0), (3, 1, 49), (2**32 - 1, 3, 7)])
def test_javascript_makes_the_same_numbers(node: Any, kind: Any, seed: int, index: int, step: int) -> None:
    draw = Draw(kind, (64, 100))
    spec = json.dumps({"kind": kind, "shape": [64, 100]})
    there = node("draws.mjs", f"Array.from(m.drawNumbers({spec}, {seed}, {index}, {step}))")
    here = draw_numbers(draw, seed=seed, index=index, step=step)
    np.testing.assert_array_equal(np.array(there, dtype=np.float32).reshape(64, 100), here)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_does_not_fit(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed is {seed}, but must be from 0 to 4294967295"):
        draw_numbers(Draw("uniform", (1,)), seed=seed, index=0)
