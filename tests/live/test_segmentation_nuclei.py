"""The live figure of nuclei against SciPy, the library and the shipped network, and what its caption promises."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from course_lib import live, metrics, segmentation
from course_lib.live.figures.segmentation_nuclei import (
    FARTHEST_PX,
    FIGURE,
    MOST_TRUE,
    NETWORK,
    SIDE,
    SMALLEST_PX,
    average_precisions,
    distance,
    height_of_flow,
    normalized,
    objects,
    scene,
    shades,
    summits,
    truth,
    turns,
)
from course_lib.live.graph import export_graph
from course_lib.networks import pretrained
from course_lib.segmentation.training import normalized as normalized_by_the_library

pytestmark = pytest.mark.usefixtures("one_thread")

BY_HAND = "brightness, distance"


def discs(seed: int, count: int = 25) -> torch.Tensor:
    """Return a mask of discs at random places, many of which touch."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    for row, column, radius in zip(*draw.uniform(4, SIDE - 4, (2, count)), draw.uniform(5, 10, count), strict=True):
        mask |= np.hypot(y - row, x - column) < radius
    return torch.from_numpy(mask)


def labels_of(mask: torch.Tensor, apart: float) -> np.ndarray:
    return objects(distance(mask), mask, torch.tensor(apart)).numpy().astype(np.int32)


@pytest.mark.parametrize("seed", range(3))
def test_the_distance_is_that_of_scipy(seed: int) -> None:
    mask = discs(seed)
    expected = ndimage.distance_transform_edt(mask.numpy())
    np.testing.assert_allclose(distance(mask).numpy(), expected, rtol=1e-6)


def test_the_network_sees_what_it_sees_in_the_library() -> None:
    torch.testing.assert_close(normalized(scene()), normalized_by_the_library(scene()), rtol=1e-5, atol=1e-6)


