import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.measure import regionprops_table

from course_lib import quantification
from course_lib.noise import Camera
from course_lib.parameters import ParameterError
from course_lib.quantification import _objects, measure
from course_lib.quantification._plan import EVERYTHING_BUT_TEXTURE

NUMBERS = np.array([0, 3, 4, 7, 900])
IN_PLANE = hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 4))
STACKS = hnp.arrays(np.int64, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.integers(0, 4))
NAMES_IN_PLANE = {
    "label": "ID",
    "area": "area_um2",
    "centroid-0": "y_um",
    "centroid-1": "x_um",
    "equivalent_diameter_area": "equivalent_diameter_um",
    "axis_major_length": "major_axis_um",
    "extent": "extent",
    "bbox-0": "bbox_y_start_px",
    "bbox-1": "bbox_x_start_px",
    "bbox-2": "bbox_y_stop_px",
    "bbox-3": "bbox_x_stop_px",
}
NAMES_IN_STACK = {
    "label": "ID",
    "area": "volume_um3",
    "centroid-0": "z_um",
    "centroid-1": "y_um",
    "centroid-2": "x_um",
    "equivalent_diameter_area": "equivalent_diameter_um",
    "axis_major_length": "major_axis_um",
    "extent": "extent",
    "bbox-0": "bbox_z_start_px",
    "bbox-5": "bbox_x_stop_px",
}
GEOMETRY = ("geometry",)
ALL = [*EVERYTHING_BUT_TEXTURE, "texture"]


def reference(labels: np.ndarray, *more: str, size: tuple[float, ...], names: dict[str, str]) -> dict[str, np.ndarray]:
    properties = {name.split("-")[0] for name in names} | set(more)
    return regionprops_table(labels, properties=sorted(properties), spacing=size)


def check_columns(table: pd.DataFrame, expected: dict[str, np.ndarray], names: dict[str, str]) -> None:
    for theirs, ours in names.items():
        np.testing.assert_allclose(table[ours], expected[theirs], rtol=1e-9, atol=1e-9, err_msg=ours)


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    """Labels of irregular objects, some at the border, with gaps in their numbers."""
    noise = np.random.default_rng(0).normal(size=(160, 200))
    smooth = ndimage.gaussian_filter(noise, 4)
    labels, _ = ndimage.label(smooth > 0.6 * smooth.std())
    return labels * 3


@settings(max_examples=60, deadline=None)
@given(IN_PLANE)
def test_the_plane_equals_scikit_image_whatever_the_labels(labels: np.ndarray) -> None:
    labels = NUMBERS[labels]
    table = measure(labels, voxel_size_um=(0.3, 0.7), features=GEOMETRY)
    if len(table):
        check_columns(table, reference(labels, size=(0.3, 0.7), names=NAMES_IN_PLANE), NAMES_IN_PLANE)


@settings(max_examples=40, deadline=None)
@given(STACKS)
def test_stacks_equal_scikit_image_whatever_the_labels(labels: np.ndarray) -> None:
    labels = NUMBERS[labels]
    table = measure(labels, voxel_size_um=(0.9, 0.3, 0.4), features=GEOMETRY)
    if len(table):
        check_columns(table, reference(labels, size=(0.9, 0.3, 0.4), names=NAMES_IN_STACK), NAMES_IN_STACK)


def test_objects_of_some_extent_equal_scikit_image_in_minor_axis_orientation_and_eccentricity(
    cells: np.ndarray,
) -> None:
    table = measure(cells, voxel_size_um=(0.5, 0.5))
    expected = regionprops_table(
        cells, properties=["axis_minor_length", "orientation", "eccentricity", "area"], spacing=(0.5, 0.5)
    )
    broad = expected["axis_minor_length"] > 1
    assert broad.sum() > 20
    for theirs, ours in (("axis_minor_length", "minor_axis_um"), ("eccentricity", "eccentricity")):
        np.testing.assert_allclose(table[ours][broad], expected[theirs][broad], rtol=1e-9)
    turned = table["orientation_rad"][broad] - expected["orientation"][broad]
    np.testing.assert_allclose(np.sin(turned), 0, atol=1e-9)  # ±π/2 are the same line


