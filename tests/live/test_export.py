"""What is written for the published pages."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from course_lib import live
from course_lib.live import export
from course_lib.live.poster import poster, poster_size

FIGURES = {figure.name: figure for figure in live.list_figures()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


def test_everything_the_page_asks_for_is_written(
    folder: Path, blurred: live.LiveFigure, averaged: live.LiveFigure
) -> None:
    assert export.export_all(folder, chosen=[blurred, averaged]) == ["blur", "average"]
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    each = ("first.bin.gz", "manifest.json", "model.onnx", "poster.png")
    assert written == {
        "live.css", "live.mjs", "worker.mjs", "average/state.bin.gz",
        *(f"{name}/{file}" for name in ("blur", "average") for file in each),
    }  # fmt: skip
    description = json.loads((folder / "blur" / "manifest.json").read_text(encoding="utf-8"))
    sliders = {slider["name"]: slider for slider in description["sliders"]}
    assert sliders["width_px"]["step"] == 0.5
    assert sliders["levels"]["whole"]
    assert sliders["levels"]["step"] == 2
    assert sliders["photons"]["scale"] == "log"
    assert sliders["shape"]["choices"] == ["gauss", "lorentz"]
    assert description["outputs"][0] == {"name": "image", "shape": [32, 32]}
    assert len(description["colors"]["magma"]) == 256 * 6


def test_a_figure_that_did_not_change_is_left_as_it_is(folder: Path, averaged: live.LiveFigure) -> None:
    export.export_all(folder, chosen=[averaged])
    before = {path: path.read_bytes() for path in (folder / "average").iterdir()}
    assert export.export_all(folder, chosen=[averaged]) == []
    description = json.loads((folder / "average" / "manifest.json").read_text(encoding="utf-8"))
    description["source"] = "older"
    (folder / "average" / "manifest.json").write_text(json.dumps(description), encoding="utf-8")
    assert export.export_all(folder, chosen=[averaged]) == ["average"]
    assert {path: path.read_bytes() for path in (folder / "average").iterdir()} == before


def test_an_export_that_was_interrupted_is_done_again(folder: Path, averaged: live.LiveFigure) -> None:
    export.export_all(folder, chosen=[averaged])
    (folder / "average" / "manifest.json").write_text('{"name": "aver', encoding="utf-8")
    assert export.export_all(folder, chosen=[averaged]) == ["average"]


def test_the_first_picture_is_that_of_the_default_values(folder: Path, blurred: live.LiveFigure) -> None:
    export.export_all(folder, chosen=[blurred])
    packed = np.frombuffer(gzip.decompress((folder / "blur" / "first.bin.gz").read_bytes()), dtype="<f4")
    expected = np.concatenate([tensor.numpy().ravel() for tensor in live.evaluate(blurred).values()])
    np.testing.assert_allclose(packed, expected, rtol=2**-8)
    numbers = slice(32 * 32, 32 * 32 + 3 + 16 + 16 + 1)
    np.testing.assert_array_equal(packed[numbers], expected[numbers])  # read-outs and curves are exact
    assert float(live.evaluate(blurred)["points"].max()) == np.float32(100.1)  # rounding does not reach the asset


def test_the_initial_state_is_shipped(folder: Path, averaged: live.LiveFigure) -> None:
    export.export_all(folder, chosen=[averaged])
    packed = np.frombuffer(gzip.decompress((folder / "average" / "state.bin.gz").read_bytes()), dtype="<f4")
    np.testing.assert_array_equal(packed, np.full(32 * 32, 7.0))


def test_a_folder_that_cannot_be_written(tmp_path: Path, averaged: live.LiveFigure) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OSError, match="taken"):
        export.export_all(tmp_path / "taken", chosen=[averaged])


@pytest.mark.parametrize("name", FIGURES)
def test_the_poster_is_light_and_has_the_size_that_the_page_reserves(name: str) -> None:
    picture = poster(FIGURES[name], live.evaluate(FIGURES[name]))
    assert len(picture) < 120_000
    assert struct.unpack(">II", picture[16:24]) == poster_size(FIGURES[name])


def test_the_poster_of_the_same_outputs_is_the_same(blurred: live.LiveFigure) -> None:
    outputs = live.evaluate(blurred)
    assert poster(blurred, outputs) == poster(blurred, outputs)
