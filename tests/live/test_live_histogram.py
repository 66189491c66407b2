"""The exportable histogram."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.live import histogram

whole = st.lists(st.integers(-20, 60), min_size=1, max_size=50)


@given(whole)
def test_it_counts_as_numpy_does(values: list[int]) -> None:
    inside = np.clip(values, 0, 31)
    expected = np.histogram(inside, bins=8, range=(0, 32))[0]
    counts = histogram(torch.tensor(values).float(), low=torch.tensor(0.0), width=torch.tensor(4.0), bins=8)
    np.testing.assert_array_equal(counts.numpy(), expected)


@given(whole)
def test_no_value_is_lost(values: list[int]) -> None:
    counts = histogram(torch.tensor(values).float(), low=torch.tensor(3.0), width=torch.tensor(0.5), bins=5)
    assert float(counts.sum()) == len(values)
