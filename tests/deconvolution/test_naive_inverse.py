import numpy as np
import torch

from course_lib.deconvolution import Blur, naive_inverse, tikhonov
from synthetic import gaussian


def blurred_square(psf: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.full((64, 64), 20.0).double()
    truth[20:44, 20:44] = 1000
    return truth, Blur(psf, (64, 64), boundary="circular")(truth)


def test_noise_explodes() -> None:
    psf = gaussian((15, 15), 1.5)
    truth, image = blurred_square(psf)
    noisy = torch.poisson(image, generator=torch.Generator().manual_seed(0))
    error = float((naive_inverse(noisy, psf, boundary="circular") - truth).square().mean().sqrt())
    assert error > 1000 * float((noisy - truth).square().mean().sqrt())
    kept = tikhonov(noisy, psf, regularization=0.01, boundary="circular")
    assert float((kept - truth).square().mean().sqrt()) < float((noisy - truth).square().mean().sqrt())


def test_the_gain_on_white_noise_is_that_of_one_over_h() -> None:
    """By Parseval, the variance rises by the mean of 1/|H|², which one noisy voxel shows."""
    psf = gaussian((7, 7), 0.8)
    one = torch.zeros(16, 16).double()
    one[3, 5] = 1
    placed = np.zeros((16, 16))
    placed[:7, :7] = psf.numpy()
    gain = float(np.mean(1 / np.abs(np.fft.fft2(placed)) ** 2))
    assert gain > 100
    np.testing.assert_allclose(float(naive_inverse(one, psf, boundary="circular").square().sum()), gain, rtol=1e-9)


def test_rounding_is_noise_enough() -> None:
    psf = gaussian((15, 15), 1.5)
    truth, image = blurred_square(psf)
    exact = naive_inverse(image, psf, boundary="circular")
    torch.testing.assert_close(exact, truth, atol=1e-3, rtol=0)
    rounded = naive_inverse(image.float(), psf.float(), boundary="circular")
    assert float((rounded - truth).abs().max()) > 100


def test_where_nothing_passed_the_result_is_0() -> None:
    """Two voxels summed pass nothing of the wave + - + -, in numbers of the computer exactly nothing."""
    psf = torch.tensor([[0.5, 0.5]])
    image = torch.rand(4, 16, generator=torch.Generator().manual_seed(0))
    assert float(Blur(psf, (4, 16), boundary="circular").transfer[0, -1].abs()) == 0
    restored = naive_inverse(image, psf, boundary="circular")
    assert bool(torch.isfinite(restored).all())
    wave = torch.tensor([1.0, -1.0]).repeat(8)
    torch.testing.assert_close((restored * wave).sum(dim=1), torch.zeros(4), atol=1e-4, rtol=0)


def test_tiny_transfers_do_not_overflow() -> None:
    psf = gaussian((33, 33), 8.0)
    for dtype in (torch.float32, torch.float64):
        for scale in (1e-30, 1.0, 1e6):
            noise = scale * torch.rand(40, 40, generator=torch.Generator().manual_seed(0)).to(dtype)
            assert bool(torch.isfinite(naive_inverse(noise, psf.to(dtype))).all())
