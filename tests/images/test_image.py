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
def test_bad_data(arguments: tuple[object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Image(*arguments, axes="YX")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(0.1,), (0.1, 0.1, 0.1), (0.0, 0.1), (0.1, float("nan")), (-1.0, 1.0)])
def test_bad_voxel_sizes(size: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"voxel_size_um is .*, but .* None when"):
        Image(np.zeros((2, 2)), axes="YX", voxel_size_um=size)


def test_bad_unit_and_bad_tensor() -> None:
    with pytest.raises(ValueError, match=r"unit is 'counts', but must be one of 'photons', 'electrons'"):
        Image(np.zeros((2, 2)), axes="YX", unit="counts")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"tensor is a ndarray, but must be a tensor"):
        Image.from_tensor(np.zeros((2, 2)), axes="YX")  # type: ignore[arg-type]
