r"""Jansson-Van Cittert deconvolution: add what the estimate fails to explain, between two bounds.

Van Cittert's idea: blur the estimate :math:`x`, see how much more the image :math:`y` has, and add that,
:math:`x \leftarrow x + \gamma\,(y - b - Hx)`. Jansson made the step depend on the voxel, so that none leaves the range
that physics allows, :math:`a < x < c`:

.. math::

   x \;\leftarrow\; x + \gamma(x)\,(y - b - Hx), \qquad
   \gamma(x) = \gamma_0\,w(x), \qquad w(x) = 1 - \frac{2\,|x - (a + c)/2|}{c - a} .

**Where it is valid.** A frequency with the transfer :math:`\hat h` has its error multiplied by
:math:`1 - \gamma \hat h` in each iteration. That is less than 1 if :math:`\hat h > 0`, as for a centred Gaussian. The
error grows where :math:`\hat h < 0` (a defocused PSF), it turns and may grow where :math:`\hat h` is complex (an
asymmetric or shifted one), and where :math:`\hat h = 0`, beyond the cut-off of every objective, the noise of the image
is added again and again. So for a microscope the residual is blurred once more, backwards ("reblurring"):

.. math:: x \;\leftarrow\; x + \gamma(x)\,g, \qquad g = H^T(y - b - Hx) .

In place of :math:`\hat h` stands now :math:`|\hat h|^2`, which is at least 0 for every PSF, and noise from beyond the
cut-off is not let in.

**How large** :math:`\gamma_0`. The error :math:`\Phi = \tfrac12 \lVert y - b - Hx \rVert^2` has the gradient
:math:`-g`, so that :math:`d_j = w_j g_j` points downhill. Along :math:`x + \gamma_0 d` it is a parabola, lowest at
:math:`\langle g, d\rangle / \lVert Hd \rVert^2`. And a voxel at the distance :math:`w_j\,(c - a)/2` from its nearer
bound stays between the bounds if :math:`\gamma_0\,|g_j| < (c - a)/2`. Each iteration takes

.. math::

   \gamma_0 = \min\left(\frac{\langle g, d\rangle}{\lVert Hd \rVert^2},\;
   0.9\,\frac{c - a}{2 \max_j |g_j|}\right),

so that, for every PSF, :math:`\Phi` never rises and no bound is passed. The classical form has
:math:`g = y - b - Hx`, and the same holds for :math:`\tfrac12 \langle x, Hx\rangle - \langle x, y - b\rangle` in place
of :math:`\Phi`, if the PSF is its own mirror image.

References
----------
P. H. van Cittert, Zeitschrift für Physik 69 (1931) 298; P. A. Jansson, R. H. Hunt, E. K. Plyler, Journal of the Optical
Society of America 60 (1970) 596 (bounds); S. Kawata, Y. Ichioka, Journal of the Optical Society of America 70 (1980)
768 (reblurring).
"""

import math
from typing import Literal

import torch

from course_lib.deconvolution._check import (
    Background,
    Boundary,
    Callback,
    StoppingRule,
    check_count,
    check_inputs,
    check_number,
)
from course_lib.deconvolution.blur import Blur

__all__ = ["Feedback", "jansson_van_cittert"]

Feedback = Literal["reblurred", "classical"]

SHARE_OF_THE_WAY = 0.9
"""How far towards its nearer bound a voxel goes at most in one iteration."""

LEAST_WIDTH = 1e-3
"""Between the bounds at least, as a share of the brightest: also for an image that is nowhere above `lower`."""

LARGEST_GROWTH = 1e-3
"""By what the classical form may multiply the error of a frequency in one iteration, less 1."""


