r"""Pairs of a noisy and a clean image of one field: what CARE learns from.

There are three honest sources. A real microscope records each field twice, with little and with much light; drift
between the two is undone by `register`. Where photons are counted, one recording gives both: of its photons a share is
drawn at random as the dim image, and the rest is the bright one (`thinned_pair`); the two are independent given the
scene, which a copy with added noise is not. And where no clean image can be had, the whole microscope is simulated
(`simulated_pair`).

The two images of a pair differ in brightness by their doses. Where these are known, and nothing but photons is in the
image, `Pair.scaled` divides the target by their ratio. Elsewhere `Pair.matched` finds the straight line that puts the
target on the scale of the input, so that the network need not learn it.
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
MOST_BY_CHANCE = 4.0
"""Standard errors below which a covariance of block means may be chance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """A noisy and a clean image of one field, pixel on pixel.

    Attributes
    ----------
    image, target : torch.Tensor
        Shape (C, [Z,] Y, X); the channels may differ in number.
    dose_ratio : float
        Photons of the target over those of the image.
    sample : str, optional
        Name of the field: pairs of one field, such as the times of a film, are kept together when training and
        validation are split. None means a field of its own.
    """

    image: torch.Tensor
    target: torch.Tensor
    dose_ratio: float
    sample: str | None = None

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

    def scaled(self) -> Self:
        """Return the pair with the target divided by the ratio of the doses: for photons, without offset or background.

        Examples
        --------
        >>> pair = Pair(image=torch.full((1, 4, 4), 3.0), target=torch.full((1, 4, 4), 27.0), dose_ratio=9.0)
        >>> float(pair.scaled().target.mean())
        3.0
        """
        return replace(self, target=self.target / self.dose_ratio, dose_ratio=1.0)

    def matched(self) -> Self:
        """Return the pair with each channel of the target on the scale of the input, as far as one line does that.

        Raises
        ------
        ValueError
            If the channels differ in number, or the two images have too little in common to tell the line.

        Notes
        -----
        Noise in the target would make a fitted line too flat. So the means of blocks are taken twice, over the black
        and the white pixels of a chessboard, whose noise is independent: with the image's block means y and the
        target's a and b, the slope is cov(a, y) / cov(a, b).

        Examples
        --------
        >>> scene = torch.arange(1024.0).reshape(1, 32, 32)
        >>> pair = Pair(image=10 + scene, target=7 * scene, dose_ratio=7.0).matched()
        >>> torch.allclose(pair.target, pair.image, rtol=0.01, atol=1)
        True
        """
        if self.image.shape[0] != self.target.shape[0]:
            raise ValueError(
                f"the image has {self.image.shape[0]} channels, its target {self.target.shape[0]}: "
                f"only equal numbers can be matched."
            )
        channels = [_on_scale_of(one, like) for one, like in zip(self.target, self.image, strict=True)]
        return replace(self, target=torch.stack(channels), dose_ratio=1.0)


def _on_scale_of(target: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Return a·target + b on the scale of the image."""
    if float(target.min()) == float(target.max()):
        raise ValueError(
            f"the target is constant, {float(target.min()):g} everywhere: there is nothing to learn from it."
        )
    black, white, like = _chessboard_means(target, 0), _chessboard_means(target, 1), _block_means(image)
    own, common = _covariance(black, white), (_covariance(black, like) + _covariance(white, like)) / 2
    chance = MOST_BY_CHANCE / (len(like) - 2 + MOST_BY_CHANCE**2) ** 0.5  # a correlation of so many standard errors
    if own < chance * float(black.std() * white.std()) or common < chance * float(black.std() * like.std()):
        raise ValueError(
            "image and target have too little in common to find their scale: leave this pair out, or, where photons "
            "are counted and the doses known, use Pair.scaled."
        )
    slope = common / own
    return (slope * (target - target.mean()) + image.mean()).to(image.dtype)


def _covariance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(((one - one.mean()) * (other - other.mean())).mean())


def _block_means(image: torch.Tensor) -> torch.Tensor:
    side = min(BLOCK, *image.shape[-2:])
    return functional.avg_pool2d(image.double().reshape(-1, 1, *image.shape[-2:]), side).flatten()


def _chessboard_means(image: torch.Tensor, color: int) -> torch.Tensor:
    """Return the means over blocks of the pixels of one colour."""
    rows, columns = (torch.arange(side, device=image.device) for side in image.shape[-2:])
    chosen = ((rows[:, None] + columns) % 2 == color).double().expand(image.shape)
    return _block_means(image * chosen) / _block_means(chosen)


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
