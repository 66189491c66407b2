r"""Fluorophores: how strongly they absorb, how much of it they emit, how soon they bleach.

What a molecule absorbs is told by its extinction coefficient :math:`\varepsilon`, which is the cross section

.. math:: \sigma(\lambda) = \frac{1000 \ln 10}{N_A}\,\varepsilon(\lambda)
          = 3.82\times10^{-21}\ \mathrm{cm}^2 \cdot \varepsilon\,[\mathrm{M^{-1} cm^{-1}}]

What it emits is told by its quantum yield and by its emission spectrum, kept here as the density of *photons*
over the wavelength with area 1. (Spectrometers that count energy must divide by the photon's energy first.)

**The spectra of this table are band models** (`course_lib.fluorescence.band_spectrum`), not measurements. Those of
EGFP, mCherry, DAPI and Alexa Fluor 488 and 647 have bands fitted to landmarks (peaks, half maxima, shoulders) of
published curves; they stay within 5 % of the peak of them, and the shares that common emission filters pass within
1.5 percentage points. The others are built from published peaks and widths alone and are good for about 10 % of the
peak. Extinction coefficients and quantum yields are good for about 10 % in the buffer
in which they were measured, and cells are not that buffer. **The photons before bleaching are orders of magnitude**:
oxygen, mounting medium and irradiance change them tenfold. Two-photon cross sections differ by up to a factor of two
between laboratories. For a measured spectrum build a `Fluorophore` of your own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, overload

import torch

from course_lib.fluorescence._check import check_between, check_name, check_positive
from course_lib.fluorescence.bands import Band, band_spectrum
from course_lib.fluorescence.spectrum import Spectrum

__all__ = ["Fluorophore", "fluorophore", "list_fluorophores"]

AVOGADRO_PER_MOL = 6.02214076e23
CROSS_SECTION_CM2_PER_EXTINCTION = 1000 * math.log(10) / AVOGADRO_PER_MOL


@dataclass(frozen=True, eq=False)
class Fluorophore:
    """A fluorescent molecule.

    Attributes
    ----------
    name : str
        As people write it.
    extinction_per_m_cm : float
        Extinction coefficient at the peak, per molar and centimetre.
    quantum_yield : float
        Photons emitted per excitation, above 0 and up to 1.
    lifetime_ns : float
        Mean time in the excited state.
    photons_before_bleaching : float
        Mean number of photons that a molecule emits in its life; an order of magnitude.
    excitation : Spectrum
        Relative to the peak; scaled to a peak of 1.
    emission : Spectrum
        Photons per nanometre; scaled to an area of 1.
    two_photon : Spectrum or None
        Two-photon absorption cross section in Göppert-Mayer, 1 GM = 1e-50 cm⁴ s, against the laser's
        wavelength; None where no reliable value is known to us.
    spectra : {"band model", "measured"}
        What the spectra are.
    source : str
        Literature.
    note : str
        What to keep in mind.

    Raises
    ------
    ValueError
        If a number is out of its range, or a spectrum is 0 everywhere.

    Examples
    --------
    >>> egfp = fluorophore("EGFP")
    >>> egfp.excitation.peak_nm, egfp.emission.peak_nm
    (488.0, 510.0)
    >>> print(f"{egfp.cross_section_cm2(488.0):.1e} cm²")
    2.1e-16 cm²
    """

    name: str
    extinction_per_m_cm: float
    quantum_yield: float
    lifetime_ns: float
    photons_before_bleaching: float
    excitation: Spectrum
    emission: Spectrum
    two_photon: Spectrum | None = None
    spectra: Literal["band model", "measured"] = "measured"
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check the numbers, and bring the spectra to their scale."""
        check_positive(
            self.extinction_per_m_cm, name="extinction_per_m_cm", unit=" /M/cm", remedy="a strong dye has 1e5"
        )
        check_positive(self.lifetime_ns, name="lifetime_ns", unit=" ns", remedy="most dyes have 1 to 5 ns")
        check_positive(
            self.photons_before_bleaching, name="photons_before_bleaching", remedy="a common dye emits 1e5 photons"
        )
        check_positive(self.quantum_yield, name="quantum_yield", remedy="give photons emitted per excitation")
        check_between(self.quantum_yield, 0, 1, name="quantum_yield", remedy="give a share, not per cent")
        object.__setattr__(self, "excitation", self.excitation.with_peak(1.0))
        object.__setattr__(self, "emission", self.emission.with_area(1.0))

    @property
    def brightness_per_m_cm(self) -> float:
        """Extinction coefficient × quantum yield, the usual measure of how bright a dye can be."""
        return self.extinction_per_m_cm * self.quantum_yield

    @overload
    def cross_section_cm2(self, wavelength_nm: float) -> float: ...
    @overload
    def cross_section_cm2(self, wavelength_nm: torch.Tensor) -> torch.Tensor: ...
    def cross_section_cm2(self, wavelength_nm: float | torch.Tensor) -> float | torch.Tensor:
        """Return the absorption cross section of one molecule, in cm²."""
        return self.excitation.at(wavelength_nm) * (self.extinction_per_m_cm * CROSS_SECTION_CM2_PER_EXTINCTION)


