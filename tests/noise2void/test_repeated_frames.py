"""One frame is learned from another, both ways, and never from itself."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from course_lib import samples
from course_lib.networks import EpochRecord, TrainingConfig
from course_lib.noise2void import Noise2NoiseConfig, train_noise2noise
from course_lib.noise2void._preparation import frames_of, prepare
from course_lib.noise2void.repeated_frames import _Repeats

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"patch_side": 32, "base_channels": 8, "depth": 1}
BRIEF = TrainingConfig(epochs=2, steps_per_epoch=3, batch_size=2)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _row_noise(count: int, side: int, seed: int = 0) -> torch.Tensor:
    """Return noise of variance 12 that errs alike along rows."""
    white = torch.randn((count, side, side), generator=_generator(seed))
    return 2 * (white + white.roll(1, dims=-1) + white.roll(2, dims=-1))


def _frames(count: int = 4, side: int = 96) -> torch.Tensor:
    scene = samples.filaments((side, side), voxel_size_um=(0.1, 0.1), count=25, diameter_um=0.6, rng=3)
    return 20 * scene / scene.max() + _row_noise(count, side)


def _task(films: list[torch.Tensor], config: Noise2NoiseConfig) -> _Repeats:
    frames, numbers = frames_of(films, dimensions=config.dimensions, channels=config.channels)
    prepared = prepare(
        frames,
        numbers,
        config.network,
        method="noise2noise",
        patch_shape=config.patch_shape,
        validation_share=config.validation_share,
        settings={},
        rng=_generator(),
        device=torch.device("cpu"),
    )
    return _Repeats(prepared, config.views, repeats=len(films[0]))


def _numbered(scenes: int, repeats: int, side: int = 64) -> list[torch.Tensor]:
    """Return films whose pixels tell scene, place and frame: 10,000 × scene + place + 0.1 × frame + 0.05."""
    place = torch.arange(float(side**2)).reshape(side, side)
    numbers = 0.1 * torch.arange(repeats).view(-1, 1, 1) + 0.05
    return [1e4 * scene + place + numbers for scene in range(scenes)]


@pytest.mark.parametrize("scenes", [1, 3, 6])
@pytest.mark.parametrize("repeats", [2, 5])
def test_pairs_are_of_one_place_and_two_frames_in_both_orders(scenes: int, repeats: int) -> None:
    task = _task(_numbered(scenes, repeats), Noise2NoiseConfig(patch_side=16, base_channels=4, depth=1))
    (normalization,) = task.prepared.model.input_normalization
    batch = task.training_batch(2000, rng=_generator(), rank=0, ranks=1)
    pixels = [normalization.invert(images.double())[:, 0, 3, 5] for images in batch]
    places, frames = zip(*((one.floor(), ((one - one.floor()) * 10).floor()) for one in pixels), strict=True)
    assert torch.equal(*places)
    drawn = torch.zeros(repeats, repeats)
    drawn.index_put_((frames[0].long(), frames[1].long()), torch.ones(2000), accumulate=True)
    expected = 2000 / (repeats * (repeats - 1))
    assert float(drawn.diagonal().max()) == 0
    apart = drawn[~torch.eye(repeats, dtype=torch.bool)]
    assert float((apart - expected).abs().max()) < 5 * math.sqrt(expected)


def test_the_loss_of_the_truth_is_the_variance_of_the_noise() -> None:
    noise = _row_noise(4, 256)
    task = _task([25 + noise], Noise2NoiseConfig(**SMALL))
    (normalization,) = task.prepared.model.input_normalization

    class Knowing(nn.Module):
        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            return torch.full_like(seen, normalization.apply(torch.tensor(25.0)).item())

    loss = task.loss(Knowing(), task.training_batch(400, rng=_generator(), rank=0, ranks=1))
    assert float(loss.mean()) * normalization.scale**2 == pytest.approx(float(noise.var()), rel=0.03)


def test_noise_that_correlates_is_taken_away() -> None:
    """Noise2Void would need a longer mask: here each frame has noise of its own, and that is enough."""
    frames = _frames()
    truth = frames - _row_noise(4, 96)
    steps = TrainingConfig(epochs=2, steps_per_epoch=60, batch_size=8, learning_rate=3e-3)
    model = train_noise2noise(frames, Noise2NoiseConfig(**SMALL), steps, rng=0, device="cpu", progress=False)
    restored = model.predict(frames, device="cpu")
    assert model.method == "noise2noise"
    assert float((restored - truth).square().mean()) < float((frames - truth).square().mean()) / 3
    averaged = float((restored.mean(dim=0) - truth[0]).square().mean())
    assert averaged < float((restored - truth).square().mean())


def test_channels_and_stacks_and_several_scenes_train() -> None:
    steps = TrainingConfig(epochs=1, steps_per_epoch=2, batch_size=2)
    pairs = [torch.stack([_frames(2), _frames(2) / 2], dim=1) for _ in range(2)]
    config = Noise2NoiseConfig(channels=2, views="as they are", **SMALL)
    model = train_noise2noise(pairs, config, steps, rng=0, device="cpu", progress=False)
    assert model.predict(pairs[0], device="cpu").shape == pairs[0].shape
    stacks = torch.randn((3, 9, 32, 64), generator=_generator())
    config = Noise2NoiseConfig(dimensions=3, patch_planes=4, **SMALL)
    model = train_noise2noise(stacks, config, steps, rng=0, device="cpu", progress=False)
    assert model.predict(stacks, device="cpu").shape == stacks.shape


def test_a_broken_training_goes_on_to_the_same_losses(tmp_path: Path) -> None:
    def run(path: Path | None = None, **arguments: object) -> list[float]:
        config = Noise2NoiseConfig(**SMALL)
        model = train_noise2noise(
            _frames(), config, BRIEF, rng=5, device="cpu", state_path=path, progress=False, **arguments
        )
        return [record.validation_loss for record in model.history]

    def stop(record: EpochRecord) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "state", on_epoch=stop)
    assert run(tmp_path / "state") == run()


def test_any_number_of_processes_shows_the_same() -> None:
    config = Noise2NoiseConfig(patch_side=16, validation_share=0.3, base_channels=4, depth=1)
    task = _task([_frames()], config)
    whole = task.training_batch(6, rng=_generator(), rank=0, ranks=1)
    alone = [torch.cat(each) for each in zip(*task.validation_batches(4, rank=0, ranks=1), strict=True)]
    for rank in range(2):
        for all_, mine in zip(whole, task.training_batch(6, rng=_generator(), rank=rank, ranks=2), strict=True):
            assert torch.equal(all_[rank::2], mine)
        shared = [torch.cat(each) for each in zip(*task.validation_batches(4, rank=rank, ranks=2), strict=True)]
        for all_, mine in zip(alone, shared, strict=True):
            assert torch.equal(all_[rank::2], mine)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (_frames(1), r"scene 0 has 1 frame\(s\).* at least 2: give more frames, or use train"),
        (_frames(1)[0], r"scene 0 has 1 frame\(s\)"),
        ([_frames(3), _frames(2)], r"scene 1 has 2 frame\(s\) and scene 0 3, but each needs the same number"),
        (torch.full((2, 64, 64), 3.0), "is 3 everywhere"),
        ([], "there is no image to learn from"),
        (_frames(2, side=40), "too few"),
    ],
)
def test_bad_frames_are_named(frames: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_noise2noise(frames, Noise2NoiseConfig(**SMALL), rng=0, device="cpu", progress=False)


def test_a_training_that_goes_on_needs_a_seed() -> None:
    with pytest.raises(ValueError, match="rng is None"):
        train_noise2noise(_frames(), rng=None, state_path="state", progress=False)
