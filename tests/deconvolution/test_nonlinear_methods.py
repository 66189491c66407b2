"""What Jansson-Van Cittert, Tikhonov-Miller and all kinds of Richardson-Lucy have in common."""

import contextlib
import itertools
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
    accelerated_richardson_lucy,
    jansson_van_cittert,
    richardson_lucy,
    tikhonov_miller,
    total_variation_richardson_lucy,
    unmatched_richardson_lucy,
    wiener_butterworth,
)
from synthetic import counts, gaussian, lopsided_psf, random

Method = Callable[..., torch.Tensor]
BOUNDARIES = ("linear", "circular")


def wiener_butterworth_richardson_lucy(image: torch.Tensor, psf: torch.Tensor, **keywords: Any) -> torch.Tensor:
    back_projector = wiener_butterworth(psf, cutoff_per_voxel=(0.3,) * psf.ndim)
    return unmatched_richardson_lucy(image, psf, back_projector=back_projector, **keywords)


def with_voxels(method: Method) -> Method:
    def restore(image: torch.Tensor, psf: torch.Tensor, **keywords: Any) -> torch.Tensor:
        return method(image, psf, voxel_size_um=(0.3, 0.1, 0.1)[-psf.ndim :], **keywords)

    return restore


TIKHONOV_MILLER = (with_voxels(tikhonov_miller), partial(tikhonov_miller, penalty="identity"))
LEAST_SQUARES = (jansson_van_cittert, *TIKHONOV_MILLER)
RICHARDSON_LUCY = [
    pytest.param(richardson_lucy, id="richardson_lucy"),
    pytest.param(accelerated_richardson_lucy, id="accelerated_richardson_lucy"),
]
OTHERS = [
    pytest.param(jansson_van_cittert, id="jansson_van_cittert"),
    pytest.param(TIKHONOV_MILLER[0], id="tikhonov_miller"),
    pytest.param(TIKHONOV_MILLER[1], id="tikhonov_miller identity"),
    pytest.param(with_voxels(total_variation_richardson_lucy), id="total_variation_richardson_lucy"),
    pytest.param(wiener_butterworth_richardson_lucy, id="unmatched_richardson_lucy"),
]
METHODS = RICHARDSON_LUCY + OTHERS
each_method = pytest.mark.parametrize("method", METHODS)
each_boundary = pytest.mark.parametrize("boundary", BOUNDARIES)


@pytest.mark.parametrize("method", OTHERS)
@settings(deadline=None, max_examples=6)
@given(
    shape=st.lists(st.integers(2, 9), min_size=2, max_size=3),
    extents=st.lists(st.integers(1, 8), min_size=3, max_size=3),
    background=st.sampled_from([0.0, 0.3, 5.0]),
    boundary=st.sampled_from(BOUNDARIES),
    seed=st.integers(0, 2**31),
)
def test_no_default_diverges_with_any_psf(
    method: Method, shape: list[int], extents: list[int], background: float, boundary: str, seed: int
) -> None:
    extents = [
        min(extent, side) if boundary == "circular" else extent for side, extent in zip(shape, extents, strict=False)
    ]
    image, psf = counts(tuple(shape), seed=seed) + background, lopsided_psf(tuple(extents), seed=seed + 2)
    restored = method(image, psf, iterations=200, background=background, boundary=boundary)
    assert restored.shape == image.shape
    assert float(restored.min()) >= 0
    brightest = float(image.max() / psf.max())
    assert float(restored.max()) <= 50 * brightest + 1


@pytest.mark.parametrize("method", METHODS[:-1])  # unmatched projectors do not keep it
@each_boundary
@pytest.mark.parametrize("background", [0.0, 4.0])
def test_the_flux_of_what_lies_inside_is_kept(method: Method, boundary: str, background: float) -> None:
    psf, truth = gaussian((9, 11), 1.3), torch.zeros(40, 41, dtype=torch.float64)
    truth[14:26, 15:25] = 20000 * random((12, 10), seed=0)
    image = Blur(psf, (40, 41), boundary="circular")(truth).clamp(min=0) + background
    iterations = 500 if method is jansson_van_cittert else 60  # in which dark voxels change slowly
    restored = method(image, psf, iterations=iterations, background=background, boundary=boundary)
    assert float(restored.sum() / truth.sum()) == pytest.approx(1, abs=0.01)


