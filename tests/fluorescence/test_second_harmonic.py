import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.fluorescence import (
    coherence_length_um,
    fibre_response,
    filter_set,
    fluorophore,
    second_harmonic_intensity,
    second_harmonic_spectrum,
    wave_mismatch_per_um,
)

TISSUE = {"excitation_nm": 800.0, "index_fundamental": 1.44, "index_harmonic": 1.47}


def test_the_line_is_at_exactly_half_the_wavelength() -> None:
    for excitation_nm in (740.0, 800.0, 1040.0):
        line = second_harmonic_spectrum(excitation_nm=excitation_nm)
        mean = float((line.wavelength_nm * line.value).sum() / line.value.sum())
        assert mean == pytest.approx(excitation_nm / 2, abs=0.01)
        assert line.area == pytest.approx(1.0)


def test_the_width_of_the_line_by_the_time_bandwidth_product() -> None:
    line = second_harmonic_spectrum(excitation_nm=800.0, pulse_fs=100.0)
    mean = float((line.wavelength_nm * line.value).sum() / line.value.sum())
    sigma = float(((line.wavelength_nm - mean) ** 2 * line.value).sum() / line.value.sum()) ** 0.5
    # 100 fs at 800 nm: 9.4 nm of the fundamental, a quarter of that times √2 of the harmonic
    assert sigma * (8 * math.log(2)) ** 0.5 == pytest.approx(9.42 / 4 * 2**0.5, rel=0.01)


def test_the_two_channels_of_the_seminar() -> None:
    # excitation 800 nm: 535/50 shows autofluorescence alone, 400/40 the harmonic and a part of the autofluorescence
    green, blue = filter_set("two-photon 535/50"), filter_set("two-photon 400/40")
    harmonic = second_harmonic_spectrum(excitation_nm=800.0)
    assert blue.share_to_camera(harmonic) == pytest.approx(0.95**2, rel=1e-3)
    assert green.share_to_camera(harmonic) == 0.0
    nadh, flavin = fluorophore("NADH").emission, fluorophore("FAD").emission
    assert 0.01 < blue.share_to_camera(nadh) < 0.2
    assert green.share_to_camera(nadh) > 0.1
    assert green.share_to_camera(flavin) > 0.4
    assert blue.share_to_camera(flavin) < 1e-6


@given(count=st.integers(1, 300), irradiance=st.floats(0, 10))
@settings(max_examples=30, deadline=None)
def test_aligned_scatterers_add_fields_and_the_irradiance_counts_squared(count: int, irradiance: float) -> None:
    intensity = second_harmonic_intensity(
        torch.zeros(count, dtype=torch.float64),
        torch.ones(count, dtype=torch.float64),
        mismatch_per_um=0.47,
        relative_irradiance=irradiance,
    )
    assert float(intensity) == pytest.approx(count**2 * irradiance**2)


def test_random_polarity_adds_intensities_and_pairs_cancel() -> None:
    draw = torch.Generator().manual_seed(0)
    polarity = 2.0 * torch.randint(0, 2, (20_000, 100), generator=draw) - 1
    intensity = second_harmonic_intensity(torch.zeros(100), polarity, mismatch_per_um=0.0)
    # the sum of many random signs is Gaussian, so that the intensity is exponential: mean N, standard deviation √2 N
    assert float(intensity.mean()) == pytest.approx(100, abs=4 * 2**0.5 * 100 / 20_000**0.5)
    paired = torch.tensor([1.0, -1.0]).repeat(50)
    assert float(second_harmonic_intensity(torch.zeros(100), paired, mismatch_per_um=0.0)) == 0.0


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_slab_follows_the_sinc_of_phase_matching(direction: str) -> None:
    mismatch = wave_mismatch_per_um(direction=direction, **TISSUE)
    for thickness_um in (0.02, 0.5, 3.0):
        position = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000 * thickness_um
        found = second_harmonic_intensity(position, torch.ones(1), mismatch_per_um=mismatch) / 20_000**2
        half = mismatch * thickness_um / 2
        assert float(found) == pytest.approx((math.sin(half) / half) ** 2, rel=1e-4)


def test_coherence_lengths_of_collagen() -> None:
    forward = wave_mismatch_per_um(direction="forward", **TISSUE)
    backward = wave_mismatch_per_um(direction="backward", **TISSUE)
    assert coherence_length_um(forward) == pytest.approx(0.8 / (4 * 0.03))
    assert coherence_length_um(backward) == pytest.approx(0.8 / (4 * 2.91))
    assert coherence_length_um(0.0) == math.inf


@given(angle=st.floats(0, 360), ratio=st.floats(-2, 3))
@settings(max_examples=50, deadline=None)
def test_a_fibre_by_its_tensor(angle: float, ratio: float) -> None:
    # P_x = ρ E_x² + E_y², P_y = 2 E_x E_y, with Kleinman's symmetry
    along, across = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    expected = (ratio * along**2 + across**2) ** 2 + (2 * along * across) ** 2
    assert fibre_response(angle, susceptibility_ratio=ratio) == pytest.approx(expected, abs=1e-9)
    assert fibre_response(angle + 180, susceptibility_ratio=ratio) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: second_harmonic_spectrum(excitation_nm=-800.0), r"excitation_nm is -800, but must be from 300 to 4"),
        (lambda: second_harmonic_spectrum(excitation_nm=0.8), r"excitation_nm is 0.8, .* in nanometres"),
        (lambda: fibre_response(math.nan), r"angle_deg is nan°, but must be finite"),
        (
            lambda: fibre_response(0.0, susceptibility_ratio=math.inf),
            r"susceptibility_ratio is inf, but must be finite",
        ),
        (lambda: coherence_length_um(math.nan), r"mismatch_per_um is nan /µm, but must be finite"),
        (
            lambda: second_harmonic_intensity(torch.zeros(2), torch.ones(2), mismatch_per_um=math.inf),
            r"mismatch_per_um is inf /µm, but must be finite",
        ),
        (lambda: second_harmonic_spectrum(excitation_nm=800.0, pulse_fs=0.0), r"pulse_fs is 0, but must be from 5 to"),
        (
            lambda: wave_mismatch_per_um(direction="sideways", **TISSUE),
            r"direction is 'sideways', but must be 'forward' or 'backward'",
        ),
        (
            lambda: wave_mismatch_per_um(
                excitation_nm=800.0, index_fundamental=0.0, index_harmonic=1.4, direction="forward"
            ),
            r"index_fundamental is 0, but must be above 0",
        ),
        (
            lambda: second_harmonic_intensity(
                torch.zeros(2), torch.ones(2), mismatch_per_um=0.0, relative_irradiance=-1.0
            ),
            r"relative_irradiance is -1, but must be at least 0",
        ),
    ],
)
def test_bad_numbers_are_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
