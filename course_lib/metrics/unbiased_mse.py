r"""Mean squared error against a truth that nobody has seen without noise.

The estimate :math:`S` is compared with a reference :math:`R = O + n`, whose noise :math:`n` has mean 0, the known
variance :math:`\sigma^2`, and nothing to do with the estimate. Then

.. math:: \mathrm{E}\,\frac1N \sum_i (S_i - R_i)^2 = \frac1N \sum_i (S_i - O_i)^2 + \overline{\sigma^2} ,

so that the first sum less the variance is on average the squared error against the truth :math:`O`.
"""

import torch

from course_lib.metrics._check import check_pair

__all__ = ["unbiased_mse"]


def unbiased_mse(
    estimate: torch.Tensor, reference: torch.Tensor, *, noise_variance: float | torch.Tensor, dimensions: int = 2
) -> torch.Tensor:
    """Return the mean squared error of an estimate, from a reference whose noise is known.

    Reference and estimate must be independent: not made from the same photons.

    Parameters
    ----------
    estimate, reference : torch.Tensor, shape (..., [Z,] Y, X)
        Restored image and noisy reference, floating point, any unit, both the same.
    noise_variance : float or torch.Tensor
        Variance of the reference's noise, in the unit squared: one number, or one for each pixel. For photon counts
        that were divided by d it is the reference itself, once more divided by d.
    dimensions : {2, 3}
        How many of the last axes make up one image.

    Returns
    -------
    torch.Tensor, shape (...)
        One number an image, in the unit squared. Right on average, and so below 0 by chance where the error is small
        against the noise of the reference.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or a variance is not finite or below 0.

    References
    ----------
    A. Krull et al., "Image denoising and the generative accumulation of photons", WACV (2024) 1517.

    Examples
    --------
    >>> draw = torch.Generator().manual_seed(0)
    >>> counts = torch.poisson(torch.full((512, 512), 70.0), generator=draw)
    >>> reference = counts / 7  # the truth is 10, and the estimate is wrong by 2
    >>> round(float(unbiased_mse(torch.full((512, 512), 12.0), reference, noise_variance=reference / 7)), 1)
    4.0
    """
    estimate, reference, image_axes = check_pair(estimate, reference, dimensions=dimensions, name="reference")
    variance = torch.as_tensor(noise_variance).to(reference)
    if variance.ndim and variance.shape != reference.shape:
        raise ValueError(
            f"noise_variance has shape {tuple(variance.shape)}, but reference has {tuple(reference.shape)}: pass one "
            f"number, or one for each pixel."
        )
    if not bool(((variance >= 0) & variance.isfinite()).all()):
        raise ValueError(
            f"noise_variance goes down to {float(variance.min()):g}, but must be finite and at least 0: it is the "
            f"square of the noise's standard deviation."
        )
    return ((estimate - reference).square() - variance).mean(dim=image_axes)
