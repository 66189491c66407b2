r"""Random numbers that are the same in NumPy and in the browser.

A figure's noise is made by the host, not by the graph: number :math:`i` of draw :math:`d` in step :math:`s` is a
32-bit hash of (seed, d, s, i), so that both runtimes show the same picture for the same seed, and any number can
be made without those before it. ``front/draws.mjs`` is this file in JavaScript; a test compares the two.

.. math:: h_i = m(m(i \oplus a) + b), \quad a = m(m(m(\mathrm{seed}) + d) + s), \quad b = m(a + 1)

with the mixing function :math:`m` lowbias32. Two keys rather than one, because sequences that start at two places
of one sequence would soon overlap. A uniform number is :math:`(\lfloor h / 2^9 \rfloor + 1/2) / 2^{23}`: never 0,
never 1, and exact in float32. A normal number is :math:`\sqrt{-2 \ln u_{2i}} \cos 2\pi u_{2i+1}` (Box–Muller),
computed in float64.

References
----------
C. Wellons, *Prospecting for Hash Functions*, 2018 (lowbias32).
G. E. P. Box and M. E. Muller, *Ann. Math. Statist.* 29, 610 (1958).
"""

import math

import numpy as np
import numpy.typing as npt

from course_lib.live.declare import Draw

__all__ = ["draw_numbers"]

Words = npt.NDArray[np.uint32]


def _mix(x: Words) -> Words:
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def _uniform(seed: int, index: int, step: int, count: int) -> npt.NDArray[np.float64]:
    word = [np.array([number], dtype=np.uint32) for number in (seed, index, step, 1)]
    a = _mix(_mix(_mix(word[0]) + word[1]) + word[2])
    b = _mix(a + word[3])
    bits = _mix(_mix(np.arange(count, dtype=np.uint32) ^ a) + b)
    return ((bits >> np.uint32(9)) + 0.5) / 2**23


def draw_numbers(draw: Draw, *, seed: int, index: int, step: int = 0) -> npt.NDArray[np.float32]:
    """Make the random numbers of one draw.

    Parameters
    ----------
    draw : Draw
        Their kind and shape.
    seed : int
        From 0 to 2³² − 1; "New noise" adds one.
    index : int
        Place of the draw among the figure's draws.
    step : int
        Step of an iterative figure.

    Returns
    -------
    numpy.ndarray
        float32, of the draw's shape.

    Raises
    ------
    ValueError
        If the seed does not fit into 32 bits.

    Examples
    --------
    >>> draw_numbers(Draw("uniform", (3,)), seed=0, index=0)
    array([0.34749275, 0.07120198, 0.48301858], dtype=float32)
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}, but must be from 0 to {2**32 - 1}: pass a small whole number.")
    count = math.prod(draw.shape)
    if draw.kind == "uniform":
        numbers = _uniform(seed, index, step, count)
    else:
        pairs = _uniform(seed, index, step, 2 * count)
        numbers = np.sqrt(-2 * np.log(pairs[0::2])) * np.cos(2 * math.pi * pairs[1::2])
    return numbers.astype(np.float32).reshape(draw.shape)
