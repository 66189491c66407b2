"""Which pixels are hidden, and by what."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats

from course_lib.noise2void import draw_mask


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


sides_2d_or_3d = st.one_of(
    st.tuples(st.integers(8, 40), st.integers(8, 40)),
    st.tuples(st.integers(2, 6), st.integers(8, 20), st.integers(8, 20)),
)


@given(sides=sides_2d_or_3d, fraction=st.floats(1e-3, 0.1), radius=st.integers(1, 4), seed=st.integers(0, 1000))
def test_hidden_pixels_are_replaced_by_seen_ones_nearby(
    sides: tuple[int, ...], fraction: float, radius: int, seed: int
) -> None:
    mask = draw_mask(2, 2, sides, masked_fraction=fraction, neighborhood_radius=radius, rng=_generator(seed))
    hidden, sources = mask.hidden.flatten(0, 1), mask.sources.flatten(0, 1)
    for places, replacing in zip(hidden, sources, strict=True):
        assert not set(places.tolist()) & set(replacing.tolist())
        away = torch.stack(torch.unravel_index(places, sides)) - torch.stack(torch.unravel_index(replacing, sides))
        assert int(away.abs().max()) <= radius


@given(sides=sides_2d_or_3d, fraction=st.floats(1e-3, 0.1))
def test_as_many_are_hidden_as_asked(sides: tuple[int, ...], fraction: float) -> None:
    mask = draw_mask(1, 1, sides, masked_fraction=fraction, neighborhood_radius=2, rng=_generator())
    along = [max(1, round(side * fraction ** (1 / len(sides)))) for side in sides]
    assert mask.centers.shape[-1] == math.prod(along)


@given(sides=sides_2d_or_3d, seed=st.integers(0, 1000))
def test_only_hidden_pixels_change(sides: tuple[int, ...], seed: int) -> None:
    images = torch.rand((2, 3, *sides), generator=_generator(seed))
    mask = draw_mask(2, 3, sides, masked_fraction=0.05, neighborhood_radius=2, rng=_generator(seed))
    is_hidden = torch.zeros(2, 3, math.prod(sides), dtype=torch.bool).scatter(2, mask.hidden, value=True)
    for replaced in (mask.uniform(images), mask.median(images)):
        assert torch.equal((replaced != images).flatten(2), is_hidden)


def test_every_pixel_is_hidden_equally_often() -> None:
    side, times = 30, 4000
    mask = draw_mask(times, 1, (side, side), masked_fraction=0.02, neighborhood_radius=3, rng=_generator())
    counted = torch.bincount(mask.centers.flatten(), minlength=side**2).numpy()
    assert counted.sum() == mask.centers.numel()
    # the cells make the counts of a pixel less scattered than a binomial, so the test is a strict one
    assert stats.chisquare(counted).pvalue > 1e-3


@pytest.mark.parametrize(("corner", "radius"), [((16, 16), 2), ((0, 0), 2), ((0, 9), 3)])
def test_every_neighbour_that_is_seen_replaces_equally_often(corner: tuple[int, int], radius: int) -> None:
    """A known package never drew from the pixel's own row or column."""
    sides = (33, 33)
    found = []
    for seed in range(60):
        mask = draw_mask(200, 1, sides, masked_fraction=1 / 33**2, neighborhood_radius=radius, rng=_generator(seed))
        at = mask.hidden[:, 0, 0] == corner[0] * 33 + corner[1]
        found.append(mask.sources[:, 0, 0][at])
    rows, columns = torch.unravel_index(torch.cat(found), sides)
    counted: dict[tuple[int, int], int] = {
        (row, column): 0
        for row in range(max(0, corner[0] - radius), corner[0] + radius + 1)
        for column in range(max(0, corner[1] - radius), corner[1] + radius + 1)
        if (row, column) != corner
    }
    for place in zip(rows.tolist(), columns.tolist(), strict=True):
        counted[place] += 1  # a KeyError would be a source out of reach
    assert sum(counted.values()) > 5
    assert stats.chisquare(list(counted.values())).pvalue > 1e-3


