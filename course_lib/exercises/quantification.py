"""The exercises of the chapter *Quantification*."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from course_lib import noise
from course_lib.exercises.exercise import Case, Exercise, Feedback, Mistake
from course_lib.seeding import generator

__all__ = ["calibrated_table", "cells_against_dishes", "correct_attenuation"]

Array = np.ndarray[Any, Any]


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def _whole(rng: torch.Generator, low: int, high: int) -> int:
    """Draw a whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng))


# calibrated_table ---------------------------------------------------------------------------------------

COLUMNS = ("ID", "area_um2", "photons")
CELLS_ACROSS, CELL_PX = 4, 40
"""Of the grid on which the nuclei stand."""
BLUR_PX, MARGIN_PX = 1.5, 5
"""Standard deviation of the blur, and how near to a nucleus its light still counts as none of the background."""

Table = tuple[Array, Array, Array]


def _draw_image(rng: torch.Generator) -> Case:
    """Return labels with gaps, an image in ADU, gain, offset and pixel size; and the table."""
    from scipy import ndimage

    side = CELLS_ACROSS * CELL_PX
    labels, light = np.zeros((side, side), np.int32), np.zeros((side, side))
    y, x = np.mgrid[:side, :side].astype(np.float64)
    places = torch.randperm(CELLS_ACROSS**2, generator=rng)[: _whole(rng, 11, 14)].tolist()
    numbers = (torch.randperm(len(places) + 8, generator=rng)[: len(places)] + 1).tolist()
    for place, number in zip(places, numbers, strict=True):
        row, column = (CELL_PX * (index + 0.5) + _uniform(rng, -1, 1) for index in divmod(place, CELLS_ACROSS))
        inside = np.hypot(y - row, x - column) < _uniform(rng, 11, 18)
        labels[inside], light[inside] = number, _uniform(rng, 120, 300)
    gain, offset = _uniform(rng, 0.3, 0.8), float(_whole(rng, 90, 200))
    camera = noise.Camera(quantum_efficiency=1.0, gain_e_per_adu=gain, offset_adu=offset, read_noise_e=1.6)
    expected = ndimage.gaussian_filter(light, BLUR_PX) + _uniform(rng, 30, 60)
    adu = camera.capture(torch.from_numpy(expected), rng=rng).numpy().astype(np.uint16)
    arguments = (labels, adu, gain, offset, _uniform(rng, 0.1, 0.6))
    return Case(arguments, _table(*arguments))


def _numbers(labels: Array) -> Array:
    numbers = np.unique(labels)
    return numbers[numbers > 0].astype(np.float64)


def _pixels(labels: Array) -> Array:
    return np.array([(labels == number).sum() for number in _numbers(labels)], dtype=np.float64)


def _sums(labels: Array, image: Array) -> Array:
    return np.array([image[labels == number].sum() for number in _numbers(labels)])


def _outside(labels: Array, image: Array) -> float:
    """Return the mean of the pixels that no nucleus has put light into."""
    from scipy import ndimage

    return float(image[ndimage.distance_transform_edt(labels == 0) > MARGIN_PX].mean())


def _photons(adu: Array, gain: float, offset: float) -> Array:
    return np.asarray((adu.astype(np.float64) - offset) * gain)


def _table(labels: Array, adu: Array, gain: float, offset: float, pixel_um: float) -> Table:
    photons = _photons(adu, gain, offset)
    light = _sums(labels, photons - _outside(labels, photons))
    return _numbers(labels), _pixels(labels) * pixel_um**2, light


def _with_light(light: Callable[[Array, Array, float, float], Array]) -> Callable[..., Table]:
    """Return the table with another third column."""

    def answer(labels: Array, adu: Array, gain: float, offset: float, pixel_um: float) -> Table:
        numbers, areas, _ = _table(labels, adu, gain, offset, pixel_um)
        return numbers, areas, light(labels, adu.astype(np.float64), gain, offset)

    return answer


def _with_areas(areas: Callable[[Array, float], Array]) -> Callable[..., Table]:
    """Return the table with another second column."""

    def answer(labels: Array, adu: Array, gain: float, offset: float, pixel_um: float) -> Table:
        numbers, _, light = _table(labels, adu, gain, offset, pixel_um)
        return numbers, areas(_pixels(labels), pixel_um), light

    return answer


