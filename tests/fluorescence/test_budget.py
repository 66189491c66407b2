import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.constants import c, h
from scipy.integrate import solve_ivp

from course_lib.fluorescence import (
    FilterSet,
    LightSource,
    PhotonBudget,
    PulsedLaser,
    bandpass,
    collected_fraction,
    emitted_photons,
    excited_fraction,
    filter_set,
    fluorophore,
    lamp,
    laser,
    led,
    photon_budget,
    photon_energy_j,
    photon_flux_per_cm2_s,
    pulsed_laser,
    saturation_irradiance_w_per_cm2,
)

EGFP = fluorophore("EGFP")
CUBE = filter_set("confocal 488")


def egfp_budget(power_mw: float = 1.0, **changes: float) -> PhotonBudget:
    return photon_budget(EGFP, laser(wavelength_nm=488, power_mw=power_mw), filters=CUBE, **changes)


def test_photon_energy_and_flux_by_the_constants_of_nature() -> None:
    assert photon_energy_j(488.0) == pytest.approx(h * c / 488e-9, rel=1e-12)
    # 1 mW on 100 µm² is 1 kW/cm²
    flux = photon_flux_per_cm2_s(1.0, wavelength_nm=488.0, area_um2=100.0)
    assert flux == pytest.approx(1e3 / (h * c / 488e-9), rel=1e-12)


def test_egfp_at_one_kilowatt_per_square_centimetre() -> None:
    budget = egfp_budget(area_um2=100.0)
    assert budget.irradiance_w_per_cm2 == pytest.approx(1000.0)
    sigma = 1000 * math.log(10) * 55_900 / 6.02214076e23
    assert budget.excitation_rate_per_s == pytest.approx(sigma * 1e3 / (h * c / 488e-9), rel=1e-9)
    assert 2e5 < budget.excitation_rate_per_s < 6e5


def test_half_of_the_molecules_are_excited_at_the_saturation_irradiance() -> None:
    half = saturation_irradiance_w_per_cm2(EGFP.cross_section_cm2(488.0), wavelength_nm=488.0, lifetime_ns=2.6)
    assert 1e5 < half < 1e6
    assert egfp_budget(power_mw=half * 1e-3, area_um2=100.0, exposure_ms=1e-6).excited_fraction == pytest.approx(0.5)


def test_excited_fraction_is_the_steady_state_of_the_rate_equation() -> None:
    rate, lifetime_ns = 3e8, 2.6
    solution = solve_ivp(lambda _, s: rate * 1e-9 * (1 - s) - s / lifetime_ns, (0, 60), [0.0], rtol=1e-10, atol=1e-12)
    assert excited_fraction(rate, lifetime_ns) == pytest.approx(solution.y[0, -1], rel=1e-7)


def test_emission_with_bleaching_is_the_mean_of_dying_molecules() -> None:
    # each photon is the last one with the chance 1/N: the number of photons until time t is a truncated geometric
    photons_before_bleaching, unbleached = 50.0, 80
    draws = np.random.default_rng(0).geometric(1 / photons_before_bleaching, size=200_000)
    mean = np.minimum(draws, unbleached).mean()
    expected = emitted_photons(
        unbleached * 1e3, quantum_yield=1.0, photons_before_bleaching=photons_before_bleaching, exposure_ms=1.0
    )
    # 1/50 in discrete steps differs from the exponential by about half a step in 50
    assert expected == pytest.approx(mean, rel=0.015)


@given(
    power=st.floats(1e-6, 1e4),
    exposure=st.floats(1e-6, 1e6),
    area=st.floats(0.01, 1e6),
    aperture=st.floats(0.05, 1.5),
    transmission=st.floats(0.1, 1),
    efficiency=st.floats(0, 1),
)
@settings(max_examples=40, deadline=None)
def test_light_is_only_ever_lost(
    power: float, exposure: float, area: float, aperture: float, transmission: float, efficiency: float
) -> None:
    budget = egfp_budget(
        power,
        exposure_ms=exposure,
        area_um2=area,
        numerical_aperture=aperture,
        objective_transmission=transmission,
        quantum_efficiency=efficiency,
    )
    left = list(budget.steps.values())
    assert all(after <= before * (1 + 1e-9) for before, after in itertools.pairwise(left))
    assert budget.emitted <= EGFP.photons_before_bleaching * (1 + 1e-12)
    assert 0 <= budget.excited_fraction < 1
    assert budget.emitted == pytest.approx(budget.absorbed * 0.6)
    assert budget.collected == pytest.approx(budget.emitted * collected_fraction(aperture, 1.515))
    assert budget.detected == pytest.approx(budget.transmitted * efficiency)
    assert left[-1] == budget.detected


def test_short_and_weak_exposures_are_linear_in_power_and_time() -> None:
    one = egfp_budget(1e-3).detected
    assert egfp_budget(2e-3).detected == pytest.approx(2 * one, rel=1e-4)
    assert egfp_budget(1e-3, exposure_ms=300.0).detected == pytest.approx(3 * one, rel=1e-4)


