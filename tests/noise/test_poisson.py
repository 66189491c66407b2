import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from course_lib.noise import poisson_from_uniform
from course_lib.noise.poisson import NORMAL_ABOVE
from course_lib.seeding import generator

DRAWS = 200_000


def uniform(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("rate", [0.02, 0.5, 3.0, 11.0, 23.9, 24.1, 60.0, 900.0])
def test_mean_and_variance_are_the_rate_within_five_standard_errors(rate: float) -> None:
    counts = poisson_from_uniform(torch.full((DRAWS,), rate), uniform(DRAWS)).double()
    assert abs(float(counts.mean()) - rate) < 5 * (rate / DRAWS) ** 0.5
    variance_of_square = 2 * rate**2 + rate
    assert abs(float(counts.var()) - rate) < 5 * (variance_of_square / DRAWS) ** 0.5


@pytest.mark.parametrize("rate", [0.3, 4.0, 20.0, 30.0, 100.0])
def test_chi_square_of_the_histogram(rate: float) -> None:
    counts = poisson_from_uniform(torch.full((DRAWS,), rate), uniform(DRAWS, seed=1)).long()
    observed = torch.bincount(counts).double().numpy()
    k = torch.arange(len(observed)).numpy()
    expected = DRAWS * stats.poisson.pmf(k, rate)
    enough = expected > 20
    statistic = ((observed[enough] - expected[enough]) ** 2 / expected[enough]).sum()
    assert stats.chi2.sf(statistic, enough.sum() - 1) > 1e-4


def test_same_distribution_as_torch_poisson() -> None:
    rate = 7.0
    ours = poisson_from_uniform(torch.full((DRAWS,), rate), uniform(DRAWS, seed=2))
    theirs = torch.poisson(torch.full((DRAWS,), rate), generator=generator(3))
    table = torch.stack([torch.bincount(x.long(), minlength=30)[:20] for x in (ours, theirs)]).numpy()
    assert stats.chi2_contingency(table).pvalue > 1e-4


@given(u=st.floats(1e-6, 1 - 1e-6), rate=st.floats(0, 2 * NORMAL_ABOVE))
@settings(max_examples=200)
def test_more_light_never_gives_fewer_photons_below_the_switch(u: float, rate: float) -> None:
    """Away from the switch the count grows with the rate, so that a slider moves a picture steadily."""
    rates = torch.tensor([min(rate, NORMAL_ABOVE) * share for share in (0.0, 0.3, 0.7, 1.0)])
    counts = poisson_from_uniform(rates, torch.full((4,), u, dtype=torch.float64))
    assert bool((counts.diff() >= 0).all())
    assert float(counts[0]) == 0


def test_inversion_equals_the_quantile_of_scipy() -> None:
    u = uniform(2000, seed=4)
    for rate in (0.7, 5.5, 23.0):
        counts = poisson_from_uniform(torch.full((2000,), rate, dtype=torch.float64), u)
        assert counts.numpy() == pytest.approx(stats.poisson.ppf(u.numpy(), rate))


def test_expansion_is_within_one_count_of_the_quantile() -> None:
    u = uniform(5000, seed=5)
    for rate in (25.0, 80.0, 1000.0):
        counts = poisson_from_uniform(torch.full((5000,), rate, dtype=torch.float64), u)
        assert abs(counts.numpy() - stats.poisson.ppf(u.numpy(), rate)).max() <= 1
