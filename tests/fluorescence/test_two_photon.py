import math

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from course_lib.fluorescence import (
    filter_set,
    fluorophore,
    list_fluorophores,
    photon_budget,
    photon_flux_per_cm2_s,
    pulsed_cycle_rate_per_s,
    pulsed_laser,
    two_photon_rate_per_s,
)

PULSES = {"pulse_fs": 100.0, "repetition_mhz": 80.0}


def test_the_rate_is_the_mean_of_the_squared_flux_over_gaussian_pulses() -> None:
    mean_flux, delta = 1e25, 39e-50
    period, fwhm = 1 / 80e6, 100e-15
    sigma = fwhm / (8 * math.log(2)) ** 0.5
    squared, _ = quad(lambda t: (mean_flux * period * norm.pdf(t, scale=sigma)) ** 2, -8 * sigma, 8 * sigma)
    expected = 0.5 * delta * squared / period
    assert two_photon_rate_per_s(mean_flux, cross_section_gm=39.0, **PULSES) == pytest.approx(expected, rel=1e-6)


def test_pulses_gain_a_factor_of_a_hundred_thousand_over_steady_light() -> None:
    rate = two_photon_rate_per_s(1e25, cross_section_gm=10.0, **PULSES)
    assert rate / (0.5 * 10e-50 * 1e50) == pytest.approx(0.664 / (80e6 * 100e-15), rel=1e-3)


def test_the_example_of_the_docstring_excites_once_in_nine_pulses() -> None:
    flux = photon_flux_per_cm2_s(10.0, wavelength_nm=920.0, area_um2=0.2)
    rate = two_photon_rate_per_s(flux, cross_section_gm=39.0, **PULSES)
    assert round(80e6 / rate) == 9
    assert "once in 9 pulses" in (two_photon_rate_per_s.__doc__ or "")


def test_the_rate_is_quadratic_also_in_float32() -> None:
    flux = torch.tensor([1e24, 2e24, 1e25])
    rate = two_photon_rate_per_s(flux, cross_section_gm=39.0, **PULSES)
    assert rate.dtype == torch.float32
    assert (rate / rate[0]).tolist() == pytest.approx([1, 4, 100], rel=1e-5)


def test_only_the_focus_is_excited() -> None:
    # the same photons pass every plane: the sum of k over a plane is const. for one photon, ∝ 1/area for two
    area = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
    flux = photon_flux_per_cm2_s(torch.tensor(10.0, dtype=torch.float64), wavelength_nm=920.0, area_um2=area)
    whole_plane = area * two_photon_rate_per_s(flux, cross_section_gm=39.0, **PULSES)
    assert (whole_plane[0] / whole_plane).tolist() == pytest.approx([1, 10, 100])


def test_saturation_by_following_many_pulses() -> None:
    rate, lifetime_ns = 6e7, 4.0
    hit, period_ns = 1 - math.exp(-rate / 80e6), 12.5
    excited, cycles = 0.0, 0.0
    for _ in range(200):
        cycles = (1 - excited) * hit
        excited = (excited + cycles) * math.exp(-period_ns / lifetime_ns)
    found = pulsed_cycle_rate_per_s(rate, lifetime_ns=lifetime_ns, repetition_mhz=80.0)
    assert found == pytest.approx(cycles * 80e6, rel=1e-9)


def test_limits_of_saturation() -> None:
    assert pulsed_cycle_rate_per_s(1e-6, lifetime_ns=2.6, repetition_mhz=80.0) == pytest.approx(1e-6, rel=1e-9)
    assert pulsed_cycle_rate_per_s(1e12, lifetime_ns=0.1, repetition_mhz=80.0) == pytest.approx(80e6, rel=1e-6)
    # pulses that follow each other much faster than the lifetime act as steady light: kτ/(1 + kτ)/τ
    fast = pulsed_cycle_rate_per_s(1e8, lifetime_ns=5.0, repetition_mhz=1e5)
    assert fast == pytest.approx(1e8 / 1.5, rel=1e-3)


def test_gradients() -> None:
    inputs = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.7, 2.6)]

    def cycles(per_pulse: torch.Tensor, lifetime_ns: torch.Tensor) -> torch.Tensor:
        return pulsed_cycle_rate_per_s(per_pulse * 80e6, lifetime_ns=lifetime_ns, repetition_mhz=80.0) / 80e6

    assert torch.autograd.gradcheck(cycles, inputs)


def test_a_budget_with_two_photons() -> None:
    budget = photon_budget(
        fluorophore("EGFP"),
        pulsed_laser(wavelength_nm=920, power_mw=5.0),
        filters=filter_set("two-photon 535/50"),
        exposure_ms=0.01,
        area_um2=0.3,
        numerical_aperture=1.0,
        immersion_index=1.33,
    )
    flux = photon_flux_per_cm2_s(5.0, wavelength_nm=920.0, area_um2=0.3)
    delta = fluorophore("EGFP").two_photon.at(920.0)
    assert delta == pytest.approx(39, rel=0.02)
    assert budget.excitation_rate_per_s == pytest.approx(two_photon_rate_per_s(flux, cross_section_gm=delta, **PULSES))
    assert 0 < budget.steps["after saturation"] < budget.steps["excitations without limits"]
    assert 0.1 < budget.detected < 10


def test_known_cross_sections_and_autofluorescence_far_below_a_dye() -> None:
    known = [name for name in list_fluorophores() if fluorophore(name).two_photon is not None]
    assert known == ["EGFP", "DAPI", "NADH", "FAD", "collagen"]
    nadh, egfp = fluorophore("NADH"), fluorophore("EGFP")
    assert nadh.two_photon.at(700.0) * nadh.quantum_yield == pytest.approx(0.02, rel=0.1)
    assert egfp.two_photon.at(927.0) * egfp.quantum_yield > 1000 * 0.02


@pytest.mark.parametrize("wavelength_nm", [600.0, 1200.0])
def test_a_cross_section_that_is_not_known_is_not_zero(wavelength_nm: float) -> None:
    source = pulsed_laser(wavelength_nm=wavelength_nm, power_mw=5.0)
    with pytest.raises(
        ValueError, match=rf"of EGFP is known from 708 to 1073 nm, but not at {wavelength_nm:g} nm: tune the laser"
    ):
        source.excitation_rate_per_s(fluorophore("EGFP"), area_um2=0.3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: two_photon_rate_per_s(1e25, cross_section_gm=1.0, pulse_fs=2e7, repetition_mhz=80.0),
            r"pulses of 2e\+07 fs at 80 MHz overlap: make pulse_fs shorter than the 1.25e\+07 fs between two pulses",
        ),
        (
            lambda: two_photon_rate_per_s(1e25, cross_section_gm=-1.0, **PULSES),
            r"cross_section_gm is -1 GM, but must be at least 0",
        ),
        (lambda: pulsed_laser(wavelength_nm=800, power_mw=-1.0), r"power_mw is -1 mW, .* mean power"),
        (lambda: pulsed_laser(wavelength_nm=800, power_mw=1.0, pulse_fs=0.0), r"pulse_fs is 0 fs, but must be above 0"),
        (
            lambda: pulsed_laser(wavelength_nm=800, power_mw=1.0, repetition_mhz=-80.0),
            r"repetition_mhz is -80 MHz, but must be above 0 MHz",
        ),
        (lambda: pulsed_laser(wavelength_nm=0.8, power_mw=1.0), r"wavelength_nm is 0.8, but must be from 200 to 2000"),
    ],
)
def test_bad_numbers_are_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
