"""``course inspect`` as a command: text, JSON, folders, the microscope, and who wrote a file."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from course_lib import datasets, images
from course_lib.cli import main
from course_lib.images import Image

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    bright = 60 * (1.1 + np.sin(np.linspace(0, 12, 96)))[:, None] * np.ones(96)
    counts = rng.poisson(bright).astype(np.uint16)
    images.write("photons.tif", Image(counts, axes="YX", voxel_size_um=(0.1, 0.1), unit="photons"))
    with tifffile.TiffWriter("two.tif") as writer:
        writer.write(counts[:70, :70], metadata=None)
        writer.write(counts[:66, :80], metadata=None)
    return tmp_path


def test_json_says_what_the_text_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("inspect", "photons.tif", "--numerical-aperture", "1.4", "--emission-wavelength-nm", "520")
    assert main([*words, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["file"] == "photons.tif"
    assert told["axes"] == "YX"
    assert told["sampling"]["undersampled"] == ["pixels"]
    assert told["channels"][0]["noise"] == "photons"
    assert main(words) == 0
    text = capsys.readouterr().out
    assert all(flag["text"] in text for flag in told["flags"])
    assert "STOP: undersampled: The pixels are too coarse for the objective (pixel 0.1 µm, at most 0.0929 µm" in text
    assert told["channels"][0]["recommendation"]["command"] in text


def test_a_folder_is_inspected_and_bad_files_are_told_in_the_end(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.tif").write_bytes(b"II*\0")
    (folder / "notes.txt").write_text("no image")
    assert main(["inspect", ".", "--json"]) == 2
    told = capsys.readouterr()
    assert [one["file"] for one in json.loads(told.out)] == ["photons.tif"]
    assert told.err.count("\n") == 1
    assert "broken.tif" in told.err
    assert "two.tif holds 2 images, of shapes (70, 70), (66, 80): choose one with --series 0 to --series 1" in told.err
    assert "notes.txt" not in told.err


def test_one_of_several_images_is_chosen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "two.tif", "--series", "1"]) == 0
    assert "Image(Y 66 × X 80, uint16" in capsys.readouterr().out
    assert main(["inspect", "two.tif", "--series", "2"]) == 2
    assert capsys.readouterr().err.startswith("course: --series is 2, but two.tif has 2: pass 0 to 1")


def test_a_file_says_which_command_wrote_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", "photons.tif", "--diameter-um", "2", "-o", "my labels.tif"]) == 0
    capsys.readouterr()
    assert main(["inspect", "my labels.tif"]) == 0
    told = capsys.readouterr().out
    command = "course segment photons.tif --diameter-um 2 -o 'my labels.tif'"
    assert (
        f"written by deep-learning-microscopy-course {images.read_provenance('my labels.tif')['program'][-5:]}" in told
    )
    assert images.read_provenance("my labels.tif")["command"] == command
    assert command in told
    assert images.read_provenance("photons.tif") == {}
    again = images.read("my labels.tif")
    assert (again.axes, again.voxel_size_um) == ("YX", (0.1, 0.1))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--numerical-aperture", "0.8"), "to judge the sampling, --emission-wavelength-nm is needed, too"),
        (("--emission-wavelength-nm", "520"), "to judge the sampling, --numerical-aperture is needed, too"),
        (
            ("--numerical-aperture", "2", "--emission-wavelength-nm", "520"),
            "--numerical-aperture is 2, but must be from 0.01 to 1.75",
        ),
        (("--offset-adu", "1e9"), "photons.tif"),
        (("--voxel-size-um", "1,1,1"), "need 2 sizes"),
    ],
)
def test_flags_out_of_range(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    status = main(["inspect", "photons.tif", *words])
    told = capsys.readouterr()
    assert status == (0 if "--offset-adu" in words else 2)
    assert says in (told.out if status == 0 else told.err)
    assert "Traceback" not in told.err


def test_20_000_pages_are_inspected_without_loading_them(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = np.random.default_rng(0).integers(0, 99, (16, 16), np.uint8)
    pages = np.broadcast_to(page, (20_000, 16, 16))
    tifffile.imwrite("film.tif", pages, photometric="minisblack", metadata=None)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", lambda *_: pytest.fail("all pages were loaded"))
    assert main(["inspect", "film.tif", "--axes", "TYX"]) == 0
    told = capsys.readouterr().out
    assert "Image(T 20000 × Y 16 × X 16, uint8" in told


def test_help_names_units_and_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["inspect", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "numerical aperture of the objective; from 0.01 to 1.75" in told
    assert "in µm" in told


def test_all_recordings_of_the_course_are_inspected(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("hazelnut", "terra_nuclei", "cells3d_nuclei", "stardist_nuclei_3d")
    assert main(["inspect", "--json", *(str(datasets.path(name)) for name in names)]) == 0
    told = {Path(one["file"]).stem: one for one in json.loads(capsys.readouterr().out)}
    assert len(told) == len(names)
    methods = {stem: one["channels"][0]["recommendation"]["method"] for stem, one in told.items()}
    assert methods["hazelnut_flim_photon_counts_t5"] == "photon splitting"
    assert methods["terra_nuclei_2d"] == "structured blind spots"
