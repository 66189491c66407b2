r"""Richardson-Lucy deconvolution: the most probable object behind an image of photon counts.

The camera counts :math:`y_i`, Poisson with mean :math:`(Hx + b)_i` for an object :math:`x` and a background
:math:`b`. The logarithm of the likelihood, without terms that do not depend on :math:`x`, is

.. math:: \ell(x) = \sum_i y_i \log (Hx + b)_i - (Hx + b)_i .

Where it is largest its gradient vanishes, :math:`H^T\!\left[\frac{y}{Hx + b}\right] - H^T 1 = 0`, for every voxel that
is not 0. Written as a fixed point that is

.. math:: x \;\leftarrow\; \frac{x}{H^T 1}\; H^T\!\left[\frac{y}{Hx + b}\right],

an EM algorithm: the estimate stays at least 0, its likelihood never falls, and without background
:math:`\sum_i (Hx)_i = \sum_i y_i` after each iteration. :math:`H^T 1` is 1 where all light of a voxel falls on the
image and smaller beyond the borders, where few photons tell anything.

The most probable object is not the nearest to the truth: it explains the noise, too. The error falls at first and
rises later (semi-convergence), so that the number of iterations is the regularization: see `automatic_stop`.

References
----------
W. H. Richardson, Journal of the Optical Society of America 62 (1972) 55; L. B. Lucy, Astronomical Journal 79 (1974)
745; L. A. Shepp, Y. Vardi, IEEE Transactions on Medical Imaging 1 (1982) 113 (as EM); M. Bertero, P. Boccacci,
Astronomy & Astrophysics 437 (2005) 369 (borders).
"""

import torch

from course_lib.deconvolution._check import Background, Boundary, Callback, StoppingRule, check_count
from course_lib.deconvolution._poisson import PoissonStep

__all__ = ["richardson_lucy"]


def richardson_lucy(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    iterations: int = 30,
    background: Background = 0.0,
    boundary: Boundary = "linear",
    stop: StoppingRule | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Restore photon counts.

    Parameters
    ----------
    image : torch.Tensor
        Photons, at least 0, shape (..., [Z,] Y, X), float32 or float64; leading axes are a batch.
    psf : torch.Tensor
        Point-spread function with the voxels of the image, shape (y, x) or (z, y, x), sum 1, centre at ``size // 2``.
    iterations : int
        Number of iterations, or the most of them if `stop` is given.
    background : float or torch.Tensor
        Photons per voxel that do not come from the object, such as those of the medium: a number, or a tensor that fits
        the image. Not blurred. Without it, an even background becomes part of the object.
    boundary : {"linear", "circular"}
        Whether the object goes on beyond the image, or wraps round: see `Blur`.
    stop : StoppingRule, optional
        Asked before each iteration whether to stop there: see `RelativeChange`, `Discrepancy` and `HeldOutPhotons`.
    callback : callable, optional
        Called after each iteration with its number, from 1, and the estimate, shape of the image. The estimate is
        overwritten by the next iteration: clone what you keep.

    Returns
    -------
    torch.Tensor
        Estimate of the object in photons, at least 0, shape, dtype and device of the image.

    Raises
    ------
    ValueError, TypeError
        If the image is negative, the PSF negative or not normalized, a value NaN or infinite, or shapes do not fit.

    Notes
    -----
    Start: the mean of the image above the background everywhere. Memory at the peak, in padded images: 6 float, with
    a linear boundary; each iteration takes two transforms forth and two back. No gradients are carried: see
    `naive_inverse`.

    Examples
    --------
    >>> psf = torch.ones(3, 3) / 9
    >>> image = torch.zeros(7, 7)
    >>> image[2:5, 2:5] = 100.0  # a point of 900 photons, blurred
    >>> restored = richardson_lucy(image, psf, iterations=200)
    >>> print(f"{restored[3, 3]:.0f} of {restored.sum():.0f} photons")
    900 of 900 photons
    """
    check_count(iterations, name="iterations")
    step = PoissonStep(image, psf, background=background, boundary=boundary)
    estimate = step.start()
    for iteration in range(iterations):
        expected = step.expected(estimate)
        if stop is not None and stop(iteration, estimate, expected):
            break
        step.advance(estimate, expected, out=estimate)
        if callback is not None:
            callback(iteration + 1, step.blur.crop(estimate))
    return step.blur.crop(estimate).clone()
