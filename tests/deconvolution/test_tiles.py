import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import tifffile
import torch
import zarr
from hypothesis import given, settings

from course_lib import images
from course_lib.deconvolution import (
    accelerated_richardson_lucy,
    deconvolve_tiled,
    landweber,
    open_volume,
    richardson_lucy,
    tikhonov,
    wiener,
)
from course_lib.deconvolution._journal import Journal
from course_lib.deconvolution._tile_plan import BYTES_PER_VOXEL, Tile, largest_tile
from course_lib.deconvolution.tiles import TiledRestoration, default_halo
from course_lib.noise import Camera
from course_lib.optics import Convolution, Microscope, gaussian_psf, vectorial_psf

VOXEL = (0.3, 0.1, 0.1)
SHAPE = (12, 64, 64)
BACKGROUND = 2.0
SMALL_GIB = 0.005
"""Memory for tiles that cuts SHAPE into several."""
METHOD = partial(accelerated_richardson_lucy, iterations=6)


def make_image(psf: torch.Tensor, *, shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    """Photons of small spots, sharply cut out of a larger specimen."""
    draw = torch.Generator().manual_seed(0)
    margin = [side // 2 for side in psf.shape]
    larger = [side + 2 * reach for side, reach in zip(shape, margin, strict=True)]
    specimen = (torch.rand(larger, generator=draw) > 0.998).float() * 5e3
    blurred = Convolution(psf, larger)(specimen).clamp(min=0)
    cut = tuple(slice(reach, reach + side) for reach, side in zip(margin, shape, strict=True))
    return torch.poisson(blurred[cut] + BACKGROUND, generator=draw)


PSF = gaussian_psf(Microscope(numerical_aperture=1.2), shape=(5, 9, 9), voxel_size_um=VOXEL)
PHOTONS = make_image(PSF)
WHOLE = METHOD(PHOTONS, PSF, background=BACKGROUND)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stack(folder: Path) -> Path:
    path = folder / "stack.ome.tif"
    images.write(path, images.Image(PHOTONS.numpy(), axes="ZYX", voxel_size_um=VOXEL, unit="photons"))
    return path


def restore(
    source: Path | str,
    target: str = "sharp.ome.tif",
    *,
    psf: torch.Tensor = PSF,
    method: Any = METHOD,
    background: float = BACKGROUND,
    memory_gib: float | None = SMALL_GIB,
    overwrite: bool = False,
    halo: tuple[int, ...] | None = None,
    **opened: Any,
) -> TiledRestoration:
    with open_volume(source, **opened) as volume:
        return deconvolve_tiled(
            volume,
            target,
            psf,
            method=method,
            background=background,
            memory_gib=memory_gib,
            overwrite=overwrite,
            halo=halo,
            progress=False,
        )


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# the plan


@settings(deadline=None, max_examples=50)
@given(st.tuples(*[st.integers(1, 40)] * 3), st.tuples(*[st.integers(1, 12)] * 3), st.tuples(*[st.integers(0, 5)] * 3))
def test_tiles_cover_each_voxel_once(shape: tuple[int, ...], largest: tuple[int, ...], halo: tuple[int, ...]) -> None:
    whole = Tile(frame=(), start=(0, 0, 0), stop=shape)
    covered = np.zeros(shape, int)
    for tile in whole.split(largest):
        covered[tile.place] += 1
        assert all(side <= most for side, most in zip(tile.sides, largest, strict=True))
        outer = tile.grown(halo, shape)
        inside = np.zeros(outer.sides)
        inside[tile.within(outer)] = 1
        assert inside.sum() == np.prod(tile.sides)
        assert whole.grown(halo, shape) == whole
    assert (covered == 1).all()


@settings(deadline=None, max_examples=50)
@given(st.tuples(*[st.integers(1, 300)] * 3), st.floats(1e-3, 8))
def test_tiles_fit_into_memory(shape: tuple[int, ...], memory_gib: float) -> None:
    psf = (5, 9, 9)
    halo = (4, 8, 8)
    try:
        sides = largest_tile(shape, psf, halo, memory_bytes=memory_gib * 2**30)
    except ValueError as error:
        assert "smallest tile takes" in str(error)  # noqa: PT017
        return
    padded = [min(side + 2 * h, n) + p - 1 for side, h, n, p in zip(sides, halo, shape, psf, strict=True)]
    assert BYTES_PER_VOXEL * np.prod(padded) <= memory_gib * 2**30
    everything = BYTES_PER_VOXEL * np.prod([n + p + 15 for n, p in zip(shape, psf, strict=True)])
    if everything * 1.2 <= memory_gib * 2**30:
        assert sides == shape


# the seams


def test_the_tiled_volume_agrees_with_the_whole_one(stack: Path) -> None:
    method = partial(richardson_lucy, iterations=20)
    whole = method(PHOTONS, PSF, background=BACKGROUND)
    done = restore(stack, method=method)
    restored = images.read("sharp.ome.tif")
    assert done.tiles == 4
    assert (restored.axes, restored.voxel_size_um, restored.unit, restored.data.dtype) == (
        "ZYX",
        VOXEL,
        "photons",
        np.float32,
    )
    assert float((restored.tensor() - whole).abs().max() / whole.max()) < 1e-3


def test_the_accelerated_method_takes_the_momentum_of_the_brightest_tile(stack: Path) -> None:
    """That is nearly the momentum of the whole volume, and the same in all tiles."""
    restore(stack)
    assert float((images.read("sharp.ome.tif").tensor() - WHOLE).abs().max() / WHOLE.max()) < 5e-3


def test_a_single_tile_is_the_whole_volume_exactly(stack: Path) -> None:
    done = restore(stack, memory_gib=None)
    assert (done.tiles, done.tile_sides, done.halo, done.resumed) == (1, SHAPE, (4, 8, 8), False)
    torch.testing.assert_close(images.read("sharp.ome.tif").tensor(), WHOLE)
    assert images.read("sharp.ome.tif", memory_map=True).data.shape == SHAPE
    assert names(Path()) == {"stack.ome.tif", "sharp.ome.tif"}


def test_tiles_that_measure_their_own_momentum_would_differ(stack: Path) -> None:
    """Why they share it: the same method without the shared rule."""

    def own(image: torch.Tensor, psf: torch.Tensor, *, background: float) -> torch.Tensor:
        return METHOD(image, psf, background=background)

    restore(stack, method=own)
    assert float((images.read("sharp.ome.tif").tensor() - WHOLE).abs().max() / WHOLE.max()) > 5e-3


def test_a_widefield_psf_asks_for_a_wider_margin_than_its_light(folder: Path) -> None:
    """Light of a widefield microscope does not fade along z and little at the side: the seams tell."""
    psf = vectorial_psf(Microscope(numerical_aperture=1.2), shape=(7, 13, 13), voxel_size_um=VOXEL)
    photons = make_image(psf)
    method = partial(richardson_lucy, iterations=10)
    whole = method(photons, psf, background=BACKGROUND)
    images.write("wide.tif", images.Image(photons.numpy(), axes="ZYX", voxel_size_um=VOXEL, unit="photons"))
    seams = []
    for halo in ((3, 6, 6), default_halo(psf), (9, 18, 18)):
        done = restore("wide.tif", psf=psf, method=method, halo=halo, overwrite=True, memory_gib=0.01)
        assert done.tiles > 1
        seams.append(float((images.read("sharp.ome.tif").tensor() - whole).abs().max() / whole.max()))
    assert seams[0] > seams[1] > seams[2]
    assert seams[1] < 5e-3
    assert seams[2] < 1e-3


@pytest.mark.parametrize("method", [tikhonov, landweber])
def test_linear_methods_in_tiles(stack: Path, method: Callable[..., torch.Tensor]) -> None:
    chosen = partial(method, iterations=20) if method is landweber else partial(method, regularization=0.1)
    whole = chosen(PHOTONS, PSF, background=BACKGROUND)
    done = restore(stack, method=chosen, halo=(8, 24, 24), memory_gib=0.0075)
    assert done.tiles > 1
    assert float((images.read("sharp.ome.tif").tensor() - whole).abs().max() / whole.max()) < 1e-2


# the residual


def test_the_residual_is_white_when_all_is_explained(stack: Path) -> None:
    done = restore(stack, method=partial(accelerated_richardson_lucy, iterations=25), memory_gib=None)
    assert done.residual_variance == pytest.approx(1, abs=0.1)
    assert abs(done.residual_correlation) < 0.05
    early = restore(stack, method=partial(richardson_lucy, iterations=1), memory_gib=None, overwrite=True)
    assert early.residual_variance > 1.2
    assert early.residual_correlation > 0.2


def test_a_residual_of_tiles_is_that_of_the_whole(stack: Path) -> None:
    """But for the pairs of voxels on both sides of a seam, which are left out."""
    method = partial(richardson_lucy, iterations=10)
    whole = restore(stack, method=method, memory_gib=None)
    tiled = restore(stack, method=method, overwrite=True)
    assert tiled.residual_variance == pytest.approx(whole.residual_variance, rel=1e-3)
    assert tiled.residual_correlation == pytest.approx(whole.residual_correlation, abs=1e-2)


def test_methods_without_a_stopping_rule_tell_no_residual(stack: Path) -> None:
    done = restore(stack, method=tikhonov)
    assert np.isnan([done.residual_variance, done.residual_correlation]).all()


# files


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float64])
def test_integers_and_doubles(folder: Path, dtype: type) -> None:
    photons = PHOTONS.clamp(max=255)
    tifffile.imwrite("plain.tif", photons.numpy().astype(dtype), photometric="minisblack")
    restore("plain.tif", axes="ZYX", memory_gib=None)
    expected = METHOD(photons, PSF, background=BACKGROUND)
    torch.testing.assert_close(images.read("sharp.ome.tif").tensor(), expected)


