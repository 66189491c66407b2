import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.fluorescence import (
    FilterSet,
    Spectrum,
    bandpass,
    filter_set,
    fluorophore,
    list_filter_sets,
    longpass,
    shortpass,
)


@given(center=st.floats(350, 900), width=st.floats(5, 100), transmission=st.floats(0.1, 1))
@settings(max_examples=50, deadline=None)
def test_a_bandpass_has_the_width_of_its_name(center: float, width: float, transmission: float) -> None:
    band = bandpass(center_nm=center, width_nm=width, transmission=transmission)
    assert band.area == pytest.approx(width * transmission)
    assert band.at(center) == pytest.approx(transmission)
    assert band.at(center + width / 2) == pytest.approx(transmission / 2, abs=1e-6)
    assert band.at(center - width / 2 - 1.1) == 0.0


def test_long_and_shortpass_add_up_to_everything() -> None:
    for wavelength in (300.0, 499.5, 500.0, 500.3, 900.0):
        passed = longpass(edge_nm=500, transmission=1).at(wavelength) + shortpass(edge_nm=500, transmission=1).at(
            wavelength
        )
        assert passed == pytest.approx(1.0)


@pytest.mark.parametrize("name", list_filter_sets())
def test_every_set_detects_and_no_cube_lets_excitation_into_the_camera(name: str) -> None:
    filters = filter_set(name)
    wavelength = torch.arange(200.0, 2001.0)
    detects = filters.to_camera_at(wavelength)
    if filters.excitation is not None:
        assert float((filters.to_sample_at(wavelength) * detects).max()) == 0.0
    assert 0.8 < float(detects.max()) <= 1


def test_a_dichroic_reflects_what_it_does_not_transmit() -> None:
    filters = FilterSet(dichroic=longpass(edge_nm=500, transmission=0.9))
    assert filters.to_sample_at(450.0) == 1.0
    assert filters.to_sample_at(550.0) == pytest.approx(0.1)
    assert filters.to_camera_at(550.0) == pytest.approx(0.9)


def test_no_filters_lose_nothing() -> None:
    assert FilterSet().share_to_camera(fluorophore("EGFP").emission) == pytest.approx(1.0)
    assert FilterSet().to_sample_at(488.0) == 1.0


def test_the_cubes_suit_their_dyes() -> None:
    shares = {
        name: filter_set(name).share_to_camera(fluorophore(dye).emission)
        for name, dye in {"DAPI": "DAPI", "GFP": "EGFP", "mCherry": "mCherry", "Cy5": "Alexa 647"}.items()
    }
    assert all(0.4 < share < 0.8 for share in shares.values())


def test_a_name_that_is_no_string_is_refused() -> None:
    with pytest.raises(TypeError, match=r"name is a NoneType, but must be a string, such as 'DAPI'"):
        filter_set(None)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: bandpass(center_nm=525, width_nm=1), r"the band 525/1 nm passes nothing or reaches out of"),
        (lambda: bandpass(center_nm=0.525, width_nm=0.05), r"the band 0.525/0.05 nm passes nothing"),
        (lambda: bandpass(center_nm=float("nan"), width_nm=50), r"passes nothing"),
        (lambda: bandpass(center_nm=525, width_nm=50, transmission=0), r"transmission is 0, but must be above 0"),
        (lambda: longpass(edge_nm=500, transmission=95), r"transmission is 95, but must be from 0 to 1"),
        (lambda: longpass(edge_nm=0.5), r"edge_nm is 0.5, but must be from 202 to 1998: give nanometres"),
        (lambda: shortpass(edge_nm=5000), r"edge_nm is 5000"),
        (lambda: filter_set("FITC"), r"filter set 'FITC' is unknown: choose one of DAPI, GFP, mCherry"),
        (
            lambda: FilterSet(emission=Spectrum([500, 550], [95, 95])),
            r"emission transmits 95 .* divide per cent by 100",
        ),
        (
            lambda: FilterSet(emission=Spectrum([500, 550], [0, 0])),
            r"passes no emission: its emission filter is closed",
        ),
        (lambda: FilterSet(excitation=Spectrum([400, 450], [0, 0])), r"passes no excitation: its excitation filter is"),
        (
            lambda: FilterSet(
                excitation=bandpass(center_nm=470, width_nm=40), dichroic=longpass(edge_nm=400, transmission=1)
            ),
            r"passes no excitation: .* dichroic transmits, instead of reflecting",
        ),
        (
            lambda: FilterSet(dichroic=longpass(edge_nm=600), emission=bandpass(center_nm=525, width_nm=50)),
            r"passes no emission: .* no wavelength in common with the dichroic",
        ),
    ],
)
def test_filters_that_make_no_sense_are_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
