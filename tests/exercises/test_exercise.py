import dataclasses
import importlib
import pkgutil

import numpy as np
import pytest
import torch

from course_lib import exercises
from course_lib.exercises import Case, Exercise, Feedback, Mistake

ALL = {
    f"{module.name}.{name}": exercise
    for module in pkgutil.iter_modules(exercises.__path__)
    for name, exercise in vars(importlib.import_module(f"course_lib.exercises.{module.name}")).items()
    if isinstance(exercise, Exercise)
}
MISTAKES = [(name, mistake) for name, exercise in ALL.items() for mistake in exercise.mistakes]


def test_exercises_are_found() -> None:
    assert {"start.brightest_pixel", "noise.gain", "noise.snr_with_background", "noise.structured_camera"} <= set(ALL)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("seed", range(5))
def test_the_solution_passes(name: str, seed: int) -> None:
    exercise = ALL[name]
    feedback = exercise.check(exercise.solution, rng=seed)
    assert feedback == Feedback("passed", exercise.praise)


@pytest.mark.parametrize("name", ALL)
def test_a_blank_skeleton_is_answered_kindly(name: str) -> None:
    feedback = ALL[name].check(lambda *arguments: None)
    assert feedback.status == "blank"
    assert "Nothing here yet" in str(feedback)
    assert ALL[name].check(lambda *arguments: ...).status == "blank"


@pytest.mark.parametrize(("name", "mistake"), MISTAKES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(MISTAKES)])
@pytest.mark.parametrize("seed", range(5))
def test_each_usual_mistake_gets_its_own_hint(name: str, mistake: Mistake, seed: int) -> None:
    assert ALL[name].check(mistake.answer, rng=seed) == Feedback("hint", mistake.hint)
    assert [m.hint for m in ALL[name].mistakes].count(mistake.hint) == 1


@pytest.mark.parametrize("name", ALL)
def test_nonsense_is_answered_without_raising(name: str) -> None:
    for nonsense in ("text", [1, 2, 3], torch.zeros(3, 3), float("nan"), {"a": 1}, object()):
        feedback = ALL[name].check(lambda *arguments, value=nonsense: value)
        assert feedback.status == "wrong"
        assert str(feedback).startswith("✗ Not yet: for one hidden input you returned")


def doubling(tolerance: float = 0.01) -> Exercise:
    return Exercise(
        draw=lambda rng: (lambda x: Case((x,), 2 * x))(torch.rand(3, generator=rng)),
        solution=lambda x: 2 * x,
        mistakes=(Mistake(lambda x: x**2, "That is the square."),),
        relative_tolerance=tolerance,
        praise="Right.",
    )


def test_exceptions_are_told_with_their_line() -> None:
    def broken(x: torch.Tensor) -> torch.Tensor:
        return x.no_such_method()

    feedback = doubling().check(broken)
    assert feedback.status == "error"
    assert "AttributeError" in feedback.message
    assert "no_such_method" in feedback.message
    assert "(line " in feedback.message
    assert "return x.no_such_method()" in feedback.message


def test_answers_that_change_their_input_do_not_spoil_the_check() -> None:
    assert doubling().check(lambda x: x.mul_(2)).status == "passed"


def test_tolerance_is_kept() -> None:
    assert doubling(0.01).check(lambda x: 2.018 * x).status == "passed"
    assert doubling(0.01).check(lambda x: 2.022 * x).status == "wrong"


def test_an_absolute_tolerance_serves_numbers_near_zero() -> None:
    def shift(rng: torch.Generator) -> Case:
        return Case((), (0.01, 3.0))

    strict = dataclasses.replace(doubling(), draw=shift, solution=lambda: (0.01, 3.0), mistakes=())
    lenient = dataclasses.replace(strict, absolute_tolerance=0.1)
    assert strict.check(lambda: (0.02, 3.0)).status == "wrong"
    assert lenient.check(lambda: (0.1, 2.91)).status == "passed"
    assert lenient.check(lambda: torch.tensor([-0.08, 3.09])).status == "passed"
    assert lenient.check(lambda: (0.12, 3.0)).status == "wrong"


def test_a_right_shape_is_asked_for() -> None:
    assert doubling().check(lambda x: (2 * x).sum()).status == "wrong"


def test_a_constant_cannot_pass() -> None:
    assert doubling().check(lambda x: torch.tensor([1.0, 1.0, 1.0])).status == "wrong"


