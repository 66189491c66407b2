"""What the chapter on own images says without computing it: the list of flags, rules, and the lines of the shell."""

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from ipywidgets import FileUpload

import course_lib.inspection as inspection_package
from course_lib import datasets, images, inspection, metrics, noise, quantification, samples, segmentation
from course_lib.cli import main
from course_lib.cli._object_width import doubt_of_width
from course_lib.images import Image
from course_lib.inspection.recommendation import HIGH_SNR
from course_lib.networks import pretrained
from course_lib.noise2void import classical

pytestmark = pytest.mark.usefixtures("one_thread")

CHAPTER = Path(__file__).parents[2] / "book" / "your-images.ipynb"


def text() -> str:
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def test_the_table_has_every_flag_and_no_other() -> None:
    table = text().split("## When it goes wrong")[1].split("```{admonition}")[0]
    listed = set(re.findall(r"^\| ([a-z0-9 ]+) \|", table, re.M)) - {"flag"}
    folder = Path(inspection_package.__file__).parent
    raised = {name for path in folder.glob("*.py") for name in re.findall(r'Flag\(name="([^"]+)"', path.read_text())}
    assert listed == raised


def test_the_rule_of_a_high_snr_is_that_of_the_library() -> None:
    assert "| SNR of 30 or more | nothing | the noise is 3 % of the signal;" in text()
    assert HIGH_SNR == 30


def test_a_gain_is_wrong_by_six_where_rows_share_noise() -> None:
    camera = noise.Camera(gain_e_per_adu=2.0, read_noise_e=1.0, quantum_efficiency=1.0)
    drawn = samples.filaments((256, 256), voxel_size_um=(0.1, 0.1), count=30, diameter_um=2.5, rng=0)
    frame = camera.capture(60 * classical.gaussian(drawn / drawn.max(), sigma=6) + 5, rng=0)
    white, shared = (noise.calibrate_image(one, offset_adu=100) for one in (frame, (frame + frame.roll(1, dims=0)) / 2))
    assert white.gain_e_per_adu == pytest.approx(2.0, rel=0.1)
    assert shared.gain_e_per_adu / 2.0 == pytest.approx(6, abs=0.5)
    relative = [one.gain_standard_error / one.gain_e_per_adu for one in (white, shared)]
    assert relative[0] == pytest.approx(relative[1], rel=0.5)


def test_the_mean_survives_a_blur_and_the_extremes_do_not() -> None:
    image = datasets.load("terra_nuclei")
    sizes = image.known_voxel_size_um
    labels = segmentation.watershed(image.tensor(), diameter_um=14, voxel_size_um=sizes)
    raw, blurred = (
        quantification.measure(labels, values, voxel_size_um=sizes)
        for values in (image.tensor(), classical.gaussian(image.tensor(), sigma=2))
    )
    ratio = {name: blurred[f"intensity_{name}"] / raw[f"intensity_{name}"] for name in ("mean", "std", "max")}
    assert np.allclose(ratio["mean"], 1, atol=5e-3)
    assert (ratio["std"] < 0.9).all()
    assert (ratio["max"] < 0.95).all()
    assert ratio["std"].max() > 1.5 * ratio["std"].min()


def test_a_nucleus_is_cut_by_the_diameter_told_and_whole_with_a_larger_one() -> None:
    image = datasets.load("terra_nuclei")
    sizes = image.known_voxel_size_um
    for diameter_um, whole in ((14, False), (18, True)):
        labels = segmentation.watershed(image.tensor(), diameter_um=diameter_um, voxel_size_um=sizes)
        assert (labels[560, 460] == labels[660, 530]) == whole
        if not whole:
            areas = np.bincount(labels.ravel())[1:] * 0.11**2
            assert len(areas) == 18
            assert np.median(areas) == pytest.approx(168, abs=0.5)


