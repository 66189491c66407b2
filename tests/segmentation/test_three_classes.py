import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from torch.nn import functional

from course_lib import metrics, samples
from course_lib.networks.augmentation import VIEWS, view
from course_lib.segmentation import ThreeClasses
from course_lib.segmentation.three_classes import BACKGROUND, BORDER, INSIDE

LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9), elements=st.sampled_from([0, 2, 9])
)


def touching_nuclei(shape: tuple[int, ...], voxel_size_um: tuple[float, ...], *, count: int) -> np.ndarray:
    sample = samples.nuclei(shape, voxel_size_um=voxel_size_um, count=count, touching=0.9, height_ratio=0.8, rng=2)
    return np.asarray(sample.labels)


def certain(targets: torch.Tensor) -> torch.Tensor:
    """Return what a network that is sure would give."""
    return 20 * functional.one_hot(targets[0].long(), 3).movedim(-1, 0).float()


@settings(max_examples=60)
@given(labels=LABELS)
def test_the_border_is_what_touches_anything_else(labels: np.ndarray) -> None:
    classes = ThreeClasses().targets(labels)
    assert classes.shape == (1, *labels.shape)
    assert set(classes.unique().tolist()) <= {BACKGROUND, INSIDE, BORDER}
    cross = ndimage.generate_binary_structure(labels.ndim, 1)
    others = [
        ndimage.binary_dilation(labels != number, cross) & (labels == number)
        for number in np.unique(labels[labels > 0])
    ]
    border = np.any(others, axis=0) if others else np.zeros(labels.shape, bool)
    assert np.array_equal(classes[0].numpy() == BORDER, border)
    assert np.array_equal(classes[0].numpy() == BACKGROUND, labels == 0)


@pytest.mark.parametrize("number", range(VIEWS))
def test_turned_targets_are_those_of_turned_labels(number: int) -> None:
    labels = touching_nuclei((40, 40), (0.8, 0.8), count=5)
    turned = view(torch.from_numpy(labels), number).contiguous().numpy()
    classes = ThreeClasses()
    found = classes.turned(view(classes.targets(labels), number), number)
    assert torch.equal(found, classes.targets(turned))


@pytest.mark.parametrize(
    ("shape", "voxel_size_um", "count"), [((160, 160), (0.4, 0.4), 20), ((24, 72, 72), (0.8, 0.4, 0.4), 10)]
)
def test_touching_nuclei_are_read_back(shape: tuple[int, ...], voxel_size_um: tuple[float, ...], count: int) -> None:
    labels = touching_nuclei(shape, voxel_size_um, count=count)
    classes = ThreeClasses()
    given = certain(classes.targets(labels))
    assert given.shape[0] == classes.maps(len(shape))
    found = classes.objects(given)
    assert found.dtype == np.int32
    assert np.array_equal(found > 0, labels > 0)
    assert metrics.match_labels(found, labels, iou_threshold=0.9).average_precision == 1


@pytest.mark.parametrize("shape", [(1, 7), (12, 9), (3, 8, 8)])
def test_nothing_and_one_object_that_fills_the_image(shape: tuple[int, ...]) -> None:
    classes = ThreeClasses()
    for labels in (np.zeros(shape, np.int32), np.ones(shape, np.int32)):
        assert np.array_equal(classes.objects(certain(classes.targets(labels))), labels)


def test_a_gap_in_the_border_joins_two_objects() -> None:
    labels = np.zeros((14, 22), np.int32)
    labels[2:12, 2:11], labels[2:12, 11:20] = 1, 2
    classes = ThreeClasses()
    targets = classes.targets(labels)
    assert classes.objects(certain(targets)).max() == 2
    targets[0, 6, 10:12] = INSIDE
    assert classes.objects(certain(targets)).max() == 1


def test_thresholds_choose_what_is_foreground_and_seed() -> None:
    probability = torch.tensor([0.1, 0.5, 0.4]).reshape(3, 1, 1).repeat(1, 6, 6)
    classes = ThreeClasses()
    assert (classes.objects(probability.log(), least_inside=0.45) == 1).all()
    assert not classes.objects(probability.log(), least_inside=0.55).any()
    assert not classes.objects(probability.log(), least_inside=0.45, least_foreground=0.95).any()


def test_numbers_of_labels_do_not_count() -> None:
    labels = touching_nuclei((40, 40), (0.8, 0.8), count=5)
    renumbered = np.where(labels > 0, 2**31 - 1 - 1000 * labels, 0).astype(np.int32)
    assert torch.equal(ThreeClasses().targets(renumbered), ThreeClasses().targets(labels))


def test_of_the_loss_borders_count_twice() -> None:
    given = torch.zeros(2, 3, 4, 4)
    given[:, INSIDE] = 1.0
    targets = torch.full((2, 1, 4, 4), float(BACKGROUND))
    targets[1] = BORDER
    inside_or_not = float(torch.log(2 + torch.tensor(1.0).exp()))
    assert ThreeClasses().loss(given, targets).tolist() == pytest.approx([inside_or_not, 2 * inside_or_not])
