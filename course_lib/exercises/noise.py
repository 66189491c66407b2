"""The exercises of the chapter *Noise and SNR*."""

import torch

from course_lib import metrics, noise
from course_lib.exercises.exercise import Case, Exercise, Mistake

__all__ = ["gain", "snr_with_background", "structured_camera"]


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


# gain ---------------------------------------------------------------------------------------------------


def _draw_gain(rng: torch.Generator) -> Case:
    shape = (384, 384)
    camera = noise.Camera(
        gain_e_per_adu=_uniform(rng, 0.3, 3.0),
        offset_adu=float(round(_uniform(rng, 200, 600))),
        read_noise_e=_uniform(rng, 8.0, 12.0),
        pixel_response=noise.pixel_response_map(shape, nonuniformity=0.03, rng=rng),
    )
    flat = torch.full((2, *shape), _uniform(rng, 600, 1500))
    pair = camera.capture(flat, rng=rng)
    dark_pair = camera.capture(torch.zeros_like(flat), rng=rng)
    return Case((pair[0], pair[1], dark_pair[0], dark_pair[1]), camera.gain_e_per_adu)


def _gain(
    first: torch.Tensor, second: torch.Tensor, dark_first: torch.Tensor, dark_second: torch.Tensor
) -> torch.Tensor:
    signal = (first + second).mean() / 2 - (dark_first + dark_second).mean() / 2
    variance = (first - second).var() / 2 - (dark_first - dark_second).var() / 2
    return signal / variance


gain = Exercise(
    draw=_draw_gain,
    solution=_gain,
    mistakes=(
        Mistake(
            lambda a, b, c, d: 1 / _gain(a, b, c, d),
            "That is the slope, in ADU per electron. The gain is in electrons per ADU: take its inverse.",
        ),
        Mistake(
            lambda a, b, c, d: (a.mean() - c.mean()) / (a.var() - c.var()),
            "You took the variance over the pixels of one frame. It also counts the pixels' different "
            "responses (PRNU). Take the variance of the difference of the two frames, which cancels them.",
        ),
        Mistake(
            lambda a, b, c, d: ((a + b).mean() / 2 - (c + d).mean() / 2) / ((a - b).var() - (c - d).var()),
            "A difference of two frames has twice the variance of one: divide it by 2.",
        ),
        Mistake(
            lambda a, b, c, d: (a.mean() - c.mean()) / ((a - b).var() / 2),
            "Your variance still contains the read noise, which is there without light: subtract the variance of "
            "the difference of the dark frames.",
        ),
        Mistake(
            lambda a, b, c, d: (a.mean() - c.mean()) / (((a - c) - (b - d)).var() / 2),
            "Subtracting dark frames pixel by pixel adds their noise to yours. Subtract their mean from the signal "
            "and their variance from the variance.",
        ),
        Mistake(
            lambda a, b, c, d: ((a + b).mean() / 2) / ((a - b).var() / 2 - (c - d).var() / 2),
            "Your signal still contains the offset, which is not light: subtract the mean of the dark frames.",
        ),
        Mistake(
            lambda a, b, c, d: ((a + b).mean() / 2 - (c + d).mean() / 2) / ((a - b).std() / 2**0.5),
            "You divided by the standard deviation. Photon noise obeys variance = mean: use the variance.",
        ),
    ),
    relative_tolerance=0.03,
    mistake_tolerance=0.02,
    praise="Within 3 % of the hidden cameras' gains. You can now turn any image of such a camera into photons.",
)


# SNR ----------------------------------------------------------------------------------------------------


def _draw_snr(rng: torch.Generator) -> Case:
    gain_e_per_adu, offset_adu = _uniform(rng, 0.3, 2.5), float(round(_uniform(rng, 90, 120)))
    signal, background, read_noise_e = _uniform(rng, 20, 200), _uniform(rng, 20, 200), _uniform(rng, 6, 12)
    background_adu = offset_adu + background / gain_e_per_adu
    cell_adu = background_adu + signal / gain_e_per_adu
    arguments = (cell_adu, background_adu, offset_adu, gain_e_per_adu, read_noise_e)
    return Case(arguments, _snr(*arguments))


def _snr(cell: float, background: float, offset: float, gain: float, read_noise: float) -> float:
    signal, behind = (cell - background) * gain, (background - offset) * gain
    return noise.snr(signal, background_photons=behind, read_noise_e=read_noise)


