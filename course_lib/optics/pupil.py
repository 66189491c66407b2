r"""The light near the focus, from a pupil of any shape: a sum of plane waves, one for each point of the pupil.

Let :math:`\rho = (\rho_y, \rho_x)` be a point of the pupil in units of its radius. Its wave has the transverse
index :math:`\mathrm{NA}\,\rho` and the axial index
:math:`\kappa(\rho) = \sqrt{n^2 - \mathrm{NA}^2\rho^2} = n\cos\theta`. With an aberration :math:`\varphi(\rho)` the
waves add up at the place :math:`(z, y, x)` to the scalar field

.. math::

   E(z, y, x) \propto \iint_{\rho \le 1} \sqrt{\tfrac{n}{\kappa(\rho)}}\; e^{i\varphi(\rho)}\,
   e^{-i\frac{2\pi}{\lambda} z\,(\kappa(\rho) - n)}\, e^{-i \frac{2\pi}{\lambda} \mathrm{NA}\,(\rho_y y + \rho_x x)}\,
   d\rho_y\, d\rho_x .

The root conserves photons in an objective that obeys the sine condition: an emitter sends equal power into equal solid
angles, and :math:`d\Omega \propto d\rho_y d\rho_x / \cos\theta`. (In the integral over :math:`\theta` the same factor
reads :math:`\sqrt{\cos\theta}\,\sin\theta\,d\theta`.) The factor :math:`e^{ikzn}` is left out; it has no intensity.

The integral is a sum over nodes: Gauss–Legendre along each chord :math:`\rho_y = \text{const}`, and along
:math:`\rho_y` the rule of Chebyshev, which fits chords that shrink like :math:`\sqrt{1 - \rho_y^2}`. The nodes stay
inside the pupil and do not move with NA, so that there is no jagged edge, a few dozen nodes a side are exact to single
precision, and the result can be differentiated in every number. First each chord is summed for every :math:`x`, then
the chords for every :math:`y`: two matrix products, with cosines and sines kept apart, so that a live figure can
export this function.

References
----------
J. W. Goodman, *Introduction to Fourier Optics*, 4th ed., Freeman 2017, chapters 5 and 6.
R. Soummer et al., "Fast computation of Lyot-style coronagraph propagation", Opt. Express 15 (2007) 15935 (the matrix
Fourier transform).
"""

import functools
import math
from typing import NamedTuple

import numpy as np
import torch

from course_lib.optics.microscope import Quantity

__all__ = ["Pupil", "focal_field", "make_pupil", "pupil_nodes", "pupil_otf"]


class Pupil(NamedTuple):
    """Nodes of a quadrature over the unit disk, M × M of them.

    Attributes
    ----------
    y : torch.Tensor, shape (M, 1)
        Place of each chord, in pupil radii.
    x : torch.Tensor, shape (M, M)
        Places along each chord.
    weight : torch.Tensor, shape (M, M)
        Area of each node; all add up to π.
    """

    y: torch.Tensor
    x: torch.Tensor
    weight: torch.Tensor


@functools.cache
def make_pupil(nodes: int) -> Pupil:
    r"""Return a quadrature over the unit disk with `nodes` chords of `nodes` points, float64, on the CPU.

    With :math:`\rho_y = \cos t_j`, :math:`t_j = j\pi/(M+1)`, and Gauss–Legendre nodes :math:`u_k` with weights
    :math:`g_k`,

    .. math:: \iint f\,d\rho_y d\rho_x \approx \frac{\pi}{M+1} \sum_j \sin^2 t_j \sum_k g_k\, f(\cos t_j, u_k \sin t_j),

    which is exact for polynomials of degree 2M − 1.

    Examples
    --------
    >>> pupil = make_pupil(8)
    >>> print(f"{pupil.weight.sum():.6f} {(pupil.weight * pupil.x**2).sum():.6f}")  # π and π/4
    3.141593 0.785398
    """
    if nodes < 1:
        raise ValueError(f"nodes is {nodes}, but must be at least 1: 32 is exact for a small field of view in focus.")
    angle = np.pi * np.arange(1, nodes + 1)[:, None] / (nodes + 1)
    along, share = np.polynomial.legendre.leggauss(nodes)
    return Pupil(
        y=torch.from_numpy(np.cos(angle)),
        x=torch.from_numpy(np.sin(angle) * along),
        weight=torch.from_numpy(np.pi / (nodes + 1) * np.sin(angle) ** 2 * share),
    )


