from functools import partial
from typing import Any

import pytest
import torch

from course_lib.deconvolution import (
    RelativeChange,
    accelerated_richardson_lucy,
    automatic_stop,
    depth_varying,
    jansson_van_cittert,
    richardson_lucy,
    tikhonov,
    tikhonov_miller,
    wiener,
)
from course_lib.deconvolution._check import Background
from course_lib.deconvolution.accelerated_richardson_lucy import Momentum, measured_momentum
from course_lib.optics import Microscope, gibson_lanni_psf

STEP_UM = 0.3
SHAPE = (24, 32, 32)
PSF_SHAPE = (13, 17, 17)
REACH = PSF_SHAPE[0] // 2
BACKGROUND = 2.0
ACCELERATED = partial(accelerated_richardson_lucy, iterations=15)


def psf_at(plane: int) -> torch.Tensor:
    """An oil objective in water, whose first plane is 2 µm deep."""
    deep_um = 2 + plane * STEP_UM * 1.34 / 1.515
    microscope = Microscope(numerical_aperture=1.3, sample_index=1.34, depth_um=deep_um)
    return gibson_lanni_psf(microscope, shape=PSF_SHAPE, voxel_size_um=(STEP_UM, 0.1, 0.1))


def blur_plane_by_plane(specimen: torch.Tensor, psfs: list[torch.Tensor]) -> torch.Tensor:
    """Each plane of the specimen is blurred with the PSF of its own depth, and adds to all planes of the image."""
    image = torch.zeros_like(specimen)
    for plane, psf in enumerate(psfs):
        kernel = psf[:, None].flip(-2, -1)
        light = torch.nn.functional.conv2d(specimen[None, plane, None], kernel, padding="same")[0]
        for k, slice_ in enumerate(light):
            if 0 <= plane + k - REACH < SHAPE[0]:
                image[plane + k - REACH] += slice_
    return image


def error(restored: torch.Tensor, truth: torch.Tensor) -> float:
    return float((restored - truth).norm() / truth.norm())


@pytest.fixture(scope="module")
def psfs() -> list[torch.Tensor]:
    return [psf_at(plane) for plane in range(SHAPE[0])]


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    points = (torch.rand(SHAPE, generator=draw) > 0.999).float() * 2e4
    return torch.nn.functional.avg_pool3d(points[None], 3, 1, 1)[0]


@pytest.fixture(scope="module")
def image(truth: torch.Tensor, psfs: list[torch.Tensor]) -> torch.Tensor:
    return torch.poisson(blur_plane_by_plane(truth, psfs) + BACKGROUND, generator=torch.Generator().manual_seed(1))