snr_with_background = Exercise(
    draw=_draw_snr,
    solution=_snr,
    mistakes=(
        Mistake(
            lambda c, b, o, g, r: (c - b) * g / ((c - b) * g + r**2) ** 0.5,
            "You subtracted the background and with it, you thought, its noise. Its mean is gone, its shot noise "
            "stays: N + B + R² under the root.",
        ),
        Mistake(
            lambda c, b, o, g, r: (c - o) * g / ((c - o) * g + r**2) ** 0.5,
            "You counted the background as signal. Above the line belongs only what the cell adds to it.",
        ),
        Mistake(
            lambda c, b, o, g, r: (c - b) * g / ((c - o) * g + r) ** 0.5,
            "Read noise is a standard deviation, and variances add: square it.",
        ),
        Mistake(
            lambda c, b, o, g, r: (c - b) * g / ((c - o) * g) ** 0.5,
            "The read noise is missing under the root: add R².",
        ),
        Mistake(
            lambda c, b, o, g, r: (c - b) / (c - o + r**2) ** 0.5,
            "These are ADU. Shot noise is the root of a number of photons: multiply by the gain first.",
        ),
        Mistake(
            lambda c, b, o, g, r: (c - b) * g / (c * g + r**2) ** 0.5,
            "Your background contains the camera's offset, which is not light and has no shot noise: subtract it.",
        ),
        Mistake(
            lambda c, b, o, g, r: (c - b) * g / ((b - o) * g + r**2) ** 0.5,
            "That is the noise of the background alone. The cell's own photons are noisy, too: N + B + R².",
        ),
        Mistake(
            lambda c, b, o, g, r: (c - b) * g / ((c - o) * g + r**2),
            "You divided by the variance. The noise is its square root.",
        ),
        Mistake(
            lambda c, b, o, g, r: (c - b) / g / ((c - o) / g + r**2) ** 0.5,
            "The gain is in electrons per ADU: multiply the ADU by it.",
        ),
    ),
    relative_tolerance=0.01,
    praise="Right. Background costs twice: nothing of it is signal, and all of it is noise.",
)


# structured noise ---------------------------------------------------------------------------------------


def _draw_structure(rng: torch.Generator) -> Case:
    frames, height, width = 8, 96, 96
    y = torch.linspace(0, 6, height)[:, None]
    x = torch.linspace(0, 6, width)
    scene = 200 + 60 * torch.sin(y) * torch.cos(x)
    loud = scene + 25 * torch.randn(frames, height, width, generator=rng)
    pattern = 40 * torch.randn(width, generator=rng)
    striped = scene + pattern + 8 * torch.randn(frames, height, width, generator=rng)
    white = 8 * torch.randn(frames, height, width, generator=rng)
    correlated = scene + (white + 0.8 * white.roll(1, dims=-2)) / 1.64**0.5
    stacks = (loud, striped, correlated)
    order = torch.randperm(3, generator=rng).tolist()
    return Case(tuple(stacks[i] for i in order), order.index(2))


def _neighbours(noise_of_camera: torch.Tensor) -> float:
    rho = metrics.autocorrelation(noise_of_camera, max_lag=1).mean(dim=0)
    return max(float(rho[2, 1]), float(rho[1, 2]))


def _structured(*stacks: torch.Tensor) -> int:
    correlations = [_neighbours(stack.diff(dim=0)) for stack in stacks]
    return correlations.index(max(correlations))


def _loudest(*stacks: torch.Tensor) -> int:
    deviations = [float(stack.diff(dim=0).std()) for stack in stacks]
    return deviations.index(max(deviations))


def _striped(*stacks: torch.Tensor) -> int:
    correlations = [_neighbours(stack) for stack in stacks]
    return correlations.index(max(correlations))


structured_camera = Exercise(
    draw=_draw_structure,
    solution=_structured,
    mistakes=(
        Mistake(
            _loudest,
            "That camera has the most noise, not structured noise: its pixels err alone. Ask whether neighbours "
            "err together, with metrics.autocorrelation.",
        ),
        Mistake(
            _striped,
            "That camera has stripes that are the same in every frame: a fixed pattern, which looks structured but is "
            "not noise. The noise is what differs between frames: take differences of frames first.",
        ),
        Mistake(
            lambda *stacks: _structured(*stacks) + 1,
            "You seem to count the cameras from 1. Python counts from 0: return 0, 1 or 2.",
        ),
    ),
    relative_tolerance=0.0,
    praise="Found: neighbours that err together. Noise2Void would have learnt that pattern as if it were signal.",
)
