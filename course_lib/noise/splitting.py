r"""Split the photons of one image into two independent images of the same scene.

If a count is Poisson with mean :math:`\lambda` and each of its photons goes left with probability
:math:`p`, the left count is Poisson with mean :math:`p\lambda`, the right count Poisson with mean
:math:`(1 - p)\lambda`, and the two are independent. So a single image of photon counts yields a second,
noisier exposure of the same moment, and a held-out one that can judge a restoration made from the first.

References
----------
J. F. C. Kingman, *Poisson Processes*, Oxford 1993, section 5.1 (colouring theorem).
A. Krull et al., *Image Denoising and the Generative Accumulation of Photons*, WACV 2024.
"""

import torch

from course_lib.seeding import generator

__all__ = ["split_photons"]


def split_photons(
    counts: torch.Tensor, *, fraction: float, rng: int | torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Send each photon left with probability `fraction`, right otherwise (binomial thinning).

    Parameters
    ----------
    counts : torch.Tensor
        Photon counts, whole numbers of any dtype and shape, below 2²⁴. A camera image must first be turned
        into detected *electrons* and rounded, `Camera.to_electrons(adu).round()`; photons before the quantum
        efficiency are not Poisson. It is then only approximately Poisson: the read noise does not split, and
        negative pixels must be clamped at 0, which brightens dark regions. Both are small where the read
        noise is below about 0.3 electrons or far below the shot noise.
    fraction : float
        Probability of going left, between 0 and 1.
    rng : int, torch.Generator or None
        Randomness.

    Returns
    -------
    left, right : torch.Tensor
        Counts as float32; ``left + right == counts``.

    Raises
    ------
    ValueError
        If `counts` is negative, not whole, NaN or infinite, or `fraction` outside (0, 1).

    Examples
    --------
    >>> counts = torch.full((512, 512), 20)
    >>> left, right = split_photons(counts, fraction=0.25, rng=0)
    >>> round(float(left.mean())), round(float(right.mean()))
    (5, 15)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction:g}, but must be between 0 and 1, for example 0.5.")
    photons = checked_photons(counts)
    probability = torch.full_like(photons, fraction)
    left = torch.binomial(photons, probability, generator=generator(rng, photons.device))
    return left, photons - left


def checked_photons(counts: torch.Tensor, *, name: str = "counts") -> torch.Tensor:
    """Return counts as float32, or raise the error of `split_photons` that calls them by `name`."""
    if not isinstance(counts, torch.Tensor):
        raise TypeError(
            f"{name} is a {type(counts).__name__}, but must be a tensor: torch.as_tensor({name}) makes one."
        )
    photons = counts.float()
    if not bool(torch.isfinite(photons).all()):
        raise ValueError(f"{name} has NaN or infinite values, but must be photon counts: replace them first.")
    if photons.numel() and float(photons.max()) >= 2**24:
        raise ValueError(f"{name} reach {float(photons.max()):g}, but must be below 2²⁴: split parts of the exposure.")
    if photons.numel() and (float(photons.min()) < 0 or bool((photons != photons.round()).any())):
        strange = photons[(photons < 0) | (photons != photons.round())][0]
        raise ValueError(
            f"{name} has a value of {float(strange):g}, but must be whole numbers of photons from 0 up: "
            f"turn a camera image into electrons, Camera.to_electrons(adu).round().clamp(min=0), which then "
            f"splits approximately."
        )
    return photons
