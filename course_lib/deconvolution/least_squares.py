r"""Linear least squares: the pseudo-inverse, which leaves out what the microscope does not pass.

The object whose blurred image is nearest to the data,

.. math:: \hat x = \arg\min_x \lVert y - Hx \rVert^2, \qquad H^T H \hat x = H^T y,

is at each frequency on a ring :math:`|H|^2 \hat X = H^* Y`. Where :math:`H \ne 0` that is the naive inverse,
:math:`\hat X = Y/H`, with all its noise. Where :math:`H = 0` any :math:`\hat X` fits equally well, and the one with
the least norm is 0: the Moore-Penrose pseudo-inverse,

.. math:: \hat X = \begin{cases} Y/H & |H| > \tau \max|H| \\ 0 & \text{otherwise.} \end{cases}

In numbers, where H is 0 is a question of a threshold :math:`\tau`. As small as the rounding it makes a pseudo-inverse,
which on counted photons is as useless as the naive inverse; larger, it is a regularization by truncation: noise gains
at most :math:`1/\tau`, and the sharp end of the spectrum rings.

References
----------
P. C. Hansen, *Rank-Deficient and Discrete Ill-Posed Problems*, SIAM 1998, chapters 3 and 5.
"""

import torch

from course_lib.deconvolution._check import Background, Boundary, check_number
from course_lib.deconvolution._direct import Spectra, reciprocal

__all__ = ["least_squares"]


def least_squares(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    smallest_transfer: float = 0.2,
    background: Background = 0.0,
    boundary: Boundary = "linear",
) -> torch.Tensor:
    """Divide the spectrum of the image by the transfer function where it is not 0.

    Parameters
    ----------
    image, psf, background, boundary
        As for `naive_inverse`.
    smallest_transfer : float
        Share of the largest :math:`|H|`, from 0 to below 1, up to which :math:`H` counts as 0. With the default noise
        gains at most 5, and the error of filaments, nuclei and beads in a plane, with 20, 200 and 2000 photons at the
        peak, was less than twice that of the best threshold for each; more photons want a smaller one. 1e-6, ten times
        what a transform in float32 rounds by, makes the pseudo-inverse.

    Returns
    -------
    torch.Tensor
        Estimate of the object in photons, also negative, shape, dtype and device of the image.

    Raises
    ------
    ValueError, TypeError
        As for `naive_inverse`, or if `smallest_transfer` is not from 0 to below 1.

    Examples
    --------
    >>> psf = torch.ones(1, 2, dtype=torch.float64) / 2  # passes nothing of the finest wave, + - + -
    >>> image = torch.tensor([[2.0, 1.0, 4.0, 5.0]], dtype=torch.float64)
    >>> least_squares(image, psf, boundary="circular").round(decimals=9).abs()
    tensor([[4., 0., 2., 6.]], dtype=torch.float64)
    """
    threshold = check_number(smallest_transfer, name="smallest_transfer", least=0)
    if threshold >= 1:
        raise ValueError(
            f"smallest_transfer is {threshold:g}, but must be below 1, the share at which nothing is left: "
            f"try 0.2 against noise, or 1e-6 for the pseudo-inverse."
        )

    spectra = Spectra(image, psf, background=background, boundary=boundary)
    passed = spectra.power > threshold**2 * spectra.power.max()
    return spectra.restore(torch.where(passed, reciprocal(spectra.power), 0))