def _modelled(
    name: str,
    *,
    extinction_per_m_cm: float,
    quantum_yield: float,
    lifetime_ns: float,
    photons_before_bleaching: float,
    excitation: Sequence[Band],
    emission: Sequence[Band],
    two_photon: Sequence[Band] = (),
    source: str,
    note: str = "",
) -> Fluorophore:
    return Fluorophore(
        name=name,
        extinction_per_m_cm=extinction_per_m_cm,
        quantum_yield=quantum_yield,
        lifetime_ns=lifetime_ns,
        photons_before_bleaching=photons_before_bleaching,
        excitation=band_spectrum(excitation),
        emission=band_spectrum(emission),
        two_photon=band_spectrum(two_photon) if two_photon else None,
        spectra="band model",
        source=source,
        note=note,
    )


_TABLE = (
    _modelled(
        "EGFP",
        extinction_per_m_cm=55_900,
        quantum_yield=0.60,
        lifetime_ns=2.6,
        photons_before_bleaching=2e5,
        excitation=[Band(493, 15, 13, 0.81), Band(467, 19, 18, 0.61), Band(430, 61, 24, 0.19)],
        emission=[Band(509, 13, 10, 0.91), Band(528, 10, 25, 0.36), Band(550, 32, 49, 0.08)],
        two_photon=[Band(927, 60, 40, 39)],
        source=(
            "G. H. Patterson et al., Biophys. J. 73 (1997) 2782; N. C. Shaner et al., Nature Methods 2 (2005) 905 "
            "(bleaching); M. Drobizhev et al., Nature Methods 8 (2011) 393 (two-photon)"
        ),
    ),
    _modelled(
        "DAPI",
        extinction_per_m_cm=27_000,
        quantum_yield=0.58,
        lifetime_ns=2.8,
        photons_before_bleaching=3e4,
        excitation=[Band(357, 24, 24, 0.73), Band(328, 24, 15, 0.39), Band(379, 32, 14, 0.32)],
        emission=[Band(446, 28, 71, 0.9), Band(465, 13, 30, 0.14), Band(565, 52, 70, 0.03)],
        two_photon=[Band(700, 40, 50, 4)],
        source=(
            "J. Kapuscinski, Biotech. Histochem. 70 (1995) 220; C. Xu and W. W. Webb, J. Opt. Soc. Am. B 13 (1996) 481 "
            "(two-photon: action cross section 0.16 GM, divided by the quantum yield in water, 0.04)"
        ),
        note="bound to double-stranded DNA; published quantum yields run from 0.3 to 0.9 with the sequence",
    ),
    _modelled(
        "DRAQ5",
        extinction_per_m_cm=20_700,
        quantum_yield=0.004,
        lifetime_ns=0.1,
        photons_before_bleaching=1e4,
        excitation=[Band(651, 22, 22, 0.85), Band(602, 30, 26, 0.8)],
        emission=[Band(695, 22, 32, 1.0), Band(745, 30, 45, 0.25)],
        source="P. J. Smith et al., J. Immunol. Methods 229 (1999) 131; K. L. Njoh et al., Cytometry A 69 (2006) 805",
        note=(
            "bound to DNA; a dim dye that works because much of it binds. Quantum yield, lifetime and photons "
            "before bleaching are orders of magnitude"
        ),
    ),
    _modelled(
        "Alexa Fluor 488",
        extinction_per_m_cm=73_000,
        quantum_yield=0.92,
        lifetime_ns=4.1,
        photons_before_bleaching=3e5,
        excitation=[Band(499, 15, 15, 0.99), Band(471, 19, 12, 0.29), Band(436, 90, 8, 0.04)],
        emission=[Band(518, 14, 23, 1.0), Band(557, 12, 35, 0.2)],
        source="N. Panchuk-Voloshina et al., J. Histochem. Cytochem. 47 (1999) 1179; The Molecular Probes Handbook",
        note="on an antibody the quantum yield falls with the number of dyes",
    ),
    _modelled(
        "Alexa Fluor 568",
        extinction_per_m_cm=91_300,
        quantum_yield=0.69,
        lifetime_ns=3.6,
        photons_before_bleaching=5e5,
        excitation=[Band(578, 16, 15, 1.0), Band(542, 18, 16, 0.4), Band(515, 30, 15, 0.1)],
        emission=[Band(602, 15, 22, 1.0), Band(645, 20, 36, 0.25)],
        source="N. Panchuk-Voloshina et al., J. Histochem. Cytochem. 47 (1999) 1179; The Molecular Probes Handbook",
        note="on an antibody the quantum yield falls with the number of dyes",
    ),
    _modelled(
        "Alexa Fluor 647",
        extinction_per_m_cm=270_000,
        quantum_yield=0.33,
        lifetime_ns=1.0,
        photons_before_bleaching=2e5,
        excitation=[Band(651, 17, 15, 0.85), Band(605, 20, 46, 0.25), Band(575, 37, 55, 0.08)],
        emission=[Band(670, 15, 17, 0.85), Band(705, 38, 46, 0.24)],
        source="J. E. Berlier et al., J. Histochem. Cytochem. 51 (2003) 1699; The Molecular Probes Handbook",
        note="a cyanine: it blinks, and bleaches faster where oxygen is not removed",
    ),
    _modelled(
        "mCherry",
        extinction_per_m_cm=72_000,
        quantum_yield=0.22,
        lifetime_ns=1.4,
        photons_before_bleaching=1e5,
        excitation=[Band(587, 19, 17, 0.99), Band(556, 21, 14, 0.36), Band(539, 40, 14, 0.24), Band(352, 30, 30, 0.17)],
        emission=[Band(606, 16, 17, 0.87), Band(638, 22, 38, 0.49), Band(698, 29, 60, 0.09)],
        source=("N. C. Shaner et al., Nature Biotechnol. 22 (2004) 1567 and Nature Methods 2 (2005) 905 (bleaching)"),
    ),
    _modelled(
        "NADH",
        extinction_per_m_cm=6_220,
        quantum_yield=0.02,
        lifetime_ns=0.4,
        photons_before_bleaching=1e3,
        excitation=[Band(340, 30, 28)],
        emission=[Band(460, 38, 55)],
        two_photon=[Band(700, 45, 45, 1.0)],
        source=(
            "J. R. Lakowicz et al., PNAS 89 (1992) 1271; W. R. Zipfel et al., PNAS 100 (2003) 7075 (two-photon: "
            "action cross section 0.02 GM, divided by the quantum yield 0.02)"
        ),
        note="free in water; bound to an enzyme it emits about four times as much, and longer",
    ),
    _modelled(
        "FAD",
        extinction_per_m_cm=11_300,
        quantum_yield=0.03,
        lifetime_ns=2.3,
        photons_before_bleaching=1e3,
        excitation=[Band(450, 30, 28, 1.0), Band(373, 25, 25, 0.83)],
        emission=[Band(525, 25, 45)],
        two_photon=[Band(725, 50, 55, 1.0), Band(890, 60, 40, 0.8)],
        source=(
            "P. A. W. van den Berg et al., J. Phys. Chem. B 106 (2002) 8858; S. Huang et al., Biophys. J. 82 (2002) "
            "2811 (two-photon)"
        ),
        note="the green autofluorescence of cells under 488 nm, where NADH does not absorb",
    ),
    _modelled(
        "collagen",
        extinction_per_m_cm=5_000,
        quantum_yield=0.1,
        lifetime_ns=5.0,
        photons_before_bleaching=1e3,
        excitation=[Band(327, 22, 25)],
        emission=[Band(400, 32, 55)],
        two_photon=[Band(700, 60, 60, 1.0)],
        source=(
            "D. Fujimoto et al., Biochem. Biophys. Res. Commun. 84 (1978) 52 (pyridinoline); W. R. Zipfel et al., "
            "PNAS 100 (2003) 7075"
        ),
        note=(
            "the cross-links of the fibre, all numbers orders of magnitude; its second harmonic, which is not "
            "fluorescence, is in course_lib.fluorescence.second_harmonic"
        ),
    ),
)


