r"""The Wiener filter: the linear estimate with the smallest mean squared error.

Let object and noise be random and uncorrelated, with the spectra :math:`S_f = E|X|^2` and :math:`S_n = E|N|^2`. (Photon
noise depends on the object, since its variance does, but its mean is 0 for each object, and no more is needed.) Among
all filters :math:`\hat X = GY` of an image :math:`Y = HX + N` the error

.. math:: E|GY - X|^2 = |GH - 1|^2 S_f + |G|^2 S_n

is least where its derivative with respect to :math:`G^*` is 0:

.. math:: G = \frac{H^*}{|H|^2 + S_n/S_f} .

The first term is detail lost, the second noise let through. For a constant ratio it is `tikhonov`; but objects have
less power at high frequencies and noise has not, so that the ratio rises by orders of magnitude along the spectrum, and
no constant suits both ends. See `estimate_noise_to_signal` for how it is found in the image itself.

References
----------
N. Wiener, *Extrapolation, Interpolation, and Smoothing of Stationary Time Series*, MIT Press 1949.
"""

from collections.abc import Sequence

import torch

from course_lib.deconvolution._check import Background, Boundary
from course_lib.deconvolution._direct import Spectra, reciprocal
from course_lib.deconvolution.noise_to_signal import noise_to_signal_of

__all__ = ["wiener"]


def wiener(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    noise_to_signal: float | torch.Tensor | None = None,
    read_noise_e: float = 0.0,
    voxel_size_um: Sequence[float] | None = None,
    background: Background = 0.0,
    boundary: Boundary = "linear",
) -> torch.Tensor:
    """Restore with the ratio of noise to signal at each frequency.

    Parameters
    ----------
    image, psf, background, boundary
        As for `naive_inverse`.
    noise_to_signal : float or torch.Tensor, optional
        Ratio of the spectra of noise and object, at least 0: a number, or a tensor that fits the half-spectrum of the
        ring, ``Blur(psf, image_shape, boundary=boundary).transfer``. None estimates it, for which the image must be in
        photons.
    read_noise_e, voxel_size_um
        As for `estimate_noise_to_signal`, if the ratio is estimated. A stack needs its voxel size then.

    Returns
    -------
    torch.Tensor
        Estimate of the object in photons, also negative, shape, dtype and device of the image.

    Raises
    ------
    ValueError, TypeError
        As for `naive_inverse`, or if the ratio is negative, not finite or of another shape, or if it is to be estimated
        of an image whose mean is negative.

    Warns
    -----
    UserWarning
        If the ratio is to be estimated, and the PSF is 3D and no voxel size is given, or the image reaches less than
        half a photon, so that it is hardly in photons.

    Examples
    --------
    >>> psf = torch.ones(5, 5) / 25
    >>> truth = 2.0 + torch.zeros(64, 64)
    >>> truth[16:48, 16:48] = 50.0
    >>> blurred = torch.nn.functional.avg_pool2d(truth[None], 5, 1, 2, count_include_pad=False)[0]
    >>> noisy = torch.poisson(blurred, generator=torch.Generator().manual_seed(0))
    >>> for image in (noisy, wiener(noisy, psf)):
    ...     print(f"{(image - truth).square().mean().sqrt():.1f} photons off")
    6.5 photons off
    4.8 photons off
    """
    spectra = Spectra(image, psf, background=background, boundary=boundary)
    if noise_to_signal is None:
        ratio = noise_to_signal_of(spectra, image, read_noise_e=read_noise_e, voxel_size_um=voxel_size_um)
    else:
        ratio = _check_ratio(noise_to_signal, spectra)
    return spectra.restore(reciprocal(spectra.power + ratio))


def _check_ratio(ratio: float | torch.Tensor, spectra: Spectra) -> torch.Tensor:
    ratio = torch.as_tensor(ratio, dtype=spectra.power.dtype, device=spectra.power.device)
    lowest = float(ratio.detach().min())
    if not bool(torch.isfinite(ratio).all()) or lowest < 0:
        raise ValueError(
            f"noise_to_signal is {lowest:g} at its lowest, but must be finite and at least 0: "
            f"it is a ratio of powers; None estimates it."
        )
    try:
        ratio.expand(spectra.image.shape)
    except RuntimeError:
        raise ValueError(
            f"noise_to_signal has shape {tuple(ratio.shape)}, but must be one number or fit the half-spectrum "
            f"{tuple(spectra.image.shape)}, the shape of Blur(psf, image_shape, boundary=boundary).transfer."
        ) from None
    return ratio
