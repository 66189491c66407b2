"""The exercises of the chapter *The microscope: PSF and sampling*."""

import math
from typing import TypeAlias

import numpy as np
import torch

from course_lib.exercises.exercise import Case, Exercise, Mistake

__all__ = ["aliased_grating", "bead_fwhm", "pixel_and_magnification", "usable_psf"]


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


# FWHM of a bead -----------------------------------------------------------------------------------------


def _draw_bead(rng: torch.Generator) -> Case:
    """Return the Airy pattern of a small bright bead on a background, about 4½ pixels wide at half maximum."""
    fwhm_um = 0.5145 * _uniform(rng, 0.5, 0.6) / _uniform(rng, 0.75, 1.3)
    pixel_um = fwhm_um / _uniform(rng, 4.4, 4.6)
    centre = torch.randint(16, 25, (2,), generator=rng) + 0.5 * torch.rand(2, generator=rng) - 0.25
    row, column = torch.arange(41)[:, None] - centre[0], torch.arange(41) - centre[1]
    phase = (math.pi * 0.5145 / fwhm_um * 2 * pixel_um * torch.hypot(row, column)).clamp(min=1e-3)
    spot = (2 * torch.special.bessel_j1(phase) / phase) ** 2
    photons = _uniform(rng, 3e4, 6e4) * (spot + _uniform(rng, 0.15, 0.3))
    image = torch.poisson(photons, generator=rng)
    return Case((image, pixel_um), _fwhm(image, pixel_um))


