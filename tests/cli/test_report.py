"""``course report``: from a noisy two-channel stack to table, labels and a page that stands alone, or to nothing."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import datasets, images, quantification, samples
from course_lib.cli import main
from course_lib.images import Image

pytestmark = pytest.mark.usefixtures("one_thread")

STACK = (0.8, 0.4, 0.4)
WORDS = ("two.tif", "--segment-channel", "0", "--diameter-um", "8")


class Page(HTMLParser):
    """What a page shows, what it asks others for, and whether it is closed."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.text, self.sources, self.alts, self.open, self.tags = "", [], [], [], set()
        self.source = Path(path).read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.add(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag == "img":
            self.alts += [dict(attributes).get("alt")]
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    density, labels = samples.nuclei((12, 96, 96), voxel_size_um=STACK, count=9, diameter_um=8, rng=1)
    light = torch.stack([40 * density / density.max() + 2, 20.0 * (torch.as_tensor(labels) > 0) + 1])
    counts = torch.poisson(light, generator=torch.Generator().manual_seed(0)).numpy().astype(np.uint16)
    images.write("two.tif", Image(counts, axes="CZYX", voxel_size_um=STACK, unit="photons"))
    images.write("one.tif", Image(counts[0, 6], axes="YX", voxel_size_um=STACK[1:], unit="photons"))
    images.write("film.tif", Image(counts[0, 5:7], axes="TYX", voxel_size_um=STACK[1:], unit="photons"))
    images.write("sizeless.tif", Image(counts[0, 6], axes="YX"))
    return tmp_path


def run(*words: str) -> int:
    return main(("report", *words))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_line_from_a_two_channel_stack_to_table_labels_and_page(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names(folder)
    assert run(*WORDS, "--names", "dna,actin") == 0
    made = ["two_report.csv", "two_report.html", "two_report_labels.ome.tif"]
    assert names(folder) == sorted(before + made)
    labels, table = images.read(made[2]), quantification.read_table(made[0])
    assert (labels.axes, labels.voxel_size_um) == ("ZYX", STACK)
    raw = images.read("two.tif").data
    channels = {"dna": raw[0], "actin": raw[1]}
    levels = {
        name: quantification.estimate_background(values, labels.data.astype(int), voxel_size_um=STACK)
        for name, values in channels.items()
    }
    expected = quantification.measure(
        labels.data.astype(int), channels, voxel_size_um=STACK, background=levels, unit="photons"
    )
    assert np.array_equal(table["photons_sum_actin"], expected["photons_sum_actin"])
    assert np.array_equal(table["volume_um3"], expected["volume_um3"])
    command = "course report two.tif --segment-channel 0 --diameter-um 8 --names dna,actin"
    assert table.attrs["provenance"]["command"] == images.read_provenance(made[2])["command"] == command
    page = Page(made[1])
    assert command in page.text
    assert f"objects: {len(table)}" in page.text
    assert f"objects: {len(table)}" in capsys.readouterr().out


def test_the_page_stands_alone(folder: Path) -> None:
    assert run(*WORDS) == 0
    page = Page("two_report.html")
    assert not page.open
    assert page.sources
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert not re.search(r"https?://|@import|url\(", page.source)
    assert all(alt and len(alt) > 20 for alt in page.alts)
    assert "prefers-color-scheme: dark" in page.source
    for heading in ("Red flags", "The image", "The objects", "The numbers", "How this was made"):
        assert heading in page.text
    assert "deep-learning-microscopy-course" in page.text
    assert re.search(r"numpy \d+\.\d+", page.text)
    for setting in ("--diameter-um", "--background", "--margin-um", "--min-volume-um3"):
        assert setting in page.text
    assert str(folder) not in page.source


def test_the_restoration_serves_the_outlines_and_the_raw_image_is_measured(folder: Path) -> None:
    assert run("one.tif", "--diameter-um", "8") == 0
    assert run("one.tif", "--diameter-um", "8", "--method", "gaussian", "-o", "restored.html") == 0
    page = Page("restored.html")
    assert "The restoration, for segmenting only" in page.text
    assert "Gaussian blur was asked for." in page.text
    labels = images.read("restored_labels.ome.tif").data.astype(int)
    assert not np.array_equal(labels, images.read("one_report_labels.ome.tif").data)
    raw = images.read("one.tif").data
    level = quantification.estimate_background(raw, labels, voxel_size_um=STACK[1:])
    expected = quantification.measure(labels, raw, voxel_size_um=STACK[1:], background=level, unit="photons")
    table = quantification.read_table("restored.csv")
    assert np.array_equal(table["photons_sum"], expected["photons_sum"])


def test_objects_far_larger_than_those_of_the_training_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = datasets.load("dsb2018_nuclei_2d").data[128:256, 128:256]
    for factor in (1, 4):
        data = small.repeat(factor, axis=0).repeat(factor, axis=1)
        images.write(f"by{factor}.tif", Image(data, axes="YX", voxel_size_um=(1 / factor, 1 / factor)))
        assert run(f"by{factor}.tif", "--model", "nuclei_2d", "--device", "cpu") == 0
    told = capsys.readouterr().err
    pattern = (
        r"objects look (\d+) pixels wide, and the largest that nuclei_2d learned from was 88: .* Bin the image 3 × 3"
    )
    (width,) = re.findall(pattern, told)
    assert 70 < int(width) < 110
    assert re.search(pattern, Page("by4_report.html").text)
    assert "pixels wide" not in Page("by1_report.html").text


def test_a_real_image_raises_its_flags(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(datasets.path("terra_nuclei"))
    words = ("-o", "terra.html", "--diameter-um", "12", "--min-area-um2", "20", "--without-border")
    assert run(path, *words, "--numerical-aperture", "1.4", "--emission-wavelength-nm", "520") == 0
    page = Page("terra.html")
    assert "STOP: structured noise" in page.text
    assert "STOP: undersampled" in page.text
    assert "STOP: structured noise" in capsys.readouterr().out
    table = quantification.read_table("terra.csv")
    assert (table["area_um2"] >= 20).all()
    assert not table["touches_border"].any()


def disks(*, side: int = 160, level: float = 5.0) -> np.ndarray:
    """Return counts of 40 photons in small and large round cells, some at the border, on a background."""
    row, column = np.mgrid[:side, :side]
    places = [(30, 30, 6), (30, 120, 16), (85, 75, 18), (125, 20, 6), (130, 130, 7), (75, 156, 12), (158, 70, 11)]
    cells = np.any([np.hypot(row - y, column - x) < radius for y, x, radius in places], axis=0)
    return np.random.default_rng(0).poisson(np.where(cells, 40, level)).astype(np.uint16)


@pytest.mark.parametrize(
    "drop", [("--max-area-um2", "120"), ("--min-area-um2", "300"), ("--without-border",), ("--max-area-um2", "1")]
)
def test_objects_that_are_dropped_are_no_background(folder: Path, drop: tuple[str, ...]) -> None:
    sizes = (0.5, 0.5)
    images.write("disks.tif", Image(disks(), axes="YX", voxel_size_um=sizes, unit="photons"))
    assert run("disks.tif", "--diameter-um", "10") == 0
    assert run("disks.tif", "--diameter-um", "10", *drop, "-o", "dropped.html") == 0
    whole, fewer = (quantification.read_table(f"{name}.csv") for name in ("disks_report", "dropped"))
    assert len(fewer) < len(whole)
    background = [table.attrs["provenance"]["background"] for table in (whole, fewer)]
    assert background[0] == background[1]
    merged = whole.merge(fewer, on=["y_um", "x_um"])
    assert len(merged) == len(fewer)
    assert np.array_equal(merged["photons_sum_x"], merged["photons_sum_y"])
    page = Page("dropped.html")
    assert f"Objects were dropped by {drop[0]}; none of them is taken for background." in page.text
    assert ("the border cuts" in page.text) == (drop[0] != "--without-border")
    assert (
        "All objects count, also those that the border cuts, whose sizes and shapes are too small."
        in Page("disks_report.html").text
    )


def test_films_and_images_without_objects(folder: Path) -> None:
    assert run("film.tif", "--diameter-um", "8") == 0
    assert set(quantification.read_table("film_report.csv")["frame"]) == {0, 1}
    assert run("one.tif", "--diameter-um", "8", "--min-area-um2", "1e6", "-o", "none.html") == 0
    assert len(quantification.read_table("none.csv")) == 0
    assert "There is no object." in Page("none.html").text


def test_a_page_without_matplotlib_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import course_lib

    monkeypatch.delattr(course_lib, "plotting", raising=False)
    monkeypatch.setitem(sys.modules, "course_lib.plotting", None)
    assert run("one.tif", "--diameter-um", "8") == 0
    page = Page("one_report.html")
    assert "There are no pictures, because matplotlib is not installed" in page.text
    assert page.sources == []


def test_a_failure_leaves_nothing_and_an_older_report_as_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("one.tif", "--diameter-um", "8") == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full_disk(*_words: object, **_options: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("course_lib.cli.report.write_page", full_disk)
    assert run("one.tif", "--diameter-um", "9", "--overwrite") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert run("one.tif", "--diameter-um", "9", "--overwrite") == 0
    assert (folder / "one_report.html").read_bytes() != before["one_report.html"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nowhere.tif", "--diameter-um", "8"), "there is no file nowhere.tif"),
        (("one.tif",), "how are objects to be found? Give --model, or --diameter-um"),
        (("two.tif", "--diameter-um", "8"), "choose the one with the objects, --segment-channel 0 to 1"),
        (("two.tif", "--diameter-um", "8", "--segment-channel", "2"), "--segment-channel is 2, but two.tif has 2"),
        (("one.tif", "--diameter-um", "8", "--segment-channel", "0"), "one.tif has no channels: leave it out"),
        (("sizeless.tif", "--diameter-um", "8"), "unknown: read the file with --voxel-size-um y,x"),
        (("one.tif", "--diameter-um", "8", "-o", "a.pdf"), "a.pdf must end in .html"),
        (("one.tif", "--diameter-um", "8", "-o", "no/a.html"), "there is no folder no"),
        (("one.tif", "--diameter-um", "8", "-o", "there.html"), "there.csv exists: choose another name"),
        (("one.tif", "--diameter-um", "8", "--minutes", "0"), "--minutes is 0, but must be above 0"),
        (("one.tif", "--diameter-um", "8", "--steps", "0"), "--steps is 0, but must be at least 1"),
        (("one.tif", "--diameter-um", "8", "--max-volume-um3", "3"), "is not for an image: give --max-area-um2"),
        (("one.tif", "--diameter-um", "8", "--read-noise-e", "3"), "--read-noise-e needs --gain-e-per-adu"),
        (("one.tif", "--diameter-um", "8", "--numerical-aperture", "1"), "--emission-wavelength-nm is needed, too"),
        (("one.tif", "--diameter-um", "8", "--seed", "-1", "--method", "gaussian"), "--seed is -1"),
    ],
)
def test_each_mistake_is_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    Path("there.csv").write_text("mine")
    before = names(folder)
    assert run(*words) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("course: ")
    assert says in told
    assert names(folder) == before


def test_help_groups_the_chain_and_names_units(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run("--help")
    told = " ".join(capsys.readouterr().out.split())
    for says in (
        "finding the objects",
        "never what is measured",
        "in µm²",
        "for it, above 0",
        "in µm, at least 0",
    ):
        assert says in told
