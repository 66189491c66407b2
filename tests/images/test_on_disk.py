import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import zarr

from course_lib import images
from course_lib.images.target import make_target

VOXEL = (0.3, 0.1, 0.1)
WHOLE = (slice(None),) * 3


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_image() -> images.Image:
    values = np.random.default_rng(0).integers(0, 500, (6, 40, 30)).astype(np.uint16)
    return images.Image(values, axes="ZYX", voxel_size_um=VOXEL, unit="photons")


@pytest.mark.parametrize("compression", ["none", "zlib"])
def test_parts_of_a_tiff_with_all_that_it_tells(compression: str) -> None:
    image = make_image()
    tifffile.imwrite("a.tif", image.data, compression=compression, photometric="minisblack")
    with images.open_image("a.tif", axes="ZYX", voxel_size_um=VOXEL) as found:
        assert (found.axes, found.shape, found.voxel_size_um, found.unit) == ("ZYX", (6, 40, 30), VOXEL, "arbitrary")
        part = found.read((slice(1, 3), slice(5, 9), slice(0, 30, 7)))
    assert part.dtype == torch.float32
    assert (part.numpy() == image.data[1:3, 5:9, 0:30:7]).all()


def test_our_own_files_tell_voxel_size_and_unit() -> None:
    images.write("a.tif", make_image())
    images.write("b.tif", make_image(), compression="zlib")
    for name in ("a.tif", "b.tif"):
        with images.open_image(name) as found:
            assert (found.voxel_size_um, found.unit) == (VOXEL, "photons")


def test_channels() -> None:
    values = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6).astype(np.float32)
    images.write("a.tif", images.Image(values, axes="TCZYX"))
    with images.open_image("a.tif") as found:
        assert found.axes == "TCZYX"
        one = found.at_channel(2)
        assert (one.axes, one.shape) == ("TZYX", (2, 4, 5, 6))
        assert (one.read((1, *WHOLE)).numpy() == values[1, 2]).all()
        with pytest.raises(ValueError, match=r"channel is 3, but a.tif has 3: choose 0 to 2"):
            found.at_channel(3)
        with pytest.raises(ValueError, match=r"channel is 0, but a.tif has no channels: leave it out"):
            one.at_channel(0)


def test_compressed_pages_in_any_order() -> None:
    values = np.arange(3 * 2 * 4 * 5 * 6).reshape(3, 2, 4, 5, 6).astype(np.uint16)  # Z C T Y X
    tifffile.imwrite("odd.tif", values, compression="zlib", photometric="minisblack")
    with images.open_image("odd.tif", axes="ZCTYX") as found:
        image = found.at_channel(1)
        assert (image.axes, image.shape) == ("TZYX", (4, 3, 5, 6))
        part = image.read((2, slice(1, 3), slice(0, 2), slice(3, 6)))
    assert (part.numpy() == values[1:3, 1, 2, 0:2, 3:6]).all()


def test_ome_zarr_of_version_5() -> None:
    group = zarr.open_group("new.zarr", mode="w", zarr_format=3)
    group.create_array("full", shape=(2, 3, 4, 5), dtype="uint8")[...] = 7
    axes = [{"name": "c", "type": "channel"}, *({"name": a, "type": "space", "unit": "micrometer"} for a in "zyx")]
    scale = [{"type": "scale", "scale": [1, 0.5, 0.2, 0.2]}]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": [{"path": "full", "coordinateTransformations": scale}]}],
    }
    with images.open_image("new.zarr") as found:
        image = found.at_channel(0)
        assert (image.axes, image.shape, image.voxel_size_um) == ("ZYX", (3, 4, 5), (0.5, 0.2, 0.2))
        assert (image.read((0, slice(None), slice(None))) == 7).all()


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "TZYX", "TCZYX"])
def test_a_target_is_read_as_it_was_written(name: str, axes: str, folder: Path) -> None:
    shape = (2, 3, 4, 30, 40)[-len(axes) :]
    size = VOXEL if "Z" in axes else VOXEL[1:]
    target = make_target(folder / name, images.blank(shape, axes=axes, voxel_size_um=size, unit="photons"))
    target.create()
    values = torch.rand(*shape, generator=torch.Generator().manual_seed(0))
    for columns in (slice(0, 25), slice(25, 40)):
        target.write((*(slice(0, side) for side in shape[:-1]), columns), values[..., columns])
    assert not Path(name).exists()
    target.finish()
    assert [path.name for path in folder.iterdir()] == [name]
    with images.open_image(name) as found:
        assert (found.axes, found.shape, found.voxel_size_um, found.unit) == (axes, shape, size, "photons")
        assert torch.equal(found.read((slice(None),) * len(shape)), values)


def test_missing_and_damaged_files(folder: Path) -> None:
    def opened(name: str) -> None:
        with images.open_image(name):
            pass

    with pytest.raises(FileNotFoundError, match=r"there is no file nothing.tif"):
        opened("nothing.tif")
    with pytest.raises(ValueError, match=r"nothing.zarr is no Zarr array or group"):
        opened("nothing.zarr")
    images.write("whole.tif", make_image())
    Path("short.tif").write_bytes(Path("whole.tif").read_bytes()[:10_000])
    with pytest.raises(ValueError, match=r"short.tif .*truncated"):
        opened("short.tif")
    zarr.create_array("plain.zarr", shape=(4, 8, 8), dtype="uint16")
    with pytest.raises(ValueError, match=r"does not say what its 3 dimensions \(4, 8, 8\) are: pass axes"):
        opened("plain.zarr")
    zarr.open_group("group.zarr", mode="w")
    with pytest.raises(ValueError, match=r"is a Zarr group without an image in OME-Zarr"):
        opened("group.zarr")
    zarr.create_array("complex.zarr", shape=(8, 8), dtype="complex64")
    told = r"has dtype complex64, but must be integer or floating point"
    with pytest.raises(TypeError, match=told), images.open_image("complex.zarr", axes="YX"):
        pass


def test_a_damaged_plane_is_told(folder: Path) -> None:
    images.write("a.tif", make_image(), compression="zlib")
    with tifffile.TiffFile("a.tif") as tiff:
        offset = tiff.pages[2].dataoffsets[0]
    content = bytearray(Path("a.tif").read_bytes())
    content[offset : offset + 40] = bytes(40)
    Path("a.tif").write_bytes(content)
    with images.open_image("a.tif") as found, pytest.raises(ValueError, match=r"plane 2 of a.tif cannot be decoded"):
        found.read(WHOLE)


def test_compressed_volumes_in_one_page_are_refused() -> None:
    tifffile.imwrite("v.tif", np.ones((16, 16, 16), np.uint8), tile=(16, 16, 16), volumetric=True, compression="zlib")
    told = r"keeps ZYX of shape .* in 1 pages, not a plane in each: save it uncompressed"
    with pytest.raises(ValueError, match=told), images.open_image("v.tif", axes="ZYX"):
        pass


def test_zarr_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ValueError, match=r"Zarr is not installed: pip install zarr adds it, or use TIFF"):
        make_target(folder / "a.zarr", images.blank((4, 4), axes="YX"))
