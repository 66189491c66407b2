"""Other right ways to solve the exercises on quantification pass, and their draws are what the text says."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage, stats

from course_lib import quantification
from course_lib.exercises import quantification as exercises
from course_lib.exercises.quantification import (
    BLUR_PX,
    FIELD_PX,
    MARGIN_PX,
    _pearson,
    _scenes,
    calibrated_table,
    cells_against_dishes,
    correct_attenuation,
)

SEEDS = range(5)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def far(labels, pixels=MARGIN_PX):
    return ndimage.distance_transform_edt(labels == 0) > pixels


def by_ndimage(labels, adu, gain, offset, pixel_um):
    photons = (adu - offset) * gain
    numbers = np.unique(labels)[1:]
    pixels = ndimage.sum(labels > 0, labels, numbers)
    light = ndimage.sum(photons, labels, numbers) - pixels * photons[far(labels, 4)].mean()
    return pd.DataFrame({"photons": light, "area_um2": pixels * pixel_um**2, "ID": numbers, "other": 0})[::-1]


def by_bincount(labels, adu, gain, offset, pixel_um):
    light = gain * (adu - adu[far(labels, 8)].mean())
    pixels = np.bincount(labels.ravel())
    numbers = np.flatnonzero(pixels)[1:]
    sums = np.bincount(labels.ravel(), weights=light.ravel())
    return np.stack([numbers, pixels[numbers] * pixel_um**2, sums[numbers]], axis=1)


def by_the_library_table(labels, adu, gain, offset, pixel_um):
    photons, size = (adu - offset) * gain, (pixel_um, pixel_um)
    level = quantification.estimate_background(photons, labels, voxel_size_um=size, margin_um=4 * pixel_um)
    found = quantification.measure(labels, photons, voxel_size_um=size, background=level)
    return found.rename(columns={"intensity_sum": "photons"})


def as_three_lists(labels, adu, gain, offset, pixel_um):
    return tuple(column.tolist() for column in by_bincount(labels, adu, gain, offset, pixel_um).T)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("answer", [by_ndimage, by_bincount, by_the_library_table, as_three_lists])
def test_other_tables_pass(answer, seed):
    assert calibrated_table.check(answer, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_image_is_as_from_a_file_and_its_truth_is_known(seed):
    labels, adu, gain, offset, pixel_um = calibrated_table.draw(generator(seed)).arguments
    assert adu.dtype == np.uint16
    assert labels.dtype == np.int32
    assert len(np.unique(labels)) - 1 < labels.max()  # gaps
    assert 0.25 < np.mean(labels > 0) < 0.5
    photons = (adu - offset) * gain
    level = photons[far(labels)].mean()
    assert 30 <= level <= 60
    for number in np.unique(labels)[1:]:
        inside = ndimage.distance_transform_edt(labels == number) > 3 * BLUR_PX
        assert 118 < photons[inside].mean() - level < 302
    assert 0.1 < pixel_um < 0.6


@pytest.mark.parametrize("seed", SEEDS)
def test_beside_a_nucleus_there_is_light_of_it_and_beyond_the_margin_none(seed):
    labels, adu, gain, offset, _ = calibrated_table.draw(generator(seed)).arguments
    photons = (adu - offset) * gain
    level, error = photons[far(labels)].mean(), photons[far(labels)].std() / far(labels).sum() ** 0.5
    beyond = far(labels) & ~far(labels, MARGIN_PX + 3)
    assert photons[(labels == 0) & ~far(labels, 1)].mean() > level + 20
    assert photons[beyond].mean() == pytest.approx(level, abs=4 * photons[beyond].std() / beyond.sum() ** 0.5 + error)


def without_area(*arguments):
    return by_ndimage(*arguments).drop(columns="area_um2")


def without_the_last(*arguments):
    return by_bincount(*arguments)[:-1]


def with_a_tenth_too_much_light(*arguments):
    return by_bincount(*arguments) * [1, 1, 1.1]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (without_area, "of type DataFrame without area_um2, but a table is asked for, with the columns ID, area_um2"),
        (without_the_last, "rows, but there are"),
        (with_a_tenth_too_much_light, "as photons of object"),
        (lambda *arguments: 3, "of type int, but a table"),
    ],
)
def test_other_wrong_tables_are_told_where(answer, told):
    feedback = calibrated_table.check(answer, rng=0)
    assert feedback.status == "wrong"
    assert told in feedback.message


def test_an_error_in_the_table_is_told_with_its_line():
    def broken(labels, adu, gain, offset, pixel_um):
        return labels.no_such_thing

    feedback = calibrated_table.check(broken, rng=0)
    assert feedback.status == "error"
    assert "return labels.no_such_thing" in feedback.message


def test_an_answer_that_changes_its_arrays_does_not_spoil_the_check():
    def careless(labels, adu, gain, offset, pixel_um):
        table = by_bincount(labels, adu, gain, offset, pixel_um)
        labels[:], adu[:] = 0, 0
        return table

    assert calibrated_table.check(careless, rng=0).status == "passed"


def by_numpy(first, second, read_noise_e):
    covariance = np.cov(first.ravel(), second.ravel())
    signals = [covariance[i, i] - float(channel.mean()) - read_noise_e**2 for i, channel in enumerate((first, second))]
    return covariance[0, 1] / math.sqrt(signals[0] * signals[1])


def by_the_library(first, second, read_noise_e):
    return quantification.pearson_corrected_for_noise(first, second, read_noise_photons=read_noise_e).corrected


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("answer", [by_numpy, by_the_library])
def test_other_corrections_pass(answer, seed):
    assert correct_attenuation.check(answer, rng=seed).status == "passed"


def test_the_corrected_correlation_is_that_of_the_scenes():
    missed = []
    for seed in range(12):
        truth = _pearson(*_scenes(generator(seed)))
        case = correct_attenuation.draw(generator(seed))
        measured = _pearson(*case.arguments[:2])
        assert measured < 0.75 * truth
        assert case.arguments[0].shape == (FIELD_PX, FIELD_PX)
        missed.append(case.expected - truth)
    assert np.abs(missed).max() < 0.08
    assert np.mean(missed) == pytest.approx(0, abs=4 * np.std(missed) / math.sqrt(12))


def by_scipy(values, dish, treated):
    means = [[values[dish == name].mean() for name in np.unique(dish[treated == which])] for which in (True, False)]
    test = stats.ttest_ind(*means, equal_var=False)
    ends = test.confidence_interval()
    return np.mean(means[0]) - np.mean(means[1]), ends.low, ends.high


def by_pandas(values, dish, treated):
    table = pd.DataFrame({"value": values, "dish": dish, "treated": treated})
    means = table.groupby(["treated", "dish"])["value"].mean()
    groups = [means[which] for which in (False, True)]
    squares = [group.var() / len(group) for group in groups]
    freedom = sum(squares) ** 2 / sum(s**2 / (len(g) - 1) for s, g in zip(squares, groups, strict=True))
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(squares))
    effect = groups[1].mean() - groups[0].mean()
    return [effect, effect - half, effect + half]


def by_compare(values, dish, treated):
    table = pd.DataFrame({"value": values, "dish": dish, "treated": treated})
    found = quantification.compare(table, value="value", condition="treated", replicate="dish", reference=False)
    return found.difference, *found.interval


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("answer", [by_scipy, by_pandas, by_compare])
def test_other_intervals_of_dishes_pass(answer, seed):
    assert cells_against_dishes.check(answer, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", SEEDS)
def test_cells_promise_a_narrower_interval_than_dishes(seed):
    case = cells_against_dishes.draw(generator(seed))
    values, dish, treated = case.arguments
    assert len(np.unique(dish[treated])) != len(np.unique(dish[~treated]))
    assert not set(dish[treated]) & set(dish[~treated])
    _, low, high = case.expected
    cells = exercises._interval(exercises._groups_of_cells)(values, dish, treated)
    assert cells[2] - cells[1] < 0.9 * (high - low)
