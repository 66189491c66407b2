import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from course_lib.optics import Convolution

BACKENDS = ("scipy", "torch")
BOUNDARIES = ("linear", "circular")
BOTH = list(itertools.product(BACKENDS, BOUNDARIES))


def random(shape: tuple[int, ...], *, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gaussian(shape: tuple[int, ...], sigma: float) -> torch.Tensor:
    axes = [torch.exp(-((torch.arange(side) - side // 2) ** 2) / (2 * sigma**2)).double() for side in shape]
    psf = axes[0]
    for axis in axes[1:]:
        psf = psf[..., None] * axis
    return psf / psf.sum()


def direct(image: torch.Tensor, psf: torch.Tensor) -> np.ndarray:
    """Sum term by term: every output voxel from every shifted input voxel."""
    full = signal.convolve(image.numpy(), psf.numpy(), method="direct")
    return full[tuple(slice(k // 2, k // 2 + n) for k, n in zip(psf.shape, image.shape, strict=True))]


def around(image: torch.Tensor, psf: torch.Tensor) -> np.ndarray:
    """Sum the image, moved round by every voxel of the PSF."""
    axes = tuple(range(psf.ndim))
    moved = [
        weight * np.roll(image.numpy(), [k - side // 2 for k, side in zip(index, psf.shape, strict=True)], axes)
        for index, weight in np.ndenumerate(psf.numpy())
    ]
    return np.sum(moved, axis=0)


@st.composite
def image_and_psf_shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], str]:
    boundary = draw(st.sampled_from(BOUNDARIES))
    shape = tuple(draw(st.lists(st.integers(1, 13), min_size=2, max_size=3)))
    extents = tuple(draw(st.integers(1, side if boundary == "circular" else 2 * side - 1)) for side in shape)
    return shape, extents, boundary


@pytest.mark.parametrize("backend", BACKENDS)
@settings(deadline=None, max_examples=40)
@given(shapes=image_and_psf_shapes(), seed=st.integers(0, 2**31))
def test_the_adjoint_is_exact(backend: str, shapes: tuple[tuple[int, ...], tuple[int, ...], str], seed: int) -> None:
    shape, extents, boundary = shapes
    blur = Convolution(random(extents, seed=seed), shape, boundary=boundary, backend=backend)
    x, y = random(shape, seed=seed + 1), random(shape, seed=seed + 2)
    assert blur(x).shape == blur.adjoint(y).shape == shape
    there, back = float((blur(x) * y).sum()), float((x * blur.adjoint(y)).sum())
    assert there == pytest.approx(back, rel=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(deadline=None, max_examples=25)
@given(shapes=image_and_psf_shapes(), seed=st.integers(0, 2**31))
def test_against_the_sum_itself(backend: str, shapes: tuple[tuple[int, ...], tuple[int, ...], str], seed: int) -> None:
    shape, extents, boundary = shapes
    psf, image = random(extents, seed=seed), random(shape, seed=seed + 1)
    blurred = Convolution(psf, shape, boundary=boundary, backend=backend)(image).numpy()
    expected = direct(image, psf) if boundary == "linear" else around(image, psf)
    np.testing.assert_allclose(blurred, expected, atol=1e-11 * psf.numel())


@pytest.mark.parametrize(("backend", "boundary"), BOTH)
@pytest.mark.parametrize("extents", [(5, 5), (4, 6), (1, 1), (3, 4, 5), (2, 2, 2)])
def test_a_delta_changes_nothing(backend: str, boundary: str, extents: tuple[int, ...]) -> None:
    psf = torch.zeros(extents, dtype=torch.float64)
    psf[tuple(extent // 2 for extent in extents)] = 1
    image = random((9, 10, 11)[: len(extents)], seed=0)
    blur = Convolution(psf, image.shape, boundary=boundary, backend=backend)
    torch.testing.assert_close(blur(image), image, atol=1e-14, rtol=0)
    torch.testing.assert_close(blur.adjoint(image), image, atol=1e-14, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("extents", [(15, 21, 21), (16, 22, 22), (15, 22, 21)])
def test_nothing_moves(backend: str, extents: tuple[int, ...]) -> None:
    point = torch.zeros(40, 45, 47)
    point[20, 22, 23] = 1000.0
    image = Convolution(gaussian(extents, 1.5).float(), point.shape, backend=backend)(point)
    for axis, centre in enumerate((20, 22, 23)):
        profile = image.sum(dim=[other for other in range(3) if other != axis])
        mean = float((profile * torch.arange(len(profile))).sum() / profile.sum())
        assert abs(mean - centre) < 0.01


@pytest.mark.parametrize("backend", BACKENDS)
def test_photons_are_kept_inside_and_lost_over_the_border(backend: str) -> None:
    psf = gaussian((9, 17, 17), 2.0).float()
    inside = torch.zeros(24, 64, 64)
    inside[4:-4, 8:-8, 8:-8] = random((16, 48, 48), seed=0, dtype=torch.float32)
    blur = Convolution(psf, inside.shape, backend=backend)
    assert float(blur(inside).sum() / inside.sum()) == pytest.approx(1, abs=1e-4)

    corner = torch.zeros_like(inside)
    corner[0, 0, 0] = 1000
    kept = [float(profile[extent // 2 :].sum()) for profile, extent in zip(_profiles(psf), psf.shape, strict=True)]
    assert float(blur(corner).sum()) == pytest.approx(1000 * kept[0] * kept[1] * kept[2], rel=1e-4)
    wrapped = Convolution(psf, inside.shape, boundary="circular", backend=backend)
    assert float(wrapped(corner).sum()) == pytest.approx(1000, rel=1e-5)


def _profiles(psf: torch.Tensor) -> list[torch.Tensor]:
    return [psf.sum(dim=[other for other in range(psf.ndim) if other != axis]) for axis in range(psf.ndim)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_not_negative_stays_so_up_to_rounding(backend: str) -> None:
    image = torch.zeros(70, 73)
    image[30, 30], image[60, 10] = 1e5, 1.0
    blurred = Convolution(gaussian((21, 21), 1.2).float(), image.shape, backend=backend)(image)
    assert float(blurred.min()) > -1e-6 * float(blurred.max())
    assert float(blurred.clamp(min=0).sum() / blurred.sum()) == pytest.approx(1, abs=1e-4)


def test_dark_outside_whatever_the_padding() -> None:
    """The light of one border must not appear at the other, for the least padding and for the fast one."""
    image = torch.zeros(16, 1, dtype=torch.float64)
    image[0] = 1
    psf = torch.ones(31, 1, dtype=torch.float64)
    blur = Convolution(psf, image.shape)
    assert blur.padded_shape[0] == 32  # 16 + 15 = 31, which is prime
    torch.testing.assert_close(blur(image), torch.ones_like(image))
    longest = Convolution(torch.ones(5, 5).double(), (95, 319))
    assert longest.padded_shape == (98, 324)


@pytest.mark.parametrize(("backend", "boundary"), BOTH)
def test_leading_axes_are_a_batch(backend: str, boundary: str) -> None:
    batch = random((2, 3, 7, 12, 9), seed=1)
    blur = Convolution(random((3, 4, 5), seed=2), (7, 12, 9), boundary=boundary, backend=backend)
    for index in itertools.product(range(2), range(3)):
        torch.testing.assert_close(blur(batch)[index], blur(batch[index]))
        torch.testing.assert_close(blur.adjoint(batch)[index], blur.adjoint(batch[index]))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-15)])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_backends_agree(dtype: torch.dtype, tolerance: float, boundary: str) -> None:
    image, psf = random((11, 40, 37), seed=3, dtype=dtype), gaussian((7, 9, 8), 1.5).to(dtype)
    one, other = (Convolution(psf, image.shape, boundary=boundary, backend=backend) for backend in BACKENDS)
    for blur_one, blur_other in ((one, other), (one.adjoint, other.adjoint)):
        assert blur_one(image).dtype == blur_other(image).dtype == dtype
        torch.testing.assert_close(blur_one(image), blur_other(image), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_image_is_left_alone_and_the_result_is_its_own(backend: str) -> None:
    image = random((8, 12), seed=4)
    before = image.clone()
    blur = Convolution(random((3, 3), seed=5), image.shape, boundary="circular", backend=backend)
    blurred = blur(image)
    assert torch.equal(image, before)
    assert blurred.is_contiguous()
    assert torch.equal(blur(image), blurred)
    torch.testing.assert_close(blur(image.T.contiguous().T), blurred)


@pytest.mark.parametrize(("backend", "boundary"), BOTH)
def test_gradients_of_the_image(backend: str, boundary: str) -> None:
    image = random((2, 2, 3, 4), seed=6).requires_grad_()
    blur = Convolution(random((2, 3, 3), seed=7), (2, 3, 4), boundary=boundary, backend=backend)
    for operator in (blur, blur.adjoint):

        def square(x: torch.Tensor, operator: Callable[[torch.Tensor], torch.Tensor] = operator) -> torch.Tensor:
            return operator(x).square()

        assert torch.autograd.gradcheck(operator, image)
        assert torch.autograd.gradgradcheck(square, image, fast_mode=True)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_gradients_of_the_psf(boundary: str) -> None:
    image, psf = random((4, 5), seed=8).requires_grad_(), random((3, 4), seed=9).requires_grad_()
    assert Convolution(psf, (4, 5)).backend == "torch"

    def both(x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        blur = Convolution(h, (4, 5), boundary=boundary)
        return blur(x), blur.adjoint(x)

    assert torch.autograd.gradcheck(both, (image, psf))


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_filter_on_the_padded_grid(backend: str) -> None:
    """Twice the blur is the filter with the square, where nothing is cut in between."""
    image = torch.zeros(32, 33, dtype=torch.float64)
    image[12:20, 12:20] = random((8, 8), seed=10)
    blur = Convolution(random((5, 4), seed=11), image.shape, backend=backend)
    torch.testing.assert_close(blur.filter(image, blur.transfer.square()), blur(blur(image)))


def test_gradients_of_a_filter() -> None:
    image = random((4, 5), seed=8)
    blur = Convolution(random((3, 4), seed=9), image.shape, backend="torch")
    transfer = blur.transfer.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda t: blur.filter(image, t), transfer)
    with pytest.raises(
        ValueError, match=r"'scipy' has no gradient .* the transfer function.* backend='torch', or pass"
    ):
        Convolution(random((3, 4), seed=9), image.shape).filter(image, transfer)


@pytest.mark.gpu
def test_on_the_gpu() -> None:
    image, psf = random((2, 9, 20, 21), seed=12, dtype=torch.float32), gaussian((5, 6, 7), 1.2).float()
    blur = Convolution(psf.cuda(), (9, 20, 21))
    assert blur.backend == "torch"
    torch.testing.assert_close(blur(image.cuda()).cpu(), Convolution(psf, (9, 20, 21))(image), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="computes on the CPU, but the psf is on cuda"):
        Convolution(psf.cuda(), (9, 20, 21), backend="scipy")
    with pytest.raises(ValueError, match="image is on cpu, but the psf on cuda"):
        blur(image)


@pytest.mark.parametrize(
    ("psf", "shape", "options", "error", "message"),
    [
        ([[1.0]], (4, 4), {}, TypeError, "psf is a list, but must be a tensor"),
        (torch.ones(3), (4,), {}, ValueError, r"psf has shape \(3,\), but needs at least 2 axes"),
        (torch.ones(0, 3), (4, 4), {}, ValueError, "without any element"),
        (torch.ones(3, 3, dtype=torch.int32), (4, 4), {}, TypeError, "must be floating point"),
        (torch.ones(3, 3).half(), (4, 4), {}, TypeError, "must be float32 or float64"),
        (torch.full((3, 3), torch.nan), (4, 4), {}, ValueError, "NaN or infinite"),
        (torch.full((3, 3), torch.inf), (4, 4), {}, ValueError, "NaN or infinite"),
        (torch.ones(3, 3), (2, 4, 4), {}, ValueError, "leave batch axes out of shape"),
        (torch.ones(1, 1, 3, 3), (1, 2, 4, 4), {}, ValueError, r"both must be \(y, x\) or both \(z, y, x\)"),
        (torch.ones(3, 3), (4, 0), {}, ValueError, "each side must be at least 1 voxel"),
        (torch.ones(3, 9), (4, 4), {}, ValueError, "at most 7 of its 9 voxels .* crop it to 7"),
        (torch.ones(3, 5), (4, 4), {"boundary": "circular"}, ValueError, "at most 4 of its 5 voxels"),
        (torch.ones(3, 3), (4, 4), {"boundary": "reflect"}, ValueError, "'linear' .* or 'circular'"),
        (torch.ones(3, 3), (4, 4), {"backend": "fftw"}, ValueError, "'scipy', 'torch' or None"),
        (torch.ones(3, 3, requires_grad=True), (4, 4), {"backend": "scipy"}, ValueError, r"psf.detach\(\)"),
    ],
)
def test_bad_psfs(psf: object, shape: tuple[int, ...], options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Convolution(psf, shape, **options)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.ones((4, 5)), TypeError, "image is a ndarray"),
        (torch.ones(5), ValueError, "needs at least 2 axes"),
        (torch.ones(5, 4), ValueError, r"image has shape \(5, 4\), but this Convolution is for \(..., 4, 5\)"),
        (torch.ones(4, 5).double(), TypeError, "dtype torch.float64, but the psf torch.float32"),
        (torch.ones(4, 5, dtype=torch.int16), TypeError, "must be floating point"),
        (torch.full((4, 5), torch.nan), ValueError, "20 values that are NaN or infinite"),
    ],
)
def test_bad_images(image: object, error: type[Exception], message: str) -> None:
    blur = Convolution(torch.ones(3, 3) / 9, (4, 5))
    for operator in (blur, blur.adjoint):
        with pytest.raises(error, match=message):
            operator(image)
