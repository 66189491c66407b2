import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from course_lib import datasets, images
from course_lib.cli import main
from course_lib.noise import Camera


@pytest.fixture
def photons(tmp_path: Path) -> Path:
    t = np.linspace(0, 12, 128)
    scene = 20 + 200 * (1 + np.sin(t)[:, None] * np.cos(t))
    path = tmp_path / "photons.ome.tif"
    stack = np.broadcast_to(scene, (6, 128, 128)).astype(np.float32)
    images.write(path, images.Image(stack, axes="TYX", voxel_size_um=(0.1, 0.1), unit="photons"))
    return path


def test_simulate_then_inspect_finds_the_camera_again(
    photons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "recorded.ome.tif"
    command = ["simulate", str(photons), str(output), "--gain-e-per-adu", "2", "--read-noise-e", "5", "--seed", "0"]
    assert main(command) == 0
    recorded = images.read(output)
    assert (recorded.axes, recorded.voxel_size_um, recorded.unit) == ("TYX", (0.1, 0.1), "adu")
    assert recorded.data.dtype == np.uint16
    expected = Camera(gain_e_per_adu=2.0, read_noise_e=5.0).capture(images.read(photons).tensor(), rng=0)
    assert bool((recorded.tensor() == expected).all())
    capsys.readouterr()
    assert main(["inspect", str(output), "--offset-adu", "100"]) == 0
    told = capsys.readouterr().out
    assert "Image(T 6 × Y 128 × X 128, uint16, voxel 0.1 × 0.1 µm, adu)" in told
    gain = float(told.split("gain ")[1].split(" ±")[0])
    assert gain == pytest.approx(2.0, rel=0.05)
    assert "white noise: ρ" in told
    assert "at the offset given (from 6 frames)" in told


def test_inspect_real_files_and_several_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(datasets.path(name)) for name in ("hazelnut", "telomeres", "terra_nuclei")]
    assert main(["inspect", *paths]) == 0
    told = capsys.readouterr().out
    assert told.count("structured noise: ρ") == 2
    assert told.count("white noise: ρ") == 1
    assert "gain: unknown, one image does not tell it where neighbours share noise" in told


def test_inspect_tells_what_it_cannot_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "flat.tif"
    images.write(path, images.Image(np.full((2, 80, 80), 7, np.uint8), axes="CYX"))
    assert main(["inspect", str(path)]) == 0
    told = capsys.readouterr().out
    assert "channel 1: gain: unknown, a line needs at least 2 different signal levels" in told
    assert "channel 0: structure of the noise: unknown" in told
    assert "STOP: constant (channel 1): All pixels are 7" in told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--read-noise-e", "-1"], "course: --read-noise-e is -1 e⁻, but must be at least 0 e⁻"),
        (["--seed", "-4"], "course: --seed is -4, but a seed must be at least 0"),
        (["--scale", "-1"], "course: --scale is -1, but must be at least 0"),
    ],
)
def test_errors_are_one_line_and_leave_nothing_behind(
    photons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: list[str], message: str
) -> None:
    output = tmp_path / "out.ome.tif"
    assert main(["simulate", str(photons), str(output), *changes]) == 2
    told = capsys.readouterr().err
    assert told.startswith(message)
    assert told.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photons.ome.tif"]


def test_ctrl_c_is_one_line(
    photons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_words: object, **_settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Camera, "capture", stopped)
    assert main(["simulate", str(photons), str(tmp_path / "out.tif")]) == 130
    assert capsys.readouterr().err == "course: interrupted.\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photons.ome.tif"]


def test_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "none.tif")]) == 2
    assert "none.tif" in capsys.readouterr().err


def test_help_lists_the_cameras_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    told = capsys.readouterr().out
    for flag in ("--quantum-efficiency", "--em-gain", "--bit-depth", "--row-noise-adu"):
        assert flag in told


def test_one_missing_file_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "none.tif"), str(datasets.path("terra_nuclei"))]) == 2
    told = capsys.readouterr()
    assert "structured noise" in told.out
    assert "none.tif" in told.err


def test_a_console_without_greek_letters_still_gets_its_answer() -> None:
    program = "import sys; from course_lib.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "inspect", str(datasets.path("terra_nuclei"))],
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=True,
    )
    assert b"structured noise: ? = +0.50 down" in done.stdout
