"""The exercises of the chapter *Fluorescence and the photon budget*."""

import math

import numpy as np
import torch

from course_lib import fluorescence
from course_lib.exercises.exercise import Case, Exercise, Mistake

__all__ = ["bleaching_rate", "corrected_snr", "longest_movie"]


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


# the bleaching rate ---------------------------------------------------------------------------------------

FRAMES = 20


def _draw_rate(rng: torch.Generator) -> Case:
    rate, background = _uniform(rng, 0.05, 0.15), _uniform(rng, 60, 120)
    cell = _uniform(rng, 300, 600) * torch.linspace(0.5, 1.5, 64)[:, None].expand(64, 64)
    survivors = torch.exp(-rate * torch.arange(FRAMES))
    movie = torch.poisson(cell * survivors[:, None, None] + background, generator=rng)
    return Case((movie, background), rate)


def _slope(trace: torch.Tensor) -> float:
    """Return the slope of a straight line through equally spaced points."""
    step = torch.arange(len(trace), dtype=torch.float64)
    step = step - step.mean()
    return float((step * trace.double()).sum() / (step**2).sum())


def _rate(movie: torch.Tensor, background: float) -> float:
    return -_slope((movie.mean(dim=(1, 2)) - background).log())


def _line(movie: torch.Tensor, background: float) -> np.ndarray:
    """Return slope and intercept of the logarithm."""
    trace = (movie.mean(dim=(1, 2)) - background).log()
    return np.polyfit(np.arange(len(trace)), trace.numpy(), 1)


FORGOTTEN = "The background does not bleach, and makes the decay look slow: subtract it before you"


bleaching_rate = Exercise(
    draw=_draw_rate,
    solution=_rate,
    mistakes=(
        Mistake(
            lambda movie, background: -_slope(movie.mean(dim=(1, 2)).log()),
            f"{FORGOTTEN} take the logarithm.",
        ),
        Mistake(
            lambda movie, background: float((movie[0].mean() / movie[-1].mean()).log()) / (FRAMES - 1),
            f"{FORGOTTEN} compare the first frame with the last.",
        ),
        Mistake(
            lambda movie, background: fluorescence.fit_bleaching(movie.mean(dim=(1, 2))).rate,
            f"{FORGOTTEN} fit, or tell fit_bleaching of it: background=background.",
        ),
        Mistake(
            _line,
            "numpy.polyfit returns two numbers, slope and intercept. The rate is minus the slope alone.",
        ),
        Mistake(
            lambda movie, background: _line(movie, background)[1],
            "That is the intercept, the logarithm of the brightness in frame 0. The rate is minus the slope, which "
            "numpy.polyfit returns first.",
        ),
        Mistake(
            lambda movie, background: 100 * _rate(movie, background),
            "That is in per cent. Asked for is the rate k itself, a number such as 0.1 per frame.",
        ),
        Mistake(
            lambda movie, background: 1 / _rate(movie, background),
            "That is the number of frames after which 37 % are left, 1/k. Asked for is the rate k, per frame.",
        ),
        Mistake(
            lambda movie, background: math.log(2) / _rate(movie, background),
            "That is the half-life, ln 2 / k. Asked for is the rate k, per frame.",
        ),
        Mistake(
            lambda movie, background: -_rate(movie, background),
            "Right but for the sign: in exp(−k·t) the rate k is positive.",
        ),
        Mistake(
            lambda movie, background: _rate(movie, background) / math.log(10),
            "You took the logarithm to the base 10. The decay is a power of e: use the natural logarithm, torch.log.",
        ),
        Mistake(
            lambda movie, background: math.exp(-_rate(movie, background)),
            "That is the share that survives one frame, exp(−k). The rate is minus its natural logarithm.",
        ),
        Mistake(
            lambda movie, background: 1 - math.exp(-_rate(movie, background)),
            "That is the share lost in one frame, 1 − exp(−k): near k where k is small, but not the same.",
        ),
        Mistake(
            lambda movie, background: _rate(movie, background) * (FRAMES - 1) / FRAMES,
            "Twenty frames have nineteen intervals between the first and the last: divide by those.",
        ),
        Mistake(
            lambda movie, background: -_slope(movie.mean(dim=(1, 2)) - background),
            "That is the slope of the brightness, in photons a frame. A rate is a share per frame: fit the logarithm.",
        ),
    ),
    relative_tolerance=0.02,
    mistake_tolerance=0.002,
    praise="Within 2 % of the hidden rates. You can now say of any movie how much of its budget each frame spends.",
)


