import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from course_lib.images import Tile, largest_tile

SIDES = st.tuples(*[st.integers(1, 40)] * 3)
SMALL = st.tuples(*[st.integers(1, 14)] * 3)
HALO = (1, 2, 2)
BYTES = 100


@settings(max_examples=50)
@given(SIDES, st.tuples(*[st.integers(1, 12)] * 3), st.tuples(*[st.integers(0, 5)] * 3))
def test_tiles_cover_each_voxel_once(shape: tuple[int, ...], largest: tuple[int, ...], halo: tuple[int, ...]) -> None:
    whole = Tile(frame=(), start=(0, 0, 0), stop=shape)
    covered = np.zeros(shape, int)
    for tile in whole.split(largest):
        covered[tile.place] += 1
        assert all(side <= most for side, most in zip(tile.sides, largest, strict=True))
        outer = tile.grown(halo, shape)
        inside = np.zeros(outer.sides)
        inside[tile.within(outer)] = 1
        assert inside.sum() == np.prod(tile.sides)
    assert whole.grown(halo, shape) == whole
    assert (covered == 1).all()


def work(shape: tuple[int, ...], sides: tuple[int, ...]) -> tuple[int, int]:
    """Voxels that a tile computes, and that all tiles compute."""
    grown = [min(side + 2 * margin, whole) for side, margin, whole in zip(sides, HALO, shape, strict=True)]
    tiles = [-(-whole // side) for side, whole in zip(sides, shape, strict=True)]
    one = int(np.prod(grown))
    return one, one * int(np.prod(tiles))


@settings(max_examples=30)
@given(SMALL, st.integers(3 * 5 * 5, 14**3))
def test_tiles_fit_into_memory_and_no_others_that_fit_are_less_work(shape: tuple[int, ...], voxels: int) -> None:
    sides = largest_tile(shape, HALO, bytes_per_voxel=BYTES, memory_bytes=BYTES * voxels)
    needed, altogether = work(shape, sides)
    assert needed <= voxels
    others = [work(shape, other) for other in np.ndindex(*shape) if all(other)]
    assert altogether <= min((total for one, total in others if one <= voxels), default=altogether)


@settings(max_examples=30)
@given(SIDES)
def test_all_in_one_tile_where_memory_allows(shape: tuple[int, ...]) -> None:
    assert largest_tile(shape, HALO, bytes_per_voxel=BYTES, memory_bytes=BYTES * np.prod(shape)) == shape


def test_what_a_method_pads_counts() -> None:
    shape = (8, 64, 64)
    exact = largest_tile(shape, HALO, bytes_per_voxel=1, memory_bytes=8 * 64 * 64)
    padded = largest_tile(shape, HALO, bytes_per_voxel=1, memory_bytes=8 * 64 * 64, computed=lambda n, axis: n + axis)
    assert exact == shape
    assert padded != shape


def test_a_margin_that_does_not_fit() -> None:
    told = (
        r"memory for tiles is 9.31e-10 GiB, but with margins of Z 1 × Y 2 × X 2 voxels the smallest tile takes "
        r"6.98e-08 GiB: give more, or make the margins smaller"
    )
    with pytest.raises(ValueError, match=told):
        largest_tile((40, 40, 40), HALO, bytes_per_voxel=1, memory_bytes=1)


@pytest.mark.parametrize(("place", "inside"), [((1, 4, 5), True), ((0, 4, 5), False), ((1, 3, 5), False)])
def test_a_tile_knows_what_it_holds(place: tuple[int, ...], inside: bool) -> None:
    assert Tile(frame=(1,), start=(4, 0), stop=(8, 8)).holds(place) == inside
