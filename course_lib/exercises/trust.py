"""The exercises of the chapter *When not to trust a restoration*."""

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch

from course_lib import metrics
from course_lib.exercises.exercise import Case, Exercise, Feedback, Mistake
from course_lib.noise2void.classical import gaussian
from course_lib.seeding import generator

__all__ = ["FAILURES", "PARAGRAPH", "TESTS", "VERDICTS", "match", "methods", "triage"]


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def _whole(rng: torch.Generator, low: int, high: int) -> int:
    """Draw a whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng))


def _shuffled(names: tuple[str, ...], rng: torch.Generator) -> list[str]:
    return [names[place] for place in torch.randperm(len(names), generator=rng).tolist()]


# match --------------------------------------------------------------------------------------------------

_RIGHT = {
    "even and odd pixels differ": "sum with alternating signs",
    "noise that neighbours share is kept": "correlate what was removed",
    "the specimen is of another kind": "held-out photons, against a tuned filter",
    "the camera's zero is forgotten": "add a constant, subtract it after",
    "dim objects lose light": "plant spots of known light",
    "beads where nothing is": "restore an empty field",
}
FAILURES, TESTS = tuple(_RIGHT), tuple(sorted(_RIGHT.values()))


def _draw_match(rng: torch.Generator) -> Case:
    """Return failures and tests, each in an order of its own."""
    failures, tests = _shuffled(FAILURES, rng), _shuffled(TESTS, rng)
    while _found(failures, tests) == _inverted(failures, tests):
        tests = _shuffled(TESTS, rng)
    return Case((failures, tests), _found(failures, tests))


def _found(failures: list[str], tests: list[str], pairs: dict[str, str] = _RIGHT) -> tuple[int, ...]:
    return tuple(tests.index(pairs[failure]) for failure in failures)


def _inverted(failures: list[str], tests: list[str]) -> tuple[int, ...]:
    found = _found(failures, tests)
    return tuple(found.index(place) for place in range(len(found)))


def _exchanged(one: int, other: int) -> Callable[[list[str], list[str]], tuple[int, ...]]:
    """Return an answer that takes each of two failures to the other's test."""
    first, second = FAILURES[one], FAILURES[other]
    pairs = _RIGHT | {first: _RIGHT[second], second: _RIGHT[first]}
    return lambda failures, tests: _found(failures, tests, pairs)


match = Exercise(
    draw=_draw_match,
    solution=_found,
    mistakes=(
        Mistake(
            _inverted,
            "The pairs are right, but you answered the other way round: for each test the place of its failure. Asked "
            "is for each failure the place of its test, tests.index(...).",
        ),
        Mistake(
            lambda failures, tests: tuple(place + 1 for place in _found(failures, tests)),
            "The pairs are right, but places are counted from 0, as in every list of Python.",
        ),
        Mistake(
            _exchanged(0, 1),
            "Two are exchanged. Even and odd pixels that differ are a pattern of the *network*; the sum with "
            "alternating signs finds it in the restored image alone. Noise that neighbours share is in the *recorded* "
            "image, and is missed in what was removed.",
        ),
        Mistake(
            _exchanged(4, 5),
            "Two are exchanged. To see whether dim objects lose light there must be dim objects whose light is known: "
            "planted ones. To see what is invented, nothing may be there: an empty field.",
        ),
        Mistake(
            _exchanged(2, 3),
            "Two are exchanged. A constant that is added and subtracted does not ask whether the specimen is of the "
            "kind that was learned. Photons that the network has not seen do.",
        ),
        Mistake(
            _exchanged(2, 5),
            "Two are exchanged. An empty field says nothing of a specimen of another kind, and held-out photons say "
            "little of beads on a field that is mostly dark: few pixels, and the mean square forgets them.",
        ),
        Mistake(
            _exchanged(2, 4),
            "Two are exchanged. Held-out photons judge the mean square, to which a few dim objects contribute next to "
            "nothing. Plant some whose light you know.",
        ),
    ),
    relative_tolerance=0.0,
    mistake_tolerance=0.0,
    praise="Right. Each failure has a test that needs no truth. Only a picture that nobody tests cannot fail.",
)


