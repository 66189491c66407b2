r"""Hide pixels, so that a network must guess them from their neighbours.

A network that is shown a noisy image and asked for the same noisy image learns to do nothing. Noise2Void hides a few
pixels, and counts the error at these alone [1]_. If the noise of a pixel has nothing to do with that of its neighbours,
nothing that is left can tell it, and the best guess is the mean of all images that fit what is seen.

Three things decide whether that is true. **No hidden value may be left anywhere**: it is replaced by that of a pixel
nearby that is not hidden itself, each with the same probability, or by the median of these [2]_. **Every pixel must be
as likely to be hidden as any other**: the image is divided into equal cells with one centre in each. And where the
noise of neighbours *does* err together, along rows for example, **these neighbours must be hidden with it** [3]_: all
pixels within `mask_extent` of a centre are replaced, but only the centre is asked for.

References
----------
.. [1] A. Krull, T.-O. Buchholz, F. Jug, "Noise2Void - learning denoising from single noisy images", CVPR (2019),
   arXiv:1811.10980.
.. [2] E. Höck, T.-O. Buchholz, A. Brachmann, F. Jug, A. Freytag, "N2V2 - fixing Noise2Void checkerboard artifacts with
   modified sampling strategies and a tweaked network architecture", ECCV Workshops (2022),
   doi:10.1007/978-3-031-25069-9_33.
.. [3] C. Broaddus, A. Krull, M. Weigert, U. Schmidt, G. Myers, "Removing structured noise with self-supervised
   blind-spot networks", ISBI (2020), doi:10.1109/ISBI45749.2020.9098336.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch

__all__ = ["Mask", "draw_mask"]

MOST_NEIGHBORS = 2**21
"""Neighbours whose median is taken at once: more would fill the memory with their coordinates."""
MOST_ROUNDS = 200
"""Draws after which it is clear that a pixel has no neighbour left that is not hidden."""


@dataclass(frozen=True)
class Mask:
    """Which pixels of a batch are hidden, and what stands in their places.

    Pixels are numbered row by row within each channel of each image.

    Attributes
    ----------
    centers : torch.Tensor, shape (N, C, M)
        Pixels to be guessed.
    hidden : torch.Tensor, shape (N, C, H)
        All pixels that are replaced: the centres, and what lies within the mask's extent around them.
    sources : torch.Tensor, shape (N, C, H)
        For each hidden pixel, one nearby that is not hidden.
    sides : tuple of int
        Of the images, ([z,] y, x).
    radius : int
        Farthest distance of a source, along each axis.
    """

    centers: torch.Tensor
    hidden: torch.Tensor
    sources: torch.Tensor
    sides: tuple[int, ...]
    radius: int

    def uniform(self, images: torch.Tensor) -> torch.Tensor:
        """Return `images` (N, C, [Z,] Y, X) with each hidden value replaced by that of its source."""
        flat = images.flatten(2)
        return self._replaced(images, flat.gather(2, self.sources.to(images.device)))

    def median(self, images: torch.Tensor) -> torch.Tensor:
        """Return `images` (N, C, [Z,] Y, X) with each hidden value replaced by the median of what is seen nearby."""
        seen = self._replaced(images, torch.full(self.hidden.shape, math.nan, device=images.device))
        steps = torch.arange(-self.radius, self.radius + 1)
        offsets = torch.cartesian_prod(*[steps] * len(self.sides))
        at_once = max(1, MOST_NEIGHBORS // (self.hidden[:, :, 0].numel() * len(offsets)))
        medians = [self._medians(seen, part, offsets) for part in torch.split(self.hidden, at_once, dim=2)]
        return self._replaced(images, torch.cat(medians, dim=2))

    def _medians(self, seen: torch.Tensor, hidden: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Return the median of what is seen around each of some hidden pixels."""
        places = _coordinates(hidden, self.sides)[..., None, :] + offsets
        inside = ((places >= 0) & (places < torch.tensor(self.sides))).all(dim=-1).to(seen.device)
        numbers = _numbers(places.clamp(min=0).minimum(torch.tensor(self.sides) - 1), self.sides)
        around = seen.flatten(2).gather(2, numbers.flatten(2).to(seen.device)).view(numbers.shape)
        return around.where(inside, math.nan).nanmedian(dim=-1).values

    def every(self, step: int, *, start: int) -> Self:
        """Return the mask of every `step`-th image, from number `start` on."""
        chosen = slice(start, None, step)
        return replace(self, centers=self.centers[chosen], hidden=self.hidden[chosen], sources=self.sources[chosen])

    def in_all_channels(self, channels: int) -> Self:
        """Return the mask of one channel for several."""
        centers, hidden, sources = (each.expand(-1, channels, -1) for each in (self.centers, self.hidden, self.sources))
        return replace(self, centers=centers, hidden=hidden, sources=sources)

    def at_centers(self, images: torch.Tensor) -> torch.Tensor:
        """Return the values of `images` (N, C, [Z,] Y, X) at the centres, (N, C, M)."""
        return images.flatten(2).gather(2, self.centers.to(images.device))

    def _replaced(self, images: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return images.flatten(2).scatter(2, self.hidden.to(images.device), values).view(images.shape)


def draw_mask(
    count: int,
    channels: int,
    sides: Sequence[int],
    *,
    masked_fraction: float,
    neighborhood_radius: int,
    mask_extent: Sequence[int] | None = None,
    rng: torch.Generator,
) -> Mask:
    """Choose the pixels that are hidden in `count` images of several channels, each channel for itself.

    Parameters
    ----------
    count, channels : int
        N and C.
    sides : sequence of int
        ([z,] y, x) in pixels.
    masked_fraction : float
        Share of the pixels that are centres.
    neighborhood_radius : int
        Farthest distance from which a hidden pixel is replaced, along each axis.
    mask_extent : sequence of int, optional
        Along each axis, how far from a centre pixels are hidden with it: ``(0, 4)`` hides four on each side in its row.
    rng : torch.Generator
        On the CPU.

    Raises
    ------
    ValueError
        If the mask hides all that is near.

    Examples
    --------
    >>> mask = draw_mask(2, 1, (64, 64), masked_fraction=0.02, neighborhood_radius=5, rng=torch.Generator())
    >>> mask.centers.shape
    torch.Size([2, 1, 81])
    >>> image = torch.arange(2.0 * 64 * 64).reshape(2, 1, 64, 64)
    >>> int((mask.uniform(image) != image).sum())
    162
    """
    sides = tuple(sides)
    extent = tuple(mask_extent) if mask_extent is not None else (0,) * len(sides)
    side = torch.tensor(sides)
    cells = [max(1, round(one * masked_fraction ** (1 / len(sides)))) for one in sides]
    corners = torch.cartesian_prod(*[torch.arange(one) for one in cells]).view(-1, len(sides))
    within = torch.rand((count, channels, *corners.shape), generator=rng, dtype=torch.float64)
    centers = ((corners + within) * side / torch.tensor(cells)).long().minimum(side - 1)

    steps = torch.cartesian_prod(*[torch.arange(-one, one + 1) for one in extent]).view(-1, len(sides))
    spread = centers[:, :, :, None] + steps
    inside = ((spread >= 0) & (spread < side)).all(dim=-1, keepdim=True)
    hidden = spread.where(inside, centers[:, :, :, None]).flatten(2, 3)

    numbers = _numbers(hidden, sides)
    is_hidden = torch.zeros(count, channels, math.prod(sides), dtype=torch.bool).scatter(2, numbers, value=True)
    low = (hidden - neighborhood_radius).clamp(min=0)
    width = (hidden + neighborhood_radius).minimum(side - 1) - low + 1
    sources = torch.empty_like(numbers)
    undecided = torch.ones_like(numbers, dtype=torch.bool)
    for _ in range(MOST_ROUNDS):
        drawn = torch.rand((int(undecided.sum()), len(sides)), generator=rng, dtype=torch.float64)
        places = low[undecided] + (drawn * width[undecided]).long()
        sources[undecided] = _numbers(places, sides)
        undecided &= is_hidden.gather(2, sources)
        if not bool(undecided.any()):
            return Mask(_numbers(centers, sides), numbers, sources, sides, neighborhood_radius)
    raise ValueError(
        f"mask_extent is {extent} and masked_fraction {masked_fraction:g}, which hides all within neighborhood_radius "
        f"{neighborhood_radius} of some pixel: mask fewer or less far, or make the radius larger."
    )


def _numbers(places: torch.Tensor, sides: tuple[int, ...]) -> torch.Tensor:
    """Return the numbers of pixels, from their coordinates along the last axis."""
    strides = [math.prod(sides[axis + 1 :]) for axis in range(len(sides))]
    return (places * torch.tensor(strides)).sum(dim=-1)


def _coordinates(numbers: torch.Tensor, sides: tuple[int, ...]) -> torch.Tensor:
    """Return the coordinates of pixels, along a new last axis."""
    return torch.stack(torch.unravel_index(numbers.cpu(), sides), dim=-1)
