r"""Train the networks that compete for an image, in the time there is.

What a step costs is found from two short trainings. Networks learn equally long, because which one leads after a few
steps does not tell which one leads in the end.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch

from course_lib.networks import EpochRecord, Model, TrainingConfig
from course_lib.noise2void.photon_splitting import SplittingConfig, train_photon_splitting
from course_lib.noise2void.referees import SHARE_HELD_OUT, Referee, Restore
from course_lib.noise2void.training import Config, train

__all__ = ["METHODS", "Clock", "School", "Tried"]

METHODS = {
    "gaussian": "Gaussian blur",
    "tv": "total variation",
    "nlm": "non-local means",
    "photon-splitting": "photon splitting",
    "noise2void": "Noise2Void",
}
"""From the simplest on, with what they are called."""

TRIAL_STEPS = (1, 4)
"""Of the two short trainings that tell what a step and an epoch cost."""
EPOCHS = 10
"""Looks at the validation set."""
BATCH = 8
"""Patches of a step: half as many as elsewhere, which in equal time led as far or farther on images tried for it."""
FEWEST_STEPS = 100
"""Steps below which a network has hardly learned anything."""
STEPS_FOR_ALL = 500
"""Steps of each network for which there must be time, or the first learns alone: 200 cost it about 1 dB against 600."""
VIEWS_SHARE = 0.4
"""Share of the time that eight views may take at most: they gain more than as many steps, 1 dB after 300 of these."""


@dataclass(frozen=True)
class Tried:
    """A method that was tried, and what it made of the part that is judged."""

    method: str
    setting: str
    restore: Restore
    estimate: torch.Tensor
    history: tuple[EpochRecord, ...] = ()


class Clock:
    """Tells how much of a given time is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()


@dataclass(frozen=True)
class _Cost:
    """Seconds of a step, and of a look at the validation set."""

    step: float
    epoch: float

    @classmethod
    def of(cls, costs: Iterable["_Cost"]) -> "_Cost":
        """Return the cost of several trainings together."""
        given = list(costs)
        return cls(sum(cost.step for cost in given), sum(cost.epoch for cost in given))

    def seconds(self, steps: int) -> float:
        """Return how long a training takes."""
        return steps * self.step + min(EPOCHS, steps) * self.epoch

    def steps(self, seconds: float) -> int:
        """Return the steps for which there is time; at least one."""
        return max(1, int((seconds - EPOCHS * self.epoch) / self.step))


def _whole_epochs(steps: int) -> int:
    """Return the steps of as many equal epochs as there can be.

    Examples
    --------
    >>> _whole_epochs(607), _whole_epochs(7)
    (600, 7)
    """
    epochs = max(1, min(EPOCHS, steps))
    return steps // epochs * epochs


@dataclass
class School:
    """Trains networks in the time there is."""

    referee: Referee
    noise: str
    mask_extent: tuple[int, int]
    draws: torch.Generator
    device: str | torch.device
    progress: bool
    tell: Callable[[str], None]
    warnings: list[str] = field(default_factory=list)
    views: Literal[1, 8] = 1

    def learn(self, methods: list[str], clock: Clock, pixels: int, steps: int | None) -> Iterator[Tried]:
        """Train each of `methods` equally long, or the first alone where the time is too short for all."""
        costs = {name: _Cost(0.0, 0.0) for name in methods}
        if steps is None:
            costs, reserve = self._measured(methods, clock, pixels)
            steps = _Cost.of(costs.values()).steps(clock.left - reserve)
            if steps < STEPS_FOR_ALL and len(methods) > 1:
                self.tell(f"there is no time for {METHODS[methods[1]]}, too: {METHODS[methods[0]]} learns alone")
                methods = methods[:1]
                steps = costs[methods[0]].steps(clock.left - reserve)
            if steps < FEWEST_STEPS:
                self.warnings.append(
                    f"there was time for {steps} steps of {METHODS[methods[0]]} only, too few to learn much: give it "
                    f"more minutes."
                )
        else:
            self.views = 8 if self._is_turned else 1
        steps = _whole_epochs(steps)
        for name in methods:
            seconds = costs[name].seconds(steps)
            self.tell(f"{METHODS[name]} learns for {steps} steps{f', about {seconds:.0f} s' if seconds else ''}")
            yield self._trained(name, steps)

    @property
    def _is_turned(self) -> bool:
        """Whether an image may be shown turned; not to a network that learned noise along one axis."""
        return self.mask_extent[0] == self.mask_extent[1]

    def _measured(self, methods: list[str], clock: Clock, pixels: int) -> tuple[dict[str, _Cost], float]:
        """Return what each training costs, and the seconds that restoring and judging will take in the end."""
        costs = {}
        for name in methods:
            short, long = (self._model(name, count, epochs=2, progress=False) for count in TRIAL_STEPS)
            costs[name] = _cost(short.history, long.history)
        begun = time.monotonic()
        self.referee.estimate(_predictor(long, views=1, device=self.device))
        judging = time.monotonic() - begun
        predicting = judging * (len(methods) + pixels / self.referee.pixels)
        if self._is_turned and VIEWS_SHARE * clock.left > 8 * predicting:
            self.views = 8
        return costs, self.views * predicting

    def _trained(self, method: str, steps: int) -> Tried:
        model = self._model(method, steps // min(EPOCHS, steps), epochs=min(EPOCHS, steps), progress=self.progress)
        restore = _predictor(model, views=self.views, device=self.device)
        estimate = self.referee.estimate(restore)
        shown = 1 - SHARE_HELD_OUT if self.noise == "photons" else 1.0
        return Tried(method, f"{steps} steps", lambda frames: restore(frames * shown) / shown, estimate, model.history)

    def _model(self, method: str, steps_per_epoch: int, *, epochs: int, progress: bool) -> Model:
        shown = self.referee.shown
        side = 64 if max(shown.shape[-2:]) >= 128 else 32
        length = TrainingConfig(epochs=epochs, steps_per_epoch=steps_per_epoch, batch_size=BATCH)
        if method == "photon-splitting":
            splitting = SplittingConfig(patch_side=side)
            return train_photon_splitting(
                shown, splitting, length, rng=self.draws, device=self.device, progress=progress
            )
        down, right = self.mask_extent
        config = Config(
            patch_side=side,
            mask_extent_y=down,
            mask_extent_x=right,
            neighborhood_radius=max(5, min(down, right) + 1),
        )
        return train(shown, config, length, rng=self.draws, device=self.device, progress=progress)


def _cost(short: tuple[EpochRecord, ...], long: tuple[EpochRecord, ...]) -> _Cost:
    """Return what a training costs, from the fastest epochs of two lengths.

    Examples
    --------
    >>> def epoch(seconds):
    ...     return EpochRecord(epoch=1, training_loss=0.0, validation_loss=0.0, learning_rate=0.0, seconds=seconds)
    >>> _cost((epoch(3.0), epoch(1.5)), (epoch(3.0), epoch(3.1)))
    _Cost(step=0.5, epoch=1.0)
    """
    fast, slow = (min(record.seconds for record in history) for history in (short, long))
    few, many = TRIAL_STEPS
    step = max((slow - fast) / (many - few), slow / (2 * many))
    return _Cost(step, max(0.0, fast - few * step))


def _predictor(model: Model, *, views: Literal[1, 8], device: str | torch.device) -> Restore:
    return lambda frames: model.predict(frames, views=views, device=device)