def test_without_limit_of_time_every_molecule_emits_all_it_has() -> None:
    assert egfp_budget(100.0, exposure_ms=1e9).emitted == pytest.approx(2e5)


def test_bleaching_per_frame_and_per_dose_agree() -> None:
    budget = egfp_budget(10.0, exposure_ms=100.0)
    assert budget.light_dose_j_per_cm2 == pytest.approx(10.0)
    assert budget.bleaching_per_j_per_cm2 * 10.0 == pytest.approx(budget.bleaching_per_frame)
    assert budget.emitted == pytest.approx(2e5 * (1 - math.exp(-budget.bleaching_per_frame)))


def test_a_lamp_and_an_led_are_sums_of_lasers() -> None:
    source = led(center_nm=470, width_nm=25, power_mw=20.0)
    cube = filter_set("GFP")
    rates = [
        photon_budget(EGFP, laser(wavelength_nm=float(line), power_mw=float(power)), filters=cube).excitation_rate_per_s
        for line, power in zip(source.line_nm, source.line_power_mw, strict=True)
        if cube.to_sample_at(float(line)) > 0
    ]
    assert photon_budget(EGFP, source, filters=cube).excitation_rate_per_s == pytest.approx(sum(rates))


@pytest.mark.parametrize("source", [laser(wavelength_nm=488, power_mw=7.0), lamp(power_mw=7.0)])
def test_sources_have_the_power_asked_for(source: LightSource) -> None:
    assert source.power_mw == pytest.approx(7.0)


def test_an_led_has_the_width_asked_for() -> None:
    source = led(center_nm=470, width_nm=20, power_mw=1.0)
    mean = float((source.line_nm * source.line_power_mw).sum())
    sigma = float(((source.line_nm - mean) ** 2 * source.line_power_mw).sum()) ** 0.5
    assert mean == pytest.approx(470, abs=0.01)
    assert sigma * 8**0.5 * math.log(2) ** 0.5 == pytest.approx(20, rel=0.01)


def test_a_narrow_led_keeps_its_power_and_middle() -> None:
    source = led(center_nm=470.4, width_nm=2.0, power_mw=1.0)
    assert source.power_mw == pytest.approx(1.0)
    assert float((source.line_nm * source.line_power_mw).sum()) == pytest.approx(470.4, abs=1e-3)


def test_a_source_of_ones_own_takes_lists_and_adds_its_lines() -> None:
    both = LightSource(name="both", line_nm=[561, 488], line_power_mw=[1, 2])
    assert both.power_mw == 3.0
    rates = [
        laser(wavelength_nm=line, power_mw=power).excitation_rate_per_s(EGFP, area_um2=100.0)
        for line, power in ((561.0, 1.0), (488.0, 2.0))
    ]
    assert both.excitation_rate_per_s(EGFP, area_um2=100.0) == pytest.approx(sum(rates))


@pytest.mark.parametrize(
    ("line_nm", "line_power_mw", "message"),
    [
        ([-488.0], [1.0], r"line_nm has a minimum of -488 nm, but wavelengths are finite and at least 100 nm"),
        ([0.488], [1.0], r"line_nm has a minimum of 0.488 nm, .* not micrometres"),
        ([math.nan], [1.0], r"line_nm has a minimum of nan nm"),
        ([488.0], [-1.0], r"line_power_mw has a minimum of -1 mW, but powers are finite and at least 0: give the pow"),
        ([488.0], [math.inf], r"line_power_mw has a minimum of inf mW"),
        ([488.0, 561.0], [1.0], r"line_nm has shape \(2,\) and line_power_mw \(1,\), .* one power for each wave"),
        ([], [], r"shape \(0,\) .* at least one line"),
        (488.0, 1.0, r"line_nm has shape \(\) and line_power_mw \(\)"),
    ],
)
def test_impossible_sources_are_refused(line_nm, line_power_mw, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LightSource(name="own", line_nm=line_nm, line_power_mw=line_power_mw)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"line_nm": [800.0, 920.0], "line_power_mw": [1.0, 1.0]}, r"has 2 wavelengths, but a pulsed laser has one"),
        ({"line_power_mw": [-1.0]}, r"line_power_mw has a minimum of -1 mW"),
        ({"pulse_fs": -100.0}, r"pulse_fs is -100 fs, but must be above 0 fs"),
        ({"repetition_mhz": math.nan}, r"repetition_mhz is nan MHz"),
    ],
)
def test_impossible_pulsed_lasers_are_refused(changes, message: str) -> None:
    good = {"name": "own", "line_nm": [800.0], "line_power_mw": [1.0], "pulse_fs": 100.0, "repetition_mhz": 80.0}
    assert PulsedLaser(**good).power_mw == 1.0
    with pytest.raises(ValueError, match=message):
        PulsedLaser(**(good | changes))


