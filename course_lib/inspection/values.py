"""What the values of an image tell: where they end, whether they pile up there, and whether they are raw."""

from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["Values", "look_at_values", "pile_share"]

SMALLEST_PILE = 1e-4
"""Share of the pixels at an extreme that is a pile, if they outnumber those at the level beside it."""
NEAR = 1.5
"""So far from the extreme, in steps of the grey levels, lies the level beside it."""
CLEARLY = 1.3
"""A pile has so many times the pixels of the level beside it."""
PIXELS_A_LEVEL = 20
"""From so many pixels for each grey level that is used on, one that is not used is no chance."""
FEWEST_STEPS = 4
SMALLEST_STEP = 4 / 3
"""Grey levels between those used from which on some were left out."""
FLAT_SHARE = 0.8
"""Share of the pixels above 0 that equal the pixel to their right; labels have more, and no noisy image has."""


@dataclass(frozen=True, kw_only=True)
class Values:
    """What was seen of the values of one channel.

    Attributes
    ----------
    minimum, maximum, mean : float
        Of the finite values.
    maximum_count : int
        Pixels that have the largest value.
    saturated_share, clipped_share : float
        Share of the pixels that pile up at the largest and at the smallest value; 0 where they do not.
    not_finite : int
        Pixels that are NaN or infinite.
    are_whole : bool
        Whether all values are whole numbers of at least 0.
    grey_step : float
        Distance of the grey levels that are used. 1 for raw values, and where values are not whole or too few. More
        after a multiplication: the whole factor where `are_multiples`, else the mean distance in the middle of the
        histogram.
    are_multiples : bool
        Whether levels are left out, and all distances are multiples of one whole number: as of a camera of 12 bits that
        writes them into the upper part of 16. Values that were multiplied by another factor and rounded have gaps of
        different widths.
    are_labels : bool
        Whether the values are whole and the same in whole areas, as those of a mask or of labels.
    """

    minimum: float
    maximum: float
    mean: float
    maximum_count: int
    saturated_share: float
    clipped_share: float
    not_finite: int
    are_whole: bool
    grey_step: float
    are_multiples: bool
    are_labels: bool


def look_at_values(values: torch.Tensor) -> Values:
    """Look at the values of frames or planes of one channel.

    Parameters
    ----------
    values : torch.Tensor, shape (..., Y, X)
        As they are in the file.

    Raises
    ------
    ValueError
        If there is no pixel, or no finite one.

    Examples
    --------
    >>> photons = torch.poisson(torch.full((64, 64), 250.0), generator=torch.Generator().manual_seed(0))
    >>> seen = look_at_values(photons.clamp(max=255))
    >>> seen.maximum, round(seen.saturated_share, 2), seen.clipped_share, seen.are_whole
    (255.0, 0.38, 0.0, True)
    """
    finite = values[values.isfinite()]
    if finite.numel() == 0:
        raise ValueError(
            f"the image has {values.numel()} pixels, and none of them is a finite number: choose another file or part."
        )
    whole = bool(((finite == finite.round()) & (finite >= 0)).all())
    lowest, highest = float(finite.min()), float(finite.max())
    step, multiples = _grey_step(finite) if whole else (1.0, False)
    return Values(
        minimum=lowest,
        maximum=highest,
        mean=float(finite.double().mean()),
        maximum_count=int((finite == highest).sum()),
        saturated_share=pile_share(finite, highest, grey_step=step),
        clipped_share=pile_share(finite, lowest, grey_step=step),
        not_finite=values.numel() - finite.numel(),
        are_whole=whole,
        grey_step=step,
        are_multiples=multiples,
        are_labels=whole and finite.numel() == values.numel() and _are_flat(values),
    )


def pile_share(values: torch.Tensor, extreme: float, *, grey_step: float = 1.0) -> float:
    """Return the share of the pixels at an extreme, or 0 where they do not pile up.

    A pile has more than ten pixels, more than one in ten thousand, and clearly more than the grey level beside it: a
    histogram that was not cut off falls towards its ends. Of values that are not whole, hardly two are the same. Where
    all pixels are the same there is no pile.

    Parameters
    ----------
    values : torch.Tensor
        Finite.
    extreme : float
        The smallest or the largest of them.
    grey_step : float
        Distance of the grey levels.

    Examples
    --------
    >>> pile_share(torch.cat([torch.arange(900.0), torch.full((100,), 899.0)]), 899.0)
    0.101
    >>> pile_share(torch.arange(900.0), 899.0)
    0.0
    """
    at = int((values == extreme).sum())
    beside = 0
    if bool((values == values.round()).all()):
        beside = int(((values - extreme).abs() <= NEAR * grey_step).sum()) - at
    share = at / values.numel()
    return share if values.numel() > at > max(10, CLEARLY * beside) and share > SMALLEST_PILE else 0.0


def _grey_step(values: torch.Tensor) -> tuple[float, bool]:
    """Return the distance of the grey levels that the middle 80 % of the pixels use, and whether all are multiples."""
    some = values.flatten()
    some = some[:: max(1, some.numel() // 2**20)].sort().values
    steps = some[some.numel() // 10 : max(some.numel() * 9 // 10, 1)].diff()
    steps = steps[steps > 0]
    if len(steps) < FEWEST_STEPS or some.numel() < PIXELS_A_LEVEL * len(steps):
        return 1.0, False
    step = float(steps.mean())
    if step <= SMALLEST_STEP:
        return 1.0, False
    common = int(np.gcd.reduce(some.double().diff().numpy().astype(np.int64)))
    return (float(common), True) if common > 1 else (step, False)


def _are_flat(values: torch.Tensor) -> bool:
    left, right = values[..., :-1], values[..., 1:]
    above = left > 0
    inside = int(above.sum())
    return inside > 0 and float(values.min()) == 0 and int((above & (left == right)).sum()) > FLAT_SHARE * inside
