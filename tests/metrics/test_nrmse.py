import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import normalized_root_mse

from course_lib.metrics import normalized_squared_error, nrmse


def images(seed: int, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    truth = 100 * torch.rand(shape, generator=rng, dtype=torch.float64)
    return truth + 10 * torch.randn(shape, generator=rng, dtype=torch.float64), truth


@given(seed=st.integers(0, 1000), height=st.integers(1, 20), width=st.integers(1, 20))
def test_equals_scikit_image_and_its_square(seed, height, width):
    estimate, truth = images(seed, height, width)
    expected = normalized_root_mse(truth.numpy(), estimate.numpy(), normalization="euclidean")
    assert float(nrmse(estimate, truth)) == pytest.approx(expected, rel=1e-12)
    assert float(normalized_squared_error(estimate, truth)) == pytest.approx(expected**2, rel=1e-12)


@given(unit=st.floats(1e-6, 1e6))
def test_does_not_depend_on_the_common_unit(unit):
    estimate, truth = images(0, 16, 16)
    for metric in (nrmse, normalized_squared_error):
        scaled = metric(unit * estimate, unit * truth)
        torch.testing.assert_close(scaled, metric(estimate, truth), rtol=1e-9, atol=0)


@given(fraction=st.floats(0.001, 10))
def test_an_error_everywhere_reads_as_its_fraction_and_the_square_does_not(fraction):
    _, truth = images(0, 16, 16)
    assert float(nrmse((1 + fraction) * truth, truth)) == pytest.approx(fraction, rel=1e-9)
    assert float(normalized_squared_error((1 + fraction) * truth, truth)) == pytest.approx(fraction**2, rel=1e-9)


def test_a_common_offset_hides_the_error():
    estimate, truth = images(0, 16, 16)
    assert nrmse(estimate + 1000, truth + 1000) < nrmse(estimate, truth) / 10


def test_an_empty_estimate_scores_one_and_a_perfect_one_zero():
    _, truth = images(0, 16, 16)
    assert nrmse(torch.zeros_like(truth), truth) == 1
    assert nrmse(truth, truth) == 0


@pytest.mark.parametrize("metric", [nrmse, normalized_squared_error])
def test_a_truth_of_zeros_is_refused(metric):
    truth = torch.ones(3, 4, 4)
    truth[1] = 0
    with pytest.raises(ValueError, match=r"truth is zero everywhere in 1 of 3 images.*leave them out"):
        metric(truth + 1, truth)
