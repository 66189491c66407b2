import math

import numpy as np
import pytest
import torch

from course_lib.fluorescence import bleaching_trace, fit_bleaching, survival

FRAMES = torch.arange(60.0)
RATE = 0.05


def cell(size: int = 64) -> torch.Tensor:
    """Return a ring on nothing, with soft flanks and about a quarter of the pixels."""
    row, column = torch.meshgrid(torch.arange(size) - size / 2, torch.arange(size) - size / 2, indexing="ij")
    return torch.exp(-0.5 * ((torch.hypot(row, column) - size / 4) / 2) ** 2)


def recorded(background: torch.Tensor, *, seed: int) -> torch.Tensor:
    mean = 100 * cell() * survival(FRAMES, rate=RATE)[:, None, None] + background[:, None, None]
    return torch.poisson(mean, generator=torch.Generator().manual_seed(seed))


BACKGROUNDS = {
    "steady": torch.full_like(FRAMES, 20.0),
    "bleaching": 20 * survival(FRAMES, rate=0.02),
    "flickering": 20 + 5 * torch.sin(FRAMES),
}


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_the_rate_is_found_within_its_errors(name: str) -> None:
    pulls = []
    for seed in range(60):
        found = bleaching_trace(recorded(BACKGROUNDS[name], seed=seed))
        fit = fit_bleaching(found.trace, background=found.background, background_error=found.background_error)
        pulls.append((fit.rate - RATE) / fit.rate_error)
    assert abs(np.mean(pulls)) < 4 / 60**0.5
    assert np.std(pulls) == pytest.approx(1, abs=4 / 120**0.5)


def test_choosing_pixels_by_their_own_noise_would_bias_the_rate() -> None:
    pulls = []
    for seed in range(30):
        movie = recorded(BACKGROUNDS["steady"], seed=seed).double()
        over_time = movie.mean(dim=0)
        object_ = movie[:, over_time >= over_time.quantile(0.9)].mean(dim=1)
        behind = movie[:, over_time <= over_time.quantile(0.5)].mean(dim=1)
        fit = fit_bleaching(object_ - behind + behind.mean(), background=float(behind.mean()))
        pulls.append((fit.rate - RATE) / fit.rate_error)
    assert abs(np.mean(pulls)) > 2


def test_background_and_its_error_are_right() -> None:
    pulls = []
    for seed in range(200):
        noise = torch.randn(8, 32, 32, generator=torch.Generator().manual_seed(seed)) + 100
        found = bleaching_trace(noise)
        pulls.append((found.background - 100) / found.background_error)
    assert abs(np.mean(pulls)) < 4 / 200**0.5
    assert np.std(pulls) == pytest.approx(1, abs=4 / 400**0.5)


def test_the_masks_are_the_shares_asked_for_and_disjoint() -> None:
    found = bleaching_trace(recorded(BACKGROUNDS["steady"], seed=0), bright_share=0.05, background_share=0.3)
    assert float(found.bright.double().mean()) == pytest.approx(0.05, abs=0.001)
    assert float(found.dim.double().mean()) == pytest.approx(0.3, abs=0.001)
    assert not bool((found.bright & found.dim).any())
    assert float(cell()[found.bright].min()) > 0.5 > float(cell()[found.dim].max())


def test_without_noise_the_trace_is_that_of_the_object() -> None:
    movie = torch.full((60, 32, 32), 7.0)
    movie[:, 8:24, 8:24] += 100 * survival(FRAMES, rate=RATE)[:, None, None]
    found = bleaching_trace(movie)
    torch.testing.assert_close(found.trace, 7 + 100 * survival(FRAMES, rate=RATE).double(), rtol=1e-6, atol=0)
    assert found.background == 7
    assert found.background_error == 0


def test_a_single_hot_pixel_is_not_taken_for_the_object() -> None:
    movie = recorded(BACKGROUNDS["steady"], seed=0)
    movie[:, 2, 2] = 60_000
    assert not bool(bleaching_trace(movie).bright[2, 2])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int32, torch.float16, torch.float64])
def test_every_dtype_of_a_movie_gives_the_same(dtype: torch.dtype) -> None:
    movie = recorded(BACKGROUNDS["steady"], seed=0).clamp(max=255)
    torch.testing.assert_close(bleaching_trace(movie.to(dtype)).trace, bleaching_trace(movie).trace)


def test_frames_with_more_pixels_than_torch_sorts_for_a_quantile() -> None:
    row = torch.linspace(0, 100, 4100)
    frame = row.expand(4100, 4100)
    with pytest.raises(RuntimeError, match="input tensor is too large"):
        frame.quantile(0.5)
    found = bleaching_trace(frame.expand(2, 4100, 4100))
    assert found.trace.tolist() == pytest.approx([95, 95], rel=1e-3)
    assert found.background == pytest.approx(25, rel=1e-3)


def test_the_movie_is_left_alone() -> None:
    movie = recorded(BACKGROUNDS["steady"], seed=0)
    before = movie.clone()
    bleaching_trace(movie)
    assert torch.equal(movie, before)


GOOD = torch.rand(8, 16, 16, generator=torch.Generator().manual_seed(0))
WITH_NAN = GOOD.clone()
WITH_NAN[3, 4, 5] = math.nan
WITH_INFINITY = GOOD.clone()
WITH_INFINITY[3, 4, 5] = math.inf


@pytest.mark.parametrize(
    ("movie", "shares", "error", "message"),
    [
        (GOOD[0], {}, ValueError, r"movie has shape \(16, 16\), but must be \(T, Y, X\) .* one channel and one plane"),
        (GOOD[:1], {}, ValueError, r"movie has shape \(1, 16, 16\), .* at least 2 frames of 3 × 3 pixels"),
        (GOOD[:, :1], {}, ValueError, r"movie has shape \(8, 1, 16\), .* at least 2 frames of 3 × 3 pixels"),
        (GOOD[:0], {}, ValueError, r"movie has shape \(0, 16, 16\)"),
        (torch.full((8, 16, 16), 3.0), {}, ValueError, r"movie has no object: .* brightest 10% are as bright as its"),
        (WITH_NAN, {}, ValueError, r"movie has values that are NaN or infinite: leave those frames"),
        (WITH_INFINITY, {}, ValueError, r"movie has values that are NaN or infinite"),
        (GOOD.numpy(), {}, TypeError, r"movie is a ndarray, but must be a tensor: Image.tensor\(\)"),
        (GOOD.to(torch.complex64), {}, TypeError, r"movie is torch.complex64, but must hold real numbers"),
        (GOOD, {"bright_share": 10}, ValueError, r"bright_share is 10, but must lie between 0 and 1: .* not per cent"),
        (GOOD, {"background_share": 0.0}, ValueError, r"background_share is 0, but must lie between 0 and 1"),
        (GOOD, {"background_share": math.nan}, ValueError, r"background_share is nan, but must lie between 0 and 1"),
        (GOOD, {"bright_share": "10"}, TypeError, r"bright_share is a str, but must be a number"),
        (GOOD, {"bright_share": 0.6, "background_share": 0.5}, ValueError, r"are 0.6 and 0.5, but together .* most 1"),
        (GOOD, {"background_share": 0.001}, ValueError, r"background_share is 0.001 of 256 pixels, .* at least 2"),
    ],
)
def test_bad_input_is_refused(movie, shares: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        bleaching_trace(movie, **shares)
