import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from course_lib.deconvolution import Blur, tikhonov, tikhonov_miller
from course_lib.deconvolution._check import Boundary
from course_lib.deconvolution.tikhonov_miller import Penalty
from synthetic import counts, gaussian, lopsided_psf

BOUNDARIES: tuple[Boundary, ...] = ("linear", "circular")


def laplacian(x: torch.Tensor, spacing: tuple[float, ...]) -> torch.Tensor:
    """Take the second differences with a circular convolution, axis by axis."""
    total = torch.zeros_like(x)
    for axis, side in enumerate(spacing, start=-len(spacing)):
        total += torch.from_numpy(
            np.apply_along_axis(lambda line: np.roll(line, 1) - 2 * line + np.roll(line, -1), axis, x.numpy())
        ) / (side**2)
    return total


def dense(apply: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Apply a linear map to each voxel on its own: the columns of its matrix."""
    voxels = math.prod(shape)
    basis = torch.eye(voxels, dtype=torch.float64).reshape(voxels, *shape)
    columns: torch.Tensor = apply(basis)
    return columns.reshape(voxels, -1).T.numpy()


@settings(deadline=None, max_examples=40)
@given(
    shape=st.lists(st.integers(2, 8), min_size=2, max_size=3),
    extents=st.lists(st.integers(1, 7), min_size=3, max_size=3),
    regularization=st.sampled_from([0.0, 1e-4, 0.1, 100.0]),
    penalty=st.sampled_from(["laplacian", "identity"]),
    minimum=st.sampled_from([None, 0.0, 3.0]),
    boundary=st.sampled_from(BOUNDARIES),
    seed=st.integers(0, 2**31),
)
def test_what_is_minimized_never_rises(
    shape: list[int],
    extents: list[int],
    regularization: float,
    penalty: Penalty,
    minimum: float | None,
    boundary: Boundary,
    seed: int,
) -> None:
    extents = [
        min(extent, side) if boundary == "circular" else extent for side, extent in zip(shape, extents, strict=False)
    ]
    image, psf, spacing, values = counts(tuple(shape), seed=seed), lopsided_psf(tuple(extents), seed=3), (3.0, 1, 1), []

    def watch(iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        rough = estimate if penalty == "identity" else laplacian(estimate, spacing[-psf.ndim :])
        values.append(float((image - expected).square().sum() + regularization * rough.square().sum()))
        assert minimum is None or float(estimate.min()) >= minimum
        return False

    tikhonov_miller(
        image,
        psf,
        iterations=40,
        regularization=regularization,
        penalty=penalty,
        voxel_size_um=[0.1 * side for side in spacing[-psf.ndim :]],
        minimum=minimum,
        boundary=boundary,
        stop=watch,
    )
    assert np.diff(values).max() <= 1e-10 * max(values)


@pytest.mark.parametrize("extents", [(5, 5), (4, 6), (3, 4, 5)])
def test_without_a_minimum_it_ends_in_tikhonov(extents: tuple[int, ...]) -> None:
    image, psf = counts((8, 9, 10)[-len(extents) :], seed=0), lopsided_psf(extents, seed=1)
    restored = tikhonov_miller(
        image, psf, iterations=150, regularization=0.01, penalty="identity", minimum=None, boundary="circular"
    )
    expected = tikhonov(image, psf, regularization=0.01, boundary="circular")
    torch.testing.assert_close(restored, expected, rtol=1e-7, atol=1e-7)
    assert float(restored.min()) < 0


@pytest.mark.parametrize("voxel_size_um", [(0.1, 0.1), (0.3, 0.1)])
def test_the_laplacian_knows_the_voxels(voxel_size_um: tuple[float, float]) -> None:
    image, psf, weight = counts((9, 10), seed=0), lopsided_psf((4, 5), seed=1), 0.05
    wave = [2 - 2 * torch.cos(2 * math.pi * torch.arange(side).double() / side) for side in (9, 10)]
    rough = wave[0][:, None] * (voxel_size_um[1] / voxel_size_um[0]) ** 2 + wave[1]
    ring = torch.zeros(9, 10, dtype=torch.float64)
    ring[:4, :5] = psf
    transfer = torch.fft.fft2(ring.roll((-2, -2), dims=(0, 1)))
    spectrum = transfer.conj() * torch.fft.fft2(image) / (transfer.abs() ** 2 + weight * rough**2)
    restored = tikhonov_miller(
        image,
        psf,
        iterations=200,
        regularization=weight,
        voxel_size_um=voxel_size_um,
        minimum=None,
        boundary="circular",
    )
    torch.testing.assert_close(restored, torch.fft.ifft2(spectrum).real, rtol=1e-7, atol=1e-7)


def test_without_a_minimum_each_eigenvalue_takes_one_iteration() -> None:
    psf = torch.zeros(3, 3, dtype=torch.float64)
    psf[1], psf[1, 1] = (
        0.25,
        0.5,
    )  # along x only: on 8 voxels four different transfers, and 0, which an even start lacks
    image = counts((4, 8), seed=0)
    restored = [
        tikhonov_miller(
            image, psf, iterations=k, regularization=0.01, penalty="identity", minimum=None, boundary="circular"
        )
        for k in (3, 4)
    ]
    expected = tikhonov(image, psf, regularization=0.01, boundary="circular")
    assert float((restored[0] - expected).abs().max()) > 1e-3
    torch.testing.assert_close(restored[1], expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("penalty", ["laplacian", "identity"])
def test_clipped_it_ends_in_the_non_negative_least_squares(boundary: Boundary, penalty: Penalty) -> None:
    image, psf, weight = counts((6, 7), seed=3), lopsided_psf((3, 4), seed=1), 0.002
    blur = Blur(psf, (6, 7), boundary=boundary)
    H = dense(blur, blur.object_shape)
    L = np.eye(H.shape[1]) if penalty == "identity" else dense(lambda x: laplacian(x, (1.0, 1.0)), blur.object_shape)
    stacked = np.concatenate([H, math.sqrt(weight) * L])
    solution, _ = optimize.nnls(stacked, np.concatenate([image.numpy().ravel(), np.zeros(len(L))]))
    assert (solution == 0).sum() > 5  # or the minimum would not matter
    expected = blur.crop(torch.from_numpy(solution).reshape(blur.object_shape))
    restored = tikhonov_miller(image, psf, iterations=1000, regularization=weight, penalty=penalty, boundary=boundary)
    torch.testing.assert_close(restored, expected, rtol=1e-5, atol=1e-5)


def test_where_a_step_of_1_diverges_this_does_not() -> None:
    psf, image, weight = gaussian((9, 9), 1.5), counts((20, 21), seed=0), 0.1
    blur, x = Blur(psf, (20, 21), boundary="circular"), image.clone()
    for _ in range(60):  # gamma = 1, lambda = 0.1: the defaults of a popular tool
        rough = laplacian(laplacian(x, (1.0, 1.0)), (1.0, 1.0))
        x = (x + blur.adjoint(image - blur(x)) - weight * rough).clamp(min=0)
    assert float(x.max()) > 1e6
    restored = tikhonov_miller(image, psf, iterations=60, regularization=weight, boundary="circular")
    assert float(restored.max()) < 2 * float(image.max())
    assert float((image - blur(restored)).norm()) < float((image - image.mean()).norm())


def test_an_even_object_is_darkened_by_the_identity_alone() -> None:
    image, psf = torch.full((9, 10), 6.0, dtype=torch.float64), lopsided_psf((3, 4), seed=0)
    dark = tikhonov_miller(image, psf, regularization=0.5, penalty="identity", boundary="circular")
    torch.testing.assert_close(dark, torch.full_like(image, 4.0))  # 6 / (1 + 0.5)
    for boundary in BOUNDARIES:
        torch.testing.assert_close(tikhonov_miller(image, psf, regularization=0.5, boundary=boundary), image)


def test_an_image_of_background_alone_has_an_even_object() -> None:
    image = torch.full((9, 10), 50.0, dtype=torch.float64)
    image[::2] -= 1.0
    restored = tikhonov_miller(image, gaussian((5, 5), 1.0), background=50.0, minimum=None)
    torch.testing.assert_close(restored, torch.full_like(image, float(image.mean()) - 50.0), rtol=0, atol=1e-3)


@pytest.mark.parametrize("background", [0.0, 3.0])
@pytest.mark.parametrize("share", [1e-4, 1.0])
def test_the_weight_by_default(background: float, share: float) -> None:
    psf, images = gaussian((7, 7), 1.0), torch.stack([counts((9, 10), seed=0), counts((9, 10), seed=1, peak=500.0)])
    images, background = share * images, share * background
    restored = tikhonov_miller(images, psf, background=background)
    for image, alone in zip(images, restored, strict=True):
        weight = float(image.mean() / (1e-3 * ((image.max() - background) / psf.max()) ** 2))
        torch.testing.assert_close(
            alone,
            tikhonov_miller(image, psf, regularization=weight, background=background),
            rtol=1e-6,
            atol=1e-6 * share,
        )


def test_the_default_is_near_the_best_weight_at_each_photon_number() -> None:
    psf, truth = gaussian((11, 11), 1.6), torch.zeros(48, 48, dtype=torch.float64)
    truth[10:13, 6:40] = truth[20:36, 14:17] = truth[24:34, 30:42] = 1.0
    blurred = Blur(psf, (48, 48), boundary="circular")(truth).clamp(min=0)
    for photons in (20.0, 200.0, 2000.0):
        image = torch.poisson(photons * blurred + 2, generator=torch.Generator().manual_seed(0))

        def error(weight: float | None, photons: float = photons, image: torch.Tensor = image) -> float:
            restored = tikhonov_miller(image, psf, regularization=weight, background=2.0)
            return float((restored - photons * truth).norm() / (photons * truth).norm())

        assert error(None) < 1.2 * min(error(10.0**power) for power in range(-5, 1))


def test_an_image_may_be_negative() -> None:
    image = torch.randn(9, 10, generator=torch.Generator().manual_seed(0))
    restored = tikhonov_miller(image, gaussian((3, 3), 0.8).float(), iterations=200)
    assert torch.isfinite(restored).all()
    assert float(restored.min()) >= 0


def test_a_stack_without_voxel_size_is_warned_of() -> None:
    image, psf = counts((4, 6, 7), seed=0), lopsided_psf((3, 3, 3), seed=1)
    with pytest.warns(UserWarning, match=r"voxel_size_um is None, so that voxels are taken as cubes"):
        cubes = tikhonov_miller(image, psf, iterations=5)
    torch.testing.assert_close(cubes, tikhonov_miller(image, psf, iterations=5, voxel_size_um=(1, 1, 1)))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"regularization": -0.1}, "regularization is -0.1, but must be at least 0"),
        ({"regularization": math.nan}, "regularization is nan, but must be a finite number"),
        ({"penalty": "gradient"}, "penalty is 'gradient', but must be 'laplacian' or 'identity'"),
        (
            {"voxel_size_um": (0.3, 0.1, 0.1)},
            r"voxel_size_um is \(0.3, 0.1, 0.1\), but the psf has 2 axes: give \(y, x\)",
        ),
        ({"voxel_size_um": (0.1, 0.0)}, "voxel_size_um is 0, but must be above 0"),
        ({"minimum": math.inf}, "minimum is inf, but must be a finite number"),
    ],
)
def test_a_bad_input_is_told(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tikhonov_miller(torch.ones(6, 7), torch.ones(3, 3) / 9, **keywords)
