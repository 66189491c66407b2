"""Other right ways to solve the exercises on segmentation pass, and their draws are what the text says."""

import numpy as np
import pytest
import torch
from scipy import ndimage, optimize
from skimage.feature import peak_local_max
from skimage.segmentation import watershed
from torch.nn import functional

from course_lib import metrics, segmentation
from course_lib.exercises.segmentation import (
    LEAST_IOU,
    border_weight,
    choose_threshold,
    count_matches,
    split_touching,
)

SEEDS = range(5)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_loops(labels, truth):
    free, found = set(np.unique(truth)) - {0}, 0
    for label in set(np.unique(labels)) - {0}:
        for true in free:
            common = ((labels == label) & (truth == true)).sum()
            if common / ((labels == label) | (truth == true)).sum() >= 0.5:
                found += 1
                free = free - {true}
                break
    return found


def by_assignment(labels, truth):
    masks = [[image == number for number in np.unique(image) if number] for image in (labels, truth)]
    reaching = np.array([[2 * (mine & true).sum() >= (mine | true).sum() for true in masks[1]] for mine in masks[0]])
    return int(reaching[optimize.linear_sum_assignment(-reaching.astype(int))].sum())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "answer",
    [by_loops, by_assignment, lambda labels, truth: metrics.match_labels(labels, truth).true_positives],
    ids=["loops", "assignment", "course_lib"],
)
def test_other_matchers_pass(answer, seed):
    assert count_matches.check(answer, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", range(20))
def test_labels_and_truth_have_all_that_makes_matching_hard(seed):
    labels, truth = count_matches.draw(generator(seed)).arguments
    at_half = metrics.match_labels(labels, truth, iou_threshold=0.5)
    above = metrics.match_labels(labels, truth, iou_threshold=0.5001)
    assert at_half.true_positives - above.true_positives >= 3
    assert at_half.false_positives > 0
    assert at_half.false_negatives > 0
    for image in (labels, truth):
        assert image.dtype == np.int32
        assert len(np.unique(image)) - 1 < image.max()  # gaps
    assert [labels.max(), truth.max()] in at_half.pairs.tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_range_that_ends_before_the_last_true_object_gets_a_hint(seed):
    def without_the_last(labels, truth):
        return by_loops(labels, np.where(truth == truth.max(), 0, truth))

    assert "range(1, n) ends at n - 1" in count_matches.check(without_the_last, rng=seed).message


def by_scikit_image(mask, pixel_um, diameter_um):
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1)
    peaks = peak_local_max(distance, min_distance=int(diameter_um / 2 / pixel_um), labels=mask.astype(int))
    markers = np.zeros(mask.shape, dtype=int)
    markers[tuple(peaks.T)] = range(1, len(peaks) + 1)
    return watershed(-distance, markers, mask=mask)


def by_the_library(mask, pixel_um, diameter_um):
    return segmentation.watershed(
        mask.astype(float), diameter_um=diameter_um, voxel_size_um=(pixel_um, pixel_um), mask=mask
    )


def as_a_tensor_with_other_numbers(mask, pixel_um, diameter_um):
    return torch.from_numpy(7 * split_touching.solution(mask, pixel_um, diameter_um).astype(float))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("answer", [by_scikit_image, by_the_library, as_a_tensor_with_other_numbers])
def test_other_ways_to_split_pass(answer, seed):
    assert split_touching.check(answer, rng=seed).status == "passed"


@pytest.mark.parametrize(
    ("pixel", "hint"), [(1.0, "voxel_size_um=(pixel_um, pixel_um)"), (None, "spacing_um is in µm")]
)
def test_seeds_whose_spacing_has_another_unit_get_a_hint(pixel, hint):
    def split(mask, pixel_um, diameter_um):
        distance = segmentation.distance_um(mask, voxel_size_um=(pixel_um, pixel_um))
        markers = segmentation.seeds(
            distance,
            spacing_um=diameter_um / 2 if pixel else diameter_um / 2 / pixel_um,
            voxel_size_um=(pixel or pixel_um, pixel or pixel_um),
            mask=mask,
        )
        return segmentation.seeded_watershed(-distance, markers, mask=mask)

    assert hint in split_touching.check(split, rng=0).message


