r"""Light sources: how much power at which wavelength.

A source is a list of lines, each with its wavelength and its power in milliwatts: one line for a laser, a few
hundred for an LED or a lamp. Integrals over the source's spectrum are then plain sums,

.. math:: k_\mathrm{ex} = \sum_i \sigma(\lambda_i)\,\frac{P_i\lambda_i}{hcA}.

The power is that at the sample: what a power meter under the objective reads *without* the filter set, of which
the filters then let their share pass.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch

from course_lib.fluorescence._check import check_between, check_not_negative, check_positive
from course_lib.fluorescence.bands import Band, band_spectrum
from course_lib.fluorescence.excitation import excited_fraction, photon_flux_per_cm2_s
from course_lib.fluorescence.filters import FilterSet
from course_lib.fluorescence.fluorophores import Fluorophore, fluorophore, list_fluorophores
from course_lib.fluorescence.spectrum import Spectrum
from course_lib.fluorescence.two_photon import pulsed_cycle_rate_per_s, two_photon_rate_per_s

__all__ = ["LightSource", "PulsedLaser", "lamp", "laser", "led", "pulsed_laser"]

POWER_REMEDY = "give the power at the sample"
WAVELENGTH_REMEDY = "give the wavelength in nanometres"


@dataclass(frozen=True, eq=False, kw_only=True)
class LightSource:
    """Steady light that excites by one photon.

    Attributes
    ----------
    name : str
        For tables and legends.
    line_nm : torch.Tensor
        Wavelengths of the lines, shape (lines,), in any order. Lists and arrays are converted.
    line_power_mw : torch.Tensor
        Power of each line at the sample, shape (lines,), float64.

    Raises
    ------
    ValueError
        If there is no line, the shapes differ, a wavelength is below 100 nm, or a power is negative or not finite.

    Examples
    --------
    >>> both = LightSource(name="both lasers", line_nm=[488, 561], line_power_mw=[1.0, 0.5])
    >>> both.power_mw
    1.5
    """

    name: str
    line_nm: torch.Tensor
    line_power_mw: torch.Tensor

    def __post_init__(self) -> None:
        """Convert to float64 and check."""
        line_nm = torch.as_tensor(self.line_nm, dtype=torch.float64).detach().clone()
        power_mw = torch.as_tensor(self.line_power_mw, dtype=torch.float64).detach().clone()
        if line_nm.ndim != 1 or power_mw.shape != line_nm.shape or len(line_nm) == 0:
            raise ValueError(
                f"line_nm has shape {tuple(line_nm.shape)} and line_power_mw {tuple(power_mw.shape)}, but both must be "
                f"(lines,) with at least one line: give one power for each wavelength."
            )
        if not bool(torch.isfinite(line_nm).all()) or float(line_nm.min()) < 100:
            raise ValueError(
                f"line_nm has a minimum of {float(line_nm.min()):g} nm, but wavelengths are finite and at least "
                f"100 nm: give nanometres, not micrometres."
            )
        if not bool(torch.isfinite(power_mw).all()) or float(power_mw.min()) < 0:
            raise ValueError(
                f"line_power_mw has a minimum of {float(power_mw.min()):g} mW, but powers are finite and at least 0: "
                f"{POWER_REMEDY}."
            )
        object.__setattr__(self, "line_nm", line_nm)
        object.__setattr__(self, "line_power_mw", power_mw)

    @property
    def power_mw(self) -> float:
        """Power of all lines together."""
        return float(self.line_power_mw.sum())

    def irradiance_w_per_cm2(self, *, area_um2: float) -> float:
        """Return the power per area; of a pulsed laser, the mean over the pulses."""
        check_positive(area_um2, name="area_um2", unit=" µm²", remedy="give the area that the light covers")
        return self.power_mw * 1e-3 / (area_um2 * 1e-8)

    def through(self, filters: FilterSet) -> Self:
        """Return what is left of the light after excitation filter and dichroic.

        Raises
        ------
        ValueError
            If nothing is left of a source that shines.
        """
        passed = self.line_power_mw * filters.to_sample_at(self.line_nm)
        if self.power_mw > 0 and float(passed.sum()) == 0:
            raise ValueError(
                f"filter set {filters.name!r} passes nothing of the {self.name}: choose a set whose excitation band "
                f"holds the source's wavelength, or one without excitation filter."
            )
        return replace(self, line_power_mw=passed)

    def excitation_rate_per_s(self, dye: Fluorophore, *, area_um2: float) -> float:
        """Return the rate at which a molecule in its ground state is excited, when the light covers `area_um2`."""
        flux = photon_flux_per_cm2_s(self.line_power_mw, wavelength_nm=self.line_nm, area_um2=area_um2)
        return float((dye.cross_section_cm2(self.line_nm) * flux).sum())

    def cycle_rate_per_s(self, dye: Fluorophore, *, area_um2: float) -> float:
        """Return the excitations per second of one molecule, saturation included."""
        rate = self.excitation_rate_per_s(dye, area_um2=area_um2)
        return excited_fraction(rate, dye.lifetime_ns) / (dye.lifetime_ns * 1e-9)


@dataclass(frozen=True, eq=False, kw_only=True)
class PulsedLaser(LightSource):
    """A laser with short pulses, which excites by two photons at once.

    Attributes
    ----------
    pulse_fs : float
        Length of a pulse at the sample, full width at half maximum.
    repetition_mhz : float
        Pulses per microsecond.

    Raises
    ------
    ValueError
        As `LightSource`, and if there is more than one line, or a number of the pulses is not above 0.
    """

    pulse_fs: float
    repetition_mhz: float

    def __post_init__(self) -> None:
        """Check the pulses, and that they have one wavelength."""
        super().__post_init__()
        if len(self.line_nm) != 1:
            raise ValueError(
                f"line_nm has {len(self.line_nm)} wavelengths, but a pulsed laser has one: give the middle of its "
                f"spectrum."
            )
        check_positive(self.pulse_fs, name="pulse_fs", unit=" fs", remedy="common lasers have 100 fs")
        check_positive(self.repetition_mhz, name="repetition_mhz", unit=" MHz", remedy="common lasers have 80 MHz")

    def excitation_rate_per_s(self, dye: Fluorophore, *, area_um2: float) -> float:
        """Return the mean rate of two-photon excitation without saturation.

        Raises
        ------
        ValueError
            If the two-photon cross section of `dye` is not known, at all or at the laser's wavelength.
        """
        if dye.two_photon is None:
            known = ", ".join(name for name in list_fluorophores() if fluorophore(name).two_photon)
            raise ValueError(
                f"no two-photon cross section is known of {dye.name}: choose one of {known}, or build a Fluorophore "
                f"with two_photon."
            )
        line_nm = float(self.line_nm[0])
        first_nm, last_nm = (float(dye.two_photon.wavelength_nm[end]) for end in (0, -1))
        if not first_nm <= line_nm <= last_nm:
            raise ValueError(
                f"the two-photon cross section of {dye.name} is known from {first_nm:g} to {last_nm:g} nm, but not at "
                f"{line_nm:g} nm: tune the laser, or build a Fluorophore with a wider two_photon."
            )
        flux = photon_flux_per_cm2_s(self.power_mw, wavelength_nm=line_nm, area_um2=area_um2)
        return two_photon_rate_per_s(
            flux,
            cross_section_gm=dye.two_photon.at(line_nm),
            pulse_fs=self.pulse_fs,
            repetition_mhz=self.repetition_mhz,
        )

    def cycle_rate_per_s(self, dye: Fluorophore, *, area_um2: float) -> float:
        """Return the excitations per second of one molecule, saturation included."""
        rate = self.excitation_rate_per_s(dye, area_um2=area_um2)
        return pulsed_cycle_rate_per_s(rate, lifetime_ns=dye.lifetime_ns, repetition_mhz=self.repetition_mhz)


def laser(*, wavelength_nm: float, power_mw: float) -> LightSource:
    """Make a laser with steady light of one wavelength.

    Raises
    ------
    ValueError
        If the power is negative, or the wavelength is not from 200 to 2000 nm.

    Examples
    --------
    >>> source = laser(wavelength_nm=488, power_mw=1.0)
    >>> print(f"{source.irradiance_w_per_cm2(area_um2=100):.0f} W/cm²")
    1000 W/cm²
    """
    check_between(wavelength_nm, 200, 2000, name="wavelength_nm", remedy=WAVELENGTH_REMEDY)
    check_not_negative(power_mw, name="power_mw", unit=" mW", remedy=POWER_REMEDY)
    return LightSource(
        name=f"{wavelength_nm:g} nm laser",
        line_nm=torch.tensor([wavelength_nm], dtype=torch.float64),
        line_power_mw=torch.tensor([power_mw], dtype=torch.float64),
    )


def pulsed_laser(
    *, wavelength_nm: float, power_mw: float, pulse_fs: float = 100.0, repetition_mhz: float = 80.0
) -> PulsedLaser:
    """Make a laser for two-photon excitation.

    Parameters
    ----------
    wavelength_nm : float
        Middle of its spectrum.
    power_mw : float
        *Mean* power at the sample.
    pulse_fs : float
        Length of a pulse at the sample, where the glass of the microscope has stretched it.
    repetition_mhz : float
        Pulses per microsecond.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> pulsed_laser(wavelength_nm=800, power_mw=10).name
    '800 nm laser with pulses of 100 fs'
    """
    check_between(wavelength_nm, 200, 2000, name="wavelength_nm", remedy=WAVELENGTH_REMEDY)
    check_not_negative(power_mw, name="power_mw", unit=" mW", remedy="give the mean power at the sample")
    return PulsedLaser(
        name=f"{wavelength_nm:g} nm laser with pulses of {pulse_fs:g} fs",
        line_nm=torch.tensor([wavelength_nm], dtype=torch.float64),
        line_power_mw=torch.tensor([power_mw], dtype=torch.float64),
        pulse_fs=pulse_fs,
        repetition_mhz=repetition_mhz,
    )


def _spread(name: str, spectrum: Spectrum, power_mw: float) -> LightSource:
    check_not_negative(power_mw, name="power_mw", unit=" mW", remedy=POWER_REMEDY)
    weights = spectrum.value / spectrum.value.sum()
    return LightSource(name=name, line_nm=spectrum.wavelength_nm, line_power_mw=power_mw * weights)


def led(*, center_nm: float, width_nm: float, power_mw: float) -> LightSource:
    """Make an LED: power spread as a bell of full width `width_nm` at half maximum, in lines 1 nm apart or closer.

    Raises
    ------
    ValueError
        If the power is negative, the width is below 2 nm, or the center is not from 200 to 2000 nm.

    Examples
    --------
    >>> from course_lib.fluorescence import filter_set
    >>> source = led(center_nm=470, width_nm=25, power_mw=20.0)
    >>> round(source.power_mw, 6), round(source.through(filter_set("GFP")).power_mw, 1)
    (20.0, 17.9)
    """
    check_between(center_nm, 200, 2000, name="center_nm", remedy=WAVELENGTH_REMEDY)
    check_between(width_nm, 2, 500, name="width_nm", remedy="give the full width at half maximum in nanometres")
    spectrum = band_spectrum([Band(center_nm, width_nm / 2, width_nm / 2)], step_nm=min(1.0, width_nm / 4))
    return _spread(f"{center_nm:g} nm LED", spectrum, power_mw)


MERCURY_LINES = (
    Band(365, 2.5, 2.5, 0.107),
    Band(405, 2.5, 2.5, 0.040),
    Band(436, 2.5, 2.5, 0.126),
    Band(546, 3.0, 3.0, 0.071),
    Band(578, 3.5, 3.5, 0.079),
)
"""The broadened lines of a mercury short arc; the heights are shares of the power from 300 to 700 nm."""


def lamp(*, power_mw: float) -> LightSource:
    """Make a mercury arc lamp: five lines with 42 % of the power, the rest spread evenly from 300 to 700 nm.

    A rough model (shares of the lines after M. W. Davidson's *ZEISS Online Campus*): a real lamp ages, and its
    power at the sample depends on its alignment.

    Parameters
    ----------
    power_mw : float
        Power at the sample from 300 to 700 nm, before the filters: a cube passes a tenth to a fifth of it.

    Raises
    ------
    ValueError
        If the power is negative.

    Examples
    --------
    >>> from course_lib.fluorescence import filter_set
    >>> source = lamp(power_mw=100.0)
    >>> round(source.power_mw, 6), round(source.through(filter_set("mCherry")).power_mw, 1)
    (100.0, 17.8)
    """
    wavelength = torch.arange(300.0, 701.0, dtype=torch.float64)
    value = torch.full_like(wavelength, (1 - sum(line.height for line in MERCURY_LINES)) / len(wavelength))
    for line in MERCURY_LINES:
        value += line.height * band_spectrum([line]).with_area().at(wavelength)
    return _spread("mercury lamp", Spectrum(wavelength, value), power_mw)
