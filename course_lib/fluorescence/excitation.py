r"""Excitation by one photon: how often a molecule is lifted to its excited state, and the limit to that.

Light of power :math:`P` on the area :math:`A` brings :math:`\Phi = P\lambda/(hcA)` photons per area and time, and
a molecule with cross section :math:`\sigma` is excited at the rate

.. math:: k_\mathrm{ex} = \int \sigma(\lambda)\,\Phi(\lambda)\,\mathrm d\lambda

as long as it is in its ground state. It stays excited for the lifetime :math:`\tau`. In the steady state of
:math:`\dot S = k_\mathrm{ex}(1 - S) - S/\tau` the excited fraction is

.. math:: S = \frac{k_\mathrm{ex}\tau}{1 + k_\mathrm{ex}\tau}

and the molecule runs through :math:`S/\tau` cycles per second: proportional to the power at first, never more
than :math:`1/\tau`. Triplet states, which store molecules for microseconds, lower this limit further in reality.

References
----------
J. R. Lakowicz, *Principles of Fluorescence Spectroscopy*, 3rd edition, Springer 2006, chapter 1.
"""

from typing import overload

import torch

from course_lib.fluorescence._check import check_not_negative, check_positive

__all__ = ["excited_fraction", "photon_energy_j", "photon_flux_per_cm2_s", "saturation_irradiance_w_per_cm2"]

PLANCK_J_S = 6.62607015e-34
LIGHT_SPEED_M_PER_S = 299_792_458.0
UM2_PER_CM2 = 1e8

Quantity = float | torch.Tensor


@overload
def photon_energy_j(wavelength_nm: float) -> float: ...
@overload
def photon_energy_j(wavelength_nm: torch.Tensor) -> torch.Tensor: ...
def photon_energy_j(wavelength_nm: Quantity) -> Quantity:
    """Return the energy hc/λ of one photon.

    Examples
    --------
    >>> print(f"{photon_energy_j(488.0):.3e} J")
    4.071e-19 J
    """
    check_positive(wavelength_nm, name="wavelength_nm", unit=" nm", remedy="give a wavelength in nanometres")
    return PLANCK_J_S * LIGHT_SPEED_M_PER_S / (wavelength_nm * 1e-9)


@overload
def photon_flux_per_cm2_s(power_mw: float, *, wavelength_nm: float, area_um2: float) -> float: ...
@overload
def photon_flux_per_cm2_s(power_mw: torch.Tensor, *, wavelength_nm: Quantity, area_um2: Quantity) -> torch.Tensor: ...
def photon_flux_per_cm2_s(power_mw: Quantity, *, wavelength_nm: Quantity, area_um2: Quantity) -> Quantity:
    """Return the photons per cm² and second of light that is spread evenly over an area.

    Parameters
    ----------
    power_mw : float or torch.Tensor
        Power at the sample.
    wavelength_nm : float or torch.Tensor
        Wavelength.
    area_um2 : float or torch.Tensor
        Lit area: of the field in widefield, of the focal spot in a scanning microscope.

    Examples
    --------
    >>> print(f"{photon_flux_per_cm2_s(1.0, wavelength_nm=488.0, area_um2=100.0):.2e}")
    2.46e+21
    """
    check_not_negative(power_mw, name="power_mw", unit=" mW", remedy="give the power at the sample")
    check_positive(area_um2, name="area_um2", unit=" µm²", remedy="give the area that the light covers")
    return power_mw * 1e-3 / photon_energy_j(wavelength_nm) / (area_um2 / UM2_PER_CM2)


@overload
def excited_fraction(excitation_rate_per_s: float, lifetime_ns: float) -> float: ...
@overload
def excited_fraction(excitation_rate_per_s: torch.Tensor, lifetime_ns: Quantity) -> torch.Tensor: ...
def excited_fraction(excitation_rate_per_s: Quantity, lifetime_ns: Quantity) -> Quantity:
    r"""Return the share of the molecules that is excited at a time, :math:`k\tau/(1 + k\tau)`.

    Parameters
    ----------
    excitation_rate_per_s : float or torch.Tensor
        Rate :math:`k` at which a molecule in its ground state is excited by steady light.
    lifetime_ns : float or torch.Tensor
        Lifetime :math:`\tau` of the excited state.

    Returns
    -------
    float or torch.Tensor
        From 0 to 1; divided by the lifetime it is the number of cycles per second.

    Raises
    ------
    ValueError
        If a number is negative or not finite. Tensors are not looked at, since live figures export this function.

    Examples
    --------
    >>> round(excited_fraction(1e8, lifetime_ns=2.5), 3)
    0.2
    """
    check_not_negative(excitation_rate_per_s, name="excitation_rate_per_s", unit=" /s", remedy="give σΦ")
    check_positive(lifetime_ns, name="lifetime_ns", unit=" ns", remedy="most dyes have 1 to 5 ns")
    excitations_per_lifetime = excitation_rate_per_s * lifetime_ns * 1e-9
    return excitations_per_lifetime / (1 + excitations_per_lifetime)


def saturation_irradiance_w_per_cm2(cross_section_cm2: float, *, wavelength_nm: float, lifetime_ns: float) -> float:
    r"""Return the irradiance of steady light that keeps half of the molecules excited, :math:`hc/(\lambda\sigma\tau)`.

    Parameters
    ----------
    cross_section_cm2 : float
        Absorption cross section, `Fluorophore.cross_section_cm2`.
    wavelength_nm : float
        Wavelength of the light.
    lifetime_ns : float
        Lifetime of the excited state.

    Examples
    --------
    >>> from course_lib.fluorescence import fluorophore
    >>> egfp = fluorophore("EGFP")
    >>> half = saturation_irradiance_w_per_cm2(
    ...     egfp.cross_section_cm2(488.0), wavelength_nm=488.0, lifetime_ns=egfp.lifetime_ns
    ... )
    >>> print(f"{half / 1e3:.0f} kW/cm²")
    732 kW/cm²
    """
    check_positive(cross_section_cm2, name="cross_section_cm2", unit=" cm²", remedy="a strong dye has 1e-16")
    check_positive(lifetime_ns, name="lifetime_ns", unit=" ns", remedy="most dyes have 1 to 5 ns")
    return photon_energy_j(wavelength_nm) / (cross_section_cm2 * lifetime_ns * 1e-9)
