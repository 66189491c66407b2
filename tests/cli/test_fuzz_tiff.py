"""Whatever a file holds, a command ends with 0, or with 2 and one line; never a traceback, never half a file."""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import images, quantification
from course_lib.cli import main

pytestmark = pytest.mark.usefixtures("one_thread")

USUAL = ("uint8", "uint16", "float32", "int16", "float64", "uint16")
RARE = ("bool", "uint32", "int64", "float16", "complex64")
NAMES = ("cells.tif", "cells.ome.tif", "cells.TIFF", "cells.png", "cells")


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    """Return an array of few axes, some of them long, of any type: noise, one value, few values, or no numbers."""
    leading = draw(st.sampled_from([[], [], [], [1], [3], [2, 3], [1, 2, 2]]))
    plane = st.sampled_from([[64, 64], [70, 66], [64, 70], [33, 20], [16, 16], [1, 1], [1, 40], [5, 3], [70]])
    sides = leading + draw(plane)
    dtype, rng = np.dtype(draw(st.sampled_from(2 * USUAL + RARE))), np.random.default_rng(draw(st.integers(0, 99)))
    kind = draw(st.sampled_from(["blobs", "noise", "blobs", "noise", "constant", "extremes"]))
    if kind == "noise":
        values = rng.poisson(draw(st.sampled_from([0.1, 5, 200])), sides).astype(float)
    elif kind == "constant":
        values = np.full(sides, draw(st.sampled_from([0.0, 7.0])))
    elif kind == "blobs":
        rows = np.cumsum(np.ones(sides), axis=-1)
        values = rng.poisson(np.where(np.sin(rows / 4) > 0.3, 90, 10)).astype(float)
    elif dtype.kind in "ui":
        return rng.choice(np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype), sides)
    else:
        values = rng.choice([0.0, np.nan, np.inf, -np.inf, 1e30, -1e30, 3.0], sides)
        if dtype.kind == "b":
            return values > 0
        if dtype == np.float16:
            values = np.clip(values, -6e4, 6e4)
    return values.astype(dtype)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """Return the bytes of a file that is a TIFF, was one, or is none."""
    kind = draw(st.sampled_from(["tiff", "tiff", "tiff", "tiff", "damaged", "none"]))
    if kind == "none":
        return draw(st.binary(max_size=60)) if draw(st.booleans()) else b"II*\0" + draw(st.binary(max_size=300))
    content = bytearray(draw(tiffs()))
    if kind == "damaged":
        where = draw(st.integers(0, len(content) - 1))
        damage = draw(st.sampled_from(["cut", "zeroed", "changed"]))
        if damage == "cut":
            return bytes(content[:where])
        if damage == "zeroed":
            end = min(len(content), where + draw(st.integers(1, 200)))
            content[where:end] = bytes(end - where)
        else:
            for _ in range(draw(st.integers(1, 8))):
                content[draw(st.integers(0, min(len(content) - 1, 600)))] = draw(st.integers(0, 255))
    return bytes(content)


@st.composite
def tiffs(draw: st.DrawFn) -> bytes:
    """Return a TIFF of some dialect; where tifffile refuses, a plain one."""
    values, buffer = draw(arrays()), io.BytesIO()
    dialect = draw(st.sampled_from(["plain", "tifffile", "imagej", "ome", "rgb", "bilevel", "pyramid", "pages"]))
    order = draw(st.sampled_from("<>"))
    packed = draw(st.sampled_from([None, "zlib"]))
    letters = "".join(draw(st.permutations("TCZ")))
    axes = {"axes": (letters + "YX")[-values.ndim :]}
    try:
        if dialect == "plain":
            tifffile.imwrite(buffer, values, byteorder=order, metadata=None, compression=packed)
        elif dialect == "tifffile":
            tifffile.imwrite(buffer, values, byteorder=order, metadata=axes)
        elif dialect == "imagej":
            tifffile.imwrite(buffer, values, imagej=True, metadata={"axes": axes["axes"], "unit": "um", "spacing": 0.5})
        elif dialect == "ome":
            size = {"PhysicalSizeX": draw(st.sampled_from([0.2, 0.0, -1.0])), "PhysicalSizeY": 0.2}
            tifffile.imwrite(buffer, values, ome=True, byteorder=order, metadata=axes | size, compression=packed)
        elif dialect == "rgb":
            colour = np.stack([values.reshape(-1, values.shape[-1]).astype(np.uint8)] * 3, axis=-1)
            tifffile.imwrite(buffer, colour, photometric="rgb")
        elif dialect == "bilevel":
            tifffile.imwrite(buffer, values.reshape(-1, values.shape[-1]) > 0, photometric="minisblack")
        elif dialect == "pyramid":
            with tifffile.TiffWriter(buffer, bigtiff=True, byteorder=order) as writer:
                plane = values.reshape(-1, values.shape[-1])
                writer.write(plane, subifds=1, tile=(16, 16), metadata=axes)
                writer.write(plane[::2, ::2], subfiletype=1, tile=(16, 16))
        else:
            with tifffile.TiffWriter(buffer) as writer:
                for page in values.reshape(-1, *values.shape[-2:]):
                    writer.write(page, contiguous=draw(st.booleans()), metadata=None)
    except Exception:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, np.zeros((20, 20), np.uint8), metadata=None)
    return buffer.getvalue()


