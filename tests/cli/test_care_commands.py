"""``course train-care`` and ``course predict``."""

from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import images, metrics, samples
from course_lib.cli import main
from course_lib.images import Image
from course_lib.networks import Model

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = (
    *("--epochs", "2", "--steps-per-epoch", "10", "--batch-size", "4", "--device", "cpu"),
    *("--base-channels", "4", "--depth", "1", "--patch-side", "32"),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A film of photon counts, and a registered pair and one of another field."""
    monkeypatch.chdir(tmp_path)
    draw = torch.Generator().manual_seed(0)
    scene = samples.filaments((3, 96, 100), voxel_size_um=(0.3, 0.1, 0.1), count=60, rng=0)
    mean = 40 * scene / scene.max() + 2
    images.write("counts.tif", _image(torch.poisson(mean, generator=draw), "TYX", "photons"))
    images.write("dim.tif", _image(torch.poisson(mean[0], generator=draw), "YX", "photons"))
    images.write("bright.tif", _image(torch.poisson(30 * mean[0].roll(2, dims=1), generator=draw), "YX", "photons"))
    images.write("other.tif", _image(torch.poisson(30 * mean[2].flip(0), generator=draw), "YX", "photons"))
    return tmp_path


def _image(values: torch.Tensor, axes: str, unit: images.Unit) -> Image:
    return Image(values.numpy().astype(np.uint16), axes=axes, voxel_size_um=(0.1, 0.1), unit=unit)


def run(*words: str) -> int:
    return main(words)


def test_from_photon_counts_to_a_restored_film(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train-care", "cells.model", "--images", "counts.tif", "--thin", "0.2", *QUICK) == 0
    told = capsys.readouterr()
    assert "training on CPU, 1 threads, 3 pairs of 1 × 96 × 100" in told.err
    assert "cells.model: 2 epochs in" in told.out
    assert not (folder / "cells.model.state").exists()
    assert run("predict", "cells.model", "counts.tif", "--normalization", "image", "--device", "cpu") == 0
    assert "counts_restored.ome.tif: Image(T 3 × Y 96 × X 100, float32" in capsys.readouterr().out
    restored = images.read("counts_restored.ome.tif")
    noisy = images.read("counts.tif")
    assert (restored.axes, restored.voxel_size_um, restored.unit) == ("TYX", noisy.voxel_size_um, "photons")
    assert restored.data.std() < noisy.data.std()
    assert float(metrics.nrmse(restored.at("T", 0).tensor(), noisy.at("T", 0).tensor())) < 1


def test_recorded_pairs_are_registered(folder: Path) -> None:
    assert run("train-care", "cells.model", "--images", "dim.tif", "--targets", "bright.tif", *QUICK) == 0
    assert Model.load("cells.model").settings["pairs"] == 1


def test_an_interrupted_training_goes_on(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train-care", "cells.model", "--images", "counts.tif", "--thin", "0.2", *QUICK)
    save = Model.save
    from course_lib.networks import training

    written = training._Run.save

    def then_ctrl_c(self: training._Run, path: Path) -> None:
        written(self, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(training._Run, "save", then_ctrl_c)
    with pytest.raises(SystemExit, match="130"):
        run(*words)
    assert (
        "all but the last epoch is kept in cells.model.state: give the same command to go on" in capsys.readouterr().err
    )
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert run(*words) == 0
    assert "going on with cells.model.state" in capsys.readouterr().err
    assert save is Model.save
    assert len(Model.load("cells.model").history) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train-care", "a.model", "--images", "none.tif", "--thin", "0.2"), "there is no file none.tif"),
        (("train-care", "no/a.model", "--images", "counts.tif", "--thin", "0.2"), "there is no folder no"),
        (("train-care", "dim.tif", "--images", "counts.tif", "--thin", "0.2"), "dim.tif exists: choose another name"),
        (("train-care", "a.model", "--images", "dim.tif", "--thin", "1.5"), "must be between 0 and 1"),
        (
            ("train-care", "a.model", "--images", "dim.tif", "--targets", "other.tif"),
            "dim.tif and its target are no pair: ",
        ),
        (
            ("train-care", "a.model", "--images", "counts.tif", "--targets", "bright.tif"),
            "--images hold 3 frames, --targets 1: each needs its target",
        ),
        (("train-care", "a.model", "--images", "dim.tif", "--thin", "0.2", "--depth", "9"), "depth is 9, but must be"),
        (
            ("train-care", "a.model", "--images", "dim.tif", "--thin", ".2", "--patch-side", "512"),
            "offers only (96, 100)",
        ),
        (("predict", "none.model", "dim.tif"), "there is no file none.model"),
        (("predict", "dim.tif", "dim.tif"), "dim.tif is damaged, or not a file of this course"),
    ],
)
def test_each_mistake_is_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    assert run(*words, "--device", "cpu") == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("course: ")
    assert says in told
    assert not (folder / "a.model").exists()


def test_a_model_is_exported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train-care", "cells.model", "--images", "counts.tif", "--thin", "0.2", *QUICK) == 0
    capsys.readouterr()
    assert run("export-model", "cells.model") == 0
    told = capsys.readouterr().out
    assert told.startswith("cells.onnx: ")
    assert "image: N C Y X, float32, 1 channels, sides in whole multiples of 2 × 2 pixels" in told
    assert (folder / "cells.onnx").read_bytes()
    assert run("export-model", "cells.model") == 2
    assert "cells.onnx exists: choose another name, or add --overwrite" in capsys.readouterr().err
    assert run("export-model", "cells.model", "--overwrite") == 0
