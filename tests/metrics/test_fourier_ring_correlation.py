import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.metrics import RingCorrelation, fourier_ring_correlation, nrmse
from course_lib.noise import split_photons


def white(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def filtered(image: torch.Tensor, transfer: torch.Tensor) -> torch.Tensor:
    return torch.fft.ifft2(torch.fft.fft2(image) * transfer).real


def gaussian_transfer(side: int, *, sigma_px: float) -> torch.Tensor:
    frequency = torch.fft.fftfreq(side, dtype=torch.float64)
    square = frequency[:, None].square() + frequency.square()
    return torch.exp(-2 * (math.pi * sigma_px) ** 2 * square)


@pytest.mark.parametrize(
    ("shape", "pixel_size_um", "more"),
    [
        ((64, 64), 0.1, 1.04),
        ((65, 47), 0.1, 1.04),
        ((40, 96), (0.2, 0.1), 1.04),
        ((16, 32, 32), (0.3, 0.1, 0.1), 1.08),
        ((15, 24, 31), (0.1, 0.1, 0.1), 1.08),
    ],
)
def test_noise_correlates_within_its_standard_error(shape, pixel_size_um, more):
    pairs = 200
    rings = fourier_ring_correlation(white(pairs, *shape), white(pairs, *shape, seed=1), pixel_size_um=pixel_size_um)
    in_standard_errors = rings.correlation * rings.counts.sqrt()
    error = more / math.sqrt(in_standard_errors.numel())
    assert abs(in_standard_errors.mean()) < 4 * error
    scatter = in_standard_errors.square().mean().sqrt()
    assert 1 < scatter < more + 4 / math.sqrt(2 * in_standard_errors.numel())
    assert in_standard_errors.mean(dim=0).abs().max() < 4.5 * more / math.sqrt(pairs)  # each ring


@settings(max_examples=25, deadline=None)
@given(
    sides=st.lists(st.integers(8, 21), min_size=2, max_size=3),
    scales=st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)),
    offset=st.floats(-1e3, 1e3),
)
def test_brightness_offset_and_order_do_not_matter(sides, scales, offset):
    sizes = (0.3, 0.2, 0.1)[: len(sides)]
    first, second = white(*sides), white(*sides) + white(*sides, seed=1)
    rings = fourier_ring_correlation(first, second, pixel_size_um=sizes)
    other = fourier_ring_correlation(scales[0] * second + offset * scales[0], scales[1] * first, pixel_size_um=sizes)
    torch.testing.assert_close(rings.correlation, other.correlation, rtol=0, atol=1e-9)
    assert rings.correlation.abs().max() <= 1 + 1e-12


def test_an_image_correlates_with_itself_in_every_ring_and_its_negative_with_minus_one():
    image = white(3, 33, 40)
    same = fourier_ring_correlation(image, image, pixel_size_um=0.1)
    torch.testing.assert_close(same.correlation, torch.ones_like(same.correlation))
    assert same.resolution_um().isnan().all()  # the pixels limit the resolution
    opposite = fourier_ring_correlation(image, -image, pixel_size_um=0.1)
    torch.testing.assert_close(opposite.correlation, -torch.ones_like(same.correlation))
    assert opposite.resolution_um().isinf().all()  # nothing is shared


def test_a_blurred_object_with_noise_correlates_by_the_share_of_its_signal():
    pairs, side, noise = 40, 128, 0.2
    transfer = gaussian_transfer(side, sigma_px=1.2)
    image = filtered(white(pairs, side, side), transfer)
    first = image + noise * white(pairs, side, side, seed=1)
    second = image + noise * white(pairs, side, side, seed=2)
    rings = fourier_ring_correlation(first, second, pixel_size_um=0.1)
    frequency_per_px = 0.1 * rings.frequencies_per_um
    signal = torch.exp(-((2 * math.pi * 1.2 * frequency_per_px) ** 2))
    expected = signal / (signal + noise**2)
    # the mean of `pairs` correlations; their standard error is (1 - expected²)/sqrt(n) for Gaussian fields
    error = 1.05 * (1 - expected.square()) / (pairs * rings.counts).sqrt()
    deviation = (rings.correlation.mean(dim=0) - expected).abs()
    assert bool((deviation < 5 * error + 2e-3)[2:].all())


