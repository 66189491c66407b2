"""One EM step for photon counts: what Richardson-Lucy, its acceleration and its regularization share."""

from functools import cached_property
from typing import Any

import torch

from course_lib.deconvolution._check import Background, Boundary, check_inputs, check_photons
from course_lib.deconvolution.blur import Blur, as_native

__all__ = ["PoissonStep"]

SMALLEST_REACH = 1e-3
"""Voxels of which less light falls on the image are left dark: it tells next to nothing of them."""


class PoissonStep:
    r"""The factors of :math:`x \leftarrow x \cdot \frac{1}{H^T 1} \cdot H^T\!\left[\frac{y}{Hx + b}\right]`.

    Parameters
    ----------
    image, psf, background, boundary
        As for `richardson_lucy`.

    Attributes
    ----------
    blur : Blur
    """

    def __init__(self, image: torch.Tensor, psf: torch.Tensor, *, background: Background, boundary: Boundary) -> None:
        self._background = check_inputs(image, psf, background=background)
        check_photons(image)
        self._image = image.detach()
        self.blur = Blur(psf.detach(), image.shape[-psf.ndim :], boundary=boundary)
        self._axes = tuple(range(-psf.ndim, 0))
        kind = torch.finfo(image.dtype)
        brightest = self._image.amax(dim=self._axes, keepdim=True)
        self._least_expected = (kind.eps * brightest).clamp(min=kind.tiny)  # as exact as the FFT is, for each image

    def start(self) -> torch.Tensor:
        """Return an even object as bright as the image is on average above the background, shape of the object."""
        mean = self._image.mean(dim=self._axes, keepdim=True)
        signal = (self._image - self._background).mean(dim=self._axes, keepdim=True)
        even = torch.maximum(signal, 0.01 * mean)  # a voxel that begins at 0 stays there
        batch = self._image.shape[: self._image.ndim - len(self._axes)]
        return even * (self._weight > 0).to(even.dtype).expand(*batch, *self.blur.object_shape)

    def expected(self, estimate: torch.Tensor) -> torch.Tensor:
        """Return Hx + b: the photons that the camera should count, shape of the image."""
        expected = torch.empty_like(self._image)
        counts, background, least = (
            as_native(expected),
            as_native(self._background.expand(self._image.shape)),
            as_native(self._least_expected.expand(self._image.shape)),
        )

        def take(part: Any, light: Any) -> None:
            light += background[part]
            counts[part] = light.clip(min=least[part])

        self.blur.stream(as_native(estimate).__getitem__, take, like=expected)
        return expected

    def advance(self, estimate: torch.Tensor, expected: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        """Write `estimate` times the factor of each voxel, at least 0, to `out`, which may be `estimate`; return it."""
        image, counts, weight = (
            as_native(self._image),
            as_native(expected),
            as_native(self._weight.expand(estimate.shape)),
        )
        before, after = as_native(estimate), as_native(out)

        def give(part: Any) -> Any:
            return image[part] / counts[part]

        def take(part: Any, factor: Any) -> None:
            factor *= weight[part]
            after[part] = before[part] * factor.clip(min=0)

        self.blur.stream_adjoint(give, take, like=out)
        return out

    @cached_property
    def _weight(self) -> torch.Tensor:
        reach = self.blur.reach
        return torch.where(reach > SMALLEST_REACH, 1 / reach, 0)
