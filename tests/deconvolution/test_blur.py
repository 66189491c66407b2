import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from course_lib.deconvolution import Blur
from synthetic import gaussian, lopsided_psf, random

blur_module = sys.modules[Blur.__module__]
BOUNDARIES = ("linear", "circular")


def on_the_ring(surrounded: torch.Tensor, psf_shape: tuple[int, ...], blur: Blur) -> torch.Tensor:
    """Lay an object with what surrounds the image on the grid of the blur: the image first, then after, then before."""
    missing = [side - extent for side, extent in zip(blur.object_shape, surrounded.shape, strict=True)]
    padded = torch.nn.functional.pad(surrounded, [width for side in reversed(missing) for width in (0, side)])
    before = [-(extent - 1 - extent // 2) for extent in psf_shape]
    return padded.roll(before, dims=tuple(range(padded.ndim)))


@st.composite
def image_and_psf_shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], str]:
    boundary = draw(st.sampled_from(BOUNDARIES))
    shape = tuple(draw(st.lists(st.integers(1, 13), min_size=2, max_size=3)))
    extents = tuple(draw(st.integers(1, side if boundary == "circular" else 2 * side)) for side in shape)
    return shape, extents, boundary


@settings(deadline=None, max_examples=60)
@given(shapes=image_and_psf_shapes(), seed=st.integers(0, 2**31))
def test_the_adjoint_is_exact(shapes: tuple[tuple[int, ...], tuple[int, ...], str], seed: int) -> None:
    shape, extents, boundary = shapes
    blur = Blur(lopsided_psf(extents, seed=seed), shape, boundary=boundary)
    x, y = random(blur.object_shape, seed=seed + 1), random(shape, seed=seed + 2)
    assert blur(x).shape == shape == blur.image_shape
    assert blur.adjoint(y).shape == blur.object_shape
    assert float((blur(x) * y).sum()) == pytest.approx(float((x * blur.adjoint(y)).sum()), rel=1e-10)


@settings(deadline=None, max_examples=40)
@given(shapes=image_and_psf_shapes(), seed=st.integers(0, 2**31))
def test_linear_is_the_valid_part_of_the_convolution_of_a_larger_object(
    shapes: tuple[tuple[int, ...], tuple[int, ...], str], seed: int
) -> None:
    shape, extents, _ = shapes
    psf = lopsided_psf(extents, seed=seed)
    surrounded = random(tuple(side + extent - 1 for side, extent in zip(shape, extents, strict=True)), seed=seed + 1)
    blur = Blur(psf, shape)
    expected = signal.convolve(surrounded.numpy(), psf.numpy(), mode="valid", method="direct")
    np.testing.assert_allclose(blur(on_the_ring(surrounded, extents, blur)).numpy(), expected, atol=1e-13)


