import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr

from course_lib import images, optics
from course_lib.cli import main
from course_lib.deconvolution import accelerated_richardson_lucy, richardson_lucy
from course_lib.images.target import TiffTarget

VOXEL = (0.3, 0.1, 0.1)
SHAPE = (8, 40, 40)
MICROSCOPE = ["--model", "gaussian", "--numerical-aperture", "1.2", "--emission-wavelength-nm", "525"]
SHORT = ["--psf-shape", "5,9,9", "--background", "2", "--iterations", "4", "--device", "cpu"]
PSF = optics.gaussian_psf(
    optics.Microscope(numerical_aperture=1.2), shape=(5, 9, 9), voxel_size_um=VOXEL, points_per_pixel=3
)


def make_photons() -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    specimen = (torch.rand(SHAPE, generator=draw) > 0.997).float() * 5e3
    return torch.poisson(optics.Convolution(PSF, SHAPE)(specimen).clamp(min=0) + 2, generator=draw)


PHOTONS = make_photons()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    images.write("stack.ome.tif", images.Image(PHOTONS.numpy(), axes="ZYX", voxel_size_um=VOXEL, unit="photons"))
    return tmp_path


def run(*words: str) -> int:
    return main(["deconvolve", *words])


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must be refused without leaving a file, and return the one line that tells why."""
    before = set(Path().iterdir())
    status = run(*words)
    out, err = capsys.readouterr()
    if (status, out, len(err.splitlines()), set(Path().iterdir())) != (2, "", 1, before):
        pytest.fail(f"status {status}, out {out!r}, err {err!r}, files {sorted(set(Path().iterdir()) - before)}")
    return err


def test_a_computed_psf(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("stack.ome.tif", *MICROSCOPE, *SHORT) == 0
    told = capsys.readouterr()
    assert told.err == ""
    restored = images.read("stack_deconvolved.ome.tif")
    assert (restored.axes, restored.voxel_size_um, restored.unit) == ("ZYX", VOXEL, "photons")
    expected = accelerated_richardson_lucy(PHOTONS, PSF, iterations=4, background=2.0)
    torch.testing.assert_close(restored.tensor(), expected, rtol=1e-4, atol=1e-3)
    lines = [line.strip() for line in told.out.splitlines()]
    assert lines[0] == f"stack_deconvolved.ome.tif: {restored}"
    assert lines[1].startswith("device: CPU, ")
    assert lines[2].startswith(
        "PSF: gaussian, numerical aperture 1.2, emission wavelength nm 525, 5 × 9 × 9 voxels, FWHM"
    )
    assert lines[3].startswith(
        f"photons: {float(PHOTONS.sum()):.4g}, {float(PHOTONS.max()):.4g} in the brightest voxel"
    )
    assert re.search(r"; background 2 a voxel, \d+% of the photons$", lines[3])
    assert lines[4] == "method: accelerated-richardson-lucy, 4 iterations, boundary linear"
    assert lines[5] == "tiles: 1 of up to 8 × 40 × 40 voxels, margin 4 × 8 × 8"
    assert re.fullmatch(
        r"residual: variance [\d.]+ of the photon noise's, correlation with the next voxel -?[\d.e-]+ .*", lines[6]
    )


def test_a_measured_psf_gives_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    images.write("psf.tif", images.Image(1000 * PSF.numpy(), axes="ZYX", voxel_size_um=VOXEL))
    assert run("stack.ome.tif", "-o", "a.tif", "--psf", "psf.tif", "--background", "2", "--iterations", "4") == 0
    assert "PSF: measured, psf.tif, 5 × 9 × 9 voxels, FWHM z" in capsys.readouterr().out
    expected = accelerated_richardson_lucy(PHOTONS, PSF, iterations=4, background=2.0)
    torch.testing.assert_close(images.read("a.tif").tensor(), expected, rtol=1e-4, atol=1e-3)


def test_iterations_and_background_choose_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("stack.ome.tif", *MICROSCOPE, "--psf-shape", "5,9,9") == 0
    told = capsys.readouterr()
    found = re.search(r"(\d+) iterations, chosen by photons held out", told.out)
    assert found
    assert 2 <= int(found[1]) <= 120
    background = re.search(r"background ([\d.]+) a voxel, (\d+)% of the photons, from the darkest places", told.out)
    assert background
    assert float(background[1]) == pytest.approx(2, abs=0.4)
    share = float(background[1]) * PHOTONS.numel() / float(PHOTONS.sum())
    assert int(background[2]) == round(100 * share)
    told_of = "choosing the number of iterations on 8 × 40 × 40 voxels about the brightest place"
    assert told_of in told.err.splitlines()[0]
    variance = re.search(r"residual: variance ([\d.]+) ", told.out)
    assert variance
    assert float(variance[1]) == pytest.approx(1, abs=0.3)


def test_the_camera_and_tiles_and_zarr(capsys: pytest.CaptureFixture[str]) -> None:
    adu = (PHOTONS / 0.5 + 100).numpy().astype(np.uint16)
    tifffile.imwrite("adu.tif", adu, photometric="minisblack")
    words = ["adu.tif", "-o", "a.zarr", "--axes", "ZYX", "--voxel-size-um", "0.3,0.1,0.1", *MICROSCOPE, *SHORT]
    camera = ["--gain-e-per-adu", "0.5", "--offset-adu", "100", "--read-noise-e", "1.5"]
    assert run(*words, *camera, "--method", "richardson-lucy", "--memory-gib", "0.0025", "--halo", "5,12,12") == 0
    assert "tiles: 1 of" not in capsys.readouterr().out
    expected = richardson_lucy(PHOTONS + 2.25, PSF, iterations=4, background=4.25)
    restored = torch.from_numpy(zarr.open_group("a.zarr", mode="r")["0"][...])
    assert float((restored - expected).abs().max() / expected.max()) < 5e-3


@pytest.mark.parametrize(
    "method",
    [
        ["richardson-lucy", "--iterations", "2"],
        ["total-variation", "--iterations", "2", "--regularization", "0.01"],
        ["landweber", "--iterations", "2"],
        ["jansson-van-cittert", "--iterations", "2"],
        ["tikhonov-miller", "--iterations", "2"],
        ["wiener", "--regularization", "0.01"],
        ["tikhonov"],
    ],
)
def test_every_method(capsys: pytest.CaptureFixture[str], method: list[str]) -> None:
    words = ["--psf-shape", "5,9,9", "--background", "2", "--method", *method]
    assert run("stack.ome.tif", *MICROSCOPE, *words) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert f"method: {method[0]}" in told.out
    assert ("residual:" in told.out) == (method[0] not in ("wiener", "tikhonov"))
    assert np.isfinite(images.read("stack_deconvolved.ome.tif").data).all()


def test_a_movie_of_one_channel(capsys: pytest.CaptureFixture[str]) -> None:
    data = np.stack([PHOTONS.numpy()] * 2)[:, None].repeat(2, axis=1)
    images.write("movie.tif", images.Image(data, axes="TCZYX", voxel_size_um=VOXEL, unit="photons"))
    assert run("movie.tif", "-o", "a.tif", "--channel", "1", *MICROSCOPE, *SHORT) == 0
    assert "T 2 × Z 8 × Y 40 × X 40" in capsys.readouterr().out
    told = refusal(capsys, "movie.tif", *MICROSCOPE)
    assert re.search("has 2 channels, .*choose one, --channel 0 to 1", told)


def test_a_plane_gets_a_flat_psf(capsys: pytest.CaptureFixture[str]) -> None:
    images.write("plane.tif", images.Image(PHOTONS[4].numpy(), axes="YX", voxel_size_um=VOXEL[1:], unit="photons"))
    assert run("plane.tif", *MICROSCOPE, "--psf-shape", "9,9", "--background", "2", "--iterations", "3") == 0
    assert "9 × 9 voxels, FWHM y" in capsys.readouterr().out


def test_the_psf_reaches_as_far_as_light_does(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--numerical-aperture", "0.8", "--emission-wavelength-nm", "525", "--immersion-index", "1"]
    assert run("stack.ome.tif", "--model", "airy", *words, "--sample-index", "1", "--iterations", "1") == 2
    assert "--sample-index has no meaning for --model airy" in capsys.readouterr().err
    assert run("stack.ome.tif", "--model", "airy", *words, "--iterations", "1") == 0
    told = capsys.readouterr()
    assert "PSF: airy, numerical aperture 0.8, emission wavelength nm 525, immersion index 1, 15 × 79 × 79" in told.out
    assert "tiles: 1 of up to 8 × 40 × 40" in told.out


def test_coarse_voxels_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--voxel-size-um", "0.3,0.2,0.2", *MICROSCOPE, *SHORT]
    assert run("stack.ome.tif", *words) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "the voxels of 0.3 × 0.2 × 0.2 µm are above the Nyquist limit" in line


def with_psf(values: torch.Tensor, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Restore with a measured PSF, and return the warnings."""
    images.write("psf.tif", images.Image(values.numpy(), axes="ZYX", voxel_size_um=VOXEL))
    assert run("stack.ome.tif", "--psf", "psf.tif", "--background", "2", "--iterations", "1", "--overwrite") == 0
    return capsys.readouterr().err.splitlines()


