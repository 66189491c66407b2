r"""Richardson-Lucy with another back projector than the transpose: fast, and no longer the most probable object.

Richardson-Lucy compares the image with the expected one, and carries the ratio back to the object with :math:`H^T`.
Each frequency passes :math:`H` on the way there and :math:`H^T` on the way back, so that those of which little passes
change slowly: about :math:`1/|\hat h|^2` iterations restore them. Another projector :math:`B` in its place,

.. math:: x \;\leftarrow\; x \cdot \max\left(1 + B\!\left[\frac{y}{Hx + b} - 1\right],\; 0\right),

hurries if :math:`\hat b \hat h` is near 1 at all frequencies that are worth it, and 0 beyond. (:math:`B = H^T` makes it
`richardson_lucy` wherever :math:`H^T 1 = 1`.) That is the filter of Wiener, without what a Butterworth filter cuts off
around the resolution :math:`1/w_a`, with the full widths at half maximum :math:`w_a` of the PSF:

.. math::

   \hat b = \frac{(1 + \alpha)\,\hat h^*}{|\hat h|^2 + \alpha} \cdot
   \frac{1}{\sqrt{1 + (\beta^{-2} - 1)\,\rho^{2n}}}, \qquad \rho^2 = \sum_a (f_a w_a)^2 .

A third to a tenth of the iterations is then enough.

**What it costs.** A fixed point has :math:`B[y/(Hx + b) - 1] = 0`. For :math:`B = H^T` that is the gradient of the
likelihood; for another :math:`B` it is the gradient of nothing. So the likelihood may fall, and in the end does;
photons are not kept, since :math:`\sum_i (Hx)_i = \sum_i y_i` follows from :math:`H^T`; in space :math:`B` is negative
in places, and a voxel where those win is set to 0 and stays there for ever; and noise grows as fast as the resolution,
for some PSFs without end. So each estimate is cut off at :math:`\max(y)/\max(h)`: a brighter voxel would by its own
light outshine the image. It is an approximate inverse with non-negativity: take it where time matters more than
photons.

References
----------
M. Guo et al., Nature Biotechnology 38 (2020) 1337 (in its software the Butterworth factor is scaled by a gain of the
Wiener filter, here :math:`\beta` is its own value at :math:`\rho = 1`); G. L. Zeng, G. T. Gullberg, IEEE Transactions
on Medical Imaging 19 (2000) 548 (unmatched projectors).
"""

from collections.abc import Sequence
from copy import copy

import torch

from course_lib.axes import check_spatial
from course_lib.deconvolution._check import (
    Background,
    Boundary,
    Callback,
    StoppingRule,
    check_count,
    check_number,
    check_psf,
)
from course_lib.deconvolution._poisson import PoissonStep
from course_lib.deconvolution.blur import Blur, _centre_at_origin
from course_lib.optics import fwhm_um

__all__ = ["unmatched_richardson_lucy", "wiener_butterworth"]


