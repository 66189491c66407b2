import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.fluorescence import fluorophore, laser, photon_budget, split_dose


@given(total=st.floats(0, 1e9), bleaching=st.floats(0, 50), exposures=st.integers(1, 2000))
@settings(max_examples=60, deadline=None)
def test_the_exposures_add_up_to_what_the_dose_spends(total: float, bleaching: float, exposures: int) -> None:
    photons = split_dose(total, bleaching=bleaching, exposures=exposures)
    assert photons.shape == (exposures,)
    assert float(photons.sum()) == pytest.approx(-total * math.expm1(-bleaching), rel=1e-9)
    assert bool((photons.diff() <= 0).all())


@given(bleaching=st.floats(0.01, 5), exposures=st.integers(1, 50), pieces=st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_a_finer_split_of_an_exposure_keeps_its_sum(bleaching: float, exposures: int, pieces: int) -> None:
    coarse = split_dose(1e4, bleaching=bleaching, exposures=exposures)
    fine = split_dose(1e4, bleaching=bleaching, exposures=exposures * pieces)
    torch.testing.assert_close(fine.reshape(exposures, pieces).sum(dim=1), coarse, rtol=1e-10, atol=0)


def test_each_molecule_dies_in_the_exposure_that_counts_it() -> None:
    # molecules that die after an exponentially distributed dose, and give all their photons per unit of dose until then
    draw = torch.Generator().manual_seed(0)
    lived = -torch.rand(400_000, generator=draw, dtype=torch.float64).log()  # in units of 1/rate
    bleaching, exposures = 1.2, 4
    edges = torch.linspace(0, bleaching, exposures + 1, dtype=torch.float64)
    in_exposure = (lived[:, None].clamp(max=edges[1:]) - edges[:-1]).clamp(min=0)
    error = in_exposure.std(dim=0) / len(lived) ** 0.5
    expected = split_dose(1.0, bleaching=bleaching, exposures=exposures)
    assert bool(((in_exposure.mean(dim=0) - expected).abs() < 4 * error).all())


def test_agrees_with_the_photon_budget_of_one_exposure() -> None:
    dye = fluorophore("EGFP")
    light = laser(wavelength_nm=488, power_mw=5.0)
    budget = photon_budget(dye, light, exposure_ms=2000, area_um2=10_000.0)
    total = dye.photons_before_bleaching * budget.detected / budget.emitted
    photons = split_dose(total, bleaching=budget.bleaching_per_frame, exposures=1)
    assert float(photons) == pytest.approx(budget.detected, rel=1e-6)


def test_a_tiny_dose_keeps_its_digits() -> None:
    assert float(split_dose(1.0, bleaching=1e-18, exposures=1)) == pytest.approx(1e-18, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"photons_in_total": -1.0}, ValueError, r"photons_in_total is -1, but must be at least 0"),
        ({"photons_in_total": math.nan}, ValueError, r"photons_in_total is nan, but must be at least 0 and finite"),
        (
            {"bleaching": -0.1},
            ValueError,
            r"bleaching is -0.1, but must be at least 0 and finite: give rate times dose",
        ),
        ({"bleaching": math.inf}, ValueError, r"bleaching is inf, .* finite"),
        ({"bleaching": torch.ones(3)}, TypeError, r"bleaching is a Tensor, but must be a number"),
        ({"exposures": 0}, ValueError, r"exposures is 0, but must be at least 1: the dose needs an exposure"),
        ({"exposures": 2.5}, TypeError, r"exposures is a float, but must be a whole number"),
    ],
)
def test_bad_input_is_refused(arguments: dict, error: type[Exception], message: str) -> None:
    good = {"photons_in_total": 100.0, "bleaching": 0.5, "exposures": 3}
    photons_in_total, rest = (good | arguments)["photons_in_total"], good | arguments
    del rest["photons_in_total"]
    with pytest.raises(error, match=message):
        split_dose(photons_in_total, **rest)
