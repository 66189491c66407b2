r"""Aberrations of an objective, named by Zernike, and the PSF that they make.

What an objective does wrong is a phase :math:`\varphi(\rho, \vartheta)` over its pupil, in any shape. Zernike's
polynomials are the usual basis for it,

.. math::

   Z_n^m(\rho, \vartheta) = N_n^m R_n^{|m|}(\rho) \begin{cases} \cos m\vartheta & m \ge 0 \\
   \sin |m|\vartheta & m < 0 \end{cases}, \qquad
   N_n^m = \sqrt{\frac{2(n+1)}{1 + [m = 0]}},

   R_n^m(\rho) = \sum_{s=0}^{(n-m)/2} \frac{(-1)^s\,(n-s)!}{s!\,(\frac{n+m}{2}-s)!\,(\frac{n-m}{2}-s)!}\,\rho^{n-2s},

in the normalization of ANSI and OSA: each has a root mean square of 1 over the pupil, and any two are orthogonal. A
coefficient of 0.1 waves therefore is an error of 0.1 wavelengths rms, and coefficients add by their squares. For small
errors the brightest point falls to the Strehl ratio, about :math:`e^{-(2\pi\sigma)^2}` for :math:`\sigma` waves rms;
0.07 waves leave 0.8, which passes for perfect.

=========== ================== ===================================================
(n, m)      name               what it does to the focus
=========== ================== ===================================================
(1, ±1)     tilt               moves it
(2, 0)      defocus            moves it along the axis (for a low NA)
(2, ±2)     astigmatism        two crossed lines, one above and one below
(3, ±1)     coma               a tail to one side
(3, ±3)     trefoil            three corners
(4, 0)      spherical          rings on one side of the focus, haze on the other
=========== ================== ===================================================

:math:`\vartheta` turns from x towards y, which points down in an image. By
:math:`\rho^m e^{im\vartheta} = (x + iy)^m` each is a polynomial in x and y, and so it is computed.

References
----------
L. N. Thibos et al., "Standards for reporting the optical aberrations of eyes", J. Refract. Surg. 18 (2002) S652.
V. N. Mahajan, "Strehl ratio for primary aberrations in terms of their aberration variance",
J. Opt. Soc. Am. 73 (1983) 860.
"""

import math
from collections.abc import Mapping, Sequence

import torch

from course_lib.optics._aperture import working_type
from course_lib.optics._grid import gauss_legendre, make_grid
from course_lib.optics.microscope import Microscope, Quantity, as_float
from course_lib.optics.pupil import Pupil, focal_field, make_pupil, pupil_nodes
from course_lib.parameters import Parameter

__all__ = ["zernike", "zernike_psf"]

HIGHEST_ORDER = 20
MOST_NODES = 384


def check_order(n: int, m: int) -> None:
    """Raise unless there is a polynomial (n, m).

    Examples
    --------
    >>> check_order(4, -2)
    """
    Parameter(
        name="n", default=0, meaning="radial order of a Zernike polynomial", minimum=0, maximum=HIGHEST_ORDER
    ).check(n)
    if m not in range(-n, n + 1, 2):
        allowed = ", ".join(str(k) for k in range(-n, n + 1, 2))
        raise ValueError(
            f"(n, m) is ({n}, {m}), but n = {n} goes with m = {allowed} only: m has the parity of n and is not larger."
        )


