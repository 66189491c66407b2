r"""Choose the number of iterations from the photons themselves, then restore all of them.

The photons are split, three quarters are deconvolved, and one quarter tells when to stop (`held_out_photons`). Then the
method runs on all photons for as many iterations. All photons would bear a few iterations more than three quarters of
them; the larger the share that judges, the more are missed, and the smaller, the more its own noise decides.
"""

import inspect
import warnings
from dataclasses import dataclass
from typing import Protocol

import torch

from course_lib.deconvolution._check import (
    Background,
    Boundary,
    StoppingRule,
    check_count,
    check_inputs,
    check_number,
    check_photons,
)
from course_lib.deconvolution._method import check_given_once, name_of
from course_lib.deconvolution.accelerated_richardson_lucy import accelerated_richardson_lucy
from course_lib.deconvolution.held_out_photons import HeldOutPhotons
from course_lib.noise import split_photons

__all__ = ["AutomaticStop", "PoissonMethod", "automatic_stop"]


MOST_PHOTONS = 2**24
"""In a voxel: above, float32 does not hold all whole numbers."""


class PoissonMethod(Protocol):
    """An iteration for photons: `richardson_lucy`, its acceleration, or a `functools.partial` of a regularized one."""

    def __call__(
        self,
        image: torch.Tensor,
        psf: torch.Tensor,
        *,
        iterations: int,
        background: Background,
        boundary: Boundary,
        stop: StoppingRule | None = None,
    ) -> torch.Tensor:
        """Restore `image`."""


@dataclass(frozen=True)
class AutomaticStop:
    """A restoration and how its number of iterations was found.

    Attributes
    ----------
    iterations : int
        Iterations done on all photons, at least 1.
    scores : torch.Tensor, shape (n,)
        Score of the photons held out after 0, 1, … iterations on the photons kept, mean of the splits: see
        `HeldOutPhotons`.
    restored : torch.Tensor
        The estimate of the object, from all photons, shape of the image.
    """

    iterations: int
    scores: torch.Tensor
    restored: torch.Tensor


def automatic_stop(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    method: PoissonMethod = accelerated_richardson_lucy,
    background: Background = 0.0,
    boundary: Boundary = "linear",
    held_out: float = 0.25,
    splits: int = 2,
    patience: int = 5,
    most_iterations: int = 200,
    rng: int | torch.Generator | None,
) -> AutomaticStop:
    """Restore photon counts, and stop by the photons themselves.

    Parameters
    ----------
    image : torch.Tensor
        Photons, at least 0, shape (..., [Z,] Y, X), float32 or float64; a batch gets one number of iterations. For the
        choice, but not for the restoration, they are rounded to whole numbers.
    psf, background, boundary
        As for `richardson_lucy`.
    method : callable
        Iteration to stop: `richardson_lucy`, `accelerated_richardson_lucy`, or another with their keywords;
        `functools.partial` gives it settings, but none of `iterations` and `stop`. A `background` and a `boundary`
        belong beside it, not in it.
    held_out : float
        Share of the photons that judge, between 0 and 1.
    splits : int
        How often the photons are split anew; the errors are averaged. The splits are deconvolved at once, as a batch: 1
        takes half the memory of 2, and 4 makes the number found for a small image less a matter of chance.
    patience : int
        Iterations in a row without a new best score before it stops.
    most_iterations : int
        Most iterations.
    rng : int, torch.Generator or None
        Randomness of the split.

    Returns
    -------
    AutomaticStop

    Raises
    ------
    ValueError, TypeError
        As for `richardson_lucy`; if the image is not in photons or reaches 2²⁴ of them, if a number is out of range,
        or if the method has no iterations to stop, or has its own.

    Warns
    -----
    UserWarning
        If the score still rises at the last iteration.

    Notes
    -----
    The image must be in photons detected, or the split is none: a camera image is turned into them by
    `noise.Camera.to_electrons`. Read noise is not split: add its variance, ``read_noise_e**2``, to both image and
    background, and clamp the image at 0, so that mean and variance are equal again, as they are for photons.

    `accelerated_richardson_lucy` shows its rule where the next step begins, so that the score of :math:`k` iterations
    is that of a point a little further on; what is returned is the estimate after the number found.

    Examples
    --------
    >>> image = torch.full((64, 64), 20.0)
    >>> image[20:44, 20:44] = 60.0
    >>> image = torch.poisson(image, generator=torch.Generator().manual_seed(0))
    >>> result = automatic_stop(image, torch.ones(3, 3) / 9, rng=0)
    >>> 1 <= result.iterations < 20
    True
    """
    check_count(most_iterations, name="most_iterations")
    check_count(splits, name="splits")
    _check_method(method, background=background, boundary=boundary)
    behind = check_inputs(image, psf, background=background)
    check_photons(image)
    photons = image.detach().round()
    if 0 < float(image.detach().max()) < 0.5:
        raise ValueError(
            f"image reaches {float(image.detach().max()):g}, but must be in photons detected, or none can be held out: "
            f"noise.Camera.to_electrons converts a camera image."
        )
    if float(photons.max()) >= MOST_PHOTONS:
        raise ValueError(
            f"image reaches {float(photons.max()):g} photons, but must stay below 2²⁴, or they cannot be split "
            f"exactly: with so many, noise matters little; choose iterations without automatic_stop."
        )
    check_number(held_out, name="held_out")
    if not 0 < held_out < 1:
        raise ValueError(f"held_out is {held_out:g}, but must be between 0 and 1, for example 0.25.")
    judge, kept = split_photons(photons.expand(splits, *photons.shape), fraction=held_out, rng=rng)
    rule = HeldOutPhotons(judge.to(image.dtype), psf, share=held_out, boundary=boundary, patience=patience)
    method(
        kept.to(image.dtype),
        psf,
        iterations=most_iterations + 1,  # the rule is asked before each: the last is there for it
        background=behind * (1 - held_out),
        boundary=boundary,
        stop=rule,
    )
    iterations = max(1, rule.best)
    if iterations == most_iterations:
        warnings.warn(
            f"the photons held out were predicted ever better for all {most_iterations} iterations: "
            f"raise most_iterations to find the best number.",
            stacklevel=2,
        )
    restored = method(image, psf, iterations=iterations, background=background, boundary=boundary)
    scores = torch.tensor(rule.scores, dtype=torch.float64)
    return AutomaticStop(iterations=iterations, scores=scores, restored=restored)


def _check_method(method: PoissonMethod, *, background: Background, boundary: Boundary) -> None:
    parameters = inspect.signature(method).parameters
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    missing = [name for name in ("iterations", "background", "boundary", "stop") if name not in parameters]
    if missing and not takes_all:
        raise TypeError(
            f"method is {name_of(method)}, which does not take {', '.join(missing)}, so that it cannot be stopped: "
            f"use accelerated_richardson_lucy, or another iteration for photons."
        )
    own = getattr(method, "keywords", {})
    for name, remedy in (("iterations", "pass most_iterations"), ("stop", "leave it")):
        if own.get(name) is not None:
            raise ValueError(f"method has {name} of its own, which automatic_stop is there to choose: {remedy}.")
    check_given_once(method, background=background, boundary=boundary)