def _renumbered(labels: Array, adu: Array, gain: float, offset: float, pixel_um: float) -> Table:
    numbers, areas, light = _table(labels, adu, gain, offset, pixel_um)
    return np.arange(1.0, len(numbers) + 1), areas, light


def _with_background_as_object(labels: Array, adu: Array, gain: float, offset: float, pixel_um: float) -> Table:
    photons = _photons(adu, gain, offset)
    light = photons - _outside(labels, photons)
    first = 0.0, (labels == 0).sum() * pixel_um**2, light[labels == 0].sum()
    rest = _table(labels, adu, gain, offset, pixel_um)
    numbers, areas, sums = (np.append(one, column) for one, column in zip(first, rest, strict=True))
    return numbers, areas, sums


def _with_rows_in_gaps(labels: Array, adu: Array, gain: float, offset: float, pixel_um: float) -> Table:
    every = np.arange(1.0, labels.max() + 1)
    place = _numbers(labels).astype(int) - 1
    columns = []
    for column in _table(labels, adu, gain, offset, pixel_um)[1:]:
        filled = np.zeros(len(every))
        filled[place] = column
        columns.append(filled)
    return every, columns[0], columns[1]


def _as_columns(returned: Any) -> Any:
    """Return the three columns of a table, of an array with three columns, or of three arrays; else what was given."""
    if hasattr(returned, "columns"):
        if not set(COLUMNS) <= set(returned.columns):
            return returned
        ordered = returned.sort_values("ID")
        return tuple(np.array(ordered[name], dtype=np.float64) for name in COLUMNS)
    try:
        array = np.asarray(returned, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        return returned
    if array.ndim == 2 and len(array) == 3 and isinstance(returned, tuple | list):
        array = array.T
    if array.ndim != 2 or array.shape[1] != 3:
        return returned
    return tuple(array[array[:, 0].argsort(kind="stable")].T.copy())


class _AsColumns:
    """Asks a function for a table, and returns its columns."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self.answer, self.said = answer, list[Any]()
        self.__code__ = getattr(answer, "__code__", None)  # by which a blank skeleton is known

    def __call__(self, *arguments: Any) -> Any:
        returned = self.answer(*(one.copy() if isinstance(one, np.ndarray) else one for one in arguments))
        self.said.append(returned if returned is None or returned is ... else _as_columns(returned))
        return self.said[-1]


class _Tabulating(Exercise):
    """An exercise whose answer is a table."""

    def check(self, answer: Callable[..., Any], *, rng: int | torch.Generator | None = None) -> Feedback:
        """Ask for the table, and name the first object and column that are wrong."""
        seed = int(torch.randint(2**31, (), generator=generator(rng)))
        asked = _AsColumns(answer)
        feedback = super().check(asked, rng=seed)
        return feedback if feedback.status != "wrong" else self._told(asked, generator(seed))

    def _told(self, asked: _AsColumns, rng: torch.Generator) -> Feedback:
        cases = [self.draw(rng) for _ in asked.said]
        wrong = (pair for pair in zip(asked.said, cases, strict=True) if not self._agrees(*pair))
        returned, case = next(wrong)
        return Feedback("wrong", f"Not yet: for one hidden input you returned {self._difference(returned, case)}.")

    def _difference(self, returned: Any, case: Case) -> str:
        wanted: Table = case.expected
        if not (isinstance(returned, tuple) and len(returned) == 3 and all(np.ndim(one) == 1 for one in returned)):
            missing = [name for name in COLUMNS if name not in getattr(returned, "columns", COLUMNS)]
            lacks = f" without {' and '.join(missing)}" if missing else ""
            return (
                f"something of type {type(returned).__name__}{lacks}, but a table is asked for, with the columns "
                f"{', '.join(COLUMNS)} and a row for each object"
            )
        if len(returned[0]) != len(wanted[0]):
            return f"a table of {len(returned[0])} rows, but there are {len(wanted[0])} objects"
        for name, given, right in zip(COLUMNS, returned, wanted, strict=True):
            off = ~(np.abs(given - right) <= self.relative_tolerance * np.abs(right))
            if off.any():
                row = int(off.argmax())
                return f"{given[row]:.5g} as {name} of object {wanted[0][row]:.0f}, but {right[row]:.5g} is right"
        raise AssertionError("the table is right")


calibrated_table = _Tabulating(
    draw=_draw_image,
    solution=_table,
    mistakes=(
        Mistake(
            _with_light(lambda labels, adu, gain, offset: _sums(labels, adu - _outside(labels, adu))),
            "The background is right, but these are ADU. One ADU is as many electrons as the gain says: multiply by "
            "it.",
        ),
        Mistake(
            _with_light(lambda labels, adu, gain, offset: _sums(labels, adu - _outside(labels, adu)) / gain),
            "You divided by the gain. It is in electrons per ADU: multiply.",
        ),
        Mistake(
            _with_light(
                lambda labels, adu, gain, offset: (
                    _sums(labels, (adu - offset) * gain) - _outside(labels, (adu - offset) * gain)
                )
            ),
            "You subtracted the background once from the sum. Each of the pixels has it: subtract before you sum, or "
            "multiply it by the number of pixels.",
            tolerance=1e-6,  # nearly as if nothing had been subtracted
        ),
        Mistake(
            _with_light(lambda labels, adu, gain, offset: _sums(labels, (adu - offset) * gain)),
            "The background is still in it. Every pixel of an object has some: subtract its level from each, the "
            "mean of the pixels that are far from all objects.",
        ),
        Mistake(
            _with_light(lambda labels, adu, gain, offset: _sums(labels, adu * gain)),
            "Offset and background are still in it: neither is light of the object. Subtract the level of the pixels "
            "far from all objects, which holds both.",
        ),
        Mistake(
            _with_light(lambda labels, adu, gain, offset: _sums(labels, (adu - offset - _outside(labels, adu)) * gain)),
            "The offset is subtracted twice: the level of the background, in ADU, contains it already. (So the offset "
            "need not be known at all.)",
        ),
        Mistake(
            _with_light(
                lambda labels, adu, gain, offset: _sums(labels, adu - _outside(labels, adu)) * gain / _pixels(labels)
            ),
            "That is the mean light of a pixel. The sum is asked for: all photons of the object.",
        ),
        Mistake(
            _with_light(lambda labels, adu, gain, offset: _sums(labels, adu - adu[labels == 0].mean()) * gain),
            "You took all pixels where labels are 0. Blur has carried light of the nuclei into those around them: keep "
            "a distance of some pixels, as margin_um of estimate_background does.",
        ),
        Mistake(
            _with_light(lambda labels, adu, gain, offset: _sums(labels, adu - np.median(adu)) * gain),
            "You took the median of the whole image for the background. Where much of it is nuclei, that is too high: "
            "take the pixels far from all objects.",
        ),
        Mistake(
            _with_light(lambda labels, adu, gain, offset: _sums(labels, adu - adu.mean()) * gain),
            "You took the mean of the whole image for the background. It contains the nuclei: take the pixels far from "
            "all objects.",
        ),
        Mistake(
            _with_light(lambda labels, adu, gain, offset: _sums(labels, adu - adu.min()) * gain),
            "You took the darkest pixel for the background. It is the one that noise pulled down most, and the darker "
            "the larger the image: take the mean of the pixels far from all objects.",
        ),
        Mistake(
            _with_areas(lambda pixels, pixel_um: pixels),
            "The areas are in pixels: multiply by the area of one, pixel_um squared.",
        ),
        Mistake(
            _with_areas(lambda pixels, pixel_um: pixels * pixel_um),
            "A pixel's area is its side squared: you multiplied by the side once.",
        ),
        Mistake(
            _renumbered,
            "You numbered the objects anew. An ID is a name, by which a row is found in the image again: keep the "
            "labels' own numbers, gaps included.",
        ),
        Mistake(
            _with_background_as_object,
            "One row too many: 0 is the background, and no object.",
        ),
        Mistake(
            _with_rows_in_gaps,
            "The labels have gaps, and your table has rows for numbers that no object has. Go over np.unique(labels).",
        ),
    ),
    relative_tolerance=0.015,
    mistake_tolerance=0.005,  # with another margin, or the mean of blocks
    praise=(
        "A table with units: names that lead back to the image, areas in µm², light in photons. It can be compared "
        "with that of another camera."
    ),
)


# correct_attenuation ------------------------------------------------------------------------------------

FIELD_PX, GRAINS = 192, 16


def _smooth_field(rng: torch.Generator) -> torch.Tensor:
    coarse = torch.randn(1, 1, GRAINS, GRAINS, generator=rng, dtype=torch.float64)
    return functional.interpolate(coarse, size=(FIELD_PX, FIELD_PX), mode="bicubic")[0, 0]


def _scenes(rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean photons of two channels that have a part in common."""
    shared, own = _smooth_field(rng), _uniform(rng, 0.4, 0.8)
    one, other = (0.1 + (1.5 * (shared + own * _smooth_field(rng))).sigmoid() for _ in range(2))
    return _uniform(rng, 7, 12) * one, _uniform(rng, 16, 30) * other


def _draw_channels(rng: torch.Generator) -> Case:
    """Return two noisy channels in photoelectrons, and the read noise."""
    scenes, read_noise_e = _scenes(rng), _uniform(rng, 1.3, 2.0)
    channels = [
        torch.poisson(scene, generator=rng)
        + read_noise_e * torch.randn(scene.shape, generator=rng, dtype=torch.float64)
        for scene in scenes
    ]
    arguments = (channels[0], channels[1], read_noise_e)
    return Case(arguments, _unattenuated(*arguments))


def _pearson(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])


