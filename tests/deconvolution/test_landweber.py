import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.deconvolution import (
    Blur,
    landweber,
    landweber_after,
    landweber_gain,
    least_squares,
    naive_inverse,
    tikhonov,
)
from course_lib.deconvolution._direct import bridge
from synthetic import gaussian, lopsided_psf, matrix, random

BOUNDARIES = ("linear", "circular")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("regularization", [0.0, 0.05])
@pytest.mark.parametrize("step", [None, 0.3, 1.85])
@pytest.mark.parametrize(("shape", "extents"), [((13, 16), (4, 5)), ((6, 9, 8), (3, 4, 5))])
def test_the_closed_form_is_where_the_steps_lead(
    dtype: torch.dtype,
    tolerance: float,
    regularization: float,
    step: float | None,
    shape: tuple[int, ...],
    extents: tuple[int, ...],
) -> None:
    psf, image = lopsided_psf(extents, seed=0).to(dtype), random((2, *shape), seed=1).to(dtype)
    same: dict[str, Any] = {"step": step, "regularization": regularization, "boundary": "circular"}
    for iterations in (1, 2, 7, 50):
        walked = landweber(image, psf, iterations=iterations, **same)
        at_once = landweber_after(image, psf, iterations=iterations, **same)
        torch.testing.assert_close(at_once, walked, atol=tolerance * float(walked.abs().max()), rtol=0)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("minimum", [None, 0.0])
def test_step_by_step_with_a_matrix(boundary: str, minimum: float | None) -> None:
    psf, image = lopsided_psf((3, 4), seed=0), random((5, 6), seed=1)
    H, y = matrix(Blur(psf, (5, 6), boundary=boundary)), image.numpy().ravel() - 0.4
    x = np.full(H.shape[1], y.mean())
    for _ in range(9):
        x += 0.8 * (H.T @ (y - H @ x) - 0.02 * x)
        if minimum is not None:
            x = np.maximum(x, minimum)
    restored = landweber(
        image,
        psf,
        iterations=9,
        step=0.8,
        regularization=0.02,
        minimum=minimum,
        background=0.4,
        boundary=boundary,
    )
    blur = Blur(psf, (5, 6), boundary=boundary)
    expected = blur.crop(torch.from_numpy(x).reshape(blur.object_shape))
    torch.testing.assert_close(restored, expected, atol=1e-12, rtol=0)


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 2**31),
    step=st.floats(0.01, 1.99),
    boundary=st.sampled_from(BOUNDARIES),
    minimum=st.sampled_from([None, 0.0]),
)
def test_an_even_image_stays_even(seed: int, step: float, boundary: str, minimum: float | None) -> None:
    psf, image = lopsided_psf((5, 6), seed=seed), torch.full((2, 9, 12), 100.0, dtype=torch.float64)
    restored = landweber(image, psf, iterations=100, step=step, minimum=minimum, boundary=boundary)
    torch.testing.assert_close(restored, image, rtol=1e-9, atol=0)
    at_once = landweber_after(image, psf, iterations=100, step=step, boundary=boundary)
    torch.testing.assert_close(at_once, image, rtol=1e-9, atol=0)


def test_from_an_empty_start_the_borders_would_be_too_bright() -> None:
    psf, image = gaussian((9, 9), 2.0), torch.full((32, 32), 100.0, dtype=torch.float64)
    blur = Blur(psf, (32, 32))
    x = torch.zeros(blur.object_shape, dtype=torch.float64)
    for _ in range(100):
        x += blur.adjoint(image - blur(x))
    assert float(blur.crop(x).max()) > 120
    torch.testing.assert_close(landweber(image, psf), image, rtol=1e-9, atol=0)


def test_many_steps_reach_the_least_squares_nearest_to_the_start() -> None:
    """Also with a linear boundary, where H has borders, and no transform knows them."""
    psf = torch.tensor([[0.0, 0.1, 0.1], [0.1, 0.7, 0.0]], dtype=torch.float64)
    image, blur = random((4, 5), seed=1), Blur(psf, (4, 5))
    H, y = matrix(blur), image.numpy().ravel()
    even = np.full(H.shape[1], y.mean())
    expected = even + np.linalg.pinv(H) @ (y - H @ even)  # of all objects that fit, the one nearest to the start
    restored = landweber(image, psf, iterations=1000, step=1.9)
    torch.testing.assert_close(
        restored, blur.crop(torch.from_numpy(expected).reshape(blur.object_shape)), atol=1e-10, rtol=0
    )


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), step=st.floats(0.01, 1.99), boundary=st.sampled_from(BOUNDARIES))
def test_no_step_below_the_limit_makes_the_fit_worse(seed: int, step: float, boundary: str) -> None:
    psf, image = lopsided_psf((3, 4), seed=seed), random((2, 7, 8), seed=seed + 1)
    blur = Blur(psf, (7, 8), boundary=boundary)
    misfits: list[float] = []

    def keep(_iteration: int, _estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        misfits.append(float((image - expected).square().sum()))
        return False

    landweber(image, psf, iterations=15, step=step, boundary=boundary, stop=keep)
    assert len(misfits) == 15
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(misfits))
    assert float(blur.transfer.abs().max()) == pytest.approx(1)


