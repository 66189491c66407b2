"""What the chapter on segmentation says in words about numbers that no cell of it prints."""

from functools import cache

import numpy as np
import pytest

from course_lib import datasets, metrics, networks, segmentation

pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def truth() -> np.ndarray:
    return datasets.load("dsb2018_nuclei_2d_labels").data.astype(np.int32)


@cache
def told(diameter_px: float) -> metrics.Matching:
    image = datasets.load("dsb2018_nuclei_2d").tensor()
    labels = segmentation.watershed(image, diameter_um=diameter_px, voxel_size_um=(1, 1))
    return metrics.match_labels(labels, truth(), iou_threshold=0.5)


def count(match: metrics.Matching) -> int:
    return match.true_positives + match.false_positives


def test_a_third_of_the_diameter_gives_more_than_twice_as_many_objects() -> None:
    assert count(told(8)) > 2 * 125


def test_near_18_pixels_the_count_is_right_and_many_objects_are_not() -> None:
    match = told(18)
    assert count(match) == 125
    assert match.false_positives == pytest.approx(12.5, abs=2)


def test_20_pixels_would_have_the_best_score() -> None:
    scores = {size: told(size).average_precision for size in (8, 12, 16, 20, 24, 30, 36, 48)}
    assert max(scores, key=scores.__getitem__) == 20


def test_what_one_pixel_costs_a_disc_and_a_ball_of_24() -> None:
    for axes, iou in {2: 0.85, 3: 0.79}.items():
        assert iou == pytest.approx((24 / 26) ** axes, abs=0.005)


def test_an_f1_of_92_is_an_average_precision_of_85() -> None:
    match = metrics.Matching(0.5, 92, 8, 8, matched_iou=np.ones(92), pairs=np.ones((92, 2), dtype=int))
    assert match.f1 == pytest.approx(0.92)
    assert match.average_precision == pytest.approx(0.85, abs=0.005)


def test_in_the_packed_stack_the_watershed_finds_more_and_the_network_draws_better() -> None:
    stack = datasets.load("stardist_nuclei_3d").tensor()
    solid = datasets.load("stardist_nuclei_3d_labels").data.astype(np.int32)
    learned = segmentation.segment(networks.pretrained("nuclei_3d_simulated"), stack, device="cpu")
    classical = segmentation.watershed(stack, diameter_um=14.3, voxel_size_um=(2, 1, 1))
    loose, strict = (
        [metrics.match_labels(one, solid, iou_threshold=least).average_precision for one in (learned, classical)]
        for least in (0.5, 0.7)
    )
    assert loose[0] < loose[1]
    assert strict[0] > strict[1] + 0.1
    assert learned.max() > 51 + 5


def test_a_lower_threshold_than_the_0_4_of_nuclei_2d_draws_larger_outlines_and_a_higher_one_smaller() -> None:
    model, image = networks.pretrained("nuclei_2d"), datasets.load("dsb2018_nuclei_2d").tensor()
    assert model.settings["thresholds"]["least_foreground"] == 0.4
    covered = [
        (segmentation.segment(model, image, thresholds={"least_foreground": least}, device="cpu") > 0).mean()
        for least in (0.3, 0.4, 0.5)
    ]
    assert covered[0] > covered[1] > covered[2]