@each_method
@each_boundary
@pytest.mark.parametrize(
    ("extents", "shape"), list(itertools.product([(9, 11), (10, 12), (9, 12)], [(36, 40), (37, 41), (36, 41)]))
)
def test_nothing_moves(method: Method, boundary: str, extents: tuple[int, ...], shape: tuple[int, ...]) -> None:
    truth = torch.zeros(shape)
    truth[18, 20] = 1000.0
    psf = gaussian(extents, 1.0).float()
    image = Blur(psf, shape, boundary="circular")(truth).clamp(min=0)
    restored = method(image, psf, boundary=boundary)
    around = restored[18 - 6 : 18 + 7, 20 - 6 : 20 + 7]  # without what is left of the even start
    for axis in range(2):
        profile = around.sum(dim=1 - axis)
        assert abs(float((profile * torch.arange(13)).sum() / profile.sum()) - 6) < 0.01


@each_method
def test_a_lopsided_psf_is_undone_the_right_way_round(method: Method) -> None:
    spot = gaussian((11, 11), 1.0)
    psf = 0.6 * spot + 0.4 * spot.roll((-1, 2), dims=(0, 1))
    truth = torch.full((24, 25), 0.5, dtype=torch.float64)
    truth[8, 9], truth[15, 12] = 3000.0, 1500.0
    image = Blur(psf, (24, 25), boundary="circular")(truth)
    restored = method(image, psf, boundary="circular")
    turned_round = method(image, psf.flip(0, 1), boundary="circular")
    assert float((restored - truth).norm()) < 0.8 * float((turned_round - truth).norm())
    assert int(restored.argmax()) == 8 * 25 + 9


@pytest.mark.parametrize("method", OTHERS)
@each_boundary
@pytest.mark.parametrize("background", [0.0, 2.0])
def test_an_empty_image_has_no_object(method: Method, boundary: str, background: float) -> None:
    psf = gaussian((5, 6), 1.0).float()
    expected = pytest.warns(UserWarning, match="no object is left") if background else contextlib.nullcontext()
    with expected:
        restored = method(torch.zeros(2, 12, 13), psf, iterations=10, background=background, boundary=boundary)
    assert float(restored.abs().max()) < 1e-3


@each_method
@pytest.mark.parametrize("share", [1e-6, 1e-3, 1e4])
def test_a_brighter_image_has_a_brighter_object(method: Method, share: float) -> None:
    """Only the weight that Tikhonov-Miller takes by default depends on the number of photons, as the noise does."""
    if method in TIKHONOV_MILLER:
        method = partial(method, regularization=0.01)
    image, psf = counts((9, 10), seed=0), lopsided_psf((3, 4), seed=1)
    restored = method(image, psf, iterations=15, background=2.0)
    scaled = method(share * image, psf, iterations=15, background=share * 2.0)
    torch.testing.assert_close(scaled, share * restored, rtol=1e-8, atol=1e-8 * share)


@pytest.mark.parametrize("method", [method for method in METHODS if "identity" not in str(method.id)])
@each_boundary
@pytest.mark.parametrize("shape", [(12, 13), (5, 12, 13)])
def test_an_even_image_stays_even(method: Method, boundary: str, shape: tuple[int, ...]) -> None:
    psf = lopsided_psf((3, 4, 5)[-len(shape) :], seed=0)
    image = torch.full((2, *shape), 7.0, dtype=torch.float64)
    restored = method(image, psf, iterations=10, background=2.0, boundary=boundary)
    if boundary == "circular" or method in LEAST_SQUARES:
        torch.testing.assert_close(restored, torch.full_like(restored, 5.0), rtol=1e-9, atol=1e-9)
    else:
        assert float((restored - 5.0).abs().max()) < 0.5  # light from far beyond the borders is not guessed


@each_method
@each_boundary
@pytest.mark.parametrize(("shape", "extents"), [((5, 7), (3, 5)), ((4, 9), (4, 4)), ((3, 5, 7), (3, 4, 5))])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype_stay(
    method: Method, boundary: str, shape: tuple[int, ...], extents: tuple[int, ...], dtype: torch.dtype
) -> None:
    image, psf = counts(shape, seed=0).to(dtype), lopsided_psf(extents, seed=1).to(dtype)
    untouched = image.clone(), psf.clone()
    restored = method(image, psf, iterations=3, boundary=boundary)
    assert restored.shape == shape
    assert restored.dtype == dtype
    assert restored.is_contiguous()
    assert float(restored.min()) >= 0
    assert torch.equal(image, untouched[0])
    assert torch.equal(psf, untouched[1])


