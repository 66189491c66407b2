"""The live figure of deconvolution against the library: the same estimates, errors and semi-convergence."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from course_lib import deconvolution, live, metrics, optics
from course_lib.live.figures.deconvolution import (
    BACKGROUND,
    DIRECT,
    FIGURE,
    ITERATIVE,
    LARGEST_ERROR,
    MOST_ITERATIONS,
    PIXEL_UM,
    SHAPE,
)
from course_lib.live.run import advance, check_values, initial_state
from course_lib.live.widget import LiveWidget

CPU = torch.device("cpu")
PSF = optics.airy_psf(
    optics.Microscope(numerical_aperture=0.8, immersion_index=1.0), shape=SHAPE, voxel_size_um=(PIXEL_UM, PIXEL_UM)
)


def show(**values: Any) -> live.Tensors:
    return live.evaluate(FIGURE, values)


def restored(method: Callable[..., torch.Tensor], shown: live.Tensors, photons: float, **keywords: Any) -> torch.Tensor:
    """Restore the image that the figure shows with the library."""
    return method(shown["image"], PSF, background=BACKGROUND * photons, boundary="circular", **keywords)


@pytest.mark.parametrize("photons", [5.0, 2000.0])
@pytest.mark.parametrize("iterations", [1, 30])
@pytest.mark.parametrize(
    ("method", "reference"),
    [
        ("Richardson-Lucy", deconvolution.richardson_lucy),
        ("accelerated RL", deconvolution.accelerated_richardson_lucy),
    ],
)
def test_richardson_lucy_is_that_of_the_library(
    method: str, reference: Callable[..., torch.Tensor], iterations: int, photons: float
) -> None:
    shown = show(method=method, iterations=iterations, photons=photons)
    expected = restored(reference, shown, photons, iterations=iterations)
    assert float((shown["estimate"] - expected).abs().max()) <= 1e-4 * float(expected.max())


@pytest.mark.parametrize("regularization", [1e-4, 0.3])
def test_tikhonov_and_landweber_are_those_of_the_library(regularization: float) -> None:
    shown = show(method="Tikhonov", regularization=regularization)
    expected = restored(deconvolution.tikhonov, shown, 30.0, regularization=regularization)
    assert float((shown["estimate"] - expected).abs().max()) <= 1e-4 * float(expected.abs().max())
    shown = show(method="Landweber", regularization=regularization, iterations=40)
    expected = restored(deconvolution.landweber_after, shown, 30.0, iterations=40, regularization=regularization)
    assert float((shown["estimate"] - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


def test_the_inverse_explodes_as_that_of_the_library() -> None:
    shown = show(method="inverse")
    expected = restored(deconvolution.naive_inverse, shown, 30.0)
    truth = float(shown["truth"].max())
    assert float(expected.abs().max()) > 1e3 * truth
    assert float(shown["estimate"].abs().max()) > 1e3 * truth
    assert float(shown["error"]) == LARGEST_ERROR


@pytest.mark.parametrize("method", FIGURE.controls[0].choices)
def test_the_error_is_the_nrmse_of_what_is_shown(method: str) -> None:
    shown = show(method=method, iterations=17, photons=200.0)
    expected = float(metrics.nrmse(shown["estimate"], shown["truth"]))
    assert float(shown["error"]) == pytest.approx(min(expected, LARGEST_ERROR), rel=1e-4)
    assert float(shown["errors"][16]) == pytest.approx(float(shown["error"]), rel=1e-4)
    assert float(shown["shown"]) == 17


def test_the_curve_of_landweber_is_that_of_its_iterations() -> None:
    shown = show(method="Landweber", iterations=5)
    errors: list[float] = []
    restored(
        deconvolution.landweber,
        shown,
        30.0,
        iterations=20,
        step=1 / 1.01,
        regularization=0.01,
        callback=lambda _, estimate: errors.append(float(metrics.nrmse(estimate, shown["truth"]))),
    )
    torch.testing.assert_close(shown["errors"][:20], torch.tensor(errors), rtol=1e-4, atol=0)
    assert bool(torch.isfinite(shown["errors"]).all())


def test_the_curve_of_richardson_lucy_grows_with_its_iterations() -> None:
    shown = show(method="Richardson-Lucy", iterations=12)
    assert torch.isfinite(shown["errors"]).tolist() == [number < 12 for number in range(MOST_ITERATIONS)]
    longer = show(method="Richardson-Lucy", iterations=40)
    assert torch.equal(longer["errors"][:12], shown["errors"][:12])


@pytest.mark.parametrize("method", DIRECT)
def test_what_is_done_at_once_is_what_all_steps_give(method: str) -> None:
    values = check_values(FIGURE, {"method": method, "iterations": 6})
    state = initial_state(FIGURE, values=values, seed=0, device=CPU)
    outputs = advance(FIGURE, values=values, seed=0, state=state, first=0, last=6, device=CPU)[1]
    for name, expected in live.evaluate(FIGURE, values).items():
        torch.testing.assert_close(outputs[name], expected, rtol=0, atol=0, equal_nan=True)


def test_the_reader_sees_what_the_caption_promises() -> None:
    dim = show(method="Richardson-Lucy", iterations=100, photons=10.0)
    errors = dim["errors"]
    assert 20 < int(errors.argmin()) + 1 < 45
    assert float(errors[-1]) > 1.15 * float(dim["least"])
    brighter = show(method="Richardson-Lucy", iterations=100, photons=30.0)
    assert int(brighter["errors"].argmin()) > 1.3 * int(errors.argmin())
    faster = show(method="accelerated RL", iterations=100, photons=10.0)
    assert int(faster["errors"].argmin()) < 0.5 * int(errors.argmin())
    assert float(faster["least"]) == pytest.approx(float(dim["least"]), rel=0.02)
    tikhonov = [float(show(method="Tikhonov", regularization=weight)["error"]) for weight in (1e-4, 0.02, 1.0)]
    assert tikhonov[1] < 0.8 * min(tikhonov[0], tikhonov[2])
    assert float(brighter["least"]) < tikhonov[1] < float(brighter["untouched"])


@pytest.mark.parametrize("method", FIGURE.controls[0].choices)
def test_the_read_out_of_the_least_error_is_on_the_curve(method: str) -> None:
    shown = show(method=method, iterations=60, photons=10.0)
    near = shown["near"]
    if method in ("inverse", "Tikhonov"):
        assert bool(torch.isnan(near).all())
        return
    errors = torch.nan_to_num(shown["errors"], nan=torch.inf)
    assert float(shown["least"]) == float(errors.min())
    below = (errors <= 1.01 * errors.min()).nonzero()[0] + 1
    assert float(near) == float(below)


def test_the_image_is_the_blurred_truth_with_background_and_poisson_noise() -> None:
    photons = 50.0
    shown = show(photons=photons)
    mean = optics.Convolution(PSF, SHAPE, boundary="circular")(shown["truth"]) + BACKGROUND * photons
    assert float(mean.max()) == pytest.approx((1 + BACKGROUND) * photons, rel=1e-3)
    counts = shown["image"]
    assert torch.equal(counts, counts.round())
    z = (counts - mean) / mean.sqrt()
    assert abs(float(z.mean())) < 4 / SHAPE[0]
    assert float(z.square().mean()) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("method", FIGURE.controls[0].choices)
def test_a_direct_method_has_done_no_iterations(method: str) -> None:
    done = float(show(method=method, iterations=7)["done"])
    assert math.isnan(done) if method in ("inverse", "Tikhonov") else done == 7


def test_the_slider_of_photons_lands_on_the_numbers_of_the_chapter() -> None:
    """The front end spreads 120 steps evenly over the logarithm."""
    control = next(c for c in FIGURE.controls if c.name == "photons")
    assert control.scale == "log"
    assert control.slider is not None
    low, high = control.slider
    for photons in (3, 30, 300, 3000):
        position = 120 * math.log(photons / low) / math.log(high / low)
        assert position == pytest.approx(round(position), abs=1e-9)


def test_methods_are_told_apart() -> None:
    assert set(FIGURE.at_once["method"]) == set(DIRECT)
    assert FIGURE.controls[0].choices == (*DIRECT, *ITERATIVE)


@pytest.mark.parametrize(("method", "portions"), [("Tikhonov", [(8, 9)]), ("accelerated RL", [(0, 1), (1, 9)])])
def test_the_kernel_answers_at_once_or_in_portions(
    monkeypatch: pytest.MonkeyPatch, method: str, portions: list[tuple[int, int]]
) -> None:
    widget, sent = LiveWidget(FIGURE), []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append((content, buffers)))
    values = check_values(FIGURE, {"method": method, "iterations": 9, "photons": 300.0})
    for _ in range(2):  # the second time from the start again
        for first, last in portions:
            widget._handle_custom_msg({"id": "1", "values": values, "seed": 4, "first": first, "last": last}, [])
        content, buffers = sent[-1]
        for (name, expected), buffer in zip(live.evaluate(FIGURE, values, seed=4).items(), buffers, strict=True):
            found = torch.frombuffer(bytearray(buffer), dtype=torch.float32).reshape(expected.shape)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5, equal_nan=True, msg=name)
        assert content == {"id": "1", "names": list(live.evaluate(FIGURE, values, seed=4))}
