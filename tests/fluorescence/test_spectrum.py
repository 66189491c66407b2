import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.fluorescence import Band, Spectrum, band_spectrum, overlap

SPECTRA = st.lists(st.floats(0, 10), min_size=2, max_size=12).flatmap(
    lambda value: st.lists(st.integers(300, 900), min_size=len(value), max_size=len(value), unique=True).map(
        lambda wavelength: Spectrum(sorted(wavelength), value)
    )
)


@given(spectrum=SPECTRA, wavelength=st.floats(250, 950))
@settings(max_examples=100, deadline=None)
def test_values_are_those_of_numpys_interpolation(spectrum: Spectrum, wavelength: float) -> None:
    expected = np.interp(wavelength, spectrum.wavelength_nm, spectrum.value, left=0, right=0)
    assert spectrum.at(wavelength) == pytest.approx(expected, abs=1e-12)
    assert float(spectrum.at(torch.tensor([[wavelength]]))[0, 0]) == pytest.approx(spectrum.at(wavelength), abs=1e-3)


@given(first=SPECTRA, second=SPECTRA, third=SPECTRA)
@settings(max_examples=50, deadline=None)
def test_overlap_is_exact_and_symmetric(first: Spectrum, second: Spectrum, third: Spectrum) -> None:
    knots = torch.cat([first.wavelength_nm, second.wavelength_nm, third.wavelength_nm]).unique()
    # three-point Gauss-Legendre between all knots integrates polynomials up to the fifth degree
    nodes, weights = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(3))
    half = knots.diff()[:, None] / 2
    places = (knots[:-1, None] + half) + half * nodes
    integral = float((first.at(places) * second.at(places) * third.at(places) * half * weights).sum())
    assert overlap(first, second, third) == pytest.approx(integral, rel=1e-9, abs=1e-9)
    assert overlap(third, first, second) == pytest.approx(overlap(first, second, third), rel=1e-9, abs=1e-12)


@given(spectrum=SPECTRA)
@settings(max_examples=50, deadline=None)
def test_scaling(spectrum: Spectrum) -> None:
    assert overlap(spectrum) == pytest.approx(spectrum.area, rel=1e-9, abs=1e-12)
    if spectrum.area > 1e-6:
        assert spectrum.with_area(2.5).area == pytest.approx(2.5)
        assert float(spectrum.with_peak(0.5).value.max()) == pytest.approx(0.5)
        assert spectrum.with_peak().peak_nm == spectrum.peak_nm


def test_spectra_without_common_wavelengths_do_not_overlap() -> None:
    assert overlap(Spectrum([400, 450], [1, 1]), Spectrum([450, 500], [1, 1])) == 0.0


def test_a_spectrum_keeps_its_own_copy() -> None:
    value = torch.ones(2, dtype=torch.float64)
    spectrum = Spectrum(torch.tensor([400.0, 500.0]), value)
    value[0] = -5
    assert spectrum.at(400.0) == 1.0


def test_a_band_has_the_widths_asked_for_and_a_closed_area() -> None:
    spectrum = band_spectrum([Band(520, 12, 30, 2.0)], step_nm=0.1)
    assert spectrum.peak_nm == pytest.approx(520)
    assert spectrum.at(508.0) == pytest.approx(1.0)
    assert spectrum.at(550.0) == pytest.approx(1.0)
    assert spectrum.area == pytest.approx(2 * (12 + 30) / 2 * (np.pi / np.log(2)) ** 0.5, rel=1e-4)


def test_bands_add_up() -> None:
    first, second = Band(500, 10, 10), Band(540, 20, 20, 0.4)
    both = band_spectrum([first, second])
    assert both.at(520.0) == pytest.approx(band_spectrum([first]).at(520.0) + band_spectrum([second]).at(520.0))