def test_a_compressed_file_is_read_plane_by_plane(stack: Path) -> None:
    image = images.read(stack)
    images.write("small.tif", image, compression="zlib")
    restore(stack, "mapped.tif")
    restore("small.tif", "paged.tif")
    assert images.read("paged.tif").voxel_size_um == VOXEL
    assert (images.read("paged.tif").data == images.read("mapped.tif").data).all()


def test_compressed_pages_in_any_order(folder: Path) -> None:
    values = np.arange(3 * 2 * 4 * 5 * 6).reshape(3, 2, 4, 5, 6).astype(np.uint16)  # Z C T Y X
    tifffile.imwrite("odd.tif", values, compression="zlib", photometric="minisblack")
    with open_volume("odd.tif", axes="ZCTYX", channel=1) as volume:
        assert (volume.axes, volume.shape) == ("TZYX", (4, 3, 5, 6))
        part = volume.read((2, slice(1, 3), slice(0, 2), slice(3, 6)))
    assert (part.numpy() == values[1:3, 1, 2, 0:2, 3:6]).all()


def test_time_and_channel(folder: Path) -> None:
    movie = torch.stack([PHOTONS[:, :32, :32], PHOTONS[:, 32:, 32:]])
    data = torch.stack([torch.zeros_like(movie), movie], dim=1).numpy()
    images.write("movie.tif", images.Image(data, axes="TCZYX", voxel_size_um=VOXEL, unit="photons"))
    done = restore("movie.tif", channel=1, method=partial(richardson_lucy, iterations=5), memory_gib=None)
    restored = images.read("sharp.ome.tif")
    assert (done.tiles, restored.axes, restored.data.shape) == (2, "TZYX", (2, 12, 32, 32))
    for frame, alone in zip(movie, restored.tensor(), strict=True):
        torch.testing.assert_close(alone, richardson_lucy(frame, PSF, iterations=5, background=BACKGROUND))