def _row_through_maximum(image: torch.Tensor) -> np.ndarray:
    return image[int(image.argmax()) // image.shape[1]].numpy()


def _half_level(image: torch.Tensor) -> float:
    return float(image.median() + image.max()) / 2


def _width_above(level: float, image: torch.Tensor, pixel_um: float) -> float:
    """Return the length of the row through the maximum that is above `level`, between pixels interpolated."""
    profile = _row_through_maximum(image)
    fine = np.interp(np.arange(0, len(profile) - 1, 0.01), np.arange(len(profile)), profile)
    return float((fine > level).sum()) * 0.01 * pixel_um


def _fwhm(image: torch.Tensor, pixel_um: float) -> float:
    return _width_above(_half_level(image), image, pixel_um)


def _line_width(line: torch.Tensor, pixel_um: float) -> float:
    """Return the length of one line that is above its own half maximum."""
    return _width_above((float(line.median()) + float(line.max())) / 2, line[None], pixel_um)


def _moment_width(image: torch.Tensor, pixel_um: float) -> float:
    """Return 2.355 times the standard deviation of all the light along the row through the maximum."""
    profile = _row_through_maximum(image)
    places = np.arange(len(profile))
    centre = (profile * places).sum() / profile.sum()
    return 2.355 * pixel_um * math.sqrt((profile * (places - centre) ** 2).sum() / profile.sum())


bead_fwhm = Exercise(
    draw=_draw_bead,
    solution=_fwhm,
    mistakes=(
        Mistake(
            lambda image, pixel_um: _fwhm(image, 1.0),
            "That is the width in pixels. Multiply by the size of a pixel.",
        ),
        Mistake(
            lambda image, pixel_um: (image > _half_level(image)).sum() * pixel_um,
            "You counted the pixels of the whole spot: an area. The width is taken along a line through the maximum.",
        ),
        Mistake(
            lambda image, pixel_um: float((_row_through_maximum(image) > _half_level(image)).sum()) * pixel_um,
            "You counted whole pixels, and the spot is only a few pixels wide. Interpolate between the pixel above "
            "the half and the one below it.",
        ),
        Mistake(
            lambda image, pixel_um: float((_row_through_maximum(image) > _half_level(image)).sum()),
            "You counted whole pixels, and that is still the width in pixels. Interpolate between the pixel above the "
            "half and the one below it, and multiply by the size of a pixel.",
        ),
        Mistake(
            lambda image, pixel_um: 1000 * _fwhm(image, pixel_um),
            "The right width in nanometres. Return it in µm, the unit of pixel_um.",
        ),
        Mistake(
            lambda image, pixel_um: _line_width(image[image.shape[0] // 2], pixel_um),
            "You took the middle row, but the bead is not in the middle of the image. Take the row of the maximum.",
        ),
        Mistake(
            lambda image, pixel_um: _line_width(image[:, image.shape[1] // 2], pixel_um),
            "You took the middle column, but the bead is not in the middle of the image. Take the row of the maximum.",
        ),
        Mistake(
            _moment_width,
            "You took the standard deviation of all the light in the row, times 2.355. That holds for a Gaussian "
            "without a background: here the light far from the centre weighs most. Measure at half the height.",
        ),
        Mistake(
            lambda image, pixel_um: _width_above(float(image.max()) / 2, image, pixel_um),
            "Your half maximum is half of bead plus background. Subtract the background first, or take the level "
            "half-way between background and maximum.",
        ),
        Mistake(
            lambda image, pixel_um: _fwhm(image, pixel_um) / math.sqrt(8 * math.log(2)),
            "That is σ, the standard deviation of a Gaussian. The full width at half maximum is 2.355 times as large.",
        ),
        Mistake(
            lambda image, pixel_um: _fwhm(image, pixel_um) / 2,
            "That is the distance from the centre to one side. The full width reaches from side to side.",
        ),
    ),
    relative_tolerance=0.08,
    mistake_tolerance=0.01,
    praise="Within 8 % on beads of hidden objectives. You can now put a number on the resolution of your microscope.",
)


# pixel size and magnification ---------------------------------------------------------------------------


def _draw_sampling(rng: torch.Generator) -> Case:
    numerical_aperture, emission_nm = _uniform(rng, 0.3, 1.45), _uniform(rng, 450, 700)
    arguments = (numerical_aperture, emission_nm, _uniform(rng, 3.5, 16.0))
    return Case(arguments, _sampling(*arguments))


def _sampling(numerical_aperture: float, emission_nm: float, camera_pixel_um: float) -> tuple[float, float]:
    pixel_um = emission_nm / 1000 / (4 * numerical_aperture)
    return pixel_um, camera_pixel_um / pixel_um


def _sampling_with(
    share: float, numerical_aperture: float, emission_nm: float, camera_pixel_um: float
) -> tuple[float, float]:
    pixel_um, magnification = _sampling(numerical_aperture, emission_nm, camera_pixel_um)
    return share * pixel_um, magnification / share


pixel_and_magnification = Exercise(
    draw=_draw_sampling,
    solution=_sampling,
    mistakes=(
        Mistake(
            lambda *a: _sampling_with(2.0, *a),
            "λ/2NA is the period of the finest grating that passes. A period needs two pixels: λ/4NA.",
        ),
        Mistake(
            lambda *a: _sampling_with(0.61 * 2, *a),
            "You halved the Rayleigh distance 0.61 λ/NA. The objective passes still finer periods, down to λ/2NA: "
            "take half of that.",
        ),
        Mistake(
            lambda *a: _sampling_with(0.61 * 4, *a),
            "0.61 λ/NA is the Rayleigh distance between two points. The pixel must be smaller: half of the finest "
            "period λ/2NA.",
        ),
        Mistake(
            lambda *a: _sampling_with(0.5145 * 2, *a),
            "You put two pixels into the FWHM. The rule is about the finest period that passes, λ/2NA, which is a "
            "little smaller: half of that.",
        ),
        Mistake(
            lambda *a: _sampling_with(1000.0, *a),
            "The wavelength is in nanometres, the pixel should be in micrometres: divide by 1000.",
        ),
        Mistake(
            lambda *a: (1000 * _sampling(*a)[0], _sampling(*a)[1]),
            "The magnification is right, and so is the pixel, in nanometres. Return it in µm.",
        ),
        Mistake(
            lambda *a: _sampling_with(a[0], *a),
            "You left out the numerical aperture: a wider cone resolves more, and needs smaller pixels. λ/4NA.",
        ),
        Mistake(
            lambda *a: _sampling_with(a[0] ** 2, *a),
            "Your pixel grows with the numerical aperture. `emission / 4 * NA` multiplies by it: write "
            "`emission / (4 * NA)`.",
        ),
        Mistake(
            lambda *a: _sampling_with(0.5, *a),
            "λ/8NA loses nothing, but it is not the largest such pixel. Two pixels for the finest period λ/2NA are "
            "enough: λ/4NA.",
        ),
        Mistake(
            lambda *a: (_sampling(*a)[0], _sampling(*a)[1] / 2),
            "Your pixel is right, your magnification half of what it asks for: the camera's pixel divided by the pixel "
            "in the specimen, nothing else.",
        ),
        Mistake(
            lambda *a: _sampling(*a)[::-1],
            "The right numbers in the wrong order: first the pixel in the specimen, then the magnification.",
        ),
        Mistake(
            lambda *a: (_sampling(*a)[0], 1 / _sampling(*a)[1]),
            "Your magnification is upside down: the objective makes the specimen larger, so it is the camera's pixel "
            "divided by the pixel in the specimen.",
        ),
        Mistake(
            lambda *a: (_sampling(*a)[0], _sampling(*a)[1] * 2),
            "You halved the pixel twice. λ/4NA already contains the factor 2 of the sampling theorem.",
        ),
        Mistake(
            lambda *a: (_sampling(*a)[0], _sampling(*a)[0] * a[2]),
            "You multiplied. The pixel in the specimen is the camera's pixel divided by the magnification: solve that "
            "for the magnification.",
        ),
        Mistake(
            lambda *a: _sampling(*a)[0],
            "That is the pixel. Return two numbers: the pixel, and the magnification that it asks for.",
        ),
    ),
    relative_tolerance=0.01,
    praise="Right. Note what is not in the formula: the magnification follows from the pixel, not the other way round.",
)


# aliasing -----------------------------------------------------------------------------------------------

_PIXELS = 128
_FINER = 1.6
"""How many times smaller the fine pixels are than the coarse ones."""


def _grating(periods_per_um: float, *, modulation: float, pixel_um: float, rng: torch.Generator) -> torch.Tensor:
    """Return a grating as an objective of NA 1.4 and square pixels show it, with shot noise."""
    reached = min(periods_per_um * 0.525 / 2.8, 1.0)
    optics = 2 / math.pi * (math.acos(reached) - reached * math.sqrt(1 - reached**2))
    contrast = modulation * optics * float(np.sinc(periods_per_um * pixel_um))
    x_um = pixel_um * torch.arange(_PIXELS)
    wave = 1 + contrast * torch.cos(2 * math.pi * (periods_per_um * x_um + _uniform(rng, 0, 1)))
    return torch.poisson((400 * wave).expand(48, _PIXELS), generator=rng)


def _draw_aliasing(rng: torch.Generator) -> Case:
    """Return a faint broad grating, a finer one with pixels to match, and one with pixels that are too coarse.

    The alias is neither the finest of the three nor the one with the least contrast.
    """
    coarse_um, pairs = [], []
    for periods_per_pixel, pixel_um, modulation in (
        (_uniform(rng, 0.15, 0.2), _uniform(rng, 0.14, 0.16), 0.05),
        (_uniform(rng, 0.42, 0.46), _uniform(rng, 0.105, 0.115), 1.0),
        (_uniform(rng, 0.62, 0.68), _uniform(rng, 0.19, 0.21), 1.0),  # beyond the limit of one half
    ):
        both = [
            _grating(periods_per_pixel / pixel_um, modulation=modulation, pixel_um=size_um, rng=rng)
            for size_um in (pixel_um, pixel_um / _FINER)
        ]
        pairs.append(torch.stack(both))
        coarse_um.append(pixel_um)
    order = torch.randperm(3, generator=rng).tolist()
    coarse = tuple(coarse_um[i] for i in order)
    fine = tuple(pixel_um / _FINER for pixel_um in coarse)
    return Case((*(pairs[i] for i in order), coarse, fine), order.index(2))


_Pixels: TypeAlias = tuple[float, float, float]


def _frequency(image: torch.Tensor) -> float:
    """Return the strongest frequency along x in periods per pixel."""
    profile = image.mean(dim=0)
    return float(torch.fft.rfft(profile - profile.mean()).abs().argmax()) / len(profile)


def _changes(pairs: tuple[torch.Tensor, ...], coarse_um: _Pixels, fine_um: _Pixels) -> list[float]:
    """Return by how much the frequency differs between the two images of each grating."""
    return [
        abs(_frequency(coarse) / coarse_size - _frequency(fine) / fine_size)
        for (coarse, fine), coarse_size, fine_size in zip(pairs, coarse_um, fine_um, strict=True)
    ]


def _aliased(first: torch.Tensor, second: torch.Tensor, third: torch.Tensor, coarse: _Pixels, fine: _Pixels) -> int:
    changes = _changes((first, second, third), coarse, fine)
    return changes.index(max(changes))


def _finest(first: torch.Tensor, second: torch.Tensor, third: torch.Tensor, *_pixels_um: _Pixels) -> int:
    changes = _changes((first, second, third), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    return changes.index(max(changes))


def _broadest(first: torch.Tensor, second: torch.Tensor, third: torch.Tensor, *_pixels_um: _Pixels) -> int:
    frequencies = [_frequency(pair[0]) for pair in (first, second, third)]
    return frequencies.index(min(frequencies))


def _down_the_columns(
    first: torch.Tensor, second: torch.Tensor, third: torch.Tensor, coarse: _Pixels, fine: _Pixels
) -> int:
    changes = _changes((first.mT, second.mT, third.mT), coarse, fine)
    return changes.index(max(changes))


aliased_grating = Exercise(
    draw=_draw_aliasing,
    solution=_aliased,
    mistakes=(
        Mistake(
            _finest,
            "That grating is the finest, and changes most from image to image if you count its periods per pixel. But "
            "it is real: its pixels are small enough. Compare periods per micrometre: divide by the size of its pixel.",
        ),
        Mistake(
            _broadest,
            "That grating is the broadest with the coarse pixels and has the least contrast, but its period is the "
            "same in both images: it is real. An alias changes its period when the pixel changes.",
        ),
        Mistake(
            lambda *a: _aliased(*a) + 1,
            "You seem to count the gratings from 1. Python counts from 0: return 0, 1 or 2.",
        ),
        Mistake(
            lambda *a: 0,
            "You returned 0 every time. Without `- profile.mean()` the strongest frequency is that of the mean, index "
            "0, in every image, and all changes are the same.",
        ),
        Mistake(
            _down_the_columns,
            "You averaged along x, so that the profile runs along the stripes and holds nothing but noise. The stripes "
            "are vertical: average along y, `image.mean(dim=0)`.",
        ),
    ),
    relative_tolerance=0.0,
    praise="Found: the grating whose period depends on the pixel. One image could not have told; two samplings can.",
)


# a PSF that conserves photons ---------------------------------------------------------------------------


def _draw_measured_psf(rng: torch.Generator) -> Case:
    radius2 = (torch.arange(31)[:, None] - 15) ** 2 + (torch.arange(31) - 15) ** 2
    width = _uniform(rng, 1.5, 3.0)
    background_adu = 100.5 + int(torch.randint(0, 30, (), generator=rng))
    spot = background_adu + _uniform(rng, 800, 3000) * torch.exp(-radius2 / (2 * width**2))
    measured = (spot + 3 * torch.randn(31, 31, generator=rng)).round()
    return Case((measured, background_adu), _usable(measured, background_adu))


def _usable(measured: torch.Tensor, background_adu: float) -> torch.Tensor:
    spot = measured - background_adu
    return spot / spot.sum()


def _clipped(measured: torch.Tensor, background_adu: float) -> torch.Tensor:
    spot = (measured - background_adu).clamp(min=0)
    return spot / spot.sum()


usable_psf = Exercise(
    draw=_draw_measured_psf,
    solution=_usable,
    mistakes=(
        Mistake(
            lambda measured, background_adu: measured / measured.sum(),
            "It sums to 1, but most of that is background: the blurred image would be a haze. Subtract the background "
            "first.",
        ),
        Mistake(
            lambda measured, background_adu: measured - background_adu,
            "The background is gone; but with this PSF each photon becomes thousands. Divide by the sum.",
        ),
        Mistake(
            lambda measured, background_adu: (measured - background_adu) / (measured - background_adu).max(),
            "A maximum of 1 looks nice and conserves nothing: the image would gain photons. The sum must be 1.",
        ),
        Mistake(
            lambda measured, background_adu: (measured - background_adu) / (measured - background_adu).mean(),
            "You divided by the mean, so that the sum is the number of pixels. Divide by the sum.",
        ),
        Mistake(
            lambda measured, background_adu: (measured - background_adu) / torch.linalg.norm(measured - background_adu),
            "You made the sum of the squares 1, as for vectors. Photons add up, not their squares: divide by the sum.",
        ),
        Mistake(
            lambda measured, background_adu: measured,
            "That is the image as it was. Subtract the background, then divide by the sum.",
        ),
        Mistake(
            lambda measured, background_adu: measured / measured.max(),
            "The background is still in it, and a maximum of 1 conserves nothing. Subtract the background, then divide "
            "by the sum.",
        ),
        Mistake(
            lambda measured, background_adu: (measured - measured.min()) / (measured - measured.min()).sum(),
            "It sums to 1, but the lowest pixel is not the background, it is noise: what is left of the background is "
            "a pedestal. Subtract background_adu, which was measured over many pixels.",
        ),
        Mistake(
            lambda measured, background_adu: (measured - measured.min()) / (measured.max() - measured.min()),
            "From 0 to 1 is for screens. The lowest pixel is noise, not the background, and a maximum of 1 conserves "
            "nothing: subtract background_adu, and divide by the sum.",
        ),
        Mistake(
            lambda measured, background_adu: (measured - measured.median()) / (measured - measured.median()).sum(),
            "The median of the image is a little above the background, since part of the pixels hold light of the "
            "bead. The background has been measured for you, next to the bead: subtract background_adu.",
        ),
        Mistake(
            lambda measured, background_adu: (
                (measured - background_adu).abs() / (measured - background_adu).abs().sum()
            ),
            "You made negative values positive. They are noise, which must average to nothing; turned over, they "
            "become a pedestal, which claims light far from the centre. Keep them.",
        ),
        Mistake(
            lambda measured, background_adu: (measured - background_adu) / measured.sum(),
            "You divided by the sum of the image with its background. Divide by the sum of what is left without it.",
        ),
        Mistake(
            lambda measured, background_adu: (measured - background_adu).clamp(min=0),
            "Two things: negative values are noise and should stay, and the sum must be 1. Leave out the clipping, and "
            "divide by the sum.",
        ),
        Mistake(
            _clipped,
            "You cut off negative values. Noise goes both ways: with the negative half gone, the positive half remains "
            "as a pedestal, which claims light far from the centre. Keep them.",
        ),
        Mistake(
            lambda measured, background_adu: measured / measured.sum() - background_adu,
            "First subtract the background, in the units of the camera, then divide by the sum.",
        ),
    ),
    relative_tolerance=1e-3,
    praise="Right: it sums to 1, so that blurring moves photons about and neither makes nor loses any.",
)
