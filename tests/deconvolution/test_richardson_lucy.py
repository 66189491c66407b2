import contextlib
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.deconvolution import Blur, accelerated_richardson_lucy, richardson_lucy
from synthetic import counts, gaussian, lopsided_psf

BOUNDARIES = ("linear", "circular")
METHODS = (richardson_lucy, accelerated_richardson_lucy)
Method = Callable[..., torch.Tensor]


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

    def __call__(self, iteration: int, _estimate: torch.Tensor, expected: torch.Tensor) -> bool:
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
    extents = [
        min(extent, side) if boundary == "circular" else extent for side, extent in zip(shape, extents, strict=False)
    ]
    image = counts(tuple(shape), seed=seed) + background
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
def test_a_background_given_voxel_by_voxel(method: Method) -> None:
    image, psf = counts((9, 10), seed=0), lopsided_psf((3, 3), seed=1)
    even = method(image, psf, iterations=5, background=2.0)
    torch.testing.assert_close(method(image, psf, iterations=5, background=torch.full((9, 10), 2.0)), even)


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
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("background", [0.0, 2.0])
def test_an_empty_image_has_no_object(method: Method, boundary: str, background: float) -> None:
    psf = gaussian((5, 6), 1.0).float()
    expected = pytest.warns(UserWarning, match="no object is left") if background else contextlib.nullcontext()
    with expected:
        restored = method(torch.zeros(2, 12, 13), psf, iterations=10, background=background, boundary=boundary)
    assert torch.equal(restored, torch.zeros(2, 12, 13))


@pytest.mark.parametrize(("method", "bound"), [(richardson_lucy, 1e-5), (accelerated_richardson_lucy, 1e-3)])
def test_float32_is_near_float64(method: Method, bound: float) -> None:  # a momentum makes rounding grow
    image, psf = counts((16, 17), seed=0, peak=200.0), gaussian((7, 7), 1.5)
    exact = method(image, psf, iterations=20, background=1.0)
    single = method(image.float(), psf.float(), iterations=20, background=1.0)
    assert float((single - exact).norm() / exact.norm()) < bound


@pytest.mark.parametrize("method", METHODS)
def test_a_negative_image_is_told(method: Method) -> None:
    with pytest.raises(ValueError, match="image has 42 negative values, the lowest -2, "):
        method(torch.full((6, 7), -2.0), torch.ones(3, 3) / 9)


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
