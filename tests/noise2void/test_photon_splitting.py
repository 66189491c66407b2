"""Photons are split, one part is learned from the other, and no pixel is hidden."""

import math
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from course_lib import samples
from course_lib.networks import EpochRecord, TrainingConfig
from course_lib.noise2void import Config, SplittingConfig, train, train_photon_splitting
from course_lib.noise2void._preparation import frames_of, prepare
from course_lib.noise2void.photon_splitting import _Splitting
from course_lib.parameters import ParameterError

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"patch_side": 32, "base_channels": 8, "depth": 1}
BRIEF = TrainingConfig(epochs=2, steps_per_epoch=3, batch_size=2)
LONGER = TrainingConfig(epochs=2, steps_per_epoch=100, batch_size=8, learning_rate=3e-3)

Batch = tuple[torch.Tensor, ...]


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def _scene(side: int = 128) -> torch.Tensor:
    scene = samples.filaments((side, side), voxel_size_um=(0.1, 0.1), count=40, diameter_um=0.6, rng=3)
    return 20 * scene / scene.max() + 2


def _counts(side: int = 128, seed: int = 0) -> torch.Tensor:
    return torch.poisson(_scene(side), generator=_generator(seed))


def _task(counts: torch.Tensor, config: SplittingConfig) -> _Splitting:
    frames, numbers = frames_of(counts, dimensions=config.dimensions, channels=config.channels)
    prepared = prepare(
        frames,
        numbers,
        config.network,
        method="photon splitting",
        patch_shape=config.patch_shape,
        validation_share=config.validation_share,
        settings={},
        rng=_generator(),
        device=torch.device("cpu"),
    )
    return _Splitting(prepared, config)


def _photons(task: _Splitting, batch: Batch) -> Batch:
    """Return what was shown and what was kept back, in photons."""
    seen, rest, kept = batch
    (normalization,) = task.prepared.model.input_normalization
    return normalization.invert(seen) * (1 - kept), normalization.invert(rest) * kept


