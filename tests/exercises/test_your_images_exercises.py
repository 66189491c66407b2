"""Other right ways to solve the exercises on own images pass, slips get their hint, draws are what the text says."""

import numpy as np
import pytest
import torch

from course_lib import inspection, optics
from course_lib.exercises.your_images import grey_step, saturated_share, times_nyquist
from course_lib.seeding import generator

SEEDS = range(8)
EXERCISES = {"saturated_share": saturated_share, "grey_step": grey_step, "times_nyquist": times_nyquist}


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_solution_passes_and_every_mistake_gets_its_own_hint(name: str, seed: int) -> None:
    exercise = EXERCISES[name]
    assert exercise.check(exercise.solution, rng=seed).status == "passed"
    for mistake in exercise.mistakes:
        feedback = exercise.check(mistake.answer, rng=seed)
        assert feedback.status == "hint"
        assert feedback.message == mistake.hint


def pile_by_numpy(image):
    values = image.numpy()
    levels, pixels = np.unique(values, return_counts=True)
    beside = pixels[levels == levels[-1] - 1].sum()
    return pixels[-1] / values.size if pixels[-1] > max(10, beside) else 0


def by_the_library(image):
    return inspection.look_at_values(image).saturated_share


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("answer", [pile_by_numpy, by_the_library])
def test_other_ways_to_find_the_pile_pass(answer, seed):
    assert saturated_share.check(answer, rng=seed).status == "passed"


def step_by_numpy(image):
    return np.median(np.diff(np.unique(image.numpy())))


def most_common_step(image):
    steps = torch.unique(image).diff()
    return steps.mode().values


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("answer", [step_by_numpy, most_common_step])
def test_other_ways_to_find_the_step_pass(answer, seed):
    assert grey_step.check(answer, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_sampling_is_that_of_the_library(seed: int) -> None:
    case = times_nyquist.draw(generator(seed))
    camera_um, magnification, binning, aperture, wavelength_nm = case.arguments
    microscope = optics.Microscope(numerical_aperture=aperture, emission_wavelength_nm=wavelength_nm)
    assert case.expected == pytest.approx(camera_um * binning / magnification / microscope.lateral_nyquist_um)


@pytest.mark.parametrize("seed", range(20))
def test_draws_are_what_the_text_says(seed: int) -> None:
    saturated, other = saturated_share.draw(generator(seed)), saturated_share.draw_other(generator(seed))
    assert 0.005 < saturated.expected < 0.9
    assert other.expected == 0
    stretched, raw = grey_step.draw(generator(seed)), grey_step.draw_other(generator(seed))
    assert 2 <= stretched.expected <= 9
    assert raw.expected == 1
    assert inspection.look_at_values(raw.arguments[0]).grey_step == 1


def test_a_constant_answer_gets_no_praise() -> None:
    assert saturated_share.check(lambda image: 0.3, rng=0).status == "wrong"
    assert grey_step.check(lambda image: 1.0, rng=0).status == "wrong"
