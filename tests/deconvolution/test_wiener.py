import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from skimage import restoration

from course_lib.deconvolution import Blur, estimate_noise_to_signal, tikhonov, wiener
from synthetic import counts, gaussian, random, widefield_plane


def normal(shape: tuple[int, ...], *, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def frequency(shape: tuple[int, ...], voxel_size: tuple[float, ...]) -> torch.Tensor:
    """Return |f| of the half-spectrum, and the lowest one instead of 0."""
    axes = [np.fft.fftfreq(side, size) for side, size in zip(shape, voxel_size, strict=True)]
    axes[-1] = np.abs(axes[-1][: shape[-1] // 2 + 1])
    squared = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))
    values = np.sqrt(squared)
    values.flat[0] = np.inf
    values.flat[0] = values.min()
    return torch.from_numpy(values)


def field(spectrum: torch.Tensor, shape: tuple[int, ...], *, seed: int) -> torch.Tensor:
    """Draw a stationary random object with the power `spectrum` per voxel."""
    dims = tuple(range(-len(shape), 0))
    return torch.fft.irfftn(torch.fft.rfftn(normal(shape, seed=seed), dim=dims) * spectrum.sqrt(), s=shape, dim=dims)


def error(estimate: torch.Tensor, truth: torch.Tensor) -> float:
    return float(((estimate - truth).square().sum() / truth.square().sum()).sqrt())


@pytest.mark.parametrize("boundary", ["linear", "circular"])
def test_a_constant_ratio_is_tikhonov(boundary: str) -> None:
    psf, image = random((4, 5), seed=0), random((2, 11, 12), seed=1)
    psf = psf / psf.sum()
    expected = tikhonov(image, psf, regularization=0.07, boundary=boundary)
    half = Blur(psf, (11, 12), boundary=boundary).transfer.shape
    for ratio in (0.07, torch.tensor(0.07), torch.full(half, 0.07), torch.full((2, *half), 0.07).double()):
        restored = wiener(image, psf, noise_to_signal=ratio, boundary=boundary)
        torch.testing.assert_close(restored, expected, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("shape", [(16, 17), (17, 16), (6, 9, 10)])
def test_a_ratio_for_each_frequency_against_skimage(shape: tuple[int, ...]) -> None:
    psf, image = random((3, 4, 5)[-len(shape) :], seed=0), random(shape, seed=1)
    psf = psf / psf.sum()
    ratio = 0.01 + frequency(shape, (1.0,) * len(shape)) ** 2
    expected = restoration.wiener(
        image.numpy(), psf.numpy(), balance=1.0, reg=ratio.sqrt().numpy().astype(complex), clip=False
    )
    restored = wiener(image, psf, noise_to_signal=ratio, boundary="circular")
    np.testing.assert_allclose(restored.numpy(), expected, atol=1e-12)


def test_the_mean_squared_error_is_the_least_that_theory_allows() -> None:
    shape, draws, noise = (32, 32), 40, 4.0
    psf = gaussian((9, 9), 1.2)
    transfer = Blur(psf, shape, boundary="circular").transfer.abs() ** 2
    signal = 0.5 * frequency(shape, (1.0, 1.0)) ** -2
    truth = torch.stack([field(signal, shape, seed=seed) for seed in range(draws)])
    image = Blur(psf, shape, boundary="circular")(truth) + math.sqrt(noise) * normal((draws, *shape), seed=100)

    def mse(ratio: torch.Tensor | float) -> tuple[float, float]:
        restored = wiener(image, psf, noise_to_signal=ratio, boundary="circular")
        each = (restored - truth).square().mean(dim=(1, 2))
        return float(each.mean()), float(each.std() / math.sqrt(draws))

    twice = torch.full((17,), 2.0).double()  # the half-spectrum stands for both halves
    twice[0] = twice[-1] = 1
    theory = float((twice * signal * noise / (transfer * signal + noise)).sum()) / 32**2
    least, standard_error = mse(noise / signal)
    assert abs(least - theory) < 4 * standard_error
    for factor in (0.25, 4.0):
        assert mse(factor * noise / signal)[0] > 1.02 * least
    assert min(mse(10.0**power)[0] for power in np.arange(-3, 2, 0.25)) > 1.05 * least


@pytest.mark.parametrize("slope", [1.0, 2.0, 3.0])
def test_the_spectrum_of_an_object_is_found(slope: float) -> None:
    """A power law beneath photon noise: the ratio is n f^p / a, within the error of so many frequencies."""
    shape, mean = (128, 128), 400.0
    psf = gaussian((11, 11), 1.3)
    f = frequency(shape, (1.0, 1.0))
    signal = 1e6 * (f / 0.01) ** -slope
    signal[0, 0] = 0
    signal = signal * (60.0**2 / float(field(signal, shape, seed=0).var()))
    truth = mean + field(signal, shape, seed=1)
    expected = Blur(psf, shape, boundary="circular")(truth).clamp(min=0)
    image = torch.poisson(expected, generator=torch.Generator().manual_seed(2))
    ratio = estimate_noise_to_signal(image, psf, boundary="circular")
    assert float(ratio[0, 0]) == 0
    assert ratio.shape == (128, 65)
    told = (f > 0.02) & (f < 0.2)
    off = torch.log((ratio - ratio.flatten()[1:].min())[told] / (float(image.mean()) / signal[told]))
    assert float(off.abs().median()) < 0.2
    true = wiener(image, psf, noise_to_signal=mean / signal.clamp(min=1e-9), background=0.0, boundary="circular")
    found = wiener(image, psf, boundary="circular")
    assert float((found - truth).std()) < 1.03 * float((true - true.mean() + truth.mean() - truth).std())


@pytest.mark.parametrize("photons", [20, 200, 2000])
@pytest.mark.parametrize("name", ["filaments", "nuclei", "beads"])
def test_it_needs_no_truth_to_do_as_well_as_the_best_constant(name: str, photons: int) -> None:
    image, psf, truth = widefield_plane(name, photons=photons)
    best = min(
        error(tikhonov(image, psf, regularization=10.0**power, background=2.0), truth)
        for power in np.arange(-5, 1, 0.25)
    )
    gain = {"filaments": 1.0, "nuclei": 0.97, "beads": 1.03}[name]
    assert error(wiener(image, psf, background=2.0), truth) < gain * best


def test_photons_are_kept() -> None:
    psf = gaussian((9, 9), 1.5)
    image = torch.poisson(100 * random((40, 41), seed=0), generator=torch.Generator().manual_seed(0))
    restored = wiener(image, psf, background=3.0, boundary="circular")
    assert float(restored.sum()) == pytest.approx(float((image - 3).sum()), rel=1e-12)


def test_noise_without_signal_is_flattened() -> None:
    psf = gaussian((9, 9), 1.5)
    image = torch.poisson(torch.full((64, 64), 50.0), generator=torch.Generator().manual_seed(0)).double()
    assert float(wiener(image, psf, boundary="circular").std()) < 1e-3 * float(image.std())
    assert float(wiener(image, psf).std()) < 0.3 * float(image.std())  # the ramps repeat the borders' noise


def test_read_noise_raises_the_ratio() -> None:
    psf = gaussian((9, 9), 1.0)
    truth = torch.full((64, 64), 2.0).double()
    truth[20:40, 20:40] = 20
    mean = Blur(psf, (64, 64), boundary="circular")(truth).clamp(min=0)
    image = torch.poisson(mean, generator=torch.Generator().manual_seed(0)) + 3 * normal((64, 64), seed=1)
    ignored = wiener(image, psf, boundary="circular")
    known = wiener(image, psf, read_noise_e=3.0, boundary="circular")
    assert error(known, truth) < 0.8 * error(ignored, truth)


def test_the_unit_of_length_does_not_matter_but_its_ratio_does() -> None:
    psf = gaussian((5, 5, 5), 1.0)
    truth = torch.full((9, 14, 15), 10.0).double()
    truth[2:6, 3:9, 4:11] = 90
    image = torch.poisson(truth, generator=torch.Generator().manual_seed(0))
    in_um = wiener(image, psf, voxel_size_um=(0.3, 0.1, 0.1))
    torch.testing.assert_close(in_um, wiener(image, psf, voxel_size_um=(3.0, 1.0, 1.0)))
    cubes = wiener(image, psf, voxel_size_um=(1.0, 1.0, 1.0))
    torch.testing.assert_close(cubes, wiener(image, psf, voxel_size_um=(0.2, 0.2, 0.2)))
    assert float((in_um - cubes).abs().max()) > 0.1


@pytest.mark.parametrize("method", [wiener, estimate_noise_to_signal])
def test_a_stack_without_voxel_size_is_warned_of(method: Callable[..., torch.Tensor]) -> None:
    psf, image = gaussian((3, 3, 3), 1.0), torch.full((4, 6, 7), 10.0).double()
    with pytest.warns(UserWarning, match=r"voxel_size_um is None, so that voxels are taken as cubes") as told:
        cubes = method(image, psf)
    assert told[0].filename == __file__
    torch.testing.assert_close(cubes, method(image, psf, voxel_size_um=(1, 1, 1)))


@pytest.mark.parametrize("method", [wiener, estimate_noise_to_signal])
def test_an_image_that_is_hardly_in_photons_is_warned_of(method: Callable[..., torch.Tensor]) -> None:
    psf, image = gaussian((3, 3), 1.0), random((8, 9), seed=0)
    with pytest.warns(
        UserWarning, match=r"image reaches 0\.\d+, but must be in photons detected.*to_electrons"
    ) as told:
        method(0.4 * image, psf)
    assert told[0].filename == __file__
    method(100 * image, psf)  # warnings are errors


def test_a_ratio_that_is_given_needs_neither_photons_nor_voxels() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        restored = wiener(0.1 * random((4, 6, 7), seed=0), gaussian((3, 3, 3), 1.0), noise_to_signal=0.1)
    assert bool(torch.isfinite(restored).all())


def test_no_object_is_taken_to_have_more_power_at_higher_frequencies() -> None:
    shape, psf = (48, 48), gaussian((5, 5), 0.5)
    blue = field(frequency(shape, (1.0, 1.0)) ** 2, shape, seed=0)
    mean = Blur(psf, shape, boundary="circular")(500 + 150 * blue / blue.std()).clamp(min=0)
    image = torch.poisson(mean, generator=torch.Generator().manual_seed(0))
    ratio = estimate_noise_to_signal(image, psf, boundary="circular").flatten()[1:]
    torch.testing.assert_close(ratio, ratio[0].expand(ratio.shape))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [100.0, 1e8])
def test_the_ratio_of_an_object_without_detail_is_finite(dtype: torch.dtype, mean: float) -> None:
    wave = torch.cos(2 * math.pi * torch.arange(64) / 64).expand(64, 64)
    image, psf = (mean * (1 + 0.9 * wave)).to(dtype), gaussian((9, 9), 1.5).to(dtype)
    ratio = estimate_noise_to_signal(image, psf, boundary="circular")
    assert bool(torch.isfinite(ratio).all())
    restored = wiener(image, psf, noise_to_signal=ratio, boundary="circular")
    torch.testing.assert_close(restored, wiener(image, psf, boundary="circular"), rtol=0, atol=0)
    transfer = float(Blur(psf, (64, 64), boundary="circular").transfer[0, 1].abs())
    torch.testing.assert_close(restored, (mean * (1 + 0.9 / transfer * wave)).to(dtype), rtol=0, atol=1e-3 * mean)


@pytest.mark.parametrize("seed", range(20))
def test_where_all_passes_the_smallest_error_of_the_transfer_is_taken(seed: int) -> None:
    """For a PSF of one voxel all are equally likely, and rounding would choose one."""
    image, one = counts((9, 10), seed=seed), torch.ones(1, 1, dtype=torch.float64)
    ratio = estimate_noise_to_signal(image, one, boundary="circular")
    moved = estimate_noise_to_signal(image.roll((2, 5), (0, 1)), one, boundary="circular")
    torch.testing.assert_close(moved, ratio, rtol=1e-9, atol=0)


def test_an_anisotropic_stack_needs_its_voxel_size() -> None:
    """An object that looks alike in all directions of space does not do so in voxels."""
    shape, voxel_size = (24, 48, 48), (0.4, 0.1, 0.1)
    psf = gaussian((7, 7, 7), 1.0)
    signal = frequency(shape, voxel_size) ** -3
    signal.view(-1)[0] = 0
    truth = 100 + 20 * torch.nn.functional.normalize(field(signal, shape, seed=0).flatten(), dim=0).reshape(
        shape
    ) * math.sqrt(math.prod(shape))
    mean = Blur(psf, shape, boundary="circular")(truth).clamp(min=0)
    image = torch.poisson(mean, generator=torch.Generator().manual_seed(1))
    in_um = wiener(image, psf, voxel_size_um=voxel_size, boundary="circular")
    as_cubes = wiener(image, psf, voxel_size_um=(1, 1, 1), boundary="circular")
    assert float((in_um - truth).std()) < 0.98 * float((as_cubes - truth).std())


def test_the_estimate_is_that_of_each_image() -> None:
    psf = gaussian((5, 5), 1.0)
    batch = torch.poisson(
        torch.tensor([1.0, 100.0])[:, None, None] * random((2, 20, 21), seed=0).float(),
        generator=torch.Generator().manual_seed(0),
    )
    both = estimate_noise_to_signal(batch, psf.float())
    assert both.dtype == torch.float32
    for index in range(2):
        torch.testing.assert_close(both[index], estimate_noise_to_signal(batch[index], psf.float()))
    assert float(both[0].median()) > float(both[1].median())


BAD: list[tuple[dict[str, Any], str]] = [
    ({"noise_to_signal": -0.1}, "noise_to_signal is -0.1 at its lowest, but must be finite and at least 0"),
    ({"noise_to_signal": math.nan}, "noise_to_signal is nan"),
    ({"noise_to_signal": torch.ones(8, 8)}, r"has shape \(8, 8\), but must be one number or fit the half-spectrum"),
    ({"read_noise_e": -1.0}, "read_noise_e is -1, but must be at least 0"),
    ({"voxel_size_um": (0.1, 0.1, 0.1)}, r"voxel_size_um is \(0.1, 0.1, 0.1\), but the psf has 2 axes: give \(y, x\)"),
    ({"voxel_size_um": (0.1, 0.0)}, "voxel_size_um is 0, but must be above 0"),
    ({"image": torch.full((8, 8), -1.0)}, "image has -1 photons per voxel on average"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_what_is_wrong_is_said(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"image": torch.ones(8, 8), "psf": torch.ones(3, 3) / 9} | change
    with pytest.raises(ValueError, match=message):
        wiener(arguments.pop("image"), arguments.pop("psf"), **arguments)