def test_minor_axis_of_stacks_equals_scikit_image() -> None:
    smooth = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(30, 50, 60)), 3)
    labels, _ = ndimage.label(smooth > smooth.std())
    table = measure(labels, voxel_size_um=(1.0, 0.5, 0.5), features=GEOMETRY)
    expected = regionprops_table(labels, properties=["axis_minor_length"], spacing=(1.0, 0.5, 0.5))
    broad = expected["axis_minor_length"] > 1
    assert broad.sum() > 5
    np.testing.assert_allclose(table["minor_axis_um"][broad], expected["axis_minor_length"][broad], rtol=1e-9)


@pytest.mark.parametrize("degrees", [0, 25, 90, 140])
def test_an_ellipse_has_its_axes_and_orientation_with_any_pixels(degrees: float) -> None:
    size_um = (0.2, 0.1)
    y, x = (np.arange(-150, 151) * size + 0.037 for size in size_um)  # in no symmetric place
    angle = np.deg2rad(degrees)
    along = y[:, None] * np.cos(angle) + x * np.sin(angle)
    across = -y[:, None] * np.sin(angle) + x * np.cos(angle)
    (row,) = measure(
        ((along / 9) ** 2 + (across / 4) ** 2 <= 1).astype(int), voxel_size_um=size_um, features=GEOMETRY
    ).to_dict("records")
    assert row["area_um2"] == pytest.approx(np.pi * 36, rel=2e-3)
    assert row["major_axis_um"] == pytest.approx(18, rel=2e-3)
    assert row["minor_axis_um"] == pytest.approx(8, rel=2e-3)
    assert row["eccentricity"] == pytest.approx((1 - (4 / 9) ** 2) ** 0.5, rel=1e-3)
    assert np.sin(row["orientation_rad"] - angle) == pytest.approx(0, abs=2e-3)
    assert row["equivalent_diameter_um"] == pytest.approx(12, rel=1e-3)


def test_an_ellipsoid_has_its_axes_with_elongated_voxels() -> None:
    size_um, semi_axes_um = (0.3, 0.1, 0.15), (6, 8, 4)
    z, y, x = np.ogrid[-22:23, -82:83, -28:29]
    inside = sum((at * s / a) ** 2 for at, s, a in zip((z, y, x), size_um, semi_axes_um, strict=True)) <= 1
    (row,) = measure(inside.astype(int), voxel_size_um=size_um, features=GEOMETRY).to_dict("records")
    assert row["volume_um3"] == pytest.approx(4 / 3 * np.pi * np.prod(semi_axes_um), rel=5e-3)
    assert row["equivalent_diameter_um"] == pytest.approx(2 * np.prod(semi_axes_um) ** (1 / 3), rel=2e-3)
    for name, axis in (("major", 16), ("middle", 12), ("minor", 8)):
        assert row[f"{name}_axis_um"] == pytest.approx(axis, rel=5e-3)


def test_a_pixel_is_a_point_and_a_line_has_no_width() -> None:
    labels = np.zeros((5, 8), int)
    labels[1, 2], labels[3, 1:6] = 1, 2
    table = measure(labels, voxel_size_um=(1, 1), features=GEOMETRY)
    assert table["major_axis_um"].tolist() == [0, pytest.approx(4 * 2**0.5)]  # variance of 0, 1, 2, 3, 4 is 2
    assert table["minor_axis_um"].tolist() == [0, 0]
    assert table["eccentricity"].tolist() == [0, 1]
    assert table["extent"].tolist() == [1, 1]


def test_precision_holds_far_from_the_origin() -> None:
    near, far = np.zeros((40, 60), np.uint8), np.zeros((40, 60_000), np.uint8)
    near[3:9, 5:12] = near[9, 5] = far[3:9, 59_005:59_012] = far[9, 59_005] = 1
    one, other = (measure(labels, voxel_size_um=(0.1, 0.1), features=GEOMETRY).iloc[0] for labels in (near, far))
    for name in ("major_axis_um", "minor_axis_um", "orientation_rad"):
        assert one[name] == pytest.approx(other[name], rel=1e-12)
    assert other["x_um"] - one["x_um"] == pytest.approx(5900)