def test_a_psf_that_is_off_its_centre_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert with_psf(PSF, capsys) == []
    (line,) = with_psf(PSF.roll(3, dims=-1), capsys)
    assert "the maximum of psf.tif is 0, 0, 3 voxels off its centre" in line
    assert "the restored stack is shifted by as much, the other way" in line
    (line,) = with_psf(PSF.roll(-1, dims=0), capsys)
    assert "the maximum of psf.tif is -1, 0, 0 voxels off its centre" in line
    comet = PSF.clone()
    comet[:, 6:] += 0.2 * PSF.max()
    (line,) = with_psf(comet, capsys)
    assert re.search(r"the centre of mass of psf.tif is 0, 1\.\d, 0 voxels off its centre", line)


def test_a_shifted_psf_shifts_the_result_as_told(capsys: pytest.CaptureFixture[str]) -> None:
    with_psf(PSF, capsys)
    before = images.read("stack_deconvolved.ome.tif").tensor()
    with_psf(PSF.roll(1, dims=-1), capsys)
    after = images.read("stack_deconvolved.ome.tif").tensor()
    inner = slice(8, -8)
    shifted = before[:, inner, inner].roll(-1, dims=-1)[..., 1:-1]
    correlation = np.corrcoef(after[:, inner, inner][..., 1:-1].flatten(), shifted.flatten())[0, 1]
    assert correlation > 0.98


