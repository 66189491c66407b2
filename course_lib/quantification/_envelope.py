"""Upper convex envelopes of many groups of points at once, in whole numbers and so exact.

A point that lies on or below the line between any two others of its group is no corner of the envelope. So all points
that lie below the line between their two neighbours may go at once; where points went, their neighbours are asked
again, until none goes. A few rounds are enough for outlines of cells, and no round visits objects one by one.
"""

import numpy as np

from course_lib.quantification._objects import Integers

__all__ = ["upper_envelope", "upper_envelope_at"]


def upper_envelope(group: Integers, position: Integers, height: Integers) -> Integers:
    """Return the indices of the corners of each group's upper convex envelope.

    Parameters
    ----------
    group, position, height : numpy.ndarray of int64, shape (points,)
        Points sorted by group, then by position; positions of a group are distinct.

    Examples
    --------
    >>> upper_envelope(np.zeros(5, int), np.arange(5), np.array([0, 2, 1, 2, 0]))
    array([0, 1, 3, 4])
    """
    kept = np.arange(len(group))
    while len(kept) > 2:
        before, at, after = kept[:-2], kept[1:-1], kept[2:]
        wide = position[after] - position[before]
        line = height[before] * (position[after] - position[at]) + height[after] * (position[at] - position[before])
        below = (group[before] == group[after]) & (height[at] * wide <= line)
        if not below.any():
            break
        kept = np.concatenate([kept[:1], at[~below], kept[-1:]])
    return kept


def upper_envelope_at(
    group: Integers, position: Integers, height: Integers, *, at_group: Integers, at_position: Integers, per: int
) -> Integers:
    """Return the largest whole number that, times `per`, is not above the envelope of a group at a position.

    Positions lie from the first to before the last of the group.

    Examples
    --------
    >>> points = np.zeros(2, int), np.array([0, 4]), np.array([0, 6])
    >>> upper_envelope_at(*points, at_group=np.zeros(4, int), at_position=np.arange(4), per=2)
    array([0, 0, 1, 2])
    """
    corner = upper_envelope(group, position, height)
    group, position, height = group[corner], position[corner], height[corner]
    lowest, extent = position.min(), int(position.max() - position.min()) + 1
    left = (
        np.searchsorted(group * extent + position - lowest, at_group * extent + at_position - lowest, side="right") - 1
    )
    right = left + 1
    wide = position[right] - position[left]
    raised = height[left] * wide + (height[right] - height[left]) * (at_position - position[left])
    whole: Integers = raised // (per * wide)
    return whole