# the longest movie ----------------------------------------------------------------------------------------

WANTED_SNR = 5.0


def _draw_movie(rng: torch.Generator) -> Case:
    """Draw a bright movie on a faint background, so faint that even B / R and √B stay below 5.

    Then the loop of a reader who takes the background for signal ends as well.
    """
    arguments = (
        _uniform(rng, 3000, 9000),
        _uniform(rng, 0.01, 0.04),
        _uniform(rng, 8, 14),
        _uniform(rng, 3, 5),
    )
    return Case(arguments, _longest(*arguments))


def _least_photons(behind: float) -> float:
    """Return N of N / √(N + behind) = 5."""
    return (WANTED_SNR**2 + WANTED_SNR * math.sqrt(WANTED_SNR**2 + 4 * behind)) / 2


def _square_root_sum(rest: float) -> float:
    """Return y of y² = 5 y + rest."""
    return (WANTED_SNR + math.sqrt(WANTED_SNR**2 + 4 * rest)) / 2


def _last_frame(photons: float, rate: float, least: float) -> float:
    """Return the time, in frames, at which `photons` have fallen to `least`."""
    return math.log(photons / least) / rate


def _frames(photons: float, rate: float, least: float) -> int:
    """Return how many frames, counted from 0, have at least `least` photons."""
    return math.floor(_last_frame(photons, rate, least)) + 1


def _longest(photons: float, rate: float, background: float, read_noise_e: float) -> int:
    return _frames(photons, rate, _least_photons(background + read_noise_e**2))


longest_movie = Exercise(
    draw=_draw_movie,
    solution=_longest,
    mistakes=(
        Mistake(
            lambda n, k, b, r: math.floor(_last_frame(n, k, _least_photons(b + r**2))),
            "You returned the number of the last good frame. Frames count from 0, so there is one more of them.",
        ),
        Mistake(
            lambda n, k, b, r: _last_frame(n, k, _least_photons(b + r**2)),
            "You returned a time, with decimals. A movie has whole frames: count those that stay above 5.",
        ),
        Mistake(
            lambda n, k, b, r: 0,
            "You found no frame at all. N / (N + B + R²) never reaches 5: the noise is the root of that sum. If you "
            "have the root, start at frame 0 and go on while the SNR is at least 5.",
        ),
        Mistake(
            lambda n, k, b, r: min(_longest(n, k, b, r), 100),
            "Your count stops at 100 frames. Some movies are longer: go on until the SNR falls below 5.",
        ),
        Mistake(
            lambda n, k, b, r: _frames(n, k, _least_photons(r**2) - b),
            "The background is not signal: only N e^(−k·i) stands above the root, the background only below it.",
        ),
        Mistake(
            lambda n, k, b, r: _frames(n, -math.log(1 - k), _least_photons(b + r**2)),
            "You let frame i have N (1 − k)^i photons. The rate k is that of the exponential, N e^(−k·i), which falls "
            "by slightly less than the share k in each frame.",
        ),
        Mistake(
            lambda n, k, b, r: _frames(n, k, _least_photons(0.0)),
            "You counted shot noise of the cell alone. Background and read noise stay while the cell fades: "
            "N + B + R² under the root.",
        ),
        Mistake(
            lambda n, k, b, r: _frames(n, k, _least_photons(r**2)),
            "The background is missing under the root, or fades there with the cell. Its mean can be subtracted, its "
            "noise cannot, and it does not bleach.",
        ),
        Mistake(
            lambda n, k, b, r: _frames(n, k, _least_photons(b)),
            "The read noise is missing under the root: add R².",
        ),
        Mistake(
            lambda n, k, b, r: _frames(n, k, _least_photons(b + r)),
            "Read noise is a standard deviation, and variances add: square it.",
        ),
        Mistake(
            lambda n, k, b, r: _frames(n, k, _square_root_sum(WANTED_SNR * (math.sqrt(b) + r)) ** 2),
            "You added standard deviations, √N + √B + R. Variances add, and one root is taken of their sum: "
            "√(N + B + R²).",
        ),
        Mistake(
            lambda n, k, b, r: _frames(n, k, _square_root_sum(b + WANTED_SNR * r) ** 2 - b),
            "You added the read noise to the root, √(N + B) + R. Variances add: R² belongs under the root.",
        ),
        Mistake(
            lambda n, k, b, r: math.floor(math.log((n / math.sqrt(n + b + r**2)) / WANTED_SNR) / k) + 1,
            "You let the SNR fade like the brightness, as exp(−k·i). It does not: compute it anew from the photons "
            "that are left in each frame.",
        ),
    ),
    relative_tolerance=0.0,
    mistake_tolerance=0.0,
    praise="Right to the frame. This is how to plan a movie before the first photon is spent.",
)


