r"""The photon budget: what becomes of the light, from the laser to the electron.

For one molecule and one exposure :math:`t`, with the cycles per second :math:`r` that saturation allows
(`course_lib.fluorescence.excited_fraction`):

.. math::

   \text{absorbed} &= \text{emitted}/\eta \\
   \text{emitted} &= N_b\,(1 - e^{-\eta r t/N_b}) \\
   \text{collected} &= \text{emitted}\cdot\tfrac12(1 - \cos\theta), \qquad \sin\theta = \mathrm{NA}/n \\
   \text{transmitted} &= \text{collected}\cdot T_\text{objective}
       \int E(\lambda)\,T_\text{dichroic}(\lambda)\,T_\text{filter}(\lambda)\,\mathrm d\lambda \\
   \text{detected} &= \text{transmitted}\cdot \mathrm{QE}

with quantum yield :math:`\eta`, :math:`N_b` photons before bleaching on average, and the emission spectrum
:math:`E` of area 1. A molecule bleaches with the same chance after each photon, so that the share
:math:`e^{-\eta rt/N_b}` outlives the exposure, and those that die emit less: hence the second line, which is
:math:`\eta r t` for short exposures and :math:`N_b` for endless ones. All numbers are means over many molecules.

The collected share is that of a molecule that emits evenly in all directions, as those that tumble do, and sits in the
index :math:`n` that the objective is made for; `course_lib.fluorescence.collection` has the share for another one.
"""

from dataclasses import dataclass
from typing import overload

import torch

from course_lib.fluorescence._check import check_between, check_not_negative, check_positive
from course_lib.fluorescence._exponential import one_minus_exponential
from course_lib.fluorescence.collection import collected_fraction, collected_fraction_across
from course_lib.fluorescence.filters import OPEN, FilterSet
from course_lib.fluorescence.fluorophores import Fluorophore
from course_lib.fluorescence.light import LightSource
from course_lib.fluorescence.spectrum import overlap

__all__ = ["PhotonBudget", "emitted_photons", "photon_budget"]

Quantity = float | torch.Tensor


@overload
def emitted_photons(
    cycle_rate_per_s: float, *, quantum_yield: float, photons_before_bleaching: float, exposure_ms: float
) -> float: ...
@overload
def emitted_photons(
    cycle_rate_per_s: torch.Tensor,
    *,
    quantum_yield: Quantity,
    photons_before_bleaching: Quantity,
    exposure_ms: Quantity,
) -> torch.Tensor: ...
def emitted_photons(
    cycle_rate_per_s: Quantity,
    *,
    quantum_yield: Quantity,
    photons_before_bleaching: Quantity,
    exposure_ms: Quantity,
) -> Quantity:
    r"""Return the mean photons that a molecule emits in an exposure, :math:`N_b(1 - e^{-\eta rt/N_b})`.

    Parameters
    ----------
    cycle_rate_per_s : float or torch.Tensor
        Excitations per second, saturation included: the excited fraction divided by the lifetime.
    quantum_yield, photons_before_bleaching : float or torch.Tensor
        :math:`\eta` and :math:`N_b` of the dye.
    exposure_ms : float or torch.Tensor
        Exposure.

    Raises
    ------
    ValueError
        If a number is out of its range. Tensors are not looked at, since live figures export this function.

    Examples
    --------
    >>> dye = {"quantum_yield": 0.6, "photons_before_bleaching": 2e5}
    >>> [round(emitted_photons(1e5, exposure_ms=exposure, **dye)) for exposure in (1.0, 1e3, 1e6)]
    [60, 51836, 200000]
    """
    check_not_negative(cycle_rate_per_s, name="cycle_rate_per_s", unit=" /s", remedy="give excitations per second")
    check_between(quantum_yield, 0, 1, name="quantum_yield", remedy="give a share, not per cent")
    check_positive(photons_before_bleaching, name="photons_before_bleaching", remedy="a common dye emits 1e5 photons")
    check_not_negative(exposure_ms, name="exposure_ms", unit=" ms", remedy="give the time that the light is on")
    unbleached = quantum_yield * cycle_rate_per_s * exposure_ms * 1e-3
    return photons_before_bleaching * one_minus_exponential(unbleached / photons_before_bleaching)