# triage -------------------------------------------------------------------------------------------------

VERDICTS = ("good", "chessboard", "stripes", "light lost", "invented")
SIDE, PER_CASE, BACKGROUND = 96, 10, 4.0


def _spots(rng: torch.Generator, count: int, photons: tuple[float, float], sigma: float) -> torch.Tensor:
    """Return the image of spots at random places, on nothing."""
    along = torch.arange(SIDE, dtype=torch.float64)
    image = torch.zeros(SIDE, SIDE, dtype=torch.float64)
    for _ in range(count):
        row, column = (_uniform(rng, 8, SIDE - 8) for _ in range(2))
        down, right = (torch.exp(-0.5 * ((along - at) / sigma) ** 2) for at in (row, column))
        image += _uniform(rng, *photons) * down[:, None] * right / (2 * math.pi * sigma**2)
    return image


def _signs() -> torch.Tensor:
    """Return 1 and -1 as on a chessboard."""
    rows, columns = torch.meshgrid(*[torch.arange(SIDE, dtype=torch.float64)] * 2, indexing="ij")
    return (-1.0) ** (rows + columns)


def _restoration(verdict: str, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return an image of photon counts, and a restoration with that verdict."""
    scene = BACKGROUND + _spots(rng, 40, (80.0, 300.0), 2.5)
    raw = torch.poisson(scene, generator=rng)
    restored = gaussian(raw, sigma=1.3)
    if verdict == "chessboard":
        restored = restored + _uniform(rng, 0.4, 0.8) * _signs()
    if verdict == "stripes":
        rows = torch.poisson(torch.full((SIDE, 1), _uniform(rng, 2.0, 4.0), dtype=torch.float64), generator=rng)
        raw = raw + rows  # each row of the recorded image is brighter by so much, and stays it
        restored = restored + rows
    if verdict == "light lost":
        lost = _uniform(rng, 0.6, 0.8)
        above = (restored - BACKGROUND).clamp(min=0)
        restored = restored - lost * above * torch.exp(-((above / 12) ** 2))
    if verdict == "invented":
        beads = _spots(rng, 6, (70.0, 100.0), 1.5)
        restored = restored + beads - beads.mean()
    return raw, restored


def _draw_triage(rng: torch.Generator) -> Case:
    """Return ten recorded and ten restored images, two of each verdict, shuffled."""
    verdicts = _shuffled(VERDICTS * (PER_CASE // len(VERDICTS)), rng)
    pairs = [_restoration(verdict, rng) for verdict in verdicts]
    raw, restored = (torch.stack(images) for images in zip(*pairs, strict=True))
    return Case((raw, restored), tuple(VERDICTS.index(verdict) for verdict in verdicts))


class _OneByOne:
    """Asks a function for its verdict on each pair of a case, and returns their places in `VERDICTS`."""

    def __init__(self, verdict: Callable[[torch.Tensor, torch.Tensor], Any]) -> None:
        self.verdict, self.said = verdict, list[Any]()
        self.__code__ = getattr(verdict, "__code__", None)  # by which a blank skeleton is known

    def __call__(self, raw: torch.Tensor, restored: torch.Tensor) -> Any:
        said = [self.verdict(*pair) for pair in zip(raw, restored, strict=True)]
        self.said += said
        if all(one is None or one is ... for one in said):
            return None
        return tuple(VERDICTS.index(one) if isinstance(one, str) and one in VERDICTS else -1 for one in said)


def _with_answers(exercise: Exercise, asked: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Exercise:
    """Return a plain exercise in which solution and mistakes are asked as the reader's answer is."""
    return Exercise(
        draw=exercise.draw,
        solution=asked(exercise.solution),
        mistakes=tuple(dataclasses.replace(one, answer=asked(one.answer)) for one in exercise.mistakes),
        relative_tolerance=exercise.relative_tolerance,
        mistake_tolerance=exercise.mistake_tolerance,
        praise=exercise.praise,
    )


class _Triage(Exercise):
    """An exercise whose cases hold ten pairs each, on which the answer is asked one by one."""

    def check(self, answer: Callable[..., Any], *, rng: int | torch.Generator | None = None) -> Feedback:
        """Ask for forty verdicts, and say how many were right, and which was not."""
        seed = int(torch.randint(2**31, (), generator=generator(rng)))
        whole = _with_answers(self, _OneByOne)
        asked = _OneByOne(answer)
        feedback = whole.check(asked, rng=seed)
        if feedback.status != "wrong":
            return feedback
        draw = generator(seed)
        right = [VERDICTS[place] for _ in range(len(asked.said) // PER_CASE) for place in self.draw(draw).expected]
        wrong = [pair for pair in zip(asked.said, right, strict=True) if not _same(*pair)]
        said, meant = wrong[0]
        none = "" if isinstance(said, str) and said in VERDICTS else f", which is none of {', '.join(VERDICTS)}"
        missed = Counter(kind for _, kind in wrong).most_common(1)[0]
        return Feedback(
            "wrong",
            f"Not yet: for one hidden input you returned {said!r}{none}, but {meant!r} is right. Of {len(right)} "
            f"restorations {len(right) - len(wrong)} got the right verdict; most often missed is {missed[0]!r}, "
            f"{missed[1]} times.",
        )


def _same(said: Any, meant: str) -> bool:
    return isinstance(said, str) and said == meant


def _alternating(image: torch.Tensor) -> float:
    """Return the mean of the image with the signs of a chessboard."""
    return abs(float((image * _signs()).mean()))


def _striped(image: torch.Tensor) -> float:
    """Return how much more the means of rows jump than those of columns."""
    rows, columns = image.mean(dim=1), image.mean(dim=0)
    return float(rows.diff().std() / columns.diff().std())


def _light(raw: torch.Tensor, restored: torch.Tensor) -> float:
    return float(restored.sum() / raw.sum())


def _surplus(raw: torch.Tensor, restored: torch.Tensor) -> float:
    """Return by how many standard errors a window of 5 × 5 pixels holds too much light, at most."""
    windows = torch.nn.functional.avg_pool2d(torch.stack([restored - raw, restored])[:, None], 5, stride=1) * 25
    return float((windows[0] / windows[1].clamp(min=1).sqrt()).max())


def _verdict(
    raw: torch.Tensor,
    restored: torch.Tensor,
    *,
    pattern: float = 0.25,
    jumps: float = 4.0,
    light: float = 0.95,
    surplus: float = 4.0,
) -> str:
    if _alternating(restored) > pattern:
        return "chessboard"
    if _striped(restored) > jumps:
        return "stripes"
    if _light(raw, restored) < light:
        return "light lost"
    return "invented" if _surplus(raw, restored) > surplus else "good"


def _pattern_first(raw: torch.Tensor, restored: torch.Tensor) -> str:
    """Ask for the chessboard first, with a threshold that stripes exceed, too."""
    return "chessboard" if float(metrics.chessboard(restored)) > 0.3 else _verdict(raw, restored)


triage = _Triage(
    draw=_draw_triage,
    solution=_verdict,
    mistakes=(
        Mistake(
            lambda raw, restored: "good",
            "You believe them all. So does whoever judges by the look; but two of ten are good. Begin with one test.",
        ),
        Mistake(
            _pattern_first,
            "Some of the stripes you call a chessboard: rows that jump have a part that repeats every two pixels, too. "
            "Look for stripes first, or raise the threshold.",
        ),
        Mistake(
            functools.partial(_verdict, light=0.0),
            'All is right but "light lost", which you let pass. A good restoration moves light, and loses none: '
            "compare the sums of both images.",
        ),
        Mistake(
            functools.partial(_verdict, surplus=math.inf),
            'All is right but "invented", which you let pass. Where is more light than the photons allow? Sum restored '
            "minus raw over windows of some 5 × 5 pixels, and divide by the noise of such a sum, the square root of "
            "the restored one.",
        ),
        Mistake(
            functools.partial(_verdict, pattern=math.inf),
            'All is right but "chessboard", which you let pass. Multiply the restored image by 1 and -1 as on a '
            "chessboard, and take the mean: of anything smooth nothing is left.",
        ),
        Mistake(
            functools.partial(_verdict, jumps=math.inf),
            'All is right but "stripes", which you let pass. They are in the raw image, too, so no difference to it '
            "shows them. Compare the means of the rows with those of the columns: which jump more?",
        ),
    ),
    relative_tolerance=0.0,
    mistake_tolerance=0.0,
    praise=(
        "Right, all forty, without a truth, and without looking at one of them. Thresholds like yours belong into the "
        "methods paragraph."
    ),
)


# methods ------------------------------------------------------------------------------------------------

PARAGRAPH = (
    "independent samples",
    "gain of the best filter",
    "lowest gain of the network",
    "highest gain of the network",
    "light left of dim spots, %",
    "invented objects per 100 µm²",
    "intensities measured on",
)


def _draw_methods(rng: torch.Generator) -> Case:
    """Return the records of a study."""
    raw = _uniform(rng, 20, 60)
    best = _whole(rng, 1, 3)  # neither the narrowest nor the widest
    widths = [0.6, 0.8, 1.1, 1.5, 2.0]
    shares = [1 / _uniform(rng, 4, 6) * (1 + 0.4 * abs(place - best)) for place in range(5)]
    shares[best] = 1 / _uniform(rng, 6.5, 7.5)
    dishes = _whole(rng, 4, 9)
    study = {
        "dishes": dishes,
        "patches": dishes * _whole(rng, 800, 2000),
        "error of the raw image": raw,
        "errors of the Gaussian filter": {width: raw * share for width, share in zip(widths, shares, strict=True)},
        "errors of the network": [raw / _uniform(rng, low, low + 1) for low in (8, 12, 10, 9, 14)],
        "light of dim spots": {"raw": _uniform(rng, 1000, 1500), "restored": _uniform(rng, 300, 900)},
        "objects in the empty field": _whole(rng, 3, 20),
        "side of the empty field, µm": _uniform(rng, 25, 60),
    }
    return Case((study,), _values(_paragraph(study)))


Study = dict[str, Any]


def _paragraph(study: Study) -> dict[str, Any]:
    raw, errors = study["error of the raw image"], study["errors of the network"]
    light, side = study["light of dim spots"], study["side of the empty field, µm"]
    found = (
        study["dishes"],
        raw / min(study["errors of the Gaussian filter"].values()),
        raw / max(errors),
        raw / min(errors),
        100 * light["restored"] / light["raw"],
        100 * study["objects in the empty field"] / side**2,
        "raw",
    )
    return dict(zip(PARAGRAPH, found, strict=True))


def _values(paragraph: Any) -> Any:
    """Return the items in their order, "raw" as 1 and any other image as 0; what is no whole paragraph as it is."""
    if not isinstance(paragraph, dict) or _missing(paragraph):
        return None if paragraph is ... else paragraph
    *numbers, image = (paragraph[item] for item in PARAGRAPH)
    return (*numbers, float(isinstance(image, str) and image == "raw"))


def _missing(paragraph: dict[Any, Any]) -> list[str]:
    return [item for item in PARAGRAPH if item not in paragraph]


class _InOrder:
    """Asks a function for its paragraph, and returns the items in the order of `PARAGRAPH`."""

    def __init__(self, paragraph: Callable[[Study], Any]) -> None:
        self.paragraph, self.said = paragraph, list[Any]()
        self.__code__ = getattr(paragraph, "__code__", None)  # by which a blank skeleton is known

    def __call__(self, study: Study) -> Any:
        self.said.append(self.paragraph(study))
        return _values(self.said[-1])


class _Methods(Exercise):
    """An exercise that is answered by a dictionary, of which the items are checked."""

    def check(self, answer: Callable[..., Any], *, rng: int | torch.Generator | None = None) -> Feedback:
        """Ask for four paragraphs, and name the items that are missing, or the first that is wrong."""
        seed = int(torch.randint(2**31, (), generator=generator(rng)))
        whole = _with_answers(self, _InOrder)
        asked = _InOrder(answer)
        feedback = whole.check(asked, rng=seed)
        if feedback.status != "wrong":
            return feedback
        draw = generator(seed)
        for said in asked.said:
            expected = self.draw(draw).expected
            if not isinstance(said, dict):
                return feedback
            if missing := _missing(said):
                return Feedback(
                    "wrong",
                    f"Not yet: for one hidden input you returned a paragraph in which "
                    f"{', '.join(repr(item) for item in missing)} {'is' if len(missing) == 1 else 'are'} missing.",
                )
            for item, value, right in zip(PARAGRAPH, _values(said), expected, strict=True):
                if not _agrees(value, right, self.relative_tolerance):
                    meant = "'raw'" if item == PARAGRAPH[-1] else f"{right:.4g}"
                    return Feedback(
                        "wrong",
                        f"Not yet: for one hidden input you returned {said[item]!r} for {item!r}, but {meant} is "
                        f"right.",
                    )
        return feedback


def _agrees(value: Any, right: float, tolerance: float) -> bool:
    try:
        return abs(float(value) - right) <= tolerance * abs(right)
    except (TypeError, ValueError, RuntimeError):
        return False


def _changed(change: Callable[[Study, dict[str, Any]], dict[str, Any]]) -> Callable[[Study], dict[str, Any]]:
    """Return the right paragraph with the items that `change` gives."""
    return lambda study: (right := _paragraph(study)) | change(study, right)


methods = _Methods(
    draw=_draw_methods,
    solution=_paragraph,
    mistakes=(
        Mistake(
            _changed(lambda study, right: {"independent samples": study["patches"]}),
            "You counted patches. Patches of one dish share its cells, its dye and its day: what is independent is the "
            "dish.",
        ),
        Mistake(
            _changed(
                lambda study, right: {
                    "gain of the best filter": study["error of the raw image"]
                    / max(study["errors of the Gaussian filter"].values())
                }
            ),
            "That is the filter with the *largest* error, and everything wins against it. The best has the least.",
        ),
        Mistake(
            _changed(
                lambda study, right: {
                    "gain of the best filter": study["error of the raw image"]
                    / next(iter(study["errors of the Gaussian filter"].values()))
                }
            ),
            "You took the first width that was tried. Take the best: the network was tuned, too.",
        ),
        Mistake(
            _changed(lambda study, right: {"lowest gain of the network": right["highest gain of the network"]}),
            "You gave the best seed twice. The lowest gain is that of the seed with the largest error; a reader who "
            "trains once may get that one.",
        ),
        Mistake(
            _changed(
                lambda study, right: {
                    "lowest gain of the network": right["highest gain of the network"],
                    "highest gain of the network": right["lowest gain of the network"],
                }
            ),
            "Lowest and highest are exchanged: the largest error makes the lowest gain.",
        ),
        Mistake(
            _changed(lambda study, right: {item: right[item] ** 0.5 for item in PARAGRAPH[1:4]}),
            "You took roots. The errors are squared errors already, and it is the squared error that falls as one over "
            "the photons.",
        ),
        Mistake(
            _changed(lambda study, right: {item: 1 / right[item] for item in PARAGRAPH[1:4]}),
            "The gains are upside down: the raw image's error over that of the method.",
        ),
        Mistake(
            _changed(lambda study, right: {"light left of dim spots, %": right["light left of dim spots, %"] / 100}),
            "The light of dim spots is asked for in per cent.",
        ),
        Mistake(
            _changed(lambda study, right: {PARAGRAPH[5]: right[PARAGRAPH[5]] / 100}),
            "The invented objects are right for one µm²; asked is for a hundred.",
        ),
        Mistake(
            _changed(lambda study, right: {PARAGRAPH[5]: study["objects in the empty field"]}),
            "You gave the number of invented objects. Without the area nobody can compare it: for each 100 µm², and "
            "the field is a square.",
        ),
        Mistake(
            _changed(lambda study, right: {"intensities measured on": "restored"}),
            "All numbers are right. But look at what dim spots keep in the restored image: intensities belong measured "
            "on the raw one, 'raw'.",
        ),
    ),
    relative_tolerance=1e-6,
    mistake_tolerance=1e-9,
    praise=(
        "Right. Seven items, of which most papers have one or two. Whoever reads yours can judge the restoration, and "
        "not only admire it."
    ),
)
