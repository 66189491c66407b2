r"""Filters that learn nothing: what every learned restoration must beat.

The noise of photon counts grows with the signal, but non-local means and total variation ask for the same noise
everywhere. The transform of Anscombe, :math:`D = 2\sqrt{y + 3/8}`, brings it to about 1 above some three photons. Its
plain inverse is biased where photons are few, because the mean of a root is not the root of the mean; the inverse used
here undoes the *mean* of the transform [2]_.

References
----------
.. [1] F. J. Anscombe, "The transformation of Poisson, binomial and negative-binomial data", Biometrika 35 (1948) 246.
.. [2] M. Mäkitalo, A. Foi, "A closed-form approximation of the exact unbiased inverse of the Anscombe variance-
   stabilizing transformation", IEEE Transactions on Image Processing 20 (2011) 2697.
.. [3] A. Buades, B. Coll, J.-M. Morel, "A non-local algorithm for image denoising", CVPR (2005) 60.
.. [4] A. Chambolle, "An algorithm for total variation minimization and applications", Journal of Mathematical Imaging
   and Vision 20 (2004) 89.
"""

import math
from collections.abc import Callable

import torch

from course_lib.axes import check_spatial
from course_lib.parameters import Parameter

__all__ = ["gaussian", "nonlocal_means", "stabilized", "total_variation", "unstabilized"]

SIGMA = Parameter(name="sigma", default=1.0, meaning="width of the blur", unit="pixels", minimum=0.0)
STRENGTH = Parameter(name="strength", default=0.8, meaning="how unlike patches may be, in noises", minimum=0.0)
WEIGHT = Parameter(name="weight", default=0.5, meaning="how much smoothness counts against the data", minimum=0.0)

PATCH, REACH = 5, 6
"""Pixels across a patch of non-local means, and how far away others like it are looked for."""


def gaussian(image: torch.Tensor, *, sigma: float) -> torch.Tensor:
    """Blur an image (..., Y, X), in any unit, by a Gaussian of standard deviation `sigma` in pixels; 0 leaves it.

    Borders are mirrored, so that light is kept.

    Examples
    --------
    >>> noisy = torch.poisson(torch.full((64, 64), 9.0), generator=torch.Generator().manual_seed(0))
    >>> blurred = gaussian(noisy, sigma=1.5)
    >>> bool(blurred.std() < noisy.std() / 4), round(float(blurred.mean() - noisy.mean()), 1)
    (True, 0.0)
    """
    check_spatial(image, 2)
    SIGMA.check(sigma)
    reach = math.ceil(4 * sigma)
    if reach == 0:
        return image.clone()
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (places / sigma).square())
    kernel = (kernel / kernel.sum()).to(image)
    for axis in (-2, -1):
        image = (
            torch.nn.functional.conv1d(
                _mirrored(image.movedim(axis, -1), reach).flatten(0, -2)[:, None], kernel[None, None]
            )
            .reshape(*image.movedim(axis, -1).shape)
            .movedim(-1, axis)
        )
    return image


def nonlocal_means(counts: torch.Tensor, *, strength: float) -> torch.Tensor:
    """Average pixels of counts (..., Y, X) with those whose surroundings look alike, after Anscombe's transform.

    Examples
    --------
    >>> noisy = torch.poisson(torch.full((32, 32), 9.0), generator=torch.Generator().manual_seed(0))
    >>> bool(nonlocal_means(noisy, strength=0.8).std() < noisy.std() / 3)
    True
    """
    from skimage.restoration import denoise_nl_means

    STRENGTH.check(strength)
    if strength == 0:
        return counts.clone()
    return _each(
        counts, lambda flat: denoise_nl_means(flat, patch_size=PATCH, patch_distance=REACH, h=strength, sigma=1.0)
    )


def total_variation(counts: torch.Tensor, *, weight: float) -> torch.Tensor:
    """Return the image with the least sum of data misfit and total variation, after Anscombe's transform.

    Examples
    --------
    >>> noisy = torch.poisson(torch.full((32, 32), 9.0), generator=torch.Generator().manual_seed(0))
    >>> bool(total_variation(noisy, weight=1.0).std() < noisy.std() / 3)
    True
    """
    from skimage.restoration import denoise_tv_chambolle

    WEIGHT.check(weight)
    if weight == 0:
        return counts.clone()
    return _each(counts, lambda flat: denoise_tv_chambolle(flat, weight=weight))  # type: ignore[no-untyped-call]


def stabilized(counts: torch.Tensor) -> torch.Tensor:
    """Return counts with a noise of about 1 everywhere."""
    return 2 * (counts + 0.375).sqrt()


def unstabilized(values: torch.Tensor) -> torch.Tensor:
    """Return the counts whose stabilized noise has the mean `values`.

    Examples
    --------
    >>> counts = torch.poisson(torch.full((512, 512), 5.0), generator=torch.Generator().manual_seed(0))
    >>> round(float(unstabilized(stabilized(counts).mean())), 1)
    5.0
    """
    values = values.clamp(min=2 * 0.375**0.5)
    root, over = 1.5**0.5, 1 / values
    inverse: torch.Tensor = values.square() / 4 - 1 / 8 + root / 4 * over - 11 / 8 * over**2 + 5 / 8 * root * over**3
    return inverse.clamp(min=0)


def _each(counts: torch.Tensor, restore: Callable[..., object]) -> torch.Tensor:
    """Restore each frame of counts as if its noise were 1 everywhere."""
    check_spatial(counts, 2, name="counts")
    if float(counts.min()) < 0:
        raise ValueError(f"counts go down to {float(counts.min()):g}, but must be at least 0: they are photons.")
    frames = stabilized(counts.detach().cpu().float()).reshape(-1, *counts.shape[-2:])
    restored = torch.stack([torch.as_tensor(restore(frame.numpy())) for frame in frames])
    return unstabilized(restored.float()).reshape(counts.shape).to(counts.device)


def _mirrored(lines: torch.Tensor, reach: int) -> torch.Tensor:
    """Extend lines (..., n) by `reach` on both sides, with their mirror images, edge pixels doubled."""
    count = lines.shape[-1]
    places = torch.arange(-reach, count + reach, device=lines.device) % (2 * count)
    return lines[..., places.minimum(2 * count - 1 - places)]