@dataclass(frozen=True, eq=False)
class PhotonBudget:
    """What one molecule absorbs and emits in one exposure, and what of it arrives; `print` shows each step.

    Attributes
    ----------
    title : str
        Dye, light, area and exposure in words.
    power_mw : float
        Power at the sample that is left behind excitation filter and dichroic.
    irradiance_w_per_cm2 : float
        That power per area; of a pulsed laser, the mean over the pulses.
    light_dose_j_per_cm2 : float
        Irradiance times exposure.
    excitation_rate_per_s : float
        Rate at which a molecule in its ground state is excited.
    excited_fraction : float
        Share of the time that a molecule is excited.
    bleaching_per_frame : float
        Rate :math:`k` of bleaching per exposure: the share :math:`e^{-k}` outlives it.
    absorbed, emitted, collected, transmitted, detected : float
        Mean per molecule and exposure: excitations, photons emitted, photons into the objective, photons that
        reach the camera, photoelectrons.
    steps : dict of str to float
        What remains after each step, in the order of the light; the first is without saturation and bleaching.
    """

    title: str
    power_mw: float
    irradiance_w_per_cm2: float
    light_dose_j_per_cm2: float
    excitation_rate_per_s: float
    excited_fraction: float
    bleaching_per_frame: float
    absorbed: float
    emitted: float
    collected: float
    transmitted: float
    detected: float
    steps: dict[str, float]

    @property
    def bleaching_per_j_per_cm2(self) -> float:
        """Rate of bleaching per light dose: the share exp(-rate · dose) outlives a dose. 0 without light."""
        return self.bleaching_per_frame / self.light_dose_j_per_cm2 if self.light_dose_j_per_cm2 else 0.0

    def __str__(self) -> str:
        """Write the table: what each step leaves, and which share of the step before that is."""
        lines = [
            self.title,
            f"{self.power_mw:.3g} mW behind the filters: {self.irradiance_w_per_cm2:.3g} W/cm², "
            f"{self.light_dose_j_per_cm2:.3g} J/cm²",
            f"excited {self.excitation_rate_per_s:.3g} times per second, "
            f"{100 * self.excited_fraction:.2g} % of the time",
            f"{'per molecule and exposure':<40}{'left':>12}{'kept':>9}{'lost':>9}",
        ]
        before = None
        for name, left in self.steps.items():
            kept = left / before if before else None
            shares = "" if kept is None else f"{kept:>9.1%}{1 - kept:>9.1%}"
            shown = f"{left:,.0f}" if left >= 1000 else f"{left:.4g}"
            lines.append(f"{name:<40}{shown:>12}{shares}")
            before = left
        return "\n".join(lines)