@pytest.mark.parametrize("quantum_yield", [5.0, -1.0, math.nan])
def test_a_yield_is_a_share(quantum_yield: float) -> None:
    with pytest.raises(ValueError, match=f"quantum_yield is {quantum_yield:g}, but must be from 0 to 1"):
        emitted_photons(1e5, quantum_yield=quantum_yield, photons_before_bleaching=1e5, exposure_ms=1.0)


def test_the_lines_of_mercury_hold_two_fifths_of_the_power() -> None:
    source = lamp(power_mw=100.0)
    near = sum(((source.line_nm - line).abs() < 9).double() for line in (365, 405, 436, 546, 578))
    assert float(source.line_power_mw[near > 0].sum()) == pytest.approx(42.3 + 57.7 * 85 / 401, abs=1.0)


def test_collection_by_known_objectives() -> None:
    assert collected_fraction(1.4, 1.515) == pytest.approx(0.309, abs=0.001)
    assert collected_fraction(1e-4, 1.0) == pytest.approx((1e-4 / 2) ** 2, rel=1e-6)


def test_collection_counts_random_directions() -> None:
    cosine = torch.rand(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    seen = cosine > (1 - (1.2 / 1.33) ** 2) ** 0.5
    share = collected_fraction(1.2, 1.33)
    assert float(seen.double().mean()) == pytest.approx(share, abs=4 * (share * (1 - share) / 400_000) ** 0.5)


def test_the_table_names_every_step_with_its_loss() -> None:
    table = str(egfp_budget())
    for word in ("absorbed", "emitted", "collected", "objective", "dichroic", "transmitted", "detected", "lost"):
        assert word in table
    assert "band model" in table
    assert "69.1%" in table


def test_darkness_is_a_budget_of_zeros() -> None:
    budget = egfp_budget(0.0)
    assert budget.detected == 0
    assert budget.bleaching_per_j_per_cm2 == 0
    assert "detected" in str(budget)


def test_tensors_pass_through_and_have_gradients() -> None:
    rate = torch.tensor([0.0, 1e5, 1e9], dtype=torch.float64, requires_grad=True)

    def photons(rate: torch.Tensor) -> torch.Tensor:
        cycles = excited_fraction(rate, 2.6) / 2.6e-9
        return emitted_photons(cycles, quantum_yield=0.6, photons_before_bleaching=2e5, exposure_ms=10.0)

    assert torch.autograd.gradcheck(photons, (rate,), eps=1e-2, atol=1e-5)
    aperture = torch.tensor(1.2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda na: collected_fraction(na, 1.33), (aperture,))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: egfp_budget(-1.0), r"power_mw is -1 mW, but must be at least 0 mW and finite: give the power at the"),
        (lambda: egfp_budget(exposure_ms=-5.0), r"exposure_ms is -5 ms, but must be at least 0 ms"),
        (lambda: egfp_budget(area_um2=0.0), r"area_um2 is 0 µm², but must be above 0 µm²"),
        (lambda: egfp_budget(numerical_aperture=1.6), r"numerical_aperture is 1.6, but must be below .* of 1.515: NA"),
        (lambda: egfp_budget(numerical_aperture=1.515), r"numerical_aperture is 1.515, but must be below"),
        (lambda: egfp_budget(numerical_aperture=0.0), r"numerical_aperture is 0, but must be above 0"),
        (lambda: egfp_budget(quantum_efficiency=82.0), r"quantum_efficiency is 82, but must be from 0 to 1"),
        (lambda: egfp_budget(objective_transmission=0.0), r"objective_transmission is 0, but must be above 0"),
        (lambda: egfp_budget(objective_transmission=85.0), r"objective_transmission is 85, .* not per cent"),
        (
            lambda: photon_budget(EGFP, laser(wavelength_nm=640, power_mw=1.0), filters=filter_set("GFP")),
            r"filter set 'GFP' passes nothing of the 640 nm laser: choose a set",
        ),
        (
            lambda: photon_budget(
                EGFP,
                laser(wavelength_nm=488, power_mw=1.0),
                filters=FilterSet(emission=bandpass(center_nm=400, width_nm=20), name="wrong"),
            ),
            r"filter set 'wrong' passes nothing of the emission of EGFP, which peaks at 510 nm",
        ),
        (
            lambda: photon_budget(fluorophore("DRAQ5"), pulsed_laser(wavelength_nm=800, power_mw=1.0)),
            r"no two-photon cross section is known of DRAQ5: choose one of EGFP, DAPI",
        ),
        (lambda: laser(wavelength_nm=0.488, power_mw=1.0), r"wavelength_nm is 0.488, .* give the wavelength in nanom"),
        (lambda: led(center_nm=470, width_nm=0.0, power_mw=1.0), r"width_nm is 0, but must be from 2 to 500"),
        (lambda: lamp(power_mw=float("nan")), r"power_mw is nan mW"),
        (lambda: excited_fraction(-1.0, 2.6), r"excitation_rate_per_s is -1 /s"),
        (lambda: excited_fraction(1.0, 0.0), r"lifetime_ns is 0 ns, but must be above 0"),
    ],
)
def test_bad_numbers_are_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