def test_the_rings_are_those_of_a_direct_sum():
    first, second = white(12, 15), white(12, 15, seed=1)
    sizes = (0.29, 0.2)
    rings = fourier_ring_correlation(first, second, pixel_size_um=sizes)
    assert rings.frequencies_per_um.tolist() == pytest.approx([1 / 3 * k for k in range(1, 6)])  # 15 · 0.2 = 3 µm
    window = torch.ones(12, 15, dtype=torch.float64)
    for axis, side in enumerate((12, 15)):
        place = [min(i + 0.5, side - i - 0.5) / (side / 8) for i in range(side)]
        rise = torch.tensor([math.sin(math.pi / 2 * min(share, 1)) ** 2 for share in place], dtype=torch.float64)
        window *= rise[:, None] if axis == 0 else rise
    a, b = (torch.fft.fft2((image - image.mean()) * window) for image in (first, second))
    for index, center in enumerate(rings.frequencies_per_um.tolist()):
        inside = [
            (i, j)
            for i in range(12)
            for j in range(15)
            if abs(math.hypot((i - 12 * (i > 5)) / 3.48, (j - 15 * (j > 7)) / 3.0) - center) < 1 / 6
        ]
        assert rings.counts[index] == len(inside)
        shared = sum(complex(a[k] * b[k].conj()).real for k in inside)
        powers = sum(abs(complex(a[k])) ** 2 for k in inside) * sum(abs(complex(b[k])) ** 2 for k in inside)
        assert float(rings.correlation[index]) == pytest.approx(shared / math.sqrt(powers), abs=1e-12)


def test_shells_of_a_stack_with_flat_voxels_are_of_equal_frequency():
    planes, side = 20, 32
    frequency_z = torch.fft.fftfreq(planes, 0.25, dtype=torch.float64)
    frequency = torch.fft.fftfreq(side, 0.1, dtype=torch.float64)
    square = frequency_z[:, None, None].square() + frequency[:, None].square() + frequency.square()
    sharp = white(30, planes, side, side)
    signal = torch.fft.ifftn(torch.fft.fftn(sharp, dim=(1, 2, 3)) * torch.exp(-square / 2), dim=(1, 2, 3)).real
    noise = 0.5
    rings = fourier_ring_correlation(
        signal + noise * white(*sharp.shape, seed=1),
        signal + noise * white(*sharp.shape, seed=2),
        pixel_size_um=(0.25, 0.1, 0.1),
    )
    power = torch.exp(-rings.frequencies_per_um.square())
    expected = power / (power + noise**2)
    error = 1.1 * (1 - expected.square()) / (30 * rings.counts).sqrt()
    assert bool(((rings.correlation.mean(dim=0) - expected).abs() < 5 * error + 0.01)[1:].all())


def test_a_batch_equals_its_images_one_by_one():
    first, second = white(2, 3, 12, 17), white(2, 3, 12, 17) + white(2, 3, 12, 17, seed=1)
    rings = fourier_ring_correlation(first, second, pixel_size_um=0.2)
    resolution = rings.resolution_um()
    assert resolution.shape == (2, 3)
    for index in ((0, 0), (0, 2), (1, 1)):
        one = fourier_ring_correlation(first[index], second[index], pixel_size_um=0.2)
        torch.testing.assert_close(rings.correlation[index], one.correlation, rtol=0, atol=1e-12)
        torch.testing.assert_close(resolution[index], one.resolution_um(), equal_nan=True)


