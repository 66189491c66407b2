"""The live figure of shared noise against the library, and against what its caption promises."""

import pytest
import torch
from scipy.ndimage import gaussian_filter

from course_lib import live, metrics
from course_lib.live.figures.care_domain import REACH_PX, SIDE, WIDTHS_PX
from course_lib.live.figures.noise2void_streaks import FARTHEST_PX, FIGURE, NETWORK, PEAK, streaked, with_conditions
from course_lib.live.graph import export_graph
from course_lib.networks import pretrained

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6])
def test_the_noise_has_the_variance_and_the_correlation_that_are_asked_for(correlation: float) -> None:
    white = torch.randn((40, 128, 128), generator=torch.Generator().manual_seed(0))
    noise = streaked(white, torch.tensor(correlation))
    rows = noise.square().mean(dim=(0, 2))  # also of the first row, which has none above
    standard_error = (2 / (40 * 128)) ** 0.5
    assert float((rows - 1).abs().max()) < 4.5 * standard_error
    rho = metrics.autocorrelation(noise, max_lag=3).mean(dim=0)
    for lag in range(4):
        assert float(rho[3 + lag, 3]) == pytest.approx(correlation**lag, abs=0.01)
        assert float(rho[3, 3 + lag]) == pytest.approx(float(lag == 0), abs=0.01)


def test_the_restorations_are_those_of_the_shipped_network() -> None:
    values = {"correlation": 0.4, "hidden_pixels": 2.0, "noise_percent": 20.0}
    shown, network = live.evaluate(FIGURE, values), pretrained(NETWORK).network
    for output, hidden in (("noise2void", 0.0), ("structn2v", 2.0)):
        told = (torch.tensor(one) for one in (0.4, hidden, 20.0))
        with torch.inference_mode():
            expected = PEAK * network(with_conditions(shown["image"], *told)[None])[0, 0]
        torch.testing.assert_close(shown[output], expected, rtol=0, atol=0.01)


def test_the_numbers_are_those_of_the_library() -> None:
    shown = live.evaluate(FIGURE, {"noise_percent": 40.0})
    truth, image = shown["truth"], shown["image"]
    for name in ("noise2void", "structn2v"):
        error = float((shown[name] - truth).square().mean().sqrt())
        assert float(shown[f"left_by_{name}"]) == pytest.approx(100 * error / 40, rel=1e-3)
        assert float(shown[f"of_{name}"][0]) == pytest.approx((error / 40) ** 2, rel=1e-3)
    filtered = [gaussian_filter(image.numpy(), width, mode="mirror", radius=REACH_PX) for width in WIDTHS_PX]
    least = min(float((torch.from_numpy(one) - truth).square().mean().sqrt()) for one in filtered)
    assert float(shown["left_by_gaussian"]) == pytest.approx(100 * least / 40, rel=1e-3)
    noise = image - truth
    below = float((noise[:-2] * noise[2:]).mean()) / 40**2
    assert float(shown["of_noise"][2]) == pytest.approx(below, rel=1e-3)
    assert shown["of_noise"].shape == (FARTHEST_PX + 1,)
    assert truth.shape == (SIDE, SIDE)


def test_the_reader_sees_what_the_caption_promises() -> None:
    def left(correlation: float, hidden: float) -> dict[str, float]:
        shown = live.evaluate(FIGURE, {"correlation": correlation, "hidden_pixels": hidden})
        return {name: float(shown[f"left_by_{name}"]) for name in ("noise2void", "structn2v", "gaussian")}

    white = left(0.0, 3.0)
    assert white["noise2void"] < 0.9 * white["gaussian"]
    assert white["structn2v"] == pytest.approx(white["noise2void"], rel=0.1)
    shared = left(0.5, 3.0)
    assert shared["noise2void"] > 1.5 * shared["gaussian"]
    assert shared["structn2v"] < 0.9 * shared["gaussian"]
    assert left(0.5, 1.0)["structn2v"] > 1.2 * shared["structn2v"]


def test_the_graph_is_small() -> None:
    assert len(export_graph(FIGURE)) < 1e6