def _key(name: str) -> str:
    return name.lower().replace("fluor", "").replace(" ", "").replace("-", "")


_BY_KEY = {_key(entry.name): entry for entry in _TABLE}


def list_fluorophores() -> tuple[str, ...]:
    """Return the names that `fluorophore` knows.

    Examples
    --------
    >>> list_fluorophores()[:3]
    ('EGFP', 'DAPI', 'DRAQ5')
    """
    return tuple(entry.name for entry in _TABLE)


def fluorophore(name: str) -> Fluorophore:
    """Look up a fluorophore; case, spaces, hyphens and the word "Fluor" do not matter.

    Parameters
    ----------
    name : str
        One of `list_fluorophores`.

    Returns
    -------
    Fluorophore
        With spectra that are band models, see the top of this module.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists those that are known.
    TypeError
        If the name is not a string.

    Examples
    --------
    >>> fluorophore("alexa 488").name
    'Alexa Fluor 488'
    >>> fluorophore("NADH").spectra
    'band model'
    """
    check_name(name, known=list_fluorophores())
    try:
        return _BY_KEY[_key(name)]
    except KeyError:
        raise ValueError(
            f"fluorophore {name!r} is unknown: choose one of {', '.join(list_fluorophores())}, or build a Fluorophore."
        ) from None
