"""``course train-segment`` and ``course segment``."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import images, metrics, samples, segmentation
from course_lib.cli import main
from course_lib.cli._object_width import doubt_of_width, usual_width_px
from course_lib.images import Image, Normalization
from course_lib.networks import Model, UNet, UNetConfig

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = (
    *("--epochs", "2", "--steps-per-epoch", "4", "--batch-size", "4", "--device", "cpu"),
    *("--base-channels", "4", "--depth", "1", "--patch-side", "32"),
)


def nuclei(*, seed: int) -> tuple[np.ndarray, np.ndarray]:
    density, labels = samples.nuclei(
        (96, 100), voxel_size_um=(0.5, 0.5), count=10, diameter_um=7, touching=0.6, rng=seed
    )
    photons = torch.poisson(60 * density / density.max() + 3, generator=torch.Generator().manual_seed(seed))
    return photons.numpy().astype(np.uint16), np.asarray(labels)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A film of nuclei with its labels, one of two channels, a plain TIFF and a stack."""
    monkeypatch.chdir(tmp_path)
    film, labels = (np.stack(each) for each in zip(*(nuclei(seed=seed) for seed in range(3)), strict=True))
    sizes = (0.5, 0.5)
    images.write("film.tif", Image(film, axes="TYX", voxel_size_um=sizes, unit="photons"))
    images.write("truth.tif", Image(labels.astype(np.int32), axes="TYX", voxel_size_um=sizes))
    images.write("field.tif", Image(film[0], axes="YX", voxel_size_um=sizes, unit="photons"))
    images.write("two.tif", Image(np.stack([film[1], film[0]]), axes="CYX", voxel_size_um=sizes))
    images.write("sizeless.tif", Image(film[0], axes="YX"))
    images.write("flat.tif", Image(np.full((60, 60), 7, np.uint8), axes="YX", voxel_size_um=sizes))
    images.write("late.tif", Image(np.stack([film[0], 0 * film[0] + 7]), axes="TYX", voxel_size_um=sizes))
    holes = film[0].astype(np.float32)
    holes[3, 3] = np.nan
    images.write("torn.tif", Image(np.stack([film[0], holes]), axes="TYX", voxel_size_um=sizes))
    images.write("holes.tif", Image(holes, axes="YX", voxel_size_um=sizes))
    images.write("real.tif", Image(labels[0].astype(np.float32), axes="YX", voxel_size_um=sizes))
    images.write("none.tif", Image(np.zeros_like(labels).astype(np.int32), axes="TYX", voxel_size_um=sizes))
    plain = Normalization(offset=0.0, scale=1.0)
    other = Model(
        network=UNet(UNetConfig(base_channels=2, depth=1), rng=0),
        method="care",
        input_normalization=(plain,),
        output_normalization=(plain,),
    )
    other.save("care.model")
    return tmp_path


def run(*words: str) -> int:
    return main(words)


def truth(frame: int) -> np.ndarray:
    return np.asarray(images.read("truth.tif").data[frame])


def left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if "tmp" in path.name or "partial" in path.name]