def test_a_pedestal_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = with_psf(PSF + 0.5 / PSF.numel(), capsys)
    assert re.search(r"3\d% of the sum of psf.tif is a pedestal, .* Subtract it, or measure", line)


@pytest.mark.parametrize(
    ("make", "aperture", "shape"),
    [
        (optics.vectorial_psf, 1.2, (11, 23, 23)),
        (optics.vectorial_psf, 1.2, (31, 65, 65)),
        (optics.confocal_psf, 0.55, (31, 41, 41)),
    ],
)
def test_no_pedestal_is_found_where_there_is_none(
    capsys: pytest.CaptureFixture[str],
    make: Callable[..., torch.Tensor],
    aperture: float,
    shape: tuple[int, ...],
) -> None:
    psf = make(optics.Microscope(numerical_aperture=aperture), shape=shape, voxel_size_um=VOXEL)
    assert with_psf(psf, capsys) == []


def test_a_psf_shape_that_is_too_small_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["stack.ome.tif", *MICROSCOPE, "--background", "2", "--iterations", "1"]
    assert run(*words, "--psf-shape", "3,5,5") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"--psf-shape 3,5,5 leaves out (\d+)% of the light of a PSF of 15 × \d+ × \d+ voxels", line)
    whole = optics.gaussian_psf(
        optics.Microscope(numerical_aperture=1.2), shape=(15, 31, 31), voxel_size_um=VOXEL, points_per_pixel=3
    )
    left_out = 1 - float(whole[6:9, 13:18, 13:18].sum())
    assert f"leaves out {left_out:.0%} of" in line


