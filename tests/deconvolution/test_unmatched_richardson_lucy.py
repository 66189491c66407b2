import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.deconvolution import Blur, richardson_lucy, unmatched_richardson_lucy, wiener_butterworth
from course_lib.deconvolution._check import Boundary
from course_lib.optics import Microscope, fwhm_um, gaussian_psf, vectorial_psf
from course_lib.samples import filaments
from synthetic import counts, gaussian, lopsided_psf

BOUNDARIES: tuple[Boundary, ...] = ("linear", "circular")


def mirror(psf: torch.Tensor) -> torch.Tensor:
    """Turn it round, with the centre in the middle of odd sides."""
    before = [1 - side % 2 for side in psf.shape]
    padding = [width for extra in reversed(before) for width in (0, extra)]
    return torch.nn.functional.pad(psf, padding).flip(tuple(range(psf.ndim)))


def widefield() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Filaments in a widefield microscope, 200 photons at the peak: image, PSF and truth."""
    microscope = Microscope(numerical_aperture=1.2, immersion_index=1.33, sample_index=1.33)
    psf = vectorial_psf(microscope, shape=(13, 25, 25), voxel_size_um=(0.25, 0.1, 0.1))
    truth = filaments((20, 48, 48), voxel_size_um=(0.25, 0.1, 0.1), count=8, diameter_um=0.25, rng=0)
    psf = psf / psf.sum()
    blurred = Blur(psf, truth.shape, boundary="circular")(truth).clamp(min=0)
    scale = 200 / float(blurred.max())
    return torch.poisson(scale * blurred + 2, generator=torch.Generator().manual_seed(0)), psf, scale * truth


class Watch:
    """A rule that never stops and keeps the logarithm of the likelihood and the photons expected."""

    def __init__(self, image: torch.Tensor) -> None:
        self.image = image
        self.likelihood: list[float] = []
        self.photons: list[float] = []

    def __call__(self, _iteration: int, _estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        self.likelihood.append(float((torch.xlogy(self.image, expected) - expected).sum(dtype=torch.float64)))
        self.photons.append(float(expected.sum(dtype=torch.float64)))
        return False


@pytest.mark.parametrize("extents", [(5, 7), (4, 6), (3, 4, 5)])
@pytest.mark.parametrize("background", [0.0, 3.0])
def test_with_the_mirrored_psf_it_is_richardson_lucy(extents: tuple[int, ...], background: float) -> None:
    image, psf = counts((8, 9, 10)[-len(extents) :], seed=0), lopsided_psf(extents, seed=1)
    restored = unmatched_richardson_lucy(
        image, psf, back_projector=mirror(psf), iterations=12, background=background, boundary="circular"
    )
    expected = richardson_lucy(image, psf, iterations=12, background=background, boundary="circular")
    torch.testing.assert_close(restored, expected, rtol=1e-9, atol=1e-9)


def test_with_a_linear_boundary_too_where_all_light_falls_on_the_image() -> None:
    psf, truth = lopsided_psf((5, 5), seed=1), torch.zeros(31, 32, dtype=torch.float64)
    truth[12:18, 12:18] = 100.0
    image = Blur(psf, (31, 32), boundary="circular")(truth).clamp(min=0)
    restored = unmatched_richardson_lucy(image, psf, back_projector=mirror(psf), iterations=20)
    inside = (slice(8, -8),) * 2
    expected = richardson_lucy(image, psf, iterations=20)
    torch.testing.assert_close(restored[inside], expected[inside], rtol=1e-2, atol=1e-2)


@settings(deadline=None, max_examples=15)
@given(
    shape=st.lists(st.integers(2, 8), min_size=2, max_size=3),
    extents=st.lists(st.integers(1, 7), min_size=3, max_size=3),
    boundary=st.sampled_from(BOUNDARIES),
    seed=st.integers(0, 2**31),
)
def test_no_voxel_outshines_the_image(shape: list[int], extents: list[int], boundary: Boundary, seed: int) -> None:
    extents = [
        min(extent, side) if boundary == "circular" else extent for side, extent in zip(shape, extents, strict=False)
    ]
    image, psf = counts(tuple(shape), seed=seed), lopsided_psf(tuple(extents), seed=3)
    back = wiener_butterworth(psf, noise_to_signal=1e-4, cutoff_per_voxel=(0.5,) * psf.ndim)
    restored = unmatched_richardson_lucy(image, psf, back_projector=back, iterations=100, boundary=boundary)
    assert 0 <= float(restored.min()) <= float(restored.max()) <= (1 + 1e-12) * float(image.max() / psf.max())


def test_fast_but_not_the_most_probable_object() -> None:
    image, psf, truth = widefield()
    back = wiener_butterworth(psf)
    matched, unmatched, errors = Watch(image), Watch(image), {}

    def error(restored: torch.Tensor) -> float:
        return float((restored - truth).norm() / truth.norm())

    def keep(number: int, estimate: torch.Tensor) -> None:
        errors[number] = error(estimate)

    unmatched_richardson_lucy(
        image, psf, back_projector=back, iterations=60, background=2.0, stop=unmatched, callback=keep
    )
    slow: dict[int, float] = {}
    richardson_lucy(
        image,
        psf,
        iterations=60,
        background=2.0,
        stop=matched,
        callback=lambda number, estimate: slow.__setitem__(number, error(estimate)),
    )
    assert errors[5] < slow[20]  # what it is for
    assert np.diff(matched.likelihood).min() > 0
    assert np.diff(unmatched.likelihood).min() < 0  # and what it loses: the likelihood falls
    assert max(unmatched.likelihood) < matched.likelihood[-1]
    assert errors[60] > 2 * min(errors.values())  # the noise is let in as fast as the light
    counted = float(image.sum())
    assert abs(matched.photons[-1] / counted - 1) < 0.01
    assert abs(unmatched.photons[-1] / counted - 1) > 0.01


def test_voxels_die_where_the_back_projector_is_negative() -> None:
    image, psf = counts((16, 17), seed=0, peak=5.0), gaussian((9, 9), 1.5)
    back = wiener_butterworth(psf, noise_to_signal=0.01)
    restored = unmatched_richardson_lucy(image, psf, back_projector=back, iterations=10)
    assert int((restored == 0).sum()) > 10
    assert int((richardson_lucy(image, psf, iterations=10) == 0).sum()) == 0


@pytest.mark.parametrize("extents", [(9, 11), (8, 10), (5, 6, 9)])
def test_the_back_projector_turns_no_frequency(extents: tuple[int, ...]) -> None:
    psf = lopsided_psf(extents, seed=0)
    back = wiener_butterworth(psf, cutoff_per_voxel=(0.4,) * psf.ndim)
    assert back.shape == tuple(2 * side - 1 for side in extents)
    assert float(back.sum()) == pytest.approx(1)
    ring = torch.zeros(back.shape, dtype=torch.float64)
    ring[tuple(slice(0, side) for side in extents)] = psf
    axes = tuple(range(psf.ndim))
    transfer = torch.fft.fftn(ring.roll([-(side // 2) for side in extents], dims=axes))
    product = transfer * torch.fft.fftn(torch.fft.ifftshift(back))
    assert float(product.imag.abs().max()) < 1e-12
    assert float(product.real.min()) > -1e-12


def test_its_spectrum_is_wieners_times_butterworths() -> None:
    psf, alpha, beta, order, cutoffs = gaussian((9, 9), 1.2), 0.02, 0.1, 4, (3 / 17, 5 / 17)
    back = wiener_butterworth(psf, noise_to_signal=alpha, gain_at_cutoff=beta, order=order, cutoff_per_voxel=cutoffs)
    spectrum = torch.fft.fft2(torch.fft.ifftshift(back)).real
    transfer = Blur(psf, (17, 17), boundary="circular").transfer.real
    wiener = transfer * (1 + alpha) / (transfer**2 + alpha)
    for index in ((3, 0), (0, 5)):  # the cut-off along y and along x
        assert float(spectrum[index]) == pytest.approx(beta * float(wiener[index]))
    far = math.hypot(6 / 3, 5 / 5)
    assert float(spectrum[6, 5]) == pytest.approx(float(wiener[6, 5]) / math.sqrt(1 + 99 * far**8))
    flat = wiener_butterworth(psf, noise_to_signal=alpha, gain_at_cutoff=1.0, cutoff_per_voxel=cutoffs)
    torch.testing.assert_close(torch.fft.rfft2(torch.fft.ifftshift(flat)).real, wiener)


def test_the_cutoff_by_default_is_the_resolution() -> None:
    psf = gaussian_psf(Microscope(), shape=(9, 21, 23), voxel_size_um=(0.2, 0.06, 0.05))
    widths = fwhm_um(psf, voxel_size_um=(1, 1, 1))
    torch.testing.assert_close(
        wiener_butterworth(psf), wiener_butterworth(psf, cutoff_per_voxel=[1 / width for width in widths])
    )


GOOD: dict[str, Any] = {"image": torch.ones(6, 7), "psf": torch.ones(3, 3) / 9, "back_projector": torch.ones(3, 3) / 9}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": torch.full((6, 7), -1.0)}, "image has 42 negative values, the lowest -1, but must be photons"),
        ({"back_projector": torch.ones(3, 3)}, "back_projector sums to 9, but must sum to 1"),
        ({"back_projector": torch.ones(3, 3, 3) / 27}, "back_projector has ndim 3, but must have that of the psf, 2"),
        (
            {"back_projector": torch.ones(3, 3).double() / 9},
            "back_projector has dtype torch.float64, but must have that",
        ),
        ({"back_projector": torch.full((3, 3), math.nan)}, "back_projector has 9 values that are NaN or infinite"),
    ],
)
def test_a_bad_input_is_told(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unmatched_richardson_lucy(**(GOOD | changed))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"psf": torch.ones(9, 9)}, ValueError, "psf sums to 81, but must sum to 1"),
        ({"psf": torch.ones(9, 9) / 81}, ValueError, r"cutoff_per_voxel=\(y, x\)"),
        ({"noise_to_signal": 0.0}, ValueError, "noise_to_signal is 0, but must be above 0"),
        ({"gain_at_cutoff": 1.5}, ValueError, "gain_at_cutoff is 1.5, but must be at most 1, which is no cut-off"),
        ({"gain_at_cutoff": 0.0}, ValueError, "gain_at_cutoff is 0, but must be above 0"),
        ({"order": 0}, ValueError, "order is 0, but must be at least 1"),
        ({"order": 2.5}, TypeError, "order is 2.5, but must be a whole number"),
        ({"cutoff_per_voxel": (0.2,)}, ValueError, r"cutoff_per_voxel is \[0.2\], but needs one number for each of 2"),
        ({"cutoff_per_voxel": (0.2, -1.0)}, ValueError, "cutoff_per_voxel is -1, but must be above 0"),
    ],
)
def test_a_bad_filter_is_told(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wiener_butterworth(**({"psf": gaussian((9, 9), 1.0)} | changed))
