"""The exercises of the chapter *Noise2Void*."""

import functools
from collections.abc import Callable

import torch
from torch.nn import functional

from course_lib import metrics
from course_lib.exercises.exercise import Case, Exercise, Mistake

__all__ = ["floor", "hide", "leak", "reach"]

Network = Callable[[torch.Tensor], torch.Tensor]


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def _whole(rng: torch.Generator, low: int, high: int) -> int:
    """Draw a whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng))


# hide ---------------------------------------------------------------------------------------------------


def _draw_hide(rng: torch.Generator) -> Case:
    """Return counts, and the places of four pixels that are no neighbours of each other, one of a border."""
    image = torch.poisson(torch.full((20, 20), _uniform(rng, 5, 50)), generator=rng)
    rows = [_whole(rng, 1, 3), _whole(rng, 6, 8), _whole(rng, 11, 13), 0]
    columns = [_whole(rng, 1, 3), _whole(rng, 6, 9), _whole(rng, 12, 14), _whole(rng, 17, 18)]
    places = torch.tensor(list(zip(rows, columns, strict=True)))
    return Case((image, places), _hide(image, places))


def _window(image: torch.Tensor, row: int, column: int) -> torch.Tensor:
    return image[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]


def _hide(image: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    seen = image.clone()
    for row, column in places.tolist():
        window = _window(image, row, column)
        seen[row, column] = (window.sum() - image[row, column]) / (window.numel() - 1)
    return seen


def _with_itself(image: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    seen = image.clone()
    for row, column in places.tolist():
        seen[row, column] = _window(image, row, column).mean()
    return seen


def _divided_by_eight(image: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    seen = image.clone()
    for row, column in places.tolist():
        seen[row, column] = (_window(image, row, column).sum() - image[row, column]) / 8
    return seen


def _median(image: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    seen = image.clone()
    for row, column in places.tolist():
        seen[row, column] = _window(image, row, column).median()
    return seen


def _zeroed(image: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    seen = image.clone()
    seen[places[:, 0], places[:, 1]] = 0
    return seen


hide = Exercise(
    draw=_draw_hide,
    solution=_hide,
    mistakes=(
        Mistake(
            _with_itself,
            "Your mean contains the pixel itself: a ninth of its noise is left in its place, and a network finds it. "
            "Take its neighbours alone.",
        ),
        Mistake(
            _divided_by_eight,
            "One of the pixels lies at the border and has five neighbours, not eight: divide by as many as there are.",
        ),
        Mistake(
            _median,
            "That is the median of the window, and the pixel itself has a say in it: leave it out. Asked is for the "
            "mean of its neighbours.",
        ),
        Mistake(
            _zeroed,
            "A 0 hides the pixel, but also tells the network where it was hidden, and looks like nothing in the image. "
            "Put the mean of the neighbours there.",
        ),
        Mistake(
            lambda image, places: _hide(image, torch.cartesian_prod(*[torch.arange(len(image))] * 2)),
            "You replaced all pixels. Then the network sees a blurred image and nothing else: hide only those at the "
            "places given.",
        ),
        Mistake(
            lambda image, places: image.clone(),
            "That is the image as it was: nothing is hidden. Write the new values into the copy that you return.",
        ),
        Mistake(
            lambda image, places: _hide(image, places)[places[:, 0], places[:, 1]],
            "Those are the new values alone. Return the whole image, with these values in their places.",
        ),
        Mistake(
            lambda image, places: _hide(image, places.flip(1)),
            "Rows and columns are exchanged: a place is (row, column), and an image is indexed image[row, column].",
        ),
    ),
    relative_tolerance=1e-4,
    praise=(
        "Hidden. What stands there now has nothing of the pixel's own noise. It is smoother than a pixel, which "
        "a network can notice; that is why Noise2Void takes a single neighbour."
    ),
)


# leak ---------------------------------------------------------------------------------------------------


def _draw_leak(rng: torch.Generator, *, blind: bool) -> Case:
    """Return a small nonlinear network, an image and a place."""
    kernel = 0.4 * torch.randn((1, 1, 3, 3), generator=rng, dtype=torch.float64)
    kernel[..., 1, 1] = 0
    own = 0.0 if blind else _uniform(rng, 0.5, 1.5)

    def network(image: torch.Tensor) -> torch.Tensor:
        around = functional.conv2d(image[None, None], kernel, padding=1)[0, 0]
        return torch.sinh(around - own * image)

    image = torch.rand((12, 12), generator=rng, dtype=torch.float64)
    row, column = _whole(rng, 3, 5), _whole(rng, 6, 8)
    return Case((network, image, row, column), _leak(network, image, row, column))


def _gradient(network: Network, image: torch.Tensor, *, of: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    given = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(of(network(given)), given)
    return gradient


def _leak(network: Network, image: torch.Tensor, row: int, column: int) -> float:
    return float(_gradient(network, image, of=lambda output: output[row, column])[row, column])


def _leak_of_all(network: Network, image: torch.Tensor, row: int, column: int) -> float:
    return float(_gradient(network, image, of=lambda output: output.sum())[row, column])


def _change_if_zero(network: Network, image: torch.Tensor, row: int, column: int) -> float:
    without = image.clone()
    without[row, column] = 0
    return float((network(image) - network(without))[row, column])


def _difference(network: Network, image: torch.Tensor, row: int, column: int, *, step: float) -> float:
    changed = image.clone()
    changed[row, column] += step
    return float((network(changed) - network(image))[row, column]) / step


leak = Exercise(
    draw=functools.partial(_draw_leak, blind=False),
    draw_other=functools.partial(_draw_leak, blind=True),
    solution=_leak,
    mistakes=(
        Mistake(
            _leak_of_all,
            "You differentiated the sum of all outputs. Neighbours may well depend on this pixel; what matters is the "
            "output at the pixel itself: network(image)[row, column].",
        ),
        Mistake(
            lambda network, image, row, column: _gradient(network, image, of=lambda output: output[row, column]).sum(),
            "You added up the gradient over all pixels. Only that at [row, column] is the leak: all others are what "
            "the network may see.",
        ),
        Mistake(
            lambda network, image, row, column: _gradient(network, image, of=lambda output: output[row, column]),
            "That is the whole gradient, with respect to every pixel of the image. The leak is one of its numbers: "
            "take [row, column] of it.",
        ),
        Mistake(
            functools.partial(_difference, step=0.01),
            "That is a one-sided difference: a step, however small, bends the answer. Let torch differentiate: "
            "requires_grad_() and torch.autograd.grad.",
        ),
        Mistake(
            lambda network, image, row, column: abs(_leak(network, image, row, column)),
            "The size is right, but not the sign: return the derivative as it is.",
        ),
        Mistake(
            _change_if_zero,
            "That is how much the output changes if the pixel is set to 0: a difference, and not a derivative. Let "
            "torch differentiate: requires_grad_() and torch.autograd.grad.",
        ),
        Mistake(
            lambda network, image, row, column: network(image)[row, column] / image[row, column],
            "That is a ratio of two values. The question is how the one changes with the other: a derivative.",
        ),
        Mistake(
            lambda network, image, row, column: _gradient(network, image, of=lambda output: output[column, row])[
                column, row
            ],
            "Rows and columns are exchanged: an image is indexed image[row, column].",
        ),
    ),
    relative_tolerance=1e-3,
    absolute_tolerance=1e-6,
    praise="You can now test any network for leaks: 0 at a blind spot, to the last digit, and anything else is none.",
)


# floor --------------------------------------------------------------------------------------------------


def _draw_floor(rng: torch.Generator) -> Case:
    gain, offset, read_noise = _uniform(rng, 0.3, 0.8), float(_whole(rng, 90, 120)), _uniform(rng, 3, 6)
    mean_adu = offset + _uniform(rng, 20, 80) / gain
    scale_adu = _uniform(rng, 150, 400)
    arguments = (mean_adu, gain, offset, read_noise, scale_adu)
    return Case(arguments, _floor(*arguments))


def _floor(mean: float, gain: float, offset: float, read_noise: float, scale: float) -> float:
    return ((mean - offset) * gain + read_noise**2) / gain**2 / scale**2


floor = Exercise(
    draw=_draw_floor,
    solution=_floor,
    mistakes=(
        Mistake(
            lambda m, g, o, r, s: (m - o) * g / g**2 / s**2,
            "The read noise is missing: variances add, photons + R².",
        ),
        Mistake(
            lambda m, g, o, r, s: ((m - o) * g + r) / g**2 / s**2,
            "Read noise is a standard deviation, and variances add: square it.",
        ),
        Mistake(
            lambda m, g, o, r, s: (m * g + r**2) / g**2 / s**2,
            "The offset is no light and has no shot noise: subtract it before you count electrons.",
        ),
        Mistake(
            lambda m, g, o, r, s: ((m - o) * g + r**2) / g / s**2,
            "A variance in ADU² is that in electrons² divided by the *square* of the gain.",
        ),
        Mistake(
            lambda m, g, o, r, s: ((m - o) * g + r**2) / s**2,
            "That is in electrons², but the scale is in ADU: divide by the square of the gain.",
        ),
        Mistake(
            lambda m, g, o, r, s: ((m - o) * g + r**2) / g**2 / s,
            "A squared error is divided by the *square* of the scale.",
        ),
        Mistake(
            lambda m, g, o, r, s: ((m - o) * g + r**2) / g**2,
            "That is in ADU². The network sees normalized images: divide by the square of the scale.",
        ),
        Mistake(
            lambda m, g, o, r, s: _floor(m, g, o, r, s) ** 0.5,
            "That is the standard deviation. The loss is a mean *squared* error.",
        ),
        Mistake(
            lambda m, g, o, r, s: ((m - o) + r**2) / s**2,
            "ADU are no electrons: multiply by the gain, before you take their mean for their variance.",
        ),
        Mistake(
            lambda m, g, o, r, s: (m - o) / s**2,
            "The variance is the mean only for photon counts. A camera has a gain, and adds read noise.",
        ),
        Mistake(
            lambda m, g, o, r, s: m / s**2,
            "The variance is the mean only for photon counts. A camera has an offset, a gain, and adds read noise.",
        ),
        Mistake(
            lambda m, g, o, r, s: ((m - o) / g + r**2) / g**2 / s**2,
            "The gain is in electrons per ADU: multiply the ADU by it to count electrons.",
        ),
    ),
    relative_tolerance=0.01,
    praise="That is the lowest loss at pixels that were never asked for. A validation loss below it has found a leak.",
)


# reach --------------------------------------------------------------------------------------------------

COUNTED = 0.1
"""Correlation from which neighbours are hidden."""


def _draw_reach(rng: torch.Generator) -> Case:
    """Return frames of a still scene whose noise is a moving average along rows, or down columns."""
    side = 192
    length = _whole(rng, 2, 4)
    along = _whole(rng, 0, 1)
    white = torch.randn((6, side, side), generator=rng)
    shared = torch.stack([white.roll(k, dims=1 + along) for k in range(length)]).sum(dim=0) / length**0.5
    y, x = torch.linspace(0, 9, side)[:, None], torch.linspace(0, 7, side)
    frames = 100 + 30 * torch.sin(y) * torch.cos(x) + _uniform(rng, 4, 12) * shared
    expected = (0, length - 1) if along else (length - 1, 0)
    return Case((frames,), expected)


def _far(correlation: torch.Tensor) -> tuple[int, int]:
    center = correlation.shape[-1] // 2
    found = [0, 0]
    for lag in range(1, center + 1):
        if float(correlation[center + lag, center]) > COUNTED:
            found[0] = lag
        if float(correlation[center, center + lag]) > COUNTED:
            found[1] = lag
    return found[0], found[1]


def _reach(frames: torch.Tensor) -> tuple[int, int]:
    return _far(metrics.autocorrelation(frames.diff(dim=0), max_lag=6).mean(dim=0))


def _of_the_scene(frames: torch.Tensor) -> tuple[int, int]:
    return _far(metrics.autocorrelation(frames, max_lag=6).mean(dim=0))


reach = Exercise(
    draw=_draw_reach,
    solution=_reach,
    mistakes=(
        Mistake(
            lambda frames: _reach(frames)[::-1],
            "The axes are exchanged: first how far down the columns, then how far along the rows.",
        ),
        Mistake(
            _of_the_scene,
            "That is the reach of the scene, whose neighbours resemble each other, of course. Take differences of "
            "frames: the scene stands still, and only noise is left.",
        ),
        Mistake(
            lambda frames: tuple(lag + 1 if lag else 0 for lag in _reach(frames)),
            "One too many: return the farthest lag at which the correlation still exceeds 0.1, not the first at which "
            "it does not.",
        ),
        Mistake(
            lambda frames: tuple(2 * lag + 1 if lag else 0 for lag in _reach(frames)),
            "That is the length of the whole mask. The extent is counted from the centre, to one side.",
        ),
        Mistake(
            lambda frames: (max(_reach(frames)),) * 2,
            "You hide neighbours of both directions, though the noise is shared along one only. It works, but hides "
            "pixels that could have helped: take each axis for itself.",
        ),
    ),
    relative_tolerance=0.0,
    praise="These are mask_extent_y and mask_extent_x. Nothing that is left to be seen shares the pixel's noise.",
)
