"""The wheel builds without a network, carries the data, and finds them where it is installed."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_it_carries_the_registry_every_image_and_every_model(wheel: Path, root: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    assert "course_lib/data/registry.toml" in carried
    for pattern in ("images/*.tif", "models/*.model"):
        files = {path.relative_to(root / "data").as_posix() for path in (root / "data").glob(pattern)}
        assert files
        assert {f"course_lib/data/{file}" for file in files} <= carried


def test_it_carries_the_front_end_of_the_live_figures(wheel: Path, root: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    front = {path.relative_to(root).as_posix() for path in (root / "course_lib/live/front").glob("*.*")}
    assert front
    assert front <= carried


def test_installed_elsewhere_it_loads_its_images(wheel: Path, tmp_path: Path) -> None:
    install = ["install", "--no-deps", "--no-index", "--no-compile", "--quiet", "--target", str(tmp_path), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import course_lib; from course_lib import datasets;"
        "assert course_lib.__file__.startswith(sys.argv[1]), course_lib.__file__;"
        "print(datasets.load('hazelnut').data.shape)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["(5,", "256,", "256)"]
