r"""What the direct methods share: one transform forth, a factor for each frequency, one transform back.

On a ring the blur multiplies each frequency of the object by the transfer function, :math:`Y = HX`, and all linear
methods without iterations are

.. math:: \hat x = F^{-1}\!\left[ H^* \, g(|H|^2) \; F(y - b) \right]

with a real :math:`g` that tells them apart: :math:`1/|H|^2` for the inverse. Their gain on the noise is
:math:`|H|\,g`, and what they keep of the object is :math:`|H|^2 g`.

The transform sees a ring, and where the last plane of an image meets the first there is an edge that nobody imaged; a
method that sharpens edges rings there. With a linear boundary a gap as wide as the PSF is therefore opened between the
two, and bridged by a ramp from voxel to voxel: a gap of zeros would be an edge again.
"""

import torch

from course_lib.deconvolution._check import Background, Boundary, check_inputs
from course_lib.deconvolution.blur import Blur

__all__ = ["Spectra", "bridge", "reciprocal"]


class Spectra:
    """The spectra of an image and its PSF on one ring, checked.

    Attributes
    ----------
    shape : tuple of int
        Spatial shape of the ring.
    image : torch.Tensor
        Y, the half-spectrum of the image above the background.
    power : torch.Tensor
        |H|².
    """

    def __init__(self, image: torch.Tensor, psf: torch.Tensor, *, background: Background, boundary: Boundary) -> None:
        behind = check_inputs(image, psf, background=background)
        self._blur = Blur(psf, image.shape[-psf.ndim :], boundary=boundary)
        self._axes = tuple(range(-psf.ndim, 0))
        self.shape = self._blur.object_shape
        self.image = torch.fft.rfftn(bridge(image - behind, self.shape), dim=self._axes)
        self.power = self._blur.transfer.real**2 + self._blur.transfer.imag**2

    def restore(self, gain: torch.Tensor) -> torch.Tensor:
        """Return the inverse transform of ``H* gain Y``, shape of the image."""
        spectrum = self.image * (self._blur.transfer.conj() * gain)
        return self._blur.crop(torch.fft.irfftn(spectrum, s=self.shape, dim=self._axes)).contiguous()


def reciprocal(values: torch.Tensor) -> torch.Tensor:
    """Return 1 / values, and 0 where a value is 0 or so small that its reciprocal may overflow."""
    smallest = torch.finfo(values.dtype).tiny
    return torch.where(values > smallest, 1 / values.clamp(min=smallest), 0)


def bridge(image: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Extend the last axes of `image` to a ring of `shape`, axis after axis, by ramps from the last to the first."""
    for axis, side in enumerate(shape, start=-len(shape)):
        size = image.shape[axis]
        share = torch.arange(1, side - size + 1, dtype=image.dtype, device=image.device) / (side - size + 1)
        first, last = image.narrow(axis, 0, 1), image.narrow(axis, size - 1, 1)
        image = torch.cat([image, torch.lerp(last, first, share.reshape(-1, *[1] * (-1 - axis)))], dim=axis)
    return image