def pupil_nodes(
    *,
    numerical_aperture: float,
    wavelength_um: float,
    index: float,
    radius_um: float,
    defocus_um: float,
    steepness_rad: float = 0.0,
    degree: int = 2,
) -> int:
    r"""Return how many nodes a side `focal_field` needs to be right to 10⁻⁶ of the perfect focus.

    A rule of degree 2M takes one node for two radians of phase from the middle of the pupil to its edge. They are
    :math:`k\,\mathrm{NA}\,r` at the distance :math:`r` from the axis, and
    :math:`k|z|(n - \sqrt{n^2 - \mathrm{NA}^2})` at the defocus :math:`z`. A phase :math:`A\cos d\vartheta` of degree
    :math:`d` has the harmonics :math:`K d` with the strength :math:`J_K(A)`, which ends only at
    :math:`K \approx A + 3A^{1/3}`: with the radians :math:`R = dA` these are :math:`1.5\,d\,(R/d)^{1/3}` nodes more.
    The root in :math:`\kappa` adds
    :math:`\ln(10^6) / 2\ln\bigl((n + \sqrt{n^2 - \mathrm{NA}^2})/\mathrm{NA}\bigr)` nodes: the closer NA is to n,
    the more.

    Parameters
    ----------
    numerical_aperture, wavelength_um, index : float
        NA, vacuum wavelength and index of the immersion medium.
    radius_um : float
        Largest distance from the axis.
    defocus_um : float
        Largest distance from the focal plane.
    steepness_rad : float
        Phase of the aberration: for a polynomial, its degree times its largest value; for several, the sum.
    degree : int
        Highest degree of those polynomials; 2, as defocus has, or more.

    Examples
    --------
    >>> light = {"numerical_aperture": 1.4, "wavelength_um": 0.525, "index": 1.518}
    >>> pupil_nodes(**light, radius_um=2.0, defocus_um=0.0), pupil_nodes(**light, radius_um=2.0, defocus_um=3.0)
    (43, 62)
    """
    edge = math.sqrt(index**2 - numerical_aperture**2)
    wavenumber = 2 * math.pi / wavelength_um
    radians = wavenumber * (numerical_aperture * radius_um + defocus_um * (index - edge)) + steepness_rad
    root = math.log(1e6) / (2 * math.log((index + edge) / numerical_aperture))
    harmonics = 1.5 * degree * math.cbrt(radians / degree)
    return math.ceil(radians / 2 + harmonics + root + 1)


