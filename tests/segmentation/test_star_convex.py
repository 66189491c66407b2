import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from course_lib import metrics, samples
from course_lib.networks.augmentation import VIEWS, view
from course_lib.segmentation import StarConvex, depth_inside, ray_distances, suppressed
from course_lib.segmentation.star_convex import RAYS

LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12), elements=st.sampled_from([0, 2, 9])
)
ANGLES = 2 * np.pi * np.arange(RAYS) / RAYS


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (np.hypot(y - centre[0], x - centre[1]) < radius).astype(np.int32)


def touching_nuclei(*, side: int = 160, count: int = 20, pixel_um: float = 0.4) -> np.ndarray:
    sample = samples.nuclei((side, side), voxel_size_um=(pixel_um, pixel_um), count=count, touching=0.9, rng=2)
    return np.asarray(sample.labels)


def certain(targets: torch.Tensor) -> torch.Tensor:
    """Return what a network that is sure would give."""
    return torch.cat([targets[:1].clamp(1e-4, 1 - 1e-4).logit(), targets[1:]])


def walked(labels: np.ndarray) -> np.ndarray:
    """Walk from each pixel along each ray until the object ends, a step of one pixel at a time."""
    distances = np.zeros((RAYS, *labels.shape))
    for y, x in np.argwhere(labels):
        for ray, angle in enumerate(ANGLES):
            for length in range(1, 99):
                to_y, to_x = round(y + length * np.sin(angle)), round(x + length * np.cos(angle))
                inside = 0 <= to_y < labels.shape[0] and 0 <= to_x < labels.shape[1]
                if not inside or labels[to_y, to_x] != labels[y, x]:
                    distances[ray, y, x] = length - 0.5
                    break
    return distances


@settings(max_examples=40)
@given(labels=LABELS)
def test_distances_are_those_of_walking_from_each_pixel(labels: np.ndarray) -> None:
    found = ray_distances(labels)
    assert found.dtype == np.float32
    assert np.array_equal(found, walked(labels))


@pytest.mark.parametrize("radius", [8.0, 13.5, 20.0])
def test_distances_in_a_disc_are_its_radius(radius: float) -> None:
    labels = disc((51, 51), (25, 25), radius)
    assert np.abs(ray_distances(labels)[:, 25, 25] - radius).max() <= 1


def test_distances_in_a_square_grow_towards_its_corners() -> None:
    labels = np.zeros((41, 41), np.int32)
    labels[10:31, 10:31] = 1
    expected = 10.5 / np.maximum(np.abs(np.sin(ANGLES)), np.abs(np.cos(ANGLES)))
    assert np.abs(ray_distances(labels)[:, 20, 20] - expected).max() <= 1


@given(labels=LABELS)
def test_the_depth_is_one_at_the_deepest_and_grows_inward(labels: np.ndarray) -> None:
    depth = depth_inside(labels)
    assert depth.dtype == np.float32
    assert not depth[labels == 0].any()
    for number in np.unique(labels[labels > 0]):
        own = labels == number
        assert (depth[own] > 0).all()
        assert depth[own].max() == 1
        outside = np.argwhere(~own)
        if len(outside):
            inside = np.argwhere(own)
            distance = np.sqrt(((inside[:, None] - outside[None]) ** 2).sum(-1)).min(axis=1)
            assert np.allclose(depth[own], distance / distance.max())


@pytest.mark.parametrize("number", range(VIEWS))
def test_turned_targets_are_those_of_turned_labels(number: int) -> None:
    labels = touching_nuclei(side=48, count=6, pixel_um=0.6)
    turned = view(torch.from_numpy(labels), number).contiguous().numpy()
    stars = StarConvex()
    expected = stars.targets(turned)
    assert torch.allclose(stars.turned(view(stars.targets(labels), number), number), expected)
    assert len({tuple(ray.flatten().tolist()) for ray in expected}) == 1 + RAYS


def test_touching_nuclei_are_read_back() -> None:
    labels = touching_nuclei()
    stars = StarConvex()
    targets = stars.targets(labels)
    assert targets.shape == (stars.maps(2), *labels.shape)
    found = stars.objects(certain(targets))
    assert found.dtype == np.int32
    assert metrics.match_labels(found, labels, iou_threshold=0.9).average_precision == 1


@pytest.mark.parametrize("shape", [(1, 7), (12, 9), (30, 30)])
def test_nothing_and_one_object_that_fills_the_image(shape: tuple[int, int]) -> None:
    stars = StarConvex()
    for labels in (np.zeros(shape, np.int32), np.ones(shape, np.int32)):
        targets = stars.targets(labels)
        assert targets.isfinite().all()
        found = stars.objects(certain(targets))
        assert metrics.match_labels(found, labels, iou_threshold=0.9).average_precision == 1
    assert torch.equal(targets[0], targets[0].flip(0))
    assert torch.equal(targets[0], targets[0].flip(1))


