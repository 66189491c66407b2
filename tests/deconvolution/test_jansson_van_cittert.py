import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.deconvolution import Blur, jansson_van_cittert
from course_lib.deconvolution._check import Boundary
from course_lib.deconvolution.jansson_van_cittert import Feedback
from synthetic import counts, gaussian, lopsided_psf, matrix, random

BOUNDARIES: tuple[Boundary, ...] = ("linear", "circular")


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("feedback", ["reblurred", "classical"])
def test_against_the_formula_with_a_matrix(boundary: Boundary, feedback: Feedback) -> None:
    psf, image = gaussian((5, 5), 0.7), counts((6, 7), seed=1)
    blur, lower, upper, background = Blur(psf, (6, 7), boundary=boundary), 0.5, 60.0, 2.0
    H, y = matrix(blur), image.numpy().ravel() - background
    back = H.T
    if feedback == "classical":
        seen = blur.crop(torch.arange(H.shape[1]).reshape(blur.object_shape)).flatten().numpy()
        back = np.eye(H.shape[1])[:, seen]
    x = np.full(H.shape[1], y.mean())
    for _ in range(12):
        g = back @ (y - H @ x)
        w = 1 - 2 * np.abs(x - (lower + upper) / 2) / (upper - lower)
        d = w * g
        curvature = d @ (H.T if feedback == "reblurred" else back) @ H @ d
        x = x + min(g @ d / curvature, 0.9 * (upper - lower) / (2 * np.abs(g).max())) * d
    restored = jansson_van_cittert(
        image,
        psf,
        iterations=12,
        lower=lower,
        upper=upper,
        feedback=feedback,
        background=background,
        boundary=boundary,
    )
    np.testing.assert_allclose(restored.numpy(), x.reshape(blur.object_shape)[:6, :7], rtol=1e-9)


