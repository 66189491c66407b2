import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.samples import wedge


@given(width=st.integers(2, 60), data=st.data())
def test_bands_are_even_and_exact(width, data):
    levels = data.draw(st.integers(2, width))
    image = wedge((3, width), levels=levels)
    assert image.dtype == torch.float32
    assert image.shape == (3, width)
    assert torch.equal(image, image[:1].expand(3, width))
    values, widths = image[0].unique_consecutive(return_counts=True)
    assert torch.equal(values, torch.arange(levels) / (levels - 1))
    assert widths.max() - widths.min() <= 1


def test_stacks_repeat_the_plane():
    stack = wedge((4, 5, 8), levels=4)
    assert torch.equal(stack, wedge((5, 8), levels=4).expand(4, 5, 8))


def test_the_result_may_be_written_to():
    image = wedge((2, 4), levels=2)
    image[0, 0] = 7
    assert image[1, 0] == 0


@pytest.mark.parametrize("levels", [1, 9])
def test_levels_must_fit_the_width(levels):
    with pytest.raises(ValueError, match=rf"levels is {levels}, but must be from 2 to 8"):
        wedge((8, 8), levels=levels)


def test_one_column_is_no_wedge():
    with pytest.raises(ValueError, match=r"shape is \(8, 1\), but a wedge needs at least 2 columns"):
        wedge((8, 1), levels=2)


@pytest.mark.parametrize("shape", [(8,), (2, 2, 8, 8)])
def test_shape_must_have_two_or_three_sides(shape):
    with pytest.raises(ValueError, match=r"but must have 2 \(y, x\) or 3 \(z, y, x\)"):
        wedge(shape, levels=2)


def test_sides_must_be_at_least_one():
    with pytest.raises(ValueError, match="shape is 0 px, but must be at least 1 px"):
        wedge((0, 8), levels=2)
