import contextlib
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.deconvolution import Blur, accelerated_richardson_lucy, richardson_lucy

BOUNDARIES = ("linear", "circular")
METHODS = (richardson_lucy, accelerated_richardson_lucy)
Method = Callable[..., torch.Tensor]


def random(shape: tuple[int, ...], *, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def lopsided_psf(shape: tuple[int, ...], *, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    psf = random(shape, seed=seed).pow(4) + 1e-3
    return (psf / psf.sum()).to(dtype)


def gaussian(shape: tuple[int, ...], sigma: float) -> torch.Tensor:
    axes = [torch.exp(-((torch.arange(side) - side // 2) ** 2) / (2 * sigma**2)).double() for side in shape]
    psf = axes[0]
    for axis in axes[1:]:
        psf = psf[..., None] * axis
    return psf / psf.sum()


def counts(shape: tuple[int, ...], *, seed: int, peak: float = 20.0) -> torch.Tensor:
    """Photons of a few bright voxels on a dim ground."""
    mean = peak * (random(shape, seed=seed).pow(3) + 0.1)
    return torch.poisson(mean, generator=torch.Generator().manual_seed(seed + 1))


def matrix(psf: torch.Tensor, image_shape: tuple[int, ...], object_shape: tuple[int, ...]) -> np.ndarray:
    """Write H down: each voxel of the image sums the object, weighted by the PSF, on a ring of `object_shape`."""
    rows = []
    for pixel in np.ndindex(image_shape):
        row = np.zeros(object_shape)
        for index, weight in np.ndenumerate(psf.numpy()):
            place = [
                (i + extent // 2 - k) % side
                for i, k, extent, side in zip(pixel, index, psf.shape, object_shape, strict=True)
            ]
            row[tuple(place)] += weight
        rows.append(row.ravel())
    return np.array(rows)


class Likelihood:
    """A rule that never stops and keeps the logarithm of the likelihood before each iteration."""

    def __init__(self, image: torch.Tensor) -> None:
        self.image = image
        self.values: list[float] = []

    def __call__(self, iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:  # noqa: ARG002
        assert iteration == len(self.values)
        self.values.append(float((torch.xlogy(self.image, expected) - expected).sum(dtype=torch.float64)))
        return False


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("background", [0.0, 3.0])
def test_against_the_formula_with_a_matrix(boundary: str, background: float) -> None:
    psf, image = lopsided_psf((3, 4), seed=0), counts((6, 7), seed=1)
    object_shape = (6, 7) if boundary == "circular" else Blur(psf, (6, 7)).object_shape
    H, y = matrix(psf, (6, 7), object_shape), image.numpy().ravel()
    reach = H.sum(axis=0)
    seen = reach > 1e-3
    x = np.where(seen, max(y.mean() - background, 0.01 * y.mean()), 0)
    for _ in range(25):
        x[seen] *= ((y / (H @ x + background)) @ H)[seen] / reach[seen]
    restored = richardson_lucy(image, psf, iterations=25, background=background, boundary=boundary)
    np.testing.assert_allclose(restored.numpy(), x.reshape(object_shape)[:6, :7], rtol=1e-8, atol=1e-8)


def test_agrees_with_scikit_image_where_nothing_comes_near_the_borders() -> None:
    from skimage.restoration import richardson_lucy as skimage_richardson_lucy

    psf = lopsided_psf((5, 7), seed=0)
    image = torch.zeros(32, 35, dtype=torch.float64)
    image[10:20, 10:22] = counts((10, 12), seed=1)
    theirs = skimage_richardson_lucy(image.numpy(), psf.numpy(), num_iter=12, clip=False)
    np.testing.assert_allclose(richardson_lucy(image, psf, iterations=12).numpy(), theirs, rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    shape=st.lists(st.integers(2, 9), min_size=2, max_size=3),
    extents=st.lists(st.integers(1, 8), min_size=3, max_size=3),
    background=st.sampled_from([0.0, 0.3, 5.0]),
    boundary=st.sampled_from(BOUNDARIES),
    seed=st.integers(0, 2**31),
)
def test_the_likelihood_never_falls(
    shape: list[int], extents: list[int], background: float, boundary: str, seed: int
) -> None:
    extents = [min(extent, side) if boundary == "circular" else extent for side, extent in zip(shape, extents)]  # noqa: B905
    image = counts(tuple(shape), seed=seed)
    rule = Likelihood(image)
    psf = lopsided_psf(tuple(extents), seed=seed + 2)
    richardson_lucy(image, psf, iterations=15, background=background, boundary=boundary, stop=rule)
    rises = np.diff(rule.values)
    assert len(rises) == 14
    assert rises.min() >= -1e-10 * max(1.0, float(image.sum()))


@pytest.mark.parametrize("extents", [(5, 7), (4, 6), (4, 7)])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_photons_expected_are_those_counted_after_each_iteration(boundary: str, extents: tuple[int, ...]) -> None:
    image, sums = counts((16, 17), seed=0), []

    def keep(iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        sums.append(float(expected.sum()))
        return False

    richardson_lucy(image, lopsided_psf(extents, seed=2), iterations=10, boundary=boundary, stop=keep)
    assert sums[1:] == pytest.approx([float(image.sum())] * 9, rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("background", [0.0, 4.0])
def test_the_flux_of_what_lies_inside_is_kept(method: Method, boundary: str, background: float) -> None:
    psf, truth = gaussian((9, 11), 1.3), torch.zeros(40, 41, dtype=torch.float64)
    truth[14:26, 15:25] = 200 * random((12, 10), seed=0)
    image = Blur(psf, (40, 41), boundary="circular")(truth).clamp(min=0) + background
    restored = method(image, psf, iterations=100, background=background, boundary=boundary)
    assert float(restored.sum() / truth.sum()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    ("extents", "shape"), list(itertools.product([(9, 11), (10, 12), (9, 12)], [(36, 40), (37, 41), (36, 41)]))
)
def test_nothing_moves(method: Method, boundary: str, extents: tuple[int, ...], shape: tuple[int, ...]) -> None:
    truth = torch.zeros(shape)
    truth[18, 20] = 1000.0
    psf = gaussian(extents, 1.5).float()
    image = Blur(psf, shape, boundary="circular")(truth).clamp(min=0)
    restored = method(image, psf, iterations=20, boundary=boundary)
    assert restored.shape == shape
    for axis, centre in enumerate((18, 20)):
        profile = restored.sum(dim=1 - axis)
        assert abs(float((profile * torch.arange(len(profile))).sum() / profile.sum()) - centre) < 0.01


@pytest.mark.parametrize("method", METHODS)
def test_a_lopsided_psf_is_undone(method: Method) -> None:
    psf = torch.zeros(7, 7, dtype=torch.float64)
    psf[3, 3], psf[3, 6], psf[1, 3] = 0.5, 0.3, 0.2
    truth = torch.full((24, 25), 0.5, dtype=torch.float64)
    truth[8, 9], truth[15, 12] = 300.0, 150.0
    image = Blur(psf, (24, 25), boundary="circular")(truth)
    restored = method(image, psf, iterations=300, boundary="circular")
    assert float((restored - truth).norm() / truth.norm()) < 0.01
    turned_round = method(image, psf.flip(0, 1), iterations=300, boundary="circular")
    assert float((turned_round - truth).norm() / truth.norm()) > 0.3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("background", [0.0, 2.0])
def test_an_empty_image_has_no_object(method: Method, boundary: str, background: float) -> None:
    psf = gaussian((5, 6), 1.0).float()
    expected = pytest.warns(UserWarning, match="no object is left") if background else contextlib.nullcontext()
    with expected:
        restored = method(torch.zeros(2, 12, 13), psf, iterations=10, background=background, boundary=boundary)
    assert torch.equal(restored, torch.zeros(2, 12, 13))


@pytest.mark.parametrize("method", METHODS)
def test_an_image_of_background_has_next_to_no_object(method: Method) -> None:
    image = torch.poisson(torch.full((48, 49), 50.0), generator=torch.Generator().manual_seed(0))
    restored = method(image, gaussian((7, 7), 1.5).float(), iterations=10, background=50.0)
    assert float(restored.mean()) < 1.5  # its noise is all that is left: the background's error of the mean is 0.15


@pytest.mark.parametrize("method", METHODS)
def test_no_photon_is_cut_off(method: Method) -> None:
    psf, truth = gaussian((7, 7), 1.0), torch.zeros(21, 21, dtype=torch.float64)
    truth[10, 10] = 1e5
    image = Blur(psf, (21, 21), boundary="circular")(truth).clamp(min=0)
    restored = method(image, psf, iterations=100)
    assert float(restored.max()) > 0.9e5
    scaled = method(image / 1e5, psf, iterations=100)
    torch.testing.assert_close(restored, scaled * 1e5, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("shape", "extents"), [((5, 7), (3, 5)), ((4, 9), (4, 4)), ((3, 5, 7), (3, 4, 5))])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype_stay(
    method: Method, boundary: str, shape: tuple[int, ...], extents: tuple[int, ...], dtype: torch.dtype
) -> None:
    image, psf = counts(shape, seed=0).to(dtype), lopsided_psf(extents, seed=1, dtype=dtype)
    untouched = image.clone(), psf.clone()
    restored = method(image, psf, iterations=3, boundary=boundary)
    assert restored.shape == shape
    assert restored.dtype == dtype
    assert restored.is_contiguous()
    assert float(restored.min()) >= 0
    assert torch.equal(image, untouched[0])
    assert torch.equal(psf, untouched[1])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_batch_is_a_loop(method: Method, boundary: str) -> None:
    images = torch.stack([counts((3, 8, 9), seed=seed, peak=20.0 * (seed + 1)) for seed in range(4)])
    images, psf = images.reshape(2, 2, 3, 8, 9), lopsided_psf((3, 3, 4), seed=9)
    background = torch.tensor([1.0, 2.0, 3.0, 0.0], dtype=torch.float64).reshape(2, 2, 1, 1, 1)
    together = method(images, psf, iterations=8, background=background, boundary=boundary)
    for i, j in itertools.product(range(2), range(2)):
        alone = method(images[i, j], psf, iterations=8, background=background[i, j], boundary=boundary)
        torch.testing.assert_close(together[i, j], alone)


@pytest.mark.parametrize("method", METHODS)
def test_a_background_given_voxel_by_voxel(method: Method) -> None:
    image, psf = counts((9, 10), seed=0), lopsided_psf((3, 3), seed=1)
    even = method(image, psf, iterations=5, background=2.0)
    torch.testing.assert_close(method(image, psf, iterations=5, background=torch.full((9, 10), 2.0)), even)


@pytest.mark.parametrize(("method", "bound"), [(richardson_lucy, 1e-5), (accelerated_richardson_lucy, 1e-3)])
def test_float32_is_near_float64(method: Method, bound: float) -> None:  # a momentum makes rounding grow
    image, psf = counts((16, 17), seed=0, peak=200.0), gaussian((7, 7), 1.5)
    exact = method(image, psf, iterations=20, background=1.0)
    single = method(image.float(), psf.float(), iterations=20, background=1.0)
    assert float((single - exact).norm() / exact.norm()) < bound


def test_light_from_outside_makes_no_seam() -> None:
    psf = gaussian((15, 15), 2.0)
    ground = torch.full((46, 46), 100.0, dtype=torch.float64)
    ground[:, :7] = 400.0  # bright, and beyond the left border of the image
    image = Blur(psf, (46, 46), boundary="circular")(ground)[7:-7, 7:-7]
    inside = torch.full_like(image, 100.0)
    errors = {
        boundary: float((richardson_lucy(image, psf, iterations=50, boundary=boundary) - inside).abs().max())
        for boundary in BOUNDARIES
    }
    assert errors["linear"] < 0.5 * errors["circular"]


@pytest.mark.parametrize("method", METHODS)
def test_the_callback_sees_each_iteration(method: Method) -> None:
    image, psf, seen = counts((8, 9), seed=0), lopsided_psf((3, 4), seed=1), []
    last = method(image, psf, iterations=6, callback=lambda number, estimate: seen.append((number, estimate.clone())))
    assert [number for number, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert torch.equal(seen[-1][1], last)
    for number, estimate in seen:
        torch.testing.assert_close(estimate, method(image, psf, iterations=number))


def test_a_stop_is_asked_before_each_iteration() -> None:
    image, psf, asked, called = counts((8, 9), seed=0), lopsided_psf((3, 4), seed=1), [], []
    blur = Blur(psf, (8, 9))

    def stop(iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        asked.append(iteration)
        assert estimate.shape == blur.object_shape
        torch.testing.assert_close(expected, blur(estimate) + 1.0)
        return iteration == 4

    stopped = richardson_lucy(
        image, psf, iterations=50, background=1.0, stop=stop, callback=lambda number, _: called.append(number)
    )
    assert asked == [0, 1, 2, 3, 4]
    assert called == [1, 2, 3, 4]
    torch.testing.assert_close(stopped, richardson_lucy(image, psf, iterations=4, background=1.0))


@pytest.mark.parametrize("method", METHODS)
def test_a_stop_at_once_returns_the_start(method: Method) -> None:
    image, psf = counts((8, 9), seed=0), lopsided_psf((3, 4), seed=1)
    start = method(image, psf, background=1.0, stop=lambda *_: True)
    torch.testing.assert_close(start, (image.mean() - 1.0).expand(8, 9))


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_not_followed(method: Method) -> None:
    image = counts((8, 9), seed=0).requires_grad_()
    assert not method(image, lopsided_psf((3, 4), seed=1).requires_grad_(), iterations=2).requires_grad


GOOD: dict[str, Any] = {"image": torch.ones(6, 7), "psf": torch.ones(3, 3) / 9}
STACK: dict[str, Any] = {"image": torch.ones(4, 6, 7), "psf": torch.ones(3, 3, 3) / 27}
BAD = {
    "negative image": (GOOD | {"image": torch.full((6, 7), -2.0)}, ValueError, "42 negative values, the lowest -2, "),
    "NaN in the image": (GOOD | {"image": torch.full((6, 7), torch.nan)}, ValueError, "image has 42 values that are N"),
    "infinite image": (GOOD | {"image": torch.full((6, 7), torch.inf)}, ValueError, "image has 42 values that are NaN"),
    "whole numbers": (GOOD | {"image": torch.ones(6, 7, dtype=torch.int16)}, TypeError, r"int16, .* image.float\(\)"),
    "an array": (GOOD | {"image": np.ones((6, 7))}, TypeError, r"image is a ndarray, but must be a tensor"),
    "empty": (GOOD | {"image": torch.ones(0, 7)}, ValueError, r"image has shape \(0, 7\), without any element"),
    "a line": (GOOD | {"image": torch.ones(7)}, ValueError, r"image has shape \(7,\), but needs at least 2 axes"),
    "no stack": (STACK | {"image": torch.ones(6, 7)}, ValueError, r"image has shape \(6, 7\), but needs at least 3"),
    "one plane": (
        STACK | {"image": torch.ones(1, 6, 7)},
        ValueError,
        "image has 1 plane, but the psf is 3D",
    ),
    "two dtypes": (GOOD | {"image": torch.ones(6, 7).double()}, TypeError, r"float64, but the psf .*float32: psf.to\("),
    "psf is a line": (GOOD | {"psf": torch.ones(3) / 3}, ValueError, r"psf has shape \(3,\), but needs at least 2"),
    "psf of 4 axes": (GOOD | {"psf": torch.ones(1, 1, 1, 1)}, ValueError, r"\(1, 1, 1, 1\), but must be \(y, x\) or"),
    "psf of half": (GOOD | {"psf": torch.ones(1, 1).half()}, TypeError, "psf has dtype torch.float16, but must be flo"),
    "psf negative": (GOOD | {"psf": torch.tensor([[1.5, -0.5]])}, ValueError, "psf has a value of -0.5, .* subtract"),
    "psf not 1": (GOOD | {"psf": torch.ones(3, 3)}, ValueError, r"psf sums to 9, but must sum to 1.*psf / psf.sum\(\)"),
    "psf NaN": (GOOD | {"psf": torch.full((3, 3), torch.nan)}, ValueError, "psf has 9 values that are NaN or infinite"),
    "background text": (GOOD | {"background": "5"}, TypeError, "background is a str, but must be photons per voxel"),
    "background bool": (GOOD | {"background": True}, TypeError, "background is a bool, but must be photons per voxel"),
    "background below 0": (
        GOOD | {"background": -1.0},
        ValueError,
        "background is -1, but must be finite and",
    ),
    "background NaN": (GOOD | {"background": torch.nan}, ValueError, "background is nan, but must be finite and at l"),
    "background misfit": (GOOD | {"background": torch.ones(6, 6)}, ValueError, r"shape \(6, 6\), but .*\(6, 7\)"),
    "no iteration": (GOOD | {"iterations": 0}, ValueError, "iterations is 0, but must be at least 1"),
    "half an iteration": (GOOD | {"iterations": 2.5}, TypeError, "iterations is 2.5, but must be a whole number"),
    "yes": (GOOD | {"iterations": True}, TypeError, "iterations is True, but must be a whole number"),
    "boundary": (GOOD | {"boundary": "zero"}, ValueError, "boundary is 'zero', but must be 'linear'"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", BAD)
def test_bad_input(method: Method, case: str) -> None:
    given_values, error, message = BAD[case]
    rest = {name: value for name, value in given_values.items() if name not in ("image", "psf")}
    with pytest.raises(error, match=message):
        method(given_values["image"], given_values["psf"], **rest)


def test_too_few_planes() -> None:
    psf = gaussian((17, 3, 3), 2.0)
    with pytest.warns(UserWarning, match="image has 4 planes, but the psf reaches over 17: .* Record more planes"):
        richardson_lucy(torch.ones(4, 6, 7).double(), psf, iterations=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        richardson_lucy(torch.ones(5, 6, 7).double(), psf, iterations=1)


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_cuda_equals_cpu(method: Method, boundary: str) -> None:
    image, psf = counts((5, 12, 13), seed=0, peak=100.0), gaussian((3, 5, 6), 1.2)
    on_cpu = method(image, psf, iterations=20, background=1.0, boundary=boundary)
    on_cuda = method(image.cuda(), psf.cuda(), iterations=20, background=1.0, boundary=boundary)
    assert on_cuda.device.type == "cuda"
    torch.testing.assert_close(on_cuda.cpu(), on_cpu, rtol=1e-8, atol=1e-8)


@pytest.mark.gpu
def test_image_and_psf_on_two_devices() -> None:
    with pytest.raises(ValueError, match="image is on cuda:0, but the psf on cpu: move one"):
        richardson_lucy(torch.ones(6, 7).cuda(), torch.ones(3, 3) / 9)


@pytest.mark.parametrize("method", [richardson_lucy, accelerated_richardson_lucy])
def test_a_bright_image_of_the_batch_does_not_change_a_dim_one(method: Callable[..., torch.Tensor]) -> None:
    psf = torch.ones(3, 3) / 9
    dim = torch.poisson(torch.full((24, 24), 5.0), generator=torch.Generator().manual_seed(0))
    alone = method(dim, psf, iterations=10)
    together = method(torch.stack([dim, 1e7 * dim]), psf, iterations=10)
    torch.testing.assert_close(together[0], alone, rtol=1e-4, atol=1e-4)


def test_a_background_far_above_the_image_is_told() -> None:
    with pytest.warns(UserWarning, match=r"background is 10, but the image has only 1 .*no object is left"):
        richardson_lucy(torch.ones(8, 8), torch.ones(3, 3) / 9, background=10.0)