@pytest.mark.parametrize("extents", [(5, 7), (4, 6), (3, 6), (3, 4, 5), (1, 1)])
def test_linear_without_light_from_outside_is_the_same_part_of_the_convolution(extents: tuple[int, ...]) -> None:
    psf, image = lopsided_psf(extents, seed=0), random((9, 10, 11)[: len(extents)], seed=1)
    blur = Blur(psf, image.shape)
    alone = torch.zeros(blur.object_shape, dtype=torch.float64)
    blur.crop(alone).copy_(image)
    full = signal.convolve(image.numpy(), psf.numpy(), method="direct")
    same = full[tuple(slice(k // 2, k // 2 + n) for k, n in zip(extents, image.shape, strict=True))]
    np.testing.assert_allclose(blur(alone).numpy(), same, atol=1e-13)


@pytest.mark.parametrize("extents", [(5, 7), (4, 6), (3, 6), (3, 4, 5), (1, 1)])
def test_circular_is_the_sum_of_the_object_moved_round(extents: tuple[int, ...]) -> None:
    psf, image = lopsided_psf(extents, seed=0), random((9, 10, 11)[: len(extents)], seed=1)
    axes = tuple(range(psf.ndim))
    moved = [
        weight * np.roll(image.numpy(), [k - side // 2 for k, side in zip(index, extents, strict=True)], axes)
        for index, weight in np.ndenumerate(psf.numpy())
    ]
    blur = Blur(psf, image.shape, boundary="circular")
    assert blur.object_shape == tuple(image.shape)
    np.testing.assert_allclose(blur(image).numpy(), np.sum(moved, axis=0), atol=1e-13)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    ("extents", "shape"),
    list(itertools.product([(15, 21), (16, 22), (15, 22)], [(40, 44), (41, 45), (40, 45)])),
)
def test_nothing_moves(boundary: str, extents: tuple[int, ...], shape: tuple[int, ...]) -> None:
    point = torch.zeros(shape)
    point[20, 22] = 1000.0
    blur = Blur(gaussian(extents, 1.5).float(), shape, boundary=boundary)
    grid = torch.zeros(blur.object_shape)
    blur.crop(grid).copy_(point)
    for image in (blur(grid), blur.crop(blur.adjoint(point))):
        for axis, centre in enumerate((20, 22)):
            profile = image.sum(dim=1 - axis)
            assert abs(float((profile * torch.arange(len(profile))).sum() / profile.sum()) - centre) < 0.01


def test_the_reach_is_the_share_of_light_that_falls_on_the_image() -> None:
    psf = lopsided_psf((4, 5), seed=0)
    blur = Blur(psf, (12, 13))
    for index in [(0, 0), (5, 6), (11, 12), (12, 3), (13, 13), (blur.object_shape[0] - 1, blur.object_shape[1] - 1)]:
        point = torch.zeros(blur.object_shape, dtype=torch.float64)
        point[index] = 1
        assert float(blur.reach[index]) == pytest.approx(float(blur(point).sum()), abs=1e-13)
    torch.testing.assert_close(blur.reach[3:-6, 3:-8], torch.ones_like(blur.reach[3:-6, 3:-8]), atol=1e-13, rtol=0)
    assert float(blur.reach.min()) >= 0
    assert float(blur.reach.max()) <= 1 + 1e-13
    around = Blur(psf, (12, 13), boundary="circular").reach
    torch.testing.assert_close(around, torch.ones_like(around), atol=1e-13, rtol=0)


def test_photons_are_kept() -> None:
    blur = Blur(lopsided_psf((5, 6), seed=0), (16, 17), boundary="circular")
    x = random((16, 17), seed=1)
    assert float(blur(x).sum()) == pytest.approx(float(x.sum()), rel=1e-13)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_is_a_loop(boundary: str, dtype: torch.dtype) -> None:
    blur = Blur(lopsided_psf((3, 4, 5), seed=0, dtype=dtype), (6, 7, 9), boundary=boundary)
    objects = random((2, 3, *blur.object_shape), seed=1, dtype=dtype)
    images = blur(objects)
    assert images.shape == (2, 3, 6, 7, 9)
    assert images.dtype == dtype
    for i, j in itertools.product(range(2), range(3)):
        torch.testing.assert_close(images[i, j], blur(objects[i, j]))
        torch.testing.assert_close(blur.adjoint(images)[i, j], blur.adjoint(images[i, j]))


def test_inputs_are_left_as_they_are() -> None:
    blur = Blur(lopsided_psf((4, 5), seed=0), (8, 9))
    x, y = random(blur.object_shape, seed=1), random((8, 9), seed=2)
    before = x.clone(), y.clone()
    blur(x)
    blur.adjoint(y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def test_the_crop_is_a_view_of_the_image() -> None:
    blur = Blur(lopsided_psf((4, 5), seed=0), (8, 9))
    grid = torch.zeros(2, *blur.object_shape)
    part = blur.crop(grid)
    part += 1
    assert part.shape == (2, 8, 9)
    assert float(grid[:, :8, :9].min()) == 1
    assert float(grid.sum()) == part.numel()


def test_the_grid_has_lengths_that_are_quick_to_transform() -> None:
    for side in Blur(torch.ones(33, 65, 65) / (33 * 65 * 65), (63, 255, 257)).object_shape:
        rest = side
        for prime in (2, 3, 5, 7, 11):
            while rest % prime == 0:
                rest //= prime
        assert rest == 1


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("shape", "extents"), [((12, 13), (4, 5)), ((2, 6, 7, 9), (3, 4, 5))])
def test_parts_and_threads_change_nothing(
    monkeypatch: pytest.MonkeyPatch, boundary: str, shape: tuple[int, ...], extents: tuple[int, ...]
) -> None:
    blur = Blur(lopsided_psf(extents, seed=0), shape[-len(extents) :], boundary=boundary)
    x, y = random((*shape[: -len(extents)], *blur.object_shape), seed=1), random(shape, seed=2)
    at_once = blur(x), blur.adjoint(y)
    monkeypatch.setattr(blur_module, "PART", 200)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    torch.testing.assert_close((blur(x), blur.adjoint(y)), at_once, rtol=0, atol=1e-15)


def test_a_small_grid_starts_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    class Counted(ThreadPoolExecutor):
        def __init__(self, workers: int) -> None:
            started.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(blur_module, "ThreadPoolExecutor", Counted)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    blur = Blur(lopsided_psf((3, 3), seed=0), (20, 20), boundary="circular")
    blur(random((20, 20), seed=1))
    assert started == []
    monkeypatch.setattr(blur_module, "PART", 399)
    blur(random((20, 20), seed=1))
    assert started == [2]


def test_no_gradients_are_carried() -> None:
    blur = Blur(lopsided_psf((3, 3), seed=0).requires_grad_(), (6, 7))
    x, y = random(blur.object_shape, seed=1).requires_grad_(), random((6, 7), seed=2).requires_grad_()
    assert not blur(x).requires_grad
    assert not blur.adjoint(y).requires_grad
    assert not blur.reach.requires_grad


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            torch.ones(8, 9),
            ValueError,
            r"estimate has shape \(8, 9\), but must end in \(10, 12\).* of \(8, 9\)",
        ),
        (torch.ones(12), ValueError, r"estimate has shape \(12,\), but must end in \(10, 12\): .* Make another one"),
        (torch.ones(10, 12).double(), TypeError, r"estimate has dtype torch.float64, .* estimate.to\(torch.float32\)"),
        (torch.ones(10, 12).int(), TypeError, r"estimate has dtype torch.int32, but the psf torch.float32"),
    ],
)
def test_an_object_that_does_not_fit(values: torch.Tensor, error: type[Exception], message: str) -> None:
    blur = Blur(torch.ones(3, 4) / 12, (8, 9))
    assert blur.object_shape == (10, 12)
    with pytest.raises(error, match=message):
        blur(values)


def test_an_image_that_does_not_fit() -> None:
    blur = Blur(torch.ones(3, 4) / 12, (8, 9))
    with pytest.raises(ValueError, match=r"image has shape \(2, 9, 8\), but must end in \(8, 9\): this Blur"):
        blur.adjoint(torch.ones(2, 9, 8))
    with pytest.raises(TypeError, match=r"image has dtype torch.float64, but the psf torch.float32"):
        blur.adjoint(torch.ones(8, 9).double())


@pytest.mark.gpu
def test_an_image_elsewhere() -> None:
    with pytest.raises(ValueError, match="image is on cuda:0, but the psf on cpu: move one"):
        Blur(torch.ones(3, 4) / 12, (8, 9)).adjoint(torch.ones(8, 9).cuda())


def test_an_unknown_boundary() -> None:
    with pytest.raises(ValueError, match=r"boundary is 'reflect', but must be 'linear' .* or 'circular'"):
        Blur(torch.ones(1, 1), (4, 4), boundary="reflect")


def test_a_circular_psf_larger_than_the_image() -> None:
    with pytest.raises(ValueError, match=r"psf has shape \(5, 3\), but .* at most that of the image, \(4, 4\): crop"):
        Blur(torch.ones(5, 3) / 15, (4, 4), boundary="circular")


@pytest.mark.gpu
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_cuda_equals_cpu(boundary: str) -> None:
    psf = lopsided_psf((3, 4, 5), seed=0)
    blur, on_cuda = Blur(psf, (8, 9, 11), boundary=boundary), Blur(psf.cuda(), (8, 9, 11), boundary=boundary)
    x, y = random(blur.object_shape, seed=1), random((8, 9, 11), seed=2)
    torch.testing.assert_close(on_cuda(x.cuda()).cpu(), blur(x), atol=1e-13, rtol=1e-12)
    torch.testing.assert_close(on_cuda.adjoint(y.cuda()).cpu(), blur.adjoint(y), atol=1e-13, rtol=1e-12)