PLANE, STACK = ["--voxel-size-um", "0.3,0.3"], ["--voxel-size-um", "0.9,0.3,0.3"]
FLAGS = (PLANE, PLANE, PLANE, STACK, [], ["--axes", "YX", *PLANE], ["--axes", "TYX", *PLANE], ["--axes", "CYX", *PLANE])
flags = st.sampled_from([*FLAGS, ["--axes", "ZYX", *STACK], ["--axes", "CZYX", *STACK], ["--axes", "TZYX"]])


@contextlib.contextmanager
def folder_with(name: str, content: bytes) -> Iterator[Path]:
    """Work in a folder that holds one file."""
    before, folder = Path.cwd(), Path(tempfile.mkdtemp())
    try:
        os.chdir(folder)
        Path(name).write_bytes(content)
        yield folder
    finally:
        os.chdir(before)
        shutil.rmtree(folder)


def run(*words: str) -> int:
    """Run a command; what it says of an error is one line, and nothing else is on stderr but lines of its own."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    lines = err.getvalue().splitlines()
    assert status in (0, 2), (words, status)
    assert all(line.startswith("course: ") for line in lines), lines
    assert not [line for line in lines if "encountered" in line or "Deprecat" in line], lines
    assert status == 0 or len(set(lines)) >= 1
    assert status == 2 or "course: " not in out.getvalue()
    return status


def made(folder: Path, name: str) -> set[str]:
    """Return what a command has made; each of it is complete."""
    names = {path.name for path in folder.iterdir()} - {name}
    for one in names:
        if one.endswith(".tif"):
            images.read(one)
        elif one.endswith(".csv"):
            quantification.read_table(one)
        else:
            assert one.endswith(".html"), one
            assert Path(one).read_text(encoding="utf-8").endswith("</html>\n")
    return names


@settings(max_examples=50)
@given(content=contents(), name=st.sampled_from(NAMES), more=flags)
def test_inspect_segment_and_measure(content: bytes, name: str, more: list[str]) -> None:
    with folder_with(name, content) as folder:
        status = run("inspect", name, *more)
        assert made(folder, name) == set()
        status = run("segment", name, "--diameter-um", "3", "-o", "out_labels.tif", *more)
        before = made(folder, name)
        assert before == ({"out_labels.tif"} if status == 0 else set())
        labels = "out_labels.tif" if status == 0 else name
        status = run("measure", labels, "--intensity", name, "-o", "t.csv", "--margin-um", "0", *more)
        assert made(folder, name) == before | ({"t.csv"} if status == 0 else set())


@settings(max_examples=15)
@given(content=contents(), name=st.sampled_from(NAMES), more=flags)
def test_report(content: bytes, name: str, more: list[str]) -> None:
    words = ["report", name, "-o", "r.html", "--threshold", "otsu", "--background", "none", *more]
    with folder_with(name, content) as folder:
        status = run(*words, *(["--segment-channel", "0"] if "CZYX" in more or "CYX" in more else []))
        assert made(folder, name) == ({"r.html", "r.csv", "r_labels.ome.tif"} if status == 0 else set())
