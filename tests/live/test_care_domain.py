"""The live figure of CARE against the library, and against what its caption promises."""

import pytest
import torch
from scipy.ndimage import gaussian_filter

from course_lib import live, metrics
from course_lib.live.figures.care_domain import BACKGROUND, FIGURE, NETWORK, REACH_PX, SIDE, WIDTHS_PX
from course_lib.live.graph import export_graph
from course_lib.networks import pretrained

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("values", [{}, {"photons": 300.0}, {"unseen_percent": 60.0, "offset_photons": 12.0}])
def test_the_restoration_is_that_of_the_shipped_network(values: dict[str, float]) -> None:
    shown = live.evaluate(FIGURE, values)
    model, offset = pretrained(NETWORK), values.get("offset_photons", 0.0)
    frame = shown["image"][None]
    with torch.inference_mode():
        expected = model.in_unit(model.network(model.normalized(frame)[None])[0])[0] - offset
    torch.testing.assert_close(shown["restored"], expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_the_numbers_are_those_of_the_library() -> None:
    values = {"photons": 30.0, "unseen_percent": 40.0, "offset_photons": 3.0}
    shown = live.evaluate(FIGURE, values)
    truth, counted = shown["truth"], shown["image"] - 3.0
    noisy, remaining = metrics.nrmse(counted, truth), metrics.nrmse(shown["restored"], truth)
    assert float(shown["noisy"]) == pytest.approx(float(noisy), rel=1e-4)
    assert float(shown["remaining"]) == pytest.approx(float(remaining), rel=1e-4)
    assert float(shown["gain"]) == pytest.approx(float(noisy / remaining) ** 2, rel=1e-3)
    filtered = [gaussian_filter(counted.numpy(), width, mode="mirror", radius=REACH_PX) for width in WIDTHS_PX]
    least = min(float(metrics.nrmse(torch.from_numpy(one), truth)) for one in filtered)
    assert float(shown["gain_of_filter"]) == pytest.approx((float(noisy) / least) ** 2, rel=1e-3)
    signal = truth - BACKGROUND * 30.0
    bright = signal > 0.5 * signal.max()
    percent = 100 * (shown["restored"] - BACKGROUND * 30.0)[bright].sum() / signal[bright].sum()
    assert float(shown["bright_percent"]) == pytest.approx(float(percent), rel=1e-3)
    torch.testing.assert_close(shown["error"], shown["restored"] - truth)


def test_the_recorded_image_has_the_photons_of_the_truth_and_the_offset() -> None:
    shown = live.evaluate(FIGURE, {"photons": 200.0, "offset_photons": 20.0})
    assert shown["truth"].shape == (SIDE, SIDE)
    assert float(shown["truth"].max()) == pytest.approx(200.0 * (1 + BACKGROUND), rel=1e-5)
    assert float(shown["image"].mean()) == pytest.approx(float(shown["truth"].mean()) + 20.0, rel=0.01)


def test_the_reader_sees_what_the_caption_promises() -> None:
    at_home = live.evaluate(FIGURE)
    abroad = live.evaluate(FIGURE, {"unseen_percent": 100.0})
    with_offset = live.evaluate(FIGURE, {"offset_photons": 50.0})
    assert float(at_home["gain"]) > 2 * float(at_home["gain_of_filter"])
    assert float(abroad["gain"]) < 0.9 * float(abroad["gain_of_filter"])
    assert float(with_offset["remaining"]) > 1.3 * float(at_home["remaining"])
    assert float(with_offset["noisy"]) == pytest.approx(float(at_home["noisy"]), rel=1e-4)


def test_the_graph_is_small() -> None:
    assert len(export_graph(FIGURE)) < 1e6
