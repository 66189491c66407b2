import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from scipy.sparse import linalg

from course_lib import metrics, samples
from course_lib.networks.augmentation import VIEWS, view
from course_lib.segmentation import Flows, arrivals, flow, temperature

LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9), elements=st.sampled_from([0, 2, 9])
)


def disc(side: int, radius: float) -> np.ndarray:
    middle = side // 2
    y, x = np.ogrid[:side, :side]
    return (np.hypot(y - middle, x - middle) < radius).astype(np.int32)


def touching_nuclei(shape: tuple[int, ...], voxel_size_um: tuple[float, ...], *, count: int) -> np.ndarray:
    sample = samples.nuclei(shape, voxel_size_um=voxel_size_um, count=count, touching=0.9, height_ratio=0.8, rng=2)
    return np.asarray(sample.labels)


def certain(targets: torch.Tensor) -> torch.Tensor:
    """Return what a network that is sure would give."""
    return torch.cat([40 * targets[:1] - 20, targets[1:]])


def solved(labels: np.ndarray) -> np.ndarray:
    """Solve the equation of heat directly: pixel by pixel, one matrix for all objects."""
    inside = [tuple(place) for place in np.argwhere(labels)]
    row = {place: number for number, place in enumerate(inside)}
    matrix = sparse.lil_matrix((len(inside), len(inside)))
    for place, number in row.items():
        for axis in range(labels.ndim):
            for step in (-1, 1):
                to = (*place[:axis], place[axis] + step, *place[axis + 1 :])
                if not 0 <= to[axis] < labels.shape[axis]:
                    continue  # the mirror image is as warm: nothing is lost
                matrix[number, number] += 1
                if labels[to] == labels[place]:
                    matrix[number, row[to]] -= 1
    warmth = np.zeros(labels.shape)
    warmth[labels > 0] = linalg.spsolve(matrix.tocsc(), np.ones(len(inside)))
    return warmth


@settings(max_examples=40)
@given(labels=LABELS)
def test_the_temperature_is_that_of_a_direct_solution(labels: np.ndarray) -> None:
    found = temperature(labels)
    assert found.dtype == torch.float32
    assert not found.numpy()[labels == 0].any()
    if len(np.unique(labels)) > 1:  # background or two objects: heat is lost somewhere
        expected = solved(labels)
        assert np.abs(found.numpy() - expected).max() <= 5e-3 * expected.max()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_temperature_across_a_strip_is_a_parabola(dimensions: int) -> None:
    width = 21
    labels = np.zeros((4,) * (dimensions - 1) + (width + 2,), np.int32)
    labels[..., 1:-1] = 5
    x = np.arange(width + 2)
    assert np.allclose(temperature(labels).numpy(), x * (width + 1 - x) / 2, rtol=3e-3)


@settings(max_examples=60)
@given(labels=LABELS)
def test_flows_are_one_long_or_none(labels: np.ndarray) -> None:
    lengths = flow(labels).norm(dim=0).numpy()
    assert not lengths[labels == 0].any()
    assert (np.isclose(lengths, 1, atol=1e-5) | (lengths == 0)).all()


@pytest.mark.parametrize("shape", [(96, 96), (16, 48, 48)])
def test_flows_point_inward_wherever_the_border_is(shape: tuple[int, ...]) -> None:
    labels = touching_nuclei(shape, (0.8, 0.4, 0.4)[-len(shape) :], count=5)
    flows = flow(labels).numpy()
    outward = [
        flows[axis] * step * (np.roll(labels, -step, axis) != labels) for axis in range(labels.ndim) for step in (-1, 1)
    ]
    inner = (slice(1, -1),) * labels.ndim
    assert (np.sum(outward, axis=0)[inner] <= 1e-4).all()


@pytest.mark.parametrize("side", [31, 41])
def test_flows_of_a_disc_point_to_its_middle(side: int) -> None:
    labels = disc(side, side / 2 - 2)
    y, x = np.mgrid[:side, :side] - side // 2
    far = np.hypot(y, x)
    toward_middle = -(flow(labels)[0].numpy() * y + flow(labels)[1].numpy() * x)
    ring = (labels > 0) & (far > 2) & (far < side / 2 - 4)
    assert (toward_middle[ring] > 0.98 * far[ring]).all()


