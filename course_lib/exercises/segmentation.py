"""The exercises of the chapter *Segmentation*."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from course_lib import segmentation
from course_lib.exercises.exercise import Case, Exercise, Feedback, Mistake
from course_lib.seeding import generator

__all__ = ["border_weight", "choose_threshold", "count_matches", "split_touching"]

Labels = np.ndarray[Any, Any]


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def _whole(rng: torch.Generator, low: int, high: int) -> int:
    """Draw a whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng))


def _apart(values: list[float], least: float) -> bool:
    """Tell whether no two values are nearer than `least`."""
    return float(np.diff(np.sort(values)).min()) >= least


# count_matches ------------------------------------------------------------------------------------------

CELL, CELLS_ACROSS = (12, 16), 6
"""Pixels of the cell that one kind of nucleus gets, and cells in a row of the image."""

# True boxes and found boxes of each kind, in a cell: first and last row, first and last column.
_KINDS = {
    "found": ([(2, 10, 3, 13)], [(2, 10, 4, 13)]),
    "equal": ([(2, 10, 3, 13)], [(2, 10, 3, 13)]),
    "half": ([(2, 10, 2, 12)], [(2, 6, 2, 12)]),
    "split": ([(2, 10, 2, 14)], [(2, 10, 2, 8), (2, 10, 8, 14)]),
    "merged": ([(2, 10, 2, 8), (2, 10, 8, 14)], [(2, 10, 2, 14)]),
    "displaced": ([(2, 10, 2, 10)], [(2, 10, 5, 13)]),
    "too small": ([(2, 10, 2, 12)], [(4, 8, 5, 10)]),
    "too large": ([(4, 9, 5, 10)], [(1, 11, 2, 13)]),
    "grazed": ([(1, 7, 2, 9)], [(4, 11, 7, 14)]),
    "missed": ([(2, 10, 3, 13)], []),
    "invented": ([], [(3, 9, 3, 13)]),
}
_AT_RANDOM = {"found": (2, 5), "equal": (1, 3), "half": (1, 3), "grazed": (1, 2), "missed": (1, 3)}


def _draw_matches(rng: torch.Generator) -> Case:
    """Return labels and truth for which each usual mistake gives a number of its own."""
    while True:
        arguments = _two_label_images(rng)
        answers = [_count_matches(*arguments), *(mistake.answer(*arguments) for mistake in _MATCHING_MISTAKES)]
        if _apart([float(answer) for answer in answers], 0.02):
            return Case(arguments, _count_matches(*arguments))


