from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import images, optics
from course_lib.cli import main, simulate
from course_lib.forward import ImagingSystem
from course_lib.noise import Camera

SMALL = [
    "--shape",
    "8,48,48",
    "--voxel-size-um",
    "0.2,0.08,0.08",
    "--psf-shape",
    "7,21,21",
    "--count",
    "6",
    "--seed",
    "3",
]


def written(folder: Path) -> dict[str, images.Image]:
    return {path.name: images.read(path) for path in sorted(folder.iterdir())}


def assert_nothing_but_a_small_psf_is_told_of(told: str) -> None:
    assert all(line.startswith("course: the PSF ") for line in told.splitlines())


def test_the_whole_chain_from_filaments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "cell.ome.tif"
    assert main(["simulate", "filaments", str(output), *SMALL, "--background-photons", "2"]) == 0
    assert_nothing_but_a_small_psf_is_told_of(capsys.readouterr().err)
    files = written(tmp_path)
    assert list(files) == ["cell.ome.tif", "cell_mean.ome.tif", "cell_truth.ome.tif"]
    assert [image.unit for image in files.values()] == ["adu", "photons", "photons"]
    assert {image.voxel_size_um for image in files.values()} == {(0.2, 0.08, 0.08)}
    recorded, mean, truth = (image.tensor() for image in files.values())

    assert float(mean.max()) == pytest.approx(102, rel=1e-5)
    psf = optics.vectorial_psf(optics.Microscope(), shape=(7, 21, 21), voxel_size_um=(0.2, 0.08, 0.08))
    system = ImagingSystem(psf=psf, camera=Camera(), background_photons=2.0)
    torch.testing.assert_close(mean, system.expected(truth), rtol=1e-4, atol=1e-4)
    expected, variance = Camera().expected(mean)
    z = (recorded - expected) / variance.sqrt()
    assert abs(float(z.mean())) < 4 / z.numel() ** 0.5
    assert float(z.var()) == pytest.approx(1, abs=0.06)


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        assert main(["simulate", "filaments", str(tmp_path / folder / "a.tif"), *SMALL]) == 0
    for one, two in zip(written(tmp_path / "one").values(), written(tmp_path / "two").values(), strict=True):
        assert np.array_equal(one.data, two.data)
    other = ["simulate", "filaments", str(tmp_path / "two" / "a.tif"), *SMALL[:-1], "4"]
    assert main([*other, "--overwrite"]) == 0
    assert not np.array_equal(written(tmp_path / "two")["a.tif"].data, one.data)


def test_nuclei_come_with_labels_and_stay_in_a_plane(tmp_path: Path) -> None:
    output = tmp_path / "a.b.tiff"
    command = ["simulate", "nuclei", str(output), "--shape", "96,96", "--voxel-size-um", "0.08,0.08", "--seed", "0"]
    assert main([*command, "--count", "2", "--diameter-um", "3", "--psf", "airy"]) == 0
    files = written(tmp_path)
    assert list(files) == ["a.b.tiff", "a.b_labels.tiff", "a.b_mean.tiff", "a.b_truth.tiff"]
    assert all(image.axes == "YX" for image in files.values())
    labels, truth = files["a.b_labels.tiff"].data, files["a.b_truth.tiff"].data
    assert labels.max() == 2
    assert truth[labels > 0].sum() > 0.95 * truth.sum()


