r"""Tikhonov regularization: fit the data, but not at any price.

Among the objects that fit, prefer one that is small,

.. math:: \hat x = \arg\min_x \lVert y - Hx \rVert^2 + \lambda \lVert x \rVert^2,

of which the gradient is 0 where :math:`(H^T H + \lambda)\,\hat x = H^T y`, at each frequency

.. math:: \hat X = \frac{H^*}{|H|^2 + \lambda}\, Y .

Where :math:`|H|^2 \gg \lambda` that is the inverse, where :math:`|H|^2 \ll \lambda` it is nearly 0, and the noise gains
at most :math:`1/(2\sqrt\lambda)`. The conjugate matters: :math:`HY/(H^2 + \lambda)`, as some programs have it, is right
only for a symmetric PSF, whose :math:`H` is real.

References
----------
A. N. Tikhonov, Soviet Mathematics Doklady 4 (1963) 1035.
M. Bertero, P. Boccacci, *Introduction to Inverse Problems in Imaging*, IOP 1998, chapter 5.
"""

import torch

from course_lib.deconvolution._check import Background, Boundary, check_number
from course_lib.deconvolution._direct import Spectra, reciprocal

__all__ = ["tikhonov"]


def tikhonov(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    regularization: float = 0.01,
    background: Background = 0.0,
    boundary: Boundary = "linear",
) -> torch.Tensor:
    r"""Restore with a penalty on the size of the object.

    Parameters
    ----------
    image, psf, background, boundary
        As for `naive_inverse`.
    regularization : float
        :math:`\lambda`, at least 0, next to :math:`|H|^2`, which is 1 at most. 0 is the naive inverse.

    Returns
    -------
    torch.Tensor
        Estimate of the object in photons, also negative, shape, dtype and device of the image. All of it, even its
        mean, is darker by :math:`|H|^2/(|H|^2 + \lambda)`.

    Raises
    ------
    ValueError, TypeError
        As for `naive_inverse`, or if `regularization` is negative or not finite.

    Examples
    --------
    >>> psf = torch.ones(1, 3, dtype=torch.float64) / 3
    >>> image = torch.tensor([[0.0, 0.0, 3.0, 3.0, 3.0, 0.0, 0.0, 0.0]], dtype=torch.float64)  # a point of 9 photons
    >>> for regularization in (1e-3, 1e-2, 1e-1):
    ...     restored = tikhonov(image, psf, regularization=regularization, boundary="circular")
    ...     print(f"{restored[0, 3]:.1f} photons in the middle")
    8.9 photons in the middle
    7.9 photons in the middle
    5.1 photons in the middle
    """
    regularization = check_number(regularization, name="regularization", least=0)
    spectra = Spectra(image, psf, background=background, boundary=boundary)
    return spectra.restore(reciprocal(spectra.power + regularization))
