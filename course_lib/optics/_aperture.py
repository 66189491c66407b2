r"""The plane waves that make a focus, one for each point of the aperture.

A wave that makes the angle :math:`\theta` with the axis in the immersion medium has the transverse index
:math:`s = n\sin\theta`, which refraction does not change, and the axial index :math:`\kappa = \sqrt{n^2 - s^2}` in
each medium. From an emitter at depth :math:`d` below the coverslip to a focus at height :math:`z` it gains the phase

.. math::

   W(s, z) = d\,\Bigl(\kappa_s - \frac{n_i}{n_s}\kappa_i\Bigr) + \delta\,\Bigl(\kappa_g - \frac{n_i}{n_g}\kappa_i\Bigr)
             - z\,\kappa_i

times :math:`2\pi/\lambda`, with the indices of immersion :math:`n_i`, sample :math:`n_s` and coverslip :math:`n_g`, the
last of which is too thick by :math:`\delta`. This is the path of Gibson and Lanni, referred to the paraxial focus;
where :math:`n_s < s` the wave is evanescent and :math:`\kappa_s` imaginary.
"""

import dataclasses
import math
from collections.abc import Callable

import torch

from course_lib.optics._grid import quadrature
from course_lib.optics.microscope import Microscope, Quantity, as_float

Section = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Part of the aperture: s and s ds/du at u from 0 to 1."""

__all__ = ["Waves", "make_waves", "superpose", "working_type"]


@dataclasses.dataclass(frozen=True)
class Waves:
    r"""Plane waves at the nodes of a quadrature over the aperture, N of them.

    Attributes
    ----------
    wavenumber : torch.Tensor
        :math:`2\pi/\lambda` in vacuum, radians per µm.
    transverse : torch.Tensor, shape (N,)
        :math:`s`.
    weights : torch.Tensor, shape (N,)
        Of the quadrature over :math:`s\,ds`.
    immersion, sample : torch.Tensor, shape (N,)
        Axial indices, the latter complex.
    phase : torch.Tensor, shape (N, Z)
        :math:`e^{ikW}`, complex.
    """

    wavenumber: torch.Tensor
    transverse: torch.Tensor
    weights: torch.Tensor
    immersion: torch.Tensor
    sample: torch.Tensor
    phase: torch.Tensor


def working_type(microscope: Microscope) -> tuple[torch.device, torch.dtype]:
    """Return device and dtype of a PSF: those of the microscope's tensors, otherwise CPU and float32."""
    values = [getattr(microscope, p.name) for p in microscope.declared()]
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    double = any(tensor.dtype == torch.float64 for tensor in tensors)
    device = tensors[0].device if tensors else torch.device("cpu")
    return device, torch.float64 if double else torch.float32


def _full_cone(u: torch.Tensor, aperture: torch.Tensor, lower: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return s and s ds/du where waves propagate in both media; u is the angle in the one of lower index."""
    end = torch.asin(aperture / lower * (1 - 1e-12))  # at 1 the slope of the arcsine would be infinite
    s = lower * torch.sin(end * u)
    return s, s * end * lower * torch.cos(end * u)


def _to_grazing(u: torch.Tensor, sample: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return s and s ds/du from the axis to the critical angle."""
    s = sample * torch.sin(math.pi / 2 * u)
    return s, s * math.pi / 2 * sample * torch.cos(math.pi / 2 * u)


def _evanescent(u: torch.Tensor, aperture: torch.Tensor, sample: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return s and s ds/du beyond the critical angle; the axial index in the sample is linear in u."""
    beyond = aperture**2 - sample**2
    return torch.sqrt(sample**2 + beyond * u**2), beyond * u


def make_waves(microscope: Microscope, *, wavelength_nm: Quantity, radius_um: float, z_um: torch.Tensor) -> Waves:
    """Choose as many waves as a field of `radius_um` and the heights `z_um` ask for, and give them their phase."""
    device, dtype = working_type(microscope)

    def number(value: Quantity) -> torch.Tensor:
        return torch.as_tensor(value, dtype=torch.float64, device=device)

    aperture, immersion = number(microscope.numerical_aperture), number(microscope.immersion_index)
    sample, glass = number(microscope.sample_index), number(microscope.coverslip_index)
    depth, excess = number(microscope.depth_um), number(microscope.coverslip_error_um)
    wavenumber = 2 * math.pi * 1000 / number(wavelength_nm)
    z = z_um.to(device)

    indices = torch.stack([immersion, sample, glass])[:, None]

    def axial(s: torch.Tensor) -> torch.Tensor:
        return torch.sqrt((indices**2 - s**2).to(torch.complex128))

    def path(k: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        k_i, k_s, k_g = k.unbind()
        in_sample = depth * (k_s - k_i * immersion / sample)
        in_glass = excess * (k_g - k_i * immersion / glass)
        return (in_sample + in_glass)[:, None] - k_i[:, None] * z

    def steepest(section: Section) -> float:
        """Return the largest number of radians by which a phase turns along u."""
        u = torch.linspace(0, 1, 129, dtype=torch.float64, device=device)
        s = section(u)[0].detach()
        turns = wavenumber.detach() * (
            radius_um * s.diff()[:, None] + path(axial(s), z[[0, -1]]).detach().real.diff(dim=0).abs()
        )
        return 128 * float(turns.max())

    sections: list[Section] = [lambda u: _full_cone(u, aperture, torch.minimum(sample, immersion))]
    if as_float(aperture) > as_float(sample):
        sections = [lambda u: _to_grazing(u, sample), lambda u: _evanescent(u, aperture, sample)]
    transverse, weights = [], []
    for section in sections:
        u, du = (t.to(device) for t in quadrature(steepest(section), dtype))
        s, slope = section(u)
        transverse.append(s)
        weights.append(slope * du)
    s = torch.cat(transverse)
    k = axial(s)
    complex_type = torch.complex128 if dtype == torch.float64 else torch.complex64
    return Waves(
        wavenumber=wavenumber,
        transverse=s,
        weights=torch.cat(weights),
        immersion=k[0].real,
        sample=k[1],
        phase=torch.exp(1j * wavenumber * path(k, z)).to(complex_type),
    )


def superpose(bessel: torch.Tensor, amplitude: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
    """Return Σ |Σ bessel · amplitude · phase|², inside over the waves, outside over the integrals.

    Shapes (M, R, N), (M, N) and (N, Z) for M integrals, R radii, N waves and Z heights give (R, Z).
    """
    waves = amplitude.to(phase.dtype)[:, :, None] * phase
    real, imaginary = (bessel @ torch.cat([waves.real, waves.imag], dim=2)).square().sum(dim=0).chunk(2, dim=1)
    return real + imaginary
