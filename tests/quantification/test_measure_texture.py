import numpy as np
import pytest
from skimage.feature import graycomatrix, graycoprops

from course_lib.quantification import measure

TEXTURE = ("texture",)
ANGLES = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]


def texture(labels: np.ndarray, image: np.ndarray, *size_um: float) -> dict[str, np.ndarray]:
    table = measure(labels, image, voxel_size_um=size_um, features=TEXTURE)
    return {name: table[f"texture_{name}"].to_numpy() for name in ("contrast", "correlation", "entropy_bits")}


@pytest.mark.parametrize("number", [2, 5, 8])
def test_single_objects_equal_the_cooccurrence_matrix_of_scikit_image(number: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.kron(rng.permutation(np.arange(1, 10)).reshape(3, 3), np.ones((12, 15), int))
    labels[rng.random(labels.shape) < 0.2] = 0
    image = np.clip(rng.integers(0, 16, labels.shape) // 2 + np.indices(labels.shape)[1] % 9, 0, 15)
    for each in range(1, 10):  # so that the sixteen levels are the grey values
        at = np.argwhere(labels == each)
        image[tuple(at[0])], image[tuple(at[-1])] = 0, 15
    found = texture(labels, image, 1, 1)
    inside = np.where(labels == number, image + 1, 0).astype(np.uint8)
    counted = graycomatrix(inside, [1], ANGLES, levels=17, symmetric=True)[1:, 1:, 0].sum(axis=-1, dtype=float)
    matrix = (counted / counted.sum())[:, :, None, None]
    assert found["contrast"][number - 1] == pytest.approx(graycoprops(matrix, "contrast")[0, 0])
    assert found["correlation"][number - 1] == pytest.approx(graycoprops(matrix, "correlation")[0, 0])
    positive = matrix[matrix > 0]
    assert found["entropy_bits"][number - 1] == pytest.approx(-(positive * np.log2(positive)).sum())


def test_a_stack_is_the_mean_of_its_planes() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(size=(3, 20, 30))
    labels = np.ones(image.shape, int)
    planes = [texture(labels[0], plane, 1, 1)["contrast"][0] for plane in image]
    assert texture(labels, image, 5, 1, 1)["contrast"][0] == pytest.approx(np.mean(planes))


def test_independent_noise_adds_twice_its_variance_and_correlates_with_nothing() -> None:
    labels = np.repeat(np.arange(1, 5), 100)[None].repeat(200, axis=0)
    noise = np.random.default_rng(2).normal(0, 3, labels.shape)
    found = texture(labels, noise, 1, 1)
    pairs = 4 * 200 * 100
    assert found["contrast"] == pytest.approx(2 * 9, rel=5 * (3 / pairs) ** 0.5)
    assert np.abs(found["correlation"]).max() < 5 / pairs**0.5
    smooth = texture(labels, np.sin(np.indices(labels.shape)[1] / 8), 1, 1)
    assert smooth["correlation"].min() > 0.99


def test_an_even_object_has_no_contrast_no_entropy_and_no_correlation() -> None:
    found = texture(np.ones((5, 6), int), np.full((5, 6), 7.0), 1, 1)
    assert found["contrast"] == found["entropy_bits"] == [0]
    assert np.isnan(found["correlation"]).all()


def test_without_pairs_there_is_no_texture() -> None:
    labels = np.array([[1, 0, 2, 2]])
    found = texture(labels, np.array([[1.0, 0.0, 2.0, 4.0]]), 1, 1)
    assert np.isnan([values[0] for values in found.values()]).all()
    assert found["contrast"][1] == 4
    assert found["entropy_bits"][1] == 1  # (low, high) and (high, low)


def test_offset_and_scale_change_what_they_should() -> None:
    rng = np.random.default_rng(3)
    labels, image = np.ones((30, 30), int), rng.normal(size=(30, 30))
    one, other = texture(labels, image, 1, 1), texture(labels, 4 * image + 100, 1, 1)
    assert other["contrast"] == pytest.approx(16 * one["contrast"])
    assert other["correlation"] == pytest.approx(one["correlation"])
    assert other["entropy_bits"] == pytest.approx(one["entropy_bits"])


def test_a_background_changes_nothing() -> None:
    labels, image = np.ones((9, 9), int), np.random.default_rng(4).normal(size=(9, 9))
    plain = measure(labels, image, voxel_size_um=(1, 1), features=TEXTURE)
    corrected = measure(labels, image, voxel_size_um=(1, 1), features=TEXTURE, background=5.0)
    np.testing.assert_allclose(corrected.iloc[0, 2:].astype(float), plain.iloc[0, 2:].astype(float))
