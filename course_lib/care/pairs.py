r"""Pairs of a noisy and a clean image of one field: what CARE learns from.

There are three honest sources. A real microscope records each field twice, with little and with much light; drift
between the two is undone by `register`. Where photons are counted, one recording gives both: of its photons a share is
drawn at random as the dim image, and the rest is the bright one (`thinned_pair`); the two are independent given the
scene, which a copy with added noise is not. And where no clean image can be had, the whole microscope is simulated
(`simulated_pair`).

The two images of a pair differ in brightness by their doses. `matched` puts the target on the scale of the input,
by the straight line that fits best, so that the network need not learn the ratio.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch.nn import functional

from course_lib.axes import check_spatial
from course_lib.care.registration import register
from course_lib.forward import ImagingSystem
from course_lib.noise import split_photons
from course_lib.seeding import generator

__all__ = ["Pair", "recorded_pair", "simulated_pair", "thinned_pair"]

BLOCK = 8
"""Side in pixels of the blocks whose means put a target on the scale of its image."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """A noisy and a clean image of one field, pixel on pixel.

    Attributes
    ----------
    image, target : torch.Tensor
        Shape (C, [Z,] Y, X); the channels may differ in number.
    dose_ratio : float
        Photons of the target over those of the image.
    """

    image: torch.Tensor
    target: torch.Tensor
    dose_ratio: float

    def __post_init__(self) -> None:
        """Check that the two fit together."""
        for name, one in (("image", self.image), ("target", self.target)):
            check_spatial(one, 2, name=name)
            if one.ndim not in (3, 4):
                raise ValueError(f"{name} has shape {tuple(one.shape)}, but must have axes (C, Y, X) or (C, Z, Y, X).")
        if self.image.shape[1:] != self.target.shape[1:]:
            raise ValueError(
                f"the image has shape {tuple(self.image.shape)}, its target {tuple(self.target.shape)}: they must show "
                f"one field; crop them, or register them."
            )

    def matched(self) -> Self:
        """Return the pair with each channel of the target on the scale of the input: no dose is left to learn.

        Examples
        --------
        >>> bright = torch.arange(4.0).reshape(1, 2, 2)
        >>> Pair(image=10 + bright, target=7 * bright, dose_ratio=7.0).matched().target
        tensor([[[10., 11.],
                 [12., 13.]]])
        """
        if self.image.shape[0] != self.target.shape[0]:
            raise ValueError(
                f"the image has {self.image.shape[0]} channels, its target {self.target.shape[0]}: "
                f"only equal numbers can be matched."
            )
        channels = [_on_scale_of(one, like) for one, like in zip(self.target, self.image, strict=True)]
        return replace(self, target=torch.stack(channels), dose_ratio=1.0)


def _on_scale_of(target: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Return a·target + b, the straight line with the least squared difference to the image.

    The line is fitted to means over blocks, because noise in the target would make it too flat.
    """
    x, y = (_block_means(one) for one in (target, image))
    variance = (x - x.mean()).square().mean()
    if variance == 0:
        raise ValueError(f"the target is constant, {float(x.mean()):g} everywhere: there is nothing to learn from it.")
    slope = ((x - x.mean()) * (y - y.mean())).mean() / variance
    return (slope * (target - x.mean()) + y.mean()).to(image.dtype)


def _block_means(image: torch.Tensor) -> torch.Tensor:
    side = min(BLOCK, *image.shape[-2:])
    return functional.avg_pool2d(image.double().reshape(-1, 1, *image.shape[-2:]), side)


def thinned_pair(photons: torch.Tensor, *, fraction: float, rng: int | torch.Generator | None) -> Pair:
    """Split the photons of one recording into a dim and a bright image.

    Parameters
    ----------
    photons : torch.Tensor
        Counts, whole numbers of at least 0, shape (C, [Z,] Y, X).
    fraction : float
        Of the photons, those of the dim image; above 0, below 1.
    rng : int, torch.Generator or None
        Draws which.

    Examples
    --------
    >>> pair = thinned_pair(torch.full((1, 64, 64), 100.0), fraction=0.1, rng=0)
    >>> bool((pair.image + pair.target == 100).all()), round(pair.dose_ratio, 6)
    (True, 9.0)
    """
    dim, bright = split_photons(photons, fraction=fraction, rng=rng)
    return Pair(image=dim, target=bright, dose_ratio=(1 - fraction) / fraction)


def simulated_pair(
    dim: ImagingSystem, bright: ImagingSystem, fluorophores: torch.Tensor, *, rng: int | torch.Generator | None
) -> Pair:
    """Record one object twice, by two microscopes that differ in dose, or in more.

    Parameters
    ----------
    dim, bright : ImagingSystem
        What records input and target: with the same `binning`.
    fluorophores : torch.Tensor
        The object, ([Z,] Y, X).
    rng : int, torch.Generator or None
        Draws the noise of both.

    Examples
    --------
    >>> psf = torch.full((3, 3), 1 / 9)
    >>> dim = ImagingSystem(psf=psf, camera=None, photons_per_fluorophore=1.0)
    >>> bright = ImagingSystem(psf=psf, camera=None, photons_per_fluorophore=50.0)
    >>> simulated_pair(dim, bright, torch.ones(16, 16), rng=0).dose_ratio
    50.0
    """
    draw = generator(rng, fluorophores.device)
    image, target = (system.capture(fluorophores, rng=draw).float()[None] for system in (dim, bright))
    return Pair(image=image, target=target, dose_ratio=bright.photons_per_fluorophore / dim.photons_per_fluorophore)


def recorded_pair(
    image: torch.Tensor, target: torch.Tensor, *, dose_ratio: float, least_correlation: float = 0.3
) -> Pair:
    """Register two recordings of one field, and keep what both show.

    Parameters
    ----------
    image, target : torch.Tensor
        Little and much light, shape ([Z,] Y, X); the target is moved.
    dose_ratio : float
        Photons of the target over those of the image.
    least_correlation : float
        See `register`.

    Raises
    ------
    MisregisteredError
        If the two do not show one field.
    """
    laid_over = register(target, image, least_correlation=least_correlation)
    return Pair(
        image=image[laid_over.inside][None], target=laid_over.image[laid_over.inside][None], dose_ratio=dose_ratio
    )