def test_without_a_model_a_watershed_finds_the_nuclei(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("segment", "film.tif", "--diameter-um", "7") == 0
    told = capsys.readouterr().out
    labels = images.read("film_labels.ome.tif")
    assert (labels.axes, labels.voxel_size_um, labels.data.dtype) == ("TYX", (0.5, 0.5), np.uint16)
    film, total = images.read("film.tif"), 0
    for number, frame in enumerate(labels.data):
        expected = segmentation.watershed(film.data[number], diameter_um=7, voxel_size_um=(0.5, 0.5))
        assert np.array_equal(frame, expected)
        assert metrics.match_labels(frame, truth(number)).average_precision > 0.6
        total += int(frame.max())
    areas = np.concatenate([np.bincount(frame.ravel())[1:] for frame in labels.data]) * 0.25
    assert f"objects: {total} in 3 frames" in told
    assert f"median area: {np.median(areas):.4g} µm²" in told
    assert "method: watershed, foreground local, diameter 7 µm" in told
    assert left_behind(folder) == []


def test_a_blank_frame_of_a_film_holds_no_objects_and_the_others_are_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", "late.tif", "--diameter-um", "7") == 0
    labels = images.read("late_labels.ome.tif").data
    assert labels[0].any()
    assert not labels[1].any()
    assert "frames of one value, which hold no objects: 1, counted from 0" in capsys.readouterr().err


def test_objects_are_dropped_by_size_and_at_the_border(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("segment", "field.tif", "--diameter-um", "7", "--min-area-um2", "20", "--max-area-um2", "45")
    assert run("segment", "field.tif", "-o", "all.tif", "--diameter-um", "7") == 0
    assert run(*words, "--without-border", "-o", "some.tif") == 0
    told = capsys.readouterr().out
    every, some = images.read("all.tif").data.astype(np.int32), images.read("some.tif").data
    inner = segmentation.without_border(
        segmentation.of_size(every, voxel_size_um=(0.5, 0.5), area_um2=(20, 45)),
    )
    assert np.array_equal(some, segmentation.relabelled(inner))
    assert 0 < some.max() < every.max()
    assert np.array_equal(np.unique(some), np.arange(some.max() + 1))
    assert told.rstrip().splitlines()[-2] == "  touching the border: 0, 0%"
    assert run(*words, "--min-area-um2", "44.99", "--max-area-um2", "45", "-o", "no.tif") == 0
    assert "objects: 0" in capsys.readouterr().out


def test_one_level_alone_leaves_touching_objects_joined(folder: Path) -> None:
    assert run("segment", "field.tif", "-o", "level.tif", "--method", "otsu") == 0
    field = images.read("field.tif")
    mask = segmentation.threshold(field.data, method="otsu")
    level = images.read("level.tif").data
    assert np.array_equal(level, segmentation.connected(mask))
    assert run("segment", "field.tif", "-o", "split.tif", "--method", "otsu", "--diameter-um", "7") == 0
    expected = segmentation.watershed(field.data, diameter_um=7, voxel_size_um=(0.5, 0.5), mask=mask)
    assert np.array_equal(images.read("split.tif").data, expected)


def test_a_channel_is_chosen_and_a_size_can_be_told(folder: Path) -> None:
    assert run("segment", "field.tif", "-o", "a.tif", "--diameter-um", "7") == 0
    assert run("segment", "two.tif", "-o", "b.tif", "--diameter-um", "7", "--channel", "1") == 0
    sized = ("--diameter-um", "7", "--voxel-size-um", "0.5,0.5")
    assert run("segment", "sizeless.tif", "-o", "c.tif", *sized) == 0
    found = [images.read(name) for name in ("a.tif", "b.tif", "c.tif")]
    assert {(image.axes, image.voxel_size_um) for image in found} == {("YX", (0.5, 0.5))}
    assert np.array_equal(found[0].data, found[1].data)
    assert np.array_equal(found[0].data, found[2].data)


def test_a_stack_is_segmented_in_depth(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    z, y, x = np.mgrid[:16, :40, :40]
    stack = np.zeros((16, 40, 40), np.uint8)
    for middle in ((8, 12, 12), (8, 28, 28)):
        stack[((z - middle[0]) * 2) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2 < 64] = 90
    images.write("stack.tif", Image(stack, axes="ZYX", voxel_size_um=(1.0, 0.5, 0.5)))
    assert run("segment", "stack.tif", "--diameter-um", "8", "--min-volume-um3", "50") == 0
    assert images.read("stack_labels.ome.tif").data.max() == 2
    volume = np.count_nonzero(stack) / 2 * 0.25
    median = float(capsys.readouterr().out.split("median volume: ")[1].split()[0])
    assert median == pytest.approx(volume, rel=0.3)


def test_a_network_is_trained_and_finds_objects(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train-segment", "nuclei.model", "--images", "film.tif", "--labels", "truth.tif", *QUICK) == 0
    told = capsys.readouterr()
    assert "training on CPU, 1 threads, 3 images, the first 96 × 100" in told.err
    assert "nuclei.model: 2 epochs in" in told.out
    assert "thresholds: least foreground" in told.out
    assert not (folder / "nuclei.model.state").exists()
    assert run("segment", "film.tif", "--model", "nuclei.model", "--device", "cpu") == 0
    told = capsys.readouterr()
    assert "method: nuclei.model, flows, 2D" in told.out
    assert "device: CPU" in told.out
    labels, film = images.read("film_labels.ome.tif").data, images.read("film.tif").data
    model = Model.load("nuclei.model")
    assert [frame.max() for frame in labels] == [segmentation.segment(model, one, device="cpu").max() for one in film]
    assert run("segment", "film.tif", "--model", "nuclei.model", "--device", "cpu") == 2
    assert "film_labels.ome.tif exists: choose another name, or add --overwrite" in capsys.readouterr().err
    assert run("segment", "film.tif", "--model", "nuclei.model", "--device", "cpu", "--overwrite") == 0


def test_thresholds_of_the_network_can_be_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = ("segment", "field.tif", "--model", "nuclei_2d", "--device", "cpu", "--overwrite")
    covered = []
    for least in ("0.2", "0.9"):
        changed = ("--model-threshold", f"least_foreground={least}", "--model-threshold", "joined_within_px=1")
        assert run(*shared, *changed) == 0
        assert f"thresholds: least foreground {least}, joined within px 1" in capsys.readouterr().out
        covered.append(np.count_nonzero(images.read("field_labels.ome.tif").data))
    assert covered[0] > covered[1] > 0


def test_two_processes_train_as_one(folder: Path) -> None:
    words = (
        "train-segment",
        "--images",
        "film.tif",
        "--labels",
        "truth.tif",
        *QUICK,
        "--precision",
        "float32",
        "--fewest-photons",
        "5",
    )
    assert run(*words, "one.model") == 0
    program = Path(sys.executable).with_name("course")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python", str(program)]
    done = subprocess.run([sys.executable, *launch, *words, "two.model"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("two.model: 2 epochs in") == 1
    alone, together = Model.load("one.model"), Model.load("two.model")
    assert alone.settings["thresholds"] == together.settings["thresholds"]
    for name, weights in alone.network.state_dict().items():
        # as in tests/networks: sums of other order round otherwise, and Adam's steps grow that
        torch.testing.assert_close(together.network.state_dict()[name], weights, rtol=1e-3, atol=1e-4)


def test_an_interrupted_training_goes_on(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train-segment", "nuclei.model", "--images", "film.tif", "--labels", "truth.tif", *QUICK)
    from course_lib.networks import training

    written = training._Run.save

    def then_ctrl_c(self: training._Run, path: Path) -> None:
        written(self, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(training._Run, "save", then_ctrl_c)
    with pytest.raises(SystemExit, match="130"):
        run(*words)
    assert "all but the last epoch is kept in nuclei.model.state" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert run(*words) == 0
    assert "going on with nuclei.model.state" in capsys.readouterr().err
    assert len(Model.load("nuclei.model").history) == 2


DIAMETER = ("--diameter-um", "7")


@pytest.mark.parametrize(("factor", "doubted"), [(1, False), (3, True)])
def test_the_width_of_objects_is_told_without_the_network(factor: int, doubted: bool) -> None:
    rows, columns = np.ogrid[: 120 * factor, : 120 * factor]
    discs = sum(np.hypot(rows - y * factor, columns - x * factor) < 10 * factor for y in (25, 80) for x in (30, 90))
    frames = np.stack([np.zeros_like(discs), 100 * discs + rows % 3])
    assert usual_width_px(frames[1]) == pytest.approx(20 * factor, abs=1.5)
    told = doubt_of_width(frames, largest_px=50, model="a.model")
    assert bool(told) == doubted
    if doubted:
        width = round(usual_width_px(frames[1]))
        assert f"objects look {width} pixels wide, and the largest that a.model learned from was 50" in told
        assert "Bin the image 3 × 3, and give pixels 3 times as large" in told
    assert doubt_of_width(frames[:1], largest_px=1, model="a.model") == ""
    ripples = np.broadcast_to(1e6 + np.arange(90) % 2, (1, 90, 90))  # gone when it is smoothed
    assert doubt_of_width(ripples, largest_px=1, model="a.model") == ""
    assert doubt_of_width(np.full((1, 9, 9), np.nan), largest_px=1, model="a.model") == ""
    wide = np.pad(frames, [(0, 0), (3000, 3000), (3000, 3000)])
    assert doubt_of_width(wide, largest_px=50, model="a.model") == told


TRAIN = ("train-segment", "a.model", "--images")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("segment", "nowhere.tif", *DIAMETER), "there is no file nowhere.tif"),
        (("segment", "field.tif"), "how are objects to be found? Give --model, or --diameter-um"),
        (("segment", "field.tif", "--diameter-um", "1"), "--diameter-um is 1 µm, but must be at least 3 pixels"),
        (("segment", "field.tif", "--diameter-um", "nan"), "--diameter-um is nan µm, but must be"),
        (("segment", "sizeless.tif", *DIAMETER), "unknown: read the file with --voxel-size-um y,x"),
        (
            ("segment", "field.tif", *DIAMETER, "--voxel-size-um", "1,1,1"),
            "need 2 sizes",
        ),
        (("segment", "two.tif", *DIAMETER), "two.tif has 2 channels: choose one with --channel 0 to --channel 1"),
        (("segment", "two.tif", *DIAMETER, "--channel", "2"), "--channel is 2, but two.tif has 2: choose 0 to 1"),
        (("segment", "field.tif", *DIAMETER, "--channel", "0"), "field.tif has no channels: leave it out"),
        (("segment", "flat.tif", *DIAMETER), "image has the value 7 everywhere"),
        (("segment", "torn.tif", *DIAMETER), "frame 1, from 0, cannot be segmented: image has 1 values that are NaN"),
        (("segment", "holes.tif", *DIAMETER), "image has 1 values that are NaN or infinite"),
        (("segment", "field.tif", *DIAMETER, "--min-area-um2", "-1"), "--min-area-um2 is -1, but must be"),
        (("segment", "field.tif", *DIAMETER, "--min-area-um2", "nan"), "--min-area-um2 is nan, but must be"),
        (
            ("segment", "field.tif", *DIAMETER, "--min-area-um2", "9", "--max-area-um2", "3"),
            "(9, 3), but must be (lowest, highest)",
        ),
        (
            ("segment", "field.tif", *DIAMETER, "--max-volume-um3", "3"),
            "--max-volume-um3 is not for an image: give --max-area-um2",
        ),
        (("segment", "field.tif", *DIAMETER, "-o", "field.tif"), "field.tif is the image itself"),
        (("segment", "field.tif", *DIAMETER, "-o", "no/a.tif"), "there is no folder no"),
        (("segment", "field.tif", *DIAMETER, "-o", "a.png"), "a.png must end in .tif"),
        (("segment", "field.tif", "--model", "nowhere.model"), "there is no file nowhere.model, and no network of"),
        (("segment", "field.tif", "--model", "field.tif"), "field.tif is damaged, or not a file of this course"),
        (("segment", "field.tif", "--model", "care.model"), "care.model is a model of the method care, which gives no"),
        (("segment", "field.tif", "--model", "care_live_2d"), "care_live_2d is a model of the method care"),
        (("segment", "field.tif", "--model", "care.model", "--method", "li"), "--method chooses how to go without"),
        ((*TRAIN, "film.tif", "--labels", "none.tif"), "the labels are 0 everywhere"),
        ((*TRAIN, "film.tif", "--labels", "field.tif"), "film.tif holds 3 frames, field.tif 1: each needs its labels"),
        ((*TRAIN, "film.tif", "two.tif", "--labels", "truth.tif"), "--images names 2 files, --labels 1"),
        ((*TRAIN, "flat.tif", "--labels", "real.tif"), "frame 0 of flat.tif has shape (60, 60), but that of real.tif"),
        ((*TRAIN, "field.tif", "--labels", "real.tif"), "the labels of image 0 has dtype float32, but must be an int"),
        ((*TRAIN, "two.tif", "--labels", "field.tif"), "two.tif has several channels: choose one with --channel 0"),
        ((*TRAIN, "field.tif", "--labels", "field.tif", "--patch-side", "64"), "few along its longer side"),
        ((*TRAIN, "field.tif", "--labels", "field.tif", "--patch-side", "33"), "patches are (33, 33), but a network"),
        ((*TRAIN, "field.tif", "--labels", "field.tif", "--depth", "9"), "--depth is 9, but must be from 1 to 6"),
        (
            ("segment", "field.tif", "--diameter-um", "7", "--model-threshold", "least_foreground=0.4"),
            "--model-threshold is for what a network gives: leave it out, or choose a --model",
        ),
        (
            ("segment", "field.tif", "--model", "nuclei_2d", "--model-threshold", "probability=0.4"),
            "this model has least_foreground, joined_within_px: name only these",
        ),
        (("train-segment", "field.tif", "--images", "a", "--labels", "b"), "field.tif exists: choose another name"),
        (("train-segment", "no/a.model", "--images", "a", "--labels", "b"), "there is no folder no"),
    ],
)
def test_each_mistake_is_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    before = sorted(path.name for path in folder.iterdir())
    assert run(*words, "--device", "cpu") == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("course: ")
    assert says in told
    assert sorted(path.name for path in folder.iterdir()) == before


def test_help_tells_units_and_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    for command, says in (("segment", "in µm²"), ("train-segment", "from 0.01 to 0.5")):
        with pytest.raises(SystemExit, match="0"):
            run(command, "--help")
        assert says in " ".join(capsys.readouterr().out.split())