def unmatched_richardson_lucy(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    back_projector: torch.Tensor,
    iterations: int = 5,
    background: Background = 0.0,
    boundary: Boundary = "linear",
    stop: StoppingRule | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    r"""Restore photon counts in a few iterations, not as the most probable object.

    Parameters
    ----------
    image, psf, iterations, background, boundary, stop, callback
        As for `richardson_lucy`.
    back_projector : torch.Tensor
        What carries the ratio back: as many axes as the PSF, dtype and device of it, sum 1, centre at ``size // 2``.
        See `wiener_butterworth`.

    Returns
    -------
    torch.Tensor
        Estimate of the object in photons, at least 0 and at most :math:`\max(y)/\max(h)`, shape, dtype and
        device of the image.

    Raises
    ------
    ValueError, TypeError
        As for `richardson_lucy`, or if the back projector does not fit the PSF, or its sum is not 1.

    Examples
    --------
    >>> from course_lib.optics import Microscope, gaussian_psf
    >>> psf = gaussian_psf(Microscope(), shape=(15, 15), voxel_size_um=(0.05, 0.05))
    >>> image = 1000 * psf  # a point of 1000 photons, blurred
    >>> for back_projector in (psf, wiener_butterworth(psf)):
    ...     restored = unmatched_richardson_lucy(image, psf, back_projector=back_projector)
    ...     print(f"{restored[7, 7]:.0f} photons in the middle")
    118 photons in the middle
    159 photons in the middle
    """
    check_count(iterations, name="iterations")
    step = PoissonStep(image, psf, background=background, boundary=boundary)
    back = _back(step.blur, back_projector, psf)
    estimate = step.start()
    brightest = image.detach().amax(dim=tuple(range(-psf.ndim, 0)), keepdim=True) / psf.detach().max()
    for iteration in range(iterations):
        expected = step.expected(estimate)
        if stop is not None and stop(iteration, estimate, expected):
            break
        excess = torch.div(image.detach(), expected, out=expected).sub_(1)
        estimate = torch.minimum(back.adjoint(excess).add_(1).clamp_(min=0).mul_(estimate), brightest)
        if callback is not None:
            callback(iteration + 1, step.blur.crop(estimate))
    return step.blur.crop(estimate).clone()


def wiener_butterworth(
    psf: torch.Tensor,
    *,
    noise_to_signal: float = 0.05,
    order: int = 10,
    gain_at_cutoff: float = 0.03,
    cutoff_per_voxel: Sequence[float] | None = None,
) -> torch.Tensor:
    r"""Make a back projector that hurries: the filter of Wiener, cut off by Butterworth's.

    Parameters
    ----------
    psf : torch.Tensor
        Point-spread function, shape (y, x) or (z, y, x), at least 0, with sum 1 and its centre at ``size // 2``.
    noise_to_signal : float
        :math:`\alpha`, above 0: frequencies with a smaller :math:`|\hat h|^2` are not made up for.
    order : int
        :math:`n`: how steeply the filter falls at the cut-off.
    gain_at_cutoff : float
        :math:`\beta`, above 0 and at most 1: the Butterworth factor at the cut-off. The transfer of a Gaussian PSF is
        0.03 there.
    cutoff_per_voxel : sequence of float, optional
        Cut-off along each axis in periods per voxel. None takes :math:`1/w_a`, the PSF's full widths at half maximum.

    Returns
    -------
    torch.Tensor
        Back projector, partly negative, with sum 1, ``2 * size - 1`` voxels along each axis with the centre in the
        middle, dtype and device of the PSF.

    Raises
    ------
    ValueError, TypeError
        If the PSF is none, or a number is out of range; if no `cutoff_per_voxel` is given, also if the PSF does not
        fall to half its maximum along each axis.

    Examples
    --------
    >>> from course_lib.optics import Microscope, gaussian_psf
    >>> psf = gaussian_psf(Microscope(), shape=(33, 33), voxel_size_um=(0.05, 0.05))
    >>> back = wiener_butterworth(psf)
    >>> print(f"sum {back.sum():.3f}, lowest {back.min() / back.max():.2f} of the highest")
    sum 1.000, lowest -0.18 of the highest
    """
    check_psf(psf)
    check_count(order, name="order")
    alpha = check_number(noise_to_signal, name="noise_to_signal", above=0)
    beta = check_number(gain_at_cutoff, name="gain_at_cutoff", above=0)
    if beta > 1:
        raise ValueError(f"gain_at_cutoff is {beta:g}, but must be at most 1, which is no cut-off.")
    psf = psf.detach()
    sides = tuple(2 * side - 1 for side in psf.shape)  # it rings further than the PSF reaches
    transfer = torch.fft.rfftn(_centre_at_origin(psf, sides))
    wiener = (1 + alpha) * transfer.conj() / (transfer.abs() ** 2 + alpha)
    butterworth = torch.rsqrt(1 + (beta**-2 - 1) * _relative_frequency(psf, sides, cutoff_per_voxel) ** (2 * order))
    back: torch.Tensor = torch.fft.irfftn(wiener * butterworth, s=sides)
    return back.roll([side // 2 for side in sides], dims=tuple(range(psf.ndim)))


def _back(blur: Blur, back_projector: torch.Tensor, psf: torch.Tensor) -> Blur:
    """Return a blur whose `adjoint` is B, from the image to the object."""
    check_spatial(back_projector, psf.ndim, name="back_projector")
    for what in ("ndim", "dtype", "device"):
        its, wanted = getattr(back_projector, what), getattr(psf, what)
        if its != wanted:
            raise ValueError(f"back_projector has {what} {its}, but must have that of the psf, {wanted}.")
    total = float(back_projector.sum())
    if abs(total - 1) > 1e-3:
        raise ValueError(f"back_projector sums to {total:g}, but must sum to 1, as wiener_butterworth(psf) does.")
    back = copy(blur)
    ring = torch.zeros(blur.object_shape, dtype=psf.dtype, device=psf.device)
    places = [(torch.arange(n) - n // 2) % side for n, side in zip(back_projector.shape, ring.shape, strict=True)]
    ring.index_put_(torch.meshgrid(*places, indexing="ij"), back_projector.detach(), accumulate=True)
    back.transfer = torch.fft.rfftn(ring).conj().resolve_conj()
    return back


def _relative_frequency(
    psf: torch.Tensor, sides: Sequence[int], cutoff_per_voxel: Sequence[float] | None
) -> torch.Tensor:
    """Return rho on the half spectrum of `sides` voxels: 1 at the cut-off."""
    if cutoff_per_voxel is None:
        try:
            cutoffs = [1 / width for width in fwhm_um(psf, voxel_size_um=(1.0,) * psf.ndim)]
        except ValueError as error:
            axes = "(y, x)" if psf.ndim == 2 else "(z, y, x)"
            raise ValueError(f"{error} Or give cutoff_per_voxel={axes}.") from None
    else:
        cutoffs = [check_number(cutoff, name="cutoff_per_voxel", above=0) for cutoff in cutoff_per_voxel]
        if len(cutoffs) != psf.ndim:
            raise ValueError(f"cutoff_per_voxel is {cutoffs}, but needs one number for each of {psf.ndim} axes.")
    frequencies = [*(torch.fft.fftfreq(side) for side in sides[:-1]), torch.fft.rfftfreq(sides[-1])]
    grid = torch.meshgrid(*[f / cutoff for f, cutoff in zip(frequencies, cutoffs, strict=True)], indexing="ij")
    return torch.stack(grid).to(psf).square().sum(dim=0).sqrt()
