r"""Excitation by two photons at once, with a pulsed laser.

Two photons of half the energy can excite a molecule if they arrive within about 1e-16 s of each other. The rate
is quadratic in the momentary flux. A laser that packs the mean flux :math:`\bar\Phi` into pulses of length
:math:`\tau_p` at the repetition rate :math:`f` gains

.. math:: g = \frac{\langle\Phi^2\rangle}{\langle\Phi\rangle^2} = \frac{g_p}{f\tau_p}

over steady light, 1e5 for 100 fs at 80 MHz, with :math:`g_p = 0.664` for Gaussian pulses. With the two-photon cross
section :math:`\delta` (1 GM = 1e-50 cm⁴ s) a molecule in its ground state is excited at the mean rate

.. math:: k = \tfrac12\,g\,\delta\,\bar\Phi^2

where the ½ says that each excitation takes two photons. Since the rate falls with the square of the irradiance,
nothing is excited, and nothing bleaches, above and below the focus: over a whole plane :math:`\int\Phi^2` falls
like 1/area, whereas :math:`\int\Phi` is the same in every plane.

The chance of bleaching grows faster than that of fluorescence, with about the third power of the irradiance, because
a molecule that is already excited can absorb further photons of the pulse: the photons before bleaching that were
measured under steady light are an upper limit here.

**Saturation.** A pulse is far shorter than the lifetime, so that it excites a molecule once at most, with the
probability :math:`a = 1 - e^{-k/f}` if it finds it in the ground state. Between pulses the share
:math:`d = e^{-1/(f\tau)}` remains excited. The excited share right after a pulse repeats itself from pulse to pulse if
it is :math:`n = a/(1 - d(1 - a))`, and a molecule runs through :math:`f\,n(1 - d)` cycles per second.

References
----------
C. Xu, W. W. Webb, J. Opt. Soc. Am. B 13 (1996) 481.
G. H. Patterson, D. W. Piston, Biophys. J. 78 (2000) 2159 (bleaching).
W. Denk, J. H. Strickler, W. W. Webb, Science 248 (1990) 73.
"""

import math
from typing import overload

import torch

from course_lib.fluorescence._check import check_not_negative, check_positive
from course_lib.fluorescence._exponential import exponential, one_minus_exponential

__all__ = ["pulsed_cycle_rate_per_s", "two_photon_rate_per_s"]

GAUSSIAN_PULSE = math.sqrt(2 * math.log(2) / math.pi)
"""g_p of a Gaussian pulse whose length is the full width at half maximum: 0.664."""
ROOT_GOEPPERT_MAYER_CM2 = 1e-25
"""√(1 GM) apart from the √s: fluxes are scaled by it before they are squared, which float32 could not hold."""

Quantity = float | torch.Tensor