def test_the_least_value_holds_at_each_iteration() -> None:
    psf, image = lopsided_psf((3, 3), seed=0), random((9, 9), seed=1)
    lowest: list[float] = []
    landweber(image, psf, iterations=20, minimum=0.1, callback=lambda _, x: lowest.append(float(x.min())))
    assert min(lowest) == pytest.approx(0.1)
    assert float(landweber(image, psf, iterations=20).min()) < 0


def test_callback_sees_what_fewer_iterations_return() -> None:
    psf, image = lopsided_psf((3, 4), seed=0), random((2, 9, 8), seed=1)
    seen: dict[int, torch.Tensor] = {}
    landweber(image, psf, iterations=4, callback=lambda i, x: seen.update({i: x.clone()}))
    assert list(seen) == [1, 2, 3, 4]
    for iterations, estimate in seen.items():
        torch.testing.assert_close(estimate, landweber(image, psf, iterations=iterations), rtol=0, atol=0)


def test_a_rule_stops_before_the_iteration_it_is_asked_about() -> None:
    psf, image = lopsided_psf((3, 4), seed=0), random((9, 8), seed=1)
    blur = Blur(psf, (9, 8))

    def third(iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        torch.testing.assert_close(expected, blur(estimate) + 0.1)
        return iteration == 3

    stopped = landweber(image, psf, iterations=50, background=0.1, stop=third)
    torch.testing.assert_close(stopped, landweber(image, psf, iterations=3, background=0.1), rtol=0, atol=0)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_ends_of_the_closed_form(boundary: str) -> None:
    psf = torch.tensor([[0.0, 0.1, 0.0], [0.0, 0.7, 0.2]], dtype=torch.float64)
    image = random((9, 8), seed=1)
    start = landweber_after(image, psf, iterations=0, boundary=boundary)
    mean = bridge(image, Blur(psf, (9, 8), boundary=boundary).object_shape).mean()
    torch.testing.assert_close(start, mean.expand(9, 8), atol=1e-14, rtol=0)
    torch.testing.assert_close(
        landweber_after(image, psf, iterations=1e5, boundary=boundary), naive_inverse(image, psf, boundary=boundary)
    )
    torch.testing.assert_close(
        landweber_after(image, psf, iterations=1e5, regularization=0.1, boundary=boundary),
        tikhonov(image, psf, regularization=0.1, boundary=boundary),
    )


def test_the_closed_form_at_frequencies_that_did_not_pass() -> None:
    psf, image = torch.tensor([[0.5, 0.5]], dtype=torch.float64), random((4, 8), seed=0)
    many = landweber_after(image, psf, iterations=1e6, boundary="circular")
    torch.testing.assert_close(many, least_squares(image, psf, boundary="circular"))


def test_iterations_as_a_tensor_between_whole_numbers() -> None:
    psf, image = lopsided_psf((3, 4), seed=0), random((9, 8), seed=1)
    for iterations in (3, 7.25):
        number = landweber_after(image, psf, iterations=iterations)
        for dtype in (torch.float32, torch.float64):
            torch.testing.assert_close(
                landweber_after(image, psf, iterations=torch.tensor(iterations, dtype=dtype)), number
            )
    below, between, above = (landweber_after(image, psf, iterations=k).norm() for k in (7, 7.25, 8))
    assert below < between < above


@pytest.mark.parametrize("regularization", [0.0, 0.2])
@pytest.mark.parametrize(("iterations", "step"), [(0, 0.4), (3, 0.4), (7, 1.6)])
def test_the_mean_in_closed_form(regularization: float, iterations: int, step: float) -> None:
    psf, image = lopsided_psf((3, 4), seed=0), random((9, 8), seed=1)
    share = (1 - step * (1 + regularization)) ** iterations
    expected = float(image.mean()) * (share + (1 - share) / (1 + regularization))
    restored = landweber_after(
        image, psf, iterations=iterations, step=step, regularization=regularization, boundary="circular"
    )
    assert float(restored.mean()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("iterations", [1, 3, 30, 1000])
def test_the_gain_in_float32_is_exact_where_little_passed(iterations: int) -> None:
    power = torch.logspace(-30, 0, 301, dtype=torch.float64).float()
    exact = power.double().numpy()
    with np.errstate(divide="ignore"):
        expected = -np.expm1(iterations * np.log1p(-exact)) / exact
    gain = landweber_gain(power, iterations=iterations, step=1.0).numpy()
    np.testing.assert_allclose(gain, expected, rtol=3e-6)
    assert float(landweber_gain(torch.zeros(1), iterations=iterations, step=0.5)) == pytest.approx(0.5 * iterations)


@settings(deadline=None, max_examples=50)
@given(
    iterations=st.integers(0, 60),
    power=st.floats(0, 1),
    step=st.floats(0.01, 1.9),
    regularization=st.floats(0, 0.05),
)
def test_the_gain_is_the_geometric_sum(iterations: int, power: float, step: float, regularization: float) -> None:
    factor = 1 - step * (power + regularization)
    expected = step * sum(factor**k for k in range(iterations))
    gain = landweber_gain(
        torch.tensor(power, dtype=torch.float64), iterations=iterations, step=step, regularization=regularization
    )
    assert float(gain) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_slope_of_the_gain_is_finite() -> None:
    power = torch.tensor([0.0, 1e-20, 0.3, 1.0], dtype=torch.float64)
    iterations = torch.tensor(12.0, dtype=torch.float64, requires_grad=True)
    landweber_gain(power, iterations=iterations, step=1.0).sum().backward()
    assert iterations.grad is not None
    at = [float(landweber_gain(power, iterations=k, step=1.0).sum()) for k in (11.999, 12.001)]
    assert float(iterations.grad) == pytest.approx((at[1] - at[0]) / 0.002, rel=1e-6)


class Restoration(torch.nn.Module):
    """The closed form as a live figure uses it: no checks, one transform each way."""

    def __init__(self, transfer: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("real", transfer.real.clone())
        self.register_buffer("imaginary", transfer.imag.clone())

    def forward(self, image: torch.Tensor, iterations: torch.Tensor) -> torch.Tensor:
        real, imaginary = self.get_buffer("real"), self.get_buffer("imaginary")
        gain = landweber_gain(real**2 + imaginary**2, iterations=iterations, step=1.0)
        spectrum = torch.fft.rfft2(image)
        return torch.fft.irfft2(
            torch.complex(
                gain * (real * spectrum.real + imaginary * spectrum.imag),
                gain * (real * spectrum.imag - imaginary * spectrum.real),
            ),
            s=(16, 16),
        )


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_the_gain_can_be_exported() -> None:
    import onnxruntime

    psf = lopsided_psf((5, 4), seed=0)
    image = random((16, 16), seed=1)
    transfer = Blur(psf.float(), (16, 16), boundary="circular").transfer
    program = torch.onnx.export(
        Restoration(transfer).eval(), (image.float(), torch.tensor(5.0)), dynamo=True, opset_version=20, verbose=False
    )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    names = [given.name for given in session.get_inputs()]
    for iterations in (1, 5, 37.5, 400):
        inputs = dict(zip(names, (image.float().numpy(), np.full((), iterations, dtype=np.float32)), strict=True))
        expected = landweber_after(image, psf, iterations=iterations, step=1.0, boundary="circular")
        np.testing.assert_allclose(session.run(None, inputs)[0], expected.numpy(), atol=3e-5 * float(expected.max()))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"iterations": 0}, ValueError, "iterations is 0, but must be at least 1"),
        ({"iterations": 2.5}, TypeError, "iterations is 2.5, but must be a whole number"),
        ({"step": 2.0}, ValueError, r"step is 2, but must be below 2, 2 / max\(\|H\|² \+ regularization\)"),
        ({"step": 1.7, "regularization": 0.25}, ValueError, "step is 1.7, but must be below 1.6"),
        ({"step": 0.0}, ValueError, "step is 0, but must be above 0"),
        ({"regularization": -1.0}, ValueError, "regularization is -1, but must be at least 0"),
        ({"minimum": math.nan}, ValueError, "minimum is nan, but must be a finite number"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        landweber(torch.ones(8, 8).double(), torch.ones(1, 1).double(), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iterations": -1}, "iterations is -1, but must be at least 0"),
        ({"iterations": torch.tensor(-1.0)}, "iterations is -1, but must be at least 0"),
        ({"iterations": torch.ones(3)}, r"iterations has shape \(3,\), but must be one number"),
        ({"iterations": 5, "step": 2.5}, "step is 2.5, but must be below 2"),
        ({"iterations": 5, "regularization": math.inf}, "regularization is inf, but must be a finite number"),
    ],
)
def test_what_is_wrong_with_the_closed_form_is_said(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        landweber_after(torch.ones(8, 8), torch.ones(1, 1), **change)
