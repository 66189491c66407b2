"""``course measure``: the table is that of the library, on raw values, and each mistake is one line."""

import re
from pathlib import Path

import numpy as np
import pytest

from course_lib import images, quantification
from course_lib.cli import main
from course_lib.images import Image
from course_lib.noise import Camera

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = (0.5, 0.5)


def labelled() -> np.ndarray:
    labels = np.zeros((60, 64), np.uint16)
    labels[5:15, 5:17], labels[30:48, 20:40], labels[50:60, 50:64] = 3, 8, 9
    return labels


def raw(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(np.where(labelled() > 0, 50, 5)).astype(np.uint16)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    images.write("labels.tif", Image(labelled(), axes="YX", voxel_size_um=SIZES))
    images.write("raw.tif", Image(raw(), axes="YX", voxel_size_um=SIZES, unit="photons"))
    images.write("adu.tif", Image(2 * raw() + 100, axes="YX", voxel_size_um=SIZES, unit="adu"))
    images.write("two.tif", Image(np.stack([raw(), raw(1)]), axes="CYX", voxel_size_um=SIZES))
    images.write("film.tif", Image(np.stack([raw(), raw(1)]), axes="TYX", voxel_size_um=SIZES))
    shifted = np.stack([labelled(), np.where(labelled() == 9, 0, labelled())])
    images.write("film_labels.tif", Image(shifted, axes="TYX", voxel_size_um=SIZES))
    images.write("sizeless.tif", Image(labelled(), axes="YX"))
    images.write("half.tif", Image(labelled() / np.float32(2), axes="YX", voxel_size_um=SIZES))
    images.write("mask.tif", Image(labelled() > 0, axes="YX", voxel_size_um=SIZES))
    images.write("none.tif", Image(0 * labelled(), axes="YX", voxel_size_um=SIZES))
    images.write("full.tif", Image(0 * labelled() + 1, axes="YX", voxel_size_um=SIZES))
    images.write("other.tif", Image(raw()[:50], axes="YX", voxel_size_um=SIZES))
    stack = np.stack([0 * labelled(), labelled(), labelled(), 0 * labelled()])
    images.write("stack_labels.tif", Image(stack, axes="ZYX", voxel_size_um=(2.0, *SIZES)))
    return tmp_path


def run(*words: str) -> int:
    return main(("measure", *words))


def test_the_table_is_that_of_the_library(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("labels.tif", "--intensity", "raw.tif") == 0
    table = quantification.read_table("labels_objects.csv")
    level = quantification.estimate_background(raw(), labelled(), voxel_size_um=SIZES)
    expected = quantification.measure(labelled(), raw(), voxel_size_um=SIZES, background=level, unit="photons")
    assert list(table.columns) == list(expected.columns)
    assert np.array_equal(table["ID"], [3, 8, 9])
    for name in expected.columns[2:]:
        assert np.array_equal(table[name], expected[name], equal_nan=True), name
    assert table["photons_mean"].to_numpy() == pytest.approx([45, 45, 45], abs=2)
    told = table.attrs["provenance"]
    assert told["command"] == "course measure labels.tif --intensity raw.tif"
    assert re.match(r"deep-learning-microscopy-course \d", told["program"])
    assert told["voxel_size_um"] == [0.5, 0.5]
    assert told["units"]["area_um2"] == "µm²"
    assert f"labels_objects.csv: 3 objects, {len(table.columns)} columns: ID, Type, area_um2" in capsys.readouterr().out


def test_parquet_holds_the_same(folder: Path) -> None:
    assert run("labels.tif", "--intensity", "raw.tif") == 0
    assert run("labels.tif", "--intensity", "raw.tif", "-o", "t.parquet") == 0
    one, other = quantification.read_table("labels_objects.csv"), quantification.read_table("t.parquet")
    assert one.drop(columns="Type").equals(other.drop(columns="Type"))


def test_a_camera_makes_photons_of_grey_levels(folder: Path) -> None:
    camera = ("--gain-e-per-adu", "0.5", "--offset-adu", "100", "--read-noise-e", "2")
    assert run("labels.tif", "--intensity", "adu.tif", *camera) == 0
    table = quantification.read_table("labels_objects.csv")
    plain = quantification.measure(labelled(), raw(), voxel_size_um=SIZES, unit="photons", background=5.0)
    assert table["photons_mean"].to_numpy() == pytest.approx(plain["photons_mean"].to_numpy(), abs=0.5)
    settings = {"quantum_efficiency": 1.0, "dark_current_e_per_s": 0.0}
    expected = quantification.measure(
        labelled(),
        2 * raw() + 100,
        voxel_size_um=SIZES,
        background=quantification.estimate_background(2 * raw() + 100, labelled(), voxel_size_um=SIZES),
        camera=Camera(gain_e_per_adu=0.5, offset_adu=100.0, read_noise_e=2.0, **settings),
    )
    errors = [table["photons_sum_standard_error"], expected["photons_sum_standard_error"]]
    assert np.allclose(*errors, rtol=1e-12)


def test_backgrounds_given_estimated_and_none(folder: Path) -> None:
    means = {}
    for background in ("none", "5", "auto"):
        assert run("labels.tif", "--intensity", "raw.tif", "--background", background, "--overwrite") == 0
        means[background] = quantification.read_table("labels_objects.csv")["photons_mean"].to_numpy()
    assert means["none"] - means["5"] == pytest.approx([5, 5, 5])
    assert means["auto"] == pytest.approx(means["5"], abs=0.2)


def test_channels_are_chosen_and_named(folder: Path) -> None:
    assert run("labels.tif", "--intensity", "two.tif", "--names", "dna,actin", "-o", "a.csv") == 0
    assert run("labels.tif", "--intensity", "two.tif", "--channel", "1", "-o", "b.csv") == 0
    both, one = quantification.read_table("a.csv"), quantification.read_table("b.csv")
    assert np.array_equal(both["intensity_mean_actin"], one["intensity_mean"])
    assert not np.array_equal(both["intensity_mean_dna"], one["intensity_mean"])


def test_each_frame_of_a_film_is_measured(folder: Path) -> None:
    assert run("film_labels.tif", "--intensity", "film.tif", "-o", "film.csv") == 0
    table = quantification.read_table("film.csv")
    assert table["frame"].tolist() == [0, 0, 0, 1, 1]
    assert table["ID"].tolist() == [3, 8, 9, 3, 8]
    levels = table.attrs["provenance"]["background"][""]
    assert [sorted(level) for level in levels] == 2 * [["level", "share", "standard_error"]]
    assert levels[0]["level"] != levels[1]["level"]


def test_objects_that_are_dropped_keep_others_numbers_and_are_no_background(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("labels.tif", "--intensity", "raw.tif", "-o", "all.csv") == 0
    assert run("labels.tif", "--intensity", "raw.tif", "-o", "few.csv", "--without-border", "--min-area-um2", "40") == 0
    whole, few = quantification.read_table("all.csv"), quantification.read_table("few.csv")
    assert list(whole["ID"]) == [3, 8, 9]
    assert list(few["ID"]) == [8]
    assert float(few["photons_sum"].iloc[0]) == float(whole["photons_sum"].iloc[1])
    assert few.attrs["provenance"]["background"] == whole.attrs["provenance"]["background"]
    assert run("film_labels.tif", "--intensity", "film.tif", "--without-border") == 0
    assert list(quantification.read_table("film_labels_objects.csv")["ID"]) == [3, 8, 3, 8]
    assert "pass for background" not in capsys.readouterr().err
    assert run("labels.tif", "--min-volume-um3", "2", "--overwrite") == 2
    assert "--min-volume-um3 is not for an image: give --min-area-um2" in capsys.readouterr().err


def test_labels_of_which_objects_were_dropped_before_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("segment", "raw.tif", "--method", "otsu")
    assert main([*words, "-o", "whole.tif"]) == 0
    assert main([*words, "-o", "cut.tif", "--without-b", "--min-area-um2=20"]) == 0
    said = (
        "cut.tif was written with --min-area-um2, --without-border: the objects that were dropped pass for background"
    )
    capsys.readouterr()
    for labels, more, told in (
        ("whole.tif", (), False),
        ("cut.tif", (), True),
        ("cut.tif", ("--background", "5"), False),
        ("cut.tif", ("--background", "none"), False),
    ):
        assert run(labels, "--intensity", "raw.tif", "--overwrite", *more) == 0
        assert (said in capsys.readouterr().err) == told
    assert run("cut.tif", "--overwrite") == 0
    assert "dropped" not in capsys.readouterr().err


def test_shapes_alone_in_3d_and_an_empty_image(folder: Path) -> None:
    assert run("stack_labels.tif", "-o", "stack.csv", "--features", "geometry") == 0
    stack = quantification.read_table("stack.csv")
    assert stack["volume_um3"].tolist() == [120.0, 360.0, 140.0]
    assert "intensity_mean" not in stack.columns
    assert "solidity" not in stack.columns
    assert run("none.tif", "--intensity", "raw.tif", "-o", "none.csv") == 0
    assert len(quantification.read_table("none.csv")) == 0


def test_neighbours_within_a_distance(folder: Path) -> None:
    assert run("labels.tif", "-o", "near.csv", "--neighbour-distance-um", "6") == 0
    assert quantification.read_table("near.csv")["neighbours"].tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nowhere.tif",), "there is no file nowhere.tif"),
        (("sizeless.tif",), "unknown: read the file with --voxel-size-um y,x"),
        (("half.tif",), "half.tif has values that are no whole numbers"),
        (("mask.tif",), "mask.tif is a mask of True and False: number its objects first, with course segment"),
        (("two.tif",), "two.tif has CYX with several channels, but labels have none"),
        (("labels.tif", "--intensity", "other.tif"), "the labels have shape (1, 60, 64), but the intensities have"),
        (("labels.tif", "--intensity", "film.tif"), "the intensities have (2, 60, 64)"),
        (("labels.tif", "--intensity", "two.tif", "--channel", "2"), "--channel is 2, but the image has 2: choose 0"),
        (("labels.tif", "--intensity", "two.tif", "--names", "a"), "--names has 1 names for 2 channels"),
        (("labels.tif", "--names", "a"), "add --intensity, the raw image"),
        (("labels.tif", "--intensity", "two.tif", "--background", "1,2,3"), "--background has 3 numbers for 2"),
        (("labels.tif", "--intensity", "adu.tif", "--gain-e-per-adu", "2"), "belong together: give both, or neither"),
        (
            ("labels.tif", "--intensity", "raw.tif", "--gain-e-per-adu", "2", "--offset-adu", "9"),
            "the image says that its values are photons: leave --gain-e-per-adu",
        ),
        (("labels.tif", "--intensity", "adu.tif", "--gain-e-per-adu", "-2", "--offset-adu", "9"), "--gain-e-per-adu"),
        (("full.tif", "--intensity", "raw.tif"), "lower --margin-um, or record an empty field"),
        (("labels.tif", "--features", "size"), "features has 'size', but must be of"),
        (("labels.tif", "--neighbour-distance-um", "-1"), "--neighbour-distance-um is -1 µm, but must be at least 0"),
        (("labels.tif", "-o", "a.xlsx"), "a.xlsx must end in .csv or .parquet"),
        (("labels.tif", "-o", "no/a.csv"), "there is no folder no"),
        (("labels.tif", "-o", "there.csv"), "there.csv exists: choose another name, or add --overwrite"),
    ],
)
def test_each_mistake_is_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    Path("there.csv").write_text("mine")
    before = sorted(path.name for path in folder.iterdir())
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("course: ")
    assert says in told
    assert sorted(path.name for path in folder.iterdir()) == before
    assert Path("there.csv").read_text() == "mine"


@pytest.mark.parametrize("words", [("--background", "much"), ("--names", "a,a"), ("--channel", "x")])
def test_flags_that_cannot_be_read(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("labels.tif", *words)
    assert words[0] in capsys.readouterr().err


def test_help_tells_units_and_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run("--help")
    told = " ".join(capsys.readouterr().out.split())
    assert "in µm, at least 0" in told
    assert "Give the RAW image as --intensity" in told
