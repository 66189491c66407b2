"""The amplitude of a pattern of two pixels is found, and nothing else is taken for one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.metrics import chessboard

Y, X = torch.meshgrid(torch.arange(66.0), torch.arange(82.0), indexing="ij")
PATTERNS = {"rows": (-1) ** Y, "columns": (-1) ** X, "chessboard": (-1) ** (X + Y)}


@pytest.mark.parametrize("name", PATTERNS)
@given(amplitude=st.floats(0.01, 100), level=st.floats(-1e3, 1e3), slopes=st.tuples(st.floats(-9, 9), st.floats(-9, 9)))
@settings(max_examples=20, deadline=None)
def test_the_amplitude_is_found_on_any_plane(name, amplitude, level, slopes):
    image = level + slopes[0] * Y.double() + slopes[1] * X.double() + amplitude * PATTERNS[name]
    assert float(chessboard(image)) == pytest.approx(amplitude, rel=1e-6, abs=1e-9)


def test_patterns_add_as_squares():
    image = 3 * PATTERNS["rows"] + 4 * PATTERNS["chessboard"]
    assert float(chessboard(image)) == pytest.approx(5, rel=1e-6)


def test_a_pattern_whose_sign_changes_between_blocks_is_found():
    sign = torch.where((X - 1) // 16 % 2 == 0, 1.0, -1.0)
    assert float(chessboard(2 * sign * PATTERNS["chessboard"])) == pytest.approx(2, rel=0.1)
    assert float(chessboard(2 * sign * PATTERNS["chessboard"], block_px=32)) < 0.3


@pytest.mark.parametrize("block_px", [8, 16, 32])
def test_white_noise_has_what_theory_says(block_px):
    white = torch.randn(20, 258, 258, generator=torch.Generator().manual_seed(0))
    one_axis = 1 - 0.75 / block_px  # ends of the second difference
    expected = ((2 * one_axis + one_axis**2) ** 0.5) / block_px
    found = chessboard(3 * white, block_px=block_px)
    assert float(found.mean()) == pytest.approx(3 * expected, abs=4 * float(found.std()) / 20**0.5)
    assert float(found.std()) > 0


def test_what_an_objective_can_show_is_no_pattern():
    waves = 100 * torch.sin(2 * torch.pi * X / 4.5) * torch.cos(2 * torch.pi * Y / 6)
    assert float(chessboard(waves)) < 2


def test_a_batch_is_its_images_one_by_one():
    images = torch.rand(2, 3, 40, 50, generator=torch.Generator().manual_seed(1))
    expected = torch.stack([torch.stack([chessboard(one) for one in row]) for row in images])
    torch.testing.assert_close(chessboard(images), expected, rtol=1e-12, atol=0)


def test_turned_images_have_the_same_pattern():
    image = torch.rand(66, 66, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(chessboard(image), chessboard(image.T), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("image", "block_px", "message"),
    [
        (torch.zeros(40, 40), 15, "block_px is 15, but must be even"),
        (torch.zeros(40, 40), 2, "block_px is 2 px, but must be at least 4"),
        (torch.zeros(40, 17), 16, r"shape \(40, 17\), but must have at least 18 rows and columns.*smaller block_px"),
        (torch.full((40, 40), torch.nan), 16, "1600 values that are NaN or infinite"),
    ],
)
def test_errors_name_the_remedy(image, block_px, message):
    with pytest.raises(ValueError, match=message):
        chessboard(image, block_px=block_px)
