from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from course_lib import images, optics
from course_lib.cli import main

VOXEL = (0.2, 0.08, 0.08)
SHAPE = (31, 96, 96)
BEADS = ((15, 22, 24), (14, 70, 26), (16, 26, 71), (15, 69, 68), (15, 4, 48))
"""The last is too close to the border."""
WHOLE = (25, 41, 41)


def make_stack() -> images.Image:
    """A camera's image of beads without extent, background 100."""
    psf = optics.vectorial_psf(optics.Microscope(), shape=WHOLE, voxel_size_um=VOXEL, points_per_pixel=3)
    mean = torch.full([n + 2 * (c // 2) for n, c in zip(SHAPE, WHOLE, strict=True)], 100.0)
    for corner in BEADS:
        mean[tuple(slice(c, c + side) for c, side in zip(corner, WHOLE, strict=True))] += 1e6 * psf
    inside = tuple(slice(c // 2, c // 2 + n) for n, c in zip(SHAPE, WHOLE, strict=True))
    counts = torch.poisson(mean[inside], generator=torch.Generator().manual_seed(0))
    return images.Image(counts.numpy().astype(np.uint16), axes="ZYX", voxel_size_um=VOXEL, unit="adu")


STACK = make_stack()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def columns(told: str) -> dict[str, list[float]]:
    """The numbers of the table: of the beads, bead taken off, theory, ratio."""
    rows = [line.split() for line in told.splitlines() if line.split()[0] in ("z", "y", "x")]
    return {row[0]: [float(text) for text in row[1:]] for row in rows}


def test_psf_of_a_perfect_microscope(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images.write("beads.tif", STACK)
    command = ["psf", "beads.tif", "psf.ome.tif", "--background", "100", "--shape", "11,23,23"]
    assert main(command) == 0
    told = capsys.readouterr()
    assert told.err == ""
    psf = images.read("psf.ome.tif")
    assert (psf.axes, psf.voxel_size_um, psf.data.dtype, psf.data.shape) == ("ZYX", VOXEL, np.float32, (11, 23, 23))
    assert psf.data.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    truth = optics.vectorial_psf(optics.Microscope(), shape=(11, 23, 23), voxel_size_um=VOXEL, points_per_pixel=3)
    assert float((psf.tensor() - truth).norm() / truth.norm()) < 0.05
    assert "4 beads used; left out: 1 close to the border" in told.out
    assert "background 100 a voxel" in told.out
    assert "theory: vectorial, NA 1.4, 525 nm, index 1.515 before and 1.515 behind the coverslip" in told.out
    widths = optics.fwhm_um(truth, voxel_size_um=VOXEL)
    for (bead, point, theory, ratio), width in zip(columns(told.out).values(), widths, strict=True):
        assert theory == pytest.approx(width, abs=6e-4)
        assert bead == point
        assert ratio == pytest.approx(1, abs=0.03)
        assert ratio == pytest.approx(point / theory, abs=0.01)
    assert sorted(path.name for path in folder.iterdir()) == ["beads.tif", "psf.ome.tif"]


def test_bead_and_microscope_enter_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    images.write("beads.tif", STACK)
    command = ["psf", "beads.tif", "psf.tif", "--shape", "11,23,23", "--bead-diameter-um", "0.17"]
    assert main([*command, "--numerical-aperture", "1.2", "--depth-um", "1"]) == 0
    told = capsys.readouterr().out
    assert "NA 1.2, 525 nm, index 1.515 before and 1.515 behind the coverslip, 1 µm deep" in told
    for bead, point, _, ratio in columns(told).values():
        assert point == pytest.approx(optics.point_fwhm_um(bead, bead_diameter_um=0.17), abs=2e-3)
        assert ratio < 0.9  # the theory of a lower aperture is wider


def test_default_shape_is_that_of_the_microscope_and_odd(capsys: pytest.CaptureFixture[str]) -> None:
    images.write("beads.tif", STACK)
    assert main(["psf", "beads.tif", "psf.tif", "--background", "100"]) == 0
    # 4 × 0.2797 µm are 5.6 planes of 0.2 µm, 10 × 0.0938 µm are 11.7 pixels of 0.08 µm
    assert images.read("psf.tif").data.shape == (11, 23, 23)


def test_a_plain_file_and_one_with_channels_are_read_as_the_flags_say() -> None:
    tifffile.imwrite("plain.tif", STACK.data)
    sizes = ["--voxel-size-um", "0.2,0.08,0.08"]
    assert main(["psf", "plain.tif", "one.tif", "--axes", "ZYX", *sizes]) == 0
    other = np.random.default_rng(0).poisson(100, SHAPE).astype(np.uint16)
    both = np.stack([other, STACK.data])
    images.write("two.tif", replace(STACK, data=both, axes="CZYX"))
    assert main(["psf", "two.tif", "other.tif", "--channel", "1"]) == 0
    assert np.array_equal(images.read("one.tif").data, images.read("other.tif").data)


def test_saturated_beads_are_left_out_as_told(capsys: pytest.CaptureFixture[str]) -> None:
    brighter = STACK.data.copy()
    brighter[:, :48, :48] *= 2
    images.write("beads.tif", replace(STACK, data=brighter))
    command = ["psf", "beads.tif", "psf.tif", "--shape", "11,23,23", "--saturation"]
    assert main([*command, str(1.5 * float(STACK.data.max()))]) == 0
    assert "3 beads used; left out: 1 close to the border, 1 saturated" in capsys.readouterr().out


def test_a_background_that_leaves_a_haze_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    images.write("beads.tif", STACK)
    assert main(["psf", "beads.tif", "psf.tif", "--background", "20"]) == 0
    told = capsys.readouterr().err
    assert "the background of 20 is below the median of the stack, 10" in told
    assert told.count("\n") == 1


def test_voxels_above_nyquist_are_told_of_in_one_line_an_axis(capsys: pytest.CaptureFixture[str]) -> None:
    images.write("beads.tif", STACK)
    command = ["psf", "beads.tif", "psf.tif", "--shape", "11,23,23", "--emission-wavelength-nm", "440"]
    assert main(command) == 0
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in told] == [
        f"the voxel is 0.08 µm along {axis}, above the Nyquist limit of 0.0786 µm of this microscope" for axis in "yx"
    ]


EMPTY = replace(STACK, data=np.random.default_rng(0).poisson(100, SHAPE).astype(np.uint16))
FILES = {
    "beads.tif": STACK,
    "empty.tif": EMPTY,
    "plane.tif": STACK.at("Z", 15),
    "one.tif": replace(STACK, data=STACK.data[15:16]),
    "unknown.tif": replace(STACK, voxel_size_um=None),
    "times.tif": images.Image(STACK.data, axes="TYX", voxel_size_um=(0.08, 0.08)),
    "colours.tif": replace(STACK, data=np.stack([STACK.data, EMPTY.data]), axes="CZYX"),
    "nan.tif": replace(STACK, data=np.where(STACK.data > 5000, np.nan, STACK.data).astype(np.float32)),
}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["empty.tif"], "empty.tif, with --shape 11,23,23: no bead found: the brightest place"),
        (["plane.tif"], "plane.tif has 1 plane, but a PSF needs 5 or more: take a stack through the beads"),
        (["one.tif"], "one.tif has 1 plane, but a PSF needs 5 or more"),
        (["unknown.tif"], "unknown.tif does not say how large its voxels are: add --voxel-size-um Z,Y,X, in µm"),
        (["times.tif"], "times.tif is a series in time, axes TYX: save one stack of it"),
        (["colours.tif"], "colours.tif has 2 channels: choose one with --channel 0 to 1"),
        (["colours.tif", "--channel", "2"], "colours.tif has 2 channels: choose one with --channel 0 to 1"),
        (["beads.tif", "--channel", "0"], "--channel has no meaning for beads.tif, which has no channels"),
        (["nan.tif"], "values that are NaN"),
        (["plain.tif"], "for each (T is time, Z depth), for example --axes ZYX."),
        (["plain.tif", "--axes", "YX"], "--axes YX name 2 dimensions, but plain.tif has the shape (31, 96, 96)"),
        (["none.tif"], "there is no file none.tif"),
        (["text.tif"], "text.tif is not a TIFF file"),
        (["beads.tif", "--shape", "33,23,23"], "with --shape 33,23,23: shape is (33, 23, 23), larger than the image"),
        (["beads.tif", "--shape", "3,23,23"], "each of 5 voxels or more"),
        (["beads.tif", "--shape", "31,95,95"], "none of the 5 beads found can be used"),
        (["beads.tif", "--saturation", "200"], "saturated: expose for a shorter time"),
        (["beads.tif", "--bead-diameter-um", "3"], "less than a bead of 3 µm has on its own"),
        (["beads.tif", "--bead-diameter-um", "-1"], "--bead-diameter-um is -1 µm"),
        (["beads.tif", "--numerical-aperture", "1.6"], "--numerical-aperture is 1.6, but must be below"),
        (["beads.tif", "--excitation-wavelength-nm", "405"], "--excitation-wavelength-nm has no meaning here"),
    ],
)
def test_errors_are_one_line_and_leave_nothing_behind(
    command: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder / command[0]
    if source.name in FILES:
        images.write(source, FILES[source.name])
    elif source.name == "plain.tif":
        tifffile.imwrite(source, STACK.data)
    elif source.name == "text.tif":
        source.write_text("beads")
    before = list(folder.iterdir())
    assert main(["psf", command[0], "psf.tif", *command[1:]]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert list(folder.iterdir()) == before


def test_names_of_the_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images.write("beads.tif", STACK)
    assert main(["psf", "beads.tif", "psf.png"]) == 2
    assert "psf.png must end in .tif" in capsys.readouterr().err
    Path("psf.tif").write_bytes(b"precious")
    assert main(["psf", "beads.tif", "psf.tif"]) == 2
    assert "psf.tif exists: choose another name, or add --overwrite" in capsys.readouterr().err
    assert Path("psf.tif").read_bytes() == b"precious"
    assert main(["psf", "beads.tif", "psf.tif", "--overwrite"]) == 0
    assert images.read("psf.tif").data.dtype == np.float32
    assert main(["psf", "beads.tif", "beads.tif", "--overwrite"]) == 2
    assert "beads.tif is the stack of beads itself" in capsys.readouterr().err
    assert np.array_equal(images.read("beads.tif").data, STACK.data)
    assert main(["psf", "beads.tif", "nowhere/psf.tif"]) == 2
    assert "could not be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "text", "message"),
    [
        ("--shape", "25x31x31", "'25x31x31' must be three whole numbers"),
        ("--shape", "25,31", "'25,31' must be three whole numbers"),
        ("--voxel-size-um", "0.1,0.1", "'0.1,0.1' must be three numbers"),
        ("--voxel-size-um", "0.2,0,0.1", "'0.2,0,0.1' must be sizes above 0 µm"),
        ("--voxel-size-um", "0.2,nan,0.1", "'0.2,nan,0.1' must be sizes above 0 µm"),
    ],
)
def test_lists_that_are_none(flag: str, text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["psf", "beads.tif", "psf.tif", flag, text])
    assert stopped.value.code == 2
    assert f"argument {flag}: {message}" in capsys.readouterr().err
