import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.axes import AXES, check_axes, check_spatial, to_axes

SUBSETS = st.sets(st.sampled_from("TCZ")).map(lambda s: "".join(a for a in "TCZ" if a in s) + "YX")


@given(axes=SUBSETS, lengths=st.lists(st.integers(1, 4), min_size=5, max_size=5))
def test_expanding_to_all_axes_and_back_returns_the_data(axes: str, lengths: list[int]) -> None:
    shape = tuple(lengths[: len(axes)])
    data = np.arange(np.prod(shape)).reshape(shape)
    full = to_axes(data, axes=axes, wanted=AXES)
    assert full.ndim == 5
    assert np.shares_memory(full, data)
    assert (to_axes(full, axes=AXES, wanted=axes) == data).all()


def test_tensors_too() -> None:
    assert to_axes(torch.zeros(1, 4, 5), axes="CYX", wanted="ZYX").shape == (1, 4, 5)


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        ("YXZ", (2, 2, 2), r"axes 'YXZ' must be letters of 'TCZYX', each once and in that order"),
        ("ZZYX", (2, 2, 2, 2), r"axes 'ZZYX' must be"),
        ("SYX", (2, 2, 2), r"axes 'SYX' must be"),
        ("TZ", (2, 2), r"end in 'YX'"),
        ("YX", (2, 2, 2), r"axes 'YX' name 2 dimensions, but the data have 3, shape \(2, 2, 2\): .*axes='ZYX'"),
        ("YX", (0, 2), r"shape \(0, 2\), without any element"),
    ],
)
def test_bad_axes(axes: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_axes(axes, shape)


def test_a_long_axis_is_never_dropped() -> None:
    with pytest.raises(ValueError, match=r"axis T has length 3, but the axes wanted are 'ZYX': choose one plane of T"):
        to_axes(np.zeros((3, 2, 2)), axes="TYX", wanted="ZYX")


def test_check_spatial_accepts_good_tensors() -> None:
    assert check_spatial(torch.zeros(2, 3), 2) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (np.zeros((2, 2)), TypeError, r"image is a ndarray, but must be a tensor: torch\.as_tensor"),
        (torch.zeros(3), ValueError, r"needs at least 2 axes \(\.\.\., Y, X\)"),
        (torch.zeros(2, 0), ValueError, r"without any element"),
        (torch.zeros(2, 2).to(torch.uint8), TypeError, r"dtype torch.uint8, but must be floating point"),
        (torch.tensor([[1.0, float("nan")]]), ValueError, r"image has 1 values that are NaN or infinite"),
    ],
)
def test_check_spatial_refuses(data: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_spatial(data, 2)  # type: ignore[arg-type]


def test_values_that_carry_a_gradient_are_looked_at_in_silence():
    check_spatial(torch.zeros(4, 4, requires_grad=True), 2)
    with pytest.raises(ValueError, match="1 values that are NaN"):
        check_spatial(torch.full((1, 1), float("nan"), requires_grad=True), 2)
