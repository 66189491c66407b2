"""Other right ways to solve the exercises of the chapter on learning pass, and their draws are what the text says."""

import math

import pytest
import torch

from course_lib import metrics
from course_lib.exercises.learning import leak, nrmse, validation_loss

SEEDS = range(5)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "answer",
    [
        lambda s, o: metrics.nrmse(s.double(), o.double()),
        lambda s, o: math.sqrt(((s.float() - o.float()) ** 2).sum() / (o.float() ** 2).sum()),
        lambda s, o: (s.double() - o).square().mean().sqrt() / o.double().square().mean().sqrt(),
    ],
)
def test_every_right_form_of_the_error_passes(answer, seed):
    assert nrmse.check(answer, rng=seed).status == "passed"


def by_adding_up(network, batches):
    network.eval()
    total, count = 0.0, 0
    for image, target in batches:
        total += float(((network(image) - target) ** 2).mean()) * len(image)
        count += len(image)
    return total / count


def by_putting_all_together(network, batches):
    network.eval()
    image, target = (torch.cat(one) for one in zip(*batches, strict=True))
    return torch.nn.functional.mse_loss(network(image), target)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("answer", [by_adding_up, by_putting_all_together])
def test_every_right_mean_over_the_validation_set_passes(answer, seed):
    assert validation_loss.check(answer, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_last_batch_alone_looks_far_better(seed):
    network, batches = validation_loss.draw(generator(seed)).arguments
    network.eval()
    assert len(batches[-1][0]) < len(batches[0][0])
    of_last = by_putting_all_together(network, batches[-1:])
    assert of_last < 0.8 * by_putting_all_together(network, batches)


def by_painting(training, validation, side):
    """Paint the training patches into the fields, and look where validation patches lie on paint."""
    painted = torch.zeros(4, 256, 256, dtype=torch.bool)
    for field, _, row, column in training.tolist():
        painted[field, row : row + side, column : column + side] = True
    return sum(
        bool(painted[field, row : row + side, column : column + side].any())
        for field, _, row, column in validation.tolist()
    )


def by_loops(training, validation, side):
    def overlap(one, other):
        return one[0] == other[0] and abs(one[2] - other[2]) < side and abs(one[3] - other[3]) < side

    return sum(any(overlap(v, t) for t in training.tolist()) for v in validation.tolist())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("answer", [by_painting, by_loops])
def test_every_right_way_to_find_the_leak_passes(answer, seed):
    assert leak.check(answer, rng=seed).status == "passed"


@pytest.mark.parametrize("seed", SEEDS)
def test_some_patches_leak_and_some_do_not(seed):
    case = leak.draw(generator(seed))
    _, validation, side = case.arguments
    assert 20 <= side <= 40
    assert 0.2 * len(validation) < case.expected < 0.8 * len(validation)