def test_the_median_is_that_of_scipy_without_the_hidden() -> None:
    image = torch.rand((1, 1, 24, 31), generator=_generator())
    mask = draw_mask(1, 1, (24, 31), masked_fraction=0.05, neighborhood_radius=2, rng=_generator(1))
    seen = image.clone()
    seen.view(-1)[mask.hidden[0, 0]] = math.nan
    expected = ndimage.generic_filter(
        seen[0, 0].numpy(),
        lambda values: np.sort(values[~np.isnan(values)])[(np.sum(~np.isnan(values)) - 1) // 2],
        size=5,
        mode="constant",
        cval=math.nan,
    )
    found = mask.median(image)[0, 0].view(-1)[mask.hidden[0, 0]]
    assert torch.equal(found, torch.from_numpy(expected).view(-1)[mask.hidden[0, 0]])


@pytest.mark.parametrize("extent", [(0, 4), (2, 0), (1, 1)])
def test_the_extent_hides_what_errs_together(extent: tuple[int, int]) -> None:
    sides = (40, 40)
    mask = draw_mask(3, 1, sides, masked_fraction=0.01, neighborhood_radius=5, mask_extent=extent, rng=_generator())
    for centers, hidden in zip(mask.centers[:, 0], mask.hidden[:, 0], strict=True):
        expected = set()
        for center in centers.tolist():
            row, column = divmod(center, 40)
            expected |= {
                40 * y + x
                for y in range(max(0, row - extent[0]), min(40, row + extent[0] + 1))
                for x in range(max(0, column - extent[1]), min(40, column + extent[1] + 1))
            }
        assert set(hidden.tolist()) == expected


def test_hidden_values_reach_nothing_that_is_seen() -> None:
    """The leak test: no value at a centre has any influence on what the network sees."""
    images = torch.rand((2, 1, 20, 20), generator=_generator(), requires_grad=True)
    mask = draw_mask(2, 1, (20, 20), masked_fraction=0.05, neighborhood_radius=3, mask_extent=(0, 2), rng=_generator())
    for seen in (mask.uniform(images), mask.median(images)):
        (gradient,) = torch.autograd.grad(seen.sum(), images)
        assert float(gradient.flatten(2).gather(2, mask.hidden).abs().max()) == 0
        assert float(gradient.abs().max()) > 0


def test_channels_hide_their_own_pixels_or_the_same() -> None:
    own = draw_mask(1, 2, (32, 32), masked_fraction=0.02, neighborhood_radius=2, rng=_generator())
    assert not torch.equal(own.centers[:, 0], own.centers[:, 1])
    same = draw_mask(1, 1, (32, 32), masked_fraction=0.02, neighborhood_radius=2, rng=_generator()).in_all_channels(2)
    assert torch.equal(same.centers[:, 0], same.centers[:, 1])


def test_a_share_of_the_batch_is_that_of_the_whole() -> None:
    whole = draw_mask(6, 1, (16, 16), masked_fraction=0.05, neighborhood_radius=2, rng=_generator())
    assert torch.equal(whole.every(3, start=1).sources, whole.sources[1::3])


def test_the_same_seed_hides_the_same() -> None:
    one, two = (
        draw_mask(2, 1, (16, 16), masked_fraction=0.05, neighborhood_radius=2, rng=_generator(7)) for _ in range(2)
    )
    assert torch.equal(one.hidden, two.hidden)
    assert torch.equal(one.sources, two.sources)


def test_a_mask_that_hides_all_is_refused() -> None:
    with pytest.raises(ValueError, match="hides all within neighborhood_radius 1"):
        draw_mask(1, 1, (8, 8), masked_fraction=0.2, neighborhood_radius=1, mask_extent=(1, 7), rng=_generator())


def test_medians_taken_in_parts_are_those_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand((2, 1, 8, 32, 32), generator=torch.Generator().manual_seed(0))
    mask = draw_mask(
        2,
        1,
        (8, 32, 32),
        masked_fraction=0.02,
        neighborhood_radius=2,
        mask_extent=(0, 1, 1),
        rng=torch.Generator().manual_seed(0),
    )
    whole = mask.median(images)
    monkeypatch.setattr("course_lib.noise2void.masking.MOST_NEIGHBORS", 1000)
    assert torch.equal(mask.median(images), whole)
