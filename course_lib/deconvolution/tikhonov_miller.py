r"""Constrained iterative Tikhonov-Miller: least squares with a penalty, no voxel below 0, by conjugate gradients.

Noise makes the least squares rough. Let roughness cost,

.. math:: \Phi(x) = \lVert y - b - Hx \rVert^2 + \lambda \lVert Lx \rVert^2, \qquad x \ge 0,

with the Laplacian as :math:`L`, which is large where a voxel differs from the mean of its neighbours, or with the
identity. Half the gradient, with the opposite sign, points downhill:

.. math:: g = H^T(y - b - Hx) - \lambda L^T L x .

A voxel that is 0 already and would go below has to stay, and counts as :math:`g_j = 0`. Conjugate gradients do not
undo what the last step did (Polak and Ribière; a negative factor counts as 0, and so begins anew):

.. math::

   p_k = g_k + \max\left(\frac{\langle g_k, g_k - g_{k-1}\rangle}{\langle g_{k-1}, g_{k-1}\rangle}, 0\right) p_{k-1},
   \qquad t = \frac{\langle g, p\rangle}{\lVert Hp \rVert^2 + \lambda \lVert Lp \rVert^2} ,

where :math:`t` is the lowest point along :math:`p`: no step has to be guessed. Then all is clipped at 0, and that is
where tools diverge, since :math:`s = \max(x + t p, 0) - x` is no longer the direction that :math:`t` was computed for.
But all points from :math:`x` to :math:`x + s` are at least 0, and :math:`\Phi` is a parabola on the way, too:

.. math::

   x \;\leftarrow\; x + u\,s, \qquad
   u = \min\left(1, \frac{\langle g, s\rangle}{\lVert Hs \rVert^2 + \lambda \lVert Ls \rVert^2}\right),
   \quad \text{or } 0 \text{ if } \langle g, s\rangle < 0 .

So :math:`\Phi` never rises, for any PSF and any :math:`\lambda`. If :math:`u = 0`, the next direction is :math:`g`
itself, for which :math:`\langle g, s\rangle \ge \lVert s \rVert^2 / t > 0` until the minimum is reached.

**How large** :math:`\lambda`. If the noise has the variance :math:`\sigma^2` in each voxel, and
:math:`(Lx)_j` varies by :math:`\sigma_L`, the most probable object has :math:`\lambda = \sigma^2/\sigma_L^2`: a noise
to signal ratio, without unit, because lengths are counted in the smallest side of a voxel. Photons have
:math:`\sigma^2 = \operatorname{mean}(y)`. What :math:`Lx` varies by is not known, but how bright a voxel can be at most
is: :math:`\max(y - b)/\max(h)`. A thousandth of its square is taken as :math:`\sigma_L^2`: a rule of thumb for
filaments and nuclei.

References
----------
H. T. M. van der Voort, K. C. Strasters, Journal of Microscopy 178 (1995) 165; G. M. P. van Kempen et al., Journal of
Microscopy 185 (1997) 354; D. P. Bertsekas, *Nonlinear Programming*, Athena Scientific 1999, section 2.3 (convergence).
"""

import math
from collections.abc import Callable, Sequence
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
from course_lib.deconvolution._spacing import relative_spacing
from course_lib.deconvolution.blur import Blur

__all__ = ["Penalty", "tikhonov_miller"]

Penalty = Literal["laplacian", "identity"]

ROUGHNESS = 1e-3
"""What is taken as the mean square of Lx, relative to the square of the brightest that a voxel can be."""

LEAST_BRIGHTNESS = 1e-3
"""Of that brightest voxel at least, without subtracting the background: an image of background alone has an object."""


