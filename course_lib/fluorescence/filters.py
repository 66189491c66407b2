r"""Filters and filter sets: which light reaches the sample, and which the camera.

In an epi-fluorescence cube the dichroic stands at 45°: it *reflects* the excitation to the sample and *transmits*
the emission to the camera. Of the excitation it passes :math:`1 - T(\lambda)`, of the emission :math:`T(\lambda)`:

.. math:: \text{to the sample: } T_\mathrm{ex}(\lambda)\,(1 - T_\mathrm{dichroic}(\lambda)), \qquad
          \text{to the camera: } T_\mathrm{dichroic}(\lambda)\,T_\mathrm{em}(\lambda)

The filters here are ideal ones: flat inside, straight edges, nothing outside. Real ones leak 1e-5 to 1e-6 of the
light that they block, which matters for dim samples and for stray laser light only.
"""

from dataclasses import dataclass
from typing import overload

import torch

from course_lib.fluorescence._check import check_between, check_name, check_positive
from course_lib.fluorescence.spectrum import Spectrum, overlap

__all__ = ["FilterSet", "bandpass", "filter_set", "list_filter_sets", "longpass", "shortpass"]

SHORTEST_NM, LONGEST_NM = 200.0, 2000.0
EDGE_NM = 2.0


def _lines(wavelength_nm: list[float], value: list[float]) -> Spectrum:
    return Spectrum(torch.tensor(wavelength_nm, dtype=torch.float64), torch.tensor(value, dtype=torch.float64))


def _check(transmission: float) -> None:
    check_positive(transmission, name="transmission", remedy="a filter that passes nothing shows nothing")
    check_between(transmission, 0, 1, name="transmission", remedy="give the share that passes inside the band")


def bandpass(*, center_nm: float, width_nm: float, transmission: float = 0.95) -> Spectrum:
    """Make a bandpass filter, as the catalogues write them: 525/50 has center 525 and full width 50 nm.

    Parameters
    ----------
    center_nm, width_nm : float
        Middle and full width at half maximum.
    transmission : float
        Share that passes inside the band.

    Returns
    -------
    Spectrum
        Transmission, with edges that are 2 nm wide.

    Raises
    ------
    ValueError
        If the band is narrower than its edges, reaches out of 200 to 2000 nm, or passes nothing.

    Examples
    --------
    >>> green = bandpass(center_nm=525, width_nm=50)
    >>> [round(green.at(wavelength), 3) for wavelength in (498.0, 500.0, 525.0, 550.0)]
    [0.0, 0.475, 0.95, 0.475]
    """
    _check(transmission)
    low, high = center_nm - width_nm / 2, center_nm + width_nm / 2
    if not (width_nm > EDGE_NM and low > SHORTEST_NM and high < LONGEST_NM):
        raise ValueError(
            f"the band {center_nm:g}/{width_nm:g} nm passes nothing or reaches out of 200 to 2000 nm: "
            f"give its middle and a full width above {EDGE_NM:g} nm, for example center_nm=525, width_nm=50."
        )
    half = EDGE_NM / 2
    return _lines([low - half, low + half, high - half, high + half], [0, transmission, transmission, 0])


def longpass(*, edge_nm: float, transmission: float = 0.95) -> Spectrum:
    """Make a longpass filter or dichroic: it passes what lies above `edge_nm`, up to 2000 nm.

    Examples
    --------
    >>> dichroic = longpass(edge_nm=495)
    >>> dichroic.at(480.0), dichroic.at(520.0)
    (0.0, 0.95)
    """
    _check(transmission)
    check_between(edge_nm, SHORTEST_NM + EDGE_NM, LONGEST_NM - EDGE_NM, name="edge_nm", remedy="give nanometres")
    half = EDGE_NM / 2
    return _lines([edge_nm - half, edge_nm + half, LONGEST_NM], [0, transmission, transmission])


def shortpass(*, edge_nm: float, transmission: float = 0.95) -> Spectrum:
    """Make a shortpass filter or dichroic, such as a two-photon microscope has: it passes what lies below.

    Examples
    --------
    >>> dichroic = shortpass(edge_nm=690)
    >>> dichroic.at(520.0), dichroic.at(800.0)
    (0.95, 0.0)
    """
    _check(transmission)
    check_between(edge_nm, SHORTEST_NM + EDGE_NM, LONGEST_NM - EDGE_NM, name="edge_nm", remedy="give nanometres")
    half = EDGE_NM / 2
    return _lines([SHORTEST_NM, edge_nm - half, edge_nm + half], [transmission, transmission, 0])


OPEN = _lines([SHORTEST_NM, LONGEST_NM], [1, 1])
MIRROR = _lines([SHORTEST_NM, LONGEST_NM], [0, 0])