def _two_label_images(rng: torch.Generator) -> tuple[Labels, Labels]:
    counts = {kind: _whole(rng, *limits) for kind, limits in _AT_RANDOM.items()}
    one, other = torch.randperm(2, generator=rng).tolist(), torch.randperm(2, generator=rng).tolist()
    counts |= {"split": 3 + one[0], "merged": 3 + one[1], "displaced": 2, "too small": 3 + other[0]}
    counts |= {"too large": 3 + other[1], "invented": counts["missed"]}
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    down = -(-len(kinds) // CELLS_ACROSS)
    places = torch.randperm(down * CELLS_ACROSS, generator=rng).tolist()
    images = []
    for which in (1, 0):
        boxes = [(places[n], box) for n, kind in enumerate(kinds) for box in _KINDS[kind][which]]
        numbers = _numbers_with_gaps(len(boxes), rng)
        highest = numbers.index(max(numbers))  # goes to "found", which comes first
        numbers[0], numbers[highest] = numbers[highest], numbers[0]
        image = np.zeros((down * CELL[0], CELLS_ACROSS * CELL[1]), dtype=np.int32)
        for number, (place, (top, bottom, left, right)) in zip(numbers, boxes, strict=True):
            row, column = (place // CELLS_ACROSS) * CELL[0], (place % CELLS_ACROSS) * CELL[1]
            image[row + top : row + bottom, column + left : column + right] = number
        images.append(image)
    return images[0], images[1]


def _numbers_with_gaps(count: int, rng: torch.Generator) -> list[int]:
    numbers = torch.randperm(count + 6, generator=rng)[:count] + 1
    return [int(number) for number in numbers]


Overlaps = tuple[Labels, Labels, Labels]


def _overlaps(labels: Labels, truth: Labels, *, first: int = 1) -> Overlaps:
    """Return the common pixels of each label with each true object, and the pixels of both, as columns and rows."""
    mine, of_mine = np.unique(labels, return_inverse=True)
    true, of_true = np.unique(truth, return_inverse=True)
    pairs = of_mine.ravel() * len(true) + of_true.ravel()
    table = np.bincount(pairs, minlength=len(mine) * len(true)).reshape(len(mine), len(true))
    kept = np.ix_(mine >= first, true >= first)
    return table[kept], table.sum(axis=1)[mine >= first, None], table.sum(axis=0)[None, true >= first]


def _iou(common: Labels, mine: Labels, true: Labels) -> Labels:
    return np.asarray(common / (mine + true - common))


def _one_to_one(scores: Labels, least: float = 0.5) -> int:
    """Return how many pairs can be made of scores that reach `least`, the best first, each object once."""
    left, pairs = scores.copy(), 0
    while left.size and left.max() >= least:
        label, true = np.unravel_index(left.argmax(), left.shape)
        left[label], left[:, true] = -1, -1
        pairs += 1
    return pairs


def _count_matches(labels: Labels, truth: Labels) -> int:
    return _one_to_one(_iou(*_overlaps(labels, truth)))


def _by_score(score: Callable[[Labels, Labels, Labels], Labels], *, least: float = 0.5) -> Callable[..., int]:
    return lambda labels, truth: _one_to_one(score(*_overlaps(labels, truth)), least)


def _reaching(labels: Labels, truth: Labels) -> Labels:
    return np.asarray(_iou(*_overlaps(labels, truth)) >= 0.5)


def _average_precision(labels: Labels, truth: Labels) -> float:
    found, of_mine = _count_matches(labels, truth), len(np.unique(labels)) - 1
    return found / (of_mine + len(np.unique(truth)) - 1 - found)


def _covered(labels: Labels, truth: Labels) -> int:
    """Count the true objects of which at least one half has labels."""
    return sum(int(2 * (labels[truth == number] > 0).mean() >= 1) for number in np.unique(truth[truth > 0]))


def _f1(labels: Labels, truth: Labels) -> float:
    return 2 * _count_matches(labels, truth) / (len(np.unique(labels)) + len(np.unique(truth)) - 2)


def _same_number(labels: Labels, truth: Labels) -> int:
    """Compare label 1 with true object 1, label 2 with 2, and so on."""
    both = np.intersect1d(labels[labels > 0], truth[truth > 0])
    masks = [(labels == number, truth == number) for number in both]
    return sum(int(2 * (mine & true).sum() >= (mine | true).sum()) for mine, true in masks)


_MATCHING_MISTAKES = (
    Mistake(
        lambda labels, truth: _one_to_one(_iou(*_overlaps(labels, truth)), math.nextafter(0.5, 1)),
        "You ask for an IoU above 0.5, and leave out the pairs of exactly 0.5. The threshold itself counts: >=.",
    ),
    Mistake(
        lambda labels, truth: _one_to_one(_iou(*_overlaps(labels, truth, first=0))),
        "One too many: the background is no object, though its two masks overlap so well. Leave out the number 0.",
    ),
    Mistake(
        lambda labels, truth: _reaching(labels, truth).any(axis=1).sum(),
        "A nucleus that was cut in two equal halves is found twice: each half has an IoU of exactly 0.5 with it. A "
        "true object counts once: take it out when it has its label.",
    ),
    Mistake(
        lambda labels, truth: _reaching(labels, truth).any(axis=0).sum(),
        "A label that covers two nuclei of the same size is counted for both: it has an IoU of exactly 0.5 with each. "
        "A label counts once: take it out when it has its true object.",
    ),
    Mistake(
        lambda labels, truth: _reaching(labels, truth).sum(),
        "You count all pairs that reach 0.5. At exactly 0.5 a true object can have two labels, and a label two true "
        "objects. Pairs are one to one: take both out when they are matched.",
    ),
    Mistake(
        _by_score(lambda common, mine, true: common / np.minimum(mine, true)),
        "You divide by the smaller of the two areas. Then a label of a few pixels, or one that fills half the image, "
        "passes whenever one lies inside the other. Divide by the union: both areas minus the intersection.",
    ),
    Mistake(
        _by_score(lambda common, mine, true: common / true),
        "You divide by the area of the true object. Then one label over the whole image would find everything. Divide "
        "by the union: both areas minus the intersection.",
    ),
    Mistake(
        _by_score(lambda common, mine, true: common / mine),
        "You divide by the area of the label. Then a single pixel inside a nucleus would find it. Divide by the union: "
        "both areas minus the intersection.",
    ),
    Mistake(
        _by_score(lambda common, mine, true: common / (mine + true)),
        "You divide by the sum of the areas, in which the intersection is counted twice: subtract it once.",
    ),
    Mistake(
        _by_score(lambda common, mine, true: 2 * common / (mine + true)),
        "Twice the intersection over the sum of the areas is the Dice coefficient. It is kinder than the IoU: a Dice "
        "of 0.5 is an IoU of a third. Divide the intersection by the union.",
    ),
    Mistake(
        _by_score(lambda common, mine, true: common, least=1),
        "You take any common pixel for a match. Ask how much they overlap: intersection over union of at least 0.5.",
    ),
    Mistake(
        lambda labels, truth: ((labels > 0) & (truth > 0)).sum() / ((labels > 0) | (truth > 0)).sum(),
        "That is the IoU of the two masks as a whole, a share of pixels. It cannot see that two nuclei were merged. "
        "Compare objects: each label with each true one.",
    ),
    Mistake(
        _covered,
        "You ask whether half of a true object is covered by labels, whichever they are. Then one label over the whole "
        "image would find everything. Take the IoU with one label at a time.",
    ),
    Mistake(
        _same_number,
        "You compare label 1 with true object 1, 2 with 2, and so on. Numbers are names, and each image has its own: "
        "compare each label with each true object.",
    ),
    Mistake(
        _average_precision,
        "That is the average precision, TP / (TP + FP + FN). Its numerator alone is asked for.",
    ),
    Mistake(
        _f1,
        "That is F1, 2 TP / (2 TP + FP + FN). TP alone is asked for.",
    ),
    Mistake(
        lambda labels, truth: len(np.unique(labels)) - 1,
        "That is the number of labels, whether they are right or not.",
    ),
    Mistake(
        lambda labels, truth: len(np.unique(truth)) - 1,
        "That is the number of true objects, found or not.",
    ),
    Mistake(
        lambda labels, truth: _count_matches(np.where(labels == labels.max(), 0, labels), truth),
        "One is missing: the pair with the highest numbers. range(1, n) ends at n - 1; loop over np.unique instead, "
        "which also passes over the gaps.",
    ),
)

count_matches = Exercise(
    draw=_draw_matches,
    solution=_count_matches,
    mistakes=_MATCHING_MISTAKES,
    relative_tolerance=0.0,
    mistake_tolerance=1e-6,
    praise=(
        "Right, halves and doubles included. From this number, and how many labels and true objects there are, all "
        "scores of the chapter follow."
    ),
)


# split_touching -----------------------------------------------------------------------------------------

FIELD_PX, LEAST_IOU = 160, 0.7


def _blob(centre: tuple[float, float], radius: float, rng: torch.Generator) -> Labels:
    """Return the mask of a nucleus: an ellipse with shallow dents."""
    y, x = np.mgrid[:FIELD_PX, :FIELD_PX].astype(np.float64)
    angle = np.arctan2(y - centre[0], x - centre[1])
    oval, dents = (_uniform(rng, 0, 2 * math.pi) for _ in range(2))
    outline = radius * (1 + 0.05 * np.cos(2 * (angle - oval)) + 0.04 * np.cos(_whole(rng, 5, 7) * angle + dents))
    return np.asarray(np.hypot(y - centre[0], x - centre[1]) < outline)


def _draw_touching(rng: torch.Generator) -> Case:
    """Return the mask of pairs and threes of nuclei that touch, the pixel size and the diameter; and the truth."""
    diameter_px, pixel_um = _uniform(rng, 24, 28), _uniform(rng, 0.2, 0.35)
    truth = np.zeros((FIELD_PX, FIELD_PX), dtype=np.int32)
    number = 0
    for row in (28.0, 80.0, 132.0):
        column = _uniform(rng, 18, 24)
        for _ in range(_whole(rng, 2, 3)):
            for place in range(_whole(rng, 1, 3)):
                column += place and diameter_px * _uniform(rng, 0.8, 0.9)
                if column > FIELD_PX - 18:
                    break
                blob = _blob((row + _uniform(rng, -3, 3), column), diameter_px / 2, rng)
                number += 1
                truth[blob & (truth == 0)] = number
            column += 1.4 * diameter_px
    arguments = (truth > 0, pixel_um, pixel_um * diameter_px)
    return Case((*arguments, truth), (number, number, 0))


def _flooded(
    mask: Labels, pixel_um: float, spacing_um: float, *, sign: float = -1, allowed: Labels | None = None
) -> Labels:
    sizes_um = (pixel_um, pixel_um)
    distance = segmentation.distance_um(mask, voxel_size_um=sizes_um)
    markers = segmentation.seeds(distance, spacing_um=spacing_um, voxel_size_um=sizes_um, mask=mask)
    return segmentation.seeded_watershed(sign * distance, markers, mask=mask if allowed is None else allowed)


def _split(mask: Labels, pixel_um: float, diameter_um: float) -> Labels:
    return _flooded(mask, pixel_um, diameter_um / 2)


def _seeds_alone(mask: Labels, pixel_um: float, diameter_um: float) -> Labels:
    sizes_um = (pixel_um, pixel_um)
    distance = segmentation.distance_um(mask, voxel_size_um=sizes_um)
    return segmentation.seeds(distance, spacing_um=diameter_um / 2, voxel_size_um=sizes_um, mask=mask)


Judged = tuple[int, int, int]


def _judged(returned: Any, truth: Labels) -> Judged | None:
    """Return how many objects there are, how many nuclei among them, and 1 if they leave the mask, else 0.

    None where these are no labels.
    """
    try:
        labels = np.asarray(returned)
    except (TypeError, ValueError, RuntimeError):
        return None
    if labels.shape != truth.shape or labels.dtype.kind not in "biuf" or not (labels == np.round(labels)).all():
        return None
    whole = labels.astype(np.int64)
    found = _one_to_one(_iou(*_overlaps(whole, truth)), LEAST_IOU)
    return len(np.unique(whole[whole != 0])), found, int(bool(whole[truth == 0].any()))


class _Judging:
    """Asks a function for labels, and returns how many objects it made and how many nuclei are among them."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self.answer, self.said = answer, list[tuple[Any, Judged | None]]()
        self.__code__ = getattr(answer, "__code__", None)  # by which a blank skeleton is known

    def __call__(self, mask: Labels, pixel_um: float, diameter_um: float, truth: Labels) -> Judged | None:
        returned = self.answer(mask.copy(), pixel_um, diameter_um)
        nothing = returned is None or returned is ...
        judged = None if nothing else _judged(returned, truth)
        self.said.append((returned, judged))
        return None if nothing else judged or (-1, -1, -1)


class _Splitting(Exercise):
    """An exercise whose answers are labels, judged by the nuclei that are found."""

    def check(self, answer: Callable[..., Any], *, rng: int | torch.Generator | None = None) -> Feedback:
        """Ask for labels, and say how many objects there were and how many should be."""
        seed = int(torch.randint(2**31, (), generator=generator(rng)))
        asked = _Judging(answer)
        whole = Exercise(
            draw=self.draw,
            solution=_Judging(self.solution),
            mistakes=tuple(dataclasses.replace(one, answer=_Judging(one.answer)) for one in self.mistakes),
            relative_tolerance=self.relative_tolerance,
            mistake_tolerance=self.mistake_tolerance,
            praise=self.praise,
        )
        feedback = whole.check(asked, rng=seed)
        return feedback if feedback.status != "wrong" else Feedback("wrong", self._told(asked, generator(seed)))

    def _told(self, asked: _Judging, rng: torch.Generator) -> str:
        cases = [self.draw(rng) for _ in asked.said]
        wrong = (pair for pair in zip(asked.said, cases, strict=True) if pair[0][1] != pair[1].expected)
        (returned, judged), case = next(wrong)
        begin = "Not yet: for one hidden input you returned"
        if judged is None:
            return (
                f"{begin} {_kind(returned)}, but labels are asked for: an array of whole numbers of the shape of the "
                f"mask, {case.arguments[0].shape}, with 0 for the background."
            )
        nuclei = case.expected[0]
        return (
            f"{begin} {judged[0]} objects, and {judged[1]} of the {nuclei} nuclei are among them (IoU of at least "
            f"{LEAST_IOU}). {_advice(judged, nuclei)}"
        )


def _kind(returned: Any) -> str:
    if returned is None or returned is ...:
        return "nothing"
    shape = getattr(returned, "shape", None)
    return f"something of type {type(returned).__name__}" + (f" and shape {tuple(shape)}" if shape is not None else "")


def _advice(judged: Judged, nuclei: int) -> str:
    objects, _, leaves_the_mask = judged
    if leaves_the_mask:
        return "Some of their pixels are background: labels end where the mask ends."
    if objects > nuclei:
        return "More objects than nuclei is over-segmentation: too many seeds, which stand too close."
    if objects < nuclei:
        return "Fewer objects than nuclei is under-segmentation: seeds are missing, or too far apart."
    return "The seeds are right in number: look where the borders run."


split_touching = _Splitting(
    draw=_draw_touching,
    solution=_split,
    mistakes=(
        Mistake(
            lambda mask, pixel_um, diameter_um: segmentation.connected(mask),
            "Those are the connected pieces of the mask: nuclei that touch are still one. Find the summits of the "
            "distance transform (of itself, not of the mask nor of the distance turned over), and let a watershed grow "
            "them.",
        ),
        Mistake(
            lambda mask, pixel_um, diameter_um: _flooded(mask, pixel_um, diameter_um),
            "Your seeds are a whole diameter apart. Nuclei that touch are nearer than that, because they press on each "
            "other: half a diameter is far enough for two summits in one nucleus to be one.",
        ),
        Mistake(
            lambda mask, pixel_um, diameter_um: _flooded(mask, 1.0, diameter_um / 2),
            "Your seeds stand too close. Is a distance in µm taken for one in pixels? Functions of the course take µm, "
            "and the size of a pixel with them: voxel_size_um=(pixel_um, pixel_um). A function that counts in pixels "
            "needs diameter_um / pixel_um.",
        ),
        Mistake(
            lambda mask, pixel_um, diameter_um: _flooded(mask, pixel_um, diameter_um / 2 / pixel_um),
            "Your seeds stand too far apart. Did you divide by the size of a pixel? spacing_um is in µm, as the "
            "diameter is, and voxel_size_um does the rest.",
        ),
        Mistake(
            lambda mask, pixel_um, diameter_um: _flooded(mask, pixel_um, pixel_um),
            "Every summit became a seed, also those that a dent of the outline makes. Of summits closer than half a "
            "diameter keep the highest alone.",
        ),
        Mistake(
            lambda mask, pixel_um, diameter_um: _flooded(mask, pixel_um, diameter_um / 2, sign=1),
            "The seeds are right, but the landscape is upside down: water rises from valleys. Turn the distance over, "
            "by a minus, before you flood it.",
        ),
        Mistake(
            lambda mask, pixel_um, diameter_um: _flooded(
                mask, pixel_um, diameter_um / 2, allowed=np.ones_like(mask, dtype=bool)
            ),
            "The water ran out over the background. Tell the watershed where it may flow: mask=mask.",
        ),
        Mistake(
            _seeds_alone,
            "The number is right, but these are the middles alone. Grow them to the outlines, by a watershed of the "
            "distance, turned over, inside the mask.",
        ),
        Mistake(
            lambda mask, pixel_um, diameter_um: mask,
            "That is the mask, one object for the whole image. Each nucleus needs a number of its own.",
        ),
    ),
    relative_tolerance=0.0,
    mistake_tolerance=0.0,
    praise=(
        "Split, and each nucleus has its outline. All of it hangs on one number, the diameter: give half of it or "
        "twice, and see what becomes of the count."
    ),
)


# border_weight ------------------------------------------------------------------------------------------

_BACKGROUND, _INSIDE, _BORDER = range(3)


def _draw_border(rng: torch.Generator) -> Case:
    """Return scores of three classes, the true classes of an image with two nuclei, and a weight."""
    side = 24
    y, x = torch.meshgrid(*[torch.arange(side)] * 2, indexing="ij")
    classes = torch.zeros(side, side, dtype=torch.long)
    for column in (_whole(rng, 6, 7), _whole(rng, 16, 17)):
        away = torch.hypot(y - 12.0, x - float(column))
        radius = _uniform(rng, 4, 6)
        classes[away < radius] = _BORDER
        classes[away < radius - 1.5] = _INSIDE
    scores = torch.randn((3, side, side), generator=rng) + 1.5 * functional.one_hot(classes, 3).movedim(-1, 0)
    weight = _uniform(rng, 3, 8)
    return Case((scores, classes, weight), _border_weight(scores, classes, weight))


def _errors(scores: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of each pixel."""
    return functional.cross_entropy(scores[None], classes[None], reduction="none")[0]


def _weights(classes: torch.Tensor, weight: float, *, at: tuple[int, ...] = (_BORDER,)) -> torch.Tensor:
    return torch.where(torch.isin(classes, torch.tensor(at)), weight, 1.0)


def _border_weight(scores: torch.Tensor, classes: torch.Tensor, weight: float) -> float:
    return float((_weights(classes, weight) * _errors(scores, classes)).mean())


def _with_weight_at(*at: int) -> Callable[[torch.Tensor, torch.Tensor, float], float]:
    return lambda scores, classes, weight: float((_weights(classes, weight, at=at) * _errors(scores, classes)).mean())


def _divided_by_weights(scores: torch.Tensor, classes: torch.Tensor, weight: float) -> float:
    weights = _weights(classes, weight)
    return float((weights * _errors(scores, classes)).sum() / weights.sum())


def _two_means(scores: torch.Tensor, classes: torch.Tensor, weight: float) -> float:
    errors, border = _errors(scores, classes), classes == _BORDER
    return float(errors[~border].mean() + weight * errors[border].mean())


def _along_a_row(scores: torch.Tensor, classes: torch.Tensor, weight: float) -> float:
    """Take the softmax along the last axis, which is x, and not along the classes."""
    chosen = scores.log_softmax(dim=-1).gather(0, classes[None])[0]
    return float(-(_weights(classes, weight) * chosen).mean())


border_weight = Exercise(
    draw=_draw_border,
    solution=_border_weight,
    mistakes=(
        Mistake(
            lambda scores, classes, weight: _errors(scores, classes).mean(),
            "All pixels weigh the same. Multiply the errors of the border pixels, classes == 2, by the weight, before "
            "you take the mean.",
        ),
        Mistake(
            _with_weight_at(_BACKGROUND),
            "The weight is on the background, class 0, which has most pixels as it is. The border is class 2.",
        ),
        Mistake(
            _with_weight_at(_INSIDE),
            "The weight is on the inside, class 1. The border is class 2.",
        ),
        Mistake(
            _with_weight_at(_INSIDE, _BORDER),
            "The weight is on all of the nucleus, inside and border. Then the border gains nothing over the inside: "
            "weigh class 2 alone.",
        ),
        Mistake(
            _divided_by_weights,
            "You divided by the sum of the weights, as cross_entropy(..., weight=...) does by default. Asked is for "
            "the mean over pixels: divide by their number (reduction='none', then .mean()).",
        ),
        Mistake(
            lambda scores, classes, weight: _divided_by_weights(scores, classes, weight) / classes.numel(),
            "The weights are normalized twice: once to a sum of 1, and then by the mean. Leave them as they are: 1, "
            "and the weight at the border.",
        ),
        Mistake(
            lambda scores, classes, weight: _border_weight(scores, classes, weight) * classes.numel(),
            "That is the sum. Take the mean over all pixels, so that the size of a patch does not matter.",
        ),
        Mistake(
            lambda scores, classes, weight: weight * _errors(scores, classes)[classes == _BORDER].mean(),
            "That is the mean over the border pixels alone. All pixels count; those of the border count more.",
        ),
        Mistake(
            lambda scores, classes, weight: _errors(scores, classes)[classes == _BORDER].mean(),
            "You looked at the border pixels alone. All pixels count: with a weight of 1, and those of the border with "
            "more.",
        ),
        Mistake(
            lambda scores, classes, weight: (weight * (classes == _BORDER) * _errors(scores, classes)).mean(),
            "All other pixels have a weight of 0, and are never learned. Theirs is 1: torch.where(classes == 2, "
            "weight, 1.0).",
        ),
        Mistake(
            lambda scores, classes, weight: weight * _errors(scores, classes).mean(),
            "You multiplied the errors of all pixels, so that the border gains nothing. Multiply those where "
            "classes == 2, before you take the mean.",
        ),
        Mistake(
            _two_means,
            "You added two means, one of the border and one of the rest. The border's few pixels then count as much as "
            "all others, and the weight on top of it. Weigh each pixel, and take one mean over all.",
        ),
        Mistake(
            lambda scores, classes, weight: (_weights(scores.argmax(dim=0), weight) * _errors(scores, classes)).mean(),
            "The weight is where the network *says* border. It belongs where the border is: classes == 2.",
        ),
        Mistake(
            lambda scores, classes, weight: _border_weight(scores, classes, weight + 1),
            "The border weighs one too much: its weight stands in the place of the 1, and is not added to it.",
        ),
        Mistake(
            lambda scores, classes, weight: _border_weight(scores.softmax(dim=0), classes, weight),
            "You gave probabilities to cross_entropy, which takes the softmax itself: it is then taken twice. Give it "
            "the scores.",
        ),
        Mistake(
            _along_a_row,
            "The softmax is along a row of the image. Its three numbers are those of the classes, along the first "
            "axis.",
        ),
        Mistake(
            lambda scores, classes, weight: -_border_weight(scores, classes, weight),
            "The sign: a cross entropy is the *negative* logarithm of a probability, and never below 0.",
        ),
        Mistake(
            lambda scores, classes, weight: _weights(classes, weight) * _errors(scores, classes),
            "Those are the errors of the pixels, rightly weighted. A loss is one number: take their mean.",
        ),
    ),
    relative_tolerance=1e-4,
    praise=(
        "Right. A line of pixels, one in ten or fewer, now has a say in the loss. Too large a weight makes thick "
        "borders and thin nuclei: it is a setting, to be chosen on validation images."
    ),
)


# choose_threshold ---------------------------------------------------------------------------------------


def _draw_tables(rng: torch.Generator) -> Case:
    """Return thresholds, and two tables of AP: one row each, columns the images; all usual answers differ."""
    while True:
        thresholds = torch.linspace(0.2, 0.8, _whole(rng, 6, 9), dtype=torch.float64)
        tables = []
        for images in (_whole(rng, 4, 6), _whole(rng, 3, 5)):
            best = _uniform(rng, 0.35, 0.65) + 0.06 * torch.randn(images, generator=rng, dtype=torch.float64)
            highest = 0.5 + 0.4 * torch.rand(images, generator=rng, dtype=torch.float64)
            table = highest - 2 * (thresholds[:, None] - best) ** 2
            table += 0.02 * torch.randn(table.shape, generator=rng, dtype=torch.float64)
            tables.append(table.clamp(0.02, 0.98))
        arguments = (thresholds, *tables)
        answers = [_choose(*arguments), *(one.answer(*arguments) for one in _CHOICE_MISTAKES)]
        if _all_differ(answers):
            return Case(arguments, _choose(*arguments))


def _all_differ(answers: list[tuple[float, float]]) -> bool:
    pairs = torch.tensor(answers, dtype=torch.float64)
    apart = (pairs[:, None] - pairs).abs().amax(dim=-1) + torch.eye(len(pairs))
    return float(apart.min()) > 0.005


Table = torch.Tensor


def _reported(thresholds: Table, chosen_by: Table, reported: Table) -> tuple[float, float]:
    """Return the threshold at which one curve is highest, and the other curve there."""
    place = int(chosen_by.argmax())
    return float(thresholds[place]), float(reported[place])


def _choose(thresholds: Table, validation: Table, test: Table) -> tuple[float, float]:
    return _reported(thresholds, validation.mean(dim=1), test.mean(dim=1))


def _best_image(table: Table) -> Table:
    return table.amax(dim=1)


_CHOICE_MISTAKES = (
    Mistake(
        lambda thresholds, validation, test: _reported(thresholds, test.mean(dim=1), test.mean(dim=1)),
        "You chose the threshold on the test images. Then it fits their accidents, too, and the AP is more than new "
        "images will give. Choose on the validation images; the test images are looked at once, at that threshold.",
    ),
    Mistake(
        lambda thresholds, validation, test: _reported(thresholds, validation.mean(dim=1), validation.mean(dim=1)),
        "The threshold is right, but the AP is that of the validation images, on which it was chosen. Report the test "
        "images' at this threshold.",
    ),
    Mistake(
        lambda thresholds, validation, test: (
            _choose(thresholds, validation, test)[0],
            float(test.mean(dim=1).max()),
        ),
        "The threshold is right, but the AP is the best of all thresholds on the test images. Report what the chosen "
        "threshold gives.",
    ),
    Mistake(
        lambda thresholds, validation, test: (
            _choose(thresholds, validation, test)[0],
            float(test.amax(dim=0).mean()),
        ),
        "The threshold is right, but for the AP each test image got the threshold that suits it best. One threshold "
        "for all.",
    ),
    Mistake(
        lambda thresholds, validation, test: _reported(thresholds, _best_image(validation), test.mean(dim=1)),
        "You chose by the one validation image with the highest AP. An easy image says little: take the mean over the "
        "validation images first.",
    ),
    Mistake(
        lambda thresholds, validation, test: _reported(
            thresholds, torch.cat([validation, test], dim=1).mean(dim=1), test.mean(dim=1)
        ),
        "You chose on validation and test images together. The test images must have no part in any choice.",
    ),
    Mistake(
        lambda thresholds, validation, test: _reported(thresholds, validation.mean(dim=1), _best_image(test)),
        "The threshold is right, but the AP is that of the best test image. Report the mean over all of them.",
    ),
    Mistake(
        lambda thresholds, validation, test: (
            float(validation.mean(dim=1).argmax()),
            _choose(thresholds, validation, test)[1],
        ),
        "The AP is right, but the first number is the place of the threshold in the list, and not the threshold.",
    ),
    Mistake(
        lambda thresholds, validation, test: _reported(thresholds, test.mean(dim=1), validation.mean(dim=1)),
        "The two tables are exchanged: you chose on the test images, and report the validation images. Choose on "
        "validation, report test.",
    ),
    Mistake(
        lambda thresholds, validation, test: (
            _choose(thresholds, validation, test)[0],
            float(test.mean()),
        ),
        "The threshold is right, but the AP is a mean over all thresholds that were tried. Take the row of test that "
        "belongs to this threshold.",
    ),
    Mistake(
        lambda thresholds, validation, test: _reported(
            thresholds, functional.one_hot(validation.mean(dim=0).argmax(), len(thresholds)), test.mean(dim=1)
        ),
        "You took the mean over the thresholds, and so chose the best *image*. Rows are thresholds, columns images: "
        "the mean over images is mean(dim=1).",
    ),
    Mistake(
        lambda thresholds, validation, test: _reported(thresholds, -validation.mean(dim=1), test.mean(dim=1)),
        "You took the threshold with the lowest AP. An AP is a score, and no loss: argmax.",
    ),
    Mistake(
        lambda thresholds, validation, test: _choose(thresholds, validation, test)[::-1],
        "Both are right, but exchanged: first the threshold, then the AP.",
    ),
)

choose_threshold = Exercise(
    draw=_draw_tables,
    solution=_choose,
    mistakes=_CHOICE_MISTAKES,
    relative_tolerance=1e-6,
    mistake_tolerance=1e-5,
    praise=(
        "That is the figure to report. It is lower than the best that the table of test images holds, and it is what "
        "the next image can be expected to give."
    ),
)
