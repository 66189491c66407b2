r"""Second-harmonic generation: contrast without fluorescence.

Two photons of wavelength :math:`\lambda` become one of exactly :math:`\lambda/2`. Nothing is absorbed and no energy
stays behind, so that nothing bleaches and no dye is needed; but the scatterers must lack a centre of symmetry, as
the triple helices of collagen, myosin and microtubules do. Like two-photon fluorescence it is quadratic in the
irradiance and therefore confined to the focus. Unlike fluorescence it is *coherent*: fields add, not intensities,

.. math:: I \propto I_\mathrm{ex}^2\,\Bigl|\sum_j p_j\,e^{i\,\Delta k\,z_j}\Bigr|^2

over scatterers at :math:`z_j` along the beam with polarity :math:`p_j = \pm 1`. In phase, :math:`N` aligned scatterers
give :math:`N^2`; with random polarity or position they give :math:`N` on average; in antiparallel pairs nothing.

**Forward and backward.** The fundamental drives the scatterers with twice its wave vector
:math:`k_1 = 2\pi n_1/\lambda`, and the harmonic leaves with :math:`k_2 = 4\pi n_2/\lambda`, so that

.. math:: \Delta k = k_2 \mp 2k_1 = \frac{4\pi}{\lambda}(n_2 \mp n_1)

forward (−) and backward (+). Scatterers add up over the coherence length :math:`\pi/|\Delta k|`: several
micrometres forward, about λ/12 backward. Hence thick fibres shine forward, and what is seen backward is fine
structure, or light that tissue has scattered back. (The phase that a tight focus adds, Gouy's, is left out.)

**Orientation.** A fibre along the *x* axis with the two independent elements :math:`\chi_{xxx} = \rho\,\chi_{xyy}` of
cylindrical symmetry, lit with a polarization at the angle :math:`\alpha` to it, gives

.. math:: I(\alpha) \propto (\rho\cos^2\alpha + \sin^2\alpha)^2 + \sin^2 2\alpha .

Collagen has :math:`\rho` of 1.2 to 2. Fibres along the beam give nothing.

References
----------
P. J. Campagnola, L. M. Loew, Nature Biotechnology 21 (2003) 1356.
P. Stoller et al., Biophys. J. 82 (2002) 3330 (polarization).
R. LaComb et al., Optics Communications 281 (2008) 1823 (forward and backward).
W. R. Zipfel et al., PNAS 100 (2003) 7075 (with two-photon autofluorescence, as in the seminar).
"""

import math
from typing import Literal, overload

import torch

from course_lib.fluorescence._check import check_between, check_finite, check_not_negative, check_positive
from course_lib.fluorescence.bands import Band, band_spectrum
from course_lib.fluorescence.spectrum import Spectrum

__all__ = [
    "coherence_length_um",
    "fibre_response",
    "second_harmonic_intensity",
    "second_harmonic_spectrum",
    "wave_mismatch_per_um",
]

Quantity = float | torch.Tensor


def second_harmonic_spectrum(*, excitation_nm: float, pulse_fs: float = 100.0) -> Spectrum:
    r"""Return the line of the second harmonic, a photon density of area 1 around λ/2.

    A Gaussian pulse of length :math:`\tau_p` that is as short as its spectrum allows has a width of
    :math:`0.441/\tau_p` in frequency; the harmonic's is :math:`\sqrt2` times that.

    Parameters
    ----------
    excitation_nm : float
        Wavelength of the laser.
    pulse_fs : float
        Length of its pulses, full width at half maximum.

    Examples
    --------
    At 800 nm the harmonic passes 400/40 as a whole, and 535/50 not at all.

    >>> from course_lib.fluorescence import filter_set
    >>> line = second_harmonic_spectrum(excitation_nm=800.0)
    >>> [round(filter_set(name).share_to_camera(line), 2) for name in ("two-photon 400/40", "two-photon 535/50")]
    [0.9, 0.0]
    """
    check_between(excitation_nm, 300, 4000, name="excitation_nm", remedy="give the laser's wavelength in nanometres")
    check_between(pulse_fs, 5, 10_000, name="pulse_fs", remedy="common lasers have 100 fs")
    line_nm = excitation_nm / 2
    bandwidth_hz = 2**0.5 * (2 * math.log(2) / math.pi) / (pulse_fs * 1e-15)
    width_nm = line_nm**2 * bandwidth_hz / 299_792_458e9
    return band_spectrum([Band(line_nm, width_nm / 2, width_nm / 2)], step_nm=width_nm / 20).with_area()