@dataclass(frozen=True, eq=False)
class FilterSet:
    """Excitation filter, dichroic and emission filter; each may be left out.

    Attributes
    ----------
    excitation : Spectrum or None
        Transmission of the filter in front of the lamp; None for a laser, which needs none.
    dichroic : Spectrum or None
        Transmission of the dichroic, which reflects the rest. Without one nothing is lost on either way.
    emission : Spectrum or None
        Transmission of the filter in front of the camera.
    name : str
        For messages and legends.

    Raises
    ------
    ValueError
        If a transmission is above 1, or the set passes no light at all on one of its two ways.

    Examples
    --------
    >>> gfp = FilterSet(
    ...     excitation=bandpass(center_nm=470, width_nm=40),
    ...     dichroic=longpass(edge_nm=495),
    ...     emission=bandpass(center_nm=525, width_nm=50),
    ... )
    >>> round(gfp.to_sample_at(488.0), 3), round(gfp.to_camera_at(520.0), 3)
    (0.95, 0.902)
    """

    excitation: Spectrum | None = None
    dichroic: Spectrum | None = None
    emission: Spectrum | None = None
    name: str = "own filters"

    def __post_init__(self) -> None:
        """Check that light can pass on both ways."""
        for part in ("excitation", "dichroic", "emission"):
            spectrum = getattr(self, part)
            if spectrum is not None and float(spectrum.value.max()) > 1:
                raise ValueError(
                    f"{part} transmits {float(spectrum.value.max()):g} at its best, but at most 1 is possible: "
                    f"divide per cent by 100."
                )
        excitation, dichroic, emission = self.excitation or OPEN, self.dichroic or MIRROR, self.emission or OPEN
        if overlap(excitation) <= 1.000001 * overlap(excitation, dichroic):
            raise ValueError(
                f"filter set {self.name!r} passes no excitation: its excitation filter is closed, or its dichroic "
                f"transmits, instead of reflecting, what that filter passes. Move the dichroic's edge."
            )
        if overlap(self.dichroic or OPEN, emission) == 0:
            raise ValueError(
                f"filter set {self.name!r} passes no emission: its emission filter is closed, or has no wavelength in "
                f"common with the dichroic. Move the dichroic's edge."
            )

    @overload
    def to_sample_at(self, wavelength_nm: float) -> float: ...
    @overload
    def to_sample_at(self, wavelength_nm: torch.Tensor) -> torch.Tensor: ...
    def to_sample_at(self, wavelength_nm: float | torch.Tensor) -> float | torch.Tensor:
        """Return the share of the excitation that reaches the sample."""
        return (self.excitation or OPEN).at(wavelength_nm) * (1 - (self.dichroic or MIRROR).at(wavelength_nm))

    @overload
    def to_camera_at(self, wavelength_nm: float) -> float: ...
    @overload
    def to_camera_at(self, wavelength_nm: torch.Tensor) -> torch.Tensor: ...
    def to_camera_at(self, wavelength_nm: float | torch.Tensor) -> float | torch.Tensor:
        """Return the share of the emission that reaches the camera."""
        return (self.dichroic or OPEN).at(wavelength_nm) * (self.emission or OPEN).at(wavelength_nm)

    def share_to_camera(self, emission: Spectrum) -> float:
        """Return the share of an emission of area 1 that reaches the camera.

        Examples
        --------
        >>> line = Spectrum([519, 520, 521], [0, 1, 0])
        >>> round(filter_set("GFP").share_to_camera(line), 3)
        0.902
        """
        return overlap(emission, self.dichroic or OPEN, self.emission or OPEN)


def _set(
    name: str, *, excitation: tuple[float, float] | None, dichroic: Spectrum, emission: tuple[float, float]
) -> FilterSet:
    return FilterSet(
        excitation=None if excitation is None else bandpass(center_nm=excitation[0], width_nm=excitation[1]),
        dichroic=dichroic,
        emission=bandpass(center_nm=emission[0], width_nm=emission[1]),
        name=name,
    )


_SETS = (
    _set("DAPI", excitation=(377, 50), dichroic=longpass(edge_nm=409), emission=(447, 60)),
    _set("GFP", excitation=(470, 40), dichroic=longpass(edge_nm=495), emission=(525, 50)),
    _set("mCherry", excitation=(560, 40), dichroic=longpass(edge_nm=585), emission=(630, 75)),
    _set("Cy5", excitation=(620, 60), dichroic=longpass(edge_nm=660), emission=(700, 75)),
    _set("confocal 405", excitation=None, dichroic=longpass(edge_nm=415), emission=(450, 50)),
    _set("confocal 488", excitation=None, dichroic=longpass(edge_nm=495), emission=(525, 50)),
    _set("confocal 561", excitation=None, dichroic=longpass(edge_nm=568), emission=(600, 50)),
    _set("confocal 633", excitation=None, dichroic=longpass(edge_nm=640), emission=(682.5, 75)),
    _set("two-photon 535/50", excitation=None, dichroic=shortpass(edge_nm=690), emission=(535, 50)),
    _set("two-photon 400/40", excitation=None, dichroic=shortpass(edge_nm=690), emission=(400, 40)),
)


def list_filter_sets() -> tuple[str, ...]:
    """Return the names that `filter_set` knows.

    Examples
    --------
    >>> list_filter_sets()[:4]
    ('DAPI', 'GFP', 'mCherry', 'Cy5')
    """
    return tuple(entry.name for entry in _SETS)


def filter_set(name: str) -> FilterSet:
    """Look up a filter set: common cubes for lamps, and detection bands for lasers.

    The cubes have the nominal bands of common products. The confocal and two-photon sets have no excitation filter,
    since a laser needs none; "confocal 488", "confocal 633", "two-photon 535/50" and "two-photon 400/40" are the
    detection bands of the seminar's last slides.

    Parameters
    ----------
    name : str
        One of `list_filter_sets`; case does not matter.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists those that are known.
    TypeError
        If the name is not a string.

    Examples
    --------
    >>> filter_set("GFP").name
    'GFP'
    """
    check_name(name, known=list_filter_sets())
    for entry in _SETS:
        if entry.name.lower() == name.lower():
            return entry
    raise ValueError(
        f"filter set {name!r} is unknown: choose one of {', '.join(list_filter_sets())}, or build a FilterSet."
    )
