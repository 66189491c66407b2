r"""Band models of spectra: a sum of a few asymmetric bells.

.. math:: s(\lambda) = \sum_b h_b\, 2^{-((\lambda - \lambda_b)/w_b)^2},\qquad
          w_b = w_b^- \text{ where } \lambda < \lambda_b, \text{ otherwise } w_b^+

Each band has its wavelength :math:`\lambda_b`, its half widths at half maximum on the short and on the long
side, and its height :math:`h_b`. One band is the transition between the lowest vibrational levels; the others
are the vibronic shoulders, or a second electronic transition. This is a description, not a measurement: within
a few per cent of the peak where the spectrum is strong, not to be trusted where it is below a hundredth.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from course_lib.fluorescence._check import check_positive
from course_lib.fluorescence.spectrum import Spectrum

__all__ = ["Band", "band_spectrum"]


SHORTEST_NM = 100.0


class Band(NamedTuple):
    """One asymmetric bell: where it peaks, its half widths at half maximum on either side, its height."""

    peak_nm: float
    short_half_width_nm: float
    long_half_width_nm: float
    height: float = 1.0


def band_spectrum(bands: Sequence[Band], *, step_nm: float = 1.0) -> Spectrum:
    """Sample a sum of bands, out to where each has fallen below 1e-4 of its height.

    Parameters
    ----------
    bands : sequence of Band
        At least one; peaks at 100 nm or above, widths above 0, heights of at least 0.
    step_nm : float
        Distance of the samples, at most half of the narrowest half width: then the spectrum between its samples is
        within 5 % of the peak of the band.

    Returns
    -------
    Spectrum
        Not scaled: see `Spectrum.with_peak` and `Spectrum.with_area`.

    Raises
    ------
    ValueError
        If there is no band, a number of a band is out of its range, or the step is too coarse for the bands.

    Examples
    --------
    >>> spectrum = band_spectrum([Band(500, 10, 20)])
    >>> [round(spectrum.at(wavelength), 3) for wavelength in (490.0, 500.0, 520.0)]
    [0.5, 1.0, 0.5]
    """
    if not bands:
        raise ValueError("bands is empty, but a spectrum needs at least one: pass [Band(500, 15, 20)].")
    for band in bands:
        if not all(math.isfinite(number) for number in band):
            raise ValueError(f"{band} has a number that is NaN or infinite: give peak, half widths and height.")
        if band.peak_nm < SHORTEST_NM:
            raise ValueError(f"{band} peaks below 100 nm, where light starts: give nanometres, not micrometres.")
        if min(band.short_half_width_nm, band.long_half_width_nm) <= 0:
            raise ValueError(f"{band} has a half width that is not above 0 nm: give the half width at half maximum.")
        if band.height < 0:
            raise ValueError(f"{band} has a height below 0, but a spectrum cannot: leave the band out.")
    check_positive(step_nm, name="step_nm", unit=" nm", remedy="1 nm suits the spectra of dyes")
    narrowest = min(min(band.short_half_width_nm, band.long_half_width_nm) for band in bands)
    if step_nm > narrowest / 2:
        raise ValueError(
            f"step_nm is {step_nm:g} nm, but must be at most {narrowest / 2:g} nm, half of the narrowest half width, "
            f"or the band falls between the samples: make it smaller."
        )
    reach = 3.65  # 2^-(3.65²) is 1e-4
    start = min(band.peak_nm - reach * band.short_half_width_nm for band in bands)
    end = max(band.peak_nm + reach * band.long_half_width_nm for band in bands)
    wavelength = torch.arange(
        max(SHORTEST_NM, math.floor(start)), math.ceil(end) + step_nm, step_nm, dtype=torch.float64
    )
    value = torch.zeros_like(wavelength)
    for band in bands:
        distance = wavelength - band.peak_nm
        width = torch.where(distance < 0, band.short_half_width_nm, band.long_half_width_nm)
        value += band.height * torch.exp2(-((distance / width) ** 2))
    return Spectrum(wavelength, value)
