"""The numbers in the folded answers to the tasks of the live figure in the chapter on deconvolution."""

from functools import cache
from typing import Any

import pytest

from course_lib import live
from course_lib.live.figures.deconvolution import FIGURE, LARGEST_ERROR

LEAST_WEIGHT = 1e-5


def show(**values: Any) -> live.Tensors:
    return live.evaluate(FIGURE, values)


def first_within_one_percent(method: str, photons: float) -> float:
    return float(show(method=method, photons=photons, iterations=100)["near"])


@cache
def best_tikhonov(photons: float) -> tuple[float, float]:
    """Return the regularization of the least error on a fine grid, and that error."""
    weights = [10 ** (-4 + 0.25 * k) for k in range(17)]
    errors = {w: float(show(method="Tikhonov", photons=photons, regularization=w)["error"]) for w in weights}
    weight = min(errors, key=errors.__getitem__)
    return weight, errors[weight]


def test_one_the_fewer_photons_the_earlier_the_end() -> None:
    assert first_within_one_percent("Richardson-Lucy", 3.0) == pytest.approx(10, abs=1)
    assert first_within_one_percent("Richardson-Lucy", 30.0) == pytest.approx(48, abs=2)
    errors = show(method="Richardson-Lucy", photons=300.0, iterations=100)["errors"]
    assert bool((errors[1:100] < errors[:99]).all())


def test_two_acceleration_needs_fewer() -> None:
    found = [first_within_one_percent("accelerated RL", photons) for photons in (3.0, 30.0, 300.0)]
    assert found == pytest.approx([7, 17, 30], abs=1)


def test_three_the_best_regularization_moves() -> None:
    weight, error = best_tikhonov(30.0)
    assert 0.005 < weight < 0.02
    assert error == pytest.approx(0.54, abs=0.005)
    lucy = show(method="Richardson-Lucy", photons=30.0, iterations=100)
    assert float(lucy["least"]) == pytest.approx(0.37, abs=0.005)
    weight, error = best_tikhonov(3000.0)
    assert weight < 0.001
    assert error == pytest.approx(0.44, abs=0.005)


def test_four_landweber_is_the_same_filter() -> None:
    landweber = show(method="Landweber", photons=30.0, regularization=LEAST_WEIGHT, iterations=100)["errors"]
    assert float(landweber[29:].min()) == pytest.approx(0.54, abs=0.005)
    assert float(landweber.min()) > 0.99 * best_tikhonov(30.0)[1]


def test_five_no_number_of_photons_saves_the_inverse() -> None:
    for photons in (3.0, 3000.0):
        assert float(show(method="inverse", photons=photons)["error"]) == LARGEST_ERROR == 1000