class Answering(nn.Module):
    """Gives one answer, whatever it sees, in the unit of the network."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return self.answer.expand_as(seen)


@settings(max_examples=30)
@given(least=st.floats(0.01, 0.99), seeds=st.lists(st.integers(0, 2**62 - 1), min_size=1, max_size=3))
def test_no_photon_is_lost_and_shares_are_as_asked(least: float, seeds: list[int]) -> None:
    counts = torch.stack([_counts(32, seed=number)[None] for number in range(len(seeds))])
    task = _Splitting(_task(_counts(64), SplittingConfig(**SMALL)).prepared, SplittingConfig(least_share=least))
    batch = task._split(counts, seeds)
    assert bool(((batch[2] > 0) & (batch[2] <= 1 - least)).all())
    seen, rest = _photons(task, batch)
    torch.testing.assert_close(seen + rest, counts, rtol=0, atol=1e-3)
    torch.testing.assert_close(seen, seen.round(), rtol=0, atol=1e-3)
    assert bool(((seen > -0.1) & (seen < counts + 0.1)).all())


def test_shares_are_drawn_evenly() -> None:
    task = _task(_counts(64), SplittingConfig(least_share=0.2, **SMALL))
    kept = task.training_batch(2000, rng=_generator(), rank=0, ranks=1)[2].flatten()
    expected = (torch.arange(2000) + 0.5) / 2000 * 0.8
    assert float((kept.sort().values - expected).abs().max()) < 0.8 * 1.63 / math.sqrt(2000)  # Kolmogorov, 1 %


def test_what_is_kept_back_tells_nothing_of_the_noise_that_is_shown() -> None:
    task = _task(torch.poisson(torch.full((256, 256), 9.0), generator=_generator()), SplittingConfig(**SMALL))
    batch = task.training_batch(200, rng=_generator(1), rank=0, ranks=1)
    kept = batch[2]
    seen, rest = _photons(task, batch)
    errors = torch.stack(((seen - 9 * (1 - kept)).flatten(), (rest - 9 * kept).flatten()))
    for error, mean in zip(errors, (9 * (1 - kept), 9 * kept), strict=True):
        assert float(error.square().mean()) == pytest.approx(float(mean.mean()), rel=0.03)  # both are Poisson
    assert abs(float(torch.corrcoef(errors)[0, 1])) < 5 / math.sqrt(256**2)  # pixels are drawn several times


def test_the_loss_of_the_truth_is_the_signal_whatever_the_share() -> None:
    """The weight makes each example as noisy as any other: a floor of one photon a photon."""
    task = _task(torch.poisson(torch.full((256, 256), 25.0), generator=_generator()), SplittingConfig(**SMALL))
    (normalization,) = task.prepared.model.input_normalization
    batch = task.training_batch(600, rng=_generator(1), rank=0, ranks=1)
    loss = task.loss(Answering(normalization.apply(torch.tensor(25.0))), batch) * normalization.scale**2
    kept = batch[2].flatten()
    for some in (kept < 0.1, (kept >= 0.1) & (kept < 0.3), kept >= 0.3):
        assert float(loss[some].mean()) == pytest.approx(25.0, rel=0.03)


def test_the_least_loss_is_that_of_the_mean_of_the_signal_for_what_is_seen() -> None:
    """For signals drawn from a gamma distribution, mean and loss have closed forms."""
    shape, rate = 4.0, 0.25
    draws = torch.distributions.Gamma(torch.tensor(shape), torch.tensor(rate))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        signal = draws.sample((512, 512))
    task = _task(torch.poisson(signal, generator=_generator()), SplittingConfig(least_share=0.2, **SMALL))
    (normalization,) = task.prepared.model.input_normalization
    batch = task.training_batch(1500, rng=_generator(1), rank=0, ranks=1)
    seen, kept = _photons(task, batch)[0], batch[2]
    best = (shape + seen) / (rate + 1 - kept)

    def loss_of(answer: torch.Tensor) -> float:
        answered = Answering(normalization.apply(answer))
        return float(task.loss(answered, batch).mean() * normalization.scale**2)

    risk = shape / (rate * (rate + 1 - kept))
    assert loss_of(best) == pytest.approx(float(shape / rate + (kept * risk).mean()), rel=0.02)
    for other in (1.1 * best, 0.9 * best, best + 1, seen / (1 - kept), torch.full_like(best, shape / rate)):
        assert loss_of(other) > loss_of(best) + 0.05


def test_a_short_training_takes_away_half_of_the_error() -> None:
    counts, truth = _counts(), _scene()
    training = LONGER.replace(epochs=4)  # after 2 the mean is still off by 5 %
    model = train_photon_splitting(counts, SplittingConfig(**SMALL), training, rng=0, device="cpu", progress=False)
    restored = model.predict(counts, device="cpu")
    error, before = ((image - truth).square().mean() for image in (restored, counts))
    assert model.method == "photon splitting"
    assert float(error) < float(before) / 2
    assert float(restored.mean()) == pytest.approx(float(counts.mean()), rel=0.05)


def test_it_keeps_the_pixel_that_noise2void_must_hide() -> None:
    """Bright single pixels: their neighbours do not tell them, their own photons do."""
    where = torch.rand((128, 128), generator=_generator()) < 0.01
    truth = torch.full((128, 128), 4.0) + 76 * where
    counts = torch.poisson(truth, generator=_generator(1))
    ours = train_photon_splitting(counts, SplittingConfig(**SMALL), LONGER, rng=0, device="cpu", progress=False)
    hidden = train(counts, Config(**SMALL), LONGER, rng=0, device="cpu", progress=False)
    light = [float(model.predict(counts, device="cpu")[where].mean()) - 4 for model in (ours, hidden)]
    assert light[0] > 0.6 * 76
    assert light[1] < 0.3 * 76


def test_two_channels_and_a_film_and_a_stack_train() -> None:
    steps = TrainingConfig(epochs=1, steps_per_epoch=2, batch_size=2)
    film = torch.stack([torch.stack([_counts(seed=2 * t), _counts(seed=2 * t + 1)]) for t in range(3)])
    config = SplittingConfig(channels=2, views="mirrored", **SMALL)
    model = train_photon_splitting(film, config, steps, rng=0, device="cpu", progress=False)
    assert model.predict(film, device="cpu").shape == film.shape
    stack = torch.poisson(torch.full((9, 64, 96), 6.0), generator=_generator())
    config = SplittingConfig(dimensions=3, patch_planes=4, **SMALL)
    model = train_photon_splitting(stack, config, steps, rng=0, device="cpu", progress=False)
    assert model.predict(stack, device="cpu").shape == stack.shape


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int64])
def test_counts_of_any_dtype_train_alike(dtype: torch.dtype) -> None:
    config = SplittingConfig(patch_side=16, base_channels=4, depth=1)
    brief = TrainingConfig(epochs=1, steps_per_epoch=1, batch_size=1)
    one, two = (
        train_photon_splitting(counts, config, brief, rng=0, device="cpu", progress=False)
        for counts in (_counts(64), [_counts(64).to(dtype)])
    )
    assert torch.equal(one.network.last.weight, two.network.last.weight)


def test_the_same_seed_learns_the_same() -> None:
    one, two = (
        train_photon_splitting(_counts(), SplittingConfig(**SMALL), BRIEF, rng=5, device="cpu", progress=False)
        for _ in range(2)
    )
    for name, weights in one.network.state_dict().items():
        assert torch.equal(weights, two.network.state_dict()[name])


def test_a_broken_training_goes_on_to_the_same_losses(tmp_path: Path) -> None:
    def run(path: Path | None = None, **arguments: object) -> list[float]:
        config = SplittingConfig(**SMALL)
        model = train_photon_splitting(
            _counts(), config, BRIEF, rng=5, device="cpu", state_path=path, progress=False, **arguments
        )
        return [record.validation_loss for record in model.history]

    def stop(record: EpochRecord) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "state", on_epoch=stop)
    assert run(tmp_path / "state") == run()


def test_any_number_of_processes_splits_the_same() -> None:
    task = _task(_counts(), SplittingConfig(patch_side=16, validation_share=0.3, base_channels=4, depth=1))
    whole = task.training_batch(6, rng=_generator(), rank=0, ranks=1)
    alone = [torch.cat(each) for each in zip(*task.validation_batches(4, rank=0, ranks=1), strict=True)]
    for rank in range(2):
        for all_, mine in zip(whole, task.training_batch(6, rng=_generator(), rank=rank, ranks=2), strict=True):
            assert torch.equal(all_[rank::2], mine)
        shared = [torch.cat(each) for each in zip(*task.validation_batches(4, rank=rank, ranks=2), strict=True)]
        for all_, mine in zip(alone, shared, strict=True):
            assert torch.equal(all_[rank::2], mine)


@pytest.mark.parametrize(
    ("counts", "config", "message"),
    [
        (torch.full((64, 64), 1.5), {}, r"^counts has a value of 1.5, but must be whole numbers of photons"),
        (torch.full((64, 64), -1), {}, r"^counts has a value of -1"),
        ([_counts(64), _counts(64) / 2], {}, r"^counts\[1\] has a value of"),
        (torch.full((64, 64), math.nan), {}, "counts has NaN or infinite values"),
        (torch.full((64, 64), 3), {}, "channel 0 of image 0 is 3 everywhere"),
        ([], {}, "there is no image to learn from"),
        (_counts(64)[:24, :24], {}, "offers only|too few"),
        (_counts(64).expand(3, 64, 64), {"channels": 2}, r"with 2 channel\(s\)"),
        (_counts(64)[None], {"dimensions": 3}, "1 plane, too few for a 3D network"),
        (_counts(128), {"patch_side": 33}, "multiples of"),
    ],
)
def test_bad_counts_are_named(counts: torch.Tensor, config: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_photon_splitting(counts, SplittingConfig(**(SMALL | config)), rng=0, device="cpu", progress=False)


def test_bad_settings_are_named() -> None:
    with pytest.raises(ParameterError, match=r"least_share is 0, but must be from 0.01 to 0.99"):
        SplittingConfig(least_share=0)
    with pytest.raises(ValueError, match="rng is None"):
        train_photon_splitting(_counts(), rng=None, state_path="state", progress=False)
