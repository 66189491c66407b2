"""The live figure of trust against the library, and against what its caption promises."""

import pytest
import torch

from course_lib import live
from course_lib.live.figures.care_domain import BACKGROUND, MARGIN, SIDE, network
from course_lib.live.figures.trust_spot_the_fake import CUTS_APART_PX, FIGURE, PHOTONS, TRUTH, path, scenes, specimens
from course_lib.live.graph import export_graph

pytestmark = pytest.mark.usefixtures("one_thread")
SEEDS = range(8)


def shown(photons: float, reveal: str = TRUTH, seed: int = 0) -> live.Tensors:
    return live.evaluate(FIGURE, {"photons": photons, "reveal": reveal}, seed=seed)


def gaps(photons: float, seed: int) -> tuple[float, float, float, float]:
    """Return gaps and their return in per cent, of the whole filaments and then of the cut ones."""
    told = shown(photons, seed=seed)
    whole, cut = ("b", "a") if float(told["cut"]) == 1 else ("a", "b")
    return tuple(float(told[f"{what}_{which}"]) for which in (whole, cut) for what in ("gaps", "again"))


def test_the_restorations_are_those_of_the_shipped_network() -> None:
    told = shown(2.0)
    for which in "ab":
        expected = network(told[f"recorded_{which}"])
        torch.testing.assert_close(told[f"restored_{which}"], expected, rtol=0, atol=1e-4 * float(expected.max()))


def test_the_specimens_differ_by_their_gaps_alone() -> None:
    whole, cut = specimens()
    assert bool(((cut == whole) | (cut == 0)).all())
    assert 0.6 < float(cut.sum() / whole.sum()) < 0.9
    assert CUTS_APART_PX > MARGIN
    assert scenes().shape == (2, SIDE, SIDE)
    assert float(scenes().max()) == 1
    assert 0.02 < float(path().mean()) < 0.2


def test_both_specimens_are_recorded_with_the_photons_that_were_asked_for() -> None:
    told = shown(30.0, reveal=TRUTH)
    for which in "ab":
        truth, counts = told[f"below_{which}"], told[f"recorded_{which}"]
        assert bool((counts == counts.round()).all())
        assert float(counts.sum()) == pytest.approx(float(truth.sum()), abs=4 * float(truth.sum()) ** 0.5)
        assert float(truth.min()) >= 30 * BACKGROUND * 0.999


def test_the_coin_falls_on_both_sides_and_decides_which_is_cut() -> None:
    sides = set()
    for seed in SEEDS:
        told = shown(5.0, seed=seed)
        light = [float(told[f"below_{which}"].sum()) for which in "ab"]
        assert float(told["cut"]) == (1 if light[0] < light[1] else 2)
        sides.add(float(told["cut"]))
    assert sides == {1, 2}


def test_nothing_is_given_away_before_the_reader_asks() -> None:
    told = live.evaluate(FIGURE)
    assert not any(bool(told[f"below_{which}"].any()) for which in "ab")
    assert all(float(told[name]) == 0 for name in ("gaps_a", "gaps_b", "again_a", "again_b", "cut"))
    asked = shown(0.7, reveal=PHOTONS)
    assert float(asked["cut"]) == 0
    assert float(asked["gaps_a"]) > 0
    assert not torch.equal(asked["below_a"], asked["restored_a"])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_reader_sees_what_the_caption_promises(seed: int) -> None:
    invented, back, cut, cut_back = gaps(0.7, seed)
    assert invented > 8  # per cent of filaments that have no gap at all
    assert back < 50 < cut_back
    assert cut_back > back + 15
    assert 30 < cut < 50
    many = gaps(10.0, seed)
    assert many[0] < 0.5
    assert many[2] == pytest.approx(20, abs=2)
    enough = gaps(2.0, seed)
    assert enough[0] < 2
    assert enough[3] > 75


def test_the_graph_is_small() -> None:
    assert len(export_graph(FIGURE)) < 1e6