def wave_mismatch_per_um(
    *,
    excitation_nm: float,
    index_fundamental: float,
    index_harmonic: float,
    direction: Literal["forward", "backward"],
) -> float:
    r"""Return :math:`\Delta k = 4\pi(n_2 \mp n_1)/\lambda`, the phase that scatterers lose per micrometre.

    Parameters
    ----------
    excitation_nm : float
        Wavelength of the laser.
    index_fundamental, index_harmonic : float
        Refractive index of the tissue at λ and at λ/2; in collagen about 1.44 and 1.47 for 800 nm.
    direction : {"forward", "backward"}
        Where the harmonic is collected.

    Examples
    --------
    >>> tissue = {"excitation_nm": 800.0, "index_fundamental": 1.44, "index_harmonic": 1.47}
    >>> [round(wave_mismatch_per_um(direction=d, **tissue), 2) for d in ("forward", "backward")]
    [0.47, 45.71]
    """
    check_positive(excitation_nm, name="excitation_nm", unit=" nm", remedy="give the laser's wavelength")
    check_positive(index_fundamental, name="index_fundamental", remedy="tissue has about 1.4")
    check_positive(index_harmonic, name="index_harmonic", remedy="tissue has about 1.4")
    signs = {"forward": -1, "backward": 1}
    if direction not in signs:
        raise ValueError(f"direction is {direction!r}, but must be 'forward' or 'backward'.")
    return 4 * math.pi * (index_harmonic + signs[direction] * index_fundamental) / (excitation_nm * 1e-3)


def coherence_length_um(mismatch_per_um: float) -> float:
    """Return π/|Δk|, the length over which scatterers help each other; infinite for a mismatch of 0.

    Examples
    --------
    >>> round(coherence_length_um(0.47), 1), round(coherence_length_um(45.71), 3)
    (6.7, 0.069)
    """
    check_finite(mismatch_per_um, name="mismatch_per_um", unit=" /µm", remedy="see wave_mismatch_per_um")
    return math.pi / abs(mismatch_per_um) if mismatch_per_um else math.inf


def second_harmonic_intensity(
    position_um: torch.Tensor,
    polarity: torch.Tensor,
    *,
    mismatch_per_um: Quantity,
    relative_irradiance: Quantity = 1.0,
) -> torch.Tensor:
    r"""Return the intensity of scatterers that radiate coherently, in units of a single one.

    Parameters
    ----------
    position_um : torch.Tensor
        Positions along the beam, shape (..., scatterers).
    polarity : torch.Tensor
        +1 or -1, which way each points; shape that broadcasts with `position_um`.
    mismatch_per_um : float or torch.Tensor
        :math:`\Delta k`, see `wave_mismatch_per_um`.
    relative_irradiance : float or torch.Tensor
        Irradiance relative to that of the unit; it counts squared.

    Returns
    -------
    torch.Tensor
        :math:`I_\mathrm{ex}^2\,|\sum_j p_j e^{i\Delta kz_j}|^2`, shape (...).

    Examples
    --------
    >>> line = torch.linspace(0, 0.01, 100)
    >>> aligned, paired = torch.ones(100), torch.tensor([1.0, -1.0]).repeat(50)
    >>> [round(float(second_harmonic_intensity(line, p, mismatch_per_um=0.0))) for p in (aligned, paired)]
    [10000, 0]
    """
    check_finite(mismatch_per_um, name="mismatch_per_um", unit=" /µm", remedy="see wave_mismatch_per_um")
    check_not_negative(relative_irradiance, name="relative_irradiance", remedy="1 leaves the unit as it is")
    phase = mismatch_per_um * position_um
    real = (polarity * phase.cos()).sum(dim=-1)
    imaginary = (polarity * phase.sin()).sum(dim=-1)
    return relative_irradiance**2 * (real**2 + imaginary**2)


@overload
def fibre_response(angle_deg: float, *, susceptibility_ratio: float = ...) -> float: ...
@overload
def fibre_response(angle_deg: torch.Tensor, *, susceptibility_ratio: Quantity = ...) -> torch.Tensor: ...
def fibre_response(angle_deg: Quantity, *, susceptibility_ratio: Quantity = 1.4) -> Quantity:
    r"""Return the second harmonic of a fibre against the polarization, 1 for a polarization across the fibre.

    Parameters
    ----------
    angle_deg : float or torch.Tensor
        Angle between the laser's polarization and the fibre.
    susceptibility_ratio : float or torch.Tensor
        :math:`\rho`; in collagen 1.2 to 2.

    Returns
    -------
    float or torch.Tensor
        :math:`(\rho\cos^2\alpha + \sin^2\alpha)^2 + \sin^2 2\alpha`.

    Examples
    --------
    >>> [round(fibre_response(angle), 2) for angle in (0.0, 45.0, 90.0)]
    [1.96, 2.44, 1.0]
    """
    check_finite(angle_deg, name="angle_deg", unit="°", remedy="give the angle between polarization and fibre")
    check_finite(susceptibility_ratio, name="susceptibility_ratio", remedy="collagen has 1.2 to 2")
    if not isinstance(angle_deg, torch.Tensor):
        angle = torch.tensor(angle_deg, dtype=torch.float64)
        return float(fibre_response(angle, susceptibility_ratio=susceptibility_ratio))
    angle = torch.deg2rad(angle_deg)
    along = susceptibility_ratio * angle.cos() ** 2 + angle.sin() ** 2
    return along**2 + (2 * angle).sin() ** 2
