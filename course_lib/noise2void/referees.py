"""Who judges a restoration of an image whose truth nobody knows: photons held out, or hidden pixels.

`PhotonReferee` shows a method four fifths of the photons, and judges it by the rest
(`course_lib.metrics.held_out_error`). It needs counts, or a camera's values turned into counts, whose noise pixels do
not share.

`BlindSpotReferee` hides some pixels, with those that share their noise, and judges by their noisy values. It works for
any unit and any noise whose reach is known, but it is less fair: in the end a method does see the pixel that it
restores, which a blur that was tuned by hidden pixels does not reckon with, and so it blurs somewhat too much.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from course_lib import metrics, noise
from course_lib.noise2void.masking import draw_mask

__all__ = ["SHARE_HELD_OUT", "BlindSpotReferee", "Measured", "PhotonReferee", "Referee", "Restore"]

Restore = Callable[[torch.Tensor], torch.Tensor]
"""Takes and gives frames (N, Y, X)."""

SHARE_HELD_OUT = 0.2
"""Of the photons. Half of them would judge more sharply, but a method that has seen half."""

MASKS, MASKED_FRACTION, NEIGHBORHOOD_RADIUS = 4, 0.02, 5
"""How often other pixels are hidden, how many of them, and from how far they are replaced."""


@dataclass(frozen=True)
class Measured:
    """A number and its standard error."""

    value: float
    standard_error: float


class Referee(Protocol):
    """Shows frames to methods, and judges what they make of them."""

    shown: torch.Tensor
    """All frames that a method may learn from, (N, Y, X)."""
    unit: str
    """Of the errors."""
    pixels: int
    """How many a method must restore to be judged."""

    def estimate(self, restore: Restore) -> torch.Tensor:
        """Let a method restore what is judged."""

    def error(self, estimate: torch.Tensor) -> Measured:
        """Return its mean squared error."""

    def difference(self, estimate: torch.Tensor, other: torch.Tensor) -> Measured:
        """Return by how much the error of one exceeds that of another."""


class PhotonReferee:
    """Judges by photons held out.

    Parameters
    ----------
    counts : torch.Tensor, shape (N, Y, X)
        Photon counts.
    judged : sequence of index
        What part of them is judged, as an index of `counts` that leaves its three axes.
    rng : torch.Generator
        Holds photons out.

    Examples
    --------
    >>> counts = torch.poisson(torch.full((1, 512, 512), 9.0), generator=torch.Generator().manual_seed(0))
    >>> referee = PhotonReferee(counts, judged=(slice(None),), rng=torch.Generator().manual_seed(0))
    >>> as_it_is, flat = referee.estimate(lambda seen: seen), referee.estimate(lambda seen: 0 * seen + 7.2)
    >>> round(referee.error(as_it_is).value), round(referee.error(flat).value)  # 9 / 0.8, and none
    (11, 0)
    """

    unit = "photons²"

    def __init__(self, counts: torch.Tensor, *, judged: Sequence[Any], rng: torch.Generator) -> None:
        held_out, self.shown = noise.split_photons(counts, fraction=SHARE_HELD_OUT, rng=rng)
        self._held_out = held_out[tuple(judged)]
        self._judged = self.shown[tuple(judged)]
        self.pixels = self._judged.numel()

    def estimate(self, restore: Restore) -> torch.Tensor:
        """Let a method restore the judged frames from the photons that are shown."""
        return restore(self._judged)

    def error(self, estimate: torch.Tensor) -> Measured:
        """Return the mean squared error against the truth, in photons² of the whole exposure."""
        return _measured(metrics.held_out_error(estimate, self._held_out, share=SHARE_HELD_OUT, dimensions=3))

    def difference(self, estimate: torch.Tensor, other: torch.Tensor) -> Measured:
        """Return by how much the error of one exceeds that of another."""
        found = metrics.held_out_difference(estimate, other, self._held_out, share=SHARE_HELD_OUT, dimensions=3)
        return _measured(found)


class BlindSpotReferee:
    """Judges by hidden pixels.

    Parameters
    ----------
    frames : torch.Tensor, shape (N, Y, X)
        Images in any unit.
    judged : sequence of index
        As for `PhotonReferee`.
    mask_extent : (int, int)
        How far, down and right, the noise of pixels is shared: these are hidden with each.
    rng : torch.Generator
        Chooses the pixels.

    Examples
    --------
    >>> noisy = 9 + torch.randn(1, 128, 128, generator=torch.Generator().manual_seed(0))
    >>> referee = BlindSpotReferee(noisy, judged=(slice(None),), mask_extent=(0, 0), rng=torch.Generator())
    >>> as_it_is, flat = referee.estimate(lambda seen: seen), referee.estimate(lambda seen: 0 * seen + 9)
    >>> round(referee.error(as_it_is).value), round(referee.error(flat).value)  # the noise twice, and once
    (2, 1)
    """

    unit = "grey levels², noise included"

    def __init__(
        self, frames: torch.Tensor, *, judged: Sequence[Any], mask_extent: tuple[int, int], rng: torch.Generator
    ) -> None:
        self.shown = frames
        self._judged = frames[tuple(judged)]
        self.pixels = MASKS * self._judged.numel()
        self._masks = [
            draw_mask(
                len(self._judged),
                1,
                tuple(self._judged.shape[-2:]),
                masked_fraction=MASKED_FRACTION,
                neighborhood_radius=max(NEIGHBORHOOD_RADIUS, min(mask_extent) + 1),
                mask_extent=mask_extent,
                rng=rng,
            )
            for _ in range(MASKS)
        ]
        images = self._judged[:, None]
        self._hidden = torch.cat([mask.at_centers(images).flatten() for mask in self._masks]).double()

    def estimate(self, restore: Restore) -> torch.Tensor:
        """Return a method's guesses of the hidden pixels."""
        images = self._judged[:, None]
        guessed = (mask.at_centers(restore(mask.uniform(images)[:, 0])[:, None]).flatten() for mask in self._masks)
        return torch.cat(list(guessed)).double()

    def error(self, estimate: torch.Tensor) -> Measured:
        """Return the mean squared error against the noisy values: that against the truth, and the noise's variance."""
        return _mean((estimate - self._hidden).square())

    def difference(self, estimate: torch.Tensor, other: torch.Tensor) -> Measured:
        """Return by how much the error of one exceeds that of another."""
        return _mean((estimate - self._hidden).square() - (other - self._hidden).square())


def _measured(found: metrics.HeldOutError) -> Measured:
    return Measured(float(found.value), float(found.standard_error))


def _mean(values: torch.Tensor) -> Measured:
    return Measured(float(values.mean()), float(values.std()) / len(values) ** 0.5)