def test_an_object_cut_by_the_image_is_deepest_at_the_cut() -> None:
    labels = disc((30, 30), (0, 15), 10)
    depth = depth_inside(labels)
    assert depth[0, 15] == 1
    assert (np.diff(depth[:10, 15]) < 0).all()


def test_numbers_of_labels_do_not_count() -> None:
    labels = touching_nuclei(side=48, count=6, pixel_um=0.6)
    renumbered = np.where(labels > 0, 2**31 - 1 - 1000 * labels, 0).astype(np.int32)
    assert torch.equal(StarConvex().targets(renumbered), StarConvex().targets(labels))


def proposals(*centres: tuple[int, int], radius: float = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Return maps in which some pixels propose a disc each, the first with the highest probability."""
    probability = torch.zeros(60, 60)
    for rank, centre in enumerate(centres):
        probability[centre] = 0.9 - 0.1 * rank
    return probability, torch.full((RAYS, 60, 60), radius)


@pytest.mark.parametrize(("apart", "count"), [(2, 1), (6, 1), (15, 2), (20, 2)])
def test_of_proposals_that_cover_each_other_one_is_kept(apart: int, count: int) -> None:
    labels = suppressed(*proposals((30, 20), (30, 20 + apart)), least_probability=0.5, most_covered=0.4)
    assert labels.max() == count
    assert labels[30, 20] == 1


def test_what_the_more_probable_one_covers_is_its_own() -> None:
    labels = suppressed(*proposals((30, 34), (30, 22)), least_probability=0.5, most_covered=0.5)
    assert (labels[30, 34], labels[30, 22], labels[30, 28]) == (1, 2, 1)
    assert np.array_equal(labels == 1, suppressed(*proposals((30, 34)), least_probability=0.5, most_covered=0.5) == 1)


def test_an_improbable_pixel_proposes_nothing() -> None:
    maps = proposals((20, 20), (40, 40))
    assert suppressed(*maps, least_probability=0.85, most_covered=0.4).max() == 1
    assert suppressed(*maps, least_probability=0.95, most_covered=0.4).max() == 0


def test_polygons_beyond_the_image_are_clipped() -> None:
    labels = suppressed(*proposals((0, 0), (59, 30), radius=300), least_probability=0.5, most_covered=0.4)
    assert (labels == 1).all()
    distances = torch.full((RAYS, 60, 60), -5.0)
    lonely = suppressed(proposals((30, 30))[0], distances, least_probability=0.5, most_covered=0.4)
    assert np.array_equal(np.argwhere(lonely), [[30, 30]])


def by_every_pixel(probability: torch.Tensor, distances_px: torch.Tensor) -> np.ndarray:
    """Suppress without a prefilter: every pixel above the threshold proposes, the most probable first."""
    from skimage.draw import polygon

    labels, number = np.zeros(tuple(probability.shape), np.int32), 0
    places = (probability > 0.5).nonzero()
    order = probability[probability > 0.5].argsort(descending=True, stable=True)
    for y, x in places[order].tolist():
        lengths = distances_px[:, y, x].clamp(min=0.5).numpy()
        rows, columns = polygon(y + lengths * np.sin(ANGLES), x + lengths * np.cos(ANGLES), labels.shape)
        free = labels[rows, columns] == 0
        if len(free) and free.mean() >= 0.6:
            number += 1
            labels[rows[free], columns[free]] = number
    return labels


def test_local_maxima_find_the_same_objects_as_every_pixel() -> None:
    labels = touching_nuclei(side=112, count=16, pixel_um=0.4)
    random = np.random.default_rng(0)
    targets = StarConvex().targets(labels)
    noise = ndimage.gaussian_filter(random.normal(size=labels.shape), 2)
    probability = (targets[0] + 0.05 * torch.from_numpy(noise / noise.std())).clamp(0, 1).float()
    rough = ndimage.gaussian_filter(random.normal(size=targets[1:].shape), (0, 1, 1))
    distances = 10 * targets[1:] * (1 + 0.1 * torch.from_numpy(rough / rough.std()).float())
    quick = suppressed(probability, distances, least_probability=0.5, most_covered=0.4)
    exhaustive = by_every_pixel(probability, distances)
    assert quick.max() >= 10
    assert metrics.match_labels(quick, exhaustive, iou_threshold=0.5).average_precision >= 0.99


def test_stacks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"star-convex polygons are for images, .* are stacks: choose flows"):
        StarConvex().maps(3)