def jansson_van_cittert(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    iterations: int = 15,
    lower: float = 0.0,
    upper: float | None = None,
    feedback: Feedback = "reblurred",
    background: Background = 0.0,
    boundary: Boundary = "linear",
    stop: StoppingRule | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    r"""Restore an image whose object lies between two bounds.

    Parameters
    ----------
    image : torch.Tensor
        Photons, shape (..., [Z,] Y, X), float32 or float64; leading axes are a batch. It may be negative, where an
        offset was subtracted.
    psf, background, boundary, stop, callback
        As for `richardson_lucy`.
    iterations : int
        Number of iterations, or the most of them if `stop` is given.
    lower, upper : float
        Bounds of the object, photons per voxel. ``upper=None`` takes, for each image of a batch, the brightest that a
        voxel can be, :math:`\max(y - b) / \max(h)`: its own light alone would be as bright as the image anywhere is. A
        voxel near a bound changes slowly.
    feedback : {"reblurred", "classical"}
        What is added: the residual blurred backwards, right for every PSF, or, as Van Cittert and Jansson did, the
        residual itself. With a linear boundary, that leaves the object outside the image at its even start, since there
        is no residual there.

    Returns
    -------
    torch.Tensor
        Estimate of the object in photons, between the bounds, shape, dtype and device of the image.

    Raises
    ------
    ValueError
        If the bounds leave no room between them, or the classical form would diverge with this PSF; else as for
        `richardson_lucy`, except that the image may be negative.
    TypeError
        As for `richardson_lucy`.

    Notes
    -----
    Start: the mean of the image above the background everywhere. The noise is taken to be equal in all voxels, as for
    least squares; `richardson_lucy` weighs photons as they are. As there, the error falls at first and rises later. A
    dark voxel is near its bound, and what light it has too much goes slowly: after 10 iterations the estimate may have
    a third more photons than the image, after some hundred 1 %.

    Examples
    --------
    >>> psf = torch.ones(3, 3) / 9
    >>> image = torch.zeros(7, 7)
    >>> image[2:5, 2:5] = 100.0  # a point of 900 photons, blurred
    >>> restored = jansson_van_cittert(image, psf, iterations=200)
    >>> print(f"{restored[3, 3]:.0f} of {restored.sum():.0f} photons")
    900 of 900 photons
    """
    check_count(iterations, name="iterations")
    behind = check_inputs(image, psf, background=background)
    signal = image.detach() - behind
    axes = tuple(range(-psf.ndim, 0))
    lowest, highest = _bounds(signal, psf.detach(), axes, lower=lower, upper=upper)
    blur = Blur(psf.detach(), image.shape[-psf.ndim :], boundary=boundary)
    _check_feedback(feedback, blur)
    width = highest - lowest
    start = signal.mean(dim=axes, keepdim=True)
    margin = 1e-4 * width  # a voxel at a bound would stay there
    start = torch.minimum(torch.maximum(start, lowest + margin), highest - margin)
    estimate = start.expand(*signal.shape[: signal.ndim - psf.ndim], *blur.object_shape).clone()
    blurred = blur(estimate)
    for iteration in range(iterations):
        if stop is not None and stop(iteration, estimate, blurred + behind):
            break
        residual = signal - blurred
        gradient = blur.adjoint(residual) if feedback == "reblurred" else _embed(residual, blur.object_shape)
        distance = torch.minimum(estimate - lowest, highest - estimate).clamp_(min=0)
        direction = 2 * distance / width * gradient
        change = blur(direction)
        curvature = change * (change if feedback == "reblurred" else blur.crop(direction))
        step = _step(gradient * direction, curvature, gradient, width, axes)
        estimate = torch.clamp(estimate.add_(step * direction), lowest, highest)  # only rounding passes them
        blurred += step * change
        if callback is not None:
            callback(iteration + 1, blur.crop(estimate))
    return blur.crop(estimate).clone()


def _bounds(
    signal: torch.Tensor, psf: torch.Tensor, axes: tuple[int, ...], *, lower: float, upper: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the bounds of each image of the batch."""
    lower = check_number(lower, name="lower")
    brightest = signal.amax(dim=axes, keepdim=True) / psf.max()
    if upper is None:
        size = abs(lower) + signal.abs().amax(dim=axes, keepdim=True) / psf.max()
        least_width = (LEAST_WIDTH * size).clamp(min=math.sqrt(torch.finfo(size.dtype).tiny))
        return torch.full_like(brightest, lower), torch.maximum(brightest, lower + least_width)
    upper = check_number(upper, name="upper")
    if upper <= lower:
        raise ValueError(
            f"upper is {upper:g}, but must be above lower, {lower:g}: it is the brightest that a voxel can "
            f"be, in photons."
        )
    return torch.full_like(brightest, lower), torch.full_like(brightest, upper)


def _check_feedback(feedback: Feedback, blur: Blur) -> None:
    if feedback not in ("reblurred", "classical"):
        raise ValueError(f"feedback is {feedback!r}, but must be 'reblurred' or 'classical'.")
    wrong = max(float(-blur.transfer.real.min()), float(blur.transfer.imag.abs().max()))
    if feedback == "classical" and wrong > LARGEST_GROWTH:
        raise ValueError(
            f"the psf's transfer is negative or complex, by {wrong:.2g} of its maximum, but feedback='classical' "
            f"diverges unless it is at least 0 everywhere: use feedback='reblurred'."
        )


def _step(
    fall: torch.Tensor, curvature: torch.Tensor, gradient: torch.Tensor, width: torch.Tensor, axes: tuple[int, ...]
) -> torch.Tensor:
    """Return gamma_0 of each image of the batch."""
    curvature = curvature.sum(dim=axes, keepdim=True)
    to_bound = SHARE_OF_THE_WAY * width / (2 * gradient.abs().amax(dim=axes, keepdim=True))
    to_lowest = torch.where(curvature > 0, fall.sum(dim=axes, keepdim=True) / curvature, math.inf)
    step = torch.minimum(to_bound, to_lowest)
    return torch.where(torch.isfinite(step), step, 0)  # nothing is left to explain


def _embed(residual: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Put zeros where the camera did not see."""
    missing = [whole - seen for whole, seen in zip(shape, residual.shape[-len(shape) :], strict=True)]
    return torch.nn.functional.pad(residual, [width for side in reversed(missing) for width in (0, side)])
