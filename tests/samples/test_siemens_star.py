import math

import pytest
import torch

from course_lib.samples import siemens_star


def test_half_of_the_disc_is_bright():
    image = siemens_star((200, 160), voxel_size_um=(0.05, 0.07), diameter_um=8, spokes=24)
    assert image.dtype == torch.float32
    assert float(image.sum()) * 0.05 * 0.07 == pytest.approx(math.pi * 16 / 2, rel=2e-3)


@pytest.mark.parametrize("spokes", [7, 36])
def test_spokes_are_counted_along_a_circle(spokes):
    image = siemens_star((401, 401), voxel_size_um=(0.02, 0.02), diameter_um=7.6, spokes=spokes)
    angle = (torch.arange(spokes * 2) + 0.0) * math.pi / spokes
    y, x = (200 + 150 * angle.sin()).round().long(), (200 + 150 * angle.cos()).round().long()
    assert image[y, x].tolist() == [1.0, 0.0] * spokes


def test_the_star_turns_into_itself():
    image = siemens_star((64, 64), voxel_size_um=(0.1, 0.1), diameter_um=6, spokes=8)
    torch.testing.assert_close(image, image.flip(0))
    torch.testing.assert_close(image, image.T)
    assert image[:, :2].max() == 0


def test_the_middle_is_grey():
    image = siemens_star((64, 64), voxel_size_um=(0.1, 0.1), diameter_um=6, spokes=60)
    assert float(image[30:34, 30:34].mean()) == pytest.approx(0.5, abs=0.05)


def test_a_stack_and_fluorophores():
    plane = siemens_star((64, 64), voxel_size_um=(0.1, 0.1), diameter_um=6)
    stack = siemens_star(
        (4, 64, 64), voxel_size_um=(0.5, 0.1, 0.1), diameter_um=6, thickness_um=0.2, fluorophores_per_um3=1000
    )
    torch.testing.assert_close(stack[1], plane * 0.2 * 1000 * 0.005)
    torch.testing.assert_close(stack[2], stack[1])
    assert stack[[0, 3]].max() == 0


@pytest.mark.parametrize(("name", "value"), [("diameter_um", 0), ("diameter_um", math.nan), ("spokes", 0)])
def test_numbers_must_be_in_range(name, value):
    with pytest.raises(ValueError, match=rf"{name} is {value}.*, but must be at least"):
        siemens_star((64, 64), voxel_size_um=(0.1, 0.1), **({"diameter_um": 6} | {name: value}))


def test_spokes_are_whole():
    with pytest.raises(TypeError, match=r"spokes is 8.0, a float, but must be a whole number"):
        siemens_star((64, 64), voxel_size_um=(0.1, 0.1), diameter_um=6, spokes=8.0)
