"""Reference PSFs in float64 by brute force, independent of `course_lib`: Richards-Wolf with 600 nodes, matched index.

The intensity of a freely turning emitter at distance r from the axis and height z, with k = 2πn/λ:

    I_m(r, z) = ∫ √cosθ · sinθ · (1 + cosθ, sinθ, 1 - cosθ)_m · J_m(k r sinθ) · exp(i k z cosθ) dθ,
    h = |I_0|² + 2 |I_1|² + |I_2|²

over θ up to the half angle of the aperture, by Gauss-Legendre nodes. The confocal PSF is h of the laser times the mean
of h of the emission over the disk of the pinhole, by Gauss-Legendre nodes along the radius and even ones around.
"""

import numpy as np
from scipy import special
from scipy.interpolate import CubicSpline

NODES = 600


def intensity(
    radii_um: np.ndarray, z_um: np.ndarray, *, aperture: float, index: float, wavelength_um: float
) -> np.ndarray:
    """Return h, shape (radii, z)."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    half = np.arcsin(aperture / index) / 2
    theta, weights = half * (nodes + 1), half * weights
    k = 2 * np.pi * index / wavelength_um
    wave = np.exp(1j * k * np.cos(theta)[:, None] * z_um)
    envelope = weights * np.sqrt(np.cos(theta)) * np.sin(theta)
    factors = (1 + np.cos(theta), np.sin(theta), 1 - np.cos(theta))
    h = np.zeros((len(radii_um), len(z_um)))
    for order, (factor, share) in enumerate(zip(factors, (1, 2, 1), strict=True)):
        bessel = special.jv(order, k * radii_um[:, None] * np.sin(theta))
        h += share * np.abs((bessel * envelope * factor) @ wave) ** 2
    return h


def heights(case: dict) -> np.ndarray:
    """Return the height of each plane above the middle one."""
    return (np.arange(case["planes"]) - case["planes"] // 2) * case["step_um"]


def distances(case: dict, *, points: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances from the middle pixel that occur, and which of them each of points² points a pixel has."""
    nodes = np.polynomial.legendre.leggauss(points)[0] / 2
    axis = (((np.arange(case["side"]) - case["side"] // 2)[:, None] + nodes) * case["pixel_um"]).ravel()
    radii, index = np.unique(np.hypot(axis[:, None], axis).round(9), return_inverse=True)
    return radii, index.reshape(len(axis), len(axis))


def vectorial(case: dict) -> np.ndarray:
    """Return the widefield PSF of a case at the centres of its pixels, sum 1."""
    return integrated(case, points=1)


def integrated(case: dict, points: int = 5) -> np.ndarray:
    """Return the widefield PSF of a case, integrated over each pixel by points² Gauss-Legendre points, sum 1."""
    radii, index = distances(case, points=points)
    h = intensity(
        radii, heights(case), aperture=case["aperture"], index=case["index"], wavelength_um=case["emission_um"]
    )
    weights = np.polynomial.legendre.leggauss(points)[1]
    side = case["side"]
    planes = [
        np.einsum("yaxb,a,b->yx", plane[index].reshape(side, points, side, points), weights, weights) for plane in h.T
    ]
    return np.stack(planes) / np.sum(planes)


def confocal(case: dict) -> np.ndarray:
    """Return the confocal PSF of a case, sum 1; the diameter of the pinhole is 1.22 λ/NA times its Airy units."""
    radii, index = distances(case)
    z = heights(case)
    optics = {"aperture": case["aperture"], "index": case["index"]}
    laser = intensity(radii, z, wavelength_um=case["excitation_um"], **optics)

    pinhole = 0.61 * case["pinhole_airy_units"] * case["emission_um"] / case["aperture"]
    table = np.arange(0, radii[-1] + pinhole + 0.01, 0.0025)
    emission = CubicSpline(table, intensity(table, z, wavelength_um=case["emission_um"], **optics))
    nodes, weights = np.polynomial.legendre.leggauss(16)
    offsets, rings = pinhole * (nodes + 1) / 2, weights * (nodes + 1) / 2
    angles = np.pi * (np.arange(24) + 0.5) / 24
    detected = np.zeros_like(laser)
    for offset, ring in zip(offsets, rings, strict=True):
        for angle in angles:
            detected += ring / 24 * emission(np.sqrt(radii**2 + offset**2 + 2 * radii * offset * np.cos(angle)))
    volume = (laser * detected).T[:, index]
    return volume / volume.sum()
