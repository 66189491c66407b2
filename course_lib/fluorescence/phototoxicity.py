r"""Phototoxicity: a dose model, and only a model.

Light kills cells by way of the radicals that it makes, and what they suffer depends on the dose, the wavelength,
the rate at which it comes, the dye and the cell. Experiments report the share of cells that still divide, or move,
as a falling S-curve of the dose, for which this model is a convenient description:

.. math:: h(D) = \frac{1}{1 + (D/D_{1/2})^s}

It is not derived from chemistry. Its two numbers must be measured on your own cells, with your own wavelength, which
matters by orders of magnitude: of the light of localization microscopy cells stood no more than some 50 J/cm² at
405 nm, but 1 kW/cm² for several minutes at 640 nm, some 1e5 J/cm² (Wäldchen et al.). The model also assumes that
only the sum of the dose counts (reciprocity), which fails where cells repair between exposures.

References
----------
S. Wäldchen et al., Scientific Reports 5 (2015) 15348 (dose response of cells, 405 to 640 nm).
J. Icha et al., BioEssays 39 (2017) 1700003 (how to measure it).
"""

from typing import overload

import torch

from course_lib.fluorescence._check import check_not_negative, check_positive

__all__ = ["healthy_fraction", "light_dose_j_per_cm2"]

Quantity = float | torch.Tensor


@overload
def light_dose_j_per_cm2(irradiance_w_per_cm2: float, *, exposure_ms: float, frames: float = ...) -> float: ...
@overload
def light_dose_j_per_cm2(
    irradiance_w_per_cm2: torch.Tensor, *, exposure_ms: Quantity, frames: Quantity = ...
) -> torch.Tensor: ...
def light_dose_j_per_cm2(irradiance_w_per_cm2: Quantity, *, exposure_ms: Quantity, frames: Quantity = 1) -> Quantity:
    """Return the energy per area of a number of exposures.

    Examples
    --------
    >>> light_dose_j_per_cm2(5.0, exposure_ms=100.0, frames=200)
    100.0
    """
    check_not_negative(irradiance_w_per_cm2, name="irradiance_w_per_cm2", unit=" W/cm²", remedy="give power per area")
    check_not_negative(exposure_ms, name="exposure_ms", unit=" ms", remedy="give the time that the light is on")
    check_not_negative(frames, name="frames", remedy="give the number of exposures")
    return irradiance_w_per_cm2 * exposure_ms * 1e-3 * frames


@overload
def healthy_fraction(dose_j_per_cm2: float, *, half_dose_j_per_cm2: float = ..., steepness: float = ...) -> float: ...
@overload
def healthy_fraction(
    dose_j_per_cm2: torch.Tensor, *, half_dose_j_per_cm2: Quantity = ..., steepness: Quantity = ...
) -> torch.Tensor: ...
def healthy_fraction(
    dose_j_per_cm2: Quantity, *, half_dose_j_per_cm2: Quantity = 50.0, steepness: Quantity = 3.0
) -> Quantity:
    r"""Return the share of cells that a dose leaves unharmed, by the model :math:`1/(1 + (D/D_{1/2})^s)`.

    Parameters
    ----------
    dose_j_per_cm2 : float or torch.Tensor
        Dose of the whole movie.
    half_dose_j_per_cm2 : float or torch.Tensor
        Dose that harms half of the cells. The default is an example, not a limit to rely on.
    steepness : float or torch.Tensor
        How sharply the share falls around it.

    Returns
    -------
    float or torch.Tensor
        From 1 to 0, and ½ at the half dose. A model: see the top of this module.

    Raises
    ------
    ValueError
        If a number is out of its range. Tensors are not looked at, since live figures export this function.

    Examples
    --------
    >>> [round(healthy_fraction(dose, half_dose_j_per_cm2=50.0, steepness=3.0), 3) for dose in (0.0, 25.0, 50.0, 200.0)]
    [1.0, 0.889, 0.5, 0.015]
    """
    check_not_negative(dose_j_per_cm2, name="dose_j_per_cm2", unit=" J/cm²", remedy="give irradiance × time")
    check_positive(half_dose_j_per_cm2, name="half_dose_j_per_cm2", unit=" J/cm²", remedy="measure it on your cells")
    check_positive(steepness, name="steepness", remedy="dose curves have about 3")
    if not any(isinstance(value, torch.Tensor) for value in (dose_j_per_cm2, half_dose_j_per_cm2, steepness)):
        # powers of tensors become infinite where those of numbers raise
        dose = torch.tensor(dose_j_per_cm2, dtype=torch.float64)
        return float(healthy_fraction(dose, half_dose_j_per_cm2=half_dose_j_per_cm2, steepness=steepness))
    return 1 / (1 + (dose_j_per_cm2 / half_dose_j_per_cm2) ** steepness)