def test_a_flat_psf_restores_each_plane_for_itself(stack: Path) -> None:
    psf = PSF[2] / PSF[2].sum()
    restore(stack, psf=psf, method=partial(richardson_lucy, iterations=4), memory_gib=None)
    expected = torch.stack([richardson_lucy(p, psf, iterations=4, background=BACKGROUND) for p in PHOTONS])
    torch.testing.assert_close(images.read("sharp.ome.tif").tensor(), expected)


def test_zarr_to_ome_zarr_and_back(stack: Path, folder: Path) -> None:
    array = zarr.create_array("plain.zarr", shape=SHAPE, chunks=(5, 20, 20), dtype="uint16")
    array[...] = PHOTONS.numpy().astype(np.uint16)
    restore("plain.zarr", "sharp.zarr", axes="ZYX", voxel_size_um=VOXEL)
    restore(stack, "sharp.tif")
    group = zarr.open_group("sharp.zarr", mode="r")
    assert (group["0"][...] == images.read("sharp.tif").data).all()
    (multiscale,) = group.attrs["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["z", "y", "x"]
    with open_volume("sharp.zarr") as volume:
        assert (volume.axes, volume.voxel_size_um, volume.unit) == ("ZYX", VOXEL, "photons")
    restore("plain.zarr", "sharp.zarr", axes="ZYX", voxel_size_um=VOXEL, overwrite=True, memory_gib=None)
    torch.testing.assert_close(torch.from_numpy(zarr.open_group("sharp.zarr", mode="r")["0"][...]), WHOLE)
    assert names(folder) == {"stack.ome.tif", "plain.zarr", "sharp.zarr", "sharp.tif"}


def test_ome_zarr_of_version_5(folder: Path) -> None:
    group = zarr.open_group("new.zarr", mode="w", zarr_format=3)
    group.create_array("full", shape=(2, 3, 4, 5), dtype="uint8")[...] = 7
    axes = [{"name": "c", "type": "channel"}, *({"name": a, "type": "space", "unit": "micrometer"} for a in "zyx")]
    scale = [{"type": "scale", "scale": [1, 0.5, 0.2, 0.2]}]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": [{"path": "full", "coordinateTransformations": scale}]}],
    }
    with open_volume("new.zarr", channel=0) as volume:
        assert (volume.axes, volume.shape, volume.voxel_size_um) == ("ZYX", (3, 4, 5), (0.5, 0.2, 0.2))
        assert (volume.read((0, slice(None), slice(None))) == 7).all()