def test_the_blur_of_the_test_is_a_convolution_where_all_depths_have_one_psf(truth: torch.Tensor) -> None:
    psf = psf_at(0)
    same = blur_plane_by_plane(truth, [psf] * SHAPE[0])
    pad = [(side // 2, side // 2) for side in reversed(PSF_SHAPE)]
    padded = torch.nn.functional.pad(truth, [width for pair in pad for width in pair])
    whole = torch.nn.functional.conv3d(padded[None, None], psf.flip(0, 1, 2)[None, None])[0, 0]
    torch.testing.assert_close(same, whole, rtol=0, atol=1e-5 * float(whole.max()))


def test_it_beats_every_single_psf_and_more_depths_beat_fewer(
    image: torch.Tensor, truth: torch.Tensor, psfs: list[torch.Tensor]
) -> None:
    single = min(error(ACCELERATED(image, psfs[k], background=BACKGROUND), truth) for k in (0, 12, 23))
    errors = [
        error(depth_varying(image, [psfs[k] for k in at], planes=at, method=ACCELERATED, background=BACKGROUND), truth)
        for at in ([0, 23], [0, 12, 23])
    ]
    assert errors[1] < errors[0] < single
    assert errors[1] < 0.96 * single


def test_a_margin_as_large_as_the_stack_gives_the_plain_method_for_equal_psfs(
    image: torch.Tensor, psfs: list[torch.Tensor]
) -> None:
    plain = ACCELERATED(image, psfs[12], background=BACKGROUND)
    split = depth_varying(
        image, [psfs[12]] * 3, planes=[0, 12, 23], method=ACCELERATED, background=BACKGROUND, margin=SHAPE[0]
    )
    torch.testing.assert_close(split, plain, rtol=0, atol=1e-6 * float(plain.max()))


def test_the_default_margin_changes_little(image: torch.Tensor, psfs: list[torch.Tensor]) -> None:
    """Voxels beyond the margin are guessed, not seen: that is all the difference."""
    method = partial(richardson_lucy, iterations=10)
    plain = method(image, psfs[12], background=BACKGROUND)
    largest = []
    for margin in (3, None, 18):
        split = depth_varying(
            image, [psfs[12]] * 3, planes=[0, 6, 23], method=method, background=BACKGROUND, margin=margin
        )
        largest.append(float((split - plain).abs().max() / plain.max()))
    assert largest[0] > 0.02
    assert 0 < largest[1] < 1e-2
    assert largest[2] < 1e-6


@pytest.mark.parametrize(
    ("margin", "slabs"),
    [
        (None, [(0, 9), (0, 14), (2, 20), (7, 20)]),
        (0, [(0, 5), (1, 10), (6, 16), (11, 20)]),
        (3, [(0, 8), (0, 13), (3, 19), (8, 20)]),
        (20, [(0, 20)] * 4),
    ],
)
def test_each_slab_has_its_planes_and_the_margin(margin: int | None, slabs: list[tuple[int, int]]) -> None:
    """A PSF has a share in the planes between those of its neighbours; by default 4 more, its own 5 less 1."""
    seen = []

    def spying(image: torch.Tensor, psf: torch.Tensor, *, background: torch.Tensor) -> torch.Tensor:
        seen.append((int(image[0, 0, 0]), int(image[-1, 0, 0]) + 1))
        return image

    numbered = torch.arange(20.0)[:, None, None].expand(20, 4, 4)
    psf = torch.ones(5, 1, 1) / 5
    restored = depth_varying(numbered, [psf] * 4, planes=[0, 5, 10, 16], method=spying, margin=margin)
    assert sorted(seen) == slabs
    torch.testing.assert_close(restored, numbered)


def recorded(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    background: Background,
    momentum: Momentum = measured_momentum,
    calls: list[tuple[torch.Tensor, list[float]]],
) -> torch.Tensor:
    """Accelerated Richardson-Lucy that notes its PSF and each alpha."""
    alphas = []

    def rule(move: torch.Tensor, last_move: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        alpha = momentum(move, last_move, axes)
        alphas.append(float(alpha))
        return alpha

    calls.append((psf, alphas))
    return accelerated_richardson_lucy(image, psf, iterations=6, background=background, momentum=rule)


@pytest.mark.parametrize("bright", [0, 1, 2])
def test_slabs_share_the_momentum_of_the_brightest(psfs: list[torch.Tensor], truth: torch.Tensor, bright: int) -> None:
    planes = [0, 12, 23]
    light = torch.full(SHAPE, 0.1)
    light[max(0, planes[bright] - 3) : planes[bright] + 4] = 1
    image = blur_plane_by_plane(truth * light, psfs) + BACKGROUND
    calls: list[tuple[torch.Tensor, list[float]]] = []
    method = partial(recorded, calls=calls)
    depth_varying(image, [psfs[k] for k in planes], planes=planes, method=method, background=BACKGROUND)
    (psf, first), *others = calls
    assert torch.equal(psf, psfs[planes[bright]])
    assert len(first) == 6
    assert [alphas for _, alphas in others] == [first, first]


def test_slabs_that_share_their_momentum_agree_better(image: torch.Tensor, psfs: list[torch.Tensor]) -> None:
    def own(image: torch.Tensor, psf: torch.Tensor, *, background: Background) -> torch.Tensor:
        return ACCELERATED(image, psf, background=background)

    plain = ACCELERATED(image, psfs[12], background=BACKGROUND)
    errors = [
        error(depth_varying(image, [psfs[12]] * 3, planes=[0, 6, 23], method=method, background=BACKGROUND), plain)
        for method in (ACCELERATED, own)
    ]
    assert errors[0] < 0.8 * errors[1]


def test_planes_between_two_depths_are_blended_linearly() -> None:
    """Tikhonov is linear and local in z for a PSF of one plane, so that the blend is exact."""
    image = torch.rand(9, 8, 8, generator=torch.Generator().manual_seed(2))
    sharp, wide = torch.ones(1, 1, 1), torch.ones(1, 3, 3) / 9
    method = partial(tikhonov, regularization=0.1)
    above, below = (method(image, psf, background=0.0) for psf in (sharp, wide))
    restored = depth_varying(image, [sharp, wide], planes=[2, 6], method=method, margin=9)
    share = ((torch.arange(9) - 2) / 4).clamp(0, 1)[:, None, None]
    torch.testing.assert_close(restored, (1 - share) * above + share * below)


def test_behind_the_last_depth_its_psf_stays() -> None:
    image = torch.rand(6, 8, 8, generator=torch.Generator().manual_seed(3)) + 1
    sharp, wide = torch.ones(3, 1, 1) / 3, torch.ones(3, 3, 3) / 27
    method = partial(richardson_lucy, iterations=3)
    alone = method(image, wide, background=0.0)
    restored = depth_varying(image, [sharp, wide], planes=[-9.5, 0], method=method, margin=6)
    torch.testing.assert_close(restored, alone)


def test_batch_and_background_map_and_dtype() -> None:
    draw = torch.Generator().manual_seed(4)
    image = torch.rand(2, 6, 8, 8, generator=draw, dtype=torch.float64) * 10
    psfs = [torch.ones(3, 3, 3, dtype=torch.float64) / 27, torch.ones(1, 3, 3, dtype=torch.float64) / 9]
    background = torch.rand(6, 8, 8, generator=draw, dtype=torch.float64)
    method = partial(accelerated_richardson_lucy, iterations=4)
    both = depth_varying(image, psfs, planes=[1, 4], method=method, background=background)
    assert (both.shape, both.dtype) == (image.shape, torch.float64)
    for one, alone in zip(image, both, strict=True):
        expected = depth_varying(one, psfs, planes=[1, 4], method=method, background=background)
        torch.testing.assert_close(alone, expected)


def test_an_empty_stack_stays_empty() -> None:
    psf = torch.ones(3, 3, 3) / 27
    restored = depth_varying(torch.zeros(6, 8, 8), [psf, psf], planes=[0, 5])
    assert not restored.any()


PSF = torch.ones(3, 3, 3) / 27
STACK = torch.ones(6, 8, 8)


@pytest.mark.parametrize(
    ("image", "psfs", "planes", "told"),
    [
        (STACK, [PSF], [0], "there are 1 psfs and 1 planes, .*with one PSF, call the method itself"),
        (STACK, [PSF, PSF], [0, 1, 2], "2 psfs and 3 planes"),
        (STACK, [PSF, PSF], [3, 3], r"planes are \[3.0, 3.0\], but must be finite and increase: sort"),
        (STACK, [PSF, PSF], [0, float("nan")], "must be finite and increase"),
        (STACK, [PSF, PSF], [-5, -2], "all outside the image, whose planes are 0 to 5"),
        (STACK, [PSF, PSF], [6, 9], "all outside the image"),
        (STACK, [PSF, PSF[0] * 3], [0, 5], r"psfs\[1\] has shape \(3, 3\), but must be \(z, y, x\)"),
        (STACK, [PSF, 2 * PSF], [0, 5], "psf sums to 2"),
        (STACK[0], [PSF, PSF], [0, 5], "image"),
        (STACK[:1], [PSF, PSF], [0, 5], "image has 1 plane"),
        (STACK - 2 * (torch.arange(8) == 3), [PSF, PSF], [0, 5], "negative values"),
    ],
)
def test_bad_input(image: torch.Tensor, psfs: list[torch.Tensor], planes: list[float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        depth_varying(image, psfs, planes=planes)


@pytest.mark.parametrize("margin", [-1, 1.5, True])
def test_bad_margin(margin: Any) -> None:
    with pytest.raises(ValueError, match="must be a whole number of planes, at least 0"):
        depth_varying(STACK, [PSF, PSF], planes=[0, 5], margin=margin)


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (partial(ACCELERATED, stop=RelativeChange(0.1)), "method has a rule stop, which would see one slab at a time"),
        (partial(ACCELERATED, callback=print), "method has a callback, which would be called for each slab"),
        (partial(automatic_stop, rng=0), "method is automatic_stop, which would end each slab after another number"),
        (partial(ACCELERATED, iterations=0), "iterations is 0, but must be at least 1"),
        (partial(ACCELERATED, boundary="circular"), "the stack of 6 planes is cut into slabs.*or give margin=6"),
        (partial(ACCELERATED, background=2.0), "method has background=2.0, but would be called with background=0.5"),
        (
            partial(ACCELERATED, background=torch.ones(6, 1, 1)),
            r"method has background=a tensor of shape \(6, 1, 1\), but would be called with background=0.5",
        ),
    ],
)
def test_methods_that_do_not_fit_slabs(method: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        depth_varying(STACK, [PSF, PSF], planes=[0, 3], method=method, background=0.5, margin=1)


@pytest.mark.parametrize(
    "method",
    [
        jansson_van_cittert,
        partial(tikhonov_miller, penalty="identity"),
        partial(wiener, voxel_size_um=(1, 1, 1)),
    ],
)
def test_methods_that_fit_themselves_to_each_slab_are_told_of(method: Any) -> None:
    image = torch.poisson(20 * STACK, generator=torch.Generator().manual_seed(0))
    narrow = torch.ones(1, 3, 3) / 9
    with pytest.warns(UserWarning, match=r"fits .* to the image, and so to each slab: expect seams.*or give margin=6"):
        depth_varying(image, [narrow, narrow], planes=[0, 3], method=method, margin=1)
    depth_varying(image, [narrow, narrow], planes=[0, 3], method=method, margin=6)


def test_whole_slabs_may_wrap_round_and_a_background_may_be_told_twice() -> None:
    image = torch.poisson(20 * STACK, generator=torch.Generator().manual_seed(0))
    method = partial(richardson_lucy, iterations=3, boundary="circular", background=2)
    restored = depth_varying(image, [PSF, PSF], planes=[0, 5], method=method, background=2.0, margin=6)
    torch.testing.assert_close(restored, method(image, PSF))
