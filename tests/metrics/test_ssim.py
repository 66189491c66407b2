import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from course_lib.metrics import ssim


def images(seed: int, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    truth = torch.rand(shape, generator=rng, dtype=torch.float64)
    return 0.8 * truth + 0.2 * torch.randn(shape, generator=rng, dtype=torch.float64), truth


def of_scikit_image(estimate: torch.Tensor, truth: torch.Tensor, data_range: float) -> float:
    return structural_similarity(
        truth.numpy(),
        estimate.numpy(),
        data_range=data_range,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    height=st.integers(11, 30),
    width=st.integers(11, 30),
    data_range=st.sampled_from([0.5, 1.0, 255.0]),
)
def test_equals_scikit_image_in_two_dimensions(seed, height, width, data_range):
    estimate, truth = images(seed, height, width)
    expected = of_scikit_image(estimate, truth, data_range)
    assert float(ssim(estimate, truth, data_range=data_range)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shape", [(11, 11, 11), (12, 16, 19)])
def test_equals_scikit_image_in_three_dimensions(shape):
    estimate, truth = images(0, *shape)
    expected = of_scikit_image(estimate, truth, 1.0)
    assert float(ssim(estimate, truth, data_range=1.0, dimensions=3)) == pytest.approx(expected, abs=1e-9)


def test_float32_camera_units_agree_with_scikit_image():
    estimate, truth = (100 + 4000 * image.float() for image in images(0, 40, 50))
    expected = of_scikit_image(estimate.double(), truth.double(), 4000.0)
    assert float(ssim(estimate, truth, data_range=4000.0)) == pytest.approx(expected, abs=1e-6)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_is_symmetric_and_one_for_equal_images(seed):
    estimate, truth = images(seed, 16, 16)
    there, back = ssim(estimate, truth, data_range=1.0), ssim(truth, estimate, data_range=1.0)
    torch.testing.assert_close(there, back, rtol=1e-12, atol=0)
    assert there < 1
    assert float(ssim(truth, truth, data_range=1.0)) == pytest.approx(1, abs=1e-12)


def test_an_inverted_image_is_negative():
    _, truth = images(0, 32, 32)
    assert ssim(1 - truth, truth, data_range=1.0) < -0.5


def test_the_range_alone_decides_how_similar_one_pair_is():
    estimate, truth = images(0, 32, 32)
    scores = [float(ssim(200 * estimate, 200 * truth, data_range=r)) for r in (1.0, 200.0, 65535.0)]
    assert scores == sorted(scores)
    assert scores[2] > 0.99 > scores[1] > scores[0]


@pytest.mark.parametrize(("shape", "dimensions"), [((10, 30), 2), ((30, 10), 2), ((8, 30, 30), 3)])
def test_images_must_be_as_large_as_the_window(shape, dimensions):
    with pytest.raises(ValueError, match=rf"its last {dimensions} axes must have at least 11 pixels each"):
        ssim(*images(0, *shape), data_range=1.0, dimensions=dimensions)
