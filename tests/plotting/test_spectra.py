import io

import numpy as np
import pytest

from course_lib.plotting import COLORS, spectra

wavelength = np.arange(400.0, 650.0)
emission = np.exp(-(((wavelength - 510) / 20) ** 2))
band = ((wavelength > 500) & (wavelength < 550)).astype(float)


def test_curves_filters_and_lines_are_drawn_and_named():
    figure = spectra(
        wavelength, {"emission": emission, "twice": 2 * emission}, filters={"525/50": band}, lines_nm={"laser": 488}
    )
    figure.savefig(io.BytesIO())
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("wavelength (nm)", "relative to the peak, transmission")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["525/50", "emission", "twice"]
    assert [line.get_color() for line in axes.lines[:2]] == list(COLORS[:2])
    np.testing.assert_allclose(axes.lines[1].get_ydata(), 2 * emission)
    assert axes.lines[2].get_xdata() == [488, 488]
    assert [text.get_text() for text in axes.texts] == ["laser"]
    assert axes.get_xlim() == (400, 649)
    assert axes.get_ylim() == pytest.approx((0, 2.1), rel=1e-3)


def test_filters_differ_in_shade_and_hatching():
    (axes,) = spectra(wavelength, {"emission": emission}, filters={"a": band, "b": band, "c": band}).axes
    looks = {(tuple(area.get_facecolor()[0]), area.get_hatch()) for area in axes.collections}
    assert len(looks) == 3


def test_the_shade_is_as_high_as_the_filter_transmits():
    (axes,) = spectra(wavelength, {"emission": emission}, filters={"half": 0.5 * band}).axes
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.max() == 0.5


@pytest.mark.parametrize(
    ("wavelengths", "series", "arguments", "message"),
    [
        (wavelength, {}, {}, "series is empty, but must hold at least one spectrum"),
        (wavelength, {"a": [1.0]}, {}, r"a has shape \(1,\), but must have \(250,\), that of wavelength_nm"),
        (wavelength, {"a": emission}, {"filters": {"b": [1.0]}}, r"b has shape \(1,\), but must have \(250,\)"),
        (wavelength, {"a": emission * np.nan}, {}, "a has 250 values that are NaN or infinite"),
        (wavelength[::-1], {"a": emission}, {}, "must be at least two wavelengths that grow"),
        ([500.0], {"a": [1.0]}, {}, "must be at least two wavelengths that grow"),
        (wavelength, {"a": emission}, {"lines_nm": {"laser": 0.5}}, "a line in lines_nm .*0.5"),
    ],
)
def test_bad_input_is_refused(wavelengths, series, arguments, message):
    with pytest.raises(ValueError, match=message):
        spectra(wavelengths, series, **arguments)
