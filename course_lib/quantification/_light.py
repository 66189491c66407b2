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

A background that is a plain number or an image counts as known: :math:`\sigma_b = 0`.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from course_lib.noise import Camera
from course_lib.quantification._objects import Array, Floats, Objects
from course_lib.quantification.background import Background

__all__ = ["BackgroundLevel", "Counted", "Light", "Recorded", "ThroughCamera"]

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


@dataclass(frozen=True, eq=False)
class Recorded:
    """Grey values, without statistics.

    Attributes
    ----------
    image : numpy.ndarray
        The image, of any type of number.
    background : float, Background, numpy.ndarray or None
        What is taken off, in the image's unit.

    Examples
    --------
    >>> from course_lib.quantification._objects import objects_of
    >>> Recorded(np.array([[5, 7, 9]], np.uint8), 4.0).of(objects_of(np.array([[0, 1, 1]])))
    Light(values=array([7, 9], dtype=uint8), level=4.0, variance_of_sum=None)
    """

    image: Array
    background: BackgroundLevel

    def of(self, objects: Objects) -> Light:
        """Return the light of some objects."""
        values = self.image.reshape(-1)[objects.index]
        if isinstance(self.background, np.ndarray):
            return Light(values.astype(np.float64) - self.background.reshape(-1)[objects.index])
        return Light(values, _level(self.background))


@dataclass(frozen=True, eq=False)
class Counted(Recorded):
    """Counts of photons, whose variance is their number."""

    def of(self, objects: Objects) -> Light:
        """Return the light of some objects, with its variance."""
        photons = objects.sum_of_pixels(self.image.reshape(-1)[objects.index].astype(np.float64))
        variance = np.maximum(photons, 0) + (objects.pixels * _standard_error(self.background)) ** 2
        return dataclasses.replace(super().of(objects), variance_of_sum=variance)


class ThroughCamera:
    """Grey values of a camera as photons.

    Parameters
    ----------
    image : numpy.ndarray
        Grey values in ADU.
    background : float, Background, numpy.ndarray or None
        In ADU, with the camera's offset and dark current in it, as it is estimated from the image.
    camera : Camera
        The camera.
    exposure_ms : float
        Exposure in ms.
    """

    def __init__(self, image: Array, background: BackgroundLevel, *, camera: Camera, exposure_ms: float) -> None:
        adu, finite = _finite(image)
        photons = camera.to_photons(adu, exposure_ms=exposure_ms)
        if background is not None:
            level = background if isinstance(background, np.ndarray) else np.full(image.shape, _level(background))
            level_adu, level_finite = _finite(level)
            photons -= camera.to_photons(level_adu, exposure_ms=exposure_ms)
            finite &= level_finite
        photons[~finite] = torch.nan
        response = torch.as_tensor(camera.quantum_efficiency * camera.pixel_response)
        read_e = torch.as_tensor(camera.read_noise_e / camera.em_gain)
        self._photons = photons
        self._electrons = camera.to_electrons(adu)
        self._photons_per_electron = (1 / response).expand_as(adu)
        self._photons_per_adu = (camera.gain_e_per_adu / camera.em_gain / response).expand_as(adu)
        self._read_e = read_e.expand_as(adu)
        self._background_error_adu = _standard_error(background)
        self._camera = camera

    def of(self, objects: Objects) -> Light:
        """Return the light of some objects, with its variance."""
        at = np.unravel_index(objects.index, objects.labels.shape)
        per_electron, per_adu = self._photons_per_electron.numpy()[at], self._photons_per_adu.numpy()[at]
        shot = self._camera.excess_noise_factor * objects.sum_of_pixels(self._electrons.numpy()[at] * per_electron**2)
        still = objects.sum_of_pixels((self._read_e.numpy()[at] * per_electron) ** 2 + per_adu**2 / 12)
        background = self._background_error_adu * objects.sum_of_pixels(per_adu)
        rows = self._camera.row_noise_adu**2 * _squares_of_rows(objects, per_adu)
        return Light(self._photons.numpy()[at], variance_of_sum=np.maximum(shot, 0) + still + background**2 + rows)


def _level(background: float | Background | None) -> float:
    return float(background.level if isinstance(background, Background) else background or 0.0)


def _standard_error(background: BackgroundLevel) -> float:
    return background.standard_error if isinstance(background, Background) else 0.0


def _finite(image: Array) -> tuple[torch.Tensor, torch.Tensor]:
    """Return an image with 0 for what is not finite, which a camera refuses, and where it is finite."""
    values = torch.from_numpy(image.astype(np.float64))
    finite = values.isfinite()
    return torch.where(finite, values, 0.0), finite


def _squares_of_rows(objects: Objects, values: Floats) -> Floats:
    """Add up a value over each row of pixels of an object, square, and add up over the object."""
    if objects.count == 0:
        return np.empty(0)
    first_pixel_of_run = np.cumsum(objects.length) - objects.length
    rows = np.add.reduceat(values, first_pixel_of_run[objects.line_start])
    squares = np.zeros(len(objects.start))
    squares[objects.line_start] = rows**2
    return np.asarray(objects.sum(squares))
