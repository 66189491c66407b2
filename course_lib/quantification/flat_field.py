r"""Flat field: what the microscope and the camera do to a uniform sample, and its removal.

The illumination is brighter in the middle, and pixels differ. With the image :math:`F` of a uniform sample and the
image :math:`D` without light,

.. math:: c = \frac{g - D}{F - D}\;\overline{F - D} .

The correction multiplies by a map with the mean 1. So the same object has the same brightness wherever it lies, the
unit stays, and the camera's offset is gone.

**It does not restore photons.** Where the light was half, the noise is doubled with the signal. The variance of a
corrected pixel is no longer its mean: what wants photons (`noise2void`'s splitting, errors from the photon statistics,
`pearson_corrected_for_noise`) gets the *uncorrected* image.

**The flat is noise, too,** the same in each image, and does not average out over them. Average so many frames for it
that it has a hundred times the photons of an image. The same is true of the dark.

References
----------
J. A. Seibert, J. M. Boone, K. K. Lindfors, "Flat-field correction technique for digital detectors", SPIE 3336 (1998)
348.
"""

import numpy as np
import torch

from course_lib.quantification._correction import ImageT, like, values_of
from course_lib.segmentation._check import Array

__all__ = ["flat_field"]


def flat_field(image: ImageT, *, flat: torch.Tensor | Array, dark: float | torch.Tensor | Array = 0.0) -> ImageT:
    """Correct uneven illumination and uneven pixels.

    Parameters
    ----------
    image : torch.Tensor or numpy.ndarray, shape (..., y, x)
        Raw, in ADU or photons; leading axes (time, channel, depth) share the flat.
    flat : torch.Tensor or numpy.ndarray, shape (y, x)
        Mean of many images of a uniform fluorescent sample, in the same channel, in the same unit.
    dark : float, torch.Tensor or numpy.ndarray, shape (y, x)
        Mean of many images without light of the same exposure, or the camera's offset.

    Returns
    -------
    torch.Tensor or numpy.ndarray, as the image
        In the same unit, without offset.

    Raises
    ------
    ValueError
        If the shapes do not fit, values are NaN or infinite, or the flat is not brighter than the dark everywhere.
    TypeError
        If an argument is not an array of numbers.

    Examples
    --------
    >>> light = np.array([[0.5, 1.0, 1.5]])
    >>> flat_field(100 + 40 * light, flat=100 + 1000 * light, dark=100)
    array([[40., 40., 40.]])
    """
    values, uniform = values_of(image, name="image"), values_of(flat, name="flat")
    if isinstance(dark, torch.Tensor | np.ndarray):
        nothing = values_of(dark, name="dark")
    else:
        nothing = values_of(np.full(uniform.shape, dark, uniform.dtype), name="dark")
    for name, array in (("flat", uniform), ("dark", nothing)):
        if array.shape != values.shape[-2:]:
            raise ValueError(
                f"{name} has shape {array.shape}, but a plane of the image {values.shape[-2:]}: crop both alike."
            )
    light = uniform - nothing
    if not (light > 0).all():
        raise ValueError(
            f"{int((~(light > 0)).sum())} pixels of flat are not above dark: give the dark of the same exposure, and "
            f"replace dead pixels in flat and image by the median of their neighbours."
        )
    return like(image, (values - nothing) * (light.mean(dtype=float) / light).astype(light.dtype))
