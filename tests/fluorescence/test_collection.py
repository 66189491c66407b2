"""How much an objective collects from a medium that it is not made for, against an adaptive quadrature of Fresnel."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from course_lib.fluorescence import (
    collected_fraction,
    collected_fraction_across,
    fluorophore,
    laser,
    photon_budget,
)

WATER, GLASS = 1.33, 1.515


def passed(sample_angle: float, sample: float, immersion: float) -> float:
    """Return the share of unpolarised light that Fresnel's formulas let pass."""
    inside, outside = math.cos(sample_angle), math.sqrt(1 - (sample / immersion * math.sin(sample_angle)) ** 2)
    across = (sample * inside - immersion * outside) / (sample * inside + immersion * outside)
    along = (immersion * inside - sample * outside) / (immersion * inside + sample * outside)
    return 1 - (across**2 + along**2) / 2


def reference(aperture: float, immersion: float, sample: float) -> float:
    steepest = math.asin(min(aperture, sample) / sample)
    return quad(lambda angle: passed(angle, sample, immersion) * math.sin(angle) / 2, 0, steepest, epsabs=1e-12)[0]


@given(
    immersion=st.floats(1.0, 1.6),
    share=st.floats(0.05, 0.95),
    sample=st.floats(1.0, 1.6),
)
def test_it_is_the_integral_over_the_cone(immersion: float, share: float, sample: float) -> None:
    aperture = share * immersion
    found = collected_fraction_across(aperture, immersion, sample)
    assert found == pytest.approx(reference(aperture, immersion, sample), abs=1e-6)
    assert 0 < found <= 0.5


@given(immersion=st.floats(1.0, 1.6), share=st.floats(0.05, 0.95))
def test_without_a_border_it_is_the_cone_of_the_objective(immersion: float, share: float) -> None:
    aperture = share * immersion
    across = collected_fraction_across(aperture, immersion, immersion)
    assert across == pytest.approx(collected_fraction(aperture, immersion), rel=1e-9)


def test_an_oil_objective_collects_more_from_water_than_from_oil() -> None:
    share = collected_fraction_across(1.4, GLASS, WATER)
    assert share == pytest.approx(0.44, abs=0.005)
    assert 1 - share / 0.5 == pytest.approx(0.12, abs=0.005)
    assert collected_fraction(1.4, GLASS) == pytest.approx(0.31, abs=0.005)
    assert round(WATER / GLASS, 2) == 0.88


@pytest.mark.parametrize(
    ("aperture", "in_air", "in_water"), [(0.8, 0.20, 0.098), (0.3, 0.023, 0.0126), (0.5, 0.067, 0.0359)]
)
def test_a_dry_objective_collects_about_half_from_water(aperture: float, in_air: float, in_water: float) -> None:
    assert collected_fraction(aperture, 1.0) == pytest.approx(in_air, abs=0.001)
    assert collected_fraction_across(aperture, 1.0, WATER) == pytest.approx(in_water, rel=0.005)


def test_the_budget_follows_the_specimen() -> None:
    egfp, light = fluorophore("EGFP"), laser(wavelength_nm=488, power_mw=1.0)
    matched, watery = (photon_budget(egfp, light, sample_index=index) for index in (None, WATER))
    assert watery.collected / watery.emitted == pytest.approx(collected_fraction_across(1.4, GLASS, WATER))
    assert watery.detected / matched.detected == pytest.approx(watery.collected / matched.collected)
    assert "collected: NA 1.4 in 1.515, from 1.33" in watery.steps
    assert "collected: NA 1.4 in 1.515" in matched.steps


@pytest.mark.parametrize("index", [0.0, -1.33, math.nan, math.inf])
def test_an_impossible_specimen_is_refused(index: float) -> None:
    with pytest.raises(ValueError, match=r"sample_index is .* but must be above 0 and finite: water has 1.33"):
        collected_fraction_across(1.4, GLASS, index)
    with pytest.raises(ValueError, match=r"numerical_aperture is 1.6, but must be below the immersion_index"):
        collected_fraction_across(1.6, GLASS, WATER)
