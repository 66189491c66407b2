"""``course denoise``: what it takes an image for, what it writes, and what it says of bad images."""

import functools
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import images, samples
from course_lib.cli import main
from course_lib.images import Image
from course_lib.noise import Camera
from course_lib.noise2void import Config, SplittingConfig, choice, school

pytestmark = pytest.mark.usefixtures("one_thread")


def run(*words: str) -> int:
    return main(("denoise", *words))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scene(*sides: int) -> torch.Tensor:
    drawn = samples.filaments(sides, voxel_size_um=(0.1, 0.1), count=40, diameter_um=0.6, rng=0)
    return 40 * drawn / drawn.max() + 4


def counted(truth: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return torch.poisson(truth, generator=torch.Generator().manual_seed(seed))


def written(
    values: torch.Tensor,
    axes: str = "YX",
    unit: images.Unit = "photons",
    dtype: type = np.uint16,
) -> str:
    name, voxel_size_um = "cells.tif", (0.3, 0.1, 0.1) if "Z" in axes else (0.1, 0.1)
    images.write(name, Image(values.numpy().astype(dtype), axes=axes, voxel_size_um=voxel_size_um, unit=unit))
    return name


class _Page(HTMLParser):
    """What a page shows, and what it asks others for."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.text, self.rows, self.sources, self.open = "", 0, [], []
        self.feed(Path(path).read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.rows += tag == "tr"
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_photon_counts_are_filtered_written_and_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = scene(96, 100)
    noisy = counted(truth)
    assert run(written(noisy), "--method", "gaussian") == 0
    restored = images.read("cells_denoised.ome.tif")
    assert (restored.axes, restored.voxel_size_um, restored.unit) == ("YX", (0.1, 0.1), "photons")
    assert restored.data.dtype == np.float32
    error = (restored.tensor() - truth).square().mean()
    assert float(error) < float((noisy - truth).square().mean()) / 3
    told = capsys.readouterr()
    assert re.search(r"cells_denoised.ome.tif: Image\(Y 96 × X 100, float32, voxel 0.1 × 0.1 µm, photons\)", told.out)
    assert re.search(r"Gaussian blur \(σ = .* px\). Gaussian blur was asked for.", told.out)
    assert "The values are photons, as the file says." in told.err
    page = _Page("cells_denoised.html")
    assert not page.open
    assert page.rows == 3
    assert len(page.sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "Gaussian blur was asked for." in page.text
    assert sorted(path.name for path in folder.iterdir()) == [
        "cells.tif",
        "cells_denoised.html",
        "cells_denoised.ome.tif",
    ]


def test_all_methods_compete_and_the_reason_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"base_channels": 8, "depth": 1}
    monkeypatch.setattr(school, "Config", functools.partial(Config, **small))
    monkeypatch.setattr(school, "SplittingConfig", functools.partial(SplittingConfig, **small))
    assert run(written(counted(scene(128, 128))), "--steps", "20", "--device", "cpu") == 0
    told = capsys.readouterr()
    assert "photon splitting learns for 20 steps" in told.err
    assert "Noise2Void learns for 20 steps" in told.err
    assert re.search(r"is chosen: .*photons²", told.out)
    page = _Page("cells_denoised.html")
    assert page.rows == 7
    assert "The loss of the network." in page.text or re.search(r"(blur|means|variation) is chosen", page.text)


def test_a_camera_is_calibrated_by_its_image_and_the_result_is_in_its_unit(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = torch.linspace(0, 6, 256)
    truth = 80 * (1.3 + torch.sin(rows)[:, None] * torch.cos(rows))
    camera = Camera(gain_e_per_adu=0.5, quantum_efficiency=1.0, dark_current_e_per_s=0.0)
    adu = camera.capture(truth, rng=0)
    assert run(written(adu, unit="adu"), "--method", "gaussian") == 0
    assert re.search(
        r"The values become photon counts by a gain 0\.[45]\d* ± .* as the image shows", capsys.readouterr().err
    )
    restored = images.read("cells_denoised.ome.tif")
    assert restored.unit == "adu"
    expected, _ = camera.expected(truth)
    error, before = ((values - expected).square().mean() for values in (restored.tensor(), adu))
    assert float(error) < float(before) / 20
    assert abs(float((restored.tensor() - expected).mean())) < 0.3


def test_a_camera_that_is_known_is_told_by_flags(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adu = Camera(gain_e_per_adu=0.5, quantum_efficiency=1.0, dark_current_e_per_s=0.0).capture(scene(96, 96), rng=0)
    name = written(adu, unit="adu")
    known = ("--gain-e-per-adu", "0.5", "--offset-adu", "100", "--read-noise-e", "1.6")
    assert run(name, "--method", "nlm", *known) == 0
    assert "counts by a gain 0.5 e⁻/ADU and offset 100 ADU, as given." in capsys.readouterr().err
    assert abs(float(images.read("cells_denoised.ome.tif").data.mean()) - float(adu.mean())) < 1


def test_every_channel_and_time_is_restored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = torch.stack([scene(80, 80), scene(80, 80).flip(0)])
    noisy = torch.stack([counted(truth, seed) for seed in range(3)])
    assert run(written(noisy, axes="TCYX"), "--method", "gaussian") == 0
    restored = images.read("cells_denoised.ome.tif")
    assert restored.axes == "TCYX"
    error, before = ((values - truth).square().mean() for values in (restored.tensor(), noisy))
    assert float(error) < float(before) / 3
    assert "Channel 0: Gaussian blur" in capsys.readouterr().out
    assert "Channel 1" in _Page("cells_denoised.html").text
    assert run("cells.tif", "--channel", "1", "--method", "gaussian", "-o", "one.tif") == 0
    np.testing.assert_array_equal(images.read("one.tif").data, restored.data[:, 1])


def test_planes_of_a_stack_are_restored_one_by_one(folder: Path) -> None:
    noisy = torch.stack([counted(scene(72, 72), seed) for seed in range(4)])
    assert run(written(noisy, axes="ZYX"), "--method", "gaussian") == 0
    restored = images.read("cells_denoised.ome.tif")
    assert (restored.axes, restored.voxel_size_um) == ("ZYX", (0.3, 0.1, 0.1))
    assert "Planes were restored one by one." in _Page("cells_denoised.html").text


def test_the_same_seed_gives_the_same_image(folder: Path) -> None:
    name = written(counted(scene(80, 80)))
    assert run(name, "--method", "tv") == 0
    first = images.read("cells_denoised.ome.tif").data
    assert run(name, "--method", "tv", "--overwrite") == 0
    np.testing.assert_array_equal(images.read("cells_denoised.ome.tif").data, first)


def test_structured_noise_is_said_with_its_evidence_and_pixels_are_hidden(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = torch.randn(258, 256, generator=torch.Generator().manual_seed(0))
    rows = torch.linspace(0, 6, 256)
    values = 100 + 20 * torch.sin(rows)[:, None] * torch.cos(rows) + 4 * (noise[:-2] + noise[1:-1] + noise[2:])
    assert run(written(values.round(), unit="adu"), "--method", "gaussian") == 0
    told = capsys.readouterr().err
    assert re.search(
        r"the noise is structured: ρ is \+0\.6\d to the pixel below and .0\.0\d to that on the right", told
    )
    assert "with each are hidden 2 above and below it, and 0 on both sides" in told
    page = _Page("cells_denoised.html")
    assert "grey levels², noise included" in page.text
    assert "the noise is structured" in page.text


def saturated() -> torch.Tensor:
    return (counted(scene(96, 96)) * 4).clamp(max=120)


def clipped() -> torch.Tensor:
    camera = Camera(gain_e_per_adu=0.2, offset_adu=0.0, read_noise_e=2.0, quantum_efficiency=1.0)
    return camera.capture(scene(96, 96).sub(6).clamp(min=0), rng=0)


@pytest.mark.parametrize(
    ("values", "unit", "says"),
    [
        (
            saturated(),
            "arbitrary",
            r"% of the pixels are 120, the largest value, .*: they are saturated, and remain wrong",
        ),
        (clipped(), "adu", r"% of the pixels are 0, the smallest value, .*: negative noise was clipped"),
        (
            counted(scene(96, 96)) * 5,
            "photons",
            r"the file says photons, but the noise looks as if one of them were [456]\.?\d? grey levels: if the",
        ),
    ],
)
def test_what_may_spoil_the_result_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], values: torch.Tensor, unit: images.Unit, says: str
) -> None:
    assert run(written(values, unit=unit), "--method", "gaussian") == 0
    assert re.search(says, capsys.readouterr().err)
    assert re.search(says, _Page("cells_denoised.html").text)


def test_an_offset_that_is_not_credible_counts_no_photons(folder: Path) -> None:
    t = torch.linspace(0, 12, 256)
    smooth = 100 * (1.05 + torch.sin(t)[:, None] * torch.cos(1.3 * t))
    assert run(written(counted(smooth) / 20, unit="arbitrary", dtype=np.float32), "--method", "gaussian") == 0
    told = _Page("cells_denoised.html").text
    assert "Methods are judged by hidden pixels, because photons cannot be counted. The noise points to an" in told
    assert "which is not credible: the darkest areas are" in told


def test_dim_counts_are_neither_saturated_nor_clipped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(written(counted(torch.full((128, 128), 0.3))), "--method", "gaussian") == 0
    assert "warning" not in capsys.readouterr().err


def test_detail_that_was_taken_is_found_in_the_residual(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "SIGMAS_PX", (4.0,))
    assert run(written(counted(5 * scene(128, 128))), "--method", "gaussian") == 0
    assert re.search(r"correlated between neighbours \(ρ = .*: detail was taken, too", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("values", "words", "says"),
    [
        (torch.ones(64, 64), (), "the image is 1 everywhere: there is no noise to remove"),
        (counted(scene(64, 64))[:8, :8], (), "the image has 8 × 8 pixels, but at least 16 × 16 are needed"),
        (counted(scene(64, 64)), ("--minutes", "0"), "--minutes is 0, but must be above 0"),
        (counted(scene(64, 64)), ("--steps", "0"), "--steps is 0, but must be at least 1"),
        (counted(scene(64, 64)), ("--gain-e-per-adu", "2"), "--gain-e-per-adu and --offset-adu belong together"),
        (counted(scene(64, 64)), ("--read-noise-e", "2"), "--read-noise-e needs --gain-e-per-adu and --offset-adu"),
        (counted(scene(64, 64)), ("-o", "cells.tif"), "cells.tif is the image itself"),
        (counted(scene(64, 64)), ("-o", "a.zarr"), "a.zarr must end in .tif or .tiff"),
        (counted(scene(64, 64)), ("-o", "no/a.tif"), "there is no folder no"),
        (counted(scene(64, 64)), ("--channel", "1"), "axis is 'C', but this image"),
        (
            counted(scene(48, 48)),
            ("--method", "noise2void"),
            "the image has 48 × 48 pixels, too few to learn from: networks need at least 64 × 64",
        ),
        (
            counted(scene(64, 64)),
            ("--gain-e-per-adu", "1", "--offset-adu", "1000"),
            "with a gain of 1 e⁻/ADU and an offset of 1000 ADU all pixels are 0 electrons: check both",
        ),
    ],
)
def test_each_mistake_is_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], values: torch.Tensor, words: tuple[str, ...], says: str
) -> None:
    assert run(written(values), *words, "--device", "cpu") == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("course: ")
    assert says in told
    assert sorted(path.name for path in folder.iterdir()) == ["cells.tif"]


@pytest.mark.parametrize("kept", ["cells_denoised.ome.tif", "cells_denoised.html"])
def test_older_results_are_kept(folder: Path, capsys: pytest.CaptureFixture[str], kept: str) -> None:
    (folder / kept).write_text("mine")
    assert run(written(counted(scene(64, 64))), "--method", "gaussian") == 2
    assert "--overwrite to replace it" in capsys.readouterr().err
    assert (folder / kept).read_text() == "mine"


def test_values_that_are_no_numbers_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = counted(scene(64, 64))
    values[3, 4] = float("nan")
    assert run(written(values, dtype=np.float32)) == 2
    assert "the image has values that are NaN or infinite" in capsys.readouterr().err


def test_an_interrupted_run_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ctrl_c(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("course_lib.cli.denoise.choose", ctrl_c)
    assert run(written(counted(scene(64, 64)))) == 130
    assert sorted(path.name for path in folder.iterdir()) == ["cells.tif"]