def zernike(y: torch.Tensor, x: torch.Tensor, *, n: int, m: int) -> torch.Tensor:
    """Return the Zernike polynomial (n, m), rms 1 over the unit disk.

    Parameters
    ----------
    y, x : torch.Tensor
        Places in the pupil in units of its radius; they are broadcast. Outside of the unit circle the polynomial
        simply goes on.
    n, m : int
        Radial order and angular frequency: n from 0 to 20, and m = −n, −n + 2, … n. Cosine for m ≥ 0, sine for m < 0.

    Returns
    -------
    torch.Tensor
        Of the broadcast shape, the dtype of `y` and `x`. The terms of a high order are large and cancel, so that they
        are summed in float64: at n = 20 the polynomial rounds at 10⁻⁸ from float64 places; from float32 ones at 10⁻⁴,
        since it is that steep at the edge.

    Raises
    ------
    ValueError
        If there is no polynomial (n, m), or n is above 20.

    Examples
    --------
    >>> zernike(torch.tensor(0.0), torch.tensor([0.0, 1.0]), n=2, m=0)  # defocus: √3 (2ρ² − 1)
    tensor([-1.7321,  1.7321])
    >>> zernike(torch.tensor(0.0), torch.tensor(1.0), n=2, m=1)
    Traceback (most recent call last):
    ValueError: (n, m) is (2, 1), but n = 2 goes with m = -2, 0, 2 only: m has the parity of n and is not larger.
    """
    check_order(n, m)
    turns = abs(m)
    dtype = torch.result_type(y + x, 0.5)
    y, x = y.double(), x.double()
    square = y**2 + x**2
    radial = torch.zeros_like(square)
    for s in range((n - turns) // 2 + 1):  # Horner, from the highest power of ρ² down
        factor = (-1) ** s * math.comb(n - s, s) * math.comb(n - 2 * s, (n - turns) // 2 - s)
        radial = radial * square + factor
    cosine, sine = torch.ones_like(square), torch.zeros_like(square)
    for _ in range(turns):
        cosine, sine = cosine * x - sine * y, cosine * y + sine * x
    norm = math.sqrt((n + 1) * (1 if m == 0 else 2))
    return (norm * radial * (cosine if m >= 0 else sine)).to(dtype)


def zernike_psf(
    microscope: Microscope,
    *,
    shape: Sequence[int],
    voxel_size_um: Sequence[float],
    coefficients_waves: Mapping[tuple[int, int], Quantity],
    points_per_pixel: int = 1,
) -> torch.Tensor:
    """Return the scalar widefield PSF of an objective with aberrations.

    Parameters
    ----------
    microscope : Microscope
        Aperture, emission wavelength and immersion index; the other values do not enter.
    shape : sequence of int
        (y, x) for the focal plane or (z, y, x) in voxels; the focus of the perfect objective is at ``size // 2``.
    voxel_size_um : sequence of float
        Size of a voxel in µm, (y, x) or (z, y, x).
    coefficients_waves : mapping of (int, int) to float or torch.Tensor
        Root mean square of each polynomial (n, m) over the pupil, in wavelengths; empty for a perfect objective.
    points_per_pixel : int
        Points along each side of a pixel at which the intensity is taken (Gauss–Legendre). One samples its
        centre; 3 integrate over a pixel of Nyquist's size.

    Returns
    -------
    torch.Tensor, shape `shape`
        Sums to 1; differentiable in the coefficients and in the microscope's tensors.

    Raises
    ------
    ValueError
        If there is no polynomial (n, m), a coefficient is not finite, shape and voxel size do not fit, or the field
        of view, the stack and the aberrations are so large that the pupil would need more than 384 samples a side.

    Warns
    -----
    UserWarning
        If a voxel is above the Nyquist limit.

    Notes
    -----
    The field is that of `focal_field`: scalar, with a pupil that conserves photons. Index 0 of z is closest to the
    coverslip.

    Examples
    --------
    >>> microscope = Microscope(numerical_aperture=0.8, immersion_index=1.0)
    >>> grid = {"shape": (65, 65), "voxel_size_um": (0.1, 0.1)}
    >>> perfect = zernike_psf(microscope, **grid, coefficients_waves={})
    >>> coma = zernike_psf(microscope, **grid, coefficients_waves={(3, 1): 0.07})
    >>> print(f"Strehl ratio {coma.max() / perfect.max():.2f}")
    Strehl ratio 0.82
    """
    device, dtype = working_type(microscope)
    grid = make_grid(microscope, shape=shape, voxel_size_um=voxel_size_um, points_per_pixel=points_per_pixel)
    aperture = torch.as_tensor(microscope.numerical_aperture, dtype=dtype, device=device)
    wavelength_um = torch.as_tensor(microscope.emission_wavelength_nm, dtype=dtype, device=device) / 1000
    index = torch.as_tensor(microscope.immersion_index, dtype=dtype, device=device)
    pupil = make_pupil(_count_nodes(microscope, coefficients_waves, grid.radii_um, grid.z_um))

    aberration = torch.zeros((), dtype=dtype, device=device)
    for (n, m), waves in coefficients_waves.items():
        aberration = aberration + 2 * math.pi * waves * zernike(pupil.y, pupil.x, n=n, m=m).to(device, dtype)

    nodes, shares = (tensor.to(device, dtype) for tensor in gauss_legendre(points_per_pixel))
    y_um, x_um = (
        (size * (torch.arange(side, dtype=dtype, device=device)[:, None] - side // 2 + nodes - 0.5)).flatten()
        for side, size in zip(tuple(shape)[-2:], tuple(voxel_size_um)[-2:], strict=True)
    )
    real, imaginary = focal_field(
        Pupil(*(tensor.to(device, dtype) for tensor in pupil)),
        aberration,
        y_um=y_um,
        x_um=x_um,
        z_um=grid.z_um.to(device, dtype),
        numerical_aperture=aperture,
        wavelength_um=wavelength_um,
        index=index,
    )
    rows, columns = tuple(shape)[-2:]
    points = (real**2 + imaginary**2).reshape(-1, rows, points_per_pixel, columns, points_per_pixel)
    volume = torch.einsum("zyaxb,a,b->zyx", points, shares, shares)
    volume = volume / volume.sum()
    return volume[0] if grid.planar else volume


def _count_nodes(
    microscope: Microscope,
    coefficients_waves: Mapping[tuple[int, int], Quantity],
    radii_um: torch.Tensor,
    z_um: torch.Tensor,
) -> int:
    """Return how many nodes a side the pupil needs, and check the coefficients."""
    steepness, degree = 0.0, 2
    for (n, m), waves in coefficients_waves.items():
        check_order(n, m)
        Parameter(name=f"the coefficient of {(n, m)}", default=0.0, meaning="aberration, rms", unit="waves").check(
            waves
        )
        largest_rad = 2 * math.pi * math.sqrt((n + 1) * (1 if m == 0 else 2)) * abs(as_float(waves))
        steepness, degree = steepness + n * largest_rad, max(degree, n)
    light = {
        "numerical_aperture": as_float(microscope.numerical_aperture),
        "wavelength_um": as_float(microscope.emission_wavelength_nm) / 1000,
        "index": as_float(microscope.immersion_index),
    }
    radius_um, defocus_um = float(radii_um.max()), float(z_um.abs().max())
    nodes = pupil_nodes(**light, radius_um=radius_um, defocus_um=defocus_um, steepness_rad=steepness, degree=degree)
    if nodes > MOST_NODES:
        raise ValueError(
            f"{radius_um:.3g} µm from the axis, {defocus_um:.3g} µm out of focus and with an aberration as steep as "
            f"{steepness / (2 * math.pi):.3g} waves, the pupil would need {nodes} samples a side, but at most "
            f"{MOST_NODES} are computed: ask for a smaller shape or weaker aberrations."
        )
    return nodes
