import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.optics import (
    Microscope,
    airy_psf,
    confocal_psf,
    gaussian_psf,
    otf,
    otf_cutoffs_per_um,
    otf_support,
    share_in_support,
    vectorial_psf,
)

OIL = Microscope(numerical_aperture=1.4, immersion_index=1.518, sample_index=1.518).to(dtype=torch.float64)
STACK = {"shape": (48, 96, 96), "voxel_size_um": (0.2, 0.08, 0.08)}


@given(shape=st.lists(st.integers(1, 8), min_size=2, max_size=3), seed=st.integers(0, 99))
@settings(deadline=None)
def test_is_the_sum_of_waves_counted_from_the_centre(shape: list[int], seed: int) -> None:
    psf = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    sizes = [0.3, 0.1, 0.2][-len(shape) :]
    transfer = otf(psf, voxel_size_um=sizes)
    positions = torch.meshgrid(
        *[(torch.arange(n).double() - n // 2) * size for n, size in zip(shape, sizes, strict=True)], indexing="ij"
    )
    frequencies = torch.meshgrid(*transfer.frequencies_per_um, indexing="ij")
    phase = sum(torch.outer(f.flatten(), x.flatten()) for f, x in zip(frequencies, positions, strict=True))
    truth = torch.exp(-2j * math.pi * phase) @ psf.flatten().to(torch.complex128)
    torch.testing.assert_close(transfer.transfer.flatten(), truth, atol=1e-12, rtol=1e-10)
    assert float(transfer.magnitude[tuple(n // 2 for n in shape)]) == pytest.approx(float(psf.sum()))


def test_frequencies_and_centre() -> None:
    transfer = otf(torch.rand(4, 5), voxel_size_um=(0.25, 0.1))
    assert transfer.frequencies_per_um[0].tolist() == [-2, -1, 0, 1]
    assert transfer.frequencies_per_um[1].tolist() == pytest.approx([-4, -2, 0, 2, 4])
    assert transfer.transfer.dtype == torch.complex64


def test_differentiable() -> None:
    psf = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: otf(p, voxel_size_um=(1, 1)).transfer, psf)


def test_gaussian_is_its_own_closed_form() -> None:
    x = torch.arange(64, dtype=torch.float64) - 32
    profile = torch.exp(-((x * 0.1 / 0.3) ** 2) / 2)
    psf = profile[:, None] * profile
    transfer = otf(psf / psf.sum(), voxel_size_um=(0.1, 0.1))
    frequency = transfer.frequencies_per_um[1]
    truth = torch.exp(-2 * (math.pi * 0.3 * frequency) ** 2)
    torch.testing.assert_close(transfer.transfer[32], truth.to(torch.complex128), atol=1e-9, rtol=0)


def test_airy_otf_is_the_overlap_of_two_circles() -> None:
    microscope = Microscope(numerical_aperture=0.5, emission_wavelength_nm=500, immersion_index=1.0, sample_index=1.0)
    psf = airy_psf(microscope.to(dtype=torch.float64), shape=(400, 400), voxel_size_um=(0.2, 0.2))
    transfer = otf(psf, voxel_size_um=(0.2, 0.2))
    share = (transfer.frequencies_per_um[1].abs() / otf_cutoffs_per_um(microscope)[1]).clamp(max=1)
    truth = 2 / math.pi * (torch.acos(share) - share * torch.sqrt(1 - share**2))
    # a pattern cut off at ±40 µm keeps all but 0.5 % of its light
    torch.testing.assert_close(transfer.magnitude[200], truth, atol=0.006, rtol=0)


def test_cutoffs() -> None:
    axial, lateral = otf_cutoffs_per_um(OIL)
    assert lateral == pytest.approx(2 * 1.4 / 0.525)
    assert axial == pytest.approx((1.518 - math.sqrt(1.518**2 - 1.4**2)) / 0.525)


def test_support_is_what_pairs_of_plane_waves_reach() -> None:
    # difference vectors of points of the cap, by chance: all are inside, and they come close to the rim everywhere
    generator = torch.Generator().manual_seed(0)
    edge = math.asin(1.4 / 1.518)
    theta, phi = torch.rand(2, 2, 400_000, generator=generator, dtype=torch.float64)
    theta, phi = theta * edge, phi * 2 * math.pi
    radius = 1.518 / 0.525
    height = radius * torch.cos(theta)
    lateral = radius * torch.sin(theta) * torch.exp(1j * phi)
    rho, dz = (lateral[0] - lateral[1]).abs(), (height[0] - height[1]).abs()
    rhos = torch.linspace(0, 5.4, 109, dtype=torch.float64)
    frequencies = [torch.linspace(-2, 2, 401, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), rhos]
    support = otf_support(OIL, frequencies)[:, 0]
    columns, rows = (rho / 0.05).round().long(), ((dz + 2) / 0.01).round().long()
    assert bool(support[rows, columns].all())
    reached = torch.zeros(109, dtype=torch.float64).scatter_reduce(0, columns, dz, "amax")
    allowed = (support * frequencies[0][:, None]).amax(0)
    middle = slice(10, 100)  # elsewhere few of the random pairs fall
    assert float((allowed - reached)[middle].max()) < 0.12
    assert float((allowed - reached)[middle].min()) >= -0.006


def test_missing_cone_has_the_angle_of_the_aperture() -> None:
    frequencies = [torch.linspace(-2, 2, 2001), torch.zeros(1), torch.linspace(-0.4, 0.4, 2001)]
    support = otf_support(OIL, frequencies)[:, 0]
    height = (support * frequencies[0][:, None]).amax(0)[1100]
    alpha = math.asin(1.4 / 1.518)
    assert float(height / frequencies[2][1100]) == pytest.approx(math.tan(alpha), rel=0.06)
    assert not bool(support[1010, 1000])  # on the axis there is nothing but frequency 0
    assert bool(support[1000, 1000])


def test_support_in_2d_is_a_disc() -> None:
    frequencies = [torch.linspace(-7, 7, 141)] * 2
    area = float(otf_support(OIL, frequencies).sum()) * 0.01
    assert area == pytest.approx(math.pi * (2.8 / 0.525 + 0.05) ** 2, rel=0.01)


def test_widefield_stays_inside_and_confocal_and_gaussian_do_not() -> None:
    widefield = otf(vectorial_psf(OIL, **STACK), voxel_size_um=STACK["voxel_size_um"])
    assert share_in_support(widefield, OIL) > 0.9995
    confocal = Microscope(numerical_aperture=1.4, immersion_index=1.518, sample_index=1.518, emission_wavelength_nm=525)
    fine = {"shape": (64, 96, 96), "voxel_size_um": (0.1, 0.04, 0.04)}
    psf = confocal_psf(confocal, **fine, pinhole_airy_units=0.3)
    assert 0.8 < share_in_support(otf(psf, voxel_size_um=fine["voxel_size_um"]), OIL) < 0.97
    psf = gaussian_psf(OIL, **STACK)
    assert 0.9 < share_in_support(otf(psf, voxel_size_um=STACK["voxel_size_um"]), OIL) < 0.99


def test_share_of_white_noise_is_the_share_of_the_volume() -> None:
    noise = torch.rand(32, 64, 64, generator=torch.Generator().manual_seed(0))
    transfer = otf(noise, voxel_size_um=(0.2, 0.08, 0.08))
    volume = float(otf_support(OIL, transfer.frequencies_per_um).double().mean())
    assert share_in_support(transfer, OIL) == pytest.approx(volume, abs=5 / math.sqrt(noise.numel()))


@pytest.mark.parametrize(
    ("frequencies", "message"),
    [
        ([torch.linspace(-1, 1, 5)], "frequencies_per_um has 1 axes"),
        ([torch.tensor([0.0, 1.0, 3.0])] * 2, "even steps"),
        ([torch.tensor([1.0, 0.0])] * 2, "even steps"),
        ([torch.zeros(2, 2)] * 2, r"shape \(2, 2\), but must be a list"),
        ([torch.zeros(0)] * 2, r"shape \(0,\), but must be a list"),
    ],
)
def test_frequencies_of_the_support(frequencies: list[torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        otf_support(OIL, frequencies)


def test_even_light_has_no_share() -> None:
    with pytest.raises(ValueError, match="0 everywhere but at frequency 0"):
        share_in_support(otf(torch.zeros(4, 4), voxel_size_um=(0.1, 0.1)), OIL)


def test_shape_and_voxel_size_must_fit() -> None:
    with pytest.raises(ValueError, match=r"psf has shape \(4, 4\) and voxel_size_um is \(0.1, 0.1, 0.1\)"):
        otf(torch.ones(4, 4), voxel_size_um=(0.1, 0.1, 0.1))
