r"""Which method for this image? Let a referee compare them, and take the simplest of the best.

Filters that learn nothing are tuned first, which takes seconds. Then networks are trained, each equally long, because
which one leads after a few steps does not tell which one leads in the end; with too little time for both, photon
splitting alone, which on photon counts has won so far. All see the same part of the data, and all are judged
by the same other part (`course_lib.noise2void.referees`), so that their *differences* are known far more sharply than
their errors.

The least error is not always taken. Of two methods whose difference is not larger than its standard error, the simpler
is: it invents less, and can be told in one line of a paper. The order is that of `METHODS`.
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from course_lib.networks import EpochRecord, Model, TrainingConfig
from course_lib.noise import NoiseStructure
from course_lib.noise2void import classical
from course_lib.noise2void.photon_splitting import SplittingConfig, train_photon_splitting
from course_lib.noise2void.referees import (
    SHARE_HELD_OUT,
    BlindSpotReferee,
    Measured,
    PhotonReferee,
    Referee,
    Restore,
)
from course_lib.noise2void.training import Config, train
from course_lib.seeding import generator

__all__ = ["METHODS", "Choice", "Judged", "choose", "proposed_extent"]

METHODS = {
    "gaussian": "Gaussian blur",
    "tv": "total variation",
    "nlm": "non-local means",
    "photon-splitting": "photon splitting",
    "noise2void": "Noise2Void",
}
"""From the simplest on, with what they are called."""

LEARNED = ("photon-splitting", "noise2void")
ONLY_COUNTS = ("tv", "nlm", "photon-splitting")
"""Methods that must know how large the noise is."""

SIGMAS_PX = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0)
STRENGTHS = (0.4, 0.55, 0.7, 0.85, 1.0, 1.3, 1.7)
WEIGHTS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0)

JUDGED_SIDE = 512
"""Pixels: of larger images a part of this side is judged, of smaller ones as many frames as have as many pixels."""
MOST_LEARNED = 2**24
"""Pixels to learn from; of longer films, frames at equal distances are taken."""
SMALLEST_LEARNED = 64
"""Pixels of a side below which nothing is learned."""
TRIAL_STEPS = (1, 4)
"""Of the two short trainings that tell what a step and an epoch cost."""
EPOCHS = 10
"""Looks at the validation set."""
FEWEST_STEPS = 100
"""Steps below which a network has hardly learned anything."""
STEPS_FOR_ALL = 500
"""Steps of each network for which there must be time, or the first learns alone: 200 cost it about 1 dB against 600."""
VIEWS_SHARE = 0.4
"""Share of the time that eight views may take at most: they gain more than as many steps, 1 dB after 300 of these."""


@dataclass(frozen=True)
class Judged:
    """One line of the referee's table.

    Attributes
    ----------
    method : str
        A key of `METHODS`, or ``"as it is"``.
    setting : str
        What it was tuned to, or how long it learned.
    error : Measured
        Its mean squared error, in the referee's unit.
    behind : Measured
        By how much that exceeds the error of the method chosen.
    """

    method: str
    setting: str
    error: Measured
    behind: Measured

    @property
    def name(self) -> str:
        """How it is called, with its setting."""
        called = METHODS.get(self.method, self.method)
        return f"{called} ({self.setting})" if self.setting else called


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The method chosen, and why.

    Attributes
    ----------
    method, setting : str
        As in its line of the table.
    reason : str
        One sentence.
    judged : tuple of Judged
        The referee's table; the first line is the image as it is.
    unit : str
        Of the errors.
    restore : callable
        Restores frames (N, Y, X), with all that they hold.
    history : tuple of EpochRecord
        Of the network, if one was chosen.
    warnings : tuple of str
        What the reader should know.
    """

    method: str
    setting: str
    reason: str
    judged: tuple[Judged, ...]
    unit: str
    restore: Restore
    history: tuple[EpochRecord, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How the method is called, with its setting."""
        return next(line.name for line in self.judged if (line.method, line.setting) == (self.method, self.setting))


@dataclass(frozen=True)
class _Tried:
    method: str
    setting: str
    restore: Restore
    estimate: torch.Tensor
    history: tuple[EpochRecord, ...] = ()


def proposed_extent(structure: NoiseStructure) -> tuple[int, int]:
    """Return how far, down and right, neighbours share their noise, in pixels.

    Examples
    --------
    >>> from course_lib.noise import detect_structure
    >>> noise = torch.randn(4, 128, 128, generator=torch.Generator().manual_seed(0))
    >>> proposed_extent(detect_structure(noise + noise.roll(1, dims=-1)))
    (0, 1)
    """
    reach = structure.autocorrelation.shape[-1] // 2
    down = [lag for lag in range(1, reach + 1) if abs(structure.at(lag, 0)) > structure.limit]
    right = [lag for lag in range(1, reach + 1) if abs(structure.at(0, lag)) > structure.limit]
    return max(down, default=0), max(right, default=0)


def choose(
    frames: torch.Tensor,
    *,
    noise: Literal["photons", "unknown"],
    mask_extent: tuple[int, int] = (0, 0),
    methods: Collection[str] = tuple(METHODS),
    minutes: float = 2.0,
    steps: int | None = None,
    rng: int | torch.Generator | None,
    device: str | torch.device = "auto",
    progress: bool = True,
    tell: Callable[[str], None] | None = None,
) -> Choice:
    """Compare methods on frames, and return the one that restores them best.

    Parameters
    ----------
    frames : torch.Tensor, shape (N, Y, X)
        Noisy images of one kind.
    noise : {"photons", "unknown"}
        Whether the values are photon counts, whose noise is known. Otherwise only a Gaussian blur and Noise2Void
        compete, judged by hidden pixels.
    mask_extent : (int, int)
        How far, down and right, the noise of pixels is shared; anything but (0, 0) needs ``noise="unknown"``.
    methods : collection of str
        Keys of `METHODS` that may be chosen.
    minutes : float
        Time for all of it, on this machine. How long networks learn then differs from run to run.
    steps : int, optional
        How long the network learns instead, in ten equal epochs; the same seed then gives the same result.
    rng : int, torch.Generator or None
        Seed of all draws.
    device : str or torch.device
        Where networks are trained.
    progress : bool
        Show bars.
    tell : callable
        Is told what is going on, a line each time.

    Raises
    ------
    ValueError
        If no method is left, or the frames do not fit.

    Examples
    --------
    >>> rows = torch.linspace(0, 6, 96)
    >>> scene = 20 * (1.2 + torch.sin(rows)[:, None] * torch.cos(rows))
    >>> counts = torch.poisson(scene, generator=torch.Generator().manual_seed(0))
    >>> choice = choose(counts[None], noise="photons", methods=["gaussian", "tv"], rng=0)
    >>> choice.name
    'Gaussian blur (σ = 3 px)'
    """
    clock, tell = _Clock(60 * minutes), tell or _nobody
    draws = generator(rng)
    if frames.ndim != 3:
        raise ValueError(f"frames has shape {tuple(frames.shape)}, but must be (N, Y, X): one frame is frames[None].")
    usable = [name for name in METHODS if name in methods and (noise == "photons" or name not in ONLY_COUNTS)]
    warnings = []
    if min(frames.shape[-2:]) < SMALLEST_LEARNED and set(usable) & set(LEARNED):
        usable = [name for name in usable if name not in LEARNED]
        warnings.append(
            f"the image has {frames.shape[-2]} × {frames.shape[-1]} pixels, too few to learn from: networks need at "
            f"least {SMALLEST_LEARNED} × {SMALLEST_LEARNED}."
        )
    if not usable:
        raise ValueError(
            f"of the methods {', '.join(methods)} none fits this image: "
            f"{warnings[0] if warnings else 'all but gaussian and noise2void need photon counts.'}"
        )
    learned, judged = _parts(frames)
    referee: Referee
    if noise == "photons":
        referee = PhotonReferee(learned, judged=judged, rng=draws)
    else:
        referee = BlindSpotReferee(learned.float(), judged=judged, mask_extent=mask_extent, rng=draws)
    tried = [_tuned(name, referee) for name in usable if name not in LEARNED]
    for one in tried:
        tell(f"{METHODS[one.method]}, {one.setting}: error {_shown(referee.error(one.estimate))} {referee.unit}")
    networks = [name for name in usable if name in LEARNED]
    if networks:
        school = _School(referee, noise, mask_extent, draws, device, progress, tell)
        for one in school.learn(networks, clock, frames.numel(), steps):
            tell(f"{METHODS[one.method]}, {one.setting}: error {_shown(referee.error(one.estimate))} {referee.unit}")
            tried.append(one)
        warnings += school.warnings
    return _verdict(referee, tried, tuple(warnings))


def _nobody(text: str) -> None:
    """Tell nobody."""


class _Clock:
    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()


def _parts(frames: torch.Tensor) -> tuple[torch.Tensor, tuple[Any, ...]]:
    """Return the frames to learn from, and an index of the part of them that is judged."""
    height, width = frames.shape[-2:]
    every = -(-frames.numel() // MOST_LEARNED)
    learned = frames[:: min(every, len(frames))]
    most = max(1, JUDGED_SIDE**2 // (min(height, JUDGED_SIDE) * min(width, JUDGED_SIDE)))
    numbers = torch.linspace(0, len(learned) - 1, min(most, len(learned)) + 2)[1:-1].round().long()
    contrast = learned[numbers].float().mean(dim=0)
    return learned, (numbers[:, None, None], *_busiest(contrast))


def _busiest(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return indices, rows and columns, of the part of an image, of `JUDGED_SIDE` at most, that varies most."""
    sides = [min(side, JUDGED_SIDE) for side in image.shape]
    smooth = torch.nn.functional.avg_pool2d(image[None], 8)[0] if min(image.shape) >= 8 * 8 else image
    scale = image.shape[0] / smooth.shape[0]
    best, place = -1.0, (0, 0)
    for top in range(0, image.shape[0] - sides[0] + 1, JUDGED_SIDE // 4):
        for left in range(0, image.shape[1] - sides[1] + 1, JUDGED_SIDE // 4):
            rows = slice(int(top / scale), int((top + sides[0]) / scale))
            columns = slice(int(left / scale), int((left + sides[1]) / scale))
            spread = float(smooth[rows, columns].var())
            if spread > best:
                best, place = spread, (top, left)
    rows_of, columns_of = (torch.arange(start, start + side) for start, side in zip(place, sides, strict=True))
    return rows_of[:, None], columns_of


def _tuned(method: str, referee: Referee) -> _Tried:
    """Return a filter with the setting that the referee likes best."""
    made: dict[str, tuple[tuple[float, ...], Callable[[float], Restore], str]] = {
        "gaussian": (SIGMAS_PX, lambda sigma: lambda image: classical.gaussian(image, sigma=sigma), "σ = {:g} px"),
        "tv": (WEIGHTS, lambda weight: lambda counts: classical.total_variation(counts, weight=weight), "weight {:g}"),
        "nlm": (
            STRENGTHS,
            lambda strength: lambda counts: classical.nonlocal_means(counts, strength=strength),
            "strength {:g}",
        ),
    }
    values, make, words = made[method]
    best: _Tried | None = None
    for value in values:
        restore = make(value)
        estimate = referee.estimate(restore)
        if best is None or referee.difference(estimate, best.estimate).value < 0:
            best = _Tried(method, words.format(value), restore, estimate)
    assert best is not None
    return best


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
class _School:
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

    def learn(self, methods: list[str], clock: _Clock, pixels: int, steps: int | None) -> Iterator[_Tried]:
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

    def _measured(self, methods: list[str], clock: _Clock, pixels: int) -> tuple[dict[str, _Cost], float]:
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

    def _trained(self, method: str, steps: int) -> _Tried:
        model = self._model(method, steps // min(EPOCHS, steps), epochs=min(EPOCHS, steps), progress=self.progress)
        restore = _predictor(model, views=self.views, device=self.device)
        estimate = self.referee.estimate(restore)
        shown = 1 - SHARE_HELD_OUT if self.noise == "photons" else 1.0
        return _Tried(method, f"{steps} steps", lambda frames: restore(frames * shown) / shown, estimate, model.history)

    def _model(self, method: str, steps_per_epoch: int, *, epochs: int, progress: bool) -> Model:
        shown = self.referee.shown
        side = 64 if max(shown.shape[-2:]) >= 128 else 32
        length = TrainingConfig(epochs=epochs, steps_per_epoch=steps_per_epoch)
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


def _verdict(referee: Referee, tried: list[_Tried], warnings: tuple[str, ...]) -> Choice:
    """Take the simplest of those that are not measurably worse than the best."""
    order = list(METHODS)
    tried = sorted(tried, key=lambda one: order.index(one.method))
    best = min(tried, key=lambda one: referee.difference(one.estimate, tried[0].estimate).value)
    apart = {one.method: referee.difference(one.estimate, best.estimate) for one in tried}
    chosen = next(one for one in tried if one is best or apart[one.method].value < apart[one.method].standard_error)
    as_it_is = _Tried("as it is", "", lambda frames: frames, referee.estimate(lambda frames: frames))
    lines = tuple(
        Judged(one.method, one.setting, referee.error(one.estimate), referee.difference(one.estimate, chosen.estimate))
        for one in (as_it_is, *tried)
    )
    name = METHODS[chosen.method][0].upper() + METHODS[chosen.method][1:]
    others = [line for line in lines[1:] if line.method != chosen.method]
    if chosen is not best:
        reason = (
            f"{name} is chosen: {METHODS[best.method]} is not measurably better, by {_shown(apart[chosen.method])} "
            f"{referee.unit}, and it is simpler."
        )
    elif others:
        second = min(others, key=lambda line: line.behind.value)
        reason = (
            f"{name} is chosen: it has the least error; that of {METHODS[second.method]}, which comes next, is larger "
            f"by {_shown(second.behind)} {referee.unit}."
        )
    else:
        reason = f"{name} was asked for."
    return Choice(
        method=chosen.method,
        setting=chosen.setting,
        reason=reason,
        judged=lines,
        unit=referee.unit,
        restore=chosen.restore,
        history=chosen.history,
        warnings=warnings,
    )


def _shown(measured: Measured) -> str:
    """Return a number with its standard error, both with the digits that count.

    Examples
    --------
    >>> _shown(Measured(12.3456, 0.0345))
    '12.346 ± 0.035'
    """
    digits = 3
    if measured.standard_error > 0:
        digits = max(0, 1 - math.floor(math.log10(measured.standard_error)))
    return f"{measured.value:.{digits}f} ± {measured.standard_error:.{digits}f}"
