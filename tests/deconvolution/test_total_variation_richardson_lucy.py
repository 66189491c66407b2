import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.deconvolution import Blur, richardson_lucy, total_variation_richardson_lucy
from course_lib.deconvolution._check import Boundary
from course_lib.deconvolution.total_variation_richardson_lucy import divergence, gradient
from synthetic import counts, gaussian, lopsided_psf, random

BOUNDARIES: tuple[Boundary, ...] = ("linear", "circular")
SPACINGS = ((1.0, 1.0), (1.0, 1.0, 1.0), (3.0, 1.0, 1.0), (1.7, 1.0), (1.0, 2.0, 1.5))


def limit(spacing: tuple[float, ...]) -> float:
    return 1 / (math.sqrt(sum(side**-2 for side in spacing)) + sum(1 / side for side in spacing))


def total_variation(x: torch.Tensor) -> float:
    slopes = gradient(x, (1.0,) * x.ndim)
    return float(torch.stack(slopes).square().sum(dim=0).sqrt().sum())


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_divergence_is_minus_the_transpose_of_the_gradient(spacing: tuple[float, ...]) -> None:
    shape = (7, 8, 9)[-len(spacing) :]
    x, field = random((2, *shape), seed=0), [random((2, *shape), seed=axis + 1) for axis in range(len(spacing))]
    there = sum(float((slope * v).sum()) for slope, v in zip(gradient(x, spacing), field, strict=True))
    assert there == pytest.approx(-float((x * divergence(field, spacing)).sum()), rel=1e-12)


def test_the_gradient_of_a_ramp_is_its_slope() -> None:
    x = torch.arange(8.0).expand(5, 8)
    along_y, along_x = gradient(x, (1.0, 2.0))
    assert torch.equal(along_y, torch.zeros(5, 8))
    assert torch.equal(along_x[:, :-1], torch.full((5, 7), 0.5))
    assert torch.equal(along_x[:, -1], torch.full((5,), -3.5))  # the ring closes


