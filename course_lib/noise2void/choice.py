r"""Which method for this image? Let a referee compare them, and take the simplest of the best.

Filters that learn nothing are tuned first, which takes seconds. Then networks are trained, each equally long, because
which one leads after a few steps does not tell which one leads in the end; with too little time for both, photon
splitting alone, which on photon counts has won so far. All see the same part of the data, and all are judged
by the same other part (`course_lib.noise2void.referees`), so that their *differences* are known far more sharply than
their errors.

The least error is not always taken. Of two methods whose difference is not larger than twice its standard error, the
simpler is: it invents less, and can be told in one line of a paper. The order is that of `METHODS`.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from course_lib.networks import EpochRecord
from course_lib.noise import NoiseStructure
from course_lib.noise2void import classical
from course_lib.noise2void.referees import BlindSpotReferee, Measured, PhotonReferee, Referee, Restore
from course_lib.noise2void.school import METHODS, Clock, School, Tried
from course_lib.seeding import generator

__all__ = ["METHODS", "Choice", "Judged", "choose", "proposed_extent"]

LEARNED = ("photon-splitting", "noise2void")
ONLY_COUNTS = ("tv", "nlm", "photon-splitting")
"""Methods that must know how large the noise is."""

SIGMAS_PX = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0)
STRENGTHS = (0.4, 0.55, 0.7, 0.85, 1.0, 1.3, 1.7)
WEIGHTS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0)

SURE = 4.0
"""Standard errors below 0 from which an error is taken for impossible."""
JUDGED_SIDE = 512
"""Pixels: of larger images a part of this side is judged, of smaller ones as many frames as have as many pixels."""
MOST_LEARNED = 2**24
"""Pixels to learn from; of longer films, frames at equal distances are taken."""
SMALLEST_LEARNED = 64
"""Pixels of a side below which nothing is learned."""


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
    restore : callable
        Restores frames (N, Y, X), with all that they hold, by this method.
    """

    method: str
    setting: str
    error: Measured
    behind: Measured
    restore: Restore = field(repr=False, compare=False)

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
    clock, tell = Clock(60 * minutes), tell or _nobody
    draws = generator(rng)
    _check(frames, noise, mask_extent, methods, steps)
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
        school = School(referee, noise, mask_extent, draws, device, progress, tell)
        for one in school.learn(networks, clock, frames.numel(), steps):
            tell(f"{METHODS[one.method]}, {one.setting}: error {_shown(referee.error(one.estimate))} {referee.unit}")
            tried.append(one)
        warnings += school.warnings
    if networks and any(mask_extent):
        down, right = mask_extent
        warnings.append(
            f"Noise2Void hid pixels together with those that share their noise, as far as {down} down and {right} "
            f"right: spots of {2 * down + 1} × {2 * right + 1} pixels and less lose light that way, and may get dark "
            f"middles. Compare them with the raw image."
        )
    choice = _verdict(referee, tried, tuple(warnings))
    impossible = [line for line in choice.judged if line.error.value < -SURE * line.error.standard_error]
    if noise == "photons" and impossible:
        worst = min(impossible, key=lambda line: line.error.value / line.error.standard_error)
        warning = (
            f"{worst.name} would have an error of {_shown(worst.error)} {choice.unit}, but no squared error is below "
            f"0: the values have less noise than photons of their number. Are an offset or grey levels in them? Give "
            f"gain and offset, or take noise='unknown'."
        )
        choice = replace(choice, warnings=(*choice.warnings, warning))
    return choice


def _check(
    frames: torch.Tensor, noise: str, mask_extent: tuple[int, int], methods: Collection[str], steps: int | None
) -> None:
    if frames.ndim != 3:
        raise ValueError(f"frames has shape {tuple(frames.shape)}, but must be (N, Y, X): one frame is frames[None].")
    if not frames.numel():
        raise ValueError(f"frames has shape {tuple(frames.shape)}, which holds no pixel: give at least one frame.")
    if noise not in ("photons", "unknown"):
        raise ValueError(f"noise is {noise!r}, but must be 'photons' or 'unknown'.")
    if noise == "photons" and any(mask_extent):
        raise ValueError(
            f"mask_extent is {mask_extent}, but the noise of photons is shared with no neighbour: pass noise='unknown'."
        )
    strangers = [name for name in methods if name not in METHODS]
    if strangers:
        raise ValueError(f"there is no method {', '.join(strangers)}: choose of {', '.join(METHODS)}.")
    if steps is not None and steps < 1:
        raise ValueError(f"steps is {steps}, but must be at least 1: 600 suit many images.")


def _nobody(text: str) -> None:
    """Tell nobody."""


def _parts(frames: torch.Tensor) -> tuple[torch.Tensor, tuple[Any, ...]]:
    """Return the frames to learn from, and an index of the part of them that is judged."""
    height, width = frames.shape[-2:]
    every = -(-frames.numel() // MOST_LEARNED)
    learned = frames[:: min(every, len(frames))]
    most = max(1, JUDGED_SIDE**2 // (min(height, JUDGED_SIDE) * min(width, JUDGED_SIDE)))
    count = min(most, len(learned))
    numbers = ((torch.arange(count) + 0.5) * len(learned) / count).long()
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


def _tuned(method: str, referee: Referee) -> Tried:
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
    best: Tried | None = None
    for value in values:
        restore = make(value)
        estimate = referee.estimate(restore)
        if best is None or referee.difference(estimate, best.estimate).value < 0:
            best = Tried(method, words.format(value), restore, estimate)
    assert best is not None
    return best


def _verdict(referee: Referee, tried: list[Tried], warnings: tuple[str, ...]) -> Choice:
    """Take the simplest of those that are not measurably worse than the best."""
    order = list(METHODS)
    tried = sorted(tried, key=lambda one: order.index(one.method))
    best = min(tried, key=lambda one: referee.difference(one.estimate, tried[0].estimate).value)
    apart = {one.method: referee.difference(one.estimate, best.estimate) for one in tried}
    chosen = next(one for one in tried if one is best or apart[one.method].value < 2 * apart[one.method].standard_error)
    as_it_is = Tried("as it is", "", lambda frames: frames, referee.estimate(lambda frames: frames))
    lines = tuple(
        Judged(
            one.method,
            one.setting,
            referee.error(one.estimate),
            referee.difference(one.estimate, chosen.estimate),
            one.restore,
        )
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
        restore=lambda frames: chosen.restore(frames.float()),
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
