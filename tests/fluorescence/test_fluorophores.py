import math

import pytest
import torch

from course_lib.fluorescence import Fluorophore, Spectrum, bandpass, fluorophore, list_fluorophores, overlap

PUBLISHED_PEAKS_NM = {
    "EGFP": (488, 509),
    "DAPI": (358, 461),
    "DRAQ5": (647, 696),
    "Alexa Fluor 488": (497, 519),
    "Alexa Fluor 568": (578, 603),
    "Alexa Fluor 647": (650, 669),
    "mCherry": (587, 610),
    "NADH": (340, 460),
    "FAD": (450, 525),
    "collagen": (327, 400),
}
TABLE = {
    # extinction (/M/cm), quantum yield, lifetime (ns), peaks of the band models (nm), two-photon cross section (GM)
    "EGFP": (55_900, 0.60, 2.6, 488, 510, (927, 39)),  # Patterson 1997; FPbase; Drobizhev 2011
    "DAPI": (27_000, 0.58, 2.8, 358, 462, (700, 4)),  # on DNA, Kapuscinski 1995; 0.16 GM / 0.04, Xu & Webb 1996
    "DRAQ5": (20_700, 0.004, 0.1, 647, 697, None),  # Smith 1999, Njoh 2006; yield and lifetime: order of magnitude
    "Alexa Fluor 488": (73_000, 0.92, 4.1, 499, 518, None),  # Panchuk-Voloshina 1999; Molecular Probes Handbook
    "Alexa Fluor 568": (91_300, 0.69, 3.6, 578, 603, None),  # Panchuk-Voloshina 1999; Molecular Probes Handbook
    "Alexa Fluor 647": (270_000, 0.33, 1.0, 650, 671, None),  # Berlier 2003; Molecular Probes Handbook
    "mCherry": (72_000, 0.22, 1.4, 586, 609, None),  # Shaner 2004; FPbase
    "NADH": (6_220, 0.02, 0.4, 340, 460, (700, 1)),  # Lakowicz 1992; 0.02 GM / 0.02, Zipfel 2003
    "FAD": (11_300, 0.03, 2.3, 450, 525, (726, 1)),  # van den Berg 2002; Huang 2002
    "collagen": (5_000, 0.1, 5.0, 327, 400, (700, 1)),  # Fujimoto 1978, Zipfel 2003; orders of magnitude
}
PUBLISHED_LANDMARKS = {
    # wavelength and height relative to the peak, read from published excitation and emission spectra
    "EGFP": (
        ((440, 0.33), (460, 0.64), (480, 0.92), (505, 0.49)),
        ((500, 0.66), (520, 0.71), (540, 0.38), (560, 0.19)),
    ),
    "DAPI": (((330, 0.76), (380, 0.71), (400, 0.15)), ((420, 0.51), (500, 0.67), (550, 0.24))),
    "Alexa Fluor 488": (((460, 0.24), (480, 0.53), (510, 0.69)), ((505, 0.54), (540, 0.58), (570, 0.22))),
    "Alexa Fluor 647": (((600, 0.31), (633, 0.62), (670, 0.37)), ((655, 0.51), (690, 0.54), (720, 0.22))),
    "mCherry": (((540, 0.51), (561, 0.64), (600, 0.64)), ((595, 0.66), (630, 0.69), (670, 0.35))),
}


def test_the_table_holds_the_dyes_of_the_course() -> None:
    assert set(list_fluorophores()) == set(PUBLISHED_PEAKS_NM) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_the_numbers_of_the_table(name: str) -> None:
    dye = fluorophore(name)
    extinction, quantum_yield, lifetime_ns, excitation_nm, emission_nm, two_photon = TABLE[name]
    assert (dye.extinction_per_m_cm, dye.quantum_yield, dye.lifetime_ns) == (extinction, quantum_yield, lifetime_ns)
    assert (dye.excitation.peak_nm, dye.emission.peak_nm) == (excitation_nm, emission_nm)
    if two_photon is None:
        assert dye.two_photon is None
    else:
        peak_nm, cross_section_gm = two_photon
        assert dye.two_photon.peak_nm == peak_nm
        assert dye.two_photon.at(peak_nm) == pytest.approx(cross_section_gm, rel=0.01)


@pytest.mark.parametrize("name", ["DAPI", "NADH"])
def test_sources_tell_how_a_cross_section_follows_from_an_action_cross_section(name: str) -> None:
    assert "action cross section 0." in fluorophore(name).source
    assert "divided by the quantum yield" in fluorophore(name).source