@pytest.mark.parametrize(
    "sample",
    [
        ["beads", "--shape", "8,48,48", "--voxel-size-um", "0.12,0.04,0.04", "--psf-shape", "7,21,21"],
        ["resolution-target", "--shape", "270,420", "--voxel-size-um", "0.04,0.04", "--psf-shape", "21,21"],
    ],
)
@pytest.mark.parametrize(
    "model",
    [
        ["--psf", "gaussian"],
        ["--psf", "gibson-lanni", "--sample-index", "1.4", "--depth-um", "2"],
        ["--psf", "confocal", "--pinhole-airy-units", "0.6"],
        ["--psf", "two-photon", "--excitation-wavelength-nm", "900"],
    ],
)
def test_every_sample_and_model(
    sample: list[str], model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["simulate", sample[0], str(tmp_path / "a.tif"), *sample[1:], *model, "--seed", "3"]
    assert main([*command, "--peak-photons", "40"]) == 0
    assert_nothing_but_a_small_psf_is_told_of(capsys.readouterr().err)
    files = written(tmp_path)
    assert float(files["a_mean.tif"].data.max()) == pytest.approx(40, rel=1e-5)


def test_a_file_is_blurred_if_asked(tmp_path: Path) -> None:
    point = np.zeros((2, 8, 48, 48), np.float32)
    point[:, 4, 24, 24] = 1000
    source, output = tmp_path / "point.tif", tmp_path / "out.tif"
    images.write(source, images.Image(point, axes="TZYX", voxel_size_um=(0.2, 0.08, 0.08), unit="photons"))
    command = ["simulate", str(source), str(output), "--psf", "gaussian", "--psf-shape", "7,21,21", "--seed", "0"]
    assert main([*command, "--scale", "2"]) == 0
    assert sorted(written(tmp_path)) == ["out.tif", "out_mean.tif", "point.tif"]
    mean = written(tmp_path)["out_mean.tif"]
    assert (mean.axes, mean.unit) == ("TZYX", "photons")
    assert mean.data[:, 4].sum() == pytest.approx(4000, rel=1e-3)  # in focus, one exposure each
    assert np.array_equal(mean.data[0], mean.data[1])
    images.write(source, images.Image(point, axes="TZYX"))
    assert main(command) == 2


@pytest.mark.parametrize("model", ["airy", "gibson-lanni", "vectorial"])
def test_a_widefield_psf_is_as_wide_as_its_light(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    model_psf = simulate.PSFS[model]
    monkeypatch.setitem(simulate.PSFS, model, lambda *a, **k: made.append(model_psf(*a, **k)) or made[0])
    command = ["simulate", "filaments", str(tmp_path / "a.tif"), "--shape", "16,140,140", "--psf", model, "--seed", "0"]
    assert main([*command, "--voxel-size-um", "0.2,0.08,0.08"]) == 0
    assert capsys.readouterr().err == ""
    # 15 planes of 0.2 µm times tan α = 2.42, and 0.75 µm, are 8.01 µm
    assert made[0].shape == (31, 203, 203)
    assert float(ImagingSystem(psf=made[0], camera=None).plane_shares.min()) > 0.98


def test_the_default_psf_of_other_models_and_of_a_plane() -> None:
    microscope, stack = optics.Microscope(), (0.2, 0.08, 0.08)
    shape = simulate._default_psf_shape
    assert shape(microscope, (24, 256, 256), stack, model="confocal") == (47, 129, 129)
    assert shape(microscope, (24, 256, 256), stack, model="vectorial") == (47, 299, 299)
    assert shape(microscope, (24, 100, 256), stack, model="vectorial") == (47, 199, 299)
    assert shape(microscope, (100, 999, 999), (0.2, 0.02, 0.08), model="vectorial") == (65, 511, 407)
    assert shape(microscope, (256, 40), (0.08, 0.08), model="vectorial") == (129, 79)


@pytest.mark.parametrize(
    ("psf_shape", "told"),
    [
        ("9,99,99", ()),
        (
            "9,21,21",
            ("leaves out 31% of the light of its outermost plane, being 21 × 21 pixels wide: give --psf-shape",),
        ),
        ("7,99,99", ("has 7 planes, so that haze from further than 0.6 µm is left out: give --psf-shape up to 9",)),
        ("5,9,9", ("leaves out 32%", "has 5 planes")),
    ],
)
def test_what_a_small_psf_leaves_out_is_told(
    psf_shape: str, told: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["simulate", "filaments", str(tmp_path / "a.tif"), "--shape", "5,64,64", "--seed", "0"]
    assert main([*command, "--voxel-size-um", "0.2,0.08,0.08", "--psf-shape", psf_shape]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(told)
    assert all(part in line for part, line in zip(told, lines, strict=True))


def test_a_coarse_voxel_is_told_of_in_one_line_a_axis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coarse = ["--shape", "8,48,48", "--voxel-size-um", "0.2,0.2,0.08", "--psf", "gaussian"]
    assert main(["simulate", "filaments", str(tmp_path / "a.tif"), *coarse]) == 0
    told = capsys.readouterr().err
    assert told.startswith("course: the voxel is 0.2 µm along y, above the Nyquist limit")
    assert told.splitlines()[1:] == ["course: --voxel-size-um sets the voxels of a sample."]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["filaments", "a.tif", "--scale", "2"], "--scale has no meaning for a sample, here filaments"),
        (["photons.tif", "a.tif", "--count", "2"], "--count has no meaning for a file, here photons.tif"),
        (["photons.tif", "a.tif", "--depth-um", "2"], "--depth-um has no meaning without a blur"),
        (["photons.tif", "a.tif", "--psf-shape", "3,3"], "--psf-shape has no meaning without a blur"),
        (["filaments", "a.tif", "--pinhole-airy-units", "1"], "add --psf confocal"),
        (["filaments", "a.tif", "--psf", "two-photon"], "add --excitation-wavelength-nm 920"),
        (["filaments", "a.tif", "--psf", "confocal", "--excitation-wavelength-nm", "640"], "laser below the emission"),
        (["cells", "a.tif"], "'cells' is neither a sample (filaments, nuclei, beads, resolution-target) nor a file"),
        (["resolution-target", "a.tif", "--shape", "12,96,96"], "give a larger --shape"),
        (["filaments", "a.tif", "--psf", "airy", "--depth-um", "50"], "--depth-um has no meaning for --psf airy"),
        (["beads", "a.tif", "--psf", "gaussian", "--sample-index", "1.4"], "or use --psf vectorial"),
        (["photons.tif", "a.tif", "--psf", "airy", "--coverslip-error-um", "5"], "--coverslip-error-um has no meaning"),
        (["filaments", "a.tif", "--excitation-wavelength-nm", "405"], "no meaning for --psf vectorial, which does not"),
        (["beads", "a.tif", "--psf", "gibson-lanni", "--excitation-wavelength-nm", "405"], "or use --psf confocal"),
        (["filaments", "a.png"], "a.png must end in .tif"),
        (["filaments", "a.tif", "--peak-photons", "-1"], "--peak-photons is -1, but must be at least 0"),
        (["filaments", "a.tif", "--background-photons", "nan"], "--background-photons is nan"),
        (["filaments", "a.tif", "--numerical-aperture", "1.6"], "--numerical-aperture is 1.6, but must be below"),
        (["filaments", "a.tif", "--shape", "0,9,9"], "--shape is 0"),
        (["filaments", "a.tif", "--voxel-size-um", "0.1,0.1"], "--voxel-size-um is (0.1, 0.1), with 2 sizes"),
        (["resolution-target", "a.tif", "--count", "4"], "--count has no meaning for the resolution target"),
        (["filaments", "a.tif", "--shape", "4,9,9", "--psf-shape", "9,9,9"], "from 1,1,1 to 7,17,17, which reaches"),
        (
            ["filaments", "a.tif", "--shape", "4,9,9", "--psf-shape", "9,9"],
            "--psf-shape is 9,9, but must be from 1,1,1",
        ),
        (["filaments", "a.tif", "--exposure-ms", "-1"], "--exposure-ms is -1 ms, but must be at least 0 ms"),
        (["filaments", "a.tif", "--psf", "confocal", "--pinhole-airy-units", "-1"], "--pinhole-airy-units is -1 AU"),
    ],
)
def test_errors_are_one_line_and_leave_nothing_behind(
    command: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *command]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("flag", "text"), [("--shape", "24x256"), ("--voxel-size-um", "a,b")])
def test_lists_that_are_none(flag: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["simulate", "filaments", "a.tif", flag, text])
    assert f"argument {flag}: '{text}' must be" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["", "_mean", "_truth"])
def test_what_exists_is_replaced_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    (tmp_path / f"a{kind}.tif").write_bytes(b"precious")
    command = ["simulate", "filaments", str(tmp_path / "a.tif"), *SMALL]
    assert main(command) == 2
    assert "exists: choose another name, or add --overwrite" in capsys.readouterr().err
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]
    assert main([*command, "--overwrite"]) == 0