def test_html_is_escaped_and_marked() -> None:
    shown = Feedback("wrong", "1 < 2 & <b>")._repr_html_()
    assert "1 &lt; 2 &amp; &lt;b&gt;" in shown
    assert 'class="exercise-feedback exercise-wrong"' in shown


def test_errors_inside_a_library_point_at_the_readers_own_line() -> None:
    def broken(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, "text"])  # type: ignore[list-item]

    message = doubling().check(broken).message
    assert 'return torch.cat([x, "text"])' in message
    assert "TypeError" in doubling().check(5).message  # type: ignore[arg-type]
    assert "of the cell" not in doubling().check(5).message  # type: ignore[arg-type]


def test_one_forgotten_return_is_not_called_blank() -> None:
    calls = iter([1, 2, None, 4])
    assert doubling().check(lambda x: None if next(calls) is None else 2 * x).message.endswith("is right.")


@pytest.mark.parametrize(
    "answer",
    [
        lambda image: (image == image.max()).nonzero()[0],
        lambda image: np.argwhere(image.numpy() == image.numpy().max())[0],
        lambda image: torch.where(image == image.max()),
        lambda image: list(np.unravel_index(int(image.argmax()), image.shape)),
        lambda image: torch.tensor(divmod(int(image.argmax()), image.shape[1])),
    ],
)
def test_other_right_forms_of_the_answer_pass(answer) -> None:
    assert ALL["start.brightest_pixel"].check(answer).status == "passed"


def test_complex_numbers_do_not_pass_and_numpy_does() -> None:
    gain = ALL["noise.gain"]
    assert gain.check(lambda *a: complex(gain.solution(*a), 5)).status == "wrong"
    assert gain.check(lambda *a: np.float64(gain.solution(*a))).status == "passed"
    assert gain.check(lambda *a: gain.solution(*a).reshape(1)).status == "passed"


def test_hints_survive_small_differences() -> None:
    def without_half(first, second, dark_first, dark_second):
        signal = first.mean() - dark_first.mean()  # of one frame instead of both
        return signal / ((first - second).var() - (dark_first - dark_second).var())

    feedback = ALL["noise.gain"].check(without_half, rng=0)
    assert feedback.status == "hint"
    assert "twice the variance" in feedback.message


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.zeros(2), "you returned an array of shape (2,), but"),
        (object(), "you returned a value of type object, but"),
        (float("nan"), "you returned nan (not a number, as from the logarithm of a negative value or"),
        (torch.tensor(float("nan")), "you returned nan (not a number"),
        (np.float32(2.5), "you returned 2.5, but"),
    ],
    ids=["array", "object", "nan", "nan in a tensor", "a number of NumPy"],
)
def test_what_came_back_is_told_in_words(value: object, shown: str) -> None:
    assert shown in doubling().check(lambda x: value).message


def test_a_forgotten_return_is_hinted_at() -> None:
    def forgetful(x: torch.Tensor) -> None:
        2 * x

    feedback = doubling().check(forgetful)
    assert feedback.status == "blank"
    assert "`return`" in feedback.message


def test_an_empty_skeleton_is_not_told_of_a_return() -> None:
    def skeleton(x: torch.Tensor) -> None:
        """Return twice the numbers."""
        ...

    assert doubling().check(skeleton) == Feedback("blank", "Nothing here yet: replace the dots by your own lines.")


def test_one_number_for_all_gets_its_hint_after_the_mistakes() -> None:
    exercise = dataclasses.replace(
        doubling(), if_constant="A fixed number.", mistakes=(Mistake(lambda x: 7.0, "Seven.", tolerance=0.2),)
    )
    assert exercise.check(lambda x: 5).message == "A fixed number."
    assert exercise.check(lambda x: 8).message == "Seven."
    assert exercise.check(lambda x: float("nan")).status == "wrong"
    assert exercise.check(lambda x: float(x[0])).status == "wrong"


def test_cases_of_two_kinds_take_turns() -> None:
    seen = []
    exercise = dataclasses.replace(doubling(), draw_other=lambda rng: Case((torch.zeros(2),), torch.zeros(2)))
    assert exercise.check(lambda x: seen.append(len(x)) or 2 * x).status == "passed"
    assert seen == [3, 2, 3, 2]
