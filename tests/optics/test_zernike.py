"""Zernike polynomials and the PSFs of aberrated objectives."""

import itertools
import math
import sys

import numpy as np
import pytest
import torch
from scipy import special

from course_lib.optics import Microscope, airy_psf, make_pupil, zernike, zernike_psf

ORDERS = [(n, m) for n in range(9) for m in range(-n, n + 1, 2)]
DRY = Microscope(numerical_aperture=0.3, immersion_index=1.0).to("cpu", torch.float64)
FIELD = {"shape": (65, 65), "voxel_size_um": (0.2, 0.2)}


def centre_of_mass(psf: torch.Tensor) -> tuple[float, float]:
    """Return (y, x) in pixels from the middle."""
    rows, columns = (torch.arange(side) - side // 2 for side in psf.shape)
    return float((psf.sum(1) * rows).sum() / psf.sum()), float((psf.sum(0) * columns).sum() / psf.sum())


def widths(psf: torch.Tensor) -> tuple[float, float]:
    """Return how far from the middle the light of the pixels above a tenth of the peak lies, along y and x."""
    bright = torch.where(psf > psf.max() / 10, psf, 0 * psf)
    rows, columns = (torch.arange(side) - side // 2 for side in psf.shape)
    total = bright.sum()
    return float((bright.sum(1) * rows**2).sum() / total), float((bright.sum(0) * columns**2).sum() / total)


def test_they_are_orthonormal() -> None:
    pupil = make_pupil(12)
    values = torch.stack([zernike(pupil.y, pupil.x, n=n, m=m).flatten() for n, m in ORDERS])
    products = (values * pupil.weight.flatten()) @ values.T / math.pi
    torch.testing.assert_close(products, torch.eye(len(ORDERS), dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "m"), [*ORDERS, (13, -5), (20, 0), (20, 20)])
def test_they_are_jacobi_polynomials(n: int, m: int) -> None:
    rng = np.random.default_rng(0)
    radius, angle = np.sqrt(rng.random(50)), 2 * np.pi * rng.random(50)
    k = abs(m)
    radial = (-1) ** ((n - k) // 2) * radius**k * special.eval_jacobi((n - k) // 2, k, 0, 1 - 2 * radius**2)
    turning = np.cos(k * angle) if m >= 0 else np.sin(k * angle)
    expected = math.sqrt((n + 1) * (1 if m == 0 else 2)) * radial * turning
    y, x = torch.from_numpy(radius * np.sin(angle)), torch.from_numpy(radius * np.cos(angle))
    np.testing.assert_allclose(zernike(y, x, n=n, m=m).numpy(), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("n", "m", "message"),
    [
        (2, 1, r"\(n, m\) is \(2, 1\), but n = 2 goes with m = -2, 0, 2 only"),
        (2, 4, r"\(n, m\) is \(2, 4\)"),
        (-1, 1, "n is -1, but must be from 0 to 20"),
        (21, 1, "n is 21, but must be from 0 to 20"),
        (2.5, 1, "n is 2.5, but must be a whole number"),
    ],
)
def test_orders_that_do_not_exist(n: int, m: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        zernike(torch.zeros(1), torch.zeros(1), n=n, m=m)
    with pytest.raises(ValueError, match=message):
        zernike_psf(DRY, **FIELD, coefficients_waves={(n, m): 0.1})


@pytest.mark.parametrize(("n", "m"), [(0, 0), (6, 0), (12, 4), (20, 0), (20, 20)])
def test_single_precision_rounds_the_places_and_nothing_else(n: int, m: int) -> None:
    x = torch.linspace(-1, 1, 201)
    y = torch.sqrt((1 - x**2) / 2)
    single = zernike(y, x, n=n, m=m)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), zernike(y.double(), x.double(), n=n, m=m), rtol=0, atol=1e-6)
    whole = zernike(torch.tensor([0, 1]), torch.tensor([0, 0]), n=n, m=m)
    assert whole.dtype == torch.float32


@pytest.mark.parametrize(
    "coefficients", [{(12, 12): 1.0}, {(12, 12): 0.3}, {(20, 20): 0.05}, {(2, 2): 4.0}, {(6, 6): 0.5, (4, 0): 0.5}, {}]
)
def test_twice_the_nodes_change_nothing(
    coefficients: dict[tuple[int, int], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = {"shape": (3, 33, 33), "voxel_size_um": (2.0, 0.4, 0.4), "coefficients_waves": coefficients}
    advised = zernike_psf(DRY, **grid)
    focus = zernike_psf(DRY, **(grid | {"coefficients_waves": {}})).max()
    monkeypatch.setattr(sys.modules[zernike_psf.__module__], "make_pupil", lambda nodes: make_pupil(2 * nodes))
    assert float((advised - zernike_psf(DRY, **grid)).abs().max()) < 1e-6 * float(focus)


@pytest.mark.parametrize("shape", [(33, 33), (32, 47), (1, 9), (5, 32, 33), (4, 17, 1)])
def test_it_sums_to_1_and_is_brightest_and_symmetric_about_the_centre(shape: tuple[int, ...]) -> None:
    microscope = Microscope(immersion_index=1.518)
    psf = zernike_psf(microscope, shape=shape, voxel_size_um=(0.2, 0.09, 0.08)[-len(shape) :], coefficients_waves={})
    assert psf.shape == shape
    assert psf.dtype == torch.float32
    assert float(psf.sum()) == pytest.approx(1, abs=1e-6)
    assert np.unravel_index(int(psf.argmax()), shape) == tuple(side // 2 for side in shape)
    odd = tuple(slice(1 - side % 2, None) for side in shape)  # an even side has one pixel more before the centre
    symmetric = psf[odd]
    torch.testing.assert_close(symmetric, symmetric.flip(tuple(range(len(shape)))), rtol=0, atol=1e-6)


def test_without_aberration_and_with_a_small_aperture_it_is_airys() -> None:
    grid = {"shape": (9, 65, 65), "voxel_size_um": (4.0, 0.4, 0.4)}
    microscope = DRY.replace(numerical_aperture=torch.tensor(0.1, dtype=torch.float64))
    airy = airy_psf(microscope, **grid)
    psf = zernike_psf(microscope, **grid, coefficients_waves={})
    assert float((psf - airy).norm() / airy.norm()) < 5e-3


@pytest.mark.parametrize(("y", "x"), [(0.5, 0.0), (-0.2, 0.4), (0.03, -0.3)])
def test_tilt_moves_the_spot_by_two_wavelengths_over_the_aperture_for_each_wave_rms(y: float, x: float) -> None:
    perfect = zernike_psf(DRY, **FIELD, coefficients_waves={})
    tilted = zernike_psf(DRY, **FIELD, coefficients_waves={(1, -1): y, (1, 1): x})
    pixels = 2 * 0.525 / 0.3 / 0.2
    frequencies = torch.fft.fftfreq(65, dtype=torch.float64)
    shift = torch.exp(-2j * math.pi * pixels * (y * frequencies[:, None] + x * frequencies))
    moved = torch.fft.ifft2(torch.fft.fft2(perfect) * shift).real
    middle = slice(12, 53)
    assert float((tilted - moved)[middle, middle].abs().max()) < 0.01 * float(perfect.max())


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 1), (3, -3), (4, 0), (5, 1)])
@pytest.mark.parametrize("waves", [0.02, 0.05, -0.05])
def test_small_aberrations_leave_the_strehl_ratio(n: int, m: int, waves: float) -> None:
    perfect = zernike_psf(DRY, **FIELD, coefficients_waves={})[32, 32]
    aberrated = zernike_psf(DRY, **FIELD, coefficients_waves={(n, m): waves})[32, 32]
    variance = (2 * math.pi * waves) ** 2
    # the formula is right to the second order of the variance; a few percent of the lost light leave the field
    assert float(aberrated / perfect) == pytest.approx(math.exp(-variance), abs=0.6 * variance**2 + 0.06 * variance)


def test_coefficients_add_by_their_squares() -> None:
    together = {(2, 2): 0.03, (3, 1): 0.04, (4, 0): 0.05}
    perfect = zernike_psf(DRY, **FIELD, coefficients_waves={})[32, 32]
    aberrated = zernike_psf(DRY, **FIELD, coefficients_waves=together)[32, 32]
    variance = sum(waves**2 for waves in together.values())
    assert float(aberrated / perfect) == pytest.approx(math.exp(-4 * math.pi**2 * variance), abs=1e-2)


def test_astigmatism_makes_crossed_lines_above_and_below() -> None:
    """A coefficient (2, 2) is phase along x without phase along y: one line at each of two heights."""
    stack = zernike_psf(DRY, shape=(33, 65, 65), voxel_size_um=(0.5, 0.3, 0.3), coefficients_waves={(2, 2): 0.25})
    below, above = widths(stack[8]), widths(stack[24])
    assert below[0] > 4 * below[1]
    assert above[1] > 4 * above[0]
    assert below == pytest.approx(above[::-1], rel=1e-6)


def test_coma_has_a_tail_on_the_side_of_its_sign() -> None:
    right, left, down = (
        zernike_psf(DRY, **FIELD, coefficients_waves=coefficients)
        for coefficients in ({(3, 1): 0.2}, {(3, 1): -0.2}, {(3, -1): 0.2})
    )
    torch.testing.assert_close(right, left.flip(1))
    torch.testing.assert_close(right, down.T)
    torch.testing.assert_close(right, right.flip(0))
    brightest = int(right[32].argmax()) - 32
    assert abs(brightest) > 1
    assert np.sign(brightest) == -np.sign(centre_of_mass(torch.where(right < right.max() / 5, right, 0 * right))[1])


def test_spherical_aberration_makes_the_two_sides_of_the_focus_differ() -> None:
    grid = {"shape": (41, 33, 33), "voxel_size_um": (0.5, 0.4, 0.4)}
    stack = zernike_psf(DRY, **grid, coefficients_waves={(4, 0): 0.15})
    opposite = zernike_psf(DRY, **grid, coefficients_waves={(4, 0): -0.15})
    torch.testing.assert_close(stack, opposite.flip(0), rtol=0, atol=1e-12)
    assert float((stack - stack.flip(0)).norm()) > 0.5 * float(stack.norm())
    rings, haze = stack[12, 16, 16:21], stack[28, 16, 16:21]
    assert float(rings[2]) < 0.1 * float(rings[3])  # dark between the spot and its ring
    assert float(haze[2]) > float(haze[3])
    # on the axis Zernike's balance 6u² − 6u + 1 is even about u = ρ² = 1/2, so that both sides are equal
    axis = stack[:, 16, 16]
    torch.testing.assert_close(axis, axis.flip(0), rtol=0, atol=0.03 * float(axis.max()))


def test_each_plane_of_a_stack_holds_the_same_number_of_photons() -> None:
    microscope = DRY.replace(numerical_aperture=torch.tensor(0.5, dtype=torch.float64))
    stack = zernike_psf(
        microscope, shape=(3, 201, 201), voxel_size_um=(1.9, 0.25, 0.25), coefficients_waves={(3, 3): 0.1}
    )
    planes = stack.sum((1, 2)) * 3
    torch.testing.assert_close(planes, torch.ones(3, dtype=torch.float64), rtol=0, atol=2e-3)


def test_pixels_are_integrated() -> None:
    coefficients = {(3, 1): 0.1}
    coarse = zernike_psf(
        DRY, shape=(33, 33), voxel_size_um=(0.4, 0.4), coefficients_waves=coefficients, points_per_pixel=3
    )
    fine = zernike_psf(
        DRY, shape=(99, 99), voxel_size_um=(0.4 / 3, 0.4 / 3), coefficients_waves=coefficients, points_per_pixel=3
    )
    binned = fine.view(33, 3, 33, 3).sum((1, 3))
    torch.testing.assert_close(coarse, binned, rtol=0, atol=2e-4 * float(coarse.max()))
    points = zernike_psf(DRY, shape=(33, 33), voxel_size_um=(0.4, 0.4), coefficients_waves=coefficients)
    assert float((points - binned).abs().max()) > 1e-2 * float(coarse.max())


def test_it_is_differentiable_in_the_coefficients_and_in_the_microscope() -> None:
    start = [0.05, -0.1, 0.2, 0.8, 600.0, 1.33]
    inputs = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in start]

    def psf(*values: torch.Tensor) -> torch.Tensor:
        astigmatism, coma, spherical, aperture, wavelength, index = values
        microscope = Microscope(numerical_aperture=aperture, emission_wavelength_nm=wavelength, immersion_index=index)
        return zernike_psf(
            microscope,
            shape=(2, 3, 2),
            voxel_size_um=(0.5, 0.15, 0.15),
            coefficients_waves={(2, 2): astigmatism, (3, -1): coma, (4, 0): spherical},
        )

    assert torch.autograd.gradcheck(psf, inputs)


@pytest.mark.parametrize(
    ("grid", "coefficients", "message"),
    [
        ({"shape": (2000, 2000), "voxel_size_um": (0.2, 0.2)}, {}, r"283 µm from the axis, 0 µm out of focus .* would "
         r"need 5\d\d samples a side, but at most 384 are computed: ask for a smaller shape"),
        (FIELD, {(20, 0): 2.0}, r"weaker aberrations"),
        (FIELD, {(2, 2): float("nan")}, r"the coefficient of \(2, 2\) is nan waves, but must be a finite number"),
        (FIELD, {(2, 2): torch.zeros(3)}, r"the coefficient of \(2, 2\) is a Tensor of shape \(3,\)"),
        ({"shape": (5, 5), "voxel_size_um": (0.2,)}, {}, r"both must be \(y, x\) or both \(z, y, x\)"),
        ({"shape": (5, 0), "voxel_size_um": (0.2, 0.2)}, {}, r"shape is 0 voxels, but must be at least 1"),
    ],
)  # fmt: skip
def test_bad_input(grid: dict, coefficients: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        zernike_psf(DRY, **grid, coefficients_waves=coefficients)


def test_pixels_above_nyquist_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"0.5 µm along x, above the Nyquist limit of 0.438 µm") as warned:
        zernike_psf(DRY, shape=(9, 9), voxel_size_um=(0.4, 0.5), coefficients_waves={})
    assert warned[0].filename == __file__


def test_all_small_orders_keep_photons() -> None:
    for n, m in itertools.islice(ORDERS, 1, None, 4):
        psf = zernike_psf(DRY, **FIELD, coefficients_waves={(n, m): 0.1})
        assert float(psf.sum()) == pytest.approx(1, abs=1e-12)
        assert float(psf.min()) >= 0


@pytest.mark.gpu
def test_the_gpu_gives_what_the_cpu_gives() -> None:
    grid = {"shape": (9, 65, 65), "voxel_size_um": (0.2, 0.08, 0.08), "coefficients_waves": {(3, 1): 0.1}}
    here = zernike_psf(Microscope(), **grid)
    there = zernike_psf(Microscope().to("cuda"), **grid)
    assert there.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-5 * float(here.max()))
