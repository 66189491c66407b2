r"""Train a network: one loop that CARE, Noise2Void, photon splitting and segmentation share.

A step draws a batch, computes the loss, follows its gradient once, and forgets the batch. After each epoch the *whole*
validation set is looked at, never only its last batch, and the best weights so far are kept. What is to be learned is a
`Task`: it draws batches and knows the loss.

Every draw comes from one generator, whose state is saved with weights and optimizer, so that on a CPU a training is
exact to repeat, and a killed one goes on to the same weights; a GPU adds up in changing order, and differs in the last
digits. Started by ``torchrun``, the same function runs as many processes, once they called `join`: each computes its
share of every batch, and the gradients are averaged (`torch.nn.parallel.DistributedDataParallel`), so that the result
is that of one process with the same ``batch_size``, but for rounding.

How a gradient moves the weights is in `course_lib.networks.adam`, how fast in `course_lib.networks.schedules`.
"""

import copy
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import distributed, nn
from tqdm import tqdm

from course_lib import devices
from course_lib.networks._files import check_folder, load_tensors, save_tensors
from course_lib.networks.adam import Adam
from course_lib.networks.processes import own_device, rank_of, shared, shared_generator
from course_lib.networks.schedules import halvings, one_cycle
from course_lib.parameters import Parameters, parameter

__all__ = ["EpochRecord", "Task", "TrainingConfig", "TrainingError", "fit", "precision_for"]

Batch = tuple[torch.Tensor, ...]


class Task(Protocol):
    """What is learned: see `course_lib.care` for an example."""

    def training_batch(self, count: int, *, rng: torch.Generator, rank: int, ranks: int) -> Batch:
        """Draw a batch of `count` examples for all processes together, and return every `ranks`-th, on the device.

        The generator is on the CPU and must advance alike in all processes.
        """

    def validation_batches(self, batch_size: int, *, rank: int, ranks: int) -> Iterable[Batch]:
        """Go once through the validation set; the same each time."""

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the loss of each example of the batch, (N,)."""


class TrainingConfig(Parameters):
    """How long and how fast to learn.

    Notes
    -----
    The learning rate was chosen by CARE on simulated fields and one frame of the hazelnut, and by Noise2Void and photon
    splitting on simulated fields: ahead of 0.001 in all of 10 trainings of 100 to 500 steps, by 0.1 to 1.1 dB; 0.005
    was not ahead of it for CARE after 100 steps, and a little ahead for the other two.

    Examples
    --------
    >>> TrainingConfig(epochs=0)
    Traceback (most recent call last):
    course_lib.parameters.ParameterError: epochs is 0, but must be at least 1: looks at the validation set.
    """

    epochs: int = parameter(default=30, meaning="looks at the validation set", minimum=1)
    steps_per_epoch: int = parameter(default=100, meaning="batches between two looks at the validation set", minimum=1)
    batch_size: int = parameter(default=16, meaning="patches of one step, on all devices together", minimum=1)
    learning_rate: float = parameter(default=3e-3, meaning="largest step of the optimizer", minimum=1e-8, maximum=1.0)
    optimizer: str = parameter(
        default="adam", meaning="AdamW decays weights apart from the gradient", choices=("adam", "adamw")
    )
    weight_decay: float = parameter(default=0.0, meaning="pull of the weights towards 0", minimum=0.0)
    schedule: str = parameter(
        default="one-cycle",
        meaning="one-cycle warms up and cools down; plateau halves where the validation loss stays; constant",
        choices=("one-cycle", "plateau", "constant"),
    )
    patience: int = parameter(
        default=10, meaning="epochs without progress after which plateau halves the learning rate", minimum=1
    )
    stop_after: int = parameter(
        default=0, meaning="epochs without progress after which training stops; 0 never stops early", minimum=0
    )
    clip_norm: float = parameter(default=1.0, meaning="longest gradient; longer ones are shortened", minimum=1e-6)
    precision: str = parameter(
        default="auto",
        meaning="numbers of 32 or 16 bits; auto takes 16 where the processor computes with them",
        choices=("auto", "float32", "bfloat16"),
    )


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """What one epoch brought.

    Attributes
    ----------
    epoch : int
        From 1 on.
    training_loss, validation_loss : float
        Means over the epoch's steps, and over the whole validation set.
    learning_rate : float
        Of the epoch's last step.
    seconds : float
        Time it took.
    """

    epoch: int
    training_loss: float
    validation_loss: float
    learning_rate: float
    seconds: float


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what helps."""