def focal_field(
    pupil: Pupil,
    aberration_rad: torch.Tensor,
    *,
    y_um: torch.Tensor,
    x_um: torch.Tensor,
    z_um: torch.Tensor,
    numerical_aperture: Quantity,
    wavelength_um: Quantity,
    index: Quantity,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Return the scalar field near the focus, so scaled that its square is photons per µm² for one photon.

    By the theorem of Parseval :math:`\iint |E|^2\,dx\,dy = 1` in every plane z.

    Parameters
    ----------
    pupil : Pupil
        From `make_pupil`, of the dtype and on the device to compute with.
    aberration_rad : torch.Tensor
        :math:`\varphi` at the nodes, shape (M, M) or broadcasting to it; a zero for a perfect objective.
    y_um, x_um : torch.Tensor, shapes (Y,) and (X,)
        Places in the image plane, in µm of the sample.
    z_um : torch.Tensor, shape (Z,)
        Focus above the emitter.
    numerical_aperture, wavelength_um, index : float or torch.Tensor
        NA, vacuum wavelength and index of the immersion medium; NA < n.

    Returns
    -------
    real, imaginary : torch.Tensor, shape (Z, Y, X)

    Notes
    -----
    Values are not looked at, since a live figure exports this function.

    Examples
    --------
    >>> at = torch.tensor([0.0])
    >>> real, imaginary = focal_field(
    ...     make_pupil(32), at, y_um=at, x_um=torch.tensor([0.0, 0.6098 * 0.5 / 0.1]), z_um=at,
    ...     numerical_aperture=0.1, wavelength_um=0.5, index=1.0,
    ... )
    >>> intensity = real**2 + imaginary**2
    >>> bool(intensity[0, 0, 1] < 1e-6 * intensity[0, 0, 0])  # the first dark ring of Airy
    True
    """
    wavenumber = 2 * math.pi / wavelength_um
    square = pupil.y**2 + pupil.x**2
    axial = torch.sqrt(index**2 - numerical_aperture**2 * square)
    scale = numerical_aperture / wavelength_um / _power(numerical_aperture, index) ** 0.5
    amplitude = scale * pupil.weight * torch.sqrt(index / axial)
    retreat = numerical_aperture**2 * square / (index + axial)  # n − κ, without cancellation
    phase = aberration_rad + wavenumber * z_um[:, None, None] * retreat
    real, imaginary = amplitude * torch.cos(phase), amplitude * torch.sin(phase)

    across = wavenumber * numerical_aperture * pupil.x[:, :, None] * x_um
    real, imaginary = _turned_back(real.transpose(0, 1), imaginary.transpose(0, 1), across)  # (M, Z, X)
    down = wavenumber * numerical_aperture * pupil.y * y_um
    real, imaginary = _turned_back(real.permute(1, 2, 0), imaginary.permute(1, 2, 0), down)  # (Z, X, Y)
    return real.transpose(1, 2), imaginary.transpose(1, 2)


def _turned_back(real: torch.Tensor, imaginary: torch.Tensor, angle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the matrix product of real + i·imaginary with exp(−i·angle)."""
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return real @ cosine + imaginary @ sine, imaginary @ cosine - real @ sine


def pupil_otf(
    frequency_per_um: torch.Tensor,
    *,
    nodes: int,
    defocus_um: Quantity,
    numerical_aperture: Quantity,
    wavelength_um: Quantity,
    index: Quantity,
) -> torch.Tensor:
    r"""Return the optical transfer function of one plane of a perfect objective, exactly.

    The transfer function is the pupil's overlap with itself, moved by :math:`\delta = f\lambda/\mathrm{NA}` radii:

    .. math::

       H(f) = \frac{1}{\iint a^2} \iint a_+ a_- \cos\bigl(k z\,(\kappa_+ - \kappa_-)\bigr)\,d\rho_y\,d\rho_x,
       \qquad a = \sqrt{n/\kappa},

    where ± stands for the point :math:`(\rho_y, \rho_x \pm \delta/2)`. It is real, 1 at :math:`f = 0` and 0 from the
    cut-off :math:`2\mathrm{NA}/\lambda` on. Where defocus makes it negative, bright and dark change places.

    Parameters
    ----------
    frequency_per_um : torch.Tensor, shape (F,)
        Cycles per µm of the sample, not negative.
    nodes : int
        Nodes along each half axis of the overlap. To be right to :math:`10^{-6}` it takes 16, and at least 7 + 0.37
        for each radian of defocus, :math:`k|z|(n - \sqrt{n^2 - \mathrm{NA}^2})`: 20 at 33 radians, where 16 are right
        to :math:`10^{-5}` only. Above an NA of 0.95 n it takes at least 22, to 0.98 n.
    defocus_um, numerical_aperture, wavelength_um, index : float or torch.Tensor
        As for `focal_field`.

    Returns
    -------
    torch.Tensor, shape (F,)

    Examples
    --------
    >>> cutoff = 2 * 0.5 / 0.5
    >>> frequencies = torch.tensor([0.0, cutoff / 2, cutoff, 3 * cutoff])
    >>> light = {"defocus_um": 0.0, "numerical_aperture": 0.5, "wavelength_um": 0.5, "index": 1.0}
    >>> [round(value, 3) for value in pupil_otf(frequencies, nodes=16, **light).tolist()]
    [1.0, 0.389, 0.0, 0.0]
    """
    shift = (frequency_per_um * wavelength_um / numerical_aperture / 2).clamp(max=1 - 1e-7)[:, None, None]
    places, shares = (
        torch.tensor(((array + offset) / 2).tolist(), dtype=frequency_per_um.dtype, device=frequency_per_um.device)
        for array, offset in zip(np.polynomial.legendre.leggauss(nodes), (1, 0), strict=True)
    )
    end = torch.acos(shift)
    angle = end * places[:, None]
    chord = torch.cos(angle) - shift
    y, x = torch.sin(angle), chord * places
    weight = end * shares[:, None] * torch.cos(angle) * chord * shares

    def axial(square: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(index**2 - numerical_aperture**2 * square)

    ahead, behind = axial(y**2 + (x + shift) ** 2), axial(y**2 + (x - shift) ** 2)
    beat = torch.cos(2 * math.pi / wavelength_um * defocus_um * (ahead - behind))
    overlap = (weight * index / torch.sqrt(ahead * behind) * beat).sum(dim=(1, 2))
    return 4 * overlap / _power(numerical_aperture, index)


def _power(numerical_aperture: Quantity, index: Quantity) -> Quantity:
    """Return the integral of n / κ over the pupil."""
    return 2 * math.pi * index / (index + (index**2 - numerical_aperture**2) ** 0.5)
