"""The field of a pupil against closed forms and against an independent integral over the cone's angle."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, special

from course_lib.optics import focal_field, make_pupil, pupil_nodes, pupil_otf

PERFECT = torch.zeros(1, dtype=torch.float64)
OIL = {"numerical_aperture": 1.4, "wavelength_um": 0.525, "index": 1.518}
AIR = {"numerical_aperture": 0.05, "wavelength_um": 0.5, "index": 1.0}


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def intensity(x_um: torch.Tensor, z_um: torch.Tensor, light: dict[str, float], nodes: int = 40) -> torch.Tensor:
    """Return photons per µm² on the x axis, (Z, X)."""
    real, imaginary = focal_field(make_pupil(nodes), PERFECT, y_um=numbers(0), x_um=x_um, z_um=z_um, **light)
    return (real**2 + imaginary**2)[:, 0]


def radial_field(r: float, z: float, light: dict[str, float]) -> complex:
    """Integrate √cosθ sinθ J₀(k n r sinθ) exp(−ikzn(cosθ − 1)) over θ with scipy."""
    n = light["index"]
    k = 2 * math.pi / light["wavelength_um"]

    def integrand(theta: float) -> float:
        return math.sqrt(math.cos(theta)) * math.sin(theta) * float(special.j0(k * n * r * math.sin(theta)))

    def phase(theta: float) -> float:
        return -k * z * n * (math.cos(theta) - 1)

    end = math.asin(light["numerical_aperture"] / n)
    options = {"limit": 500, "epsabs": 1e-13}
    real = integrate.quad(lambda t: integrand(t) * math.cos(phase(t)), 0, end, **options)[0]
    imaginary = integrate.quad(lambda t: integrand(t) * math.sin(phase(t)), 0, end, **options)[0]
    return complex(real, imaginary)


@given(a=st.integers(0, 7), b=st.integers(0, 7))
def test_the_nodes_integrate_polynomials_over_the_disk_exactly(a: int, b: int) -> None:
    pupil = make_pupil(8)
    found = float((pupil.weight * pupil.y**a * pupil.x**b).sum())
    even = a % 2 == 0 and b % 2 == 0
    gammas = math.gamma((a + 1) / 2) * math.gamma((b + 1) / 2) / math.gamma((a + b) / 2 + 2)
    assert found == pytest.approx(gammas if even else 0.0, abs=1e-13)


def test_a_pupil_without_nodes_is_refused() -> None:
    with pytest.raises(ValueError, match="nodes is 0, but must be at least 1"):
        make_pupil(0)


def test_a_small_aperture_makes_airys_pattern_and_83_8_percent_lie_in_the_first_ring() -> None:
    unit = AIR["wavelength_um"] / AIR["numerical_aperture"]
    r = torch.linspace(0, 2, 401, dtype=torch.float64) * unit
    found = intensity(r, numbers(0), AIR)[0]
    v = 2 * math.pi * r.numpy()[1:] / unit
    airy = (2 * special.j1(v) / v) ** 2
    peak = math.pi / unit**2  # photons per µm², by Parseval
    assert float(found[0]) == pytest.approx(peak, rel=1e-3)
    torch.testing.assert_close(found[1:] / found[0], torch.from_numpy(airy), rtol=0, atol=2e-4)

    zero = optimize.minimize_scalar(
        lambda x: float(intensity(numbers(x * unit), numbers(0), AIR)[0, 0]), bounds=(0.5, 0.7), method="bounded"
    )
    assert zero.x == pytest.approx(0.6098, abs=2e-4)
    inside = r <= zero.x * unit
    energy = float(torch.trapezoid((2 * math.pi * r * found)[inside], r[inside]))
    assert energy == pytest.approx(0.838, abs=1e-3)


@pytest.mark.parametrize(("light", "fwhm"), [(OIL, 0.18598), (AIR, 0.5145 * 10)])
def test_width_at_half_maximum(light: dict[str, float], fwhm: float) -> None:
    peak = float(intensity(numbers(0), numbers(0), light)[0, 0])
    half = optimize.brentq(
        lambda x: float(intensity(numbers(x), numbers(0), light)[0, 0]) / peak - 0.5, 0, fwhm, xtol=1e-9
    )
    assert 2 * half == pytest.approx(fwhm, rel=5e-4)


def test_length_at_half_maximum() -> None:
    peak = float(intensity(numbers(0), numbers(0), OIL)[0, 0])
    half = optimize.brentq(lambda z: float(intensity(numbers(0), numbers(z), OIL)[0, 0]) / peak - 0.5, 0.1, 0.4)
    assert 2 * half == pytest.approx(0.5064, rel=2e-4)


@pytest.mark.parametrize(("r", "z"), [(0.1, 0.0), (0.5, 5.0), (2.0, 0.0), (2.0, -1.0), (6.4, 0.0)])
def test_it_is_the_radial_integral_with_as_many_nodes_as_advised(r: float, z: float) -> None:
    pupil = make_pupil(pupil_nodes(**OIL, radius_um=r, defocus_um=abs(z)))
    real, imaginary = focal_field(
        pupil, PERFECT, y_um=numbers(0, 0.6 * r), x_um=numbers(0, 0.8 * r), z_um=numbers(z), **OIL
    )
    unit = abs(radial_field(0, 0, OIL))
    scale = 2 * math.pi * OIL["index"] / (OIL["index"] + math.sqrt(OIL["index"] ** 2 - OIL["numerical_aperture"] ** 2))
    centre = math.sqrt(unit**2 * 4 * math.pi**2 / scale) * OIL["index"] ** 2
    centre /= OIL["numerical_aperture"] * OIL["wavelength_um"]  # 2π n² unit dθ-integral, scaled to one photon
    for row, column, radius in ((0, 0, 0.0), (0, 1, 0.8 * r), (1, 0, 0.6 * r), (1, 1, r)):
        found = complex(real[0, row, column], imaginary[0, row, column]) / centre
        assert abs(found - radial_field(radius, z, OIL) / unit) < 1e-6


@given(
    aperture=st.floats(0.1, 0.97), wavelength=st.floats(0.4, 0.7), index=st.floats(1.0, 1.52),
    r=st.floats(0, 3), z=st.floats(0, 5),
)  # fmt: skip
@settings(max_examples=8, deadline=None)
def test_twenty_more_nodes_than_advised_change_nothing(
    aperture: float, wavelength: float, index: float, r: float, z: float
) -> None:
    light = {"numerical_aperture": aperture * index, "wavelength_um": wavelength, "index": index}
    nodes = pupil_nodes(**light, radius_um=r, defocus_um=z)
    places = {"y_um": numbers(0, r / math.sqrt(2)), "x_um": numbers(0, r / math.sqrt(2), r), "z_um": numbers(0, z)}
    fields = [torch.stack(focal_field(make_pupil(n), PERFECT, **places, **light)) for n in (nodes, nodes + 20)]
    assert float((fields[0] - fields[1]).abs().max()) < 5e-6 * float(fields[1].abs().max())


@pytest.mark.parametrize(("r", "z"), [(20.0, 0.0), (40.0, 0.0), (0.1, 20.0), (5.0, 20.0)])
@pytest.mark.parametrize(("aperture", "index"), [(0.1, 1.0), (0.5, 1.0), (1.4, 1.518)])
def test_far_from_the_focus_twice_the_nodes_change_nothing(r: float, z: float, aperture: float, index: float) -> None:
    light = {"numerical_aperture": aperture, "wavelength_um": 0.525, "index": index}
    nodes = pupil_nodes(**light, radius_um=r, defocus_um=z)
    places = {"y_um": numbers(0), "x_um": torch.linspace(0, r, 9, dtype=torch.float64), "z_um": numbers(z)}
    advised, more = (torch.stack(focal_field(make_pupil(n), PERFECT, **places, **light)) for n in (nodes, 2 * nodes))
    at = numbers(0)
    focus = torch.stack(focal_field(make_pupil(nodes), PERFECT, y_um=at, x_um=at, z_um=at, **light))
    assert float((advised - more).abs().max()) < 1.05e-6 * float(focus.abs().max())


def test_half_a_wave_of_tilt_moves_the_spot_towards_positive_places() -> None:
    """2πa·ρ_x of phase is a shift of aλ/NA."""
    pupil = make_pupil(48)
    x = torch.linspace(-1, 1, 401, dtype=torch.float64)
    shift = 0.5 * OIL["wavelength_um"] / OIL["numerical_aperture"]
    moved = torch.stack(focal_field(pupil, math.pi * pupil.x, y_um=numbers(0), x_um=x, z_um=numbers(0), **OIL))
    still = torch.stack(focal_field(pupil, PERFECT, y_um=numbers(0), x_um=x - shift, z_um=numbers(0), **OIL))
    torch.testing.assert_close(moved, still, rtol=0, atol=1e-9)


def test_single_precision_is_enough() -> None:
    x, z = torch.linspace(0, 2, 50, dtype=torch.float64), numbers(0, 1)
    exact = intensity(x, z, OIL, nodes=50)
    pupil = type(make_pupil(50))(*(tensor.float() for tensor in make_pupil(50)))
    real, imaginary = focal_field(
        pupil, PERFECT.float(), y_um=numbers(0).float(), x_um=x.float(), z_um=z.float(), **OIL
    )
    found = (real**2 + imaginary**2)[:, 0]
    assert found.dtype == torch.float32
    assert float((found - exact).abs().max()) < 2e-6 * float(exact.max())


def test_the_field_is_differentiable_in_every_number() -> None:
    pupil = make_pupil(6)

    def field(aberration: torch.Tensor, *light: torch.Tensor) -> torch.Tensor:
        aperture, wavelength, index, z, x = light
        return torch.stack(
            focal_field(
                pupil, aberration, y_um=numbers(0.1), x_um=x.reshape(1), z_um=z.reshape(1),
                numerical_aperture=aperture, wavelength_um=wavelength, index=index,
            )
        )  # fmt: skip

    aberration = 0.3 * pupil.x * pupil.y
    inputs = [aberration, *numbers(1.2, 0.5, 1.4, 0.3, 0.2).unbind()]
    assert torch.autograd.gradcheck(field, [value.requires_grad_() for value in inputs])


def test_the_otf_in_focus_of_a_small_aperture_is_the_overlap_of_two_disks() -> None:
    share = torch.linspace(0, 1.5, 31, dtype=torch.float64)
    found = pupil_otf(share * 2 * 0.05 / 0.5, nodes=16, defocus_um=0.0, **AIR)
    inside = share.clamp(max=1)
    expected = 2 / math.pi * (torch.acos(inside) - inside * torch.sqrt(1 - inside**2))
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)
    assert float(found[share > 1.01].abs().max()) < 1e-9


def test_the_otf_is_the_fourier_transform_of_the_psf() -> None:
    light = {"numerical_aperture": 0.5, "wavelength_um": 0.6, "index": 1.0}
    places = torch.arange(-150, 150, dtype=torch.float64) * 0.2
    pupil = make_pupil(pupil_nodes(**light, radius_um=42.5, defocus_um=3.0))
    real, imaginary = focal_field(pupil, PERFECT, y_um=places, x_um=places, z_um=numbers(3.0), **light)
    spread = (real**2 + imaginary**2)[0].sum(0) * 0.2**2
    frequencies = torch.linspace(0.1, 2.0, 20, dtype=torch.float64)
    transform = (spread * torch.cos(2 * math.pi * frequencies[:, None] * places)).sum(1)
    found = pupil_otf(frequencies, nodes=24, defocus_um=3.0, **light)
    torch.testing.assert_close(found, transform, rtol=0, atol=1e-3)
    assert float(found.min()) < -0.005  # bright and dark change places
    assert float(spread.sum()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("defocus_um", [-2.0, 0.0, 2.0])
def test_the_otf_starts_at_1_and_sixteen_nodes_suffice(defocus_um: float) -> None:
    frequencies = torch.linspace(0, 6, 61, dtype=torch.float64)
    found = pupil_otf(frequencies, nodes=16, defocus_um=defocus_um, **OIL)
    more = pupil_otf(frequencies, nodes=80, defocus_um=defocus_um, **OIL)
    assert float(found[0]) == pytest.approx(1, abs=1e-6)
    assert float((found - more).abs().max()) < 1e-6
    assert float(found[frequencies > 2 * 1.4 / 0.525].abs().max()) < 1e-9


@pytest.mark.parametrize("radians", [5, 24, 33, 50, 120])
@pytest.mark.parametrize(("aperture", "index", "least"), [(0.5, 1.0, 16), (0.95, 1.0, 16), (1.49, 1.518, 22)])
def test_the_nodes_of_the_otf_follow_the_rule(radians: float, aperture: float, index: float, least: int) -> None:
    light = {"numerical_aperture": aperture, "wavelength_um": 0.525, "index": index}
    defocus_um = radians / (2 * math.pi / 0.525 * (index - math.sqrt(index**2 - aperture**2)))
    frequencies = torch.linspace(0, 2 * aperture / 0.525, 101, dtype=torch.float64)
    nodes = max(least, math.ceil(7 + 0.37 * radians))
    found, more = (pupil_otf(frequencies, nodes=n, defocus_um=defocus_um, **light) for n in (nodes, 120))
    assert float((found - more).abs().max()) < 1e-6


def test_the_otf_is_differentiable_even_at_its_ends() -> None:
    frequencies = numbers(0.0, 1.0, 4.0, 9.0)
    inputs = [value.requires_grad_() for value in numbers(0.5, 1.2, 0.5, 1.4).unbind()]

    def transfer(
        z: torch.Tensor, aperture: torch.Tensor, wavelength: torch.Tensor, index: torch.Tensor
    ) -> torch.Tensor:
        return pupil_otf(
            frequencies, nodes=8, defocus_um=z, numerical_aperture=aperture, wavelength_um=wavelength, index=index
        )

    assert torch.autograd.gradcheck(transfer, inputs)
