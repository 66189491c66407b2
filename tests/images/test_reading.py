from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile

from course_lib import images
from course_lib.images import Image

STACK = np.arange(3 * 8 * 9, dtype=np.uint16).reshape(3, 8, 9)


@pytest.mark.parametrize(
    ("unit", "factor"), [("um", 1), ("micron", 1), ("\\u00B5m", 1), ("nm", 1e-3), ("mm", 1e3), ("cm", 1e4)]
)
def test_imagej_hyperstacks(tmp_path: Path, unit: str, factor: float) -> None:
    path = tmp_path / "imagej.tif"
    metadata = {"axes": "ZYX", "spacing": 0.5, "unit": unit}
    tifffile.imwrite(path, STACK, imagej=True, resolution=(10, 5), metadata=metadata)
    image = images.read(path)
    assert image.axes == "ZYX"
    assert image.voxel_size_um == pytest.approx((0.5 * factor, 0.2 * factor, 0.1 * factor))
    assert (image.data == STACK).all()


def test_imagej_time_and_channels_without_a_scale(tmp_path: Path) -> None:
    values = np.zeros((2, 3, 4, 8, 9), np.uint8)
    tifffile.imwrite(tmp_path / "hyper.tif", values, imagej=True, metadata={"axes": "TZCYX"})
    image = images.read(tmp_path / "hyper.tif")
    assert image.axes == "TCZYX"
    assert image.data.shape == (2, 4, 3, 8, 9)
    assert image.voxel_size_um is None


def test_ome_tiff_of_others_with_nanometres(tmp_path: Path) -> None:
    metadata = {"axes": "TYX", "PhysicalSizeX": 65.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 65.0}
    metadata["PhysicalSizeYUnit"] = "nm"
    tifffile.imwrite(tmp_path / "other.ome.tif", STACK, metadata=metadata)
    image = images.read(tmp_path / "other.ome.tif")
    assert (image.axes, image.voxel_size_um, image.unit) == ("TYX", pytest.approx((0.065, 0.065)), "arbitrary")


def test_a_plain_tiff_must_be_told(tmp_path: Path) -> None:
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, STACK, metadata=None, photometric="minisblack")
    with pytest.raises(ValueError, match=r"does not say what its 3 dimensions \(3, 8, 9\) are: pass axes .*'ZYX'"):
        images.read(path)
    image = images.read(path, axes="TYX", voxel_size_um=(0.1, 0.1), unit="adu")
    assert repr(image) == "Image(T 3 × Y 8 × X 9, uint16, voxel 0.1 × 0.1 µm, adu)"
    with pytest.raises(ValueError, match=r"axes 'YX' name 2 dimensions, but .*plain.tif has the shape \(3, 8, 9\)"):
        images.read(path, axes="YX")
    with pytest.raises(ValueError, match=r"axes 'QYX' must be letters of 'TCZYX'"):
        images.read(path, axes="QYX")


def test_print_resolution_is_no_voxel_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "dpi.tif", STACK[0], resolution=(300, 300), resolutionunit="INCH", metadata=None)
    assert images.read(tmp_path / "dpi.tif").voxel_size_um is None


def test_colour_images_are_refused_unless_samples_are_channels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((8, 9, 3), np.uint8), photometric="rgb")
    with pytest.raises(ValueError, match=r"is a colour image: shape \(8, 9, 3\), axes 'YXS'.* pass axes='YXC'"):
        images.read(tmp_path / "rgb.tif")
    assert images.read(tmp_path / "rgb.tif", axes="YXC").data.shape == (3, 8, 9)


def test_several_series_must_be_chosen_from(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "two.tif") as writer:
        writer.write(np.zeros((8, 9), np.uint8))
        writer.write(np.ones((4, 5), np.uint8))
    with pytest.raises(ValueError, match=r"holds 2 images, of shapes .* choose one with series=0 to series=1"):
        images.read(tmp_path / "two.tif")
    assert images.read(tmp_path / "two.tif", series=1).data.shape == (4, 5)
    with pytest.raises(ValueError, match=r"series is 2, but .* has 2: pass 0 to 1"):
        images.read(tmp_path / "two.tif", series=2)


def test_missing_folder_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none.tif: check the name"):
        images.read(tmp_path / "none.tif")
    with pytest.raises(IsADirectoryError, match="is a folder: pass one of the files in it"):
        images.read(tmp_path)
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "picture.tif").write_bytes(b"\x89PNG....")
    for name in ("empty.tif", "picture.tif"):
        with pytest.raises(ValueError, match=r"is not a TIFF file, its first bytes are .* export it as TIFF"):
            images.read(tmp_path / name)


def test_a_complex_image_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "complex.tif", np.zeros((8, 9), np.complex64))
    with pytest.raises(TypeError, match=r"dtype complex64, but must be bool, integer or floating point"):
        images.read(tmp_path / "complex.tif")


@pytest.mark.parametrize("compression", ["none", "zlib"])
@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_an_error_at_whatever_byte_it_ends(
    tmp_path: Path, share: float, compression: Literal["none", "zlib"]
) -> None:
    path = tmp_path / "stack.tif"
    noise = np.random.default_rng(0).integers(0, 9999, (5, 40, 50)).astype(np.uint16)
    images.write(path, Image(noise, axes="ZYX"), compression=compression)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"is truncated|cannot be decoded|not a TIFF file"):
        images.read(path)


def test_big_endian_is_read_right_mapped_or_not(tmp_path: Path) -> None:
    path = tmp_path / "motorola.tif"
    tifffile.imwrite(path, STACK, byteorder=">", metadata={"axes": "ZYX"}, photometric="minisblack")
    for memory_map in (False, True):
        assert (images.read(path, memory_map=memory_map).data == STACK).all()