# brightness correction ------------------------------------------------------------------------------------


def _draw_correction(rng: torch.Generator) -> Case:
    rate, photons = _uniform(rng, 0.1, 0.2), _uniform(rng, 200, 400)
    survivors = torch.exp(-rate * torch.arange(12))
    movie = torch.poisson((photons * survivors)[:, None, None].expand(-1, 96, 96), generator=rng)
    return Case((movie,), _snr_of_frames(movie))


def _snr_of_frames(movie: torch.Tensor) -> torch.Tensor:
    return movie.mean(dim=(1, 2)) / movie.std(dim=(1, 2))


def _corrected(movie: torch.Tensor) -> torch.Tensor:
    brightness = movie.mean(dim=(1, 2), keepdim=True)
    return movie * (brightness[0] / brightness)


corrected_snr = Exercise(
    draw=_draw_correction,
    solution=lambda movie: _snr_of_frames(_corrected(movie)),
    mistakes=(
        Mistake(
            lambda movie: _corrected(movie).mean(dim=(1, 2)).sqrt(),
            "Your SNR is the same in all frames. The noise of a corrected frame is neither that of the first frame nor "
            "the root of the corrected brightness, which is the noise of photons that never came. Measure it: the "
            "standard deviation over the pixels of each corrected frame.",
        ),
        Mistake(
            lambda movie: _corrected(movie).mean(dim=(1, 2)) / movie.std(dim=(1, 2)),
            "You corrected the signal but not its noise. The factor multiplies every pixel, noise included.",
        ),
        Mistake(
            lambda movie: _corrected(movie).mean(dim=(1, 2)) / _corrected(movie).var(dim=(1, 2)),
            "You divided by the variance. The noise is its square root, the standard deviation.",
        ),
        Mistake(
            lambda movie: _corrected(movie).mean(dim=(1, 2)),
            "That is the brightness of the corrected frames, all alike. Divide it by the noise of each.",
        ),
        Mistake(
            lambda movie: _snr_of_frames(_corrected(movie)).mean(),
            "That is one number, the mean over the movie. Return one for each frame, as a tensor (T,).",
        ),
        Mistake(
            lambda movie: _corrected(movie).mean(dim=0) / _corrected(movie).std(dim=0),
            "You took mean and standard deviation over time, and got one number for each pixel. Take them over the "
            "pixels of each frame: dim=(1, 2).",
        ),
        Mistake(
            lambda movie: _corrected(movie).mean() / _corrected(movie).std(),
            "You took one mean and one standard deviation over the whole movie. Take them over the pixels of each "
            "frame, dim=(1, 2), and return a tensor (T,).",
        ),
        Mistake(
            lambda movie: (_corrected(movie), _snr_of_frames(_corrected(movie))),
            "You returned the corrected movie as well. Return the SNR of the frames alone, a tensor (T,).",
        ),
        Mistake(
            lambda movie: _corrected(movie),
            "That is the corrected movie. Go on: divide the mean of each frame by its standard deviation.",
        ),
        Mistake(
            lambda movie: 1 / _snr_of_frames(_corrected(movie)),
            "That is noise over signal. The SNR is its inverse.",
        ),
    ),
    relative_tolerance=0.04,
    mistake_tolerance=0.03,
    praise="The corrected frames are equally bright, and their SNR falls all the same: the factor has cancelled. "
    "Brightness can be given back, photons cannot.",
)