def slopes(height: torch.Tensor) -> torch.Tensor:
    around = torch.nn.functional.pad(height[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    return torch.stack([around[2:, 1:-1] - around[:-2, 1:-1], around[1:-1, 2:] - around[1:-1, :-2]]) / 2


def test_heights_have_the_slopes_they_follow_from() -> None:
    """But for the longest waves: of those as long as the image a third is left out."""
    y, x = torch.meshgrid(*[torch.arange(SIDE, dtype=torch.float64)] * 2, indexing="ij")
    height = 5 * torch.exp(-((y - 50) ** 2 + (x - 70) ** 2) / 300) + 3 * torch.exp(
        -((y - 90) ** 2 + (x - 20) ** 2) / 200
    )
    flow = slopes(height)
    missed = slopes(height_of_flow(flow, turns())) - flow
    assert float(missed.abs().max()) < 0.1 * float(flow.abs().max())


@pytest.mark.parametrize("seed", range(3))
def test_the_flow_of_true_labels_gives_them_back(seed: int) -> None:
    labels = segmentation.split_touching(
        ndimage.label(discs(seed).numpy())[0].astype(np.int32), diameter_um=16, voxel_size_um=(1, 1)
    )
    labels = segmentation.of_size(labels, voxel_size_um=(1, 1), area_um2=(40, np.inf))
    flow = segmentation.flow(labels)
    found = objects(height_of_flow(flow, turns()), torch.from_numpy(labels > 0), torch.tensor(5.0))
    matching = metrics.match_labels(found.numpy().astype(np.int32), labels, iou_threshold=0.7)
    assert matching.average_precision > 0.85


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("apart", [1.0, 6.0, 20.0])
def test_objects_cover_the_mask_and_are_of_one_piece(seed: int, apart: float) -> None:
    mask = discs(seed)
    labels = labels_of(mask, apart)
    numbers, sizes = np.unique(labels[labels > 0], return_counts=True)
    assert numbers.tolist() == list(range(1, len(numbers) + 1))
    assert sizes.min() >= SMALLEST_PX
    assert not labels[~mask.numpy()].any()
    pieces, _ = ndimage.label(mask.numpy(), np.ones((3, 3)))
    for number in numbers:
        assert len(np.unique(pieces[labels == number])) == 1
    assert set(np.unique(pieces[labels > 0])) == set(range(1, pieces.max() + 1))  # every disc is large enough


@pytest.mark.parametrize(("apart", "count"), [(9.0, 2), (10.0, 1), (11.0, 1)])
def test_of_two_summits_nearer_than_asked_the_higher_is_the_seed(apart: float, count: int) -> None:
    height, mask = torch.zeros(SIDE, SIDE), torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[60:65, 40:80] = True
    height[62, 50], height[62, 60] = 4, 5
    height = torch.maximum(height, 0.01 * (20 - (torch.arange(SIDE) - 60.0).abs()).expand(SIDE, -1))
    _, seeds = summits(height, mask, torch.tensor(apart))
    assert int(seeds.sum()) == count
    assert seeds[62 * SIDE + 60]


@pytest.mark.parametrize("seed", range(3))
def test_each_piece_has_a_seed_and_fewer_the_farther_they_are(seed: int) -> None:
    mask = discs(seed)
    before = SIDE * SIDE
    for apart in (1.0, 5.0, 10.0, float(FARTHEST_PX)):
        _, seeds = summits(distance(mask), mask, torch.tensor(apart))
        places = torch.stack([seeds.nonzero()[:, 0] // SIDE, seeds.nonzero()[:, 0] % SIDE], dim=1)
        pieces, count = ndimage.label(mask.numpy(), np.ones((3, 3)))
        assert count <= len(places) <= before
        assert set(pieces[tuple(places.T.numpy())]) == set(range(1, count + 1))
        before = len(places)


@pytest.mark.parametrize("seed", range(3))
def test_objects_are_those_of_the_librarys_watershed(seed: int) -> None:
    mask = discs(seed)
    expected = segmentation.split_touching(
        segmentation.connected(mask), diameter_um=16, voxel_size_um=(1, 1), spacing=0.5
    )
    expected = segmentation.of_size(expected, voxel_size_um=(1, 1), area_um2=(SMALLEST_PX, np.inf))
    assert metrics.match_labels(labels_of(mask, 8.0), expected).average_precision > 0.75


@pytest.mark.parametrize("seed", range(5))
def test_the_scores_are_those_of_the_library(seed: int) -> None:
    true = labels_of(discs(seed, count=20), 5.0)
    mine = labels_of(torch.from_numpy(ndimage.shift(true > 0, (1, 2), order=0)), 9.0)
    assert true.max() <= MOST_TRUE
    levels = (0.5, 0.6, 0.7)
    found = average_precisions(torch.from_numpy(mine).float(), torch.from_numpy(true).float(), levels)
    for level, score in zip(levels, found, strict=True):
        expected = metrics.match_labels(mine, true, iou_threshold=level + 1e-9).average_precision
        assert float(score) == pytest.approx(expected)


def test_nothing_found_scores_0() -> None:
    (score,) = average_precisions(torch.zeros(SIDE, SIDE), truth(), (0.5,))
    assert float(score) == 0


def test_neighbours_differ_in_shade_and_a_line_divides_them() -> None:
    labels = torch.zeros(SIDE, SIDE)
    labels[10:20, 10:20], labels[10:20, 20:30] = 1, 2
    shade = shades(labels)
    assert abs(float(shade[15, 14] - shade[15, 26])) > 0.1
    assert shade[15, 19:21].tolist() == pytest.approx([0.15, 0.15])
    assert float(shade[15, 10]) == float(shade[15, 14])  # no line towards the background
    assert float(shade[0, 0]) == 0


def test_the_truth_has_no_gaps_and_no_slivers() -> None:
    numbers, sizes = truth().long().unique(return_counts=True)
    assert numbers.tolist() == list(range(len(numbers)))
    assert 8 < len(numbers) - 1 <= MOST_TRUE
    assert int(sizes.min()) >= SMALLEST_PX


def test_the_evidence_is_that_of_the_shipped_network() -> None:
    shown = live.evaluate(FIGURE)
    maps = segmentation.object_maps(pretrained(NETWORK), shown["image"], device="cpu")
    torch.testing.assert_close(shown["evidence"], 100 * maps[0].sigmoid(), rtol=0, atol=0.02)


def seen(seed: int = 0, **values: float | str) -> dict[str, float]:
    shown = live.evaluate(FIGURE, values, seed=seed)
    return {name: float(shown[name]) for name in ("count", "true_count", "ap_half", "ap_strict")}


def test_the_network_is_right_until_seeds_are_too_far_or_too_near_and_minds_few_thresholds() -> None:
    good = seen()
    assert abs(good["count"] - good["true_count"]) <= 1
    assert good["ap_strict"] > 0.85
    for threshold_percent in (50.0, 70.0, 90.0):
        other = seen(threshold_percent=threshold_percent)
        assert abs(other["count"] - other["true_count"]) <= 1
        assert other["ap_half"] > 0.9
        assert other["ap_strict"] > 0.8
    assert seen(threshold_percent=10.0)["ap_strict"] < 0.5
    assert seen(seed_distance_px=float(FARTHEST_PX))["count"] < 0.8 * good["count"]
    assert seen(seed_distance_px=1.0)["count"] > good["count"]


def test_brightness_is_right_at_30_percent_and_its_outlines_suffer_first() -> None:
    good = seen(evidence=BY_HAND, threshold_percent=30.0)
    assert good["ap_half"] > 0.8
    assert seen(evidence=BY_HAND, threshold_percent=30.0, seed_distance_px=float(FARTHEST_PX))["count"] < good["count"]
    high = seen(evidence=BY_HAND, threshold_percent=38.0)
    assert abs(high["count"] - good["count"]) <= 1
    assert high["ap_half"] > 0.8
    assert high["ap_strict"] < 0.7 * good["ap_strict"]
    assert seen(evidence=BY_HAND, threshold_percent=70.0)["ap_half"] < 0.3


def test_of_few_photons_both_lose_and_about_as_much() -> None:
    def mean(**values: float | str) -> float:
        return float(np.mean([seen(seed, **values)["ap_half"] for seed in range(6)]))

    by_hand = {"evidence": BY_HAND, "threshold_percent": 30.0}
    network, brightness = mean(photons=3.0), mean(photons=3.0, **by_hand)
    assert network < 0.8 * mean()
    assert brightness < 0.9 * mean(**by_hand)
    assert abs(network - brightness) < 0.15


def test_the_graph_is_small() -> None:
    assert len(export_graph(FIGURE)) < 3e6  # of which the network is 1.4
