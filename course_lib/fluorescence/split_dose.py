r"""One dose of light, split into equal exposures: what each of them gets.

A specimen can give :math:`N` detected photons until all its molecules are bleached. Photons and deaths both follow the
excitations, so the share of the photons that is spent is that of the molecules that are gone. A dose of which
:math:`e^{-b}` survive therefore gives :math:`N(1 - e^{-b})` photons, however it is split.

In each of :math:`n` equal exposures :math:`e^{-b/n}` survive. Exposure :math:`i` begins with :math:`e^{-bi/n}` of the
molecules and spends the share :math:`1 - e^{-b/n}` of them:

.. math:: N_i = N\,(1 - e^{-b/n})\,e^{-bi/n},\qquad i = 0, 1, \dots, n - 1,\qquad
          \sum_i N_i = N\,(1 - e^{-b}).
"""

import torch

from course_lib.fluorescence._check import check_not_negative, check_number
from course_lib.fluorescence._exponential import one_minus_exponential
from course_lib.fluorescence.survival import survival

__all__ = ["split_dose"]


def split_dose(photons_in_total: float, *, bleaching: float, exposures: int) -> torch.Tensor:
    r"""Return the detected photons of each exposure, :math:`N(1 - e^{-b/n})\,e^{-bi/n}`.

    Parameters
    ----------
    photons_in_total : float
        Photons that would be detected until everything is bleached, :math:`N`: of one molecule
        ``Fluorophore.photons_before_bleaching`` times the detected share, or that of all molecules in a pixel.
    bleaching : float
        Of the whole dose, :math:`b`: its rate times the dose, such that :math:`e^{-b}` survive.
    exposures : int
        Number of equal exposures, :math:`n`.

    Returns
    -------
    torch.Tensor
        Photons of the exposures in their order, shape (exposures,), float64.

    Raises
    ------
    ValueError
        If a number is negative or not finite, or there is no exposure.
    TypeError
        If an argument is not a number, or `exposures` not a whole one.

    Examples
    --------
    Half of 1000 photons, in one exposure and in four. The sum is the same:

    >>> split_dose(1000.0, bleaching=0.693, exposures=1).round()
    tensor([500.], dtype=torch.float64)
    >>> split_dose(1000.0, bleaching=0.693, exposures=4).round()
    tensor([159., 134., 112.,  95.], dtype=torch.float64)
    """
    for name, value, remedy in (
        ("photons_in_total", photons_in_total, "give detected photons"),
        ("bleaching", bleaching, "give rate times dose; 0 means no light"),
    ):
        check_not_negative(check_number(value, name=name), name=name, remedy=remedy)
    if isinstance(exposures, bool) or not isinstance(exposures, int):
        raise TypeError(f"exposures is a {type(exposures).__name__}, but must be a whole number: int(exposures).")
    if exposures < 1:
        raise ValueError(f"exposures is {exposures}, but must be at least 1: the dose needs an exposure to be given.")
    each = bleaching / exposures
    before = each * torch.arange(exposures, dtype=torch.float64)
    return photons_in_total * one_minus_exponential(each) * survival(before, rate=1.0)