def test_the_camera_gives_photons_and_its_read_noise_joins_the_background(folder: Path) -> None:
    adu = (PHOTONS / 0.5 + 100).numpy().astype(np.uint16)
    images.write("adu.tif", images.Image(adu, axes="ZYX", voxel_size_um=VOXEL, unit="adu"))
    camera = Camera(gain_e_per_adu=0.5, offset_adu=100.0, read_noise_e=2.0)
    restore("adu.tif", camera=camera, memory_gib=None)
    expected = METHOD(PHOTONS + 4, PSF, background=BACKGROUND + 4)
    torch.testing.assert_close(images.read("sharp.ome.tif").tensor(), expected)


def test_survey(folder: Path) -> None:
    image = np.full((2, 5, 70, 70), 4.0, np.float32)
    image[1, 3, 40:44, 10:14] = 100
    images.write("v.tif", images.Image(image, axes="TZYX", unit="photons"))
    with open_volume("v.tif") as volume:
        survey = volume.survey
    assert survey.total == image.sum(dtype=np.float64)
    assert (survey.largest, survey.darkest) == (100, 4)
    assert survey.brightest == (1, 3, 44, 12)


# interrupted runs


class PowerCutError(Exception):
    """Ends a run as a signal would."""


def broken_after(calls: int, reason: BaseException) -> Callable[[], None]:
    """A function that raises once it was called more than `calls` times."""
    count = 0

    def fail() -> None:
        nonlocal count
        count += 1
        if count > calls:
            raise reason

    return fail


def interrupt(stack: Path, monkeypatch: pytest.MonkeyPatch, *, after: int = 2, target: str = "sharp.ome.tif") -> None:
    from course_lib.deconvolution import _target

    kind = _target.ZarrTarget if target.endswith("zarr") else _target.TiffTarget
    fail, write = broken_after(after, PowerCutError()), kind.write

    def write_or_fail(self: Any, place: Any, values: torch.Tensor) -> None:
        fail()
        write(self, place, values)

    with monkeypatch.context() as patched:
        patched.setattr(kind, "write", write_or_fail)
        with pytest.raises(PowerCutError):
            restore(stack, target)