def photon_budget(
    fluorophore: Fluorophore,
    source: LightSource,
    *,
    filters: FilterSet | None = None,
    exposure_ms: float = 100.0,
    area_um2: float = 10_000.0,
    numerical_aperture: float = 1.4,
    immersion_index: float = 1.515,
    sample_index: float | None = None,
    objective_transmission: float = 0.85,
    quantum_efficiency: float = 0.82,
) -> PhotonBudget:
    """Follow the light of one molecule through one exposure.

    Parameters
    ----------
    fluorophore : Fluorophore
        The dye, see `course_lib.fluorescence.fluorophore`.
    source : LightSource
        The light: `laser`, `led`, `lamp`, or `pulsed_laser` for two-photon excitation.
    filters : FilterSet, optional
        Filter set; by default none, and no loss.
    exposure_ms : float
        Time that the light is on the molecule: the exposure in widefield, the dwell time in a scanning microscope.
    area_um2 : float
        Area that the light covers evenly: the field in widefield (by default 100 µm × 100 µm), the focal spot
        in a scanning microscope.
    numerical_aperture, immersion_index : float
        Of the objective.
    sample_index : float, optional
        Of the specimen; by default that of the immersion.
    objective_transmission : float
        Share that passes the glass of objective and tube lens.
    quantum_efficiency : float
        Of the camera.

    Returns
    -------
    PhotonBudget

    Raises
    ------
    ValueError
        If a number is out of its range, NA is not below the index, or the filters pass nothing of the source or of
        the emission.

    Examples
    --------
    >>> from course_lib.fluorescence import filter_set, fluorophore, laser
    >>> budget = photon_budget(
    ...     fluorophore("EGFP"),
    ...     laser(wavelength_nm=488, power_mw=1.0),
    ...     filters=filter_set("confocal 488"),
    ... )
    >>> print(budget)
    EGFP (band model), 488 nm laser with 1 mW on 10000 µm², 100 ms
    1 mW behind the filters: 10 W/cm², 1 J/cm²
    excited 5.25e+03 times per second, 0.0014 % of the time
    per molecule and exposure                       left     kept     lost
    excitations without limits                     525.1
    after saturation                               525.1   100.0%     0.0%
    absorbed, bleaching counted                    524.7    99.9%     0.1%
    emitted: quantum yield 0.6                     314.8    60.0%    40.0%
    collected: NA 1.4 in 1.515                     97.24    30.9%    69.1%
    through the objective                          82.66    85.0%    15.0%
    through the dichroic                           73.53    89.0%    11.0%
    transmitted: through the emission filter       52.75    71.7%    28.3%
    detected: quantum efficiency 0.82              43.26    82.0%    18.0%
    """
    check_not_negative(exposure_ms, name="exposure_ms", unit=" ms", remedy="give the time that the light is on")
    check_positive(objective_transmission, name="objective_transmission", remedy="common objectives pass 0.85")
    check_between(objective_transmission, 0, 1, name="objective_transmission", remedy="give a share, not per cent")
    check_between(quantum_efficiency, 0, 1, name="quantum_efficiency", remedy="give a share, not per cent")
    filters = filters or FilterSet(name="none")
    medium = f"{immersion_index:g}"
    if sample_index is None:
        aperture = collected_fraction(numerical_aperture, immersion_index)
    else:
        aperture = collected_fraction_across(numerical_aperture, immersion_index, sample_index)
        medium += f", from {sample_index:g}"
    dichroic = overlap(fluorophore.emission, filters.dichroic or OPEN)
    passed = filters.share_to_camera(fluorophore.emission)
    if passed == 0:
        raise ValueError(
            f"filter set {filters.name!r} passes nothing of the emission of {fluorophore.name}, which peaks at "
            f"{fluorophore.emission.peak_nm:g} nm: choose a set whose emission band holds it."
        )
    light = source.through(filters)
    rate = light.excitation_rate_per_s(fluorophore, area_um2=area_um2)
    cycles = light.cycle_rate_per_s(fluorophore, area_um2=area_um2)
    seconds = exposure_ms * 1e-3
    emitted = emitted_photons(
        cycles,
        quantum_yield=fluorophore.quantum_yield,
        photons_before_bleaching=fluorophore.photons_before_bleaching,
        exposure_ms=exposure_ms,
    )
    collected = emitted * aperture
    transmitted = collected * objective_transmission * passed
    detected = transmitted * quantum_efficiency
    irradiance = light.irradiance_w_per_cm2(area_um2=area_um2)
    return PhotonBudget(
        title=(
            f"{fluorophore.name} ({fluorophore.spectra}), {source.name} with {source.power_mw:g} mW on "
            f"{area_um2:g} µm², {exposure_ms:g} ms"
        ),
        power_mw=light.power_mw,
        irradiance_w_per_cm2=irradiance,
        light_dose_j_per_cm2=irradiance * seconds,
        excitation_rate_per_s=rate,
        excited_fraction=cycles * fluorophore.lifetime_ns * 1e-9,
        bleaching_per_frame=fluorophore.quantum_yield * cycles * seconds / fluorophore.photons_before_bleaching,
        absorbed=emitted / fluorophore.quantum_yield,
        emitted=emitted,
        collected=collected,
        transmitted=transmitted,
        detected=detected,
        steps={
            "excitations without limits": rate * seconds,
            "after saturation": cycles * seconds,
            "absorbed, bleaching counted": emitted / fluorophore.quantum_yield,
            f"emitted: quantum yield {fluorophore.quantum_yield:g}": emitted,
            f"collected: NA {numerical_aperture:g} in {medium}": collected,
            "through the objective": collected * objective_transmission,
            "through the dichroic": collected * objective_transmission * dichroic,
            "transmitted: through the emission filter": transmitted,
            f"detected: quantum efficiency {quantum_efficiency:g}": detected,
        },
    )