@pytest.mark.parametrize("number", range(VIEWS))
@pytest.mark.parametrize("shape", [(40, 40), (6, 28, 28)])
def test_turned_targets_are_those_of_turned_labels(shape: tuple[int, ...], number: int) -> None:
    labels = touching_nuclei(shape, (1.5, 0.8, 0.8)[-len(shape) :], count=5)
    turned = view(torch.from_numpy(labels), number).contiguous().numpy()
    flows = Flows()
    expected = flows.targets(turned)
    assert torch.allclose(flows.turned(view(flows.targets(labels), number), number), expected, atol=2e-3)
    assert float(expected[1:].abs().sum()) > 0


@pytest.mark.parametrize(
    ("shape", "voxel_size_um", "count"), [((160, 160), (0.4, 0.4), 20), ((20, 72, 72), (1.0, 0.4, 0.4), 14)]
)
def test_touching_nuclei_are_read_back(shape: tuple[int, ...], voxel_size_um: tuple[float, ...], count: int) -> None:
    labels = touching_nuclei(shape, voxel_size_um, count=count)
    flows = Flows()
    found = flows.objects(certain(flows.targets(labels)))
    assert found.dtype == np.int32
    assert metrics.match_labels(found, labels, iou_threshold=0.9).average_precision == 1


def test_a_bent_object_is_one() -> None:
    y, x = np.mgrid[:50, :50] - 25
    labels = ((np.hypot(y, x) < 22) & (np.hypot(y, x) > 14) & (x < 8)).astype(np.int32)
    flows = Flows()
    assert np.array_equal(flows.objects(certain(flows.targets(labels)), joined_within_px=2), labels)


@pytest.mark.parametrize("shape", [(1, 7), (12, 9), (3, 8, 8)])
def test_nothing_and_one_object_that_fills_the_image(shape: tuple[int, ...]) -> None:
    flows = Flows()
    for labels in (np.zeros(shape, np.int32), np.ones(shape, np.int32)):
        targets = flows.targets(labels)
        assert targets.shape == (flows.maps(len(shape)), *shape)
        assert targets.isfinite().all()
        assert np.array_equal(flows.objects(certain(targets)), labels)


def test_two_objects_that_share_the_whole_image() -> None:
    labels = np.ones((20, 30), np.int32)
    labels[:, 15:] = 2
    flows = Flows()
    assert torch.equal(flow(labels)[1, :, 14:16], torch.tensor([[-1.0, 1.0]]).expand(20, 2))
    assert np.array_equal(flows.objects(certain(flows.targets(labels))), labels)


def test_numbers_of_labels_do_not_count() -> None:
    labels = touching_nuclei((64, 64), (0.6, 0.6), count=8)
    renumbered = np.where(labels > 0, 2**31 - 1 - 1000 * labels, 0).astype(np.int32)
    assert torch.equal(Flows().targets(renumbered), Flows().targets(labels))


@settings(max_examples=40)
@given(
    flows=hnp.arrays(np.float32, (2, 9, 12), elements=st.floats(-3, 3, width=32)),
    foreground=hnp.arrays(np.bool_, (9, 12)),
)
def test_walks_end_in_the_foreground(flows: np.ndarray, foreground: np.ndarray) -> None:
    arrived = arrivals(flows, foreground)
    assert arrived.shape == (2, np.count_nonzero(foreground))
    assert foreground[tuple(arrived)].all()
    still = arrivals(np.zeros_like(flows), foreground)
    assert np.array_equal(still, np.stack(np.nonzero(foreground)))


def test_a_long_way_is_walked_to_its_end() -> None:
    flows = np.zeros((2, 1, 241), np.float32)
    flows[1, 0, :240] = 1
    assert (arrivals(flows, np.ones((1, 241), bool))[1] == 240).all()


def test_without_joining_each_place_of_arrival_is_an_object() -> None:
    given = torch.zeros(3, 1, 9)
    given[0] = 20
    given[2, 0] = torch.tensor([1, 1, 0, -1, 0, -1, -1, -1, -1.0])
    assert Flows().objects(given, joined_within_px=0)[0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 2]
    assert Flows().objects(given, joined_within_px=1).max() == 1