@pytest.mark.parametrize("spacing", SPACINGS)
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31), sparse=st.booleans())
def test_no_divergence_of_unit_vectors_exceeds_the_limit(spacing: tuple[float, ...], seed: int, sparse: bool) -> None:
    x = random((5, 6, 7)[-len(spacing) :], seed=seed)
    x = (x > 0.9).double() if sparse else x
    slopes = gradient(x, spacing)
    length = torch.stack(slopes).square().sum(dim=0).sqrt().clamp(min=1e-300)
    assert float(divergence([slope / length for slope in slopes], spacing).abs().max()) <= (1 + 1e-12) / limit(spacing)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_dark_voxel_reaches_the_limit(spacing: tuple[float, ...]) -> None:
    x = torch.ones((5, 6, 7)[-len(spacing) :], dtype=torch.float64)
    middle = tuple(side // 2 for side in x.shape)
    x[middle] = 0
    slopes = gradient(x, spacing)
    length = torch.stack(slopes).square().sum(dim=0).sqrt().clamp(min=1e-300)
    # its neighbours' vectors point along the axis to it, and its own along the diagonal
    assert float(divergence([slope / length for slope in slopes], spacing)[middle]) == pytest.approx(1 / limit(spacing))


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_without_penalty_it_is_richardson_lucy(boundary: Boundary) -> None:
    image, psf = counts((9, 10), seed=0), lopsided_psf((3, 4), seed=1)
    restored = total_variation_richardson_lucy(image, psf, regularization=0, background=1.0, boundary=boundary)
    torch.testing.assert_close(restored, richardson_lucy(image, psf, background=1.0, boundary=boundary))


@settings(deadline=None, max_examples=20)
@given(
    shape=st.lists(st.integers(2, 8), min_size=2, max_size=3),
    extents=st.lists(st.integers(1, 7), min_size=3, max_size=3),
    share=st.sampled_from([0.01, 0.5, 0.99]),
    background=st.sampled_from([0.0, 2.0]),
    boundary=st.sampled_from(BOUNDARIES),
    seed=st.integers(0, 2**31),
)
def test_the_photons_stay_below_their_bound(
    shape: list[int], extents: list[int], share: float, background: float, boundary: Boundary, seed: int
) -> None:
    extents = [
        min(extent, side) if boundary == "circular" else extent for side, extent in zip(shape, extents, strict=False)
    ]
    image, psf, spacing = (
        counts(tuple(shape), seed=seed) + background,
        lopsided_psf(tuple(extents), seed=3),
        (3.0, 1.0, 1.0),
    )
    reach = Blur(psf, image.shape[-psf.ndim :], boundary=boundary).reach
    sums = []

    def watch(iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        assert float(estimate.min()) >= 0
        sums.append(float((reach * estimate).sum()))
        return False

    total_variation_richardson_lucy(
        image,
        psf,
        iterations=60,
        regularization=share * limit(spacing[-psf.ndim :]),
        voxel_size_um=spacing[-psf.ndim :],
        background=background,
        boundary=boundary,
        stop=watch,
    )
    assert max(sums[1:]) <= (1 + 1e-9) * float(image.sum()) / (1 - share)


def test_the_iteration_comes_to_rest_where_edges_cost_photons() -> None:
    psf, weight, image, steps = gaussian((5, 5), 0.8), 0.05, torch.full((12, 13), 5.0, dtype=torch.float64), []
    image[3:9, 4:10] = 40.0
    image = torch.poisson(image, generator=torch.Generator().manual_seed(0))
    blur, last = Blur(psf, (12, 13), boundary="circular"), [image]

    def watch(iteration: int, estimate: torch.Tensor) -> None:
        steps.append(float((estimate - last[0]).norm() / estimate.norm()))
        last[0] = estimate.clone()

    x = total_variation_richardson_lucy(
        image, psf, iterations=3000, regularization=weight, boundary="circular", callback=watch
    )
    assert steps[-1] < 1e-8
    slopes = torch.stack(gradient(x, (1.0, 1.0)))
    length = (slopes.square().sum(dim=0) + (4 * weight * x) ** 2).sqrt()
    missing = float(image.sum() - x.sum())
    assert missing == pytest.approx(weight * float((slopes.square().sum(dim=0) / length).sum()), rel=1e-5)
    assert missing == pytest.approx(weight * total_variation(x), rel=0.1)
    slack = 1 - weight * divergence(list(slopes / length), (1.0, 1.0)) - blur.adjoint(image / blur(x))
    bright = x > 1e-3
    assert float(slack[bright].abs().max()) < 1e-5
    assert float(slack[~bright].min()) > -1e-5  # a voxel that became dark wants to be so


def test_what_is_maximized_is_higher_than_without_the_penalty() -> None:
    psf, weight, image = gaussian((5, 5), 1.0), 0.02, counts((16, 17), seed=0, peak=50.0)
    blur = Blur(psf, (16, 17), boundary="circular")

    def objective(x: torch.Tensor) -> float:
        expected = blur(x)
        return float((torch.xlogy(image, expected) - expected).sum()) - weight * total_variation(x)

    values = []
    total_variation_richardson_lucy(
        image,
        psf,
        iterations=300,
        regularization=weight,
        boundary="circular",
        callback=lambda _, x: values.append(objective(x)),
    )
    assert values[-1] > max(
        objective(richardson_lucy(image, psf, iterations=k, boundary="circular")) for k in (5, 20, 100, 300)
    )
    assert values[-1] == pytest.approx(max(values), abs=0.05 * (max(values) - min(values)))


def test_nuclei_profit_and_are_flat() -> None:
    psf = gaussian((11, 11), 1.6)
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    truth = 5 + 60.0 * (((y - 22) ** 2 + (x - 25) ** 2) < 12**2).double()
    image = torch.poisson(Blur(psf, (48, 48), boundary="circular")(truth), generator=torch.Generator().manual_seed(0))
    plain = richardson_lucy(image, psf, iterations=50)
    flat = total_variation_richardson_lucy(image, psf, iterations=50, regularization=0.02)
    assert float((flat - truth).norm()) < 0.7 * float((plain - truth).norm())
    inside = truth > 60
    assert float(flat[inside].std()) < 0.7 * float(plain[inside].std())


def test_axes_are_alike() -> None:
    image, psf = counts((12, 12), seed=0), lopsided_psf((5, 5), seed=1)
    there = total_variation_richardson_lucy(image, psf, regularization=0.05, voxel_size_um=(0.2, 0.1))
    turned = total_variation_richardson_lucy(image.T, psf.T, regularization=0.05, voxel_size_um=(0.1, 0.2))
    torch.testing.assert_close(turned.T, there)


def test_far_voxels_may_differ_more() -> None:
    image, psf = counts((12, 12), seed=0), gaussian((3, 3), 0.6)

    def roughness(x: torch.Tensor) -> float:
        return float((x.diff(dim=0)).abs().sum() / (x.diff(dim=1)).abs().sum())

    near = total_variation_richardson_lucy(image, psf, regularization=0.1, boundary="circular")
    far = total_variation_richardson_lucy(image, psf, regularization=0.1, voxel_size_um=(0.4, 0.1), boundary="circular")
    assert roughness(far) > 1.2 * roughness(near)


def test_a_stack_without_voxel_size_is_warned_of() -> None:
    image, psf = counts((4, 6, 7), seed=0), lopsided_psf((3, 3, 3), seed=1)
    with pytest.warns(UserWarning, match=r"voxel_size_um is None, so that voxels are taken as cubes"):
        cubes = total_variation_richardson_lucy(image, psf, iterations=5)
    torch.testing.assert_close(
        cubes, total_variation_richardson_lucy(image, psf, iterations=5, voxel_size_um=(0.2, 0.2, 0.2))
    )


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"image": torch.full((6, 7), -1.0)}, "image has 42 negative values, the lowest -1, but must be photons"),
        ({"regularization": -0.1}, "regularization is -0.1, but must be at least 0"),
        ({"regularization": 0.3}, "regularization is 0.3, but must be below 0.293 with these voxels"),
        ({"regularization": math.nan}, "regularization is nan, but must be a finite number"),
        ({"voxel_size_um": (0.1,)}, r"voxel_size_um is \(0.1,\), but the psf has 2 axes: give \(y, x\)"),
        ({"voxel_size_um": (0.1, -0.1)}, "voxel_size_um is -0.1, but must be above 0"),
    ],
)
def test_a_bad_input_is_told(keywords: dict[str, Any], message: str) -> None:
    good = {"image": torch.ones(6, 7), "psf": torch.ones(3, 3) / 9}
    with pytest.raises(ValueError, match=message):
        total_variation_richardson_lucy(**(good | keywords))
