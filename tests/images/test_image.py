import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from course_lib.images import Image


def test_tensor_is_a_float_copy_and_comes_back() -> None:
    data = np.arange(12, dtype=np.uint16).reshape(3, 4)
    image = Image(data, axes="YX", voxel_size_um=(0.2, 0.1), unit="photons")
    tensor = image.tensor()
    tensor[0, 0] = 99
    assert data[0, 0] == 0
    back = Image.from_tensor(image.tensor(), axes="YX", voxel_size_um=(0.2, 0.1), unit="photons")
    assert (back.data == data).all()
    assert repr(back) == "Image(Y 3 × X 4, float32, voxel 0.2 × 0.1 µm, photons)"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.zeros(2, 2),), TypeError, r"data is a Tensor, but must be a NumPy array: Image.from_tensor"),
        (([[1, 2]],), TypeError, r"data is a list, but must be a NumPy array: .* np.asarray"),
        ((np.zeros((2, 2), complex),), TypeError, r"dtype complex128, but must be bool, integer or floating point"),
        ((np.zeros((0, 2)),), ValueError, r"shape \(0, 2\), without any element"),
        ((np.zeros((2, 2, 2)),), ValueError, r"axes 'YX' name 2 dimensions, but the data have 3"),
    ],
)
def test_bad_data(arguments: tuple[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Image(*arguments, axes="YX")


@pytest.mark.parametrize("size", [(0.1,), (0.1, 0.1, 0.1), (0.0, 0.1), (0.1, float("nan")), (-1.0, 1.0)])
def test_bad_voxel_sizes(size: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"voxel_size_um is .*, but .* None when"):
        Image(np.zeros((2, 2)), axes="YX", voxel_size_um=size)


def test_bad_unit_and_bad_tensor() -> None:
    unit: Any = "counts"
    with pytest.raises(ValueError, match=r"unit is 'counts', but must be one of 'photons', 'electrons'"):
        Image(np.zeros((2, 2)), axes="YX", unit=unit)
    array: Any = np.zeros((2, 2))
    with pytest.raises(TypeError, match=r"tensor is a ndarray, but must be a tensor"):
        Image.from_tensor(array, axes="YX")


def test_an_image_does_not_change_with_its_tensor() -> None:
    tensor = torch.zeros(2, 2)
    image = Image.from_tensor(tensor, axes="YX")
    tensor += 1
    assert (image.data == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int32, torch.bool])
def test_tensors_of_every_kind_become_images(dtype: torch.dtype) -> None:
    image = Image.from_tensor(torch.tensor([[0, 1], [1, 0]]).to(dtype), axes="YX")
    assert image.data.tolist() == [[0, 1], [1, 0]]


def test_a_gradient_does_not_hinder() -> None:
    tensor = torch.ones(2, 2, requires_grad=True) * 3
    assert (Image.from_tensor(tensor, axes="YX").data == 3).all()


@pytest.mark.parametrize("dtype", ["bool", "uint8", ">u2", "uint64", "float16", ">f4", "float64"])
def test_tensor_has_the_values_of_every_dtype(dtype: str) -> None:
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)[:, ::-1]
    tensor = Image(values, axes="YX").tensor()
    assert tensor.dtype == torch.float32
    assert tensor.tolist() == values.astype(float).tolist()


def stack(axes="CZYX"):
    shape = tuple({"T": 5, "C": 2, "Z": 4, "Y": 6, "X": 7}[letter] for letter in axes)
    values = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    return Image(values, axes=axes, voxel_size_um=(0.3, 0.1, 0.2) if "Z" in axes else (0.1, 0.2), unit="photons")


def test_one_channel_of_a_stack_keeps_everything_else():
    chosen = stack().at("C", 1)
    assert (chosen.axes, chosen.voxel_size_um, chosen.unit) == ("ZYX", (0.3, 0.1, 0.2), "photons")
    assert np.array_equal(chosen.data, stack().data[1])


def test_one_plane_loses_its_distance_from_the_next():
    chosen = stack().at("Z", -1)
    assert (chosen.axes, chosen.voxel_size_um) == ("CYX", (0.1, 0.2))
    assert np.array_equal(chosen.data, stack().data[:, -1])


@pytest.mark.parametrize("axis", ["T", "Y", "X", "", "CZ", "c"])
def test_an_axis_that_cannot_be_cut_is_named(axis):
    with pytest.raises(ValueError, match=r"with axes 'CZYX', can be cut along C, Z"):
        stack().at(axis, 0)


@pytest.mark.parametrize("index", [2, -3])
def test_an_index_beyond_the_axis_is_named(index):
    with pytest.raises(ValueError, match=rf"index is {index}, but the image has 2 along C: pass 0 to 1"):
        stack().at("C", index)


def test_required_axes_are_there_or_the_way_to_them_is_told():
    image = stack("TCZYX")
    assert image.require_axes("TCZYX") is image
    with pytest.raises(ValueError, match=r"'ZYX' are needed: choose one with \.at\('T', 0\)\.at\('C', 0\)\."):
        image.require_axes("ZYX")
    with pytest.raises(ValueError, match=r"'TYX' are needed: T is not in this file: take another one\. If only"):
        stack("ZYX").require_axes("TYX")


def test_an_unknown_voxel_size_is_asked_for():
    assert stack().known_voxel_size_um == (0.3, 0.1, 0.2)
    with pytest.raises(ValueError, match=r"unknown: read the file with voxel_size_um=\(z, y, x\), in µm"):
        _ = dataclasses.replace(stack(), voxel_size_um=None).known_voxel_size_um