def test_what_the_first_figure_shows() -> None:
    found = inspection.inspect(datasets.load("terra_nuclei"))
    assert found.flag_names == {"structured noise"}
    structure = found.channels[0].structure
    assert structure is not None
    assert structure.at(1, 0) == pytest.approx(0.5, abs=0.02)
    assert abs(structure.at(0, 1)) < 0.1


def test_the_lines_for_a_folder_run_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plate1").mkdir()
    row, column = np.mgrid[:96, :100]
    light = sum(40.0 * (np.hypot(row - y, column - x) < 11) for y in (25, 70) for x in (24, 70)) + 4
    for seed, name in enumerate(("a.tif", "b.tif")):
        counts = np.random.default_rng(seed).poisson(light).astype(np.uint16)
        images.write(f"plate1/{name}", Image(counts, axes="YX", voxel_size_um=(0.6, 0.6), unit="photons"))
    block = text().split("```shell\n")[1].split("```")[0]
    lines = [shlex.split(line.split(">")[0])[1:] for line in block.splitlines()]
    assert [words[0] for words in lines] == ["inspect", "denoise", "segment", "measure", "report"]
    for words in lines:
        quick = ["--method", "gaussian"] if words[0] == "denoise" else []
        assert main([*words, *quick]) == 0, capsys.readouterr().err
    tables = [quantification.read_table(path) for path in sorted(Path("tables").iterdir())]
    assert [len(table) for table in tables] == [4, 4]
    raw = images.read("plate1/a.tif").data
    assert tables[0]["photons_max"].max() <= raw.max()
    assert tables[0]["photons_max"].max() > raw.max() - 8


def test_the_gaps_of_the_stretched_image_are_of_two_widths() -> None:
    middle = np.sort(datasets.load("cells3d_nuclei").data.ravel())
    gaps = np.unique(middle[len(middle) // 10 : len(middle) * 9 // 10])
    assert set(np.diff(gaps).tolist()) == {47, 48}
    shifted = inspection.look_at_values(torch.as_tensor(16.0 * np.arange(200).repeat(50)))
    assert (shifted.grey_step, shifted.are_multiples) == (16, True)


def code(*, holds: str) -> str:
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    (found,) = ("".join(c["source"]) for c in cells if c["cell_type"] == "code" and holds in "".join(c["source"]))
    return found


def test_what_was_uploaded_comes_before_the_shipped_image() -> None:
    given: dict[str, Any] = {"Path": Path, "TemporaryDirectory": TemporaryDirectory}
    given |= {"datasets": datasets, "images": images, "FileUpload": FileUpload}
    exec(code(holds="FileUpload(accept"), given)
    exec(code(holds="upload.value"), given)
    assert given["image"].data.shape == datasets.load("terra_nuclei").data.shape
    content = memoryview(datasets.path("hazelnut").read_bytes())
    sent = {"name": "../my nut.tif", "type": "image/tiff", "size": len(content), "content": content}
    given["upload"].value = ({**sent, "last_modified": datetime.now(tz=UTC)},)
    exec(code(holds="upload.value"), given)
    assert given["file"].name == "my nut.tif"
    assert np.array_equal(given["image"].data, datasets.load("hazelnut").data[0])
    given["received"].cleanup()


def test_the_network_cuts_nuclei_that_are_larger_than_it_knows() -> None:
    image = datasets.load("terra_nuclei")
    found = segmentation.segment(pretrained("nuclei_2d"), image.tensor(), device="cpu")
    assert found.max() > 5 * 18
    assert "it splits such objects" in doubt_of_width(image.data[None], largest_px=88, model="nuclei_2d")


def test_a_blur_changes_no_outline() -> None:
    image = datasets.load("terra_nuclei")
    sizes = image.known_voxel_size_um
    raw, blurred = (
        segmentation.watershed(values, diameter_um=14, voxel_size_um=sizes)
        for values in (image.tensor(), classical.gaussian(image.tensor(), sigma=2))
    )
    assert metrics.match_labels(blurred, raw, iou_threshold=0.8).true_positives == raw.max() == 18
