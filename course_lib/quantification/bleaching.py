r"""Bleaching in a movie: divide it out, so that the same object has the same brightness in every frame.

The share of the dye that survived until frame :math:`t` is fitted to the mean of the object,
:math:`e^{-kt}` (`course_lib.fluorescence.fit_bleaching`), and each frame becomes

.. math:: c_t = \frac{g_t - b}{e^{-kt}} + b

with the background :math:`b`, which contains the camera's offset. Dividing each frame by its own mean would do it
without a fit, and would erase whatever else changes the brightness, the biology among it.

**It does not restore the signal-to-noise ratio.** The photons are gone: a frame at a tenth of the light is as noisy
after the division as before, and its noise is ten times as bright. Its variance is no longer its mean: errors come from
the photons of the raw movie. Bleaching of the background itself, or of one part more than another, is left in.

References
----------
K. Miura, "Bleach correction ImageJ plugin for compensating the photobleaching of time-lapse sequences", F1000Research 9
(2020) 1494.
"""

from dataclasses import dataclass
from typing import Generic

import numpy as np
import torch

from course_lib.fluorescence import BleachingFit, bleaching_trace, fit_bleaching
from course_lib.quantification._correction import ImageT, like, values_of

__all__ = ["BleachingCorrection", "correct_bleaching"]


@dataclass(frozen=True, eq=False)
class BleachingCorrection(Generic[ImageT]):
    """A movie without its bleaching, and what was divided out.

    Attributes
    ----------
    movie : torch.Tensor or numpy.ndarray, as it was given
        Shape (T, Y, X), in the same unit.
    survival : numpy.ndarray, shape (T,)
        Share of the dye that is left in each frame, 1 in the first.
    background : float
        What was not divided, because it does not bleach.
    fit : BleachingFit
        The rate per frame, with its standard error.
    """

    movie: ImageT
    survival: np.ndarray[tuple[int], np.dtype[np.float64]]
    background: float
    fit: BleachingFit


def correct_bleaching(
    movie: ImageT, *, bright_share: float = 0.1, background_share: float = 0.5
) -> BleachingCorrection[ImageT]:
    """Divide the bleaching of the object out of a movie.

    Parameters
    ----------
    movie : torch.Tensor or numpy.ndarray, shape (T, Y, X)
        One channel, one plane, at least 5 frames, in any unit; in register.
    bright_share, background_share : float
        Shares of the pixels taken for object and background, see `course_lib.fluorescence.bleaching_trace`.

    Returns
    -------
    BleachingCorrection

    Raises
    ------
    ValueError
        If the shape is another, values are NaN or infinite, there is no object, or it does not bleach.
    TypeError
        If the movie is not an array of numbers.

    Examples
    --------
    >>> cell = torch.zeros(32, 32)
    >>> cell[8:20, 8:20] = 200.0
    >>> survivors = torch.exp(-0.02 * torch.arange(60.0))
    >>> movie = torch.poisson(cell * survivors[:, None, None] + 20, generator=torch.Generator().manual_seed(0))
    >>> corrected = correct_bleaching(movie).movie
    >>> print(f"{movie[-1, 10:18, 10:18].mean():.0f} becomes {corrected[-1, 10:18, 10:18].mean():.0f}")
    83 becomes 224
    """
    values = values_of(movie, name="movie")
    found = bleaching_trace(
        torch.from_numpy(np.ascontiguousarray(values)), bright_share=bright_share, background_share=background_share
    )
    fit = fit_bleaching(found.trace, background=found.background, background_error=found.background_error)
    survival = np.exp(-fit.rate * np.arange(len(values)))
    above = values - np.asarray(found.background, values.dtype)
    corrected = above / survival[:, None, None].astype(values.dtype) + np.asarray(found.background, values.dtype)
    return BleachingCorrection(like(movie, corrected), survival, found.background, fit)