Variance = Callable[[torch.Tensor, float], float]


def _reliability(channel: torch.Tensor, read_noise_e: float) -> float:
    return 1 - _noise_variance(channel, read_noise_e) / float(channel.var())


def _noise_variance(channel: torch.Tensor, read_noise_e: float) -> float:
    return float(channel.mean()) + read_noise_e**2


def _unattenuated(first: torch.Tensor, second: torch.Tensor, read_noise_e: float) -> float:
    reliabilities = _reliability(first, read_noise_e) * _reliability(second, read_noise_e)
    return _pearson(first, second) / math.sqrt(reliabilities)


def _divided_by(divisor: Callable[[float, float], float]) -> Callable[..., float]:
    """Divide by another function of the two reliabilities."""
    return lambda first, second, read: (
        _pearson(first, second) / divisor(_reliability(first, read), _reliability(second, read))
    )


def _with_reliability(reliability: Variance) -> Callable[..., float]:
    """Take something else for the reliability."""
    return lambda first, second, read: (
        _pearson(first, second) / math.sqrt(abs(reliability(first, read) * reliability(second, read)))
    )


correct_attenuation = Exercise(
    draw=_draw_channels,
    solution=_unattenuated,
    mistakes=(
        Mistake(
            _divided_by(lambda first, second: 1.0),
            "That is the correlation as measured. Noise has enlarged both variances, and so lowered it: divide by the "
            "root of the product of the reliabilities.",
        ),
        Mistake(
            _divided_by(lambda first, second: first * second),
            "The root is missing: variances are under a root in Pearson's formula, and so are their reliabilities.",
        ),
        Mistake(
            _divided_by(lambda first, second: 1 / math.sqrt(first * second)),
            "You multiplied: that lowers the correlation a second time. Divide.",
        ),
        Mistake(
            _divided_by(lambda first, second: math.sqrt(first)),
            "Only the first channel is corrected. The second is noisy, too.",
        ),
        Mistake(
            _divided_by(lambda first, second: math.sqrt(second)),
            "Only the second channel is corrected. The first is noisy, too.",
        ),
        Mistake(
            _divided_by(lambda first, second: (first * second) ** 0.25),
            "The root is taken once too often: the reliability is a share of the variance, not of the standard "
            "deviation.",
        ),
        Mistake(
            _with_reliability(lambda channel, read: 1 - float(channel.mean() / channel.var())),
            "The read noise is missing. The variance of the noise is the mean number of photoelectrons plus R².",
        ),
        Mistake(
            _with_reliability(lambda channel, read: 1 - read**2 / float(channel.var())),
            "The shot noise is missing. The variance of the noise is the mean number of photoelectrons plus R².",
        ),
        Mistake(
            _with_reliability(lambda channel, read: 1 - (float(channel.mean()) + read) / float(channel.var())),
            "Read noise is a standard deviation, and variances add: square it.",
        ),
        Mistake(
            _with_reliability(
                lambda channel, read: 1 - (float(channel.mean()) ** 0.5 + read**2) / float(channel.var())
            ),
            "The root of the mean is the standard deviation of the shot noise. Its variance is the mean itself.",
        ),
        Mistake(
            _with_reliability(
                lambda channel, read: float(channel.var()) / (float(channel.var()) + _noise_variance(channel, read))
            ),
            "The variance that you measured contains the noise already: you added it a second time. The signal's is "
            "what is left when you subtract it.",
        ),
        Mistake(
            _with_reliability(
                lambda channel, read: float(channel.var()) / _noise_variance(channel, read) - 1,
            ),
            "You divided the signal's variance by that of the noise. A reliability is a share of the whole: divide by "
            "the variance that was measured.",
        ),
        Mistake(
            _with_reliability(lambda channel, read: _noise_variance(channel, read) / float(channel.var())),
            "That is the share of noise. The reliability is the share of signal: 1 minus it.",
        ),
    ),
    relative_tolerance=0.002,
    praise=(
        "Right: that is the correlation of the two structures, as this microscope would see them without noise. No "
        "pixel was smoothed for it."
    ),
)