def precision_for(device: torch.device, precision: str = "auto") -> torch.dtype:
    """Return the type to compute with: bfloat16 where the processor has instructions for it.

    Examples
    --------
    >>> precision_for(torch.device("cpu"), "float32")
    torch.float32
    """
    if precision != "auto":
        return torch.float32 if precision == "float32" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


def fit(
    network: nn.Module,
    task: Task,
    config: TrainingConfig,
    *,
    rng: int | torch.Generator | None,
    device: str | torch.device = "auto",
    state_path: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: bool = True,
) -> tuple[EpochRecord, ...]:
    """Train `network` in place, and leave it with the weights of the least validation loss.

    Parameters
    ----------
    network : torch.nn.Module
        Takes and gives (N, C, [Z,] Y, X).
    task : Task
        Draws batches and knows the loss.
    config : TrainingConfig
        How long and how fast.
    rng : int, torch.Generator or None
        Seed of all draws; a generator must live on the CPU.
    device : str or torch.device
        Where to train; ``"auto"`` is, in a process that has joined others on GPUs, the one of its number.
    state_path : str or path, optional
        File that keeps the training's state after each epoch. If it exists, training goes on from there, to the same
        weights as without the break; it is deleted at the end.
    settings : mapping, optional
        Plain numbers and words that tell the task from others: a state goes on only where they are the same.
    on_epoch : callable, optional
        Is given the record of each epoch, in the first process only.
    progress : bool
        Show a bar with the time left.

    Returns
    -------
    tuple of EpochRecord
        The history.

    Raises
    ------
    TrainingError
        If the loss is NaN or infinite, or the device's memory does not hold a batch.
    ValueError
        If the saved state is of a training with other settings.
    """
    where = own_device(device)
    path = None if state_path is None else Path(state_path)
    if path is not None:
        check_folder(path)
    run = _Run(network.to(where), task, config, dict(settings or {}), draws=shared_generator(rng), device=where)
    first = run.rank == 0
    state = shared(load_tensors(path) if first and path is not None and path.exists() else None)
    if state is not None and path is not None:
        run.resume(state, path)
    total = config.epochs * config.steps_per_epoch
    done = len(run.history) * config.steps_per_epoch
    with tqdm(
        total=total, initial=done, unit="step", desc="training", disable=None if progress and first else True
    ) as bar:
        while not run.is_over:
            try:
                record = run.epoch(tick=bar.update)
            except TrainingError:
                network.load_state_dict(run.best_weights)
                raise
            bar.set_postfix(validation_loss=f"{record.validation_loss:.4g}")
            if first and path is not None:
                run.save(path)
            if first and on_epoch is not None:
                on_epoch(record)
    network.load_state_dict(run.best_weights)
    network.eval()
    shared(None)  # wait for the others, who may still look for the state
    if first and path is not None:
        path.unlink(missing_ok=True)
    return tuple(run.history)