@settings(deadline=None, max_examples=25)
@given(
    shape=st.lists(st.integers(2, 8), min_size=2, max_size=3),
    extents=st.lists(st.integers(1, 7), min_size=3, max_size=3),
    bounds=st.sampled_from([(0.0, None), (0.0, 10.0), (-5.0, 3.0), (30.0, 31.0), (2.0, 1e6)]),
    boundary=st.sampled_from(BOUNDARIES),
    seed=st.integers(0, 2**31),
)
def test_the_error_never_rises_and_no_bound_is_passed(
    shape: list[int], extents: list[int], bounds: tuple[float, float | None], boundary: Boundary, seed: int
) -> None:
    extents = [
        min(extent, side) if boundary == "circular" else extent for side, extent in zip(shape, extents, strict=False)
    ]
    image, psf, (lower, upper), errors = (
        counts(tuple(shape), seed=seed),
        lopsided_psf(tuple(extents), seed=3),
        bounds,
        [],
    )
    highest = upper if upper is not None else max(float(image.max() / psf.max()), 1.0)

    def watch(iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        assert lower <= float(estimate.min()) <= float(estimate.max()) <= highest
        errors.append(float((image - expected).square().sum()))
        return False

    jansson_van_cittert(image, psf, iterations=60, lower=lower, upper=upper, boundary=boundary, stop=watch)
    assert np.diff(errors).max() <= 1e-10 * max(errors)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_classical_form_goes_downhill_too(boundary: Boundary) -> None:
    psf, image, values = gaussian((7, 9), 0.8), counts((10, 11), seed=4), []
    blur = Blur(psf, (10, 11), boundary=boundary)

    def watch(iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        outside = estimate.clone()
        blur.crop(outside).zero_()  # the light from there stays as it is
        values.append(float((blur.crop(estimate) * (0.5 * (expected + blur(outside)) - image)).sum()))
        return False

    jansson_van_cittert(image, psf, iterations=60, feedback="classical", boundary=boundary, stop=watch)
    assert np.diff(values).max() <= 1e-10 * abs(values[-1])
    assert values[-1] < values[0]


def test_the_classical_form_is_faster_where_it_is_valid() -> None:
    psf, truth = gaussian((9, 9), 0.9), 10 + 50 * random((20, 21), seed=0)
    image = Blur(psf, (20, 21), boundary="circular")(truth)
    errors = {
        feedback: float(
            (
                jansson_van_cittert(image, psf, iterations=40, feedback=feedback, boundary="circular", upper=100.0)
                - truth
            ).norm()
            / truth.norm()
        )
        for feedback in ("classical", "reblurred")
    }
    assert errors["classical"] < 0.6 * errors["reblurred"]


def test_van_cittert_diverges_where_the_transfer_is_negative_but_this_does_not() -> None:
    psf = torch.ones(5, 5, dtype=torch.float64) / 25  # a defocused spot: its transfer falls to -0.25
    image = counts((20, 21), seed=0)
    blur = Blur(psf, (20, 21), boundary="circular")
    x, errors = image.clone(), []
    for _ in range(60):
        x += image - blur(x)
        errors.append(float((image - blur(x)).norm()))
    assert errors[-1] > 1e3 * errors[0]
    with pytest.raises(ValueError, match=r"transfer is negative or complex, by 0.2.*use feedback='reblurred'"):
        jansson_van_cittert(image, psf, feedback="classical", boundary="circular")
    restored = jansson_van_cittert(image, psf, iterations=60, boundary="circular")
    assert float((image - blur(restored)).norm()) < float((image - image.mean()).norm())


@pytest.mark.parametrize(
    "psf", [lopsided_psf((4, 5), seed=0), gaussian((3, 3), 0.5).roll(1, 1)], ids=["any", "shifted"]
)
def test_the_classical_form_refuses_complex_transfers(psf: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="negative or complex"):
        jansson_van_cittert(counts((9, 9), seed=0), psf, feedback="classical")


def test_an_object_between_the_bounds_is_found() -> None:
    psf, truth = gaussian((5, 5), 0.6), 10 + 50 * random((12, 13), seed=0)
    image = Blur(psf, (12, 13), boundary="circular")(truth)
    restored = jansson_van_cittert(image, psf, iterations=800, upper=80.0, boundary="circular")
    torch.testing.assert_close(restored, truth, rtol=1e-4, atol=0)


def test_a_bound_that_is_known_helps() -> None:
    psf, truth = gaussian((11, 11), 1.6), torch.full((32, 32), 5.0, dtype=torch.float64)
    truth[8:14, 8:24] = truth[18:24, 8:24] = 60.0
    image = torch.poisson(Blur(psf, (32, 32), boundary="circular")(truth), generator=torch.Generator().manual_seed(0))
    errors = [
        float((jansson_van_cittert(image, psf, iterations=40, lower=lower, upper=upper) - truth).norm())
        for lower, upper in ((0.0, None), (5.0, 60.0))
    ]
    assert errors[1] < 0.8 * errors[0]


def test_the_brightest_by_default_is_a_point_that_outshines_the_image() -> None:
    psf, image = gaussian((7, 7), 1.0), counts((9, 10), seed=0)
    upper = float((image.max() - 2.0) / psf.max())
    torch.testing.assert_close(
        jansson_van_cittert(image, psf, background=2.0), jansson_van_cittert(image, psf, background=2.0, upper=upper)
    )


@pytest.mark.parametrize("share", [1e-6, 1.0, 1e6])
def test_an_image_below_the_lower_bound_stays_there(share: float) -> None:
    image, psf = share * counts((9, 10), seed=0), gaussian((5, 5), 1.0)
    lower = 1.5 * float(image.max() / psf.max())
    restored = jansson_van_cittert(image, psf, lower=lower)
    torch.testing.assert_close(restored, torch.full_like(image, lower), rtol=2e-3, atol=0)


def test_an_image_may_be_negative() -> None:
    image = torch.randn(9, 10, generator=torch.Generator().manual_seed(0))
    restored = jansson_van_cittert(image, gaussian((3, 3), 0.8).float(), iterations=200)
    assert torch.isfinite(restored).all()
    assert float(restored.min()) >= 0
    below = jansson_van_cittert(image, gaussian((3, 3), 0.8).float(), iterations=200, lower=-10.0)
    assert float(below.min()) < 0


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"upper": 0.0}, "upper is 0, but must be above lower, 0"),
        (
            {"lower": 5.0, "upper": 2.0},
            "upper is 2, but must be above lower, 5: it is the brightest that a voxel can be",
        ),
        ({"lower": math.nan}, "lower is nan, but must be a finite number"),
        ({"upper": math.inf}, "upper is inf, but must be a finite number"),
        ({"feedback": "twice"}, "feedback is 'twice', but must be 'reblurred' or 'classical'"),
    ],
)
def test_a_bad_input_is_told(keywords: dict[str, float | str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jansson_van_cittert(torch.ones(6, 7), torch.ones(3, 3) / 9, **keywords)


@pytest.mark.parametrize(("feedback", "stays"), [("classical", True), ("reblurred", False)])
def test_the_classical_form_leaves_what_lies_outside_at_its_start(feedback: Feedback, stays: bool) -> None:
    psf, image = gaussian((9, 9), 1.0), counts((12, 13), seed=0)
    seen: list[torch.Tensor] = []

    def look(_iteration: int, estimate: torch.Tensor, _expected: torch.Tensor) -> bool:
        seen.append(estimate.clone())
        return False

    jansson_van_cittert(image, psf, iterations=10, feedback=feedback, stop=look)
    changed = (seen[-1] != seen[0]).clone()
    assert bool(changed[:12, :13].all())
    changed[:12, :13] = False
    assert bool(changed.any()) is not stays