@pytest.mark.parametrize("target", ["sharp.ome.tif", "sharp.zarr"])
def test_an_interrupted_run_goes_on_and_gives_the_same(
    stack: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    interrupt(stack, monkeypatch, target=target)
    assert names(folder) == {"stack.ome.tif", f"{target}.partial", f"{target}.partial.json"}
    left = len(json.loads(Path(f"{target}.partial.json").read_text())["remaining"])
    done = restore(stack, target)
    assert done.resumed
    assert 0 < done.tiles == left
    assert names(folder) == {"stack.ome.tif", target}
    uninterrupted = restore(stack, "again.ome.tif")
    assert uninterrupted.tiles == left + 2
    with open_volume(target) as resumed, open_volume("again.ome.tif") as again:
        assert (np.asarray(resumed.values[...]) == np.asarray(again.values[...])).all()
    assert done.residual_variance == uninterrupted.residual_variance


def test_finished_tiles_are_not_computed_again(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(stack, monkeypatch)
    before = tifffile.imread("sharp.ome.tif.partial")
    assert before.any()
    marked = tifffile.memmap("sharp.ome.tif.partial", mode="r+")
    marked[before != 0] = -1
    marked.flush()
    del marked
    restore(stack)
    assert (images.read("sharp.ome.tif").data[before != 0] == -1).all()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"background": 1.0}, "background was 2.0 and is 1.0"),
        (
            {"method": partial(accelerated_richardson_lucy, iterations=7)},
            r"method was accelerated_richardson_lucy\(iterations=6\) and is .*iterations=7",
        ),
        (
            {"psf": gaussian_psf(Microscope(numerical_aperture=1.1), shape=(5, 9, 9), voxel_size_um=VOXEL)},
            "psf was 5 × 9 × 9 values",
        ),
        ({"camera": Camera(offset_adu=0.0)}, "camera was None and is Camera"),
    ],
)
def test_other_settings_are_refused_unless_overwriting(
    stack: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], told: str
) -> None:
    interrupt(stack, monkeypatch)
    with pytest.raises(ValueError, match=rf"interrupted run with other settings: {told}.*overwrite=True to start anew"):
        restore(stack, **changes)
    assert not restore(stack, **changes, overwrite=True).resumed