@pytest.mark.parametrize(
    ("wavelength", "value", "message"),
    [
        ([], [], r"wavelength_nm has shape \(0,\) and value \(0,\), but both must be \(n,\) with n of at least 2"),
        ([500], [1], r"n of at least 2"),
        ([500, 510], [1, 2, 3], r"shape \(2,\) and value \(3,\)"),
        ([500, 490], [1, 1], r"wavelength_nm must grow from one entry to the next: sort it"),
        ([500, 500], [1, 1], r"merge wavelengths that occur twice"),
        ([500, float("nan")], [1, 1], r"wavelength_nm must grow"),
        ([0.5, 0.6], [1, 1], r"wavelength_nm starts at 0.5 nm, .* give nanometres, not micrometres"),
        ([500, 510], [1, -0.1], r"value has a minimum of -0.1, .* clamp"),
        ([500, 510], [1, float("inf")], r"a spectrum is finite"),
    ],
)
def test_bad_spectra_are_refused(wavelength: list[float], value: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Spectrum(wavelength, value)


def test_what_cannot_be_scaled_added_or_multiplied_is_refused() -> None:
    dark = Spectrum([400, 500], [0, 0])
    with pytest.raises(ValueError, match="the spectrum is 0 everywhere"):
        dark.with_area()
    with pytest.raises(ValueError, match="the spectrum is 0 everywhere"):
        dark.with_peak()
    with pytest.raises(ValueError, match="overlap got 0 spectra, but takes 1 to 3"):
        overlap()
    with pytest.raises(ValueError, match="overlap got 4 spectra"):
        overlap(dark, dark, dark, dark)
    with pytest.raises(ValueError, match="bands is empty"):
        band_spectrum([])
    with pytest.raises(ValueError, match="half width that is not above 0 nm"):
        band_spectrum([Band(500, 0, 10)])


@pytest.mark.parametrize("wavelength", [float("nan"), float("inf")])
def test_a_wavelength_that_is_no_wavelength_has_no_value(wavelength: float) -> None:
    spectrum = Spectrum([400, 500], [1, 1])
    with pytest.raises(ValueError, match=f"wavelength_nm is {wavelength} nm, but must be finite"):
        spectrum.at(wavelength)
    values = spectrum.at(torch.tensor([450.0, float("nan"), 600.0]))
    assert values.isnan().tolist() == [False, True, False]
    assert values[::2].tolist() == [1.0, 0.0]


@given(peak=st.floats(200, 900), half_width=st.floats(0.5, 30), share=st.floats(0.05, 0.5))
@settings(max_examples=50, deadline=None)
def test_the_coarsest_step_still_has_area_and_peak_of_the_band(peak: float, half_width: float, share: float) -> None:
    spectrum = band_spectrum([Band(peak, half_width, half_width)], step_nm=share * half_width)
    assert spectrum.area == pytest.approx(half_width * (np.pi / np.log(2)) ** 0.5, rel=1e-3)
    assert 0.95 < float(spectrum.value.max()) <= 1


@pytest.mark.parametrize(
    ("band", "step_nm", "message"),
    [
        (Band(float("nan"), 10, 10), 1.0, r"peak_nm=nan.* has a number that is NaN or infinite"),
        (Band(500, 10, float("nan")), 1.0, r"has a number that is NaN or infinite"),
        (Band(500, 10, 10, float("inf")), 1.0, r"has a number that is NaN or infinite"),
        (Band(0.5, 0.01, 0.01), 1.0, r"peaks below 100 nm, where light starts: give nanometres"),
        (Band(500, 10, -10), 1.0, r"half width that is not above 0 nm"),
        (Band(500, 10, 10, -1.0), 1.0, r"has a height below 0"),
        (Band(500, 10, 10), 0.0, r"step_nm is 0 nm, but must be above 0 nm"),
        (Band(500, 10, 10), float("nan"), r"step_nm is nan nm"),
        (Band(500, 10, 20), 6.0, r"step_nm is 6 nm, but must be at most 5 nm, half of the narrowest half width"),
    ],
)
def test_bad_bands_are_refused(band: Band, step_nm: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        band_spectrum([band], step_nm=step_nm)
