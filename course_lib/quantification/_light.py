r"""The light of each pixel of the objects, background taken off, and how uncertain its sum over an object is.

A camera's number becomes photons by :math:`N = ((\mathrm{ADU} - o)\,g/G - d)\,/\,(\mathrm{QE}\,\rho)`, with the names
of `course_lib.noise.camera`. The variance of that pixel is

.. math:: \mathrm{Var}(N) = \frac{F^2 e + (R/G)^2 + (g/G)^2/12}{(\mathrm{QE}\,\rho)^2} ,

with the mean charge :math:`e`, the excess noise :math:`F^2` of an EM register, read noise :math:`R` and rounding. The
mean charge is not known; the measured one stands for it, which over the pixels of an object is right in the mean.
Pixels are independent, so that variances add up over an object; only row noise is common to a row, and adds up before
it is squared. A background that is estimated once for all pixels has one error for all of them, which grows with their
number :math:`n`, not with its root:

.. math:: \sigma^2_\text{sum} = \sum_i \mathrm{Var}(N_i) + (n\,\sigma_b)^2 .
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from course_lib.noise import Camera
from course_lib.quantification._objects import Array, Floats, Objects
from course_lib.quantification.background import Background

__all__ = ["BackgroundLevel", "Light", "as_recorded", "counted", "through_camera"]

BackgroundLevel = float | Background | Array | None
"""One number, one with its standard error, one for each pixel of the image, or none."""


@dataclass(frozen=True, eq=False)
class Light:
    """Values of the pixels of all objects, and the variance of their sums.

    Attributes
    ----------
    values : numpy.ndarray, shape (pixels of objects,)
        In the order of `Objects.index`.
    level : float
        Background that is still to be taken off each value.
    variance_of_sum : numpy.ndarray of float64, shape (objects,), or None
        From the statistics of photons; None where they are not known.
    """

    values: Array
    level: float = 0.0
    variance_of_sum: Floats | None = None


def as_recorded(objects: Objects, image: Array, background: BackgroundLevel) -> Light:
    """Return grey values less the background, without statistics.

    Examples
    --------
    >>> from course_lib.quantification._objects import objects_of
    >>> as_recorded(objects_of(np.array([[0, 1, 1]])), np.array([[5, 7, 9]], np.uint8), 4.0)
    Light(values=array([7, 9], dtype=uint8), level=4.0, variance_of_sum=None)
    """
    values = image.reshape(-1)[objects.index]
    if isinstance(background, np.ndarray):
        return Light(values.astype(np.float64) - background.reshape(-1)[objects.index])
    return Light(values, _level(background))


def counted(objects: Objects, image: Array, background: BackgroundLevel) -> Light:
    """Return photons less the background; their variance is their number."""
    light = as_recorded(objects, image, background)
    photons = objects.sum_of_pixels(image.reshape(-1)[objects.index].astype(np.float64))
    variance = np.maximum(photons, 0) + (objects.pixels * _standard_error(background)) ** 2
    return dataclasses.replace(light, variance_of_sum=variance)


def through_camera(
    objects: Objects, image: Array, background: BackgroundLevel, *, camera: Camera, exposure_ms: float
) -> Light:
    """Return photons from a camera's grey values, less the background.

    The background is in ADU and has the camera's offset and dark current in it, as it is estimated from the image.
    """
    adu = torch.from_numpy(image.astype(np.float64))
    photons = camera.to_photons(adu, exposure_ms=exposure_ms)
    if isinstance(background, np.ndarray):
        photons -= camera.to_photons(torch.from_numpy(background.astype(np.float64)), exposure_ms=exposure_ms)
    elif background is not None:
        photons -= camera.to_photons(torch.full_like(adu, _level(background)), exposure_ms=exposure_ms)
    return Light(
        photons.numpy().reshape(-1)[objects.index],
        variance_of_sum=_camera_variance(objects, adu, camera, _standard_error(background)),
    )


def _level(background: float | Background | None) -> float:
    return float(background.level if isinstance(background, Background) else background or 0.0)


def _standard_error(background: BackgroundLevel) -> float:
    return background.standard_error if isinstance(background, Background) else 0.0


def _camera_variance(objects: Objects, adu: torch.Tensor, camera: Camera, background_error_adu: float) -> Floats:
    """Return the variance of the photons that an object's pixels add up to."""
    response = torch.as_tensor(camera.quantum_efficiency * camera.pixel_response)
    per_electron = (1 / response).expand_as(adu).numpy().reshape(-1)[objects.index]
    per_adu = (camera.gain_e_per_adu / camera.em_gain / response).expand_as(adu).numpy().reshape(-1)[objects.index]
    electrons = camera.to_electrons(adu).numpy().reshape(-1)[objects.index]
    read = torch.as_tensor(camera.read_noise_e / camera.em_gain).expand_as(adu).numpy().reshape(-1)[objects.index]
    shot = camera.excess_noise_factor * objects.sum_of_pixels(electrons * per_electron**2)
    still = objects.sum_of_pixels((read * per_electron) ** 2 + per_adu**2 / 12)
    common = background_error_adu * objects.sum_of_pixels(per_adu)
    return np.maximum(shot, 0) + still + common**2 + camera.row_noise_adu**2 * _squares_of_rows(objects, per_adu)


def _squares_of_rows(objects: Objects, values: Floats) -> Floats:
    """Add up a value over each row of pixels of an object, square, and add up over the object."""
    if objects.count == 0:
        return np.empty(0)
    first_pixel_of_run = np.cumsum(objects.length) - objects.length
    rows = np.add.reduceat(values, first_pixel_of_run[objects.line_start])
    squares = np.zeros(len(objects.start))
    squares[objects.line_start] = rows**2
    return np.asarray(objects.sum(squares))
