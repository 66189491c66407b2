"""The exercises of the chapter *Your own images*."""

import functools
from collections.abc import Callable

import torch

from course_lib.exercises.exercise import Case, Exercise, Mistake

__all__ = ["grey_step", "saturated_share", "times_nyquist"]

SIDE = 96


def _counts(rng: torch.Generator, mean: float) -> torch.Tensor:
    light = torch.linspace(0.7, 1.3, SIDE)[:, None] * torch.linspace(0.8, 1.2, SIDE)
    return torch.poisson(mean * light, generator=rng)


def _between(low: float, high: float, rng: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def _draw_saturated(rng: torch.Generator) -> Case:
    image = _counts(rng, _between(90, 130, rng)).clamp(max=_between(110, 125, rng) // 1)
    return Case((image,), _share(image))


def _draw_unsaturated(rng: torch.Generator) -> Case:
    """Draw an image of few grey levels, with many pixels at the top, and more just below."""
    while True:
        image = (_counts(rng, _between(90, 130, rng)) / _between(8, 16, rng)).round()
        if int((image == image.max()).sum()) > 10 and not _share(image):
            return Case((image,), 0.0)


def _share(image: torch.Tensor) -> float:
    top = image.max()
    at = int((image == top).sum())
    below = int((image == top - 1).sum())
    return at / image.numel() if at > max(10, below) else 0.0


saturated_share = Exercise(
    draw=_draw_saturated,
    draw_other=_draw_unsaturated,
    solution=_share,
    mistakes=(
        Mistake(
            lambda image: float((image == image.max()).double().mean()),
            "Every image has a brightest pixel. It is saturated only where such pixels pile up: more than ten, and "
            "more than there are on the level just below. An image of few grey levels has many on each.",
        ),
        Mistake(
            lambda image: 100 * _share(image),
            "That is in percent: return the share, a number from 0 to 1.",
        ),
        Mistake(
            lambda image: int((image == image.max()).sum()) if _share(image) else 0,
            "That is the number of pixels: divide by image.numel().",
        ),
        Mistake(
            lambda image: float((image >= image.max() - 3).double().mean()) if _share(image) else 0.0,
            "The levels below the top are not saturated: count only pixels at the largest value.",
        ),
        Mistake(
            lambda image: float((image >= 255).double().mean()),
            "A camera need not end at 255, 4095 or 65535. Look for the largest value of this image.",
        ),
    ),
    relative_tolerance=1e-6,
    praise="Right. A largest value is no saturation, a pile is. Those pixels keep their outlines, and lose their "
    "intensities.",
)


def _draw_step(rng: torch.Generator) -> Case:
    factor = int(torch.randint(2, 9, (), generator=rng)) + 0.7
    image = (_counts(rng, _between(150, 400, rng)) * factor).round()
    return Case((image,), _step_by(torch.median)(image))


def _draw_raw(rng: torch.Generator) -> Case:
    return Case((_counts(rng, _between(150, 400, rng)),), 1.0)


def _step_by(of_steps: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], float]:
    return lambda image: float(of_steps(torch.unique(image).diff()))


grey_step = Exercise(
    draw=_draw_step,
    draw_other=_draw_raw,
    solution=_step_by(torch.median),
    mistakes=(
        Mistake(
            _step_by(torch.max),
            "In the tails of the histogram levels are missing by chance. Take what is usual: the median of the "
            "distances.",
        ),
        Mistake(
            _step_by(torch.mean),
            "The mean is pulled up by the tails, where levels are missing by chance. The median is not.",
        ),
        Mistake(
            _step_by(torch.min),
            "The smallest distance is not the usual one: a stretch by 2.7 leaves distances of 2 and of 3.",
        ),
        Mistake(
            lambda image: _step_by(torch.median)(image) - 1,
            "That is how many levels are missing in between. The distance to the next one is 1 more.",
        ),
        Mistake(
            lambda image: float(image.flatten().diff().abs().median()),
            "Those are differences of neighbouring pixels: signal and noise. Sort the values that occur, each once: "
            "torch.unique does both.",
        ),
        Mistake(
            lambda image: float(len(torch.unique(image)) / (image.max() - image.min() + 1)),
            "That is the share of the levels that are used. How far is it from one that is used to the next?",
            tolerance=0.05,
        ),
    ),
    relative_tolerance=1e-6,
    praise="Right. A step above 1 betrays that the contrast was stretched after the recording: one grey level of the "
    "camera has become several, and photons cannot be counted from them.",
)


def _draw_objective(rng: torch.Generator, *, binning: int = 1) -> Case:
    magnification, aperture = ((20, 0.75), (40, 0.95), (60, 1.2), (63, 1.4), (100, 1.45))[
        int(torch.randint(5, (), generator=rng))
    ]
    camera_um = _between(3.4, 16, rng)
    wavelength_nm = _between(460, 680, rng)
    arguments = (camera_um, magnification, binning, aperture, wavelength_nm)
    return Case(arguments, _times_nyquist(*arguments))


def _times_nyquist(
    camera_um: float, magnification: float, binning: int, aperture: float, wavelength_nm: float, /
) -> float:
    return camera_um * binning / magnification / (wavelength_nm / 1000 / (4 * aperture))


times_nyquist = Exercise(
    draw=_draw_objective,
    draw_other=functools.partial(_draw_objective, binning=2),
    solution=_times_nyquist,
    mistakes=(
        Mistake(
            lambda camera_um, magnification, binning, aperture, wavelength_nm: _times_nyquist(
                camera_um, magnification, 1, aperture, wavelength_nm
            ),
            "Binning makes the pixels larger: two by two camera pixels are one.",
        ),
        Mistake(
            lambda camera_um, magnification, binning, aperture, wavelength_nm: _times_nyquist(
                camera_um / binning, magnification, 1, aperture, wavelength_nm
            ),
            "Binning makes the pixels larger: multiply by it.",
        ),
        Mistake(
            lambda camera_um, magnification, binning, aperture, wavelength_nm: (
                camera_um * binning / magnification / (0.61 * wavelength_nm / 1000 / aperture)
            ),
            "0.61 λ/NA is how near two points may be (Rayleigh). The limit of sampling is λ / (4 NA).",
        ),
        Mistake(
            lambda camera_um, magnification, binning, aperture, wavelength_nm: _times_nyquist(
                camera_um * magnification**2, magnification, binning, aperture, wavelength_nm
            ),
            "The magnification makes a pixel of the camera smaller in the sample: divide by it.",
        ),
        Mistake(
            lambda *facts: _times_nyquist(*facts) / 2,
            "λ / (2 NA) is the finest period that the objective passes. A period needs two pixels: λ / (4 NA).",
        ),
        Mistake(
            lambda *facts: 1 / _times_nyquist(*facts),
            "That is the limit over the pixel. Asked is how many times too large the pixel is: the pixel over the "
            "limit.",
        ),
        Mistake(
            lambda *facts: _times_nyquist(*facts) / 1000,
            "The wavelength is in nm, the pixel in µm: divide the wavelength by 1000.",
        ),
        Mistake(
            lambda camera_um, magnification, binning, aperture, wavelength_nm: _times_nyquist(
                camera_um, 1, binning, aperture, wavelength_nm
            ),
            "That is the pixel of the camera. In the sample it is smaller, by the magnification.",
        ),
    ),
    relative_tolerance=1e-3,
    praise="Right. Above 1 detail is lost for good: do not deconvolve. Far below 1, photons are spread over more "
    "pixels than needed, and the read noise of each counts.",
)
