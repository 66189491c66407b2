r"""Bleaching: how many molecules outlive a dose of light.

If a molecule dies with the same chance :math:`k\,\mathrm dD` at each step of the dose :math:`D`, then
:math:`\mathrm ds = -k\,s\,\mathrm dD`, and the survivors fall exponentially,

.. math:: s(D) = e^{-kD}.

The dose may be counted in frames, in seconds of exposure, or in J/cm²; the rate :math:`k` has the inverse unit.
Molecules in different surroundings die at different rates, and two kinds already describe most recordings:

.. math:: s(D) = p\,e^{-k_1 D} + (1 - p)\,e^{-k_2 D}.

References
----------
L. Song et al., Biophys. J. 68 (1995) 2588 (kinetics of bleaching).
"""

from typing import overload

import torch

from course_lib.fluorescence._check import check_between, check_not_negative
from course_lib.fluorescence._exponential import exponential

__all__ = ["survival", "survival_double"]

Quantity = float | torch.Tensor


@overload
def survival(dose: float, *, rate: float) -> float: ...
@overload
def survival(dose: torch.Tensor, *, rate: Quantity) -> torch.Tensor: ...
def survival(dose: Quantity, *, rate: Quantity) -> Quantity:
    r"""Return the share of the molecules that outlives a dose, :math:`e^{-kD}`.

    Parameters
    ----------
    dose : float or torch.Tensor
        Frames, seconds or J/cm².
    rate : float or torch.Tensor
        Rate of bleaching per frame, per second or per J/cm².

    Returns
    -------
    float or torch.Tensor
        From 1 to 0. One minus it is the share of the photon budget that is spent.

    Raises
    ------
    ValueError
        If a number is negative or not finite. Tensors are not looked at, since live figures export this function.

    Examples
    --------
    With 5 % per frame, 63 % of the budget is spent after 20 frames and 90 % after 46:

    >>> [round(1 - survival(frames, rate=0.05), 2) for frames in (20, 46)]
    [0.63, 0.9]
    """
    check_not_negative(dose, name="dose", remedy="give frames, seconds or J/cm²")
    check_not_negative(rate, name="rate", remedy="give the rate per unit of the dose; 0 means no bleaching")
    return exponential(-dose * rate)


@overload
def survival_double(dose: float, *, fast_rate: float, slow_rate: float, fast_share: float) -> float: ...
@overload
def survival_double(
    dose: torch.Tensor, *, fast_rate: Quantity, slow_rate: Quantity, fast_share: Quantity
) -> torch.Tensor: ...
def survival_double(dose: Quantity, *, fast_rate: Quantity, slow_rate: Quantity, fast_share: Quantity) -> Quantity:
    r"""Return the share that outlives a dose if there are two kinds, :math:`p\,e^{-k_1D} + (1-p)\,e^{-k_2D}`.

    Parameters
    ----------
    dose : float or torch.Tensor
        Frames, seconds or J/cm².
    fast_rate, slow_rate : float or torch.Tensor
        Rates of the two kinds.
    fast_share : float or torch.Tensor
        Share of the fast kind before any light.

    Returns
    -------
    float or torch.Tensor
        From 1 to 0.

    Raises
    ------
    ValueError
        As `survival`, and if the share is not from 0 to 1.

    Examples
    --------
    >>> round(survival_double(20.0, fast_rate=0.2, slow_rate=0.01, fast_share=0.5), 3)
    0.419
    """
    check_not_negative(dose, name="dose", remedy="give frames, seconds or J/cm²")
    for name, rate in (("fast_rate", fast_rate), ("slow_rate", slow_rate)):
        check_not_negative(rate, name=name, remedy="give the rate per unit of the dose; 0 means no bleaching")
    check_between(fast_share, 0, 1, name="fast_share", remedy="give a share, not per cent")
    return fast_share * exponential(-dose * fast_rate) + (1 - fast_share) * exponential(-dose * slow_rate)
