r"""Turn a camera's values into counts whose variance is their mean, so that they can be split like photons.

Electrons :math:`z` from a camera with read noise :math:`R` have the variance :math:`s + R^2` around their mean
:math:`s`: too much by :math:`R^2` for Poisson counts. With a background of that many photons added,

.. math:: k = z + R^2, \qquad \mathrm{E}\,k = \mathrm{Var}\,k = s + R^2 ,

the first two moments are those of a Poisson count again. If each of these "photons" goes left with probability
:math:`p`, the two parts have the covariance :math:`p(1 - p)(\mathrm{Var}\,k - \mathrm{E}\,k) = 0`. That they are
uncorrelated suffices for everything linear; higher moments differ a little from Poisson's, and matter little.

So neither read noise nor offset need be known for themselves: where the photon-transfer line, variance against mean,
meets zero is what counts, and a single image tells that (`calibrate_image` with nothing known, whose offset is too low
by just that :math:`R^2`). Rounding adds its variance, too: 1/12 ADU² by the camera, and 1/6 by the rounding to whole
counts, which is up or down at random so that means are kept.

References
----------
.. [1] F. Huang et al., Nature Methods 10 (2013) 653, supplementary note 2 (read noise as photons in a likelihood).
.. [2] T. Pang, H. Zheng, Y. Quan, H. Ji, "Recorrupted-to-recorrupted: unsupervised deep learning for image denoising",
   CVPR (2021) 2043 (uncorrelated halves of a noisy image, by adding and subtracting noise).
"""

import math
from dataclasses import dataclass

import torch

from course_lib.axes import check_spatial
from course_lib.noise.line import ROUNDING_VARIANCE
from course_lib.seeding import generator

__all__ = ["EquivalentCounts", "equivalent_counts"]

RANDOM_ROUNDING_VARIANCE = 1 / 6


@dataclass(frozen=True)
class EquivalentCounts:
    """Counts, and the way back.

    Attributes
    ----------
    counts : torch.Tensor
        Whole numbers from 0 up, float32, of the image's shape.
    background_photons : float
        What was added to each.
    clipped_share : float
        Share of the pixels that would be negative and were set to 0: there the counts are too bright by a little.
    gain_e_per_adu, offset_adu : float
        Of the camera.
    """

    counts: torch.Tensor
    background_photons: float
    clipped_share: float
    gain_e_per_adu: float
    offset_adu: float

    def to_adu(self, restored: torch.Tensor) -> torch.Tensor:
        """Return restored counts in the camera's unit."""
        return (restored - self.background_photons) / self.gain_e_per_adu + self.offset_adu


def equivalent_counts(
    adu: torch.Tensor,
    *,
    gain_e_per_adu: float,
    offset_adu: float,
    read_noise_e: float,
    rng: int | torch.Generator | None,
) -> EquivalentCounts:
    """Return counts whose variance is their mean, for images of a camera that is known.

    Parameters
    ----------
    adu : torch.Tensor, shape (..., Y, X)
        Raw images.
    gain_e_per_adu, offset_adu, read_noise_e : float
        Of the camera, for example from `calibrate_image`. For an EMCCD, the gain that the image itself shows
        (``excess_noise_factor=1``): half of its electrons then count, which is what its noise is worth.
    rng : int, torch.Generator or None
        For the rounding.

    Raises
    ------
    ValueError
        If a value is not finite, the gain is not above 0, or the read noise below 0.

    Examples
    --------
    >>> from course_lib.noise import Camera
    >>> camera = Camera(gain_e_per_adu=0.5, quantum_efficiency=1.0, dark_current_e_per_s=0.0, read_noise_e=2.0)
    >>> adu = camera.capture(torch.full((512, 512), 20.0), rng=0)
    >>> found = equivalent_counts(adu, gain_e_per_adu=0.5, offset_adu=100.0, read_noise_e=2.0, rng=0)
    >>> print(f"mean {found.counts.mean():.1f}, variance {found.counts.var():.1f}")
    mean 24.2, variance 24.2
    >>> print(f"{found.to_adu(found.counts).mean():.1f} ADU, as before {adu.mean():.1f} ADU")
    140.0 ADU, as before 140.0 ADU
    """
    check_spatial(adu, 2, name="adu")
    if not 0 < gain_e_per_adu < math.inf:
        raise ValueError(f"gain_e_per_adu is {gain_e_per_adu:g} e⁻/ADU, but must be above 0 and finite.")
    if not 0 <= read_noise_e < math.inf:
        raise ValueError(f"read_noise_e is {read_noise_e:g} e⁻, but must be at least 0 e⁻ and finite.")
    if not math.isfinite(offset_adu):
        raise ValueError(f"offset_adu is {offset_adu:g} ADU, but must be finite: pass the mean of a dark frame.")
    background = read_noise_e**2 + ROUNDING_VARIANCE * gain_e_per_adu**2 + RANDOM_ROUNDING_VARIANCE
    raised = (adu.double() - offset_adu) * gain_e_per_adu + background
    up = torch.rand(raised.shape, generator=generator(rng, adu.device), device=adu.device, dtype=torch.float64)
    counts = (raised + up).floor_()
    return EquivalentCounts(
        counts=counts.clamp(min=0).float(),
        background_photons=background,
        clipped_share=float((counts < 0).double().mean()),
        gain_e_per_adu=gain_e_per_adu,
        offset_adu=offset_adu,
    )
