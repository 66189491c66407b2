import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.plotting import scale_bar
from course_lib.plotting.scale_bar import format_length, round_length


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    axes.imshow(np.zeros((40, 100)))
    yield axes
    plt.close(figure)


@given(width_um=st.floats(1e-3, 1e6))
def test_the_length_is_round_and_about_a_fifth(width_um):
    length = round_length(width_um)
    digits = f"{length:.6e}"
    assert digits.split("e")[0] in ("1.000000", "2.000000", "5.000000")
    # the widest gap of the series 1, 2, 5, 10 is 2.5, so the nearest is off by at most its root
    assert 1 / np.sqrt(2.5) - 1e-9 <= length / (width_um / 5) <= np.sqrt(2.5) + 1e-9


@pytest.mark.parametrize("pixel_size_um", [0.065, 0.1463, 2.0])
@pytest.mark.parametrize("length_um", [1.0, 3.0])
def test_the_bar_is_as_long_as_it_says(axes, pixel_size_um, length_um):
    bar = scale_bar(axes, pixel_size_um=pixel_size_um, length_um=length_um)
    left, right = bar.get_xdata()
    assert (right - left) * pixel_size_um == pytest.approx(length_um)
    assert -0.5 <= left < right <= 99.5
    assert axes.texts[0].get_text() == format_length(length_um)


def test_the_view_of_the_image_stays(axes):
    before = axes.get_xlim(), axes.get_ylim()
    scale_bar(axes, pixel_size_um=0.1)
    assert (axes.get_xlim(), axes.get_ylim()) == before


def test_a_bar_as_wide_as_the_image_fits(axes):
    left, right = scale_bar(axes, pixel_size_um=0.1, length_um=10.0).get_xdata()
    assert (left, right) == pytest.approx((-0.5, 99.5))


def test_a_flipped_image_keeps_the_bar_on_the_right(axes):
    axes.invert_xaxis()
    start, end = scale_bar(axes, pixel_size_um=0.1, length_um=2.0).get_xdata()
    assert start - end == pytest.approx(20)
    assert end < 20


def test_too_long_a_bar_is_refused(axes):
    with pytest.raises(ValueError, match="length_um is 11 µm, but the image is only 10 µm wide: pass a shorter"):
        scale_bar(axes, pixel_size_um=0.1, length_um=11)


@pytest.mark.parametrize("size", [0, -1, np.nan, np.inf])
def test_sizes_must_be_above_zero(axes, size):
    with pytest.raises(ValueError, match=rf"pixel_size_um is {size} µm, but must be from 1e-06 to 1e\+06 µm"):
        scale_bar(axes, pixel_size_um=size)
    with pytest.raises(ValueError, match=rf"length_um is {size} µm, but must be from"):
        scale_bar(axes, pixel_size_um=0.1, length_um=size)