@settings(max_examples=30, deadline=None)
@given(IN_PLANE, st.sampled_from([np.uint8, np.int16, np.int32, np.uint64, ">i4"]))
def test_neither_the_type_of_labels_nor_their_numbers_matter(labels: np.ndarray, dtype: np.dtype) -> None:
    image = np.random.default_rng(0).normal(size=labels.shape)
    table = measure(labels, image, voxel_size_um=(0.3, 0.3))
    pd.testing.assert_frame_equal(measure(labels.astype(dtype), image, voxel_size_um=(0.3, 0.3)), table)
    renamed = measure(np.array([0, 7, 80, 900, 10**12])[labels], image, voxel_size_um=(0.3, 0.3))
    pd.testing.assert_frame_equal(renamed.drop(columns="ID"), table.drop(columns="ID"))


@settings(max_examples=30, deadline=None)
@given(IN_PLANE)
def test_a_mirrored_image_has_mirrored_positions_and_the_same_shapes(labels: np.ndarray) -> None:
    table = measure(labels, voxel_size_um=(0.3, 0.5))
    mirrored = measure(labels[:, ::-1], voxel_size_um=(0.3, 0.5))
    same = ["ID", "area_um2", "y_um", "major_axis_um", "extent", "touches_border", "neighbours", "perimeter_um"]
    pd.testing.assert_frame_equal(
        mirrored[[*same, "solidity", "circularity"]], table[[*same, "solidity", "circularity"]]
    )
    np.testing.assert_allclose(mirrored["x_um"], (labels.shape[1] - 1) * 0.5 - table["x_um"])


@settings(max_examples=30, deadline=None)
@given(IN_PLANE, st.floats(0.01, 100))
def test_everything_scales_with_the_pixel(labels: np.ndarray, factor: float) -> None:
    one = measure(labels, voxel_size_um=(1, 2))
    other = measure(labels, voxel_size_um=(factor, 2 * factor))
    for name in one.columns[2:]:
        power = 2 if name.endswith("_um2") else 1 if name.endswith("_um") else 0
        np.testing.assert_allclose(other[name], one[name] * factor**power, rtol=1e-9, atol=1e-9 * factor, err_msg=name)


def test_the_border_is_touched_along_every_axis() -> None:
    labels = np.zeros((5, 5, 5), int)
    labels[2, 2, 2], labels[0, 2, 2], labels[2, 4, 2], labels[2, 2, 0] = 1, 2, 3, 4
    assert measure(labels, voxel_size_um=(1, 1, 1))["touches_border"].tolist() == [False, True, True, True]


def test_a_bounding_box_cuts_the_object_out(cells: np.ndarray) -> None:
    for row in measure(cells, voxel_size_um=(1, 1)).to_dict("records"):
        inside = cells[row["bbox_y_start_px"] : row["bbox_y_stop_px"], row["bbox_x_start_px"] : row["bbox_x_stop_px"]]
        assert (inside == row["ID"]).sum() == (cells == row["ID"]).sum() == row["area_um2"]


def test_an_empty_image_has_all_columns_and_no_rows() -> None:
    ones, zeros = np.ones((4, 4), int), np.zeros((4, 4), int)
    full, empty = (measure(labels, ones * 1.0, voxel_size_um=(1, 1), features=ALL) for labels in (ones, zeros))
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    stack = np.zeros((3, 4, 4), int)
    assert len(measure(stack, stack * 1.0, voxel_size_um=(1, 1, 1), camera=Camera())) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (1, 1, 1), (1, 4, 5), (4, 1, 1)])
def test_one_pixel_one_row_one_plane(shape: tuple[int, ...]) -> None:
    labels, image = np.full(shape, 5), np.full(shape, 2.0)
    (row,) = measure(labels, image, voxel_size_um=(0.5,) * len(shape)).to_dict("records")
    assert row["extent"] == row["solidity"] == 1
    assert row["intensity_sum"] == 2 * np.prod(shape)
    assert row["intensity_std"] == 0
    known = {name: value for name, value in row.items() if name not in ("Type", "circularity", "sphericity")}
    assert np.isfinite(list(known.values())).all()


def test_tensors_are_as_good_as_arrays(cells: np.ndarray) -> None:
    image = np.random.default_rng(3).random(cells.shape).astype(np.float32)
    pd.testing.assert_frame_equal(
        measure(torch.from_numpy(cells), torch.from_numpy(image), voxel_size_um=(1, 1)),
        measure(cells, image, voxel_size_um=(1, 1)),
    )


