"""The vectorial and the scalar model of Gibson and Lanni: against quadratures, and at depth."""

import math

import numpy as np
import pytest
import torch
from scipy import special
from scipy.optimize import brentq

from course_lib.optics import Microscope, airy_psf, gibson_lanni_psf, vectorial_psf
from course_lib.optics._aperture import make_waves

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(400)


def debye(r, z, *, apodization, vector, aperture=1.4, n=1.518, wavelength=0.525):
    """Focal intensity in a homogeneous medium by 400-node quadrature over the angle, with SciPy's Bessel functions."""
    alpha = math.asin(aperture / n)
    theta, w = (NODES + 1) / 2 * alpha, NODE_WEIGHTS / 2 * alpha
    s, c, k = np.sin(theta), np.cos(theta), 2 * np.pi * n / wavelength
    x = k * np.asarray(r)[..., None] * s
    weight = w * apodization(c) * s * np.exp(-1j * k * np.asarray(z)[..., None] * c)
    if not vector:
        return np.abs((weight * special.j0(x)).sum(-1)) ** 2
    i0 = (weight * (1 + c) * special.j0(x)).sum(-1)
    i1 = (weight * s * special.j1(x)).sum(-1)
    i2 = (weight * (1 - c) * special.jn(2, x)).sum(-1)
    return np.abs(i0) ** 2 + 2 * np.abs(i1) ** 2 + np.abs(i2) ** 2


@pytest.mark.parametrize(
    ("model", "apodization", "vector", "lateral", "axial"),
    [
        (gibson_lanni_psf, lambda c: c, False, 0.1929, 0.5193),
        (vectorial_psf, np.sqrt, True, 0.2114, 0.5144),
    ],
)
def test_high_aperture_matches_an_independent_quadrature(
    model, apodization, vector, lateral, axial, oil, lateral_fwhm, axial_fwhm
):
    psf = model(oil.to(dtype=torch.float64), shape=(9, 17, 17), voxel_size_um=(0.2, 0.09, 0.09)).numpy()
    z, y, x = np.mgrid[-4:5, -8:9, -8:9] * np.array([0.2, 0.09, 0.09])[:, None, None, None]
    expected = debye(np.hypot(y, x), z, apodization=apodization, vector=vector)
    expected /= expected.sum()
    assert np.linalg.norm(psf - expected) / np.linalg.norm(expected) < 1e-6

    def half(position):
        return (
            debye(*position, apodization=apodization, vector=vector)
            / debye(0, 0, apodization=apodization, vector=vector)
            - 0.5
        )

    assert lateral_fwhm(model, oil) == pytest.approx(2 * brentq(lambda r: half((r, 0)), 0.01, 0.2), rel=1e-4)
    assert axial_fwhm(model, oil) == pytest.approx(2 * brentq(lambda z: half((0, z)), 0.01, 0.5), rel=1e-4)
    assert lateral_fwhm(model, oil) == pytest.approx(lateral, abs=1e-4)
    assert axial_fwhm(model, oil) == pytest.approx(axial, abs=2e-4)


def test_at_low_aperture_all_theories_agree():
    low = Microscope(numerical_aperture=0.1, immersion_index=1.0, sample_index=1.0)
    options = {"shape": (9, 33, 33), "voxel_size_um": (20.0, 0.8, 0.8)}
    paraxial = airy_psf(low, **options)
    for model in (gibson_lanni_psf, vectorial_psf):
        assert float((model(low, **options) - paraxial).norm() / paraxial.norm()) < 5e-3


@pytest.mark.parametrize("model", [gibson_lanni_psf, vectorial_psf])
def test_oil_into_water_grows_a_tail_away_from_the_coverslip_and_dims(model):
    shallow = Microscope(numerical_aperture=1.3, sample_index=1.33, depth_um=0.0)
    options = {"shape": (121, 1, 1), "voxel_size_um": (0.1, 0.08, 0.08)}
    brightest = []
    for depth in (0.0, 10.0, 20.0):
        axis = model(shallow.replace(depth_um=depth), **options)[:, 0, 0]
        brightest.append(int(axis.argmax()) - 60)
    assert brightest[0] == 0
    assert 0 < brightest[1] < brightest[2]


def test_gibson_lanni_path_is_the_formula_of_the_paper():
    """Against the optical path written out with the design thicknesses, at one ray and one focus."""
    n_i, n_s, n_g, depth, excess, z = 1.515, 1.36, 1.52, 7.0, 3.0, 0.8
    microscope = Microscope(
        numerical_aperture=1.2,
        immersion_index=n_i,
        sample_index=n_s,
        coverslip_index=n_g,
        depth_um=depth,
        coverslip_error_um=excess,
    ).to(dtype=torch.float64)
    z_um = torch.tensor([z], dtype=torch.float64)
    waves = make_waves(microscope, wavelength_nm=525.0, radius_um=1.0, z_um=z_um)
    s = waves.transverse.numpy()
    glass_design, immersion_design = 170.0, 130.0
    glass = glass_design + excess
    immersion = -z + n_i * (glass_design / n_g - glass / n_g + immersion_design / n_i - depth / n_s)

    def cosine(n):
        return np.sqrt(1 - (s / n) ** 2)

    path = (
        n_s * depth * cosine(n_s)
        + n_i * immersion * cosine(n_i)
        - n_i * immersion_design * cosine(n_i)
        + n_g * (glass - glass_design) * cosine(n_g)
    )
    expected = np.exp(2j * np.pi / 0.525 * path)
    np.testing.assert_allclose(waves.phase[:, 0].numpy(), expected, atol=1e-9)


