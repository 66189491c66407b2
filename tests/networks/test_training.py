import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import small_training
from course_lib.networks import EpochRecord, TrainingConfig, TrainingError, UNet, UNetConfig, fit, precision_for
from course_lib.networks.adam import Adam
from small_training import CONFIG, Denoising, small_network

pytestmark = pytest.mark.usefixtures("one_thread")

Batch = tuple[torch.Tensor, ...]


def weights_after(config: TrainingConfig = CONFIG, *, seed: int = 7, **arguments: object) -> dict[str, torch.Tensor]:
    network = small_network()
    fit(network, Denoising(), config, rng=seed, device="cpu", progress=False, **arguments)
    return network.state_dict()


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], **tolerance: float) -> None:
    for name in one:
        torch.testing.assert_close(one[name], other[name], **(tolerance or {"rtol": 0.0, "atol": 0.0}))


@pytest.mark.parametrize("schedule", ["one-cycle", "plateau", "constant"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_it_learns_to_denoise(schedule: str, optimizer: str) -> None:
    network, task = small_network(), Denoising()
    config = CONFIG.replace(epochs=6, steps_per_epoch=20, schedule=schedule, optimizer=optimizer)
    history = fit(network, task, config, rng=0, device="cpu", progress=False)
    assert [record.epoch for record in history] == [1, 2, 3, 4, 5, 6]
    noise, signal = 0.25, 0.25  # variances of each image's noise, and of the clean scene
    assert min(record.validation_loss for record in history) < 0.7 * (2 * noise + signal)
    assert history[-1].training_loss < history[0].training_loss


def test_the_loss_falls_to_the_variance_of_the_targets_noise() -> None:
    """A noisy target cannot be predicted better than to its own noise; less would be a leak."""
    config = CONFIG.replace(epochs=4, steps_per_epoch=60, learning_rate=0.01)
    history = fit(small_network(), Denoising(), config, rng=0, device="cpu", progress=False)
    assert 0.25 * 0.9 < min(record.validation_loss for record in history) < 0.25 * 1.6


def test_the_same_seed_gives_the_same_weights() -> None:
    assert_same(weights_after(), weights_after())
    first, other = weights_after(), weights_after(seed=8)
    assert not torch.equal(first["last.weight"], other["last.weight"])


class PowerCutError(Exception):
    """Stands for a power cut."""


@pytest.mark.parametrize("schedule", ["one-cycle", "plateau", "constant"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, schedule: str, epoch: int) -> None:
    config = CONFIG.replace(schedule=schedule)
    state = tmp_path / "training.state"

    def cut(record: EpochRecord) -> None:
        if record.epoch == epoch:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        weights_after(config, state_path=state, on_epoch=cut)
    assert state.exists()
    seen: list[int] = []
    resumed = weights_after(config, seed=99, state_path=state, on_epoch=lambda record: seen.append(record.epoch))
    assert seen == list(range(epoch + 1, CONFIG.epochs + 1))
    assert_same(resumed, weights_after(config))
    assert not state.exists()


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "training.state"

    def cut(record: EpochRecord) -> None:
        raise PowerCutError

    with pytest.raises(PowerCutError):
        weights_after(state_path=state, on_epoch=cut)
    with pytest.raises(
        ValueError, match=r"other settings: batch_size was 4 and is 2\. .* delete the file to start anew"
    ):
        weights_after(CONFIG.replace(batch_size=2), state_path=state)
    assert state.exists()


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "training.state"
    state.write_bytes(b"not a state")
    with pytest.raises(ValueError, match=r"training\.state is damaged"):
        weights_after(state_path=state)


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_that_share_batches_train_as_one(tmp_path: Path, processes: int) -> None:
    target = tmp_path / "weights.pt"
    script = str(Path(small_training.__file__))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *launch, script, str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    trained = torch.load(target, weights_only=True)
    # sums of other order round otherwise: Adam's steps grow that to about 1e-5
    assert_same(trained["weights"], weights_after(), rtol=1e-3, atol=1e-4)


def test_a_batch_must_be_shared_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.networks.training.rank_of", lambda: (0, 3))
    monkeypatch.setattr("torch.nn.parallel.DistributedDataParallel", lambda network: network)
    with pytest.raises(ValueError, match="batch_size is 4, but must be a multiple of the 3 processes"):
        weights_after()


class Scripted(Denoising):
    """Has the validation losses of a list, and counts the examples looked at."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.losses = iter(losses)

    def validation_batches(self, batch_size: int, *, rank: int, ranks: int) -> Iterator[Batch]:
        loss = torch.tensor(next(self.losses))
        yield loss.expand(3), torch.zeros(3)

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        return batch[0] if batch[0].ndim == 1 else super().loss(network, batch)


def test_the_weights_kept_are_those_of_the_least_validation_loss() -> None:
    network, seen = small_network(), {}

    def remember(record: EpochRecord) -> None:
        seen[record.epoch] = {name: value.clone() for name, value in network.state_dict().items()}

    config = CONFIG.replace(epochs=4)
    history = fit(
        network, Scripted([3.0, 1.0, 2.0, 1.5]), config, rng=0, device="cpu", on_epoch=remember, progress=False
    )
    assert [record.validation_loss for record in history] == [3.0, 1.0, 2.0, 1.5]
    assert_same(network.state_dict(), seen[2])


def test_a_state_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    """Its optimizer was that of torch."""
    path = tmp_path / "state"

    def end(record: EpochRecord) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights_after(state_path=path, on_epoch=end)
    state = torch.load(path, weights_only=True)
    torch.save(state | {"optimizer": {"state": {}, "param_groups": []}}, path)
    with pytest.raises(ValueError, match=r"written by an earlier version of the course.*delete the file"):
        weights_after(state_path=path)


def test_it_stops_where_there_is_no_progress() -> None:
    losses = [3.0, 1.0, 2.0, 1.5, 0.1, 0.1]
    config = CONFIG.replace(epochs=6, stop_after=2)
    history = fit(small_network(), Scripted(losses), config, rng=0, device="cpu", progress=False)
    assert len(history) == 4


def test_plateau_halves_the_learning_rate() -> None:
    losses = [1.0, 2.0, 2.0, 2.0, 2.0]
    config = CONFIG.replace(epochs=5, schedule="plateau", patience=2)
    for offset in (0.0, -9.0):  # the probabilistic loss may be negative
        scripted = Scripted([loss + offset for loss in losses])
        history = fit(small_network(), scripted, config, rng=0, device="cpu", progress=False)
        rates = [record.learning_rate / config.learning_rate for record in history]
        assert rates == [1.0, 1.0, 1.0, 0.5, 0.5]


def test_the_validation_loss_is_that_of_the_whole_set() -> None:
    """The last batch alone, as in the published exercises of two courses, would be another number."""

    class Uneven(Denoising):
        def validation_batches(self, batch_size: int, *, rank: int, ranks: int) -> Iterator[Batch]:
            yield torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3)
            yield torch.tensor([10.0]), torch.zeros(1)

        def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
            return batch[0] if batch[0].ndim == 1 else super().loss(network, batch)

    history = fit(small_network(), Uneven(), CONFIG.replace(epochs=1), rng=0, device="cpu", progress=False)
    assert history[0].validation_loss == 4.0


def test_a_long_gradient_is_shortened() -> None:
    class Steep(Denoising):
        def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
            return 1e6 * super().loss(network, batch)

    lengths: list[float] = []
    network = small_network()
    original = Adam.step

    def step(self: Adam) -> None:
        lengths.append(float(torch.stack([one.grad.norm() for one in network.parameters()]).norm()))
        original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Adam, "step", step)
        config = CONFIG.replace(epochs=1, schedule="constant", clip_norm=0.5)
        fit(network, Steep(), config, rng=0, device="cpu", progress=False)
    assert lengths == pytest.approx([0.5] * 4, rel=1e-4)


def test_a_loss_of_nan_ends_the_training_with_the_remedy() -> None:
    class Broken(Denoising):
        def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
            return super().loss(network, batch) * float("nan")

    network = small_network()
    with pytest.raises(TrainingError, match=r"training loss of epoch 1 is nan; .* lower learning_rate, which is 0.003"):
        fit(network, Broken(), CONFIG, rng=0, device="cpu", progress=False)
    assert_same(network.state_dict(), small_network().state_dict())


def test_without_a_validation_set_there_is_no_training() -> None:
    class Blind(Denoising):
        def validation_batches(self, batch_size: int, *, rank: int, ranks: int) -> Iterator[Batch]:
            yield from ()

    with pytest.raises(ValueError, match="the validation set is empty"):
        fit(small_network(), Blind(), CONFIG, rng=0, device="cpu", progress=False)


def test_a_process_of_torchrun_must_have_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match=r"torchrun started 2 processes, .* call networks\.join\(\) first"):
        weights_after()


def test_batch_normalization_is_not_shared_between_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.networks.training.rank_of", lambda: (0, 2))
    network = UNet(UNetConfig(depth=1, base_channels=4, normalization="batch"), rng=0)
    with pytest.raises(ValueError, match="batch normalization, whose averages differ between processes"):
        fit(network, Denoising(), CONFIG, rng=0, device="cpu", progress=False)


def test_a_missing_folder_for_the_state_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        weights_after(state_path=tmp_path / "nowhere" / "training.state")


def test_a_batch_too_large_for_the_memory_is_said_so() -> None:
    class Large(Denoising):
        def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")  # as torch's CPU says it

    with pytest.raises(TrainingError, match="does not hold a batch of 4 patches: halve batch_size"):
        fit(small_network(), Large(), CONFIG, rng=0, device="cpu", progress=False)


def test_half_precision_learns_as_well() -> None:
    both = [
        fit(UNet(small_network().config, rng=0), Denoising(), config, rng=0, device="cpu", progress=False)[-1]
        for config in (CONFIG.replace(precision=one, steps_per_epoch=20) for one in ("float32", "bfloat16"))
    ]
    assert both[1].validation_loss == pytest.approx(both[0].validation_loss, rel=0.1)


def test_the_precision_asked_for_is_taken() -> None:
    assert precision_for(torch.device("cpu"), "bfloat16") == torch.bfloat16
    assert precision_for(torch.device("cpu")) in (torch.bfloat16, torch.float32)


def test_a_progress_bar_tells_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    fit(small_network(), Denoising(), CONFIG, rng=0, device="cpu", progress=True)
    shown = capsys.readouterr().err
    assert "training: 100%" in shown
    assert "validation_loss=" in shown
