"""Tracks of objects whose motion is known."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.quantification import link


def moving(
    *, objects: int = 12, frames: int = 15, step_um: float = 0.5, dimensions: int = 2, seed: int = 0
) -> pd.DataFrame:
    """Objects that start on a grid of 10 µm and walk at random, in shuffled rows, with their true number."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(objects)))
    start = np.stack(np.unravel_index(np.arange(objects), (side, side)), axis=1) * 10.0
    if dimensions == 3:
        start = np.hstack([np.zeros((objects, 1)), start])
    path = start + np.cumsum(rng.normal(0, step_um, (frames, objects, dimensions)), axis=0)
    table = pd.DataFrame(path.reshape(-1, dimensions), columns=["z_um", "y_um", "x_um"][-dimensions:])
    table["frame"] = np.repeat(np.arange(frames), objects)
    table["true"] = np.tile(np.arange(objects), frames)
    return table.sample(frac=1, random_state=seed)


def same_groups(first: pd.Series, second: pd.Series) -> bool:
    pairs = set(zip(first, second, strict=True))
    return len(pairs) == first.nunique() == second.nunique()


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_every_walk_is_one_track(dimensions: int, seed: int) -> None:
    table = moving(dimensions=dimensions, seed=seed)
    found = link(table, max_distance_um=3)
    assert same_groups(found["track"], found["true"])
    assert set(found["track"]) == set(range(1, 13))
    assert found.index.equals(table.index)
    pd.testing.assert_frame_equal(found.drop(columns="track"), table)


def test_depth_tells_objects_apart_that_lie_above_one_another() -> None:
    table = pd.DataFrame(
        {"frame": [0, 0, 1, 1], "z_um": [0.0, 5.0, 5.2, 0.1], "y_um": [0.0] * 4, "x_um": [0.0, 0.1, 0.0, 0.1]}
    )
    assert link(table, max_distance_um=2)["track"].tolist() == [1, 2, 2, 1]


def test_the_sum_of_squares_decides_and_not_the_nearest_first() -> None:
    table = pd.DataFrame({"frame": [0, 0, 1, 1], "y_um": [0.0] * 4, "x_um": [0.0, 2.0, 1.1, 3.1]})
    assert link(table, max_distance_um=4)["track"].tolist() == [1, 2, 1, 2]  # 1.1 is nearer to 2


@settings(max_examples=25)
@given(seed=st.integers(0, 999), limit=st.floats(0.5, 6))
def test_no_link_is_longer_than_allowed_and_no_track_is_twice_in_a_frame(seed: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.uniform(0, 10, (24, 2)), columns=["y_um", "x_um"])
    table["frame"] = rng.integers(0, 4, 24)
    found = link(table, max_distance_um=limit)
    assert not found.duplicated(["frame", "track"]).any()
    for _, track in found.groupby("track"):
        ordered = track.sort_values("frame")
        assert (ordered["frame"].diff().dropna() == 1).all()
        steps = np.hypot(ordered["y_um"].diff(), ordered["x_um"].diff()).dropna()
        assert (steps <= limit + 1e-9).all()
    first = found.groupby("track")["frame"].min()
    assert first.index.tolist() == list(range(1, len(first) + 1))
    assert first.is_monotonic_increasing


def test_a_gap_is_bridged_where_that_is_asked_for() -> None:
    table = moving(objects=4, frames=10)
    holes = table[~((table["true"] == 2) & table["frame"].isin([4, 5]))]
    broken = link(holes, max_distance_um=3)
    assert broken["track"].nunique() == 5
    too_short = link(holes, max_distance_um=3, largest_gap_frames=1)
    assert too_short["track"].nunique() == 5
    bridged = link(holes, max_distance_um=3, largest_gap_frames=2)
    assert same_groups(bridged["track"], bridged["true"])


def test_empty_frames_single_objects_and_other_names_of_the_frame() -> None:
    table = pd.DataFrame({"t": [7, 9, 10], "y_um": [0.0, 0.0, 0.1], "x_um": [0.0, 0.0, 0.1]})
    assert link(table, max_distance_um=1, frame="t")["track"].tolist() == [1, 2, 2]
    assert link(table, max_distance_um=1, frame="t", largest_gap_frames=1)["track"].tolist() == [1, 1, 1]
    assert link(table[:1], max_distance_um=1, frame="t")["track"].tolist() == [1]


def test_tracks_give_the_true_diffusion() -> None:
    table = link(moving(objects=100, frames=20, step_um=0.4, seed=5), max_distance_um=3).sort_values(["track", "frame"])
    steps = table.groupby("track")[["y_um", "x_um"]].diff().dropna().to_numpy()
    assert np.mean(steps**2) == pytest.approx(0.4**2, rel=3 * np.sqrt(2 / steps.size))


GOOD = moving(objects=2, frames=3)


@pytest.mark.parametrize(
    ("table", "changed", "error", "message"),
    [
        (GOOD, {"frame": "t"}, ValueError, "the table has no column 't': it has y_um, x_um, frame, true"),
        (GOOD.drop(columns="y_um"), {}, ValueError, "the table has no column 'y_um'"),
        (GOOD, {"max_distance_um": 0}, ValueError, "max_distance_um is 0 µm, but must be at least 1e-06 µm: how far"),
        (
            GOOD,
            {"largest_gap_frames": -1},
            ValueError,
            "largest_gap_frames is -1 frames, but must be at least 0 frames",
        ),
        (GOOD, {"largest_gap_frames": 0.5}, ValueError, "largest_gap_frames is 0.5, but must be a whole number"),
        (GOOD.assign(frame=0.5), {}, ValueError, "column 'frame' has frames such as 0.5, not whole numbers"),
        (GOOD.assign(x_um=np.nan), {}, ValueError, "column 'x_um' has 6 missing values"),
        (GOOD.assign(x_um=np.inf), {}, ValueError, "column 'x_um' has 6 infinite values"),
        (GOOD[:0], {}, ValueError, "the table has no rows"),
        ([1], {}, TypeError, "table is a list, but must be a pandas.DataFrame"),
    ],
)
def test_bad_input(table, changed, error, message) -> None:
    with pytest.raises(error, match=message):
        link(table, **{"max_distance_um": 1.0} | changed)


def test_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "laptrack", None)
    with pytest.raises(ValueError, match=r"linking needs the package laptrack, .* pip install '.*\[tracking\]'"):
        link(GOOD, max_distance_um=1)
