"""Manders' coefficients against scikit-image, sums by hand, and chance."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import manders_coloc_coeff

from course_lib import quantification

IMAGES = hnp.arrays(np.float64, (5, 7), elements=st.floats(0, 100, width=32))


@settings(max_examples=60)
@given(first=IMAGES, second=IMAGES, limit=st.floats(0, 50))
def test_it_is_that_of_scikit_image(first: np.ndarray, second: np.ndarray, limit: float) -> None:
    first[0, 0] = second[0, 0] = 101  # something is present
    found = quantification.manders(first, second, thresholds=(0, limit))
    assert found.first_share == pytest.approx(manders_coloc_coeff(first, second > limit), abs=1e-12)
    assert found.second_area == pytest.approx((second > limit).mean())
    swapped = quantification.manders(second, first, thresholds=(limit, 0))
    assert (swapped.second_share, swapped.first_share) == (found.first_share, found.second_share)


@settings(max_examples=60)
@given(first=IMAGES, second=IMAGES, limits=st.tuples(st.floats(0, 50), st.floats(0, 50)))
def test_shares_lie_between_0_and_1_and_know_no_gain(
    first: np.ndarray, second: np.ndarray, limits: tuple[float, float]
) -> None:
    first[0, 0] = second[1, 1] = 101
    found = quantification.manders(first, second, thresholds=limits)
    assert min(found.first_share, found.second_share) >= 0
    assert max(found.first_share, found.second_share) <= 1
    twice = quantification.manders(2.0 * first, second, thresholds=(2 * limits[0], limits[1]))
    assert twice.first_share == pytest.approx(found.first_share)


def test_light_below_its_own_threshold_counts_nowhere() -> None:
    first, second = np.array([[1.0, 8.0, 2.0, 4.0]]), np.array([[9.0, 9.0, 0.0, 0.0]])
    found = quantification.manders(first, second, thresholds=(3, 5))
    assert found == quantification.Manders(8 / 12, 9 / 18, 0.5, 0.5)


def test_only_pixels_of_the_mask_count() -> None:
    first, second = torch.tensor([[1.0, 8.0, 5.0, 4.0]]), torch.tensor([[9.0, 9.0, 0.0, 3.0]])
    mask = torch.tensor([[True, True, True, False]])
    found = quantification.manders(first, second, thresholds=(0, 0), mask=mask)
    assert (found.first_share, found.second_share) == (9 / 14, 1)


def test_what_is_scattered_at_random_has_a_share_of_the_area() -> None:
    rng = np.random.default_rng(0)
    found = [
        quantification.manders(
            *(rng.exponential(size=(2, 64, 64)) * (rng.random((2, 64, 64)) < 0.3)), thresholds=(0, 0)
        )
        for _ in range(50)
    ]
    gap = np.array([one.first_share - one.second_area for one in found])
    assert abs(gap.mean()) < 3 * gap.std(ddof=1) / len(gap) ** 0.5
    assert np.mean([one.second_area for one in found]) == pytest.approx(0.3, abs=0.01)


GOOD = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    ("second", "thresholds", "error", "message"),
    [
        (GOOD, (0, 11), ValueError, "no pixel of second is above its threshold of 11, the brightest has 11: lower"),
        (GOOD - 20, (0, 0), ValueError, "no pixel of second is above its threshold of 0, the brightest has -9"),
        (GOOD, (-1, 0), ValueError, "thresholds is -1, but must be at least 0: above which a channel is present"),
        (GOOD, (0, float("nan")), ValueError, "thresholds is nan, but must be at least 0"),
        (GOOD, 3, ValueError, "thresholds is 3, but must be two numbers, one for each channel"),
        (GOOD, (1, 2, 3), ValueError, r"thresholds is \(1, 2, 3\), but must be two numbers"),
        (GOOD[:2], (0, 0), ValueError, r"first has shape \(3, 4\), but the second \(2, 4\)"),
        (GOOD > 2, (0, 0), TypeError, "second has dtype bool, but must be an integer or floating-point type"),
        (np.full((3, 4), np.nan), (0, 0), ValueError, "second has 12 values that are NaN or infinite"),
    ],
)
def test_bad_input(second, thresholds, error, message) -> None:
    with pytest.raises(error, match=message):
        quantification.manders(GOOD, second, thresholds=thresholds)
