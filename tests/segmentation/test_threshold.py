import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import filters

from course_lib import segmentation

GLOBAL = ["otsu", "li", "triangle"]
IMAGES = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=12), elements=st.integers(-50, 200)
).filter(lambda image: image.min() < image.max())


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    """Two bright discs and a dim one on a noisy background."""
    y, x = np.mgrid[:96, :128]
    image = np.random.default_rng(0).normal(10, 1, (96, 128))
    for at_y, at_x, brightness in ((30, 30, 80), (60, 90, 60), (30, 95, 15)):
        image += brightness * (np.hypot(y - at_y, x - at_x) < 10)
    return image.astype(np.float32)


@pytest.mark.parametrize(
    ("method", "reference"),
    [("otsu", filters.threshold_otsu), ("li", filters.threshold_li), ("triangle", filters.threshold_triangle)],
)
def test_levels_are_those_of_scikit_image(blobs: np.ndarray, method: str, reference) -> None:
    level = segmentation.threshold_level(blobs, method=method)
    assert level == pytest.approx(reference(blobs.astype(np.float64)), abs=0.01)
    assert np.array_equal(segmentation.threshold(blobs, method=method), blobs > level)


def test_otsu_has_the_greatest_variance_between_the_classes(blobs: np.ndarray) -> None:
    values = blobs.ravel()

    def between(level: float) -> float:
        above = values > level
        return above.mean() * (1 - above.mean()) * (values[above].mean() - values[~above].mean()) ** 2

    greatest = max(between(level) for level in np.linspace(values.min(), values.max(), 500)[1:-1])
    assert between(segmentation.threshold_level(blobs)) > 0.999 * greatest


def test_li_solves_its_equation(blobs: np.ndarray) -> None:
    from_zero = blobs.astype(np.float64) - blobs.min()
    level = segmentation.threshold_level(from_zero, method="li")
    dark, bright = from_zero[from_zero <= level].mean(), from_zero[from_zero > level].mean()
    assert level == pytest.approx((bright - dark) / (np.log(bright) - np.log(dark)), rel=0.01)


def test_otsu_loses_the_dim_disc_and_the_local_level_keeps_it(blobs: np.ndarray) -> None:
    assert not segmentation.threshold(blobs)[26:35, 91:100].any()
    local = segmentation.threshold(blobs, method="local", window_um=4, offset=3, voxel_size_um=(0.1, 0.1))
    assert local[26:35, 91:100].all()
    assert local[26:35, 26:35].all()
    assert local[80:, :40].mean() < 0.01


@pytest.mark.parametrize("window", [3, 9, 21])
def test_local_is_the_box_mean_of_scikit_image(blobs: np.ndarray, window: int) -> None:
    values = blobs.astype(np.float64)
    expected = values > filters.threshold_local(values, window, method="mean", offset=-2)
    found = segmentation.threshold(
        values, method="local", window_um=window * 0.25, offset=2, voxel_size_um=(0.25, 0.25)
    )
    assert np.array_equal(found, expected)


def test_the_window_is_as_long_in_depth_as_in_width() -> None:
    image = np.random.default_rng(0).random((9, 21, 21))
    found = segmentation.threshold(image, method="local", window_um=3, voxel_size_um=(1.0, 0.2, 0.2))
    padded = np.pad(image, ((1, 1), (7, 7), (7, 7)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 15, 15))
    assert np.array_equal(found, image > windows.mean(axis=(-3, -2, -1)))


def test_flat_parts_are_not_brighter_than_themselves() -> None:
    image = np.zeros((60, 60))
    image[20:23, 20:23] = 0.1
    found = segmentation.threshold(image, method="local", window_um=7, voxel_size_um=(1, 1))
    assert np.array_equal(found, image > 0)