# cells_against_dishes -----------------------------------------------------------------------------------


def _draw_dishes(rng: torch.Generator) -> Case:
    """Return the values of cells, their dishes and whether these were treated; all usual answers differ."""
    while True:
        arguments = _cells(rng)
        answers = [_of_dishes(*arguments), *(mistake.answer(*arguments) for mistake in _DISH_MISTAKES)]
        if _all_differ(answers):
            return Case(arguments, _of_dishes(*arguments))


def _cells(rng: torch.Generator) -> tuple[Array, Array, Array]:
    few, many = _whole(rng, 3, 4), _whole(rng, 5, 6)
    numbers = [few, many] if _whole(rng, 0, 1) else [many, few]
    names = (torch.randperm(30, generator=rng)[: sum(numbers)] + 1).tolist()
    is_treated = [False] * numbers[0] + [True] * numbers[1]
    middle, effect = _uniform(rng, 80, 120), _uniform(rng, -20, 40)
    spreads = _uniform(rng, 4, 8), _uniform(rng, 10, 16)
    values, dish, treated = [], [], []
    for name, of_treated in zip(names, is_treated, strict=True):
        count = _whole(rng, 8, 60)
        shift = spreads[of_treated] * float(torch.randn((), generator=rng))
        values.append(middle + effect * of_treated + shift + 20 * torch.randn(count, generator=rng).double().numpy())
        dish.append(np.full(count, name))
        treated.append(np.full(count, of_treated))
    order = torch.randperm(sum(map(len, values)), generator=rng).numpy()
    return np.concatenate(values)[order], np.concatenate(dish)[order], np.concatenate(treated)[order]


