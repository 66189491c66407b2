r"""Richardson-Lucy with the acceleration of Biggs and Andrews: nearly the same estimates in fewer iterations.

It needs about 6 iterations for 10 plain ones, 12 for 30, and 24 to 36 for 100. Images of few photons, which bear only a
few iterations, gain little.

Successive iterations of Richardson-Lucy, :math:`x_{k+1} = R(x_k)`, move in nearly the same direction. So let each step
begin further along the last one,

.. math:: p_k = \max(x_k + \alpha_k\,(x_k - x_{k-1}),\; x_k / 2), \qquad x_{k+1} = R(p_k),

as far as the two last steps :math:`g_k = x_{k+1} - p_k` agreed,

.. math:: \alpha_k = \frac{\langle g_{k-1}, g_{k-2}\rangle}{\langle g_{k-2}, g_{k-2}\rangle}, \quad 0 \le \alpha_k < 1 .

A voxel that a step set to 0 could never brighten again, so that none is dimmed to less than half at once. The price
is three more images in memory. The likelihood may fall from one iteration to the next, which plain
Richardson-Lucy excludes; where it overshoots, the steps disagree, and :math:`\alpha` brakes.

References
----------
D. S. C. Biggs, M. Andrews, Applied Optics 36 (1997) 1766.
"""

from collections.abc import Callable

import torch

from course_lib.deconvolution._check import Background, Boundary, Callback, StoppingRule, check_count
from course_lib.deconvolution._poisson import PoissonStep

__all__ = ["Momentum", "accelerated_richardson_lucy", "measured_momentum"]

Momentum = Callable[[torch.Tensor, torch.Tensor, tuple[int, ...]], torch.Tensor]
"""Gets the last move and the one before, shape of the object, and its spatial axes; returns alpha."""

LARGEST_MOMENTUM = 0.999
LARGEST_DIMMING = 0.5


def measured_momentum(move: torch.Tensor, last_move: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """Return alpha of each image of the batch: how far the two moves agree, 0 without a last move.

    Examples
    --------
    >>> measured_momentum(torch.tensor([2.0, 0.0]), torch.tensor([4.0, 1.0]), (0,))
    tensor([0.4706])
    """
    new, old = move.flatten(axes[0]), last_move.flatten(axes[0])
    length = torch.linalg.vecdot(old, old).clamp(min=torch.finfo(old.dtype).tiny)
    alpha: torch.Tensor = torch.linalg.vecdot(new, old).div_(length).clamp_(0, LARGEST_MOMENTUM)
    return alpha[(..., *(None,) * len(axes))]


def accelerated_richardson_lucy(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    iterations: int = 10,
    background: Background = 0.0,
    boundary: Boundary = "linear",
    stop: StoppingRule | None = None,
    callback: Callback | None = None,
    momentum: Momentum = measured_momentum,
) -> torch.Tensor:
    r"""Restore photon counts as `richardson_lucy` does, in fewer iterations.

    Parameters
    ----------
    image, psf, iterations, background, boundary, callback
        As for `richardson_lucy`.
    stop : StoppingRule, optional
        Asked before each iteration :math:`k` whether to stop there. It is shown :math:`p_k`, where the step begins,
        since :math:`Hp_k + b` is known and :math:`Hx_k + b` would take another transform forth and back. If it stops,
        :math:`x_k` is returned, the same as with ``iterations=k``.
    momentum : callable
        Rule for alpha. Measured on the image itself by default; parts of one image share what one of them measures.

    Returns
    -------
    torch.Tensor
        Estimate of the object in photons, at least 0, shape, dtype and device of the image.

    Raises
    ------
    ValueError, TypeError
        As for `richardson_lucy`.

    Examples
    --------
    >>> psf = torch.ones(3, 3) / 9
    >>> image = torch.zeros(7, 7)
    >>> image[2:5, 2:5] = 100.0  # a point of 900 photons, blurred
    >>> restored = accelerated_richardson_lucy(image, psf, iterations=20)
    >>> print(f"{restored[3, 3]:.0f} of {restored.sum():.0f} photons")
    900 of 900 photons
    """
    check_count(iterations, name="iterations")
    step = PoissonStep(image, psf, background=background, boundary=boundary)
    axes = tuple(range(-psf.ndim, 0))
    estimate = step.start()
    previous, last_move, spare = estimate.clone(), torch.zeros_like(estimate), torch.empty_like(estimate)
    alpha = estimate.new_zeros(())
    for iteration in range(iterations):
        predicted = previous.lerp_(estimate, 1 + alpha)
        predicted.sub_(estimate, alpha=LARGEST_DIMMING).clamp_(min=0).add_(estimate, alpha=LARGEST_DIMMING)
        expected = step.expected(predicted)
        if stop is not None and stop(iteration, predicted, expected):
            break
        previous, estimate = estimate, step.advance(predicted, expected, out=spare)
        move = torch.sub(estimate, predicted, out=predicted)
        alpha = momentum(move, last_move, axes)
        last_move, spare = move, last_move
        if callback is not None:
            callback(iteration + 1, step.blur.crop(estimate))
    return step.blur.crop(estimate).clone()
