"""Several images or a folder of them: each command does all it can, and says at the end what it could not."""

from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import images, quantification
from course_lib.cli import main
from course_lib.images import Image, Normalization
from course_lib.networks import Model, UNet, UNetConfig

pytestmark = pytest.mark.usefixtures("one_thread")

SEGMENT = ("segment", "in", "-o", "out", "--diameter-um", "6")


def discs(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:72, :80]
    light = sum(40.0 * (np.hypot(row - y, column - x) < 6) for y in (15, 35, 56) for x in (14, 40, 63))
    return rng.poisson(light + 4).astype(np.uint16)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three images, of which one is broken, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number, name in enumerate(("a.tif", "c.ome.tif")):
        image = Image(discs(number), axes="YX", voxel_size_um=(0.5, 0.5), unit="photons")
        images.write(f"in/{name}", image)
    Path("in/b.TIFF").write_bytes(b"II*\0 broken")
    Path("in/notes.txt").write_text("nothing")
    return tmp_path


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_bad_image_does_not_stop_the_others_and_is_named_in_the_end(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(SEGMENT) == 2
    told = capsys.readouterr()
    assert names("out") == ["a_labels.ome.tif", "c_labels.ome.tif"]
    assert "out: 2 of 3 images done" in told.out
    lines = told.err.splitlines()
    assert lines[-1] == f"course: 1 of 3 images failed, why stands above: {Path('in/b.TIFF')}."
    assert [line for line in lines if line.startswith(f"course: {Path('in/b.TIFF')} failed: ")]
    assert [line for line in lines if line.startswith("[3/3]")]
    assert images.read("out/c_labels.ome.tif").data.max() == 9


def test_what_is_there_is_left_unless_it_shall_be_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("in/b.TIFF").unlink()
    assert main(SEGMENT) == 0
    before = {path.name: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    Path("out/a_labels.ome.tif").unlink()
    capsys.readouterr()
    assert main(SEGMENT) == 0
    assert "out: 1 of 2 images done; 1 had a result before, which --overwrite replaces" in capsys.readouterr().out
    after = {path.name: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    assert after["c_labels.ome.tif"] == before["c_labels.ome.tif"]
    assert main([*SEGMENT, "--overwrite"]) == 0
    assert Path("out/c_labels.ome.tif").stat().st_mtime_ns > before["c_labels.ome.tif"]


def test_one_result_is_that_of_the_image_alone(folder: Path) -> None:
    assert main(["segment", "in/a.tif", "in/c.ome.tif", "-o", "out", "--diameter-um", "6"]) == 0
    assert main(["segment", "in/c.ome.tif", "-o", "alone.tif", "--diameter-um", "6"]) == 0
    assert np.array_equal(images.read("out/c_labels.ome.tif").data, images.read("alone.tif").data)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("segment", "in", "--diameter-um", "6"), "several images give several results: add -o FOLDER"),
        (("segment", "in", "-o", "in/notes.txt", "--diameter-um", "6"), "is a file, but several images need a folder"),
        (("segment", "empty", "-o", "out", "--diameter-um", "6"), "empty is a folder without a file that ends in .tif"),
        (("segment", "in", "in/a.tif", "-o", "out", "--diameter-um", "6"), "would both be written to"),
        (("segment", "in", "-o", "no/out", "--diameter-um", "6"), "No such file or directory"),
    ],
)
def test_mistakes_are_told_before_the_work(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    Path("empty").mkdir()
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert says in told
    assert not Path("out").exists() or names("out") == []


def test_denoise_measure_and_report_take_folders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("in/b.TIFF").unlink()
    assert main(["denoise", "in", "-o", "denoised", "--method", "gaussian"]) == 0
    assert names("denoised") == ["a_denoised.html", "a_denoised.ome.tif", "c_denoised.html", "c_denoised.ome.tif"]
    assert main(SEGMENT) == 0
    assert main(["measure", "out", "--intensity", "in", "-o", "tables"]) == 0
    assert names("tables") == ["a_labels_objects.csv", "c_labels_objects.csv"]
    assert len(quantification.read_table("tables/a_labels_objects.csv")) == 9
    assert main(["report", "in", "-o", "reports", "--diameter-um", "6"]) == 0
    assert [name for name in names("reports") if name.endswith(".html")] == ["a_report.html", "c_report.html"]
    assert len(names("reports")) == 6


def test_labels_without_their_image_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("in/b.TIFF").unlink()
    assert main(SEGMENT) == 0
    Path("in/c.ome.tif").unlink()
    assert main(["measure", "out", "--intensity", "in", "-o", "tables"]) == 2
    told = capsys.readouterr().err
    assert "belongs to an image called c.tif, but in has no file of that name" in told
    assert names("tables") == ["a_labels_objects.csv"]


def test_predict_and_deconvolve_take_folders(folder: Path) -> None:
    Path("in/b.TIFF").unlink()
    plain = Normalization(offset=0.0, scale=1.0)
    network = UNet(UNetConfig(base_channels=2, depth=1), rng=0)
    Model(network=network, method="care", input_normalization=(plain,), output_normalization=(plain,)).save("n.model")
    assert main(["predict", "n.model", "in", "-o", "restored", "--device", "cpu"]) == 0
    assert names("restored") == ["a_restored.ome.tif", "c_restored.ome.tif"]
    objective = ("--model", "gaussian", "--numerical-aperture", "0.3", "--emission-wavelength-nm", "520")
    assert main(["deconvolve", "in", "-o", "sharp", *objective, "--iterations", "3", "--device", "cpu"]) == 0
    assert names("sharp") == ["a_deconvolved.ome.tif", "c_deconvolved.ome.tif"]
    assert torch.isfinite(images.read("sharp/a_deconvolved.ome.tif").tensor()).all()


def test_too_little_memory_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_words: object, **_options: object) -> None:
        raise MemoryError("Unable to allocate 10. TiB")

    monkeypatch.setattr(images, "read", no_memory)
    assert main(["segment", "in/a.tif", "--diameter-um", "6"]) == 2
    told = capsys.readouterr().err
    assert told == (
        "course: there is not enough memory (Unable to allocate 10. TiB): take a part of the image, or close other "
        "programs.\n"
    )
