"""Adam and its schedules against those of torch."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from course_lib.networks.adam import Adam
from course_lib.networks.schedules import halvings, one_cycle


def _weights() -> list[nn.Parameter]:
    draws = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=draws, dtype=torch.float64)) for shape in ((3, 2), (5,), ())]


def _set_gradients(weights: list[nn.Parameter], step: int) -> None:
    draws = torch.Generator().manual_seed(step)
    for weight in weights:
        weight.grad = weight.detach() + torch.randn(weight.shape, generator=draws, dtype=torch.float64)


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_weights_are_those_of_torch(decoupled: bool, weight_decay: float) -> None:
    own, theirs, steps = _weights(), _weights(), 40
    adam = Adam(own, learning_rate=0.02, weight_decay=weight_decay, decoupled=decoupled)
    make = torch.optim.AdamW if decoupled else torch.optim.Adam
    reference = make(theirs, lr=0.02, weight_decay=weight_decay)
    schedule = lr_scheduler.OneCycleLR(reference, max_lr=0.02, total_steps=steps)
    for step in range(steps):
        adam.learning_rate, adam.momentum = one_cycle(step, steps, peak=0.02)
        for weights, optimizer in ((own, adam), (theirs, reference)):
            _set_gradients(weights, step)
            optimizer.step()
        if step < steps - 1:
            schedule.step()
        for mine, other in zip(own, theirs, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


@given(steps=st.integers(2, 300), peak=st.floats(1e-6, 1.0))
def test_one_cycle_is_that_of_torch(steps: int, peak: float) -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=steps)
    for step in range(steps):
        (group,) = optimizer.param_groups
        assert one_cycle(step, steps, peak=peak) == pytest.approx((group["lr"], group["betas"][0]), rel=1e-9)
        optimizer.step()
        if step < steps - 1:
            schedule.step()


def test_a_cycle_of_one_step_is_defined() -> None:
    assert one_cycle(0, 1, peak=1.0)[0] > 0


@given(losses=st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0]), min_size=1, max_size=30), patience=st.integers(1, 5))
def test_halvings_are_those_of_torch(losses: list[float], patience: int) -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1.0)
    plateau = lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience - 1, threshold=0.0, threshold_mode="abs", eps=0.0
    )
    for loss in losses:
        plateau.step(loss)
    assert 0.5 ** halvings(losses, patience=patience) == optimizer.param_groups[0]["lr"]


def test_a_saved_state_goes_on_to_the_same_weights() -> None:
    whole, broken = _weights(), _weights()
    first, second = Adam(whole, learning_rate=0.1), Adam(broken, learning_rate=0.1)
    for step in range(10):
        if step == 5:
            state = second.state_dict()
            second = Adam(broken, learning_rate=0.1)
            second.load_state_dict(state)
        for weights, adam in ((whole, first), (broken, second)):
            _set_gradients(weights, step)
            adam.step()
    assert all(torch.equal(mine, other) for mine, other in zip(whole, broken, strict=True))


def test_a_weight_without_a_gradient_stands_still_and_one_that_is_frozen_is_left_out() -> None:
    used, unused, frozen = (nn.Parameter(torch.ones(2)) for _ in range(3))
    frozen.requires_grad_(False)
    adam = Adam([used, unused, frozen], learning_rate=0.1)
    used.grad = torch.ones(2)
    adam.step()
    assert torch.equal(unused, torch.ones(2))
    assert torch.equal(frozen, torch.ones(2))
    assert torch.allclose(used, torch.tensor(0.9))
    adam.forget_gradients()
    assert used.grad is None


def test_a_training_does_not_wait_for_the_compiler_of_torch() -> None:
    program = (
        "import sys, torch\n"
        "from course_lib import networks, noise2void\n"
        "image = torch.rand(64, 64)\n"
        "length = networks.TrainingConfig(epochs=1, steps_per_epoch=1, batch_size=1)\n"
        "config = noise2void.Config(patch_side=16, base_channels=2, depth=1)\n"
        "noise2void.train(image, config, length, rng=0, device='cpu', progress=False)\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
