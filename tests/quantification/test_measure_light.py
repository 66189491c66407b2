"""Intensities of objects, photons, and their standard errors."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import regionprops_table

from course_lib.noise import Camera
from course_lib.quantification import Background, estimate_background, measure

LABELS = np.zeros((24, 30), int)
LABELS[2:12, 3:12], LABELS[5:20, 15:25], LABELS[20:23, 2:5] = 4, 9, 2
LIGHT = ("intensity",)
FRAMES = 300


def scene(*, background: float) -> np.ndarray:
    """Return mean photons: three objects with a gradient on a background."""
    y, x = np.indices(LABELS.shape)
    return background + np.where(LABELS > 0, 5 + 0.5 * x + 0.2 * y + 3 * LABELS, 0.0)


def true_sums(photons: np.ndarray) -> np.ndarray:
    return np.array([photons[number == LABELS].sum() for number in (2, 4, 9)])


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 4)),
    st.sampled_from([np.uint8, np.int16, np.uint16, np.float16, np.float32, np.float64, ">u2", ">f4"]),
    st.integers(0, 99),
)
def test_intensities_are_those_of_numpy_on_the_pixels_of_each_object(
    labels: np.ndarray, dtype: np.dtype, seed: int
) -> None:
    image = np.random.default_rng(seed).uniform(0, 200, labels.shape).astype(dtype)
    table = measure(labels, image, voxel_size_um=(1, 1), background=7.5, features=["intensity", "percentiles"])
    assert table["ID"].tolist() == sorted(set(labels.ravel()) - {0})
    for row in table.to_dict("records"):
        values = image[labels == row["ID"]].astype(np.float64) - 7.5
        expected = {
            "sum": values.sum(),
            "mean": values.mean(),
            "std": values.std(),
            "min": values.min(),
            "max": values.max(),
            "p05": np.percentile(values, 5),
            "median": np.median(values),
            "p95": np.percentile(values, 95),
        }
        assert {name: row[f"intensity_{name}"] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("shape", [(40, 50), (9, 20, 20)])
def test_the_centre_of_light_equals_scikit_image(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    labels, image = rng.integers(0, 4, shape), rng.random(shape) * np.arange(shape[-1])
    size_um = (0.9, 0.3, 0.4)[-len(shape) :]
    table = measure(labels, image, voxel_size_um=size_um, features=LIGHT)
    expected = regionprops_table(labels, image, properties=["centroid_weighted"], spacing=size_um)
    for place, letter in enumerate("zyx"[-len(shape) :]):
        np.testing.assert_allclose(table[f"intensity_centre_{letter}_um"], expected[f"centroid_weighted-{place}"])


def test_the_centre_of_light_is_that_of_the_light_above_background_and_none_where_none_is() -> None:
    labels = np.array([[1, 1, 2, 2]])
    table = measure(labels, np.array([[5.0, 7.0, 5.0, 4.0]]), voxel_size_um=(1, 1), background=5.0, features=LIGHT)
    np.testing.assert_array_equal(table["intensity_centre_x_um"], [1.0, np.nan])
    image = np.array([[6.0, 5.0, 5.0, 7.0]])
    levels = np.full((1, 4), 5.0)
    table = measure(labels, image, voxel_size_um=(1, 1), background=levels, features=LIGHT)
    assert table["intensity_centre_x_um"].tolist() == [0.0, 3.0]


def test_a_large_offset_costs_no_precision_in_the_spread() -> None:
    image = np.random.default_rng(0).normal(0, 1e-3, LABELS.shape)
    near, far = (measure(LABELS, image + offset, voxel_size_um=(1, 1)) for offset in (0.0, 1e5))
    np.testing.assert_allclose(far["intensity_std"], near["intensity_std"], rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_background_is_taken_off_without_rounding(dtype: np.dtype) -> None:
    image = np.random.default_rng(1).integers(0, 250, LABELS.shape).astype(dtype)
    pd.testing.assert_frame_equal(
        measure(LABELS, image, voxel_size_um=(1, 1), background=3.1, features=["intensity", "percentiles", "texture"]),
        measure(
            LABELS, image - np.float64(3.1), voxel_size_um=(1, 1), features=["intensity", "percentiles", "texture"]
        ),
        rtol=1e-12,
    )


def test_channels_are_measured_each_with_its_background_and_named() -> None:
    image = scene(background=3)
    table = measure(LABELS, {"dna": image, "actin": 2 * image}, voxel_size_um=(1, 1), background={"dna": 3, "actin": 0})
    np.testing.assert_allclose(table["intensity_sum_dna"], true_sums(image - 3))
    np.testing.assert_allclose(table["intensity_sum_actin"], true_sums(2 * image))
    same = measure(LABELS, image, voxel_size_um=(1, 1), background=3)
    np.testing.assert_array_equal(table["intensity_p95_dna"], same["intensity_p95"])


@pytest.mark.parametrize(
    "settings", [{}, {"unit": "photons"}, {"camera": Camera(pixel_response=torch.rand(24, 30) + 1)}]
)
def test_a_background_image_of_one_value_is_that_value(settings: dict) -> None:
    image = scene(background=130)
    as_number = measure(LABELS, image, voxel_size_um=(1, 1), background=130.0, **settings)
    as_image = measure(LABELS, image, voxel_size_um=(1, 1), background=np.full(LABELS.shape, 130.0), **settings)
    pd.testing.assert_frame_equal(as_image, as_number, rtol=1e-9)


def test_grey_values_have_no_standard_error_and_counts_have() -> None:
    image = scene(background=3)
    assert not [name for name in measure(LABELS, image, voxel_size_um=(1, 1)) if "error" in name]
    table = measure(LABELS, image, voxel_size_um=(1, 1), unit="photons", background=Background(3.0, 0.5, 1.0))
    pixels = table["area_um2"]
    np.testing.assert_allclose(table["photons_sum_standard_error"] ** 2, true_sums(image) + (0.5 * pixels) ** 2)
    np.testing.assert_allclose(table["photons_mean_standard_error"], table["photons_sum_standard_error"] / pixels)
    np.testing.assert_allclose(table["photons_sum"], true_sums(image - 3))
    assert not [name for name in table if "intensity" in name]


def scores(tables: list[pd.DataFrame], truth: np.ndarray, name: str) -> np.ndarray:
    """Return how many standard errors each sum or mean is away from the truth, shape (frames, objects)."""
    return np.array([(table[name] - truth) / table[f"{name}_standard_error"] for table in tables])


def check_scores(found: np.ndarray) -> None:
    """Mean 0 and spread 1, within four standard errors of each."""
    frames = len(found)
    assert np.abs(found.mean(axis=0)).max() < 4 / frames**0.5
    assert found.std(axis=0) == pytest.approx(1, abs=4 / (2 * frames) ** 0.5)


def test_the_standard_error_of_counts_is_their_spread() -> None:
    mean = torch.from_numpy(scene(background=2))
    draw = torch.Generator().manual_seed(0)
    tables = [
        measure(LABELS, torch.poisson(mean, generator=draw), voxel_size_um=(1, 1), unit="photons", features=LIGHT)
        for _ in range(FRAMES)
    ]
    check_scores(scores(tables, true_sums(mean.numpy()), "photons_sum"))


def maps(seed: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "gain_e_per_adu": 0.4 + 0.3 * torch.rand(LABELS.shape, generator=draw),
        "offset_adu": 100 + 20 * torch.rand(LABELS.shape, generator=draw),
        "read_noise_e": 1 + 4 * torch.rand(LABELS.shape, generator=draw),
        "pixel_response": 0.8 + 0.4 * torch.rand(LABELS.shape, generator=draw),
    }


CAMERAS = {
    "scmos": Camera(),
    "dim and noisy": Camera(read_noise_e=12.0, dark_current_e_per_s=50.0),
    "coarse steps": Camera(gain_e_per_adu=8.0, read_noise_e=3.0),
    "rows": Camera(row_noise_adu=6.0),
    "checker": Camera(checker_adu=8.0),
    "emccd": Camera(em_gain=200.0, read_noise_e=50.0, gain_e_per_adu=10.0, clock_induced_charge_e=0.05),
    "maps": Camera(**maps(1)),
    "maps and rows": Camera(**maps(2), row_noise_adu=5.0),
}


@pytest.mark.parametrize("name", CAMERAS)
def test_standard_errors_are_the_spread_of_repeated_frames(name: str) -> None:
    camera, mean = CAMERAS[name], torch.from_numpy(scene(background=2))
    draw = torch.Generator().manual_seed(3)
    tables = [
        measure(
            LABELS,
            camera.capture(mean, exposure_ms=200.0, rng=draw),
            voxel_size_um=(1, 1),
            camera=camera,
            exposure_ms=200.0,
            features=LIGHT,
        )
        for _ in range(FRAMES)
    ]
    check_scores(scores(tables, true_sums(mean.numpy()), "photons_sum"))
    pixels = tables[0]["area_um2"].to_numpy()
    check_scores(scores(tables, true_sums(mean.numpy()) / pixels, "photons_mean"))


def test_the_error_of_the_background_is_part_of_the_standard_error() -> None:
    camera, error_adu = Camera(read_noise_e=maps(4)["read_noise_e"]), 1.5
    mean = torch.from_numpy(scene(background=4))
    level_adu = float(camera.expected(torch.full(LABELS.shape, 4.0))[0].mean())
    draw, rng = torch.Generator().manual_seed(5), np.random.default_rng(5)

    def table(background: Background) -> pd.DataFrame:
        image = camera.capture(mean, rng=draw)
        return measure(LABELS, image, voxel_size_um=(1, 1), camera=camera, background=background, features=LIGHT)

    tables = [table(Background(level_adu + rng.normal(0, error_adu), error_adu, 0.5)) for _ in range(FRAMES)]
    check_scores(scores(tables, true_sums(mean.numpy() - 4), "photons_sum"))
    exact = table(Background(level_adu, 0.0, 0.5))
    common = error_adu * exact["area_um2"] * camera.gain_e_per_adu / camera.quantum_efficiency
    assert (common > exact["photons_sum_standard_error"])[1:].all()  # or this test could not see it


def test_an_estimated_background_leaves_sums_unbiased() -> None:
    camera, mean = Camera(), torch.from_numpy(np.pad(scene(background=3), 40, constant_values=3))
    labels = np.pad(LABELS, 40)
    draw = torch.Generator().manual_seed(6)
    sums = []
    for _ in range(60):
        image = camera.capture(mean, rng=draw)
        background = estimate_background(image, labels, voxel_size_um=(0.2, 0.2))
        table = measure(labels, image, voxel_size_um=(0.2, 0.2), camera=camera, background=background, features=LIGHT)
        sums.append((table["photons_sum"] - true_sums(scene(background=0))) / table["photons_sum_standard_error"])
    assert np.abs(np.mean(sums, axis=0)).max() < 0.5


def test_dark_objects_keep_negative_sums_and_a_standard_error() -> None:
    camera = Camera(dark_current_e_per_s=0.0)
    image = np.full(LABELS.shape, 98.0)  # below the offset, as read noise brings it
    table = measure(LABELS, image, voxel_size_um=(1, 1), camera=camera)
    assert (table["photons_sum"] < 0).all()
    pixels, efficiency = table["area_um2"], camera.quantum_efficiency
    expected = ((camera.read_noise_e**2 + camera.gain_e_per_adu**2 / 12) * pixels) ** 0.5 / efficiency
    np.testing.assert_allclose(table["photons_sum_standard_error"], expected)


def test_planes_of_a_stack_are_frames_of_the_camera() -> None:
    camera = Camera(**maps(7), row_noise_adu=4.0)
    image = camera.capture(torch.from_numpy(scene(background=2)), rng=8)
    flat = measure(LABELS, image, voxel_size_um=(1, 1), camera=camera, features=LIGHT)
    stack = measure(
        np.stack([LABELS] * 3), torch.stack([image] * 3), voxel_size_um=(1, 1, 1), camera=camera, features=LIGHT
    )
    np.testing.assert_allclose(stack["photons_sum"], 3 * flat["photons_sum"])
    np.testing.assert_allclose(stack["photons_sum_standard_error"], 3**0.5 * flat["photons_sum_standard_error"])


def test_a_camera_needs_every_pixel_of_objects_and_maps_of_the_image() -> None:
    image = scene(background=2)
    with pytest.raises(ValueError, match="offset_adu is a map of shape"):
        measure(LABELS, image, voxel_size_um=(1, 1), camera=Camera(offset_adu=torch.zeros(3, 3)))
    image[3, 4] = np.nan
    with pytest.raises(ValueError, match="intensity is NaN or infinite within objects, the first of them 4: set their"):
        measure(LABELS, image, voxel_size_um=(1, 1), camera=Camera())


@pytest.mark.parametrize("level", [None, 2.0, np.where(LABELS > 0, 2.0, np.nan)])
def test_what_is_missing_outside_of_objects_does_not_matter_to_a_camera(level: float | np.ndarray | None) -> None:
    image = scene(background=2)
    whole = None if level is None else 2.0
    expected = measure(LABELS, image, voxel_size_um=(1, 1), camera=Camera(), background=whole)
    image[LABELS == 0] = np.nan
    image[0, 0] = np.inf
    found = measure(LABELS, image, voxel_size_um=(1, 1), camera=Camera(), background=level)
    pd.testing.assert_frame_equal(found, expected)
    holed = np.where(LABELS == 9, np.nan, 2.0)
    with pytest.raises(ValueError, match="within objects, the first of them 9"):
        measure(LABELS, image, voxel_size_um=(1, 1), camera=Camera(), background=holed)
