"""Other right ways to solve the exercises of the chapter on trust pass, and their draws are what the text says."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from course_lib import metrics
from course_lib.exercises.trust import (
    BACKGROUND,
    FAILURES,
    PARAGRAPH,
    PER_CASE,
    SIDE,
    TESTS,
    VERDICTS,
    match,
    methods,
    triage,
)

SEEDS = range(5)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_list_of_places_passes(seed):
    words = {
        "odd": "signs",
        "neighbours": "removed",
        "kind": "held-out",
        "zero": "constant",
        "light": "spots",
        "beads": "field",
    }

    def answer(failures, tests):
        places = torch.zeros(6)
        for number, failure in enumerate(failures):
            (word,) = [words[one] for one in words if one in failure.split()]
            (places[number],) = [place for place, test in enumerate(tests) if word in test]
        return places

    assert match.check(answer, rng=seed).status == "passed"


def test_the_lists_do_not_give_the_answer_away():
    failures, tests = list(FAILURES), list(TESTS)
    assert match.solution(failures, tests) != tuple(range(6))
    assert match.check(lambda failures, tests: [TESTS.index(one) for one in tests]).status == "wrong"


def test_the_right_order_is_never_its_own_inverse():
    for seed in range(50):
        failures, tests = match.draw(generator(seed)).arguments
        assert sorted(failures) == sorted(FAILURES)
        assert sorted(tests) == sorted(TESTS)
        places = match.draw(generator(seed)).expected
        assert tuple(places.index(place) for place in range(6)) != places


def test_there_are_two_of_each_verdict_and_they_are_shuffled():
    orders = set()
    for seed in SEEDS:
        case = triage.draw(generator(seed))
        raw, restored = case.arguments
        assert raw.shape == restored.shape == (PER_CASE, SIDE, SIDE)
        assert sorted(case.expected) == sorted([*range(len(VERDICTS))] * 2)
        orders.add(case.expected)
        assert torch.equal(raw, raw.round())
        assert float(raw.mean()) > BACKGROUND
    assert len(orders) == len(SEEDS)


def by_other_means(raw, restored):
    """Judge by the functions of the course, NumPy and SciPy, with thresholds of their own."""
    image = restored.numpy()
    spread = np.diff(image.mean(axis=1)).std() / np.diff(image.mean(axis=0)).std()
    if spread > 5:
        return "stripes"
    if float(metrics.chessboard(restored)) > 0.3:
        return "chessboard"
    if restored.mean() < 0.96 * raw.mean():
        return "light lost"
    surplus = ndimage.uniform_filter((restored - raw).numpy(), 5) * 25
    noise = np.sqrt(ndimage.uniform_filter(image, 5) * 25)
    return "invented" if (surplus / noise)[4:-4, 4:-4].max() > 4 else "good"


@pytest.mark.parametrize("seed", SEEDS)
def test_other_tests_and_thresholds_pass(seed):
    assert triage.check(by_other_means, rng=seed).status == "passed"


def test_the_solution_is_right_for_many_draws():
    for seed in range(60):
        case = triage.draw(generator(seed))
        found = [triage.solution(*pair) for pair in zip(*case.arguments, strict=True)]
        assert found == [VERDICTS[place] for place in case.expected]


def test_no_single_look_at_the_error_tells_the_verdict():
    """The broken restorations differ from the raw image by no more than good ones do: they look restored."""
    case = triage.draw(generator(0))
    apart = {verdict: [] for verdict in VERDICTS}
    for raw, restored, place in zip(*case.arguments, case.expected, strict=True):
        apart[VERDICTS[place]].append(float((restored - raw).std() / raw.mean().sqrt()))
    good = max(apart["good"])
    assert all(min(values) < 1.5 * good for values in apart.values())


def test_a_wrong_verdict_is_named_and_counted():
    def guess(raw, restored):
        return "stripes" if triage.solution(raw, restored) == "good" else triage.solution(raw, restored)

    feedback = triage.check(guess, rng=0)
    assert feedback.status == "wrong"
    assert "'stripes', but 'good' is right" in feedback.message
    assert "Of 40 restorations 32 got the right verdict" in feedback.message


def test_an_unknown_verdict_is_named():
    feedback = triage.check(lambda raw, restored: "Good", rng=0)
    assert "you returned 'Good', which is none of good, chessboard" in feedback.message


def test_an_error_in_the_verdict_is_told():
    feedback = triage.check(lambda raw, restored: raw.no_such_thing, rng=0)
    assert feedback.status == "error"
    assert "no_such_thing" in feedback.message


@pytest.mark.parametrize("seed", SEEDS)
def test_the_studies_are_as_the_text_says(seed):
    (study,) = methods.draw(generator(seed)).arguments
    written = methods.solution(study)
    assert list(written) == list(PARAGRAPH)
    assert written["gain of the best filter"] > 4
    assert written["lowest gain of the network"] < written["highest gain of the network"]
    assert study["patches"] > 100 * study["dishes"]
    assert 0 < written["light left of dim spots, %"] < 100


def test_more_than_is_asked_for_and_another_order_pass():
    def answer(study):
        written = methods.solution(study)
        return {"program": "course_lib"} | dict(reversed(written.items()))

    assert methods.check(answer, rng=0).status == "passed"


def test_missing_items_are_named():
    def answer(study):
        written = methods.solution(study)
        del written["gain of the best filter"]
        return written

    feedback = methods.check(answer, rng=0)
    assert feedback.status == "wrong"
    assert "in which 'gain of the best filter' is missing" in feedback.message


def test_a_wrong_item_is_named():
    feedback = methods.check(lambda study: methods.solution(study) | {"independent samples": 3.5}, rng=0)
    assert "you returned 3.5 for 'independent samples', but" in feedback.message
    feedback = methods.check(lambda study: methods.solution(study) | {"independent samples": "many"}, rng=0)
    assert "you returned 'many' for 'independent samples', but" in feedback.message
