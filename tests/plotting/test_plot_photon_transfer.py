import numpy as np
import pytest

from course_lib.plotting import photon_transfer

signal = np.geomspace(1, 1e4, 9)
gain, read, prnu = 0.5, 2.0, 0.01
variance = signal / gain + (read / gain) ** 2
frame_variance = variance + (prnu * signal) ** 2


def full():
    return photon_transfer(
        signal,
        variance,
        frame_variance_adu2=frame_variance,
        gain_e_per_adu=gain,
        read_noise_e=read,
        fixed_pattern=prnu,
    )


def test_axes_are_logarithmic_and_labelled():
    (axes,) = photon_transfer(signal, variance, title="camera").axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_xlabel() == "signal above the offset (ADU)"
    assert axes.get_ylabel() == "noise, standard deviation (ADU)"
    assert axes.get_title() == "camera"
    (points,) = axes.lines
    np.testing.assert_allclose(points.get_ydata(), np.sqrt(variance))


def test_the_model_passes_through_points_without_noise():
    (axes,) = full().axes
    over_time, over_pixels = (line for line in axes.lines if line.get_linestyle() == "-")
    for line, expected in ((over_time, variance), (over_pixels, frame_variance)):
        interpolated = np.interp(np.log(signal), np.log(line.get_xdata()), np.log(line.get_ydata()))
        np.testing.assert_allclose(interpolated, np.log(expected) / 2, atol=1e-3)


def test_the_three_regimes_have_their_slopes_and_names():
    (axes,) = full().axes
    regimes = [line for line in axes.lines if line.get_linestyle() == "--"]
    slopes = [np.polyfit(np.log(line.get_xdata()), np.log(line.get_ydata()), 1)[0] for line in regimes]
    np.testing.assert_allclose(slopes, [0.5, 0, 1], atol=1e-9)
    assert [text.get_text() for text in axes.texts] == ["shot noise", "read noise", "fixed pattern"]


def test_names_are_parallel_to_their_lines():
    figure = full()
    figure.canvas.draw()
    (axes,) = figure.axes
    for text, line in zip(axes.texts, (x for x in axes.lines if x.get_linestyle() == "--"), strict=True):
        start, end = axes.transData.transform(line.get_xydata()[[0, -1]])
        angle = np.degrees(np.arctan2(*(end - start)[::-1]))
        assert text.get_rotation() == pytest.approx(angle, abs=0.5)


def test_regimes_that_are_absent_are_left_out():
    (axes,) = photon_transfer(signal, variance, gain_e_per_adu=gain).axes
    assert [text.get_text() for text in axes.texts] == ["shot noise"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"signal_adu": signal - 1}, "signal_adu goes down to 0, but logarithmic axes start above 0.*dark level"),
        ({"variance_adu2": -variance}, "variance_adu2 goes down to -20016, but logarithmic"),
        ({"variance_adu2": variance[1:]}, "there are 9 signals but 8 variances two frames: variance of the difference"),
        ({"frame_variance_adu2": [1.0]}, "there are 9 signals but 1 variances one frame: variance over its pixels"),
        ({"signal_adu": np.ones((3, 3))}, r"signal_adu has shape \(3, 3\), but must have \(levels,\)"),
        ({"signal_adu": [np.nan]}, "signal_adu has 1 values that are NaN or infinite"),
        ({"gain_e_per_adu": 0}, "gain_e_per_adu is 0 e⁻/ADU, but must be at least 1e-09"),
        ({"gain_e_per_adu": 1, "read_noise_e": -1}, "read_noise_e is -1 e⁻, but must be at least 0"),
        ({"gain_e_per_adu": 1, "fixed_pattern": -1}, "fixed_pattern is -1, but must be at least 0"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        photon_transfer(**{"signal_adu": signal, "variance_adu2": variance, **arguments})