@pytest.mark.parametrize("seed", range(10))
def test_nuclei_touch_and_the_solution_finds_them_all(seed):
    case = split_touching.draw(generator(seed))
    *given, truth = case.arguments
    nuclei = case.expected[0]
    assert len(np.unique(truth)) - 1 == nuclei
    assert ndimage.label(given[0])[1] < nuclei
    found = metrics.match_labels(split_touching.solution(*given), truth, iou_threshold=LEAST_IOU)
    assert found.average_precision == 1


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda mask, pixel_um, diameter_um: 3, "something of type int, but labels are asked for: an array of whole"),
        (lambda mask, pixel_um, diameter_um: mask / 2, "something of type ndarray and shape (160, 160), but labels"),
        (lambda mask, pixel_um, diameter_um: mask * (1 + (np.arange(160) > 80)), "2 objects, and 0 of the"),
        (lambda mask, pixel_um, diameter_um: mask * np.arange(1, 161), "is over-segmentation"),
        (lambda mask, pixel_um, diameter_um: mask * (1 + np.arange(160) // 60), "under-segmentation"),
        (lambda mask, pixel_um, diameter_um: ~mask, "Some of their pixels are background"),
    ],
)
def test_other_wrong_labels_are_told_by_what_they_found(answer, told):
    feedback = split_touching.check(answer, rng=0)
    assert feedback.status == "wrong"
    assert told in feedback.message


def test_an_error_in_the_splitting_is_told_with_its_line():
    feedback = split_touching.check(lambda mask, pixel_um, diameter_um: mask.no_such_thing, rng=0)
    assert feedback.status == "error"
    assert "no_such_thing" in feedback.message
    assert "of the cell" in feedback.message


def test_no_labels_for_one_image_are_told():
    calls = iter(range(4))

    def forgetful(mask, pixel_um, diameter_um):
        return None if next(calls) == 0 else split_touching.solution(mask, pixel_um, diameter_um)

    assert "you returned nothing" in split_touching.check(forgetful, rng=0).message


def by_torch_with_weights(scores, classes, weight):
    weights = torch.tensor([1.0, 1.0, weight])
    errors = functional.cross_entropy(scores[None], classes[None], weight=weights, reduction="sum")
    return errors / classes.numel()


def by_hand(scores, classes, weight):
    probability = scores.exp() / scores.exp().sum(dim=0)
    right = sum(probability[number] * (classes == number) for number in range(3))
    return float(-(right.log() * (1 + (weight - 1) * (classes == 2))).mean())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("answer", [by_torch_with_weights, by_hand])
def test_other_ways_to_weigh_pass(answer, seed):
    assert border_weight.check(answer, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_loss_is_that_of_the_library_for_its_weight(seed):
    scores, classes, _ = border_weight.draw(generator(seed)).arguments
    expected = segmentation.ThreeClasses().loss(scores[None], classes[None, None].float())
    assert border_weight.solution(scores, classes, 2.0) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_the_border_is_a_line_between_background_and_inside(seed):
    _, classes, _ = border_weight.draw(generator(seed)).arguments
    assert set(classes.unique().tolist()) == {0, 1, 2}
    assert 0.02 < float((classes == 2).double().mean()) < 0.25
    inside = ndimage.binary_dilation((classes == 1).numpy())
    assert not (inside & (classes == 0).numpy()).any()


def by_numpy(thresholds, validation, test):
    place = np.argmax(validation.numpy().mean(axis=1))
    return [thresholds[place].item(), test[place].mean()]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_choice_by_numpy_passes(seed):
    assert choose_threshold.check(by_numpy, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", range(20))
def test_the_honest_figure_is_not_the_best_one(seed):
    case = choose_threshold.draw(generator(seed))
    thresholds, validation, test = case.arguments
    threshold, reported = case.expected
    assert threshold in thresholds.tolist()
    assert validation.shape[0] == test.shape[0] == len(thresholds)
    assert reported < float(test.mean(dim=1).max())