class _Run:
    """A training under way."""

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        config: TrainingConfig,
        settings: dict[str, Any],
        *,
        draws: torch.Generator,
        device: torch.device,
    ) -> None:
        self.network, self.task, self.config, self.draws, self.device = network, task, config, draws, device
        self.settings = asdict(config) | settings
        self.rank, self.ranks = rank_of()
        self.trained: nn.Module = network
        if self.ranks > 1:
            if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules()):
                raise ValueError(
                    "the network has batch normalization, whose averages differ between processes: pass "
                    "normalization='none', or train in one process."
                )
            self.trained = nn.parallel.DistributedDataParallel(network)
        if config.batch_size % self.ranks:
            raise ValueError(
                f"batch_size is {config.batch_size}, but must be a multiple of the {self.ranks} processes that share "
                f"it."
            )
        self.optimizer = Adam(
            network.parameters(),
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            decoupled=config.optimizer == "adamw",
        )
        self.precision = precision_for(device, config.precision)
        self.history: list[EpochRecord] = []
        self.best_weights = copy.deepcopy(network.state_dict())
        self.best_epoch = 0

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or there was no progress for too long."""
        idle = len(self.history) - self.best_epoch
        return len(self.history) >= self.config.epochs or 0 < self.config.stop_after <= idle

    def epoch(self, *, tick: Callable[[], Any]) -> EpochRecord:
        """Train for one epoch, look at the validation set, and keep the weights if they are the best."""
        begun = time.perf_counter()
        self.trained.train()
        losses = []
        with _understandable(self.config.batch_size):
            for _ in range(self.config.steps_per_epoch):
                losses.append(self._step())
                tick()
        training_loss = self._mean(losses)
        self._check(training_loss, "training")
        with _understandable(self.config.batch_size):
            validation_loss = self.validate()
        self._check(validation_loss, "validation")
        record = EpochRecord(
            epoch=len(self.history) + 1,
            training_loss=training_loss,
            validation_loss=validation_loss,
            learning_rate=self.optimizer.learning_rate,
            seconds=time.perf_counter() - begun,
        )
        if not self.history or validation_loss < min(one.validation_loss for one in self.history):
            self.best_weights, self.best_epoch = copy.deepcopy(self.network.state_dict()), record.epoch
        self.history.append(record)
        return record

    def _step(self) -> torch.Tensor:
        batch = self.task.training_batch(self.config.batch_size, rng=self.draws, rank=self.rank, ranks=self.ranks)
        self._set_pace()
        self.optimizer.forget_gradients()
        with self._autocast():
            loss = self.task.loss(self.trained, batch).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimizer.step()
        return loss.detach()

    def _set_pace(self) -> None:
        peak, epochs = self.config.learning_rate, self.config.epochs
        if self.config.schedule == "one-cycle":
            steps = epochs * self.config.steps_per_epoch
            pace = one_cycle(self.optimizer.steps, steps, peak=peak)
            self.optimizer.learning_rate, self.optimizer.momentum = pace
        if self.config.schedule == "plateau":
            losses = [record.validation_loss for record in self.history]
            self.optimizer.learning_rate = peak / 2 ** halvings(losses, patience=self.config.patience)

    @torch.inference_mode()
    def validate(self) -> float:
        """Return the mean loss over the whole validation set."""
        self.trained.eval()
        losses: list[torch.Tensor] = []
        for batch in self.task.validation_batches(self.config.batch_size, rank=self.rank, ranks=self.ranks):
            with self._autocast():
                losses.extend(self.task.loss(self.network, batch))
        return self._mean(losses)

    def _mean(self, losses: list[torch.Tensor]) -> float:
        """Return the mean over all processes."""
        here = torch.stack(losses).cpu().double() if losses else torch.zeros(0, dtype=torch.float64)
        total, count = float(here.sum()), len(here)
        if self.ranks > 1:
            everywhere: list[Any] = [None] * self.ranks
            distributed.all_gather_object(everywhere, (total, count))
            total, count = math.fsum(one for one, _ in everywhere), sum(one for _, one in everywhere)
        if count == 0:
            raise ValueError("the validation set is empty: keep at least one patch apart.")
        return total / count

    def _check(self, loss: float, name: str) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the {name} loss of epoch {len(self.history) + 1} is {loss}; the network has its best weights of "
                f"before. Check that no image holds NaN, and lower learning_rate, which is "
                f"{self.config.learning_rate:g}, or clip_norm; for that, delete the file of the training's state, if "
                f"there is one."
            )

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.precision)

    def save(self, path: Path) -> None:
        """Write all that going on needs."""
        save_tensors(
            path,
            {
                "settings": self.settings,
                "weights": self.network.state_dict(),
                "best_weights": self.best_weights,
                "best_epoch": self.best_epoch,
                "optimizer": self.optimizer.state_dict(),
                "draws": self.draws.get_state(),
                "history": [asdict(record) for record in self.history],
            },
        )

    def resume(self, state: dict[str, Any], path: Path) -> None:
        """Take over what `save` wrote."""
        changed = _changes(state["settings"], self.settings)
        if changed:
            raise ValueError(
                f"{path} is the state of a training with other settings: {'; '.join(changed)}. Train with the former "
                f"settings to finish it, or delete the file to start anew."
            )
        if "steps" not in state["optimizer"]:
            raise ValueError(
                f"{path} was written by an earlier version of the course, from whose state this one cannot go on: "
                f"delete the file to start anew."
            )
        self.network.load_state_dict(state["weights"])
        self.best_weights, self.best_epoch = state["best_weights"], state["best_epoch"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.draws.set_state(state["draws"].cpu())
        self.history = [EpochRecord(**record) for record in state["history"]]


def _changes(former: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [f"{name} was {former.get(name)} and is {value}" for name, value in now.items() if former.get(name) != value]


@contextmanager
def _understandable(batch_size: int) -> Iterator[None]:
    """Say what helps where the memory does not hold a batch."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not devices.is_out_of_memory(error):
            raise
        raise TrainingError(
            f"the memory does not hold a batch of {batch_size} patches: halve batch_size, or make the patches smaller."
        ) from error
