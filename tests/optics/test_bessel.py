import pytest
import torch
from scipy import special

from course_lib.optics.bessel import bessel_j0, bessel_j0_j1_j2, bessel_j1, jinc

FUNCTIONS = (bessel_j0, bessel_j1, lambda x: bessel_j0_j1_j2(x)[2], jinc)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_values_are_those_of_scipy(order):
    x = torch.linspace(-300, 300, 600_001, dtype=torch.float64)
    found = bessel_j0_j1_j2(x)[order]
    error = (found - torch.from_numpy(special.jv(order, x.numpy()))).abs()
    assert float(error.max()) < 6e-7  # torch's own
    assert float(error[x.abs() > 20].max()) < 1e-13


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradients_are_right_also_at_zero(function):
    x = torch.tensor([0.0, 1e-4, 0.3, 3.8, -7.1, 55.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x[1:].detach().requires_grad_())


def test_jinc_has_no_step_where_its_series_begins():
    x = torch.linspace(0.9e-3, 1.1e-3, 101, dtype=torch.float64)
    torch.testing.assert_close(jinc(x), 1 - x**2 / 8, rtol=0, atol=1e-9)
