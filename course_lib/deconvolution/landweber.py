r"""Landweber iteration: walk down the sum of squares, and stop in time.

The steepest way down of :math:`\tfrac12 \lVert y - b - Hx \rVert^2` is along :math:`H^T(y - b - Hx)`. From an even
object :math:`x_0`, as bright as the image is on average above the background, let each step follow it,

.. math:: x_{k+1} = x_k + \gamma \left[ H^T (y - b - H x_k) - \lambda x_k \right],

where :math:`\lambda` is 0, or the weight of a penalty :math:`\tfrac12 \lambda \lVert x \rVert^2`. On a ring each
frequency is on its own, :math:`X_{k+1} = (1 - \gamma(|H|^2 + \lambda)) X_k + \gamma H^* Y`, a geometric sum:

.. math:: X_k = H^* \, \frac{1 - (1 - \gamma(|H|^2 + \lambda))^k}{|H|^2 + \lambda} \; Y
   + (1 - \gamma(|H|^2 + \lambda))^k X_0,

where :math:`X_0` is 0 at all frequencies but 0. There the start is right at once. An empty one, :math:`x_0 = 0`, would
end in the same on a ring. But of a voxel beyond the borders little light falls on the image, so that it would stay
dark for hundreds of iterations, and what light it lacks be made up for by bright rims inside.

It converges if :math:`|1 - \gamma(|H|^2 + \lambda)| < 1` at all frequencies, so for
:math:`0 < \gamma < 2/(\max|H|^2 + \lambda)`, to the least squares of the naive inverse (:math:`\lambda = 0`) or of
Tikhonov. On the way there, frequencies that passed well come first, after about :math:`1/(\gamma|H|^2)` steps, and
those buried in noise come last, with at most :math:`\gamma k |H|`: the number of iterations acts like
:math:`\lambda \approx 1/(\gamma k)`.

To evaluate the fraction where :math:`u = \gamma(|H|^2 + \lambda)` is small, where the difference of two numbers near 1
would leave only rounding, write :math:`-\log(1 - u) = 2 \operatorname{artanh}\frac{u}{2 - u}` and
:math:`1 - e^{-2t} = \frac{2 \tanh t}{1 + \tanh t}`: as exact as ``log1p`` and ``expm1``, and, other than these, part of
ONNX.

References
----------
L. Landweber, American Journal of Mathematics 73 (1951) 615.
M. Bertero, P. Boccacci, *Introduction to Inverse Problems in Imaging*, IOP 1998, chapter 6.
"""

import math

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
from course_lib.deconvolution._direct import Spectra
from course_lib.deconvolution.blur import Blur

__all__ = ["landweber", "landweber_after", "landweber_gain"]


