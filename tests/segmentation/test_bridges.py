"""Networks of other packages: what they are given, and what becomes of their answers."""

from typing import Any

import numpy as np
import pytest
import torch

from course_lib import segmentation

IMAGE = 100 + 50 * torch.rand((40, 60), generator=torch.Generator().manual_seed(0))
FOUND = np.kron(np.array([[0, 7], [3, 0]], dtype=np.uint16), np.ones((20, 30), dtype=np.uint16))


class StarDist:
    """Stands in for StarDist2D."""

    def predict_instances(self, img: np.ndarray[Any, Any], /) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        self.given = img
        return FOUND, {}


class Cellpose:
    """Stands in for CellposeModel."""

    def eval(self, x: np.ndarray[Any, Any], /, **options: Any) -> tuple[Any, ...]:
        self.given, self.options = x, options
        return np.broadcast_to(FOUND, x.shape), None, None


def test_stardist_sees_a_normalized_image_and_its_labels_are_counted_anew() -> None:
    model = StarDist()
    labels = segmentation.by_stardist(model, IMAGE)
    assert labels.dtype == np.int32
    assert np.array_equal(labels, np.where(FOUND == 7, 2, np.where(FOUND == 3, 1, 0)))
    assert np.percentile(model.given, [1, 99.8]) == pytest.approx([0, 1], abs=1e-5)


@pytest.mark.parametrize("planes", [None, 4])
def test_cellpose_sees_the_image_as_it_is_and_is_told_of_planes(planes: int | None) -> None:
    model = Cellpose()
    image = IMAGE if planes is None else IMAGE.expand(planes, -1, -1)
    labels = segmentation.by_cellpose(model, image, diameter_px=20)
    assert labels.shape == image.shape
    assert int(labels.max()) == 2
    assert np.array_equal(model.given, image.numpy())
    assert model.options == {"diameter": 20, "do_3D": planes is not None, "z_axis": None if planes is None else 0}


def test_an_image_with_nan_is_refused_before_any_network_sees_it() -> None:
    image = IMAGE.clone()
    image[0, 0] = torch.nan
    for segment in (segmentation.by_stardist, segmentation.by_cellpose):
        with pytest.raises(ValueError, match="1 values that are NaN or infinite"):
            segment(None, image)  # type: ignore[operator]