def test_images_stay_as_they_are(cells: np.ndarray) -> None:
    image = np.random.default_rng(3).random(cells.shape)
    before = cells.copy(), image.copy()
    measure(cells, image, voxel_size_um=(1, 1), features=ALL)
    assert np.array_equal(cells, before[0])
    assert np.array_equal(image, before[1])


def test_views_of_images_are_measured_as_copies(cells: np.ndarray) -> None:
    image = np.random.default_rng(3).random(cells.shape)
    pd.testing.assert_frame_equal(
        measure(cells[::2, ::-3].T, image[::2, ::-3].T, voxel_size_um=(1, 1)),
        measure(cells[::2, ::-3].T.copy(), image[::2, ::-3].T.copy(), voxel_size_um=(1, 1)),
    )


@pytest.mark.parametrize("most", [1, 50, 500])
def test_it_does_not_matter_how_objects_are_divided_into_parts(
    cells: np.ndarray, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(3).random(cells.shape)
    given = {"voxel_size_um": (1, 1), "features": ALL, "camera": Camera(row_noise_adu=2.0)}
    whole = measure(cells, image, **given)
    monkeypatch.setattr("course_lib.quantification._objects.PIXELS_OF_A_PART", most)
    assert len(_objects.objects_of(cells).parts()) > 3
    pd.testing.assert_frame_equal(measure(cells, image, **given), whole)


def test_a_table_on_disk_is_the_same(cells: np.ndarray, tmp_path: Path) -> None:
    image = np.random.default_rng(3).normal(size=cells.shape)  # some centres of light are missing
    table = measure(cells, {"dna": image}, voxel_size_um=(1, 1), features=ALL)
    quantification.write_table(tmp_path / "cells.csv", table)
    found = quantification.read_table(tmp_path / "cells.csv")
    pd.testing.assert_frame_equal(found, table)
    assert found.attrs == table.attrs


def test_features_choose_columns_and_a_type_is_written(cells: np.ndarray) -> None:
    table = measure(cells, voxel_size_um=(1, 1), features=[], object_type="nucleus")
    assert list(table) == ["ID", "Type", "area_um2", "y_um", "x_um"]
    assert set(table["Type"]) == {"nucleus"}
    assert list(measure(cells, voxel_size_um=(1, 1), features=["neighbours"]))[5:] == ["neighbours"]
    assert "texture_contrast" not in measure(cells, cells, voxel_size_um=(1, 1))


def test_provenance_is_json_and_names_units(cells: np.ndarray) -> None:
    background = quantification.Background(3.0, 0.1, 0.5)
    table = measure(
        cells,
        {"dna": cells * 1.0, "actin": cells * 2.0},
        voxel_size_um=(0.2, 0.1),
        background={"dna": background, "actin": np.zeros(cells.shape)},
        camera=Camera(offset_adu=torch.full(cells.shape, 10.0)),
    )
    found = json.loads(json.dumps(table.attrs["provenance"], allow_nan=False))
    assert found["voxel_size_um"] == [0.2, 0.1]
    assert found["background"] == {
        "dna": {"level": 3.0, "standard_error": 0.1, "share": 0.5},
        "actin": "an image, taken as known without error",
    }
    assert found["camera"]["offset_adu"] == "map of shape (160, 200)"
    assert found["units"]["photons_sum_standard_error_dna"] == "photons"
    assert found["units"]["perimeter_crofton_um"] == "µm"
    assert set(found["units"]) <= set(table)
    with_unit = [name for name in table if re.search("_(um2?3?|px|rad)$|photons", name)]
    assert set(with_unit) == set(found["units"])


LABELS = np.array([[0, 1], [2, 2]])
SIZE = (1.0, 1.0)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (LABELS.astype(float), TypeError, "float64, but must be whole numbers: labels.astype"),
        (LABELS > 0, TypeError, "mask of True and False.*segmentation.connected"),
        (LABELS - 1, ValueError, "value of -1, but must be at least 0"),
        (LABELS.tolist(), TypeError, "are a list, but must be an array or a tensor"),
        (np.zeros((0, 4), int), ValueError, "without any element: check how they were cropped"),
        (np.zeros((2, 2, 2, 2), int), ValueError, r"shape \(2, 2, 2, 2\).*measure_frames for a time series"),
        (np.zeros(4, int), ValueError, r"shape \(4,\), but must be \(y, x\)"),
        (np.full((2, 2), 2**64 - 1, np.uint64), ValueError, "18446744073709551615, but must be at most"),
    ],
)
def test_bad_labels_are_refused(labels: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        measure(labels, voxel_size_um=SIZE)


@pytest.mark.parametrize(
    ("intensity", "error", "message"),
    [
        (np.zeros((2, 3)), ValueError, r"shape \(2, 3\), but the labels \(2, 2\): take both from the same field"),
        (np.zeros((2, 2, 2)), ValueError, "several channels as a mapping"),
        ({"dna": np.zeros((3, 2))}, ValueError, r"intensity\['dna'\] has shape \(3, 2\)"),
        (LABELS * 1j, TypeError, "complex128, but must be integer or floating point"),
        (LABELS > 0, TypeError, "dtype bool.*a mask has no intensity"),
        ([[0.0, 1.0], [2.0, 3.0]], TypeError, "is a list, but must be an array"),
        ({1: np.zeros((2, 2))}, TypeError, "channel 1, but channels need names"),
        (np.array([[0, 1], [np.nan, 3]]), ValueError, "NaN or infinite within objects, the first of them 2"),
        (
            {"dna": np.array([[0, np.inf], [-np.inf, np.inf]])},
            ValueError,
            r"intensity\['dna'\] is NaN or infinite within objects, the first of them 1",
        ),
    ],
)
def test_bad_intensities_are_refused(intensity: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        measure(LABELS, intensity, voxel_size_um=SIZE)


def test_nan_outside_of_objects_does_no_harm() -> None:
    image = np.array([[np.nan, 1.0], [2.0, 4.0]])
    assert measure(LABELS, image, voxel_size_um=SIZE)["intensity_mean"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("background", "error", "message"),
    [
        (np.nan, ValueError, "background is nan, but must be finite: 0 means none"),
        (np.inf, ValueError, "inf, but must be finite"),
        ("auto", TypeError, "'auto', but must be a number, what estimate_background returns, or an image"),
        (True, TypeError, "True, but must be a number"),
        (np.zeros((2, 3)), ValueError, r"background has shape \(2, 3\), but the labels \(2, 2\)"),
        ({"dna": 1.0}, ValueError, "background has no value for the channel ''"),
        ({"": 1.0, "dna": 1.0}, ValueError, "background has a channel 'dna', but intensity has ''"),
        (quantification.Background(np.nan, 0.1, 0.5), ValueError, "nan, but must be finite"),
    ],
)
def test_bad_backgrounds_are_refused(background: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        measure(LABELS, LABELS * 1.0, voxel_size_um=SIZE, background=background)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"voxel_size_um": (1.0,)}, ValueError, r"there are 2 axes: give \(y, x\) in µm"),
        ({"voxel_size_um": (1.0, 0.0)}, ParameterError, "voxel_size_um is 0 µm"),
        ({"voxel_size_um": 1.0}, TypeError, r"must be \(y, x\) in µm"),
        ({"features": "geometry"}, TypeError, r"must be a list of words: \['geometry'\]"),
        ({"features": ["colour"]}, ValueError, "features has 'colour', but must be of 'geometry', 'outline'"),
        ({"unit": "ADU"}, ValueError, "unit is 'ADU', but must be 'grey' or 'photons'"),
        ({"camera": 3}, TypeError, "camera is a int, but must be a course_lib.noise.Camera"),
        ({"camera": Camera(), "unit": "photons"}, ValueError, "leave out the camera where the image is in photons"),
        ({"neighbour_distance_um": -1.0}, ParameterError, "neighbour_distance_um is -1 µm"),
        ({"neighbour_distance_um": np.nan}, ParameterError, "neighbour_distance_um is nan"),
        ({"exposure_ms": -1.0, "camera": Camera()}, ParameterError, "exposure_ms is -1 ms"),
    ],
)
def test_bad_settings_are_refused(given: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        measure(LABELS, LABELS, **{"voxel_size_um": SIZE} | given)
