r"""Scale-invariant peak signal-to-noise ratio.

The estimate :math:`S` is first fitted to the truth :math:`O` by least squares,

.. math:: (a, b) = \arg\min \sum_i (a S_i + b - O_i)^2
          \quad\Rightarrow\quad a = \frac{\operatorname{cov}(S, O)}{\operatorname{var}(S)},
          \quad b = \bar O - a \bar S,

and the PSNR of :math:`aS + b` is taken, with the range of the truth, :math:`\max O - \min O`.
"""

import torch

from course_lib.metrics._check import check_pair

__all__ = ["si_psnr"]


def si_psnr(estimate: torch.Tensor, truth: torch.Tensor, *, dimensions: int = 2) -> torch.Tensor:
    """Return the PSNR after the best scale and offset of the estimate, with the range of the truth.

    Compares images whose brightness has no common unit. For the same reason it is blind to bias: an
    estimate at half the brightness, or an inverted one, scores like the right one. Report the bias with it.

    Parameters
    ----------
    estimate, truth : torch.Tensor, shape (..., [Z,] Y, X)
        Restored and true images, floating point, any two units.
    dimensions : {2, 3}
        How many of the last axes make up one image.

    Returns
    -------
    torch.Tensor, shape (...)
        One number an image, in dB. A constant estimate scores like the mean of the truth, the lowest of all.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or the truth of an image is constant.

    References
    ----------
    M. Weigert et al., "Content-aware image restoration: pushing the limits of fluorescence microscopy",
    Nature Methods 15 (2018) 1090.

    Examples
    --------
    >>> truth = torch.rand(32, 32, generator=torch.Generator().manual_seed(0))
    >>> noisy = truth + 0.1 * torch.randn(32, 32, generator=torch.Generator().manual_seed(1))
    >>> torch.testing.assert_close(si_psnr(0.5 * noisy + 3, truth), si_psnr(noisy, truth), rtol=1e-5, atol=0)
    """
    estimate, truth, image_axes = check_pair(estimate, truth, dimensions=dimensions)
    data_range = truth.amax(dim=image_axes) - truth.amin(dim=image_axes)
    if bool((data_range == 0).any()):
        raise ValueError(
            f"truth is constant in {int((data_range == 0).sum())} of {data_range.numel()} images, so that "
            f"any estimate could be scaled to fit: leave them out, or report psnr with a known data_range."
        )
    centred = estimate - estimate.mean(dim=image_axes, keepdim=True)
    centred_truth = truth - truth.mean(dim=image_axes, keepdim=True)
    variance = centred.square().mean(dim=image_axes, keepdim=True)
    covariance = (centred * centred_truth).mean(dim=image_axes, keepdim=True)
    constant = estimate.amax(dim=image_axes, keepdim=True) == estimate.amin(dim=image_axes, keepdim=True)
    scale = torch.where(constant, 0.0, covariance / torch.where(constant, 1.0, variance))
    error = (scale * centred - centred_truth).square().mean(dim=image_axes)
    return 10 * torch.log10(data_range.square() / error)