@pytest.mark.parametrize("name", list_fluorophores())
def test_every_entry_is_a_band_model_with_source_and_published_peaks(name: str) -> None:
    dye = fluorophore(name)
    excitation_nm, emission_nm = PUBLISHED_PEAKS_NM[name]
    assert dye.spectra == "band model"
    assert "(19" in dye.source or "(20" in dye.source
    assert dye.excitation.peak_nm == pytest.approx(excitation_nm, abs=3)
    assert dye.emission.peak_nm == pytest.approx(emission_nm, abs=3)
    assert dye.emission.area == pytest.approx(1.0)
    assert float(dye.excitation.value.max()) == pytest.approx(1.0)
    assert dye.emission.peak_nm > dye.excitation.peak_nm


@pytest.mark.parametrize("name", PUBLISHED_LANDMARKS)
def test_fitted_bands_stay_within_five_per_cent_of_the_peak_of_published_spectra(name: str) -> None:
    dye = fluorophore(name)
    excitation, emission = PUBLISHED_LANDMARKS[name]
    for wavelength, height in excitation:
        assert dye.excitation.at(float(wavelength)) == pytest.approx(height, abs=0.05)
    for wavelength, height in emission:
        assert dye.emission.with_peak().at(float(wavelength)) == pytest.approx(height, abs=0.05)


@pytest.mark.parametrize(
    ("name", "band_nm", "share"),
    [
        # integrals over published emission spectra
        ("EGFP", (500, 550), 0.716),
        ("EGFP", (575, 625), 0.052),
        ("DAPI", (417, 477), 0.498),
        ("DAPI", (500, 550), 0.210),
        ("mCherry", (592, 668), 0.735),
        ("Alexa 647", (645, 720), 0.824),
        ("Alexa 488", (500, 550), 0.732),
        ("Alexa 488", (575, 625), 0.082),
    ],
)
def test_shares_through_filters_agree_with_published_spectra(name: str, band_nm: tuple[int, int], share: float) -> None:
    window = bandpass(center_nm=sum(band_nm) / 2, width_nm=band_nm[1] - band_nm[0], transmission=1.0)
    assert overlap(fluorophore(name).emission, window) == pytest.approx(share, abs=0.015)


def test_cross_section_is_the_extinction_coefficient_per_molecule() -> None:
    # 1 cm of a solution of 1/ε mol/l passes a tenth of the light; 1 mol/l is 6.02e20 molecules per cm³
    dye = fluorophore("Alexa 647")
    sigma = dye.cross_section_cm2(dye.excitation.peak_nm)
    assert math.exp(-sigma * 6.02214076e20 / dye.extinction_per_m_cm) == pytest.approx(0.1)
    assert sigma == pytest.approx(1.03e-15, rel=0.01)


def test_cross_sections_of_many_wavelengths() -> None:
    dye = fluorophore("EGFP")
    sections = dye.cross_section_cm2(torch.tensor([488.0, 700.0], dtype=torch.float64))
    assert float(sections[0]) == pytest.approx(2.14e-16, rel=0.01)
    assert float(sections[1]) == 0.0


def test_brightness() -> None:
    assert fluorophore("EGFP").brightness_per_m_cm == pytest.approx(33_540)


@pytest.mark.parametrize("name", ["alexa 488", "Alexa488", "ALEXA-FLUOR 488", "alexa fluor 488"])
def test_names_are_forgiving(name: str) -> None:
    assert fluorophore(name).name == "Alexa Fluor 488"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"fluorophore 'GFPx' is unknown: choose one of EGFP, DAPI, .*collagen, or build"
    ):
        fluorophore("GFPx")


def test_a_name_that_is_no_string_is_refused() -> None:
    with pytest.raises(TypeError, match=r"name is a NoneType, but must be a string, such as 'EGFP'"):
        fluorophore(None)


def own(**changes: float) -> Fluorophore:
    numbers = {
        "extinction_per_m_cm": 5e4,
        "quantum_yield": 0.5,
        "lifetime_ns": 3.0,
        "photons_before_bleaching": 1e5,
    }
    return Fluorophore(
        name="own",
        excitation=Spectrum([400, 500], [3, 1]),
        emission=Spectrum([500, 600], [2, 2]),
        **(numbers | changes),
    )


def test_own_measured_spectra_are_brought_to_their_scales() -> None:
    dye = own()
    assert dye.spectra == "measured"
    assert dye.excitation.at(500.0) == pytest.approx(1 / 3)
    assert dye.emission.at(550.0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantum_yield": 60.0}, r"quantum_yield is 60, but must be from 0 to 1: give a share, not per cent"),
        ({"quantum_yield": 0.0}, r"quantum_yield is 0, but must be above 0"),
        ({"extinction_per_m_cm": -1.0}, r"extinction_per_m_cm is -1 /M/cm, but must be above 0"),
        ({"lifetime_ns": float("nan")}, r"lifetime_ns is nan ns"),
        ({"photons_before_bleaching": float("inf")}, r"photons_before_bleaching is inf, .* finite"),
    ],
)
def test_impossible_dyes_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        own(**change)
