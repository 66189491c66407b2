"""What holds for every method that multiplies the spectrum by a factor."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.deconvolution import (
    Blur,
    estimate_noise_to_signal,
    landweber,
    landweber_after,
    least_squares,
    naive_inverse,
    tikhonov,
    wiener,
)
from synthetic import gaussian, random, sharp_psf

Method = Callable[..., torch.Tensor]


def estimated_wiener(image: torch.Tensor, psf: torch.Tensor, **keywords: Any) -> torch.Tensor:
    return wiener(image, psf, voxel_size_um=(0.3, 0.1, 0.1)[-psf.ndim :], **keywords)


LINEAR: dict[str, Method] = {
    "naive inverse": naive_inverse,
    "least squares": partial(least_squares, smallest_transfer=0.1),
    "Tikhonov": partial(tikhonov, regularization=0.02),
    "Wiener, constant": partial(wiener, noise_to_signal=0.05),
    "Landweber": partial(landweber, iterations=12),
    "Landweber, closed": partial(landweber_after, iterations=12),
}
ALL = LINEAR | {"Wiener, estimated": estimated_wiener}
DIRECT = {name: method for name, method in LINEAR.items() if name != "Landweber"}
GAINS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "naive inverse": lambda power: 1 / power,
    "least squares": lambda power: 1 / power,
    "Tikhonov": lambda power: 1 / (power + 0.02),
    "Wiener, constant": lambda power: 1 / (power + 0.05),
    "Landweber": lambda power: (1 - (1 - power / power.max()) ** 12) / power,
    "Landweber, closed": lambda power: (1 - (1 - power / power.max()) ** 12) / power,
}
BOUNDARIES = ("linear", "circular")


def of(methods: dict[str, Method]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("method", [pytest.param(method, id=name) for name, method in methods.items()])


def transfer(psf: torch.Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Sum the PSF's waves one by one: the definition of the transfer function."""
    values = np.zeros(shape, dtype=complex)
    for index, weight in np.ndenumerate(psf.numpy()):
        place = tuple((k - extent // 2) % side for k, extent, side in zip(index, psf.shape, shape, strict=True))
        values[place] += weight
    return np.fft.fftn(values)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = tuple(draw(st.lists(st.integers(2, 9), min_size=2, max_size=3)))
    return shape, tuple(draw(st.integers(1, side)) for side in shape)


@pytest.mark.parametrize("name", LINEAR)
@settings(deadline=None, max_examples=20)
@given(sides=shapes(), seed=st.integers(0, 2**31))
def test_the_closed_form_with_numpy(name: str, sides: tuple[tuple[int, ...], tuple[int, ...]], seed: int) -> None:
    shape, extents = sides
    psf, image = sharp_psf(extents, seed=seed), random(shape, seed=seed + 1)
    H, Y = transfer(psf, shape), np.fft.fftn(image.numpy())
    expected = np.fft.ifftn(H.conj() * GAINS[name](np.abs(H) ** 2) * Y)
    np.testing.assert_allclose(expected.imag, 0, atol=1e-12)
    restored = LINEAR[name](image, psf, boundary="circular")
    np.testing.assert_allclose(restored.numpy(), expected.real, atol=1e-10)


@pytest.mark.parametrize("name", DIRECT)
@pytest.mark.parametrize(("shape", "extents"), [((7, 8), (4, 5)), ((6, 5, 7), (3, 8, 2)), ((3, 4), (9, 9))])
def test_a_ramp_bridges_the_borders(name: str, shape: tuple[int, ...], extents: tuple[int, ...]) -> None:
    psf, image = sharp_psf(extents, seed=0), random(shape, seed=1)
    ring = Blur(psf, shape).object_shape
    bridged = image.numpy()
    for axis, (size, side) in enumerate(zip(shape, ring, strict=True)):

        def extend(line: np.ndarray, size: int = size, side: int = side) -> np.ndarray:
            return np.interp(np.arange(side), [*range(size), side], [*line, line[0]])

        bridged = np.apply_along_axis(extend, axis, bridged)
    H = transfer(psf, ring)
    expected = np.fft.ifftn(H.conj() * GAINS[name](np.abs(H) ** 2) * np.fft.fftn(bridged)).real
    restored = LINEAR[name](image, psf)
    np.testing.assert_allclose(restored.numpy(), expected[tuple(slice(side) for side in shape)], atol=1e-10)


@of({name: LINEAR[name] for name in ("Tikhonov", "Wiener, constant", "Landweber, closed", "Landweber")})
def test_no_seam_where_the_borders_differ(method: Method) -> None:
    """A field that brightens from left to right has an edge only on a ring."""
    psf = gaussian((1, 13), 2.0)
    truth = torch.linspace(100, 1000, 80, dtype=torch.float64).expand(8, -1)
    image = Blur(psf, (8, 68), boundary="linear")(_around(truth, 6, Blur(psf, (8, 68)).object_shape))
    inside = truth[:, 6:-6]
    errors = {boundary: float((method(image, psf, boundary=boundary) - inside).std()) for boundary in BOUNDARIES}
    assert errors["linear"] < 0.35 * errors["circular"]


def _around(truth: torch.Tensor, margin: int, ring: tuple[int, ...]) -> torch.Tensor:
    """Lay an object with a margin to both sides on a ring that begins with what is behind the margin."""
    return torch.nn.functional.pad(truth, (0, ring[-1] - truth.shape[-1])).roll(-margin, dims=-1)


@of(ALL)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [(20, 24, 26), (21, 25, 27)])
@pytest.mark.parametrize("extents", [(7, 11, 11), (8, 10, 12), (8, 11, 10)])
def test_a_point_stays_where_it_is(
    method: Method, boundary: str, size: tuple[int, ...], extents: tuple[int, ...]
) -> None:
    psf = gaussian(extents, 1.0)
    blur = Blur(psf, size, boundary=boundary)
    point = torch.zeros(blur.object_shape, dtype=torch.float64)
    point[9, 11, 12] = 1000.0
    restored = method(blur(point), psf, boundary=boundary)
    at = np.unravel_index(int(restored.argmax()), restored.shape)
    assert at == (9, 11, 12)
    near = restored[6:13, 8:15, 9:16]
    for axis, centre in enumerate((3, 3, 3)):
        profile = near.sum(dim=[other for other in range(3) if other != axis])
        mean = float((profile * torch.arange(7)).sum() / profile.sum())
        assert abs(mean - centre) < 0.01


@of({name: ALL[name] for name in ("naive inverse", "least squares")})
@pytest.mark.parametrize(("shape", "extents"), [((8, 9), (5, 4)), ((9, 8), (4, 5)), ((4, 7, 6), (3, 6, 4))])
def test_without_noise_the_inverse_is_exact(method: Method, shape: tuple[int, ...], extents: tuple[int, ...]) -> None:
    psf, truth = sharp_psf(extents, seed=3), random(shape, seed=4)
    image = Blur(psf, shape, boundary="circular")(truth)
    torch.testing.assert_close(method(image, psf, boundary="circular"), truth, atol=1e-12, rtol=0)


@of(LINEAR)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@settings(deadline=None, max_examples=15)
@given(sides=shapes(), seed=st.integers(0, 2**31), factor=st.floats(-3, 3))
def test_linear(
    method: Method, boundary: str, sides: tuple[tuple[int, ...], tuple[int, ...]], seed: int, factor: float
) -> None:
    shape, extents = sides
    psf, one, other = sharp_psf(extents, seed=seed), random(shape, seed=seed + 1), random(shape, seed=seed + 2)
    both = method(one + factor * other, psf, boundary=boundary)
    apart = method(one, psf, boundary=boundary) + factor * method(other, psf, boundary=boundary)
    torch.testing.assert_close(both, apart, atol=1e-9, rtol=0)


@of(ALL)
@settings(deadline=None, max_examples=15)
@given(sides=shapes(), seed=st.integers(0, 2**31), shift=st.integers(-10, 10))
def test_a_circular_shift_commutes(
    method: Method, sides: tuple[tuple[int, ...], tuple[int, ...]], seed: int, shift: int
) -> None:
    shape, extents = sides
    psf, image = sharp_psf(extents, seed=seed), 100 * random(shape, seed=seed + 1)
    shifts, dims = [shift + axis for axis in range(len(shape))], tuple(range(len(shape)))
    moved = method(image.roll(shifts, dims), psf, boundary="circular")
    torch.testing.assert_close(moved, method(image, psf, boundary="circular").roll(shifts, dims), atol=1e-6, rtol=1e-6)


@of(ALL)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_leading_axes_are_a_batch(method: Method, boundary: str, dimensions: int) -> None:
    psf = sharp_psf((3, 4, 5)[-dimensions:], seed=2)
    brightness = torch.tensor([1.0, 30.0, 1000.0]).double().reshape(3, *[1] * dimensions)
    batch = torch.poisson(
        brightness * random((2, 3, *(7, 12, 9)[-dimensions:]), seed=1), generator=torch.Generator().manual_seed(0)
    )
    restored = method(batch, psf, boundary=boundary)
    assert restored.shape == batch.shape
    for index in np.ndindex(2, 3):
        torch.testing.assert_close(restored[index], method(batch[index], psf, boundary=boundary))


@of(ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_shape_dtype_and_input_are_kept(method: Method, dtype: torch.dtype, boundary: str) -> None:
    psf, image = sharp_psf((3, 3), seed=0).to(dtype), (100 * random((5, 2, 7, 10), seed=1)).to(dtype)
    before = image.clone(), psf.clone()
    restored = method(image, psf, boundary=boundary)
    assert restored.shape == image.shape
    assert restored.dtype == dtype
    assert restored.is_contiguous()
    assert torch.equal(image, before[0])
    assert torch.equal(psf, before[1])


@of(ALL)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("extents", [(9, 9), (8, 9), (1, 2)])
def test_empty_and_even_images(method: Method, boundary: str, extents: tuple[int, ...]) -> None:
    """Also for PSFs whose transfer function is 0 somewhere."""
    psf = torch.ones(extents) / torch.ones(extents).sum()
    assert torch.equal(method(torch.zeros(2, 18, 18), psf, boundary=boundary), torch.zeros(2, 18, 18))
    for brightness in (1e-6, 7.0, 1e6):
        told = brightness < 0.5 and method is estimated_wiener
        with pytest.warns(UserWarning, match="image reaches 1e-06") if told else contextlib.nullcontext():
            even = method(torch.full((18, 18), brightness), psf, boundary=boundary)
        assert bool(torch.isfinite(even).all())


@of(ALL)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_an_even_image_stays_even(method: Method, boundary: str) -> None:
    psf = sharp_psf((5, 4), seed=0)
    even = method(torch.full((12, 13), 50.0).double(), psf, boundary=boundary)
    assert float(even.max() - even.min()) < 1e-10
    assert 50 / 1.06 < float(even.mean()) < 50 + 1e-9


@of(LINEAR)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_background_is_subtracted(method: Method, boundary: str) -> None:
    psf, image, uneven = sharp_psf((3, 4), seed=0), random((9, 8), seed=1), random((9, 1), seed=2)
    expected = method(image, psf, boundary=boundary)
    for background in (5.0, uneven):
        restored = method(image + background, psf, background=background, boundary=boundary)
        torch.testing.assert_close(restored, expected, atol=1e-11, rtol=0)


@of(DIRECT)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_direct_methods_carry_gradients_to_image_and_psf(method: Method, boundary: str) -> None:
    def restore(image: torch.Tensor, psf: torch.Tensor) -> torch.Tensor:
        return method(image, psf / psf.sum(), boundary=boundary)

    image, psf = random((4, 5), seed=0).requires_grad_(), sharp_psf((2, 3), seed=1).requires_grad_()
    assert torch.autograd.gradcheck(restore, (image, psf))


@of(DIRECT)
def test_gradients_are_finite_where_nothing_passed(method: Method) -> None:
    image, psf = random((4, 8), seed=0).requires_grad_(), torch.tensor([[0.5, 0.5]]).double().requires_grad_()
    method(image, psf, boundary="circular").square().sum().backward()
    assert image.grad is not None
    assert psf.grad is not None
    assert bool(torch.isfinite(image.grad).all() & torch.isfinite(psf.grad).all())


def test_tensors_that_tune_a_direct_method_get_gradients_too() -> None:
    psf, image = sharp_psf((3, 3), seed=0), random((6, 8), seed=1)

    def by_ratio(ratio: torch.Tensor) -> torch.Tensor:
        return wiener(image, psf, noise_to_signal=ratio, boundary="circular")

    def by_iterations(iterations: torch.Tensor) -> torch.Tensor:
        return landweber_after(image, psf, iterations=iterations, step=0.7)

    assert torch.autograd.gradcheck(by_ratio, random((6, 5), seed=2).requires_grad_())
    assert torch.autograd.gradcheck(by_iterations, torch.tensor(7.5, dtype=torch.float64, requires_grad=True))


def test_what_is_estimated_or_iterated_carries_no_gradients() -> None:
    """Those of Wiener's filter are those at the ratio that was found."""
    psf, image = sharp_psf((3, 3), seed=0).requires_grad_(), (100 * random((9, 8), seed=1)).requires_grad_()
    assert not landweber(image, psf, iterations=2).requires_grad
    ratio = estimate_noise_to_signal(image, psf)
    assert not ratio.requires_grad
    gradients = []
    for noise_to_signal in (None, ratio):
        restored = wiener(image, psf, noise_to_signal=noise_to_signal)
        gradients.append(torch.autograd.grad(restored.square().sum(), (image, psf)))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"image": torch.full((8, 8), torch.nan)}, ValueError, "image has 64 values that are NaN or infinite"),
    ({"image": torch.ones(8, 8, dtype=torch.int32)}, TypeError, "must be floating point"),
    ({"image": torch.ones(8)}, ValueError, "needs at least 2 axes"),
    ({"image": torch.ones(8, 8).double()}, TypeError, "image has dtype torch.float64, but the psf torch.float32"),
    ({"psf": torch.ones(3, 3)}, ValueError, "psf sums to 9, but must sum to 1"),
    ({"psf": torch.tensor([[-0.5, 1.5]])}, ValueError, "psf has a value of -0.5"),
    ({"psf": torch.ones(1, 1, 1, 1)}, ValueError, r"must be \(y, x\) or \(z, y, x\)"),
    ({"background": -1.0}, ValueError, "background is -1, but must be finite and at least 0"),
    ({"background": torch.ones(3)}, ValueError, r"background has shape \(3,\)"),
    ({"boundary": "zero"}, ValueError, "boundary is 'zero', but must be 'linear'"),
    ({"psf": torch.ones(9, 9) / 81, "boundary": "circular"}, ValueError, "for a circular boundary at most"),
]


@of(ALL)
@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_what_is_wrong_is_said(method: Method, change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"image": torch.ones(8, 8), "psf": torch.ones(3, 3) / 9} | change
    with pytest.raises(error, match=message):
        method(arguments.pop("image"), arguments.pop("psf"), **arguments)


@pytest.mark.gpu
@of(ALL)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_gpu_gives_the_same(method: Method, boundary: str) -> None:
    psf, image = sharp_psf((3, 5, 4), seed=0), 100 * random((2, 8, 17, 16), seed=1)
    restored = method(image.cuda(), psf.cuda(), boundary=boundary)
    assert restored.device.type == "cuda"
    torch.testing.assert_close(restored.cpu(), method(image, psf, boundary=boundary), atol=1e-6, rtol=1e-6)
