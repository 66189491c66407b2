import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr

from course_lib import images
from course_lib.deconvolution import (
    RelativeChange,
    Survey,
    Volume,
    accelerated_richardson_lucy,
    automatic_stop,
    deconvolve_tiled,
    landweber,
    open_volume,
    plan_tiles,
    richardson_lucy,
    tikhonov,
    tiles,
    wiener,
)
from course_lib.deconvolution._shared_momentum import SharedMomentum
from course_lib.deconvolution.tiles import TiledRestoration, default_halo
from course_lib.images import target as targets
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
WIDEFIELD_PSF = vectorial_psf(Microscope(numerical_aperture=1.2), shape=(7, 13, 13), voxel_size_um=VOXEL)
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


def largest_difference(restored: torch.Tensor, whole: torch.Tensor) -> float:
    """In units of the peak."""
    return float((restored - whole).abs().max() / whole.max())


@pytest.mark.parametrize(
    ("psf", "memory_gib", "seams", "progress"), [(PSF, SMALL_GIB, 1e-3, 5e-3), (WIDEFIELD_PSF, 0.01, 5e-3, 0.1)]
)
def test_seams_of_the_default_method_are_as_documented(
    psf: torch.Tensor, memory_gib: float, seams: float, progress: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seams are what differs from a whole volume that takes the momentum of the brightest tile, too."""
    shared: list[SharedMomentum] = []

    def recorded(known: list[float]) -> SharedMomentum:
        shared.append(SharedMomentum(known))
        return shared[-1]

    monkeypatch.setattr(tiles, "SharedMomentum", recorded)
    photons = make_image(psf)
    images.write("default.tif", images.Image(photons.numpy(), axes="ZYX", voxel_size_um=VOXEL, unit="photons"))
    done = restore("default.tif", psf=psf, method=accelerated_richardson_lucy, memory_gib=memory_gib)
    restored = images.read("sharp.ome.tif").tensor()
    assert done.tiles > 1
    assert all(one.values == shared[0].values for one in shared)
    same = SharedMomentum(shared[0].values)
    whole = accelerated_richardson_lucy(photons, psf, background=BACKGROUND, momentum=same)
    assert largest_difference(restored, whole) < seams
    own = accelerated_richardson_lucy(photons, psf, background=BACKGROUND)
    assert largest_difference(restored, own) < progress


def test_the_momentum_is_that_of_the_brightest_tile(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which the journal keeps it."""
    interrupt(stack, monkeypatch)
    kept = json.loads(Path("sharp.ome.tif.partial.json").read_text())["notes"]["momentum"]
    with open_volume(stack) as volume:
        plan = plan_tiles(volume, PSF, method=METHOD, memory_gib=SMALL_GIB, device=torch.device("cpu"))
        whole = images.Tile(frame=(), start=(0, 0, 0), stop=SHAPE)
        (tile,) = (tile for tile in whole.split(plan.sides) if tile.holds(volume.survey.brightest))
        part = volume.read(tile.grown(plan.halo, SHAPE).place)
    measured = SharedMomentum([])
    accelerated_richardson_lucy(part, PSF, iterations=6, background=BACKGROUND, momentum=measured)
    assert kept == pytest.approx(measured.values, rel=1e-5)


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
    psf = WIDEFIELD_PSF
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


def test_the_camera_gives_photons_and_its_read_noise_joins_the_background(folder: Path) -> None:
    adu = (PHOTONS / 0.5 + 100).numpy().astype(np.uint16)
    images.write("adu.tif", images.Image(adu, axes="ZYX", voxel_size_um=VOXEL, unit="adu"))
    camera = Camera(gain_e_per_adu=0.5, offset_adu=100.0, read_noise_e=2.0)
    restore("adu.tif", camera=camera, memory_gib=None)
    expected = METHOD(PHOTONS + 4, PSF, background=BACKGROUND + 4)
    torch.testing.assert_close(images.read("sharp.ome.tif").tensor(), expected)


def test_a_background_may_be_told_twice_and_be_a_numpy_number(stack: Path) -> None:
    restore(stack, method=partial(METHOD, background=BACKGROUND), background=np.float32(BACKGROUND), memory_gib=None)
    torch.testing.assert_close(images.read("sharp.ome.tif").tensor(), WHOLE)


def test_survey(folder: Path) -> None:
    image = np.full((2, 5, 70, 70), 4.0, np.float32)
    image[1, 3, 40:44, 10:14] = 100
    images.write("v.tif", images.Image(image, axes="TZYX", unit="photons"))
    with open_volume("v.tif") as volume:
        survey = volume.survey
    assert survey.total == image.sum(dtype=np.float64)
    assert (survey.largest, survey.darkest) == (100, 4)
    assert survey.brightest == (1, 3, 44, 12)


def survey_of(photons: torch.Tensor) -> Survey:
    axes = "ZYX"[-photons.ndim :]
    return Volume(path=Path("v"), values=photons.numpy(), axes=axes, voxel_size_um=None, unit="photons").survey


@pytest.mark.parametrize("background", [0.3, 3.0, 300.0])
def test_the_darkest_places_of_nothing_but_background_have_its_mean(background: float) -> None:
    """Dark by chance is not darker: the noise that chooses the places is not that which is averaged."""
    draw = torch.Generator().manual_seed(0)
    found = []
    for _ in range(6):
        photons = torch.poisson(torch.full((20, 128, 128), background), generator=draw)
        found.append(survey_of(photons).darkest)
    pixels = 6 * 2 * 3 * 32  # two planes, three blocks each, the white half of their pixels
    assert abs(np.mean(found) - background) < 4 * np.sqrt(background / pixels)


def test_the_darkest_places_lie_between_the_objects() -> None:
    expected = torch.full((20, 128, 128), 50.0)
    expected[:, 32:64, 64:96] = 5.0
    photons = torch.poisson(expected, generator=torch.Generator().manual_seed(0))
    assert survey_of(photons).darkest == pytest.approx(5, abs=4 * np.sqrt(5 / (2 * 3 * 32)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2)])
