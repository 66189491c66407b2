r"""The naive inverse: divide by the transfer function, and see the noise explode.

A blur on a ring multiplies the spectrum of the object by the transfer function, and the camera adds noise,

.. math:: Y = HX + N, \qquad \hat X = \frac{Y}{H} = X + \frac{N}{H} .

Without noise that is the object. But an objective passes nothing beyond its cut-off, and little just below it: there
:math:`|H|` sinks to 0, the noise does not, and :math:`N/H` grows without bound. The more exactly the equation is
solved, the worse the answer: the problem is ill-posed in the sense of Hadamard, because a small change of the data
changes the solution by any amount. Even the rounding of the computer, a ten-millionth of the brightest voxel in
float32, is noise enough.

References
----------
M. Bertero, P. Boccacci, *Introduction to Inverse Problems in Imaging*, IOP 1998, chapter 4.
"""

import torch

from course_lib.deconvolution._check import Background, Boundary
from course_lib.deconvolution._direct import Spectra, reciprocal

__all__ = ["naive_inverse"]


def naive_inverse(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    background: Background = 0.0,
    boundary: Boundary = "linear",
) -> torch.Tensor:
    """Divide the spectrum of the image by the transfer function.

    Parameters
    ----------
    image : torch.Tensor
        Photons, shape (..., [Z,] Y, X), float32 or float64; leading axes are a batch. May be negative.
    psf : torch.Tensor
        Point-spread function with the voxels of the image, shape (y, x) or (z, y, x), sum 1, centre at ``size // 2``.
    background : float or torch.Tensor
        Photons per voxel that do not come from the object: a number, or a tensor that fits the image. It is subtracted
        and not added again, because the result is the object.
    boundary : {"linear", "circular"}
        ``"linear"``: a ramp as long as the PSF leads from each border of the image to the opposite one.
        ``"circular"``: the object wraps round.

    Returns
    -------
    torch.Tensor
        Estimate of the object in photons, also negative, shape, dtype and device of the image.

    Raises
    ------
    ValueError, TypeError
        If the PSF is negative or not normalized, a value NaN or infinite, or shapes do not fit.

    Notes
    -----
    A frequency of which exactly nothing passed, :math:`|H|^2 = 0` in the numbers of the computer, is 0 in the result,
    which is therefore finite. It is nonetheless useless as soon as there is noise.

    **Gradients.** The direct methods (this one, `least_squares`, `tikhonov`, `wiener`, `landweber_after`) carry them to
    image and PSF, and to a `noise_to_signal` or `iterations` that is a tensor. What is estimated or iterated
    carries none: the ratio that `wiener` estimates counts as a constant, as background and threshold do; `landweber`,
    `jansson_van_cittert`, `tikhonov_miller` and all kinds of Richardson-Lucy detach what they get.

    Examples
    --------
    >>> psf = torch.tensor([[0.0, 0.1, 0.0], [0.1, 0.6, 0.2], [0.0, 0.0, 0.0]], dtype=torch.float64)
    >>> image = torch.zeros(8, 8, dtype=torch.float64)
    >>> image[2:5, 2:5] = 100 * psf  # a point of 100 photons, blurred
    >>> restored = naive_inverse(image, psf, boundary="circular")
    >>> print(f"{restored[3, 3]:.3f} of {restored.sum():.3f} photons")
    100.000 of 100.000 photons
    """
    spectra = Spectra(image, psf, background=background, boundary=boundary)
    return spectra.restore(reciprocal(spectra.power))
