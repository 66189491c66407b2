import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from course_lib.metrics import autocorrelation


def white(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(3, 20), width=st.integers(3, 20), offset=st.floats(-1e3, 1e3), data=st.data())
def test_equals_the_direct_sum_over_pairs(height, width, offset, data):
    max_lag = data.draw(st.integers(1, min(height, width) - 1))
    noise = white(height, width, seed=height) + offset
    centred = (noise - noise.mean()).numpy()
    pairs = correlate2d(torch.ones(height, width), torch.ones(height, width))
    direct = torch.from_numpy(correlate2d(centred, centred) / pairs)
    rows = slice(height - 1 - max_lag, height + max_lag)
    columns = slice(width - 1 - max_lag, width + max_lag)
    expected = direct[rows, columns] / direct[height - 1, width - 1]
    torch.testing.assert_close(autocorrelation(noise, max_lag=max_lag), expected, rtol=0, atol=1e-9)


def test_is_symmetric_with_one_at_the_centre():
    rho = autocorrelation(white(3, 2, 40, 31), max_lag=4)
    assert rho.shape == (3, 2, 9, 9)
    torch.testing.assert_close(rho, rho.flip(-2, -1), rtol=0, atol=1e-12)
    torch.testing.assert_close(rho[..., 4, 4], torch.ones(3, 2, dtype=torch.float64))


def test_white_noise_stays_within_five_standard_errors_and_scatters_by_one():
    height, width, fields = 60, 50, 200
    rho = autocorrelation(white(fields, height, width), max_lag=3)
    lags = torch.arange(-3, 4).abs()
    pairs = (height - lags)[:, None] * (width - lags)
    in_standard_errors = (rho * pairs.sqrt()).flatten(1)[:, :24]  # the other half mirrors these
    assert in_standard_errors.abs().max() < 5
    # 24 lags of 200 fields: the scatter itself is known to 1/sqrt(2*24*200) = 1 %
    assert in_standard_errors.square().mean().sqrt() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("length", [2, 3, 5])
def test_a_moving_average_down_the_rows_gives_a_triangle(length):
    noise = white(500, 400)
    rows = noise.unfold(0, length, 1).mean(dim=-1)
    rho = autocorrelation(rows, max_lag=length)
    down = torch.arange(-length, length + 1).abs()
    expected = torch.zeros(2 * length + 1, 2 * length + 1, dtype=torch.float64)
    expected[:, length] = (1 - down / length).clamp(min=0)
    # Bartlett: correlated noise widens the standard error by at most the root of the sum of squared rho
    error = math.sqrt(float((expected[:, length] ** 2).sum()) / rows.numel())
    torch.testing.assert_close(rho, expected, rtol=0, atol=5 * error)


def test_lag_down_comes_before_lag_right():
    noise = white(300, 300)
    rho = autocorrelation(noise[:, 1:] + noise[:, :-1], max_lag=1)
    assert rho[1, 2] == pytest.approx(0.5, abs=5 / 300)
    assert rho[2, 1] == pytest.approx(0.0, abs=5 / 300)


def test_float32_on_a_large_offset_keeps_its_digits():
    noise = white(64, 64).float() + 1000
    expected = autocorrelation(noise.double(), max_lag=2)
    torch.testing.assert_close(autocorrelation(noise, max_lag=2), expected, rtol=0, atol=1e-12)


def test_a_constant_field_has_no_correlation():
    fields = white(3, 8, 8)
    fields[1] = 0.1
    with pytest.raises(ValueError, match=r"noise is constant in 1 of 3 fields.*two different frames"):
        autocorrelation(fields, max_lag=1)


def test_one_pixel_has_no_lag():
    with pytest.raises(ValueError, match="max_lag is 1 px, but must be at most 0"):
        autocorrelation(torch.ones(1, 1), max_lag=1)


def test_max_lag_must_leave_pairs():
    with pytest.raises(ValueError, match=r"max_lag is 6 px, but must be at most 5: .*\(8, 6\).*smaller lag"):
        autocorrelation(white(8, 6), max_lag=6)


@pytest.mark.parametrize("max_lag", [0, -1])
def test_max_lag_must_be_at_least_one(max_lag):
    with pytest.raises(ValueError, match=rf"max_lag is {max_lag} px, but must be at least 1 px"):
        autocorrelation(white(8, 6), max_lag=max_lag)


def test_max_lag_must_be_whole():
    with pytest.raises(ValueError, match=r"max_lag is 1.5, but must be a whole number"):
        autocorrelation(white(8, 6), max_lag=1.5)


def test_nan_is_refused():
    noise = white(8, 8)
    noise[0, 0] = torch.nan
    with pytest.raises(ValueError, match="noise has 1 values that are NaN or infinite"):
        autocorrelation(noise, max_lag=1)


def test_integers_are_refused():
    with pytest.raises(TypeError, match=r"noise has dtype torch.int32.*noise.float\(\)"):
        autocorrelation(torch.ones(4, 4, dtype=torch.int32), max_lag=1)
