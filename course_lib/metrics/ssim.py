r"""Structural similarity.

Inside a small Gaussian window around each pixel, with the local means :math:`\mu`, variances
:math:`\sigma^2` and covariance :math:`\sigma_{SO}` of the estimate :math:`S` and the truth :math:`O`,

.. math:: \mathrm{SSIM} = \frac{(2\mu_S\mu_O + C_1)(2\sigma_{SO} + C_2)}
                               {(\mu_S^2 + \mu_O^2 + C_1)(\sigma_S^2 + \sigma_O^2 + C_2)},
          \qquad C_1 = (0.01 R)^2, \quad C_2 = (0.03 R)^2,

averaged over all windows that lie inside the image. The constants scale with the range :math:`R` of the
data, so a range much too large turns every pair of images into a perfect match.
"""

import torch

from course_lib.metrics._check import check_data_range, check_pair

__all__ = ["ssim"]

WINDOW_RADIUS = 5
WINDOW_SIGMA = 1.5


def _local_mean(image: torch.Tensor, dimensions: int) -> torch.Tensor:
    """Average in a Gaussian window, axis by axis; `WINDOW_RADIUS` pixels are lost at each border."""
    offsets = torch.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1)
    bell = torch.exp(-0.5 * (offsets.double() / WINDOW_SIGMA).square())
    weights = (bell / bell.sum()).tolist()
    for axis in range(-dimensions, 0):
        length = image.shape[axis] - 2 * WINDOW_RADIUS
        shifted = (weight * image.narrow(axis, start, length) for start, weight in enumerate(weights))
        image = torch.stack(list(shifted)).sum(dim=0)
    return image


def ssim(estimate: torch.Tensor, truth: torch.Tensor, *, data_range: float, dimensions: int = 2) -> torch.Tensor:
    """Return the mean structural similarity in a Gaussian window of σ = 1.5 pixels and 11 pixels width.

    Equals ``skimage.metrics.structural_similarity`` with ``gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False``.

    Parameters
    ----------
    estimate, truth : torch.Tensor, shape (..., [Z,] Y, X)
        Restored and true images, floating point, any unit, both the same; at least 11 pixels along each axis.
    data_range : float
        Range of the data, in the unit of the images; state it with the result.
    dimensions : {2, 3}
        How many of the last axes make up one image, and so the dimensions of the window.

    Returns
    -------
    torch.Tensor, shape (...)
        One number an image, from -1 to 1; 1 where the estimate equals the truth.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, an axis is shorter than the window, or the range is not
        above 0.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image quality assessment: from error
    visibility to structural similarity", IEEE Transactions on Image Processing 13 (2004) 600.

    Examples
    --------
    >>> truth = torch.rand(32, 32, generator=torch.Generator().manual_seed(0))
    >>> ssim(truth, truth, data_range=1.0).item()
    1.0
    >>> bool(ssim(0 * truth, truth, data_range=65535.0) > 0.999)  # any two images, with an absurd range
    True
    """
    check_data_range(data_range)
    estimate, truth, _ = check_pair(estimate, truth, dimensions=dimensions)
    width = 2 * WINDOW_RADIUS + 1
    if min(truth.shape[-dimensions:]) < width:
        raise ValueError(
            f"truth has shape {tuple(truth.shape)}, but its last {dimensions} axes must have at least "
            f"{width} pixels each, the width of the window: pass larger images, or dimensions=2."
        )
    mean_estimate, mean_truth = _local_mean(estimate, dimensions), _local_mean(truth, dimensions)
    variance_estimate = _local_mean(estimate.square(), dimensions) - mean_estimate.square()
    variance_truth = _local_mean(truth.square(), dimensions) - mean_truth.square()
    covariance = _local_mean(estimate * truth, dimensions) - mean_estimate * mean_truth

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_estimate * mean_truth + c1) / (mean_estimate.square() + mean_truth.square() + c1)
    structure = (2 * covariance + c2) / (variance_estimate + variance_truth + c2)
    return (luminance * structure).mean(dim=tuple(range(-dimensions, 0)))
