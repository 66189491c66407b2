import errno
import os
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_lib import images
from course_lib.images import Image

AXES = st.sets(st.sampled_from("TCZ")).map(lambda s: "".join(a for a in "TCZ" if a in s) + "YX")
DTYPES = ["bool", "uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64"]


@given(
    axes=AXES,
    lengths=st.lists(st.integers(1, 5), min_size=5, max_size=5),
    dtype=st.sampled_from(DTYPES),
    unit=st.sampled_from(images.UNITS),
    size=st.one_of(st.none(), st.floats(1e-3, 100)),
    compression=st.sampled_from(["none", "zlib"]),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(
    axes: str,
    lengths: list[int],
    dtype: str,
    unit: images.Unit,
    size: float | None,
    compression: Literal["none", "zlib"],
    tmp_path: Path,
) -> None:
    shape = tuple(lengths[: len(axes)])
    values = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)
    spatial = sum(letter in "ZYX" for letter in axes)
    voxel_size_um = None if size is None else tuple(size * (k + 1) for k in range(spatial))
    image = Image(values, axes=axes, voxel_size_um=voxel_size_um, unit=unit)
    images.write(tmp_path / "image.ome.tif", image, compression=compression)
    back = images.read(tmp_path / "image.ome.tif")
    assert (back.axes, back.voxel_size_um, back.unit) == (image.axes, image.voxel_size_um, image.unit)
    assert back.data.dtype == image.data.dtype
    assert np.array_equal(back.data, image.data)


def test_other_programs_see_axes_and_scale(tmp_path: Path) -> None:
    path = tmp_path / "stack.ome.tif"
    images.write(path, Image(np.zeros((2, 3, 8, 9), np.uint16), axes="CZYX", voxel_size_um=(0.3, 0.1, 0.2)))
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert tiff.series[0].axes == "CZYX"
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [pixels[f"PhysicalSize{letter}"] for letter in "ZYX"] == [0.3, 0.1, 0.2]


def test_memory_map_reads_only_what_is_used(tmp_path: Path) -> None:
    values = np.arange(4 * 16 * 16, dtype=np.uint16).reshape(4, 16, 16)
    images.write(tmp_path / "stack.tif", Image(values, axes="ZYX"))
    mapped = images.read(tmp_path / "stack.tif", memory_map=True)
    assert isinstance(mapped.data.base, np.memmap) or isinstance(mapped.data, np.memmap)
    assert (mapped.data[2] == values[2]).all()
    images.write(tmp_path / "packed.tif", Image(values, axes="ZYX"), compression="zlib")
    with pytest.raises(ValueError, match=r"cannot be memory-mapped, its pixels are compressed: read it without"):
        images.read(tmp_path / "packed.tif", memory_map=True)


@pytest.mark.parametrize("failure", ["disk full", "interrupted"])
def test_a_failed_write_leaves_the_older_file_and_nothing_else(
    failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "result.tif"
    old = Image(np.ones((4, 4), np.uint8), axes="YX")
    images.write(path, old)
    reason = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) if failure == "disk full" else KeyboardInterrupt()

    def fail(*arguments: object, **options: object) -> None:
        raise reason

    monkeypatch.setattr(tifffile, "imwrite", fail)
    with pytest.raises((OSError, KeyboardInterrupt)) as raised:
        images.write(path, Image(np.zeros((4, 4), np.uint8), axes="YX"))
    if failure == "disk full":
        assert "result.tif could not be written: No space left on device. An older file" in str(raised.value)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["result.tif"]
    assert (images.read(path).data == old.data).all()


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    flat = Image(np.zeros((4, 4), np.int64), axes="YX")
    with pytest.raises(TypeError, match=r"dtype int64, but OME-TIFF stores .*astype\(np.int32, if all values fit\)"):
        images.write(tmp_path / "a.tif", flat)
    with pytest.raises(ValueError, match=r"must end in .tif or .tiff"):
        images.write(tmp_path / "a.png", Image(np.zeros((4, 4)), axes="YX"))
    with pytest.raises(OSError, match=r"could not be written: No such file or directory"):
        images.write(tmp_path / "none" / "a.tif", Image(np.zeros((4, 4)), axes="YX"))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_at_the_last_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.tif"
    images.write(path, Image(np.ones((4, 4), np.uint8), axes="YX"))
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OSError, match=r"could not be written: No space left on device. An older file there is as it was"
    ):
        images.write(path, Image(np.zeros((64, 64), np.uint8), axes="YX"))
    assert [p.name for p in tmp_path.iterdir()] == ["result.tif"]
    assert path.read_bytes() == before


def test_a_memory_map_can_be_written_over_its_own_file(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    values = np.arange(3 * 8 * 9, dtype=np.uint16).reshape(3, 8, 9)
    images.write(path, Image(values, axes="ZYX"))
    mapped = images.read(path, memory_map=True)
    images.write(path, Image(mapped.data[1:], axes="ZYX"))
    assert np.array_equal(images.read(path).data, values[1:])


def test_the_same_image_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        images.write(tmp_path / name, Image(np.eye(9, dtype=np.float32), axes="YX"), compression="zlib")
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