@overload
def two_photon_rate_per_s(
    photon_flux_per_cm2_s: float, *, cross_section_gm: float, pulse_fs: float, repetition_mhz: float
) -> float: ...
@overload
def two_photon_rate_per_s(
    photon_flux_per_cm2_s: torch.Tensor, *, cross_section_gm: Quantity, pulse_fs: Quantity, repetition_mhz: Quantity
) -> torch.Tensor: ...
def two_photon_rate_per_s(
    photon_flux_per_cm2_s: Quantity, *, cross_section_gm: Quantity, pulse_fs: Quantity, repetition_mhz: Quantity
) -> Quantity:
    r"""Return the mean rate of two-photon excitation without saturation.

    .. math:: k = \tfrac12\,\frac{g_p}{f\tau_p}\,\delta\,\bar\Phi^2

    Parameters
    ----------
    photon_flux_per_cm2_s : float or torch.Tensor
        Flux averaged over the pulses, see `course_lib.fluorescence.photon_flux_per_cm2_s`.
    cross_section_gm : float or torch.Tensor
        Two-photon absorption cross section in Göppert-Mayer. An *action* cross section, which is the one times the
        quantum yield, must be divided by the quantum yield first.
    pulse_fs : float or torch.Tensor
        Length of a pulse at the sample (full width at half maximum), Gaussian.
    repetition_mhz : float or torch.Tensor
        Pulses per microsecond.

    Raises
    ------
    ValueError
        If a number is out of its range, or the pulses are longer than the time between them.

    Examples
    --------
    EGFP with 10 mW at 920 nm on 0.2 µm²: once in 9 pulses.

    >>> from course_lib.fluorescence import photon_flux_per_cm2_s
    >>> flux = photon_flux_per_cm2_s(10.0, wavelength_nm=920.0, area_um2=0.2)
    >>> rate = two_photon_rate_per_s(flux, cross_section_gm=39.0, pulse_fs=100.0, repetition_mhz=80.0)
    >>> print(f"{rate:.1e} /s, {rate / 80e6:.3f} per pulse")
    8.7e+06 /s, 0.109 per pulse
    """
    check_not_negative(photon_flux_per_cm2_s, name="photon_flux_per_cm2_s", remedy="give the mean photon flux")
    check_not_negative(cross_section_gm, name="cross_section_gm", unit=" GM", remedy="EGFP has 39 GM at 927 nm")
    check_positive(pulse_fs, name="pulse_fs", unit=" fs", remedy="common lasers have 100 fs")
    check_positive(repetition_mhz, name="repetition_mhz", unit=" MHz", remedy="common lasers have 80 MHz")
    duty_cycle = repetition_mhz * 1e6 * pulse_fs * 1e-15
    if isinstance(duty_cycle, float) and duty_cycle >= 1:
        raise ValueError(
            f"pulses of {pulse_fs:g} fs at {repetition_mhz:g} MHz overlap: make pulse_fs shorter than the "
            f"{1e9 / float(repetition_mhz):g} fs between two pulses."
        )
    scaled_flux = photon_flux_per_cm2_s * ROOT_GOEPPERT_MAYER_CM2
    gain = GAUSSIAN_PULSE / duty_cycle
    return 0.5 * gain * cross_section_gm * scaled_flux * scaled_flux


@overload
def pulsed_cycle_rate_per_s(excitation_rate_per_s: float, *, lifetime_ns: float, repetition_mhz: float) -> float: ...
@overload
def pulsed_cycle_rate_per_s(
    excitation_rate_per_s: torch.Tensor, *, lifetime_ns: Quantity, repetition_mhz: Quantity
) -> torch.Tensor: ...
def pulsed_cycle_rate_per_s(
    excitation_rate_per_s: Quantity, *, lifetime_ns: Quantity, repetition_mhz: Quantity
) -> Quantity:
    """Return how often per second a molecule is excited by pulses, saturation included.

    Parameters
    ----------
    excitation_rate_per_s : float or torch.Tensor
        Mean rate without saturation, see `two_photon_rate_per_s`.
    lifetime_ns : float or torch.Tensor
        Lifetime of the excited state, far longer than a pulse.
    repetition_mhz : float or torch.Tensor
        Pulses per microsecond; no molecule is excited more often than that.

    Examples
    --------
    >>> slow, fast = (pulsed_cycle_rate_per_s(k, lifetime_ns=2.6, repetition_mhz=80.0) for k in (8e4, 8e9))
    >>> print(f"{slow:.3g} {fast:.3g}")
    8e+04 7.93e+07
    """
    check_not_negative(excitation_rate_per_s, name="excitation_rate_per_s", unit=" /s", remedy="give ½gδΦ²")
    check_positive(lifetime_ns, name="lifetime_ns", unit=" ns", remedy="most dyes have 1 to 5 ns")
    check_positive(repetition_mhz, name="repetition_mhz", unit=" MHz", remedy="common lasers have 80 MHz")
    pulses_per_s = repetition_mhz * 1e6
    hit = one_minus_exponential(excitation_rate_per_s / pulses_per_s)
    remaining = exponential(-1e3 / (repetition_mhz * lifetime_ns))
    after_pulse = hit / (1 - remaining * (1 - hit))
    return pulses_per_s * after_pulse * (1 - remaining)