def landweber(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    iterations: int = 100,
    step: float | None = None,
    regularization: float = 0.0,
    minimum: float | None = None,
    background: Background = 0.0,
    boundary: Boundary = "linear",
    stop: StoppingRule | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    r"""Approach the least squares step by step, from an even object.

    Parameters
    ----------
    image, psf, background
        As for `naive_inverse`.
    iterations : int
        Number of iterations, or the most of them if `stop` is given.
    step : float, optional
        :math:`\gamma`, above 0 and below :math:`2/(\max|H|^2 + \lambda)`, from which on the iteration diverges. None
        takes half of that, at which no frequency swings.
    regularization : float
        :math:`\lambda`, at least 0: with it many iterations end in `tikhonov`.
    minimum : float, optional
        Smallest value of the object, usually 0: each estimate is clipped there (projected Landweber). No closed form
        holds then, but frequencies that did not pass are filled in from the rest.
    boundary : {"linear", "circular"}
        Whether the object goes on beyond the image, or wraps round: see `Blur`.
    stop : StoppingRule, optional
        Asked before each iteration whether to stop there: see `RelativeChange` and `Discrepancy`.
    callback : callable, optional
        Called after each iteration with its number, from 1, and the estimate, shape of the image. The estimate is
        overwritten by the next iteration: clone what you keep.

    Returns
    -------
    torch.Tensor
        Estimate of the object in photons, without `minimum` also negative, shape, dtype and device of the image.

    Raises
    ------
    ValueError, TypeError
        As for `naive_inverse`, or if `iterations`, `step`, `regularization` or `minimum` are out of range.

    Examples
    --------
    >>> psf = torch.ones(3, 3) / 9
    >>> image = torch.zeros(7, 7)
    >>> image[2:5, 2:5] = 100.0  # a point of 900 photons, blurred
    >>> for iterations in (1, 100):
    ...     print(f"{landweber(image, psf, iterations=iterations, minimum=0)[3, 3]:.0f} photons in the middle")
    100 photons in the middle
    779 photons in the middle
    """
    check_count(iterations, name="iterations")
    regularization = check_number(regularization, name="regularization", least=0)
    bound = -math.inf if minimum is None else check_number(minimum, name="minimum")
    behind = check_inputs(image, psf, background=background)
    blur = Blur(psf.detach(), image.shape[-psf.ndim :], boundary=boundary)
    step = _check_step(step, float(blur.transfer.abs().max()) ** 2 + regularization)
    signal = image.detach() - behind
    start = signal.mean(dim=tuple(range(-psf.ndim, 0)), keepdim=True)
    estimate = start.clamp(min=bound).expand(*signal.shape[: signal.ndim - psf.ndim], *blur.object_shape).clone()
    for iteration in range(iterations):
        expected = blur(estimate).add_(behind)
        if stop is not None and stop(iteration, estimate, expected):
            break
        residual = torch.sub(image.detach(), expected, out=expected)
        estimate.mul_(1 - step * regularization).add_(blur.adjoint(residual), alpha=step)
        estimate.clamp_(min=bound)
        if callback is not None:
            callback(iteration + 1, blur.crop(estimate))
    return blur.crop(estimate).clone()


def landweber_after(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    iterations: float | torch.Tensor,
    step: float | None = None,
    regularization: float = 0.0,
    background: Background = 0.0,
    boundary: Boundary = "linear",
) -> torch.Tensor:
    r"""Return what `landweber` reaches after any number of iterations, by two transforms.

    Parameters
    ----------
    image, psf, background, boundary
        As for `naive_inverse`. With a linear boundary the borders are bridged, where `landweber` lets the object go on:
        near them the two differ.
    iterations : float or torch.Tensor
        :math:`k`, at least 0: a number or a 0-d tensor, whole or not.
    step, regularization : float
        As for `landweber`.

    Returns
    -------
    torch.Tensor
        Estimate of the object in photons, also negative, shape, dtype and device of the image.

    Raises
    ------
    ValueError, TypeError
        As for `naive_inverse`, or if `iterations`, `step` or `regularization` are out of range.

    Examples
    --------
    >>> psf = torch.ones(3, 3) / 9
    >>> image = torch.zeros(7, 7)
    >>> image[2:5, 2:5] = 100.0
    >>> for iterations in (1, 100, 1e4):
    ...     restored = landweber_after(image, psf, iterations=iterations, boundary="circular")
    ...     print(f"{restored[3, 3]:.0f} photons in the middle")
    100 photons in the middle
    650 photons in the middle
    900 photons in the middle
    """
    if isinstance(iterations, torch.Tensor) and iterations.ndim:
        raise ValueError(
            f"iterations has shape {tuple(iterations.shape)}, but must be one number or a 0-d tensor: "
            f"call it for each, or use landweber_gain."
        )
    check_number(torch.as_tensor(iterations).detach().item(), name="iterations", least=0)
    regularization = check_number(regularization, name="regularization", least=0)
    spectra = Spectra(image, psf, background=background, boundary=boundary)
    step = _check_step(step, float(spectra.power.detach().max()) + regularization)
    gain = landweber_gain(spectra.power, iterations=iterations, step=step, regularization=regularization)
    even = (0,) * gain.ndim
    start = torch.zeros_like(gain)
    start[even] = (1 - gain[even] * (spectra.power[even] + regularization)) / spectra.power[even].sqrt()
    return spectra.restore(gain + start)


def landweber_gain(
    power: torch.Tensor,
    *,
    iterations: float | torch.Tensor,
    step: float | torch.Tensor,
    regularization: float | torch.Tensor = 0.0,
) -> torch.Tensor:
    r"""Return :math:`g = (1 - (1 - \gamma(|H|^2 + \lambda))^k) / (|H|^2 + \lambda)`, of which :math:`X_k = H^* g Y`.

    That is so at all frequencies but 0, where the start adds :math:`(1 - \gamma(|H|^2 + \lambda))^k X_0`: nothing with
    the default step.

    Parameters
    ----------
    power : torch.Tensor
        :math:`|H|^2`, real.
    iterations, step, regularization : float or torch.Tensor
        :math:`k \ge 0`, :math:`0 < \gamma < 2/(\max|H|^2 + \lambda)` and :math:`\lambda \ge 0`: numbers, or tensors
        that fit `power`. Not checked, so that the function can be exported.

    Returns
    -------
    torch.Tensor
        :math:`g`, which tends to :math:`\gamma k` where :math:`|H|^2 + \lambda` tends to 0. Where
        :math:`\gamma(|H|^2 + \lambda) > 1` the terms of the sum alternate in sign, and between whole :math:`k` the sign
        is :math:`\cos \pi k`.

    Examples
    --------
    >>> landweber_gain(torch.tensor([0.0, 1e-12, 0.5, 1.0]), iterations=3, step=1.0)
    tensor([3.0000, 3.0000, 1.7500, 1.0000])
    """
    eps = torch.finfo(power.dtype).eps
    share = (step * (power + regularization)).clamp(min=torch.finfo(power.dtype).tiny / eps)
    folded = torch.minimum(share, 2 - share)  # |1 - share| = 1 - folded
    falls = torch.tanh(iterations * torch.atanh((folded / (2 - folded)).clamp(max=1 - eps)))
    count = torch.as_tensor(iterations, dtype=power.dtype, device=power.device)
    sign = torch.where(share > 1, torch.cos(math.pi * count), 1)
    return step * (1 - sign + falls * (1 + sign)) / (1 + falls) / share


def _check_step(step: float | None, largest: float) -> float:
    """Return the step, by default 1 / largest, or raise unless it is above 0 and below 2 / largest."""
    if step is None:
        return 1 / largest
    step, limit = check_number(step, name="step", above=0), 2 / largest
    if step >= limit:
        raise ValueError(
            f"step is {step:g}, but must be below {limit:g}, 2 / max(|H|² + regularization), or the iteration "
            f"diverges: step=None takes half of that."
        )
    return step