def tikhonov_miller(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    iterations: int = 50,
    regularization: float | None = None,
    penalty: Penalty = "laplacian",
    voxel_size_um: Sequence[float] | None = None,
    minimum: float | None = 0.0,
    background: Background = 0.0,
    boundary: Boundary = "linear",
    stop: StoppingRule | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    r"""Restore an image by penalized least squares without negative voxels.

    Parameters
    ----------
    image : torch.Tensor
        Photons, shape (..., [Z,] Y, X), float32 or float64; leading axes are a batch. It may be negative, where an
        offset was subtracted.
    psf, background, boundary, stop, callback
        As for `richardson_lucy`.
    iterations : int
        Number of iterations, or the most of them if `stop` is given. About 10 come near the minimum in 2D, 100 in 3D.
    regularization : float, optional
        :math:`\lambda`, at least 0: the variance of the noise relative to that of :math:`Lx`. None takes, for each
        image of a batch, :math:`\operatorname{mean}(y) / (10^{-3} \max(y - b)^2 / \max(h)^2)`. That is near the best
        for filaments and nuclei; points, which are as rough as an object can be, want a hundredth of it.
    penalty : {"laplacian", "identity"}
        :math:`L`: what is penalized, differences to the neighbours, or brightness as in `tikhonov`.
    voxel_size_um : sequence of float, optional
        Side of a voxel in µm along each axis, for the Laplacian. None for equal sides.
    minimum : float, optional
        Smallest value of the object. None for no limit: with the identity and a circular boundary the iterations then
        end in `tikhonov`.

    Returns
    -------
    torch.Tensor
        Estimate of the object in photons, shape, dtype and device of the image.

    Raises
    ------
    ValueError
        If `regularization` is negative, or `voxel_size_um` does not fit the PSF; else as for `richardson_lucy`, except
        that the image may be negative.
    TypeError
        As for `richardson_lucy`.

    Warns
    -----
    UserWarning
        If the PSF is 3D and the Laplacian gets no voxel size.

    Notes
    -----
    Start: the mean of the image above the background everywhere. Each iteration takes three transforms forth and three
    back. The noise is taken to be equal in all voxels, as for least squares.

    Examples
    --------
    >>> psf = torch.ones(3, 3) / 9
    >>> image = torch.zeros(7, 7)
    >>> image[2:5, 2:5] = 100.0  # a point of 900 photons, blurred
    >>> for regularization in (0.0, 0.01):
    ...     restored = tikhonov_miller(image, psf, regularization=regularization)
    ...     print(f"{restored[3, 3]:.0f} of {restored.sum():.0f} photons")
    900 of 900 photons
    280 of 1073 photons
    """
    check_count(iterations, name="iterations")
    behind = check_inputs(image, psf, background=background)
    bound = -math.inf if minimum is None else check_number(minimum, name="minimum")
    axes = tuple(range(-psf.ndim, 0))
    weight = _weight(image.detach(), behind, psf.detach(), axes, regularization)
    apply = _operator(penalty, voxel_size_um, axes)
    signal = image.detach() - behind
    blur = Blur(psf.detach(), image.shape[-psf.ndim :], boundary=boundary)

    def inner(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return (first * second).sum(dim=axes, keepdim=True)

    def lowest_along(move: torch.Tensor, downhill: torch.Tensor, blurred_move: torch.Tensor) -> torch.Tensor:
        rough = apply(move)
        curvature = inner(blurred_move, blurred_move) + weight * inner(rough, rough)
        return inner(downhill, move).clamp_(min=0) / curvature.clamp_(min=torch.finfo(curvature.dtype).tiny)

    start = signal.mean(dim=axes, keepdim=True).clamp(min=bound)
    estimate = start.expand(*signal.shape[: signal.ndim - psf.ndim], *blur.object_shape).clone()
    blurred = blur(estimate)
    direction = last = torch.zeros_like(estimate)
    for iteration in range(iterations):
        if stop is not None and stop(iteration, estimate, blurred + behind):
            break
        downhill = blur.adjoint(signal - blurred) - weight * apply(apply(estimate))
        free = (estimate > bound) | (downhill > 0)
        downhill *= free
        factor = inner(downhill, downhill - last) / inner(last, last).clamp_(min=torch.finfo(last.dtype).tiny)
        direction = torch.where(free, downhill + factor.clamp_(min=0) * direction, 0)
        direction = torch.where(inner(downhill, direction) > 0, direction, downhill)
        length = lowest_along(direction, downhill, blur(direction))
        move = (estimate + length * direction).clamp_(min=bound).sub_(estimate)
        blurred_move = blur(move)
        share = lowest_along(move, downhill, blurred_move).clamp_(max=1)
        estimate += share * move
        blurred += share * blurred_move
        last = downhill
        if callback is not None:
            callback(iteration + 1, blur.crop(estimate))
    return blur.crop(estimate).clone()


def _weight(
    image: torch.Tensor,
    behind: torch.Tensor,
    psf: torch.Tensor,
    axes: tuple[int, ...],
    regularization: float | None,
) -> torch.Tensor:
    """Return lambda of each image of the batch."""
    if regularization is not None:
        return image.new_tensor(check_number(regularization, name="regularization", least=0))
    noise = image.mean(dim=axes, keepdim=True).clamp_(min=0)
    brightest = (image - behind).amax(dim=axes, keepdim=True) / psf.max()
    least = LEAST_BRIGHTNESS * image.abs().amax(dim=axes, keepdim=True) / psf.max()
    return torch.where(noise > 0, noise / (ROUGHNESS * torch.maximum(brightest, least) ** 2), 0)


def _operator(
    penalty: Penalty, voxel_size_um: Sequence[float] | None, axes: tuple[int, ...]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return L, its own transpose: neighbours on the ring of the object."""
    if penalty == "identity":
        return lambda x: x
    if penalty != "laplacian":
        raise ValueError(f"penalty is {penalty!r}, but must be 'laplacian' or 'identity'.")
    spacing = relative_spacing(voxel_size_um, len(axes))

    def laplacian(x: torch.Tensor) -> torch.Tensor:
        total = torch.zeros_like(x)
        for axis, side in zip(axes, spacing, strict=True):
            total += (x.roll(1, axis) + x.roll(-1, axis) - 2 * x) / side**2
        return total

    return laplacian
