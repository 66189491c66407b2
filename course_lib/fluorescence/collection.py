r"""How much of a molecule's light an objective takes in.

In a medium of the index :math:`n` that the objective is made for, its cone :math:`\sin\theta = \mathrm{NA}/n` holds
the share :math:`\tfrac12(1 - \cos\theta)` of all directions. Between a specimen of another index :math:`n_s` and the
immersion lies a border that refracts and reflects. A ray at the angle :math:`\theta_s` in the specimen arrives if
:math:`n_s\sin\theta_s \le \mathrm{NA}`, so that the share becomes

.. math::

   \tfrac12 \int_{c_\mathrm{min}}^{1} T(c)\,\mathrm dc, \qquad c = \cos\theta_s, \qquad
   c_\mathrm{min} = \sqrt{1 - \min(\mathrm{NA}/n_s, 1)^2},

where :math:`T` is the power that passes the border, by Fresnel's formulas for unpolarized light. From water an oil
objective of NA 1.4 collects more than from oil, 0.44 instead of 0.31: all that goes forward is refracted to
:math:`\sin\theta \le 1.33/1.515 = 0.88`, inside its cone, and 12 % of it is reflected. A dry objective of NA 0.8
collects half as much, 0.10 instead of 0.20. Three things are left out: the cover glass in front of a dry or water
objective, the light beyond the critical angle that a molecule within a wavelength of the border can send, and what the
border does to the molecule's emission.

References
----------
M. Born and E. Wolf, *Principles of Optics*, 7th ed., Cambridge 1999, section 1.5.
"""

from typing import overload

import numpy as np
import torch

from course_lib.fluorescence._check import check_positive

__all__ = ["collected_fraction", "collected_fraction_across"]

Quantity = float | torch.Tensor

NODES, WEIGHTS = np.polynomial.legendre.leggauss(32)


@overload
def collected_fraction(numerical_aperture: float, immersion_index: float) -> float: ...
@overload
def collected_fraction(numerical_aperture: torch.Tensor, immersion_index: Quantity) -> torch.Tensor: ...
def collected_fraction(numerical_aperture: Quantity, immersion_index: Quantity) -> Quantity:
    r"""Return the share of all directions that an objective sees, :math:`\tfrac12(1 - \cos\theta)`.

    It holds for a molecule in the medium that the objective is made for; see `collected_fraction_across` for others.

    Parameters
    ----------
    numerical_aperture : float or torch.Tensor
        :math:`n\sin\theta`.
    immersion_index : float or torch.Tensor
        :math:`n`, of the immersion and, so it is assumed, of the specimen.

    Returns
    -------
    float or torch.Tensor
        From 0 to ½; close to :math:`(\mathrm{NA}/2n)^2` for small apertures.

    Raises
    ------
    ValueError
        If the aperture is not above 0 and below the index. Tensors are not looked at.

    Examples
    --------
    >>> [round(collected_fraction(*pair), 3) for pair in ((0.3, 1.0), (0.8, 1.0), (1.2, 1.33), (1.4, 1.515))]
    [0.023, 0.2, 0.284, 0.309]
    """
    sine = _checked_sine(numerical_aperture, immersion_index)
    return 0.5 * sine**2 / (1 + (1 - sine**2) ** 0.5)


def collected_fraction_across(numerical_aperture: float, immersion_index: float, sample_index: float) -> float:
    """Return the share of all directions that an objective sees of a molecule in a medium of another index.

    Parameters
    ----------
    numerical_aperture, immersion_index : float
        Of the objective.
    sample_index : float
        Of the specimen.

    Returns
    -------
    float
        From 0 to ½.

    Raises
    ------
    ValueError
        If the aperture is not above 0 and below the immersion's index, or an index is not above 0.

    Examples
    --------
    >>> round(collected_fraction_across(1.4, 1.515, 1.33), 2), round(collected_fraction_across(0.8, 1.0, 1.33), 2)
    (0.44, 0.1)
    """
    _checked_sine(numerical_aperture, immersion_index)
    check_positive(sample_index, name="sample_index", remedy="water has 1.33, a mounting medium about 1.5")
    least = (1 - min(numerical_aperture / sample_index, 1.0) ** 2) ** 0.5
    inside = least + (1 - least) * (NODES + 1) / 2
    outside = np.sqrt(1 - (sample_index / immersion_index) ** 2 * (1 - inside**2))
    across = (sample_index * inside - immersion_index * outside) / (sample_index * inside + immersion_index * outside)
    along = (immersion_index * inside - sample_index * outside) / (immersion_index * inside + sample_index * outside)
    passed = 1 - (across**2 + along**2) / 2
    return float((1 - least) / 4 * (WEIGHTS * passed).sum())


def _checked_sine(numerical_aperture: Quantity, immersion_index: Quantity) -> Quantity:
    """Return NA/n; raise unless it is between 0 and 1."""
    check_positive(numerical_aperture, name="numerical_aperture", remedy="it stands on the objective")
    check_positive(immersion_index, name="immersion_index", remedy="air has 1, water 1.33, oil 1.515")
    sine = numerical_aperture / immersion_index
    if isinstance(sine, float) and sine >= 1:
        raise ValueError(
            f"numerical_aperture is {numerical_aperture:g}, but must be below the immersion_index of "
            f"{immersion_index:g}: NA = n sin θ. Check which immersion the objective is made for."
        )
    return sine
