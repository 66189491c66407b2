r"""Link objects from frame to frame to tracks.

From each frame to the next, objects are paired so that the sum of the squared distances is least, with no pair farther
apart than a largest distance, whose square is the price of an end or a beginning (linear assignment, Jaqaman et al.
2008). That is the likeliest choice where objects move at random. Then ends and beginnings of tracks are joined across
frames in which an object was not found. The package laptrack does the work.

The largest distance decides. It lies between how far an object moves in a frame and how far the nearest other object
is; where these are alike, no method can know who is who: record faster.

References
----------
K. Jaqaman et al., "Robust single-particle tracking in live-cell time-lapse sequences", Nature Methods 5 (2008) 695.
Y. T. Fukai, K. Kawaguchi, "LapTrack: linear assignment particle tracking with tunable metrics", Bioinformatics 39
(2023) btac799.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.parameters import Parameter
from course_lib.quantification._table import check_table, numbers_of
from course_lib.segmentation._check import check_length

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["link"]

POSITIONS = ("z_um", "y_um", "x_um")
GAP = Parameter(name="largest_gap_frames", default=0, meaning="frames that a track may miss", unit="frames", minimum=0)


def link(
    table: "pd.DataFrame", *, max_distance_um: float, largest_gap_frames: int = 0, frame: str = "frame"
) -> "pd.DataFrame":
    """Give objects that are the same object in successive frames a common number.

    Parameters
    ----------
    table : pandas.DataFrame
        One row for each object in each frame, with `y_um`, `x_um` and in stacks `z_um`: the tables of `measure`, one
        below the other (`pandas.concat`), with a column for the frame.
    max_distance_um : float
        How far an object may move in a frame; across a gap, in total.
    largest_gap_frames : int
        For how many frames in a row an object may be missing.
    frame : str
        Column with the number of the frame, a whole number.

    Returns
    -------
    pandas.DataFrame
        A copy with the column `track`, from 1 on in the order in which tracks begin; rows keep their order.

    Raises
    ------
    ValueError
        If a column is not there or misses values, a number is out of range, or laptrack is not installed.
    TypeError
        If the table is no DataFrame, or a column holds no numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"frame": [0, 0, 1, 1], "y_um": [0.0, 9.0, 9.5, 0.4], "x_um": [0.0, 5.0, 5.0, 0.0]})
    >>> link(table, max_distance_um=2)["track"].tolist()
    [1, 2, 2, 1]
    """
    check_table(table, columns=[frame, *POSITIONS[1:]])
    max_distance_um = check_length(
        max_distance_um, name="max_distance_um", meaning="how far an object may move in a frame"
    )
    GAP.check(largest_gap_frames)
    frames = numbers_of(table, frame)
    if (frames != np.round(frames)).any():
        raise ValueError(
            f"column {frame!r} has frames such as {frames[frames != np.round(frames)][0]:g}, not whole numbers."
        )
    positions = np.stack([numbers_of(table, name) for name in POSITIONS if name in table.columns], axis=1)
    tracks = _tracks(
        positions, frames.astype(int), max_distance_um=max_distance_um, largest_gap_frames=largest_gap_frames
    )
    return table.assign(track=tracks)


def _tracks(positions: Any, frames: Any, *, max_distance_um: float, largest_gap_frames: int) -> Any:
    """Return the number of the track of each object."""
    laptrack = _laptrack()
    first = int(frames.min())
    rows = [np.flatnonzero(frames == number) for number in range(first, int(frames.max()) + 1)]
    cutoff = max_distance_um**2
    tracker = laptrack.LapTrack(
        cutoff=cutoff,
        track_start_cost=cutoff,  # by default they depend on how far the other objects of the frame move
        track_end_cost=cutoff,
        gap_closing_cutoff=cutoff if largest_gap_frames else False,
        gap_closing_max_frame_count=int(largest_gap_frames) + 1,
        segment_start_cost=cutoff,
        segment_end_cost=cutoff,
    )
    tree = tracker.predict([positions[index] for index in rows])
    tracks = np.arange(len(frames))
    for (start, at), (end, after) in sorted(tuple(sorted(edge)) for edge in tree.edges):
        tracks[rows[end][after]] = tracks[rows[start][at]]
    order = {
        number: place for place, number in enumerate(dict.fromkeys(tracks[np.concatenate(rows)].tolist()), start=1)
    }
    return np.array([order[number] for number in tracks.tolist()])


def _laptrack() -> Any:
    try:
        import laptrack
    except ImportError:
        raise ValueError(
            "linking needs the package laptrack, which is not installed: "
            "pip install 'deep-learning-microscopy-course[tracking]'."
        ) from None
    return laptrack