def _all_differ(answers: list[tuple[float, float, float]]) -> bool:
    triples = np.array(answers)
    apart = np.abs(triples[:, None] - triples).max(axis=-1) / np.abs(triples).max()
    nearest = apart + np.eye(len(triples))
    return bool(nearest.min() > 0.003 and np.abs(triples).min() > 0.3)


def _dish_means(values: Array, dish: Array, treated: Array) -> tuple[Array, Array]:
    """Return the means of the control's dishes, and of those that were treated."""
    control, of_treated = (
        np.array([values[dish == name].mean() for name in np.unique(dish[treated == which])]) for which in (False, True)
    )
    return control, of_treated


def _groups_of_cells(values: Array, _: Array, treated: Array) -> tuple[Array, Array]:
    return values[~treated], values[treated]


Groups = Callable[[Array, Array, Array], tuple[Array, Array]]


def _interval(
    groups: Groups = _dish_means,
    *,
    middles: Groups = _dish_means,
    quantile: Callable[[float], float] | None = None,
    freedom: Callable[[Array, Array], float] | None = None,
    error: Callable[[Array, Array], float] | None = None,
) -> Callable[[Array, Array, Array], tuple[float, float, float]]:
    """Return a function for the effect and its interval; by default by dishes, after Welch."""

    def answer(values: Array, dish: Array, treated: Array) -> tuple[float, float, float]:
        arguments = (values, np.asarray(dish), np.asarray(treated, dtype=bool))
        control, of_treated = middles(*arguments)
        effect = float(of_treated.mean() - control.mean())
        pair = groups(*arguments)
        half = (quantile or _two_sided)((freedom or _welch_freedom)(*pair)) * (error or _standard_error)(*pair)
        return effect, effect - half, effect + half

    return answer


def _two_sided(freedom: float) -> float:
    return _student(0.975, freedom)


def _student(probability: float, freedom: float) -> float:
    from scipy import stats

    return float(stats.t.ppf(probability, freedom))


def _standard_error(control: Array, treated: Array, ddof: int = 1) -> float:
    return math.sqrt(sum(float(group.var(ddof=ddof)) / len(group) for group in (control, treated)))


