"""Against a noisy reference the error is right on average: within the standard errors of a simulation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.metrics import unbiased_mse

RUNS = 400


def scene() -> torch.Tensor:
    rows = torch.linspace(0, 6, 24, dtype=torch.float64)
    return 20 * (1.2 + torch.sin(rows)[:, None] * torch.cos(2 * rows))


def within_standard_errors(found: torch.Tensor, expected: float) -> bool:
    return abs(float(found.mean()) - expected) < 4 * float(found.std()) / len(found) ** 0.5


@pytest.mark.parametrize("divisor", [1.0, 7.0])
def test_photon_counts_as_their_own_variance(divisor: float) -> None:
    truth = scene()
    counts = torch.poisson(divisor * truth.expand(RUNS, -1, -1), generator=torch.Generator().manual_seed(0))
    reference, estimate = counts / divisor, 0.9 * truth + 1
    found = unbiased_mse(estimate.expand(RUNS, -1, -1), reference, noise_variance=reference / divisor)
    assert within_standard_errors(found, float((estimate - truth).square().mean()))
    assert float(found.std()) > 0


def test_one_number_for_a_camera() -> None:
    truth, draw = scene(), torch.Generator().manual_seed(1)
    noise = 3 * torch.randn(RUNS, 24, 24, generator=draw, dtype=torch.float64)
    estimate = truth + 2
    found = unbiased_mse(estimate.expand(RUNS, -1, -1), truth + noise, noise_variance=9.0)
    assert within_standard_errors(found, 4)
    forgotten = unbiased_mse(estimate.expand(RUNS, -1, -1), truth + noise, noise_variance=0.0)
    assert not within_standard_errors(forgotten, 4)


def test_an_estimate_of_the_same_photons_cheats() -> None:
    """What the docstring warns of: the noise that both share counts as agreement."""
    counts = torch.poisson(scene(), generator=torch.Generator().manual_seed(2))
    assert float(unbiased_mse(counts, counts, noise_variance=counts)) == pytest.approx(-float(counts.mean()))


@given(seed=st.integers(0, 1000), variance=st.floats(0, 100))
@settings(max_examples=20)
def test_the_variance_is_subtracted_from_the_plain_error(seed: int, variance: float) -> None:
    estimate, reference = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    plain = (estimate - reference).square().mean(dim=(-2, -1))
    torch.testing.assert_close(unbiased_mse(estimate, reference, noise_variance=variance), plain - variance)
    torch.testing.assert_close(
        unbiased_mse(estimate, reference, noise_variance=torch.full((3, 9, 8), variance)), plain - variance
    )


@pytest.mark.parametrize(
    ("variance", "says"),
    [
        (-1.0, "noise_variance goes down to -1, but must be finite and at least 0"),
        (float("nan"), "noise_variance goes down to nan"),
        (torch.ones(8), r"noise_variance has shape \(8,\), but reference has \(9, 8\): pass one number, or one for"),
    ],
)
def test_wrong_variances_get_a_clear_error(variance: float | torch.Tensor, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        unbiased_mse(torch.ones(9, 8), torch.ones(9, 8), noise_variance=variance)
