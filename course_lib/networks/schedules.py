"""How the learning rate changes while a network learns."""

import math
from collections.abc import Sequence

__all__ = ["halvings", "one_cycle"]

WARM_UP, FIRST_SHARE, LAST_SHARE = 0.3, 1 / 25, 1 / 250_000
"""Share of the steps in which the rate rises, and the rates of the first and the last step, relative to the peak."""
MOMENTUM_AT_ENDS, MOMENTUM_AT_PEAK = 0.95, 0.85


def one_cycle(step: int, steps: int, *, peak: float) -> tuple[float, float]:
    """Return the learning rate and the momentum of a step, of `steps` in all, counted from 0.

    The rate rises to its peak along half a cosine, and falls to almost 0 along another; large steps in the middle find
    a broad valley, small ones at the end its bottom. The momentum, the other way round, keeps large steps steady [1]_.

    References
    ----------
    .. [1] L. N. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large learning rates",
       SPIE 11006 (2019), doi:10.1117/12.2520589.

    Examples
    --------
    >>> [f"{one_cycle(step, 11, peak=1.0)[0]:.2f}" for step in (0, 1, 2, 5, 10)]
    ['0.04', '0.42', '0.96', '0.73', '0.00']
    """
    top, last = WARM_UP * steps - 1, steps - 1.0
    if step <= top:
        return _between(FIRST_SHARE * peak, peak, step / top), _between(MOMENTUM_AT_ENDS, MOMENTUM_AT_PEAK, step / top)
    done = (step - top) / (last - top)
    return _between(peak, LAST_SHARE * peak, done), _between(MOMENTUM_AT_PEAK, MOMENTUM_AT_ENDS, done)


def _between(start: float, end: float, done: float) -> float:
    """Go along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * done))


def halvings(losses: Sequence[float], *, patience: int) -> int:
    """Return how often the rate is halved by now, once for `patience` losses in a row that are no new least one.

    Examples
    --------
    >>> halvings([3.0, 2.0, 2.5, 2.0, 1.0], patience=2), halvings([2.0] * 5, patience=2)
    (1, 2)
    """
    least, idle, count = math.inf, 0, 0
    for loss in losses:
        idle = 0 if loss < least else idle + 1
        least = min(least, loss)
        if idle == patience:
            idle, count = 0, count + 1
    return count