def _welch_freedom(control: Array, treated: Array) -> float:
    squares = [float(group.var(ddof=1)) / len(group) for group in (control, treated)]
    parts = sum(square**2 / (len(group) - 1) for square, group in zip(squares, (control, treated), strict=True))
    return sum(squares) ** 2 / parts


def _pooled_error(control: Array, treated: Array) -> float:
    numbers = len(control), len(treated)
    squares = (numbers[0] - 1) * float(control.var(ddof=1)) + (numbers[1] - 1) * float(treated.var(ddof=1))
    return math.sqrt(squares / (sum(numbers) - 2) * (1 / numbers[0] + 1 / numbers[1]))


_of_dishes = _interval()


_DISH_MISTAKES = (
    Mistake(
        _interval(_groups_of_cells, middles=_groups_of_cells),
        "You compared cells. Cells of one dish are no independent witnesses of the treatment: they share whatever "
        "happened to their dish. Take the mean of each dish first, and go on with these few numbers.",
        tolerance=0.008,
    ),
    Mistake(
        _interval(_groups_of_cells),
        "The effect is right, but the interval counts cells. It must come from the scatter of the dishes' means, and "
        "their number.",
        tolerance=0.008,
    ),
    Mistake(
        _interval(middles=_groups_of_cells),
        "The interval is as wide as it should be, but around the wrong middle: in the mean over all cells a dish with "
        "many cells weighs more. Take the mean of the dishes' means.",
    ),
    Mistake(
        _interval(quantile=lambda freedom: 1.959964),
        "Your interval takes 1.96 from the normal distribution. With a handful of dishes their scatter is itself "
        "uncertain: take Student's t.",
    ),
    Mistake(
        _interval(
            error=_pooled_error,
            freedom=lambda control, treated: len(control) + len(treated) - 2,
        ),
        "That is Student's interval, which takes for granted that both groups scatter alike. Nobody promised that: "
        "take Welch's (in scipy.stats.ttest_ind, equal_var=False).",
    ),
    Mistake(
        _interval(freedom=lambda control, treated: len(control) + len(treated) - 2),
        "The standard error is Welch's, but the degrees of freedom are Student's, n + m - 2: too many where one group "
        "scatters more. Take the formula of Welch and Satterthwaite.",
    ),
    Mistake(
        _interval(freedom=lambda control, treated: min(len(control), len(treated)) - 1),
        "On the safe side: you took the smaller group's degrees of freedom. Welch and Satterthwaite's formula gives "
        "them as they are, and a narrower interval.",
    ),
    Mistake(
        _interval(quantile=lambda freedom: 1.0),
        "That is one standard error to either side, which covers the truth two times out of three at best. For 95 % "
        "multiply it by the quantile of Student's t.",
    ),
    Mistake(
        _interval(quantile=lambda freedom: _student(0.95, freedom)),
        "Your quantile leaves out 5 % on either side, which makes a 90 % interval. For 95 %: t.ppf(0.975, …).",
    ),
    Mistake(
        _interval(
            error=lambda control, treated: math.sqrt(float(control.var(ddof=1)) + float(treated.var(ddof=1))),
        ),
        "You took the scatter of the dishes for the error of their mean: divide each variance by the number of dishes.",
    ),
    Mistake(
        _interval(error=lambda control, treated: _standard_error(control, treated, ddof=0)),
        "NumPy's var and std divide by n. A variance that is estimated from few dishes divides by n - 1: ddof=1.",
    ),
    Mistake(
        lambda values, dish, treated: _of_dishes(values, dish, ~np.asarray(treated, dtype=bool)),
        "The sign: an effect is treated minus control.",
    ),
    Mistake(
        lambda values, dish, treated: tuple(_of_dishes(values, dish, treated)[place] for place in (1, 0, 2)),
        "All three are right, but in another order: the effect first, then the lower and the upper end.",
    ),
    Mistake(
        lambda values, dish, treated: tuple(_of_dishes(values, dish, treated)[place] for place in (0, 2, 1)),
        "All three are right, but the upper end comes last.",
    ),
)

cells_against_dishes = Exercise(
    draw=_draw_dishes,
    solution=_of_dishes,
    mistakes=_DISH_MISTAKES,
    relative_tolerance=1e-4,
    mistake_tolerance=1e-3,
    praise=(
        "Right, and see how wide it is: hundreds of cells, and what counts is a handful of dishes. More dishes would "
        "narrow it, more cells hardly."
    ),
)
