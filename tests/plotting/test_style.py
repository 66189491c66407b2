import matplotlib
import numpy as np
from skimage.color import rgb2lab

from course_lib.plotting import COLORS, curves, use_style
from course_lib.plotting.style import LINE_STYLES, MARKERS


def test_colours_stay_apart_in_grey():
    lightness = np.sort(rgb2lab(np.array([matplotlib.colors.to_rgb(colour) for colour in COLORS]))[:, 0])
    assert np.diff(lightness).min() >= 10


def test_colours_stand_out_from_the_white_page():
    rgb = np.array([matplotlib.colors.to_rgb(colour) for colour in COLORS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert (1.05 / (luminance + 0.05)).min() >= 3


def test_each_colour_has_its_own_line_and_marker():
    assert len(set(COLORS)) == len(set(LINE_STYLES)) == len(set(MARKERS)) == len(COLORS)


def test_functions_leave_the_settings_of_others_alone():
    before = dict(matplotlib.rcParams)
    figure = curves([1, 2], {"a": [1, 2]}, x_label="x", y_label="y")
    assert figure.dpi == 144
    assert dict(matplotlib.rcParams) == before


def test_use_style_changes_them():
    with matplotlib.rc_context():
        use_style()
        assert matplotlib.rcParams["figure.dpi"] == 144
        assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"] == list(COLORS)