def test_images_smaller_than_a_block(shape: tuple[int, int]) -> None:
    assert survey_of(torch.full(shape, 3.0)).darkest == 3


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
    kind = targets.ZarrTarget if target.endswith("zarr") else targets.TiffTarget
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
        (
            {"memory_gib": 1e-5},
            r"memory for tiles is 1e-05 GiB, but with margins of Z 4 × Y 8 × X 8 .* Cropping the PSF",
        ),
        ({"background": -1.0}, "background is -1, but must be at least 0"),
        ({"background": 1e6}, "background is 1e.06 photons per voxel, but the brightest voxel .* has only"),
        ({"channel": 0}, "has no channels: leave it out"),
        ({"method": partial(METHOD, boundary="circular")}, "boundary is circular, but the volume .* is cut into tiles"),
        ({"method": partial(METHOD, stop=RelativeChange(0.01))}, "method has a rule stop, .*pass iterations"),
        ({"method": partial(METHOD, callback=print)}, "method has a callback, .*leave it"),
        (
            {"method": partial(automatic_stop, rng=0)},
            "method is automatic_stop, which would end each tile after another",
        ),
        (
            {"method": partial(METHOD, background=5.0)},
            "method has background=5.0, but would be called with background=2.0: take background out of",
        ),
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


@pytest.mark.gpu
def test_the_gpu_agrees_with_the_cpu(stack: Path) -> None:
    with open_volume(stack) as volume:
        deconvolve_tiled(volume, "gpu.tif", PSF, method=METHOD, background=BACKGROUND, device="cuda", progress=False)
    torch.testing.assert_close(images.read("gpu.tif").tensor(), WHOLE, rtol=1e-3, atol=1e-3)


def test_methods_that_fit_themselves_to_each_tile_are_told_of(stack: Path) -> None:
    method = partial(wiener, voxel_size_um=VOXEL)
    with pytest.warns(UserWarning, match="wiener fits the ratio of noise to signal.*expect seams"):
        restore(stack, method=method)
    restore(stack, method=partial(method, noise_to_signal=0.01), overwrite=True)
