"""Training on noise alone: its floor, its leaks, its errors, and that it restores."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from course_lib import samples
from course_lib.networks import TrainingConfig, UNet
from course_lib.networks.training import EpochRecord
from course_lib.noise2void import Config, draw_mask, train
from course_lib.noise2void._preparation import frames_of, prepare
from course_lib.noise2void.training import _BlindSpot
from course_lib.parameters import ParameterError

SMALL = {"patch_side": 32, "base_channels": 8, "depth": 1}


def _scene(side: int = 128) -> torch.Tensor:
    scene = samples.filaments((side, side), voxel_size_um=(0.1, 0.1), count=40, diameter_um=0.6, rng=3)
    return 20 * scene / scene.max() + 2


def _noisy(side: int = 128, seed: int = 0) -> torch.Tensor:
    return torch.poisson(_scene(side), generator=torch.Generator().manual_seed(seed))


def _task(images: torch.Tensor, config: Config) -> _BlindSpot:
    frames, numbers = frames_of(images, dimensions=config.dimensions, channels=config.channels)
    prepared = prepare(
        frames,
        numbers,
        config.network,
        method="noise2void",
        patch_shape=config.patch_shape,
        validation_share=config.validation_share,
        settings={},
        rng=torch.Generator().manual_seed(0),
        device=torch.device("cpu"),
    )
    return _BlindSpot(prepared, config)


@pytest.mark.parametrize("variant", ["noise2void", "noise2void2"])
def test_a_short_training_takes_away_half_of_the_error(variant: str) -> None:
    noisy, truth = _noisy(), _scene()
    steps = TrainingConfig(epochs=2, steps_per_epoch=60, batch_size=8, learning_rate=3e-3)
    model = train(noisy, Config(variant=variant, **SMALL), steps, rng=0, device="cpu", progress=False)
    restored = model.predict(noisy, device="cpu")
    error, before = ((image - truth).square().mean() for image in (restored, noisy))
    assert model.method == variant
    assert float(error) < float(before) / 2


def test_the_loss_of_the_truth_is_the_variance_of_the_noise() -> None:
    """Whatever guesses the signal perfectly pays the noise of the hidden pixels: the loss has a floor."""
    truth = torch.full((256, 256), 25.0)
    noisy = torch.poisson(truth, generator=torch.Generator().manual_seed(0))
    task = _task(noisy, Config(masked_fraction=0.05))
    (scale,) = (one.scale for one in task.prepared.model.input_normalization)

    class Knowing(nn.Module):
        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            return task.prepared.normalized(torch.full_like(seen, 25.0))

    draws = torch.Generator().manual_seed(1)
    losses = [
        task.loss(Knowing(), task.training_batch(16, rng=draws, rank=0, ranks=1)).mean() * scale**2 for _ in range(20)
    ]
    assert float(torch.stack(losses).mean()) == pytest.approx(25.0, rel=0.03)


def test_no_output_at_a_hidden_pixel_depends_on_its_own_value() -> None:
    image = torch.rand((1, 1, 32, 32), generator=torch.Generator().manual_seed(0), requires_grad=True)
    config = Config(**SMALL)
    network = UNet(config.network, rng=0)
    mask = draw_mask(1, 1, (32, 32), masked_fraction=0.02, neighborhood_radius=5, rng=torch.Generator())
    (center,) = mask.centers[0, 0, :1].tolist()
    (honest,) = torch.autograd.grad(network(mask.uniform(image)).flatten()[center], image)
    (leaking,) = torch.autograd.grad(network(image).flatten()[center], image)
    assert honest.flatten()[center] == 0
    assert leaking.flatten()[center] != 0


def test_noise_along_rows_is_learned_unless_its_neighbours_are_hidden() -> None:
    truth = _scene()
    white = torch.randn((128, 128), generator=torch.Generator().manual_seed(0))
    noisy = truth + 2.1 * (white + white.roll(1, dims=1) + white.roll(2, dims=1))
    steps = TrainingConfig(epochs=2, steps_per_epoch=60, batch_size=8, learning_rate=3e-3)
    left = {}
    for extent in (0, 3):
        config = Config(mask_extent_x=extent, **SMALL)
        restored = train(noisy, config, steps, rng=0, device="cpu", progress=False).predict(noisy, device="cpu")
        left[extent] = float((restored - truth).square().mean())
    assert left[3] < 0.7 * left[0]


@pytest.mark.parametrize("extent", [0, 1])
def test_a_mask_of_several_pixels_centres_the_network_on_the_mean(extent: int) -> None:
    noisy = torch.stack([_noisy(seed=0), 3 * _noisy(seed=1)])
    config = Config(channels=2, mask_extent_x=extent, **SMALL)
    steps = TrainingConfig(epochs=1, steps_per_epoch=1, batch_size=2)
    model = train(noisy, config, steps, rng=0, device="cpu", progress=False)
    means = [float(one.apply(channel).mean()) for one, channel in zip(model.input_normalization, noisy, strict=True)]
    assert model.network.config.centre == pytest.approx(sum(means) / 2 if extent else 0, abs=0.03)


def test_two_channels_and_a_film_and_a_stack_train() -> None:
    steps = TrainingConfig(epochs=1, steps_per_epoch=2, batch_size=2)
    film = torch.stack([torch.stack([_noisy(seed=2 * t), _noisy(seed=2 * t + 1)]) for t in range(3)])
    for masks in ("independent", "joint"):
        model = train(film, Config(channels=2, masks=masks, **SMALL), steps, rng=0, device="cpu", progress=False)
        assert model.predict(film, device="cpu").shape == film.shape
    stack = torch.poisson(torch.full((9, 64, 96), 6.0), generator=torch.Generator().manual_seed(0))
    config = Config(dimensions=3, patch_planes=4, **SMALL)
    model = train(stack, config, steps, rng=0, device="cpu", progress=False)
    assert model.predict(stack, device="cpu").shape == stack.shape


def test_the_same_seed_learns_the_same() -> None:
    steps = TrainingConfig(epochs=2, steps_per_epoch=3, batch_size=2)
    one, two = (train(_noisy(), Config(**SMALL), steps, rng=5, device="cpu", progress=False) for _ in range(2))
    for name, weights in one.network.state_dict().items():
        assert torch.equal(weights, two.network.state_dict()[name])


def test_a_broken_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    steps = TrainingConfig(epochs=3, steps_per_epoch=2, batch_size=2)
    whole = train(_noisy(), Config(**SMALL), steps, rng=5, device="cpu", progress=False)

    def stop(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train(_noisy(), Config(**SMALL), steps, rng=5, device="cpu", state_path=path, on_epoch=stop, progress=False)
    resumed = train(_noisy(), Config(**SMALL), steps, rng=5, device="cpu", state_path=path, progress=False)
    assert [record.validation_loss for record in resumed.history] == [
        record.validation_loss for record in whole.history
    ]


def test_validation_hides_the_same_for_any_number_of_processes() -> None:
    task = _task(_noisy(), Config(patch_side=16, validation_share=0.3, base_channels=4, depth=1))
    alone = [torch.cat(each) for each in zip(*task.validation_batches(4, rank=0, ranks=1), strict=True)]
    shared = [
        [torch.cat(each) for each in zip(*task.validation_batches(4, rank=rank, ranks=2), strict=True)]
        for rank in range(2)
    ]
    for whole, first, second in zip(alone, *shared, strict=True):
        assert torch.equal(whole[0::2], first)
        assert torch.equal(whole[1::2], second)


def test_masks_longer_one_way_are_not_turned() -> None:
    assert not _task(_noisy(), Config(mask_extent_x=3, **SMALL)).turn
    assert _task(_noisy(), Config(mask_extent_x=1, mask_extent_y=1, **SMALL)).turn


@pytest.mark.parametrize(
    ("images", "config", "message"),
    [
        (torch.full((64, 64), 3.0), {}, "channel 0 of image 0 is 3 everywhere"),
        (torch.full((64, 64), math.nan), {}, "NaN or infinite"),
        ([], {}, "there is no image to learn from"),
        (torch.rand(24, 24), {}, "offers only"),
        (torch.rand(3, 64, 64), {"channels": 2}, "with 2 channel"),
        (torch.rand(1, 64, 64), {"dimensions": 3}, "1 plane, too few for a 3D network"),
        (torch.rand(128, 128), {"patch_side": 33}, "multiples of"),
    ],
)
def test_bad_images_are_named(images: torch.Tensor, config: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(images, Config(**(SMALL | config)), rng=0, device="cpu", progress=False)


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="must reach beyond it along at least one axis"):
        Config(mask_extent_x=5, mask_extent_y=5)
    with pytest.raises(ValueError, match="planes need dimensions=3"):
        Config(mask_extent_z=1)
    with pytest.raises(ParameterError, match=r"masked_fraction is 0\.5"):
        Config(masked_fraction=0.5)
    with pytest.raises(ValueError, match="rng is None"):
        train(_noisy(), rng=None, state_path="state", progress=False)
