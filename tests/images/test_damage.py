"""A file that was cut short, at whatever byte, is an error or reads in full: never zeros, never fewer planes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from course_lib import images

STACK = np.random.default_rng(0).integers(1, 60000, (4, 6, 5)).astype(np.uint16)
IMAGE = images.Image(STACK, axes="ZYX", voxel_size_um=(0.3, 0.1, 0.1))
ZYX = {"axes": "ZYX"}

DIALECTS: dict[str, Callable[[Path], None]] = {
    "ours": lambda path: images.write(path, IMAGE),
    "ours, zlib": lambda path: images.write(path, IMAGE, compression="zlib"),
    "ImageJ": lambda path: tifffile.imwrite(path, STACK, imagej=True, metadata=ZYX),
    "OME": lambda path: tifffile.imwrite(path, STACK, ome=True, metadata=ZYX),
    "tifffile": lambda path: tifffile.imwrite(path, STACK, photometric="minisblack", metadata=ZYX),
    "plain": lambda path: tifffile.imwrite(path, STACK, photometric="minisblack", metadata=None),
    "plain, zlib": lambda path: tifffile.imwrite(
        path, STACK, photometric="minisblack", metadata=None, compression="zlib"
    ),
    "BigTIFF": lambda path: tifffile.imwrite(path, STACK, photometric="minisblack", metadata=None, bigtiff=True),
    "big-endian": lambda path: tifffile.imwrite(path, STACK, photometric="minisblack", metadata=None, byteorder=">"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_file_cut_anywhere_is_refused_or_complete(dialect: str, tmp_path: Path) -> None:
    DIALECTS[dialect](tmp_path / "whole.tif")
    whole = (tmp_path / "whole.tif").read_bytes()
    axes = "ZYX" if dialect.startswith(("plain", "Big", "big")) else None
    assert np.array_equal(images.read(tmp_path / "whole.tif", axes=axes).data, STACK)
    cut = tmp_path / "cut.tif"
    refused = 0
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        try:
            read = images.read(cut, axes=axes)
        except ValueError:
            refused += 1
        else:
            assert np.array_equal(read.data, STACK)
    assert refused > 0.95 * len(whole)


def test_planes_in_a_file_that_is_missing(tmp_path: Path) -> None:
    images.write(tmp_path / "first.ome.tif", IMAGE)
    with tifffile.TiffFile(tmp_path / "first.ome.tif") as tiff:
        xml = tiff.ome_metadata
    elsewhere = "".join(
        f'<TiffData IFD="0" FirstZ="{plane}" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:00000000-0000-0000-0000-00000000000{plane}</UUID></TiffData>'
        for plane, name in enumerate(["first.ome.tif", "second.ome.tif", "third.ome.tif", "fourth.ome.tif"])
    )
    assert xml is not None
    xml = xml.replace("<TiffData />", elsewhere).replace(
        'Creator="course_lib"', 'Creator="course_lib" UUID="urn:uuid:00000000-0000-0000-0000-000000000000"'
    )
    tifffile.imwrite(tmp_path / "first.ome.tif", STACK[0], description=xml.encode("ascii"), metadata=None)
    with pytest.raises(ValueError, match=r"lacks planes: keep all files of a multi-file data set in one folder"):
        images.read(tmp_path / "first.ome.tif")


def test_pages_in_a_circle_end(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "circle.tif", STACK, photometric="minisblack", metadata=None, compression="zlib")
    content = bytearray((tmp_path / "circle.tif").read_bytes())
    first = int.from_bytes(content[4:8], "little")
    next_at = first + 2 + 12 * int.from_bytes(content[first : first + 2], "little")
    content[next_at : next_at + 4] = content[4:8]
    (tmp_path / "circle.tif").write_bytes(content)
    assert images.read(tmp_path / "circle.tif").data.shape == (6, 5)


def test_a_codec_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images.write(tmp_path / "packed.tif", IMAGE, compression="zlib")

    def missing(*arguments: object, **options: object) -> None:
        raise ValueError("<COMPRESSION.ZLIB: 8> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", missing)
    with pytest.raises(ValueError, match=r"packed.tif cannot be decoded: .* if it needs imagecodecs, install that"):
        images.read(tmp_path / "packed.tif")