def test_a_deep_emitter_loses_the_rays_beyond_the_critical_angle():
    """NA 1.45 in water collects evanescent light at the coverslip only: deep down its focus is that of NA 1.33."""
    deep = {"sample_index": 1.33, "depth_um": 3.0, "immersion_index": 1.515}
    wide = Microscope(numerical_aperture=1.45, **deep)
    full = Microscope(numerical_aperture=1.3299, **deep)
    options = {"shape": (21, 41, 41), "voxel_size_um": (0.2, 0.06, 0.06)}
    psf, expected = vectorial_psf(wide, **options), vectorial_psf(full, **options)
    assert float((psf - expected).norm() / expected.norm()) < 0.02
    near = {"depth_um": 0.0}
    psf, expected = vectorial_psf(wide.replace(**near), **options), vectorial_psf(full.replace(**near), **options)
    assert float((psf - expected).norm() / expected.norm()) > 0.1


def test_a_wrong_coverslip_matters_to_a_dry_objective():
    dry = Microscope(numerical_aperture=0.95, immersion_index=1.0, sample_index=1.33)
    options = {"shape": (81, 31, 31), "voxel_size_um": (0.25, 0.1, 0.1)}
    right = vectorial_psf(dry, **options)
    wrong = vectorial_psf(dry.replace(coverslip_error_um=20.0), **options)
    assert float(wrong.max()) < 0.5 * float(right.max())


def dense(microscope, r, z, *, vector):
    """Intensity behind a boundary of two media by the midpoint rule with 200 000 rays, on the axis or at r."""
    n_i, n_s = microscope.immersion_index, microscope.sample_index
    edges = np.linspace(0, microscope.numerical_aperture, 200_001)
    s = (edges[1:] + edges[:-1]) / 2
    k = 2 * np.pi * 1000 / microscope.emission_wavelength_nm
    k_i, k_s = np.sqrt(n_i**2 - s**2), np.sqrt((n_s**2 - s**2).astype(complex))
    wave = s * np.exp(1j * k * (microscope.depth_um * (k_s - k_i * n_i / n_s) - z * k_i))
    if not vector:
        return abs((wave * special.j0(k * r * s)).sum()) ** 2
    t_s, t_p = 2 * k_i / (k_i + k_s), 2 * n_i * n_s * k_i / (n_s**2 * k_i + n_i**2 * k_s)
    wave = wave / np.sqrt(k_i)
    i0 = (wave * (t_s + t_p * k_s / n_s) * special.j0(k * r * s)).sum()
    i1 = (wave * t_p * s / n_s * special.j1(k * r * s)).sum()
    i2 = (wave * (t_s - t_p * k_s / n_s) * special.jn(2, k * r * s)).sum()
    return abs(i0) ** 2 + 2 * abs(i1) ** 2 + abs(i2) ** 2


@pytest.mark.parametrize("model", [gibson_lanni_psf, vectorial_psf])
@pytest.mark.parametrize(
    ("aperture", "immersion", "sample", "depth"),
    [
        (1.3, 1.515, 1.33, 20.0),
        (1.3, 1.515, 1.33, 200.0),
        (1.4, 1.515, 1.33, 50.0),
        (1.4, 1.515, 1.33, 0.0),
        (1.49, 1.515, 1.33, 0.0),
        (0.95, 1.0, 1.33, 300.0),
        (0.8, 1.0, 1.33, 1000.0),
        (1.2, 1.33, 1.4, 200.0),
        (1.51, 1.515, 1.515, 0.0),
    ],
)
def test_depth_matches_a_quadrature_with_200_000_rays(model, aperture, immersion, sample, depth):
    microscope = Microscope(numerical_aperture=aperture, immersion_index=immersion, sample_index=sample, depth_um=depth)
    psf = model(microscope.to(dtype=torch.float64), shape=(41, 1, 31), voxel_size_um=(0.15, 0.08, 0.08))[:, 0].numpy()
    vector = model is vectorial_psf
    where = [(0, 0), (0, 14), (12, 3), (40, 0), (40, 14), (20, 0), (27, 5)]
    expected = np.array([dense(microscope, 0.08 * x, 0.15 * (z - 20), vector=vector) for z, x in where])
    found = np.array([psf[z, 15 + x] for z, x in where])
    scale = found.sum() / expected.sum()
    np.testing.assert_allclose(found, scale * expected, atol=1e-5 * psf.max())


def test_gradients_are_finite_where_the_aperture_just_fills_the_sample():
    def slope(numerical_aperture):
        aperture = torch.tensor(numerical_aperture, dtype=torch.float64, requires_grad=True)
        microscope = Microscope(sample_index=1.33).to(dtype=torch.float64).replace(numerical_aperture=aperture)
        psf = vectorial_psf(microscope, shape=(3, 9, 9), voxel_size_um=(0.1, 0.05, 0.05))
        return float(torch.autograd.grad(psf[1, 4, 6] / psf[1, 4, 4], aperture)[0])

    assert slope(1.33) == pytest.approx(slope(1.33 - 1e-7), rel=0.02)  # both ends of a square root