def test_the_window_keeps_the_borders_of_an_image_from_correlating():
    side = 128
    ramp = 100 * torch.linspace(0, 1, side, dtype=torch.float64).expand(20, side, side)  # jumps where borders meet
    noises = white(2, 20, side, side)
    first, second = ramp + noises[0], ramp + noises[1]
    rings = fourier_ring_correlation(first, second, pixel_size_um=0.1)
    beyond = rings.correlation[:, 24:] * rings.counts[24:].sqrt()
    assert abs(beyond.mean()) < 4 * 1.04 / math.sqrt(beyond.numel())
    # without a window the jump is a signal at all frequencies
    spectra = [torch.fft.fft2(image)[:, 0, 25 : side // 2] for image in (first, second)]
    bare = (spectra[0] * spectra[1].conj()).real.sum() / (spectra[0].abs().square().sum())
    assert bare > 0.9


def test_the_resolution_is_where_the_curve_crosses():
    frequencies = torch.arange(1, 11, dtype=torch.float64)
    counts = torch.full_like(frequencies, 400)

    def resolution(correlation: list[float], criterion: str = "1/7") -> float:
        curve = torch.tensor(correlation, dtype=torch.float64)
        return float(RingCorrelation(frequencies, curve, counts).resolution_um(criterion))

    line = [max(0, 1 - (k - 1) / 7) for k in range(1, 11)]  # 1 at 1 per µm, 0 from 8 per µm on
    assert resolution(line) == pytest.approx(1 / (1 + 7 * 6 / 7))
    assert resolution(line, "two-sigma") == pytest.approx(1 / (1 + 7 * 0.9))
    half_bit = (0.2071 + 1.9102 / 20) / (1.2071 + 0.9102 / 20)
    assert resolution(line, "half-bit") == pytest.approx(1 / (1 + 7 * (1 - half_bit)), rel=1e-4)
    dip = [*line[:3], 0.1, *line[4:]]  # one ring below is chance, two are not
    assert resolution(dip) == resolution(line)
    assert resolution([*line[:3], 0.1, 0.1, *line[5:]]) == pytest.approx(1 / (3 + (line[2] - 1 / 7) / (line[2] - 0.1)))
    assert math.isinf(resolution([0.0] * 10))
    assert math.isnan(resolution([1.0] * 9 + [0.0]))
    with pytest.raises(ValueError, match="criterion is '1/4', but must be '1/7', 'half-bit' or 'two-sigma'"):
        resolution(line, "1/4")


def test_a_seventh_is_where_the_sum_of_both_halves_correlates_by_half_with_the_truth():
    side, pairs = 96, 60
    truth = filtered(white(pairs, side, side), gaussian_transfer(side, sigma_px=1.5))
    noises = 0.2 * white(2, pairs, side, side, seed=1)
    half = fourier_ring_correlation(truth + noises[0], truth + noises[1], pixel_size_um=0.1)
    whole = fourier_ring_correlation(2 * truth + noises.sum(dim=0), truth, pixel_size_um=0.1)
    mean = RingCorrelation(half.frequencies_per_um, half.correlation.mean(dim=0), half.counts)
    crossing_per_um = 1 / float(mean.resolution_um())
    ring = round(crossing_per_um / float(half.frequencies_per_um[0])) - 1
    near = whole.correlation[:, ring - 1 : ring + 2].mean()
    assert near == pytest.approx(0.5, abs=0.02)


def photons_per_um2(side: int, *, dose: float) -> torch.Tensor:
    object_ = white(side, side, seed=5).square()
    return dose * filtered(object_, gaussian_transfer(side, sigma_px=1.5)).clamp(min=0)


def test_halves_of_one_image_correlate_as_two_exposures_of_half_the_dose():
    mean = photons_per_um2(256, dose=4.0)
    rng = torch.Generator().manual_seed(0)
    counts = torch.poisson(mean, generator=rng)
    exposures = [torch.poisson(mean / 2, generator=rng) for _ in range(2)]
    split = fourier_ring_correlation(*split_photons(counts, fraction=0.5, rng=1), pixel_size_um=0.1)
    twice = fourier_ring_correlation(*exposures, pixel_size_um=0.1)
    error = math.sqrt(2) * 1.05 / split.counts.sqrt()
    deviation = (split.correlation - twice.correlation) / error
    assert deviation[4:].abs().max() < 5
    assert abs(deviation.mean()) < 5 / math.sqrt(deviation.numel())
    assert float(split.resolution_um()) == pytest.approx(float(twice.resolution_um()), rel=0.15)


def test_more_photons_resolve_more():
    resolutions = []
    for dose in (1.0, 10.0, 100.0, 1000.0):
        counts = torch.poisson(photons_per_um2(256, dose=dose), generator=torch.Generator().manual_seed(0))
        halves = split_photons(counts, fraction=0.5, rng=1)
        resolutions.append(float(fourier_ring_correlation(*halves, pixel_size_um=0.1).resolution_um()))
    assert resolutions == sorted(resolutions, reverse=True)


def test_what_both_halves_share_counts_as_signal_and_sharpening_counts_as_nothing():
    mean = photons_per_um2(256, dose=2.0)
    counts = torch.poisson(mean, generator=torch.Generator().manual_seed(0))
    halves = [half.double() for half in split_photons(counts, fraction=0.5, rng=1)]
    plain = fourier_ring_correlation(*halves, pixel_size_um=0.1)
    pattern = 2 * white(256, 256, seed=7)  # fixed in the camera
    fooled = fourier_ring_correlation(*(half + pattern for half in halves), pixel_size_um=0.1)
    assert plain.correlation[-20:].abs().mean() < 0.05
    assert fooled.correlation[-20:].min() > 0.5
    transfer = gaussian_transfer(256, sigma_px=1.5)
    wiener = transfer / (transfer.square() + 0.01)
    sharpened = [filtered(half, wiener) for half in halves]
    assert nrmse(sharpened[0], halves[0]) > 0.3
    same = fourier_ring_correlation(*sharpened, pixel_size_um=0.1)
    assert (same.correlation - plain.correlation)[:60].abs().max() < 0.1  # but for what the window cuts differently


@pytest.mark.parametrize(
    ("first", "second", "pixel_size_um", "message"),
    [
        (white(16, 16), white(16, 15), 0.1, r"first has shape \(16, 16\), but second \(16, 15\): crop both"),
        (white(16, 16), torch.ones(16, 16), 0.1, "second is constant, so that it correlates with nothing"),
        (white(7, 16), white(7, 16), 0.1, r"first has images of shape \(7, 16\), but rings need at least 8 pixels"),
        (white(3, 16, 16), white(3, 16, 16), (0.3, 0.1, 0.1), r"at least 8 pixels a side and 4 planes; plane by plane"),
        (white(16, 16), white(16, 16), 0.0, "pixel_size_um is 0.0, but must be above 0: sizes in µm"),
        (white(16, 16), white(16, 16), (0.1, math.nan), "but must be above 0"),
        (white(16, 16), white(16, 16), (0.1,), r"pixel_size_um is \(0.1,\), but must be one number, \(y, x\)"),
        (white(16, 16), white(16, 16) / 0, 0.1, "second has 256 values that are NaN or infinite"),
        (white(16, 16), white(16, 16), (0.3, 0.1, 0.1), r"first has shape \(16, 16\), but needs at least 3 axes"),
    ],
)
def test_bad_input_is_refused(first, second, pixel_size_um, message):
    with pytest.raises(ValueError, match=message):
        fourier_ring_correlation(first, second, pixel_size_um=pixel_size_um)


def test_images_must_be_floating_point():
    with pytest.raises(TypeError, match="first has dtype"):
        fourier_ring_correlation(torch.ones(16, 16, dtype=torch.int32), white(16, 16), pixel_size_um=0.1)


@pytest.mark.parametrize(
    "size", [np.float32(0.25), np.float64(0.25), np.array(0.25), torch.tensor(0.25), np.array([0.25, 0.25])]
)
def test_a_pixel_size_may_be_a_number_of_numpy_or_torch(size):
    first, second = white(16, 16), white(16, 16, seed=1)
    rings = fourier_ring_correlation(first, second, pixel_size_um=size)
    expected = fourier_ring_correlation(first, second, pixel_size_um=0.25)
    assert torch.equal(rings.frequencies_per_um, expected.frequencies_per_um)
    assert torch.equal(rings.correlation, expected.correlation)
