"""How much an objective collects from water that it is not made for: the numbers of docstring and chapters."""

import math

import pytest
from scipy.integrate import quad

from course_lib.fluorescence import budget, collected_fraction

WATER, GLASS = 1.33, 1.515


def passed(sample_angle: float) -> float:
    """Return the share of unpolarised light that Fresnel's formulas let pass from water into glass."""
    inside, outside = math.cos(sample_angle), math.sqrt(1 - (WATER / GLASS * math.sin(sample_angle)) ** 2)
    across = (WATER * inside - GLASS * outside) / (WATER * inside + GLASS * outside)
    along = (GLASS * inside - WATER * outside) / (GLASS * inside + WATER * outside)
    return 1 - (across**2 + along**2) / 2


def collected_from_water(numerical_aperture: float) -> float:
    steepest = math.asin(min(numerical_aperture, WATER) / WATER)
    return quad(lambda angle: passed(angle) * math.sin(angle) / 2, 0, steepest)[0]


def test_an_oil_objective_collects_more_from_water_than_from_oil() -> None:
    share = collected_from_water(1.4)
    assert share == pytest.approx(0.44, abs=0.005)
    assert 1 - share / 0.5 == pytest.approx(0.12, abs=0.005)
    assert collected_fraction(1.4, GLASS) == pytest.approx(0.31, abs=0.005)
    assert round(WATER / GLASS, 2) == 0.88
    assert budget.__doc__ is not None
    assert "0.44 instead of\n0.31" in budget.__doc__


@pytest.mark.parametrize(
    ("aperture", "in_air", "in_water"), [(0.8, 0.20, 0.10), (0.3, 0.023, 0.013), (0.5, 0.067, 0.037)]
)
def test_a_dry_objective_collects_about_half_from_water(aperture: float, in_air: float, in_water: float) -> None:
    assert collected_fraction(aperture, 1.0) == pytest.approx(in_air, abs=0.001)
    assert collected_fraction(aperture, WATER) == pytest.approx(in_water, abs=0.001)
    assert collected_from_water(aperture) == pytest.approx(in_water, abs=0.001)
    assert 0.5 <= collected_fraction(aperture, WATER) / collected_fraction(aperture, 1.0) < 0.6
