from pathlib import Path

import numpy as np
import pytest
import tifffile

from course_lib import images
from course_lib.images.metadata import _in_um


@pytest.mark.parametrize(
    ("size", "unit", "size_um"),
    [
        (65, "nm", 0.065),
        ("0.1", "µm", 0.1),
        (0.1, "μm", 0.1),
        (0.1, "\\u00B5m", 0.1),
        (0.1, "micron", 0.1),
        (0.1, " Microns ", 0.1),
        (650, "Å", 0.065),
        (1e-4, "mm", 0.1),
        (1e-5, "cm", 0.1),
        (1e-7, "m", 0.1),
        (1 / 25400, "inch", 1.0),
    ],
)
def test_lengths_become_micrometres(size: object, unit: str, size_um: float) -> None:
    assert _in_um(size, unit) == pytest.approx(size_um, rel=1e-12)


@pytest.mark.parametrize(
    ("size", "unit"),
    [(1, "pixel"), (1, ""), (0, "um"), (-1, "um"), (None, "um"), ("nan", "um"), ("inf", "um"), ("?", "um")],
)
def test_what_is_no_length_is_unknown(size: object, unit: str) -> None:
    assert _in_um(size, unit) is None


def test_ome_without_the_depth_of_a_stack_has_no_voxel_size(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1}
    tifffile.imwrite(tmp_path / "stack.ome.tif", np.zeros((3, 8, 9), np.uint16), metadata=metadata)
    assert images.read(tmp_path / "stack.ome.tif").voxel_size_um is None
    assert images.read(tmp_path / "stack.ome.tif", axes="TYX").voxel_size_um == (0.1, 0.1)


def test_ome_planes_in_another_order_are_put_in_order(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 4 * 6 * 5, dtype=np.uint16).reshape(2, 3, 4, 6, 5)
    tifffile.imwrite(tmp_path / "other.ome.tif", values, metadata={"axes": "ZTCYX"}, photometric="minisblack")
    image = images.read(tmp_path / "other.ome.tif")
    assert image.axes == "TCZYX"
    assert np.array_equal(image.data, values.transpose(1, 2, 0, 3, 4))


def test_each_image_of_an_ome_file_has_its_own_size(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "two.ome.tif", ome=True) as writer:
        for size_um in (0.1, 0.2):
            metadata = {"axes": "YX", "PhysicalSizeX": size_um, "PhysicalSizeY": size_um}
            writer.write(np.zeros((6, 5), np.uint16), metadata=metadata)
    assert images.read(tmp_path / "two.ome.tif", series=1).voxel_size_um == (0.2, 0.2)
