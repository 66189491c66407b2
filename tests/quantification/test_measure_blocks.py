"""Images on disk, a part at a time, and time series."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from course_lib.noise import Camera
from course_lib.quantification import Background, measure, measure_blocks, measure_frames
from course_lib.quantification._plan import EVERYTHING_BUT_TEXTURE

ALL = (*EVERYTHING_BUT_TEXTURE, "texture")
LABELS = hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9), elements=st.integers(0, 5))


class OnDisk:
    """An array that gives parts along its first axis only, and remembers the tallest."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.tallest = values, values.shape, 0

    def __getitem__(self, part: slice) -> np.ndarray:
        assert isinstance(part, slice | int)
        values = self.values[part]
        if isinstance(part, slice):
            self.tallest = max(self.tallest, len(values))
        return values


def cells(*shape: int, seed: int) -> np.ndarray:
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.5)
    return ndimage.label(smooth > 0.8 * smooth.std())[0] * 2


def check_same(parts: pd.DataFrame, whole: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(parts, whole, rtol=1e-9, atol=1e-9, check_exact=False)


@settings(max_examples=60, deadline=None)
@given(LABELS, st.integers(1, 60), st.sampled_from([0.0, 0.5, 2.0]))
def test_parts_equal_the_whole_whatever_the_labels(labels: np.ndarray, block: int, within_um: float) -> None:
    size = (0.7, 0.4, 0.5)[-labels.ndim :]
    image = np.random.default_rng(0).normal(size=labels.shape)
    given = {"voxel_size_um": size, "neighbour_distance_um": within_um, "features": ALL, "background": 0.5}
    check_same(measure_blocks(labels, image, block_voxels=block, **given), measure(labels, image, **given))


@pytest.mark.parametrize("shape", [(150, 70), (50, 40, 30)])
@pytest.mark.parametrize("block", [1, 2000, 10**9])
def test_parts_of_cells_equal_the_whole(shape: tuple[int, ...], block: int) -> None:
    labels = cells(*shape, seed=1)
    image = np.random.default_rng(1).integers(0, 4000, shape).astype(np.uint16)
    given: dict[str, Any] = {"voxel_size_um": (0.5, 0.3, 0.3)[-len(shape) :], "features": ALL, "unit": "photons"}
    level = Background(100.0, 2.0, 0.5)
    on_disk = {"dna": OnDisk(image), "actin": OnDisk(image // 2)}
    parts = measure_blocks(OnDisk(labels), on_disk, block_voxels=block, background=level, **given)
    check_same(parts, measure(labels, {"dna": image, "actin": image // 2}, background=level, **given))
    assert parts["ID"].is_monotonic_increasing
    assert parts.attrs["provenance"]["command"] == "measure_blocks"
    assert parts.attrs["provenance"]["shape"] == list(shape)


def test_no_more_is_read_than_a_block_and_its_objects() -> None:
    labels = np.zeros((2000, 12), int)
    labels[np.arange(2000) % 10 < 6] = 1
    labels = (np.arange(2000) // 10 + 1)[:, None] * labels
    on_disk, image = OnDisk(labels), OnDisk(labels * 1.0)
    table = measure_blocks(on_disk, image, voxel_size_um=(1, 1), block_voxels=12 * 40)
    assert len(table) == 200
    assert image.tallest <= 40 + 6 + 3
    assert on_disk.tallest <= 40 + 6 + 3


@pytest.mark.parametrize("stack", [False, True])
def test_the_maps_and_patterns_of_a_camera_stay_in_their_places(stack: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    shape = (10, 60, 40) if stack else (60, 40)
    camera = Camera(
        offset_adu=100 + 50 * torch.rand(60, 40, generator=draw),
        pixel_response=0.5 + torch.rand(60, 40, generator=draw),
        row_noise_adu=3.0,
        checker_adu=20.0,
    )
    image = camera.capture(torch.full(shape, 30.0), rng=draw).numpy()
    given: dict[str, Any] = {"voxel_size_um": (1.0,) * len(shape), "camera": camera, "features": ["intensity"]}
    labels = cells(*shape, seed=2)
    for block in (40, 7 * 40, 130 * 40):
        check_same(measure_blocks(labels, image, block_voxels=block, **given), measure(labels, image, **given))


def test_files_of_numpy_and_zarr_are_read(tmp_path: Path) -> None:
    import zarr

    labels = cells(90, 60, seed=3).astype(np.uint16)
    image = np.random.default_rng(3).random(labels.shape).astype(np.float32)
    np.save(tmp_path / "labels.npy", labels)
    stored = zarr.create_array(tmp_path / "image.zarr", shape=image.shape, chunks=(16, 60), dtype=image.dtype)
    stored[:] = image
    mapped = np.load(tmp_path / "labels.npy", mmap_mode="r")
    parts = measure_blocks(
        mapped, stored, voxel_size_um=(1, 1), block_voxels=900, background=OnDisk(np.full(labels.shape, 0.25))
    )
    check_same(parts, measure(labels, image, voxel_size_um=(1, 1), background=0.25))


def test_an_image_without_objects_has_a_table_without_rows() -> None:
    labels = np.zeros((30, 5), int)
    empty = measure_blocks(labels, labels * 1.0, voxel_size_um=(1, 1), block_voxels=20)
    check_same(empty, measure(labels, labels * 1.0, voxel_size_um=(1, 1)))


@pytest.mark.parametrize(
    ("labels", "given", "error", "message"),
    [
        ([[1]], {}, TypeError, "are a list, but must have a shape and give parts"),
        (np.zeros((4, 4)), {}, TypeError, "float64, but must be whole numbers"),
        (np.zeros((2, 2, 2, 2), int), {}, ValueError, r"shape \(2, 2, 2, 2\), but must be \(y, x\)"),
        (np.zeros((0, 4), int), {}, ValueError, "without any element"),
        (np.array([[1], [1], [-1]]), {"block_voxels": 1}, ValueError, "value of -1, but must be at least 0"),
        (np.ones((4, 4), int), {"block_voxels": 0}, ValueError, "block_voxels is 0, but must be at least 1"),
        (np.ones((4, 4), int), {"voxel_size_um": (1, 1, 1)}, ValueError, "there are 2 axes"),
        (np.ones((4, 4), int), {"intensity": np.ones((4, 5))}, ValueError, r"shape \(4, 5\), but the labels \(4, 4\)"),
        (np.ones((4, 4), int), {"intensity": np.full((4, 4), np.nan)}, ValueError, "NaN or infinite within objects"),
    ],
)
def test_bad_images_are_refused(labels: Any, given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        measure_blocks(labels, **{"voxel_size_um": (1, 1)} | given)


SERIES = np.stack([cells(30, 40, seed=seed) for seed in range(4)])
MOVIE = np.random.default_rng(5).poisson(20, SERIES.shape).astype(np.float64)


def test_frames_are_measured_each_for_itself() -> None:
    table = measure_frames(SERIES, {"dna": MOVIE}, voxel_size_um=(0.3, 0.3), background={"dna": 2.0}, unit="photons")
    assert table.columns[0] == "frame"
    for frame, rows in table.groupby("frame"):
        alone = measure(SERIES[frame], {"dna": MOVIE[frame]}, voxel_size_um=(0.3, 0.3), background=2.0, unit="photons")
        check_same(rows.drop(columns="frame").reset_index(drop=True), alone)
    assert sorted(set(table["frame"])) == [0, 1, 2, 3]
    assert table.attrs["provenance"]["shape"] == [4, 30, 40]
    assert table.attrs["provenance"]["command"] == "measure_frames"


@pytest.mark.parametrize(
    "background", [[1.0, 2.0, 3.0, 4.0], [Background(at, 0.1, 0.5) for at in (1.0, 2.0, 3.0, 4.0)]]
)
def test_each_frame_may_have_its_background(background: list) -> None:
    table = measure_frames(SERIES, MOVIE, voxel_size_um=(1, 1), background=background)
    plain = measure_frames(SERIES, MOVIE, voxel_size_um=(1, 1))
    np.testing.assert_allclose(plain["intensity_mean"] - table["intensity_mean"], 1.0 + plain["frame"])
    of_frames = [dataclasses.asdict(level) if isinstance(level, Background) else level for level in background]
    assert table.attrs["provenance"]["background"] == {"": of_frames}
    assert plain.attrs["provenance"]["background"] == {"": None}
    images = np.ones(SERIES.shape) * np.arange(1.0, 5.0)[:, None, None]
    by_image = measure_frames(SERIES, {"": MOVIE}, voxel_size_um=(1, 1), background={"": images})
    np.testing.assert_allclose(by_image["intensity_mean"], table["intensity_mean"])


def test_series_of_stacks_on_disk_and_empty_frames() -> None:
    stacks = np.stack([cells(8, 20, 20, seed=1), np.zeros((8, 20, 20), int)])
    table = measure_frames(OnDisk(stacks), OnDisk(stacks * 1.0), voxel_size_um=(1, 1, 1))
    assert set(table["frame"]) == {0}
    assert "volume_um3" in table
    assert len(measure_frames(stacks[1:], voxel_size_um=(1, 1, 1))) == 0
    pd.testing.assert_frame_equal(
        measure_frames(torch.from_numpy(stacks), voxel_size_um=(1, 1, 1)).iloc[:, :6], table.iloc[:, :6]
    )


@pytest.mark.parametrize(
    ("labels", "given", "message"),
    [
        (
            np.zeros((4, 4), int),
            {},
            r"\(4, 4\), but must be an array \(t, y, x\).*a single frame is measured by measure",
        ),
        (np.zeros((0, 4, 4), int), {}, "without any frame"),
        (SERIES, {"intensity": MOVIE[:3]}, "intensity has 3 frames, but the labels 4"),
        (SERIES, {"intensity": {"dna": MOVIE[:2]}}, r"intensity\['dna'\] has 2 frames"),
        (SERIES, {"intensity": MOVIE, "background": [1.0]}, "a list of 1 values, but there are 4 frames"),
        (SERIES, {"intensity": MOVIE[:, :5]}, r"shape \(5, 40\), but the labels \(30, 40\)"),
    ],
)
def test_bad_series_are_refused(labels: np.ndarray, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_frames(labels, voxel_size_um=(1, 1), **given)