@each_method
@each_boundary
def test_a_batch_is_a_loop(method: Method, boundary: str) -> None:
    images = torch.stack([counts((4, 8, 9), seed=seed, peak=20.0 * (seed + 1)) for seed in range(4)])
    images, psf = images.reshape(2, 2, 4, 8, 9), lopsided_psf((3, 3, 4), seed=9)
    background = torch.tensor([1.0, 2.0, 3.0, 0.0], dtype=torch.float64).reshape(2, 2, 1, 1, 1)
    together = method(images, psf, iterations=8, background=background, boundary=boundary)
    for i, j in itertools.product(range(2), range(2)):
        alone = method(images[i, j], psf, iterations=8, background=background[i, j], boundary=boundary)
        torch.testing.assert_close(together[i, j], alone)


@pytest.mark.parametrize("method", OTHERS)
def test_float32_is_near_float64(method: Method) -> None:
    image, psf = counts((16, 17), seed=0, peak=200.0), gaussian((7, 7), 1.5)
    exact = method(image, psf, iterations=10, background=1.0)
    single = method(image.float(), psf.float(), iterations=10, background=1.0)
    assert float((single - exact).norm() / exact.norm()) < 1e-4


@each_method
@each_boundary
def test_the_callback_sees_each_iteration(method: Method, boundary: str) -> None:
    image, psf, seen = counts((8, 9), seed=0), lopsided_psf((3, 4), seed=1), []
    last = method(
        image,
        psf,
        iterations=6,
        boundary=boundary,
        callback=lambda number, estimate: seen.append((number, estimate.clone())),
    )
    assert [number for number, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert torch.equal(seen[-1][1], last)
    for number, estimate in seen:
        torch.testing.assert_close(estimate, method(image, psf, iterations=number, boundary=boundary))


@each_method
def test_a_stop_is_asked_before_each_iteration(method: Method) -> None:
    image, psf, asked, called = counts((8, 9), seed=0), lopsided_psf((3, 4), seed=1), [], []
    blur = Blur(psf, (8, 9))

    def stop(iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        asked.append(iteration)
        assert estimate.shape == blur.object_shape
        torch.testing.assert_close(expected, blur(estimate) + 1.0)
        return iteration == 4

    stopped = method(
        image, psf, iterations=50, background=1.0, stop=stop, callback=lambda number, _: called.append(number)
    )
    assert asked == [0, 1, 2, 3, 4]
    assert called == [1, 2, 3, 4]
    assert torch.equal(stopped, method(image, psf, iterations=4, background=1.0))


@each_method
def test_a_stop_at_once_returns_the_start(method: Method) -> None:
    image, psf = counts((8, 9), seed=0), lopsided_psf((3, 4), seed=1)
    start = method(image, psf, background=1.0, stop=lambda *_: True)
    torch.testing.assert_close(start, (image.mean() - 1.0).expand(8, 9))


@each_method
def test_no_gradients_are_carried(method: Method) -> None:
    image = counts((8, 9), seed=0).requires_grad_()
    assert not method(image, lopsided_psf((3, 4), seed=1).requires_grad_(), iterations=2).requires_grad


GOOD: dict[str, Any] = {"image": torch.ones(6, 7), "psf": torch.ones(3, 3) / 9}
STACK: dict[str, Any] = {"image": torch.ones(4, 6, 7), "psf": torch.ones(3, 3, 3) / 27}
BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "NaN in the image": ({"image": torch.full((6, 7), torch.nan)}, ValueError, "image has 42 values that are N"),
    "infinite image": ({"image": torch.full((6, 7), torch.inf)}, ValueError, "image has 42 values that are NaN"),
    "whole numbers": ({"image": torch.ones(6, 7, dtype=torch.int16)}, TypeError, r"int16, .* image.float\(\)"),
    "an array": ({"image": np.ones((6, 7))}, TypeError, r"image is a ndarray, but must be a tensor"),
    "empty": ({"image": torch.ones(0, 7)}, ValueError, r"image has shape \(0, 7\), without any element"),
    "a line": ({"image": torch.ones(7)}, ValueError, r"image has shape \(7,\), but needs at least 2 axes"),
    "no stack": (STACK | {"image": torch.ones(6, 7)}, ValueError, r"image has shape \(6, 7\), but needs at least 3"),
    "one plane": (
        STACK | {"image": torch.ones(1, 6, 7)},
        ValueError,
        "image has 1 plane, but the psf is 3D",
    ),
    "two dtypes": ({"image": torch.ones(6, 7).double()}, TypeError, r"float64, but the psf .*float32: psf.to\("),
    "psf is a line": ({"psf": torch.ones(3) / 3}, ValueError, r"psf has shape \(3,\), but needs at least 2"),
    "psf of 4 axes": ({"psf": torch.ones(1, 1, 1, 1)}, ValueError, r"\(1, 1, 1, 1\), but must be \(y, x\) or"),
    "psf of half": ({"psf": torch.ones(1, 1).half()}, TypeError, "psf has dtype torch.float16, but must be flo"),
    "psf negative": ({"psf": torch.tensor([[1.5, -0.5]])}, ValueError, "psf has a value of -0.5, .* subtract"),
    "psf not 1": ({"psf": torch.ones(3, 3)}, ValueError, r"psf sums to 9, but must sum to 1.*psf / psf.sum\(\)"),
    "psf NaN": ({"psf": torch.full((3, 3), torch.nan)}, ValueError, "psf has 9 values that are NaN or infinite"),
    "background text": ({"background": "5"}, TypeError, "background is a str, but must be photons per voxel"),
    "background bool": ({"background": True}, TypeError, "background is a bool, but must be photons per voxel"),
    "background below 0": (
        {"background": -1.0},
        ValueError,
        "background is -1, but must be finite and",
    ),
    "background NaN": ({"background": torch.nan}, ValueError, "background is nan, but must be finite and at l"),
    "background misfit": ({"background": torch.ones(6, 6)}, ValueError, r"shape \(6, 6\), but .*\(6, 7\)"),
    "no iteration": ({"iterations": 0}, ValueError, "iterations is 0, but must be at least 1"),
    "half an iteration": ({"iterations": 2.5}, TypeError, "iterations is 2.5, but must be a whole number"),
    "yes": ({"iterations": True}, TypeError, "iterations is True, but must be a whole number"),
    "boundary": ({"boundary": "zero"}, ValueError, "boundary is 'zero', but must be 'linear'"),
    "psf too large": (
        {"psf": torch.ones(9, 9) / 81, "boundary": "circular"},
        ValueError,
        r"psf has shape \(9, 9\), but for a circular boundary at most that of the image, \(6, 7\)",
    ),
}


@each_method
@pytest.mark.parametrize("name", BAD)
def test_a_bad_input_is_told(method: Method, name: str) -> None:
    changed, error, message = BAD[name]
    with pytest.raises(error, match=message):
        method(**{**GOOD, **changed})


@each_method
def test_numbers_of_numpy_are_numbers(method: Method) -> None:
    image, psf = counts((8, 9), seed=0) + 2.0, gaussian((3, 3), 1.0)
    expected = method(image, psf, iterations=4, background=2.0)
    for background in (np.float32(2), np.float64(2), np.int64(2), 2):
        restored = method(image, psf, iterations=np.int64(4), background=background)
        torch.testing.assert_close(restored, expected, rtol=0, atol=0)
    for wrong in (True, np.bool_(True), 4.0, "4"):
        with pytest.raises(TypeError, match=r"iterations is .*, but must be a whole number, for example 30"):
            method(image, psf, iterations=wrong)
    with pytest.raises(TypeError, match="background is a bool, but must be photons per voxel"):
        method(image, psf, background=True)


@each_method
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_led_to_float32(method: Method, dtype: torch.dtype) -> None:
    image, psf = counts((8, 9), seed=0).to(dtype), gaussian((3, 3), 1.0).float()
    with pytest.raises(TypeError, match=r"image has dtype .*float16, but must be float32 or float64: image.float\(\)"):
        method(image, psf)
    assert method(image.float(), psf, iterations=2).dtype == torch.float32


@each_method
def test_numbers_too_large_to_be_squared_are_refused(method: Method) -> None:
    image, psf = counts((8, 9), seed=0).float(), gaussian((3, 3), 1.0).float()
    image /= image.max()
    with pytest.raises(ValueError, match=r"image reaches 1e\+30, but must stay below 3e\+15 in torch.float32, or sums"):
        method(1e30 * image, psf)
    assert bool(torch.isfinite(method(1e15 * image, psf, iterations=20)).all())
    large = method(1e30 * image.double(), gaussian((3, 3), 1.0), iterations=20)
    assert bool(torch.isfinite(large).all())
