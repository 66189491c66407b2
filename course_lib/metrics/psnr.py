r"""Peak signal-to-noise ratio.

.. math:: \mathrm{PSNR}(S, O) = 10 \log_{10} \frac{R^2}{\tfrac1n \sum_i (S_i - O_i)^2}

in decibel, for an estimate :math:`S`, the truth :math:`O` and a range :math:`R` of the data. The range is
part of the result: ten times the range is 20 dB more.
"""

import torch

from course_lib.metrics._check import check_data_range, check_pair

__all__ = ["psnr"]


def psnr(estimate: torch.Tensor, truth: torch.Tensor, *, data_range: float, dimensions: int = 2) -> torch.Tensor:
    """Return the peak signal-to-noise ratio in decibel.

    A wrong brightness counts like noise: a noise-free image at half the brightness may score below a noisy
    one. `si_psnr` fits the brightness first.

    Parameters
    ----------
    estimate, truth : torch.Tensor, shape (..., [Z,] Y, X)
        Restored and true images, floating point, any unit, both the same.
    data_range : float
        Range of the data, in the unit of the images; state it with the result.
    dimensions : {2, 3}
        How many of the last axes make up one image.

    Returns
    -------
    torch.Tensor, shape (...)
        One number an image, in dB; infinite where the estimate equals the truth.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or the range is not above 0.

    References
    ----------
    Q. Huynh-Thu and M. Ghanbari, "Scope of validity of PSNR in image/video quality assessment",
    Electronics Letters 44 (2008) 800.

    Examples
    --------
    >>> truth = torch.zeros(8, 8)
    >>> psnr(truth + 0.1, truth, data_range=1.0).item()
    19.99...
    """
    check_data_range(data_range)
    estimate, truth, image_axes = check_pair(estimate, truth, dimensions=dimensions)
    return 10 * torch.log10(data_range**2 / (estimate - truth).square().mean(dim=image_axes))
