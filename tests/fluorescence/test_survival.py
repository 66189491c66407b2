import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.fluorescence import survival, survival_double


def test_numbers_of_the_facts() -> None:
    assert 1 - survival(20.0, rate=0.05) == pytest.approx(0.63, abs=0.005)
    assert 1 - survival(46.0, rate=0.05) == pytest.approx(0.90, abs=0.005)


@given(first=st.floats(0, 100), second=st.floats(0, 100), rate=st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_doses_add_up(first: float, second: float, rate: float) -> None:
    together = survival(first + second, rate=rate)
    assert together == pytest.approx(survival(first, rate=rate) * survival(second, rate=rate), rel=1e-9)
    assert 0 <= together <= 1


@given(dose=st.floats(0, 50), fast=st.floats(0, 1), slow=st.floats(0, 1), share=st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_two_kinds_survive_between_the_two(dose: float, fast: float, slow: float, share: float) -> None:
    both = survival_double(dose, fast_rate=fast, slow_rate=slow, fast_share=share)
    ends = survival(dose, rate=fast), survival(dose, rate=slow)
    assert min(ends) - 1e-12 <= both <= max(ends) + 1e-12
    assert survival_double(dose, fast_rate=fast, slow_rate=slow, fast_share=1.0) == pytest.approx(ends[0])


def test_survival_has_gradients() -> None:
    rates = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.2, 0.01, 0.4)]
    assert torch.autograd.gradcheck(
        lambda fast, slow, share: survival_double(
            torch.arange(80, dtype=torch.float64), fast_rate=fast, slow_rate=slow, fast_share=share
        ),
        rates,
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: survival(-1.0, rate=0.1), r"dose is -1, but must be at least 0"),
        (lambda: survival(1.0, rate=-0.1), r"rate is -0.1, but must be at least 0"),
        (
            lambda: survival_double(1.0, fast_rate=0.1, slow_rate=0.01, fast_share=40.0),
            r"fast_share is 40, but must be from 0 to 1: give a share",
        ),
        (
            lambda: survival_double(1.0, fast_rate=0.1, slow_rate=-0.01, fast_share=0.4),
            r"slow_rate is -0.01, but must be at least 0 and finite: give the rate per unit of the dose",
        ),
    ],
)
def test_a_number_out_of_its_range_is_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("negative", [np.float32(-1), np.float64(-1), np.int64(-1), -1])
def test_numbers_of_numpy_are_looked_at_too(negative) -> None:
    with pytest.raises(ValueError, match=r"dose is -1, but must be at least 0"):
        survival(negative, rate=0.1)
    assert survival(-negative, rate=0.1) == pytest.approx(math.exp(-0.1))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: survival(np.arange(3.0), rate=0.1), r"dose is a ndarray, .* torch.as_tensor\(dose\) makes one"),
        (lambda: survival([1.0, 2.0], rate=0.1), r"dose is a list, but must be a number or a tensor"),
        (lambda: survival(1.0, rate=None), r"rate is a NoneType, but must be a number or a tensor"),
    ],
)
def test_what_is_neither_number_nor_tensor_is_refused(build, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        build()