@pytest.mark.parametrize("method", [*GLOBAL, "local"])
@settings(max_examples=30, deadline=None)
@given(image=IMAGES, scale=st.sampled_from([0.5, 4.0]), shift=st.integers(-100, 100))
def test_units_and_offsets_do_not_matter(method: str, image: np.ndarray, scale: float, shift: int) -> None:
    window = {"window_um": 3.0, "voxel_size_um": (1.0,) * image.ndim} if method == "local" else {}
    found = segmentation.threshold(image, method=method, **window)
    again = segmentation.threshold(torch.from_numpy(image * scale + shift), method=method, **window)
    assert found.dtype == np.bool_
    assert found.shape == image.shape
    assert np.array_equal(found, again)


@pytest.mark.parametrize("method", GLOBAL)
@settings(max_examples=30, deadline=None)
@given(image=IMAGES)
def test_the_brightest_is_object_and_the_darkest_is_not(method: str, image: np.ndarray) -> None:
    mask = segmentation.threshold(image, method=method)
    assert mask[image == image.max()].all()
    assert not mask[image == image.min()].any()


def test_whole_numbers_and_tensors_give_the_same(blobs: np.ndarray) -> None:
    counts = np.clip(blobs, 0, 255).astype(np.uint8)
    expected = segmentation.threshold(counts.astype(np.float32))
    for image in (counts, torch.from_numpy(counts), counts.astype(np.int64)):
        assert np.array_equal(segmentation.threshold(image), expected)


@pytest.mark.parametrize("method", [*GLOBAL, "local"])
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((4, 4), 7.0), r"image has the value 7 everywhere, .* leave such a field out"),
        (np.array([[1.0, np.nan]]), r"image has 1 values that are NaN or infinite: replace them"),
        (np.zeros((0, 4)), r"image has shape \(0, 4\), without any element"),
        (np.zeros(4), r"image has shape \(4,\), but must be \(y, x\) or \(z, y, x\)"),
        (np.zeros((2, 2, 2, 2)), r"choose one time and channel"),
    ],
)
def test_bad_images(method: str, image: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        segmentation.threshold(image, method=method, **_window(method))


def _window(method: str) -> dict:
    return {"window_um": 2, "voxel_size_um": (1, 1)} if method == "local" else {}


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ones((4, 4), np.bool_), r"image has dtype bool, but must be an integer or floating-point type"),
        (np.ones((4, 4), np.complex64), r"image has dtype complex64"),
        ([[1.0, 2.0]], r"image is a list, but must be a tensor or a NumPy array: np.asarray\(image\)"),
    ],
)
def test_what_is_no_image(image: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        segmentation.threshold(image)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "Otsu"}, r"method is 'Otsu', but must be one of 'otsu', 'li', 'triangle', 'local'"),
        ({"method": "local"}, r"the method 'local' needs both: a window of 1.5 to 3 times"),
        ({"method": "li", "window_um": 3}, r"the method 'li' has one level for the whole image: leave them out"),
        ({"offset": 3}, r"window_um is None and offset 3, but the method 'otsu' has one level"),
        ({"method": "local", "window_um": 0, "voxel_size_um": (1, 1)}, r"window_um is 0 µm, but must be at least"),
        ({"method": "local", "window_um": 3, "voxel_size_um": (1, 1, 1)}, r"with 3 sizes, but there are 2 axes"),
        ({"method": "local", "window_um": 3, "voxel_size_um": (1, 0)}, r"voxel_size_um is 0 µm, but must be at least"),
        (
            {"method": "local", "window_um": 3, "offset": float("nan"), "voxel_size_um": (1, 1)},
            r"offset is nan, but must be a finite number",
        ),
    ],
)
def test_bad_settings(blobs: np.ndarray, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        segmentation.threshold(blobs, **arguments)


def test_one_number_is_no_voxel_size(blobs: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"voxel_size_um is 0.1, but must be \(y, x\) in µm, one for each axis"):
        segmentation.threshold(blobs, method="local", window_um=3, voxel_size_um=0.1)  # type: ignore[arg-type]


def test_a_level_needs_a_global_method(blobs: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"method is 'local', but must be one of 'otsu', 'li', 'triangle'"):
        segmentation.threshold_level(blobs, method="local")  # type: ignore[arg-type]
