r"""Blur by a point-spread function: the operator :math:`H`, and its adjoint :math:`H^T`.

A microscope adds up the images of all points of the object. With the PSF :math:`h` and its centre :math:`c`,

.. math:: (Hx)_i = \sum_k h_k\, x_{i - k + c}, \qquad (H^T y)_j = \sum_k h_k\, y_{j + k - c},

and the adjoint, which restoration needs, is the same sum with the PSF turned round, so that
:math:`\langle Hx, y\rangle = \langle x, H^T y\rangle`. By the convolution theorem both are products of spectra,

.. math:: H = C F^{-1} \operatorname{diag}(\hat h)\, F Z, \qquad H^T = C F^{-1} \operatorname{diag}(\hat h^*)\, F Z,

where :math:`Z` appends zeros and :math:`C = Z^T` cuts them off again. An FFT is periodic: what leaves on one
side enters on the other. Light moves by at most :math:`c` = size // 2 voxels, so :math:`c` zeros along each axis
are enough to keep it out of the image. They are rounded up to a length whose prime factors are small, which an
FFT does many times faster than, say, a prime number.

References
----------
J. W. Goodman, *Introduction to Fourier Optics*, 4th ed., Freeman 2017, chapter 2.
M. Frigo, S. G. Johnson, Proceedings of the IEEE 93 (2005) 216 (why lengths matter).
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from course_lib.axes import check_spatial

__all__ = ["Convolution"]


class Convolution:
    r"""Blur images of one shape by one PSF; `adjoint` is the transpose.

    Parameters
    ----------
    psf : torch.Tensor
        Point-spread function, shape (y, x) or (z, y, x), float32 or float64, centre at ``size // 2`` along each
        axis. It should sum to 1, which keeps the photons of whatever lies further from the borders than the
        PSF reaches. It need not be symmetric.
    shape : sequence of int
        Shape of the images to blur, (y, x) or (z, y, x), without their batch axes.
    boundary : {"linear", "circular"}
        ``"linear"``: beyond the borders it is dark, and light that is blurred over a border is lost, as it is for
        a camera. ``"circular"``: light that leaves on one side enters on the other; no padding, so less work.
    backend : {"scipy", "torch"}, optional
        Which FFT: ``"scipy"`` for the CPU, where it is the faster, or ``"torch"`` for every device and for
        gradients with respect to the PSF. By default scipy for a PSF on the CPU that needs no gradient.

    Attributes
    ----------
    shape : tuple of int
        Shape of the images.
    padded_shape : tuple of int
        Shape of the transforms.
    transfer : torch.Tensor
        Spectrum of the PSF, half of it since the PSF is real: shape (*padded_shape[:-1], padded_shape[-1] // 2 + 1).

    Raises
    ------
    TypeError
        If PSF or image is not a float tensor, or the two differ in dtype.
    ValueError
        If shapes or devices do not fit, a value is NaN or infinite, or the PSF is larger than the boundary allows:
        the image for ``"circular"``, ``2 * size - 1`` for ``"linear"``, beyond which no light gets from voxel to voxel.

    Notes
    -----
    The transfer function is computed once, on the first use of the adjoint its conjugate, too. Each is as large as one
    padded image, and so is the unit here: making a Convolution takes 4 at its peak, of which 1 stays; a call takes 2
    with scipy and 3 with torch on top of image and transfer function, its result included.

    FFTs round: voxels that should be 0 come out as ±1e-7 (float32; 1e-16 in float64) of the brightest, so an
    image that is at least 0 stays so only up to this. Nothing is clamped here; ``.clamp(min=0)`` does it where a
    model of noise needs it, at no visible cost in photons.

    Gradients with respect to the image are those of the adjoint, of any order, in both backends.

    Examples
    --------
    >>> psf = torch.tensor([[0.0, 0.1, 0.0], [0.1, 0.5, 0.3], [0.0, 0.0, 0.0]])
    >>> point = torch.zeros(5, 6)
    >>> point[2, 2] = 100
    >>> blur = Convolution(psf, point.shape)
    >>> blur(point).round()[1:4, 1:4].abs()
    tensor([[ 0., 10.,  0.],
            [10., 50., 30.],
            [ 0.,  0.,  0.]])
    >>> blur.adjoint(point).round()[1:4, 1:4].abs()
    tensor([[ 0.,  0.,  0.],
            [30., 50., 10.],
            [ 0., 10.,  0.]])
    """

    def __init__(
        self,
        psf: torch.Tensor,
        shape: Sequence[int],
        *,
        boundary: Literal["linear", "circular"] = "linear",
        backend: Literal["scipy", "torch"] | None = None,
    ) -> None:
        self.shape = _check(psf, shape, boundary)
        self.padded_shape = _padded_shape(self.shape, psf.shape) if boundary == "linear" else self.shape
        self.backend = _choose_backend(psf, backend)
        self.transfer = torch.fft.rfftn(_centre_at_origin(psf, self.padded_shape))

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Return H x: the blurred image.

        Parameters
        ----------
        image : torch.Tensor
            Shape (..., *shape), dtype and device of the PSF; leading axes are a batch.

        Returns
        -------
        torch.Tensor
            Same shape, dtype and device.
        """
        return self.filter(image, self.transfer)

    def adjoint(self, image: torch.Tensor) -> torch.Tensor:
        """Return Hᵀ y: the blur with the PSF turned round.

        Parameters
        ----------
        image : torch.Tensor
            Shape (..., *shape), dtype and device of the PSF.

        Returns
        -------
        torch.Tensor
            Same shape, dtype and device.
        """
        return self.filter(image, self._conjugate)

    @cached_property
    def _conjugate(self) -> torch.Tensor:
        conjugate: torch.Tensor = self.transfer.conj().resolve_conj()
        return conjugate

    def filter(self, image: torch.Tensor, transfer: torch.Tensor) -> torch.Tensor:
        """Filter with any transfer function on the padded grid, for example one made from `transfer`.

        Parameters
        ----------
        image : torch.Tensor
            Shape (..., *shape), dtype and device of the PSF.
        transfer : torch.Tensor
            Shape and device of the attribute `transfer`, complex or real.

        Returns
        -------
        torch.Tensor
            Same shape, dtype and device as `image`.

        Raises
        ------
        ValueError
            If `transfer` requires a gradient, which the backend scipy does not have; or as for a call.
        """
        self._check_image(image)
        if self.backend == "scipy" and transfer.requires_grad:
            raise ValueError(
                "backend 'scipy' has no gradient with respect to the transfer function, which requires one: "
                "make the Convolution with backend='torch', or pass transfer.detach()."
            )
        if self.backend == "torch":
            spectrum = torch.fft.rfftn(image, s=self.padded_shape) * transfer
            padded: torch.Tensor = torch.fft.irfftn(spectrum, s=self.padded_shape)
            for axis, side in enumerate(self.shape, start=-len(self.shape)):
                padded = padded.narrow(axis, 0, side)
            return padded.contiguous()
        filtered: torch.Tensor = _ScipyFilter.apply(image, transfer, self.padded_shape)  # type: ignore[no-untyped-call]
        return filtered

    def _check_image(self, image: torch.Tensor) -> None:
        check_spatial(image, len(self.shape))
        if image.shape[-len(self.shape) :] != self.shape:
            raise ValueError(
                f"image has shape {tuple(image.shape)}, but this Convolution is for (..., "
                f"{', '.join(map(str, self.shape))}): make another one for images of that shape."
            )
        if image.dtype.to_complex() != self.transfer.dtype:
            raise TypeError(
                f"image has dtype {image.dtype}, but the psf {self.transfer.dtype.to_real()}: "
                f"image.to({self.transfer.dtype.to_real()}) converts it."
            )
        if image.device != self.transfer.device:
            raise ValueError(
                f"image is on {image.device}, but the psf on {self.transfer.device}: move one of them with .to()."
            )


class _ScipyFilter(torch.autograd.Function):
    """Filter with SciPy; its gradient is the filter with the conjugate transfer function."""

    @staticmethod
    def forward(ctx: Any, image: torch.Tensor, transfer: torch.Tensor, padded_shape: tuple[int, ...]) -> torch.Tensor:
        ctx.transfer, ctx.padded_shape = transfer, padded_shape
        return _filter_scipy(image, transfer, padded_shape)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        conjugate = ctx.transfer.conj().resolve_conj()
        return _ScipyFilter.apply(gradient, conjugate, ctx.padded_shape), None, None  # type: ignore[no-untyped-call]


def _filter_scipy(image: torch.Tensor, transfer: torch.Tensor, padded_shape: tuple[int, ...]) -> torch.Tensor:
    """Pad, transform, multiply, transform back, cut: axis by axis, so that no row of zeros is transformed."""
    from scipy import fft

    workers = torch.get_num_threads()
    axes = range(-2, -len(padded_shape) - 1, -1)
    values: np.ndarray[Any, Any] = fft.rfft(image.detach().numpy(), n=padded_shape[-1], workers=workers)
    for axis in axes:
        values = fft.fft(values, n=padded_shape[axis], axis=axis, overwrite_x=True, workers=workers)
    torch.from_numpy(values).mul_(transfer)
    for axis in reversed(axes):
        values = fft.ifft(values, axis=axis, overwrite_x=True, workers=workers)
        values = values.swapaxes(axis, 0)[: image.shape[axis]].swapaxes(axis, 0)
    values = fft.irfft(values, n=padded_shape[-1], workers=workers)
    return torch.from_numpy(values[..., : image.shape[-1]]).contiguous()


def _padded_shape(shape: tuple[int, ...], psf_shape: Sequence[int]) -> tuple[int, ...]:
    from scipy import fft

    needed = [side + extent // 2 for side, extent in zip(shape, psf_shape, strict=True)]
    return (*(fft.next_fast_len(side) for side in needed[:-1]), fft.next_fast_len(needed[-1], real=True))


def _centre_at_origin(psf: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Append zeros up to `shape`, then move the voxel at size // 2 to index 0; what was before it wraps round."""
    missing = [side - extent for side, extent in zip(shape, psf.shape, strict=True)]
    padding = [width for side in reversed(missing) for width in (0, side)]
    shifts = [-(extent // 2) for extent in psf.shape]
    return torch.nn.functional.pad(psf, padding).roll(shifts, dims=tuple(range(psf.ndim)))


def _choose_backend(psf: torch.Tensor, backend: Literal["scipy", "torch"] | None) -> Literal["scipy", "torch"]:
    if backend not in (None, "scipy", "torch"):
        raise ValueError(f"backend is {backend!r}, but must be 'scipy', 'torch' or None, which chooses.")
    if backend is None:
        return "scipy" if psf.device.type == "cpu" and not psf.requires_grad else "torch"
    if backend == "scipy" and psf.device.type != "cpu":
        raise ValueError(f"backend 'scipy' computes on the CPU, but the psf is on {psf.device}: pass 'torch', or None.")
    if backend == "scipy" and psf.requires_grad:
        raise ValueError(
            "backend 'scipy' has no gradient with respect to the psf, which requires one: "
            "pass 'torch', or psf.detach()."
        )
    return backend


def _check(psf: torch.Tensor, shape: Sequence[int], boundary: str) -> tuple[int, ...]:
    if boundary not in ("linear", "circular"):
        raise ValueError(f"boundary is {boundary!r}, but must be 'linear' (dark outside) or 'circular' (wraps round).")
    check_spatial(psf, 2, name="psf")
    if psf.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"psf has dtype {psf.dtype}, but must be float32 or float64: psf.float() converts it.")
    sides = tuple(int(side) for side in shape)
    if psf.ndim > 3 or len(sides) != psf.ndim:
        raise ValueError(
            f"shape is {sides} and the psf has shape {tuple(psf.shape)}, but both must be (y, x) or both (z, y, x): "
            f"leave batch axes out of shape, images may have them all the same."
        )
    if min(sides) < 1:
        raise ValueError(f"shape is {sides}, but each side must be at least 1 voxel.")
    for side, extent in zip(sides, psf.shape, strict=True):
        largest = side if boundary == "circular" else 2 * side - 1
        if extent > largest:
            raise ValueError(
                f"psf has shape {tuple(psf.shape)}, but for images of shape {sides} and a {boundary} boundary "
                f"at most {largest} of its {extent} voxels have an effect along one axis: "
                f"make or crop it to {largest} there, its centre still at size // 2, or use larger images."
            )
    return sides