def test_another_input_is_refused(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(stack, monkeypatch)
    images.write(stack, images.Image(PHOTONS.numpy() + 1, axes="ZYX", voxel_size_um=VOXEL, unit="photons"))
    with pytest.raises(ValueError, match="last change was"):
        restore(stack)


def test_other_memory_goes_on_with_other_tiles(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(stack, monkeypatch)
    done = restore(stack, memory_gib=0.6 * SMALL_GIB)
    assert done.resumed
    assert max(done.tile_sides) < 64
    assert float((images.read("sharp.ome.tif").tensor() - WHOLE).abs().max() / WHOLE.max()) < 5e-3


def test_a_damaged_journal_is_told(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(stack, monkeypatch)
    Path("sharp.ome.tif.partial.json").write_text("{")
    with pytest.raises(ValueError, match=r"partial.json is damaged .*: delete it to start anew"):
        restore(stack)


def test_a_full_disk_keeps_what_is_finished(stack: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from course_lib.deconvolution import _target

    fail, fsync = broken_after(2, OSError(28, "No space left on device")), _target.os.fsync

    def sync(number: int) -> None:
        fail()
        fsync(number)

    with monkeypatch.context() as patched:
        patched.setattr(_target.os, "fsync", sync)
        with pytest.raises(OSError, match=r"could not be written: No space .*free space, and run the same again"):
            restore(stack)
    assert "sharp.ome.tif" not in names(folder)
    assert restore(stack).resumed


def test_a_disk_that_is_too_small_is_told_before(stack: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(OSError, match=r"needs 0.000197 GB, but its disk has 1e-06 GB free; nothing is left there"):
        restore(stack)
    assert names(folder) == {"stack.ome.tif"}


def test_out_of_memory_halves_the_tiles(stack: Path) -> None:
    calls = []

    def greedy(image: torch.Tensor, psf: torch.Tensor, *, background: float) -> torch.Tensor:
        calls.append(image.shape)
        if image.shape[-1] > 48:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return richardson_lucy(image, psf, iterations=2, background=background)

    with pytest.warns(UserWarning, match=r"Z 12 × Y 64 × X 64 voxels needs more memory than CPU.*goes on with"):
        done = restore(stack, method=greedy, memory_gib=None)
    assert done.tiles >= 2
    whole = richardson_lucy(PHOTONS, PSF, iterations=2, background=BACKGROUND)
    assert float((images.read("sharp.ome.tif").tensor() - whole).abs().max() / whole.max()) < 1e-3


def test_no_memory_at_all_is_an_error(folder: Path) -> None:
    images.write("tiny.tif", images.Image(np.ones((2, 2), np.float32), axes="YX", unit="photons"))

    def hopeless(image: torch.Tensor, psf: torch.Tensor, *, background: float) -> torch.Tensor:
        raise MemoryError

    with (
        pytest.warns(UserWarning, match="goes on with"),
        pytest.raises(ValueError, match="not even enough for one voxel with its margin of Y 2 × X 2"),
    ):
        restore("tiny.tif", psf=torch.ones(3, 3) / 9, method=hopeless, background=0.0)


# bad input


def test_existing_targets_are_kept(stack: Path) -> None:
    restore(stack, memory_gib=None)
    before = Path("sharp.ome.tif").read_bytes()
    with pytest.raises(ValueError, match=r"sharp.ome.tif exists: .*overwrite=True"):
        restore(stack)
    with pytest.raises(ValueError, match="is the image itself"):
        restore(stack, "stack.ome.tif", overwrite=True)
    assert Path("sharp.ome.tif").read_bytes() == before


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(folder: Path, value: float) -> None:
    values = PHOTONS.numpy().copy()
    values[3, 2, 1] = value
    images.write("bad.tif", images.Image(values, axes="ZYX", voxel_size_um=VOXEL))
    with pytest.raises(ValueError, match=r"1 NaN or infinite values in plane \(3,\): replace them"):
        restore("bad.tif")
    assert names(folder) == {"bad.tif"}


def test_negative_values(folder: Path) -> None:
    values = PHOTONS.numpy() - 3
    images.write("bad.tif", images.Image(values, axes="ZYX", voxel_size_um=VOXEL))
    with pytest.raises(ValueError, match=r"negative values, the lowest -3, but photons are at least 0"):
        restore("bad.tif")
    with pytest.raises(ValueError, match=r"% of the voxels of bad.tif are negative after offset and read noise"):
        restore("bad.tif", camera=Camera(gain_e_per_adu=1.0, offset_adu=1.0, read_noise_e=0.0))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"target": "sharp.png"}, "must end in .tif, .tiff or .zarr"),
        ({"psf": torch.ones(3, 3, 3)}, "psf sums to 27"),
        ({"halo": (1, 1, 1)}, r"halo is \(1, 1, 1\), but must be at least \(2, 4, 4\)"),
        ({"halo": (9, 9)}, r"halo is \(9, 9\)"),
        ({"memory_gib": 0.0}, "memory_gib is 0, but must be above 0"),
        ({"memory_gib": 1e-5}, r"memory for tiles is 1e-05 GiB, but .* PSF of 5 × 9 × 9 voxels .* give more"),
        ({"background": -1.0}, "background is -1, but must be at least 0"),
        ({"background": 1e6}, "background is 1e.06 photons per voxel, but the brightest voxel .* has only"),
        ({"channel": 0}, "has no channels: leave it out"),
        ({"method": partial(METHOD, boundary="circular")}, "boundary is circular, but the volume .* is cut into tiles"),
        ({"camera": Camera(em_gain=100.0)}, "em_gain is 100, but must be 1"),
        ({"camera": Camera(offset_adu=torch.zeros(64, 64))}, "offset_adu is a map, but must be one number"),
    ],
)
def test_bad_settings(stack: Path, folder: Path, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        restore(stack, **asked)
    assert names(folder) == {"stack.ome.tif"}


def test_shapes_that_do_not_fit(folder: Path) -> None:
    images.write("plane.tif", images.Image(np.ones((8, 8), np.float32), axes="YX"))
    with pytest.raises(ValueError, match=r"axes YX, no Z, but the psf is 3D"):
        restore("plane.tif", background=0.0)
    images.write("one.tif", images.Image(np.ones((1, 8, 8), np.float32), axes="ZYX"))
    with pytest.raises(ValueError, match=r"has 1 plane, but the psf is 3D"):
        restore("one.tif", background=0.0)
    images.write("two.tif", images.Image(np.ones((2, 8, 8), np.float32), axes="CYX"))
    with pytest.raises(ValueError, match=r"has 2 channels, .*choose one, channel 0 to 1"):
        restore("two.tif")
    with pytest.raises(ValueError, match=r"channel is 2, but two.tif has 2: choose 0 to 1"):
        restore("two.tif", channel=2)


def test_missing_and_damaged_files(stack: Path, folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file nothing.tif"):
        restore("nothing.tif")
    with pytest.raises(FileNotFoundError, match=r"there is no folder nowhere"):
        restore(stack, "nowhere/sharp.tif")
    with pytest.raises(ValueError, match=r"nothing.zarr is no Zarr array or group"):
        restore("nothing.zarr")
    Path("short.tif").write_bytes(stack.read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r"short.tif .*truncated"):
        restore("short.tif")
    zarr.create_array("plain.zarr", shape=(4, 8, 8), dtype="uint16")
    with pytest.raises(ValueError, match=r"does not say what its 3 dimensions \(4, 8, 8\) are: pass axes"):
        restore("plain.zarr")
    zarr.open_group("group.zarr", mode="w")
    with pytest.raises(ValueError, match=r"is a Zarr group without an image in OME-Zarr"):
        restore("group.zarr")


def test_compressed_volumes_in_one_page_are_refused(folder: Path) -> None:
    tifffile.imwrite("v.tif", np.ones((16, 16, 16), np.uint8), tile=(16, 16, 16), volumetric=True, compression="zlib")
    with pytest.raises(
        ValueError, match=r"keeps ZYX of shape .* in 1 pages, not a plane in each: save it uncompressed"
    ):
        restore("v.tif", axes="ZYX")


@pytest.mark.gpu
def test_the_gpu_agrees_with_the_cpu(stack: Path) -> None:
    with open_volume(stack) as volume:
        deconvolve_tiled(volume, "gpu.tif", PSF, method=METHOD, background=BACKGROUND, device="cuda", progress=False)
    torch.testing.assert_close(images.read("gpu.tif").tensor(), WHOLE, rtol=1e-3, atol=1e-3)


def test_a_journal_that_a_kill_left_behind_is_not_believed(stack: Path, folder: Path) -> None:
    journal = folder / "sharp.ome.tif.partial.json"
    whole = restore(stack, memory_gib=None)
    result = images.read(whole.path).tensor()
    journal.write_text(json.dumps({"settings": {}, "remaining": [], "sums": {}, "momentum": []}))
    again = restore(stack, memory_gib=None, overwrite=True)
    assert not again.resumed
    assert not journal.exists()
    assert torch.equal(images.read(again.path).tensor(), result)


def test_a_kill_before_the_journal_is_saved_leaves_none(
    stack: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = folder / "sharp.ome.tif.partial.json"
    journal.write_text(json.dumps({"settings": {}, "remaining": [], "sums": {}, "momentum": []}))

    def killed(self: Journal) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            restore(stack, overwrite=True)
    assert not journal.exists()
    assert not restore(stack, overwrite=True).resumed


def test_methods_that_fit_themselves_to_each_tile_are_told_of(stack: Path) -> None:
    with pytest.warns(UserWarning, match="wiener fits the ratio of noise to signal.*expect seams"):
        restore(stack, method=wiener)
