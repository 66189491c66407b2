"""What all metrics of an estimate and its truth share: batches, and the errors for bad images."""

import pytest
import torch

from course_lib import metrics


def psnr(estimate, truth, **dimensions):
    return metrics.psnr(estimate, truth, data_range=1.0, **dimensions)


def ssim(estimate, truth, **dimensions):
    return metrics.ssim(estimate, truth, data_range=1.0, **dimensions)


def unbiased_mse(estimate, reference, **dimensions):
    return metrics.unbiased_mse(estimate, reference, noise_variance=0.01, **dimensions)


every_metric = pytest.mark.parametrize(
    "metric", [metrics.normalized_squared_error, metrics.nrmse, psnr, metrics.si_psnr, ssim, unbiased_mse]
)


def images(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    truth = torch.rand(shape, generator=rng)
    return truth + 0.1 * torch.randn(shape, generator=rng), truth


@every_metric
def test_a_batch_equals_its_images_one_by_one(metric):
    estimate, truth = images(2, 3, 12, 16)
    one_by_one = torch.tensor(
        [[metric(estimate[i, j], truth[i, j]) for j in range(3)] for i in range(2)], dtype=torch.float64
    )
    torch.testing.assert_close(metric(estimate, truth), one_by_one, rtol=1e-12, atol=0)


@every_metric
def test_a_stack_is_one_image_in_three_dimensions(metric):
    estimate, truth = images(2, 12, 12, 16)
    assert metric(estimate, truth, dimensions=3).shape == (2,)
    first = metric(estimate[0], truth[0], dimensions=3)
    torch.testing.assert_close(metric(estimate, truth, dimensions=3)[0], first, rtol=1e-12, atol=0)


@every_metric
def test_sums_of_float32_images_are_accumulated_in_float64(metric):
    estimate, truth = images(40, 30)
    expected = metric(estimate.double(), truth.double())
    torch.testing.assert_close(metric(estimate, truth), expected, rtol=0, atol=0)


@every_metric
def test_images_are_left_as_they_were(metric):
    estimate, truth = images(12, 16)
    copies = estimate.clone(), truth.clone()
    metric(estimate, truth)
    assert torch.equal(estimate, copies[0])
    assert torch.equal(truth, copies[1])


@every_metric
def test_shapes_must_agree(metric):
    with pytest.raises(ValueError, match=r"estimate has shape \(12, 16\), but (truth|reference) has \(12, 15\).*crop"):
        metric(torch.ones(12, 16), torch.ones(12, 15))


@every_metric
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_values_must_be_finite(metric, bad):
    estimate, truth = images(12, 16)
    estimate[3, 4] = bad
    with pytest.raises(ValueError, match="estimate has 1 values that are NaN or infinite"):
        metric(estimate, truth)
    with pytest.raises(ValueError, match=r"(truth|reference) has 1 values that are NaN or infinite"):
        metric(truth, estimate)


@every_metric
def test_images_must_have_pixels(metric):
    with pytest.raises(ValueError, match=r"estimate has shape \(0, 16\), without any element"):
        metric(torch.ones(0, 16), torch.ones(0, 16))


@every_metric
def test_images_must_have_two_axes(metric):
    with pytest.raises(ValueError, match=r"estimate has shape \(16,\), but needs at least 2 axes"):
        metric(torch.ones(16), torch.ones(16))


@every_metric
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_images_must_be_floating_point(metric, dtype):
    with pytest.raises(TypeError, match=r"(truth|reference) has dtype .*\.float\(\) converts it"):
        metric(torch.ones(12, 16), torch.ones(12, 16, dtype=dtype))


@every_metric
def test_dimensions_are_two_or_three(metric):
    with pytest.raises(ValueError, match=r"dimensions is 1, but must be 2 \(images\) or 3 \(stacks\)"):
        metric(*images(12, 16), dimensions=1)


@pytest.mark.parametrize("metric", [metrics.psnr, metrics.ssim])
@pytest.mark.parametrize(
    ("data_range", "message"),
    [
        (0.0, "data_range is 0, but must be above 0: pass the largest minus the smallest"),
        (-1.0, "data_range is -1, but must be above 0"),
        (torch.nan, "data_range is nan, but must be a finite number"),
        (torch.inf, "data_range is inf, but must be a finite number"),
    ],
)
def test_the_range_must_be_above_zero(metric, data_range, message):
    with pytest.raises(ValueError, match=message):
        metric(*images(12, 16), data_range=data_range)