def test_a_large_automatic_background_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    hazy = torch.poisson(PHOTONS + 20, generator=torch.Generator().manual_seed(1))
    images.write("hazy.tif", images.Image(hazy.numpy(), axes="ZYX", voxel_size_um=VOXEL, unit="photons"))
    assert run("hazy.tif", *MICROSCOPE, "--psf-shape", "5,9,9", "--iterations", "1") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"the background that was found, 2[\d.]+ a voxel, is \d\d% of all photons: .*--background", line)


def test_warnings_come_before_the_work(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sees one can stop in time; and Ctrl-C then says that nothing is kept."""

    def stopped(*_words: object, **_settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("course_lib.deconvolution.automatic_stop", stopped)
    with pytest.raises(SystemExit) as ended:
        run("stack.ome.tif", "--voxel-size-um", "0.3,0.2,0.2", *MICROSCOPE, "--background", "2")
    assert ended.value.code == 130
    coarse, choosing, kept = capsys.readouterr().err.splitlines()
    assert "above the Nyquist limit" in coarse
    assert "choosing the number of iterations" in choosing
    assert kept == "course: interrupted before the first tile: nothing was written."
    assert {path.name for path in Path().iterdir()} == {"stack.ome.tif"}


def test_an_existing_output_is_kept_unless_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["stack.ome.tif", "-o", "a.tif", *MICROSCOPE, *SHORT]
    Path("a.tif").write_text("mine")
    assert "a.tif exists: choose another name, or add --overwrite to replace it" in refusal(capsys, *words)
    assert run(*words, "--overwrite") == 0
    capsys.readouterr()
    assert "is the image itself" in refusal(capsys, *words[:2], "stack.ome.tif", *words[3:], "--overwrite")


def test_an_interrupted_run_goes_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["stack.ome.tif", *MICROSCOPE, *SHORT, "--memory-gib", "0.002"]
    write, calls = TiffTarget.write, []

    def interrupted(self: TiffTarget, place: tuple[int | slice, ...], values: torch.Tensor) -> None:
        calls.append(place)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(self, place, values)

    with monkeypatch.context() as patched:
        patched.setattr(TiffTarget, "write", interrupted)
        with pytest.raises(SystemExit) as ended:
            run(*words)
    assert ended.value.code == 130
    told = capsys.readouterr().err
    assert re.search(r"interrupted\. \d+% of the stack is finished and kept in stack_deconvolved.ome.tif.partial", told)
    assert "give the same command to go on" in told
    assert not Path("stack_deconvolved.ome.tif").exists()
    told = refusal(capsys, *words, "--iterations", "5")
    assert re.search("other settings: method was .* add --overwrite to start anew", told)
    assert run(*words) == 0
    assert ", of a run that was interrupted" in capsys.readouterr().out


STACK = "stack.ome.tif"
CONFOCAL = ["--model", "confocal", "--numerical-aperture", "1.2", "--emission-wavelength-nm", "525"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([STACK], "say which PSF blurred the stack: either --psf FILE, measured, or --model vectorial"),
        ([STACK, "--psf", "a.tif", *MICROSCOPE], "either --psf FILE"),
        ([STACK, *MICROSCOPE[:4]], "--model gaussian needs --emission-wavelength-nm: .* stands on"),
        ([STACK, "--psf", "a.tif", "--depth-um", "3"], "--depth-um has no meaning for --psf, which was measured"),
        ([STACK, *MICROSCOPE, "--depth-um", "3"], "--depth-um has no meaning for --model gaussian"),
        ([STACK, *MICROSCOPE, "--pinhole-airy-units", "1"], "no meaning without a pinhole: add --model confocal"),
        ([STACK, "--psf", "a.tif", "--psf-shape", "3,3,3"], "--psf-shape has no meaning for --psf"),
        ([STACK, "--psf", "a.tif"], "there is no file a.tif"),
        (["nothing.tif", *MICROSCOPE], "there is no file nothing.tif"),
        ([STACK, *MICROSCOPE, "--numerical-aperture", "1.7"], "--numerical-aperture is 1.7, but must be below"),
        ([STACK, *MICROSCOPE, "--photons", "--gain-e-per-adu", "1", "--offset-adu", "0"], "exclude each other"),
        ([STACK, *MICROSCOPE, "--gain-e-per-adu", "1"], "--gain-e-per-adu needs --offset-adu"),
        ([STACK, *MICROSCOPE, "--offset-adu", "1"], "--offset-adu needs --gain-e-per-adu"),
        ([STACK, *MICROSCOPE, "--gain-e-per-adu", "1", "--offset-adu", "0"], "says that its values are photons"),
        ([STACK, *MICROSCOPE, "--regularization", "1"], "--regularization has no meaning for --method accelerated"),
        ([STACK, *MICROSCOPE, "--method", "landweber", "--iterations", "auto"], "--iterations auto has no meaning"),
        ([STACK, *MICROSCOPE, "--method", "wiener", "--iterations", "3"], "--iterations has no meaning"),
        ([STACK, *MICROSCOPE, "--iterations", "0"], "--iterations is 0, but must be at least 1"),
        ([STACK, *MICROSCOPE, *SHORT, "--background", "-1"], "--background is -1, but must be at least 0"),
        ([STACK, *MICROSCOPE, *SHORT, "--device", "cuda:7"], "--device 'cuda:7' is not on this machine"),
        ([STACK, *MICROSCOPE, *SHORT, "--channel", "0"], "has no channels"),
        (["nothing.tif", *MICROSCOPE, "--iterations", "0"], "--iterations is 0"),
        (["nothing.tif", *MICROSCOPE, "-o", "a.png"], "a.png must end in"),
        (["nothing.tif", *MICROSCOPE, "--background", "nan"], "--background is nan"),
        ([STACK, *MICROSCOPE, "--memory-gib", "0"], "--memory-gib is 0 GiB, but must be at least"),
        ([STACK, *MICROSCOPE, "--halo", "1,2"], r"--halo is \(1, 2\), but must be at least"),
        ([STACK, *MICROSCOPE, *SHORT, "--halo", "1,1,1"], r"--halo is \(1, 1, 1\), but must be at least \(2, 4, 4\)"),
        ([STACK, *MICROSCOPE, "--halo", "4,-1,4"], "--halo is 4,-1,4, but must be Z,Y,X"),
        ([STACK, *MICROSCOPE, "--psf-shape", "9"], "--psf-shape is 9, but must be Z,Y,X"),
        ([STACK, *MICROSCOPE, "--psf-shape", "9,9"], "--psf-shape is 9,9, but .* has the axes ZYX: give 3 numbers"),
        ([STACK, *MICROSCOPE, "--channel", "-1"], "--channel is -1, but must be at least 0"),
        ([STACK, *MICROSCOPE, "--method", "tikhonov", "--regularization", "-1"], "--regularization is -1"),
        ([STACK, *CONFOCAL, "--pinhole-airy-units", "-1"], "--pinhole-airy-units is -1"),
        ([STACK, *CONFOCAL, "--excitation-wavelength-nm", "600"], "confocal needs a laser below the emission"),
        ([STACK, *MICROSCOPE, *SHORT, "-o", "a.png"], "a.png must end in .tif, .tiff or .zarr"),
        ([STACK, *MICROSCOPE, *SHORT, "-o", "no/a.tif"], "there is no folder no"),
        (
            [STACK, *MICROSCOPE, *SHORT, "--memory-gib", "1e-6"],
            "--memory-gib is 1e-06 GiB, but with margins of Z 4 × Y 8 × X 8 .*Cropping the PSF",
        ),
        ([STACK, *MICROSCOPE, *SHORT, "--boundary", "circular", "--memory-gib", "0.002"], "use --boundary linear, or"),
    ],
)
def test_bad_commands(capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    assert re.search(told, refusal(capsys, *words))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda values: values.__setitem__((1, 2, 3), np.nan), r"1 NaN or infinite values in plane \(1,\)"),
        (lambda values: values.__isub__(3), "negative values, the lowest -"),
    ],
)
def test_bad_values(
    capsys: pytest.CaptureFixture[str], change: Callable[[np.ndarray[Any, Any]], object], told: str
) -> None:
    values = PHOTONS.numpy().copy()
    change(values)
    images.write("bad.tif", images.Image(values, axes="ZYX", voxel_size_um=VOXEL, unit="photons"))
    assert re.search(told, refusal(capsys, "bad.tif", *MICROSCOPE, *SHORT))


def test_files_that_do_not_tell_enough(capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite("plain.tif", PHOTONS.numpy(), photometric="minisblack")
    plain = ["plain.tif", *MICROSCOPE]
    assert "pass --axes with a letter of 'TCZYX' for each" in refusal(capsys, *plain, "--photons")
    told = refusal(capsys, *plain, "--photons", "--axes", "ZYX")
    assert "does not say how large its voxels are: add --voxel-size-um Z,Y,X" in told
    told = refusal(capsys, *plain, "--axes", "ZYX", "--voxel-size-um", "1,1,1")
    assert "in a unit that it does not tell, but the noise is known for photons only: give --gain-e-per-adu" in told
    told = refusal(capsys, *plain, "--axes", "ZYX", "--voxel-size-um", "1,1")
    assert "--voxel-size-um is (1.0, 1.0), but --axes ZYX" in told
    Path("short.tif").write_bytes(Path(STACK).read_bytes()[:20_000])
    assert re.search("short.tif .*truncated", refusal(capsys, "short.tif", *MICROSCOPE))


def test_one_plane(capsys: pytest.CaptureFixture[str]) -> None:
    images.write("one.tif", images.Image(PHOTONS[:1].numpy(), axes="ZYX", voxel_size_um=VOXEL, unit="photons"))
    told = refusal(capsys, "one.tif", *MICROSCOPE, *SHORT)
    assert re.search("has 1 plane, which cannot tell .* add --axes YX to restore it as a plane", told)
    assert run("one.tif", *MICROSCOPE, "--photons", "--axes", "YX", "--psf-shape", "9,9", "--iterations", "2") == 0


@pytest.mark.parametrize(
    ("psf", "told"),
    [
        (
            images.Image(PSF.numpy(), axes="ZYX", voxel_size_um=(0.2, 0.1, 0.1)),
            r"has voxels of 0.2 × 0.1 × 0.1 µm, but stack.ome.tif of 0.3 × 0.1 × 0.1 µm .*--voxel-size-um",
        ),
        (images.Image(PSF[2].numpy(), axes="YX", voxel_size_um=VOXEL[1:]), "has the axes YX, but .* needs .* axes ZYX"),
        (images.Image(PSF.numpy() - 0.1, axes="ZYX", voxel_size_um=VOXEL), "a PSF is finite and at least 0: subtract"),
        (images.Image(0 * PSF.numpy(), axes="ZYX", voxel_size_um=VOXEL), "has a sum of 0"),
    ],
)
def test_psfs_that_do_not_fit(capsys: pytest.CaptureFixture[str], psf: images.Image, told: str) -> None:
    images.write("psf.tif", psf)
    words = [STACK, "--psf", "psf.tif", "--background", "2", "--iterations", "1"]
    assert re.search(told, refusal(capsys, *words))


def test_words_that_are_no_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in (
        (["--background", "dark"], "'dark' must be a number of photons, or auto"),
        (["--iterations", "many"], "'many' must be a whole number, or auto"),
        (["--halo", "a"], "'a' must be whole numbers"),
        (["--voxel-size-um", "a"], "'a' must be numbers"),
    ):
        with pytest.raises(SystemExit):
            run(STACK, *words)
        assert told in capsys.readouterr().err
