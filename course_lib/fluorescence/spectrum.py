r"""A spectrum: values at growing wavelengths, straight lines between them, nothing outside.

A product of spectra, such as emission × dichroic × emission filter, is then a polynomial between neighbouring
wavelengths, and Simpson's rule integrates polynomials up to the third degree exactly. So

.. math:: \int s_1(\lambda)\,s_2(\lambda)\,s_3(\lambda)\,\mathrm d\lambda

has no discretization error beyond that of the spectra themselves, however different their wavelengths are.
"""

from dataclasses import dataclass
from typing import overload

import torch

from course_lib.fluorescence._check import check_finite

__all__ = ["Spectrum", "overlap"]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Values at growing wavelengths; linear between them and 0 outside.

    Attributes
    ----------
    wavelength_nm : torch.Tensor
        Growing wavelengths in nanometres, shape (n,), at least two. Lists and arrays are converted.
    value : torch.Tensor
        Values of at least 0, shape (n,), float64.

    Raises
    ------
    ValueError
        If there are fewer than two wavelengths, they do not grow, or a value is negative, NaN or infinite.

    Examples
    --------
    >>> triangle = Spectrum([500, 510, 530], [0, 1, 0])
    >>> triangle.at(520.0), triangle.at(600.0), triangle.peak_nm, triangle.area
    (0.5, 0.0, 510.0, 15.0)
    """

    wavelength_nm: torch.Tensor
    value: torch.Tensor

    def __post_init__(self) -> None:
        """Convert to float64 and check."""
        wavelength = torch.as_tensor(self.wavelength_nm, dtype=torch.float64).detach().clone()
        value = torch.as_tensor(self.value, dtype=torch.float64).detach().clone()
        if wavelength.ndim != 1 or value.shape != wavelength.shape or len(wavelength) < 2:
            raise ValueError(
                f"wavelength_nm has shape {tuple(wavelength.shape)} and value {tuple(value.shape)}, but both must be "
                f"(n,) with n of at least 2: give one value for each wavelength."
            )
        if not bool(torch.isfinite(wavelength).all()) or not bool((wavelength.diff() > 0).all()):
            raise ValueError(
                "wavelength_nm must grow from one entry to the next: sort it, and merge wavelengths that occur twice."
            )
        if float(wavelength[0]) < 100:
            raise ValueError(
                f"wavelength_nm starts at {float(wavelength[0]):g} nm, but light starts at 100 nm: "
                f"give nanometres, not micrometres."
            )
        if not bool(torch.isfinite(value).all()) or float(value.min()) < 0:
            raise ValueError(
                f"value has a minimum of {float(value.min()):g}, but a spectrum is finite and at least 0: "
                f"replace NaN, and clamp what the spectrometer's noise made negative."
            )
        object.__setattr__(self, "wavelength_nm", wavelength)
        object.__setattr__(self, "value", value)

    @overload
    def at(self, wavelength_nm: float) -> float: ...
    @overload
    def at(self, wavelength_nm: torch.Tensor) -> torch.Tensor: ...
    def at(self, wavelength_nm: float | torch.Tensor) -> float | torch.Tensor:
        """Return the value at one wavelength, or at each of a tensor of any shape, where NaN remains NaN."""
        check_finite(wavelength_nm, name="wavelength_nm", unit=" nm", remedy="give a wavelength in nanometres")
        if not isinstance(wavelength_nm, torch.Tensor):
            return float(self.at(torch.tensor(wavelength_nm, dtype=torch.float64)))
        wanted = wavelength_nm.to(torch.float64)
        known = self.wavelength_nm.to(wanted.device)
        value = self.value.to(wanted.device)
        right = torch.searchsorted(known, wanted.contiguous()).clamp(1, len(known) - 1)
        share = (wanted - known[right - 1]) / (known[right] - known[right - 1])
        outside = (wanted < known[0]) | (wanted > known[-1])
        return torch.where(outside, 0.0, torch.lerp(value[right - 1], value[right], share))

    @property
    def peak_nm(self) -> float:
        """Wavelength of the largest value."""
        return float(self.wavelength_nm[self.value.argmax()])

    @property
    def area(self) -> float:
        """Integral over the wavelength."""
        return float(torch.trapezoid(self.value, self.wavelength_nm))

    def with_peak(self, peak: float = 1.0) -> "Spectrum":
        """Return the spectrum scaled so that its largest value is `peak`.

        Examples
        --------
        >>> Spectrum([500, 510, 530], [0, 4, 0]).with_peak().at(510.0)
        1.0
        """
        return Spectrum(self.wavelength_nm, self.value * (peak / self._checked(float(self.value.max()))))

    def with_area(self, area: float = 1.0) -> "Spectrum":
        """Return the spectrum scaled so that its integral is `area`: a density, if that is 1.

        Examples
        --------
        >>> Spectrum([500, 510, 530], [0, 4, 0]).with_area().area
        1.0
        """
        return Spectrum(self.wavelength_nm, self.value * (area / self._checked(self.area)))

    def _checked(self, size: float) -> float:
        if size == 0:
            raise ValueError("the spectrum is 0 everywhere, so that it cannot be scaled: check where it was measured.")
        return size


def overlap(*spectra: Spectrum) -> float:
    """Integrate the product of up to three spectra over the wavelength, exactly.

    Parameters
    ----------
    *spectra : Spectrum
        One, two or three; their wavelengths need not agree.

    Returns
    -------
    float
        The integral; 0 where they have no wavelength in common. With an emission of area 1 and filters between 0
        and 1 it is the share of the photons that pass.

    Raises
    ------
    ValueError
        If there is no spectrum, or more than three.

    Examples
    --------
    >>> emission = Spectrum([500, 510, 530], [0, 1, 0]).with_area()
    >>> window = Spectrum([510, 600], [1, 1])
    >>> round(overlap(emission, window), 4)
    0.6667
    """
    if not 1 <= len(spectra) <= 3:
        raise ValueError(
            f"overlap got {len(spectra)} spectra, but takes 1 to 3: multiply further ones into one Spectrum first."
        )
    start = max(float(spectrum.wavelength_nm[0]) for spectrum in spectra)
    end = min(float(spectrum.wavelength_nm[-1]) for spectrum in spectra)
    if start >= end:
        return 0.0
    nodes = torch.cat([spectrum.wavelength_nm for spectrum in spectra]).sort().values
    nodes = nodes[(nodes >= start) & (nodes <= end)]
    middles = (nodes[1:] + nodes[:-1]) / 2

    def product(wavelength_nm: torch.Tensor) -> torch.Tensor:
        return torch.stack([spectrum.at(wavelength_nm) for spectrum in spectra]).prod(dim=0)

    ends, centre = product(nodes), product(middles)
    return float(((ends[1:] + 4 * centre + ends[:-1]) / 6 * nodes.diff()).sum())
