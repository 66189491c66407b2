r"""Deconvolution of a stack whose PSF changes with depth: overlapping slabs, each with its own PSF.

An oil objective that looks into water sees each plane through a different length of the wrong index, so that the image
of a point depends on its depth: with the PSF :math:`h_{z'}` of an emitter in plane :math:`z'`,

.. math:: y(z) = \sum_{z'} h_{z'}(z - z') * x(z') ,

which is no convolution along z, and has no transfer function. But the PSF changes slowly. Between the depths
:math:`p_k` at which it is known, the stack is restored twice, with the PSF of the next depth above and of the next
below, and the two are blended as far as the plane is from each,

.. math::

   \hat x(z) = \sum_k w_k(z)\, \hat x_k(z), \qquad
   w_k(z) = \max\!\Bigl(0,\, 1 - \tfrac{|z - p_k|}{p_{k\pm1} - p_k}\Bigr), \qquad \sum_k w_k = 1 .

:math:`\hat x_k` is needed where :math:`w_k > 0` only, and is restored from these planes and a margin on both sides: the
planes that their light reaches, and those that add light to them. A method that measures its acceleration on the image
does so on the brightest slab, and the others take it over: slabs that are differently far on their way would not blend.

References
----------
C. Preza, J.-A. Conchello, Journal of the Optical Society of America A 21 (2004) 1593 (the same blend, within the blur).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch

from course_lib.deconvolution._check import Background, check_inputs
from course_lib.deconvolution._method import Method, check_for_parts, check_given_once, check_wrapping, warn_of_seams
from course_lib.deconvolution._shared_momentum import SharedMomentum, measures_momentum
from course_lib.deconvolution.accelerated_richardson_lucy import accelerated_richardson_lucy

__all__ = ["Method", "depth_varying"]


def depth_varying(
    image: torch.Tensor,
    psfs: Sequence[torch.Tensor],
    *,
    planes: Sequence[float],
    method: Method = accelerated_richardson_lucy,
    background: Background = 0.0,
    margin: int | None = None,
) -> torch.Tensor:
    """Restore a stack with PSFs known at several depths.

    Parameters
    ----------
    image : torch.Tensor
        Photons, shape (..., Z, Y, X); leading axes are a batch.
    psfs : sequence of torch.Tensor
        Two or more, each of shape (z, y, x), of emitters at increasing depths; their shapes may differ.
    planes : sequence of float
        For each PSF, the plane of the image that it is right for, counted from 0, increasing. Fractions are allowed,
        and planes outside the stack, too. Before the first and behind the last of them the PSF is taken to stay.
    method : callable
        Any algorithm of this package; `functools.partial` gives it settings, but no `stop` or `callback`: slabs must do
        as many iterations each. A `background` belongs beside it, not in it.
    background : float or torch.Tensor
        Photons per voxel that do not come from the object.
    margin : int, optional
        Planes that are restored with each slab on both sides, and then discarded; by default those of its PSF less 1,
        twice as far as light goes, which changes the result by less than 1 % of the peak. With as many as the stack
        has, each slab is the whole stack.

    Returns
    -------
    torch.Tensor
        Estimate of the object, shape, dtype and device of the image.

    Raises
    ------
    ValueError, TypeError
        If there are not as many planes as PSFs, if they do not increase, if the method has a `stop`, a `callback` or
        another `background`, or a circular boundary although slabs are cut, or as the method does.

    Warns
    -----
    UserWarning
        If the method fits its settings to each slab, so that seams are seen.

    Notes
    -----
    The drive of an oil objective moves further than its focus in water: an emitter at the depth d appears in the plane
    ``d * immersion_index / sample_index / step_um``, counted from the coverslip (paraxially), where
    `optics.gibson_lanni_psf` and `optics.vectorial_psf` centre it. Work is twice that of one PSF, and the margins.

    Examples
    --------
    >>> sharp = torch.zeros(3, 3, 3)
    >>> sharp[1, 1, 1] = 1
    >>> blurred = torch.ones(3, 3, 3) / 27
    >>> image = torch.full((9, 16, 16), 5.0)
    >>> restored = depth_varying(image, [sharp, blurred], planes=[0, 8])
    >>> print(f"{restored.mean():.2f}")
    5.00
    """
    _check_psfs(psfs, len(planes))
    check_for_parts(method, part="slab")
    check_given_once(method, background=background)
    behind = [check_inputs(image, psf, background=background) for psf in psfs].pop().expand(image.shape)
    depth = image.shape[-3]
    at = _check_planes(planes, depth)
    known = None if margin is None else _check_margin(margin)
    slabs = [
        _Slab.of(weight, psf, margin=max(1, psf.shape[0] - 1) if known is None else known)
        for psf, weight in zip(psfs, _weights(at, depth), strict=True)
        if bool(weight.any())
    ]
    if any(slab.end - slab.start < depth for slab in slabs):
        remedy = f"give margin={depth}, so that each slab is the whole stack"
        check_wrapping(method, cut=f"the stack of {depth} planes is cut into slabs", remedy=remedy)
        warn_of_seams(method, part="slab", remedy=remedy, stacklevel=2)
    stacks = zip(image.reshape(-1, *image.shape[-3:]), behind.reshape(-1, *image.shape[-3:]), strict=True)
    return torch.stack([_restored(stack, slabs, method, light) for stack, light in stacks]).reshape(image.shape)


@dataclass(frozen=True, kw_only=True)
class _Slab:
    """The planes `first` to `stop` that a PSF has a share in, within those `start` to `end` that are restored."""

    psf: torch.Tensor
    weight: torch.Tensor
    first: int
    stop: int
    start: int
    end: int

    @classmethod
    def of(cls, weight: torch.Tensor, psf: torch.Tensor, *, margin: int) -> Self:
        used = weight.nonzero().flatten()
        first, stop = int(used[0]), int(used[-1]) + 1
        return cls(
            psf=psf,
            weight=weight[first:stop, None, None],
            first=first,
            stop=stop,
            start=max(0, first - margin),
            end=min(weight.numel(), stop + margin),
        )

    def light(self, stack: torch.Tensor) -> float:
        """Return the mean of the planes, each with the share of this PSF in it."""
        weight = self.weight.to(stack)
        return float((weight * stack[self.first : self.stop]).mean() / weight.mean())


def _restored(stack: torch.Tensor, slabs: list[_Slab], method: Method, background: torch.Tensor) -> torch.Tensor:
    """Restore one stack, shape (Z, Y, X): its brightest slab first."""
    restored = torch.zeros_like(stack)
    shared: list[float] = []
    for slab in sorted(slabs, key=lambda one: one.light(stack), reverse=True):
        momentum = SharedMomentum(shared)
        given: dict[str, Any] = {"momentum": momentum} if measures_momentum(method) else {}
        planes = slice(slab.start, slab.end)
        estimate = method(stack[planes], slab.psf, background=background[planes], **given)
        shared = shared or momentum.values
        kept = estimate[slab.first - slab.start : slab.stop - slab.start]
        restored[slab.first : slab.stop] += slab.weight.to(stack) * kept
    return restored


def _weights(planes: list[float], depth: int) -> list[torch.Tensor]:
    """Return the share of each PSF in each plane, shape (Z,) each."""
    z = torch.arange(depth, dtype=torch.float64)
    weights = []
    for before, here, after in zip([-math.inf, *planes[:-1]], planes, [*planes[1:], math.inf], strict=True):
        rising = torch.ones_like(z) if math.isinf(before) else (z - before) / (here - before)
        falling = torch.ones_like(z) if math.isinf(after) else (after - z) / (after - here)
        weights.append(torch.minimum(rising, falling).clamp(0, 1))
    return weights


def _check_psfs(psfs: Sequence[torch.Tensor], planes: int) -> None:
    if len(psfs) < 2 or planes != len(psfs):
        raise ValueError(
            f"there are {len(psfs)} psfs and {planes} planes, but there must be two or more, a plane for each psf: "
            f"with one PSF, call the method itself."
        )
    for number, psf in enumerate(psfs):
        if psf.ndim != 3:
            raise ValueError(f"psfs[{number}] has shape {tuple(psf.shape)}, but must be (z, y, x).")


def _check_planes(planes: Sequence[float], depth: int) -> list[float]:
    at = [float(plane) for plane in planes]
    if not all(math.isfinite(plane) for plane in at) or any(b <= a for a, b in itertools.pairwise(at)):
        raise ValueError(f"planes are {at}, but must be finite and increase: sort the psfs by depth.")
    if at[-1] < 0 or at[0] > depth - 1:
        raise ValueError(
            f"planes are {at}, all outside the image, whose planes are 0 to {depth - 1}: count them from its first "
            f"plane, not from the coverslip."
        )
    return at


def _check_margin(margin: int) -> int:
    if isinstance(margin, bool) or not isinstance(margin, int) or margin < 0:
        raise ValueError(f"margin is {margin!r}, but must be a whole number of planes, at least 0.")
    return margin
