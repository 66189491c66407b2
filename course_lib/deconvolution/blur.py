r"""The blur of a restoration: an object that goes on beyond the image, and the camera that cuts the image out.

A camera sees part of a specimen, and light of what lies beside and above that part reaches it, too. With

.. math:: H = C\,F^{-1} \operatorname{diag}(\hat h)\, F

the object has more voxels than the image, as many as the PSF :math:`h` reaches over its borders, and :math:`C` cuts the
image out. The transpose puts zeros in place of what the camera did not see:

.. math:: H^T = F^{-1} \operatorname{diag}(\hat h^*)\, F\, C^T .

A restoration that knows only the voxels of the image must explain light from outside by structures inside, and makes
bright seams; with circular borders it takes light of the left border to come from the right.

References
----------
M. Bertero, P. Boccacci, Astronomy & Astrophysics 437 (2005) 369.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from course_lib.deconvolution._check import Boundary, check_psf

__all__ = ["Blur", "as_native"]

Array = np.ndarray[Any, Any]
Index = Any
Give = Callable[[Index], Any]
Take = Callable[[Index, Any], None]

PART = 2**18
"""Voxels of a part: a megabyte in float32."""


class Blur:
    r"""Blur objects that reach beyond the image; `adjoint` is the transpose.

    Parameters
    ----------
    psf : torch.Tensor
        Point-spread function, shape (y, x) or (z, y, x), float32 or float64, at least 0, with sum 1 and its centre at
        ``size // 2``. It may be larger than the image if the boundary is linear, and need not be symmetric.
    image_shape : sequence of int
        Spatial shape of the images, (Y, X) or (Z, Y, X).
    boundary : {"linear", "circular"}
        ``"linear"``: the object goes on beyond the image, as far as the PSF reaches. ``"circular"``: it is as large as
        the image, and light that leaves on one side enters on the other.

    Attributes
    ----------
    image_shape, object_shape : tuple of int
        Spatial shapes of image and object.
    transfer : torch.Tensor
        Spectrum of the PSF on the grid of the object, the half that suffices for a real PSF.

    Raises
    ------
    ValueError, TypeError
        If the PSF is none, or larger than the image while the boundary is circular; if what is to be blurred has
        another shape, dtype or device.

    Notes
    -----
    The object's grid is a ring. It begins with the voxels of the image; after them comes what lies beyond its last
    voxel, then what lies before its first. On the CPU the transforms are SciPy's, axis by axis: no row of zeros is
    transformed, and none that is cut off afterwards. On other devices they are torch's. Neither carries gradients:
    `optics.Convolution` does.

    Examples
    --------
    >>> blur = Blur(torch.ones(1, 3) / 3, (1, 4))
    >>> blur.object_shape  # one voxel more on each side
    (1, 6)
    >>> blur(torch.tensor([[0, 0, 0, 0, 0, 9.0]])).round().abs()  # light from the voxel before the first
    tensor([[3., 0., 0., 0.]])
    """

    def __init__(self, psf: torch.Tensor, image_shape: Sequence[int], *, boundary: Boundary = "linear") -> None:
        check_psf(psf)
        self.image_shape = tuple(int(side) for side in image_shape)
        self.object_shape = _object_shape(self.image_shape, tuple(psf.shape), boundary)
        self.transfer = torch.fft.rfftn(_centre_at_origin(psf, self.object_shape))

    @property
    def reach(self) -> torch.Tensor:
        r"""Share of each voxel's light that falls on the image, :math:`H^T 1`, shape `object_shape`: 1 well inside.

        Computed each time, so that a `Blur` holds no more than its transfer.
        """
        ones = torch.ones(self.image_shape, dtype=self.transfer.dtype.to_real(), device=self.transfer.device)
        return self.adjoint(ones).clamp_(min=0)

    def __call__(self, estimate: torch.Tensor) -> torch.Tensor:
        """Return H x: what the camera sees of an object, shape (..., *object_shape) to (..., *image_shape)."""
        self._check(estimate, self.object_shape, name="estimate")
        image = self._empty(estimate, self.image_shape)
        self.stream(as_native(estimate).__getitem__, as_native(image).__setitem__, like=image)
        return image

    def adjoint(self, image: torch.Tensor) -> torch.Tensor:
        """Return Hᵀ y of an image, shape (..., *image_shape) to (..., *object_shape)."""
        self._check(image, self.image_shape, name="image")
        estimate = self._empty(image, self.object_shape)
        self.stream_adjoint(as_native(image).__getitem__, as_native(estimate).__setitem__, like=estimate)
        return estimate

    def stream(self, give: Give, take: Take, *, like: torch.Tensor) -> None:
        """Blur an object that `give` makes part by part into an image that `take` gets part by part.

        So element-wise work before and after is done while a part is in the cache. The part that an index means is a
        NumPy array on the CPU and a tensor elsewhere (`as_native`); `take` may overwrite what it gets.

        Parameters
        ----------
        give : callable
            Gets an index, and returns the part of the object there.
        take : callable
            Gets an index, and the part of the image there.
        like : torch.Tensor
            Its axes before those of space are the batch.
        """
        self._stream(give, take, like, self.object_shape, self.image_shape, conjugate=False)

    def stream_adjoint(self, give: Give, take: Take, *, like: torch.Tensor) -> None:
        """Do for the transpose what `stream` does: from an image to an object."""
        self._stream(give, take, like, self.image_shape, self.object_shape, conjugate=True)

    def crop(self, estimate: torch.Tensor) -> torch.Tensor:
        """Return the part of an object that the image shows, shape (..., *image_shape): a view."""
        for axis, side in enumerate(self.image_shape, start=-len(self.image_shape)):
            estimate = estimate.narrow(axis, 0, side)
        return estimate

    def _check(self, values: torch.Tensor, shape: tuple[int, ...], *, name: str) -> None:
        if tuple(values.shape[-len(shape) :]) != shape:
            raise ValueError(
                f"{name} has shape {tuple(values.shape)}, but must end in {shape}: this Blur is for images of "
                f"{self.image_shape}, whose objects have {self.object_shape}. Make another one for other shapes."
            )
        needed = self.transfer.dtype.to_real()
        if values.dtype != needed:
            raise TypeError(f"{name} has dtype {values.dtype}, but the psf {needed}: {name}.to({needed}) converts it.")
        if values.device != self.transfer.device:
            raise ValueError(
                f"{name} is on {values.device}, but the psf on {self.transfer.device}: move one of them with .to()."
            )

    def _empty(self, like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return like.new_empty((*like.shape[: like.ndim - len(shape)], *shape))

    def _stream(
        self,
        give: Give,
        take: Take,
        like: torch.Tensor,
        given: tuple[int, ...],
        taken: tuple[int, ...],
        *,
        conjugate: bool,
    ) -> None:
        transfer = self.transfer.detach()
        if like.device.type == "cpu":
            batch = like.shape[: like.ndim - len(given)]
            _stream_scipy(give, take, batch, transfer.numpy(), self.object_shape, given, taken, conjugate=conjugate)
            return
        spectrum = torch.fft.rfftn(give(...), s=self.object_shape)
        spectrum *= transfer.conj() if conjugate else transfer
        filtered = torch.fft.irfftn(spectrum, s=self.object_shape)
        take(..., filtered if taken == self.object_shape else self.crop(filtered))


def as_native(tensor: torch.Tensor) -> Any:
    """Return what parts are made of: a NumPy array that shares its memory on the CPU, the tensor itself elsewhere.

    Neither carries gradients.
    """
    values = tensor.detach()
    return values.numpy() if values.device.type == "cpu" else values


def _stream_scipy(
    give: Give,
    take: Take,
    batch: tuple[int, ...],
    transfer: Array,
    grid: tuple[int, ...],
    given: tuple[int, ...],
    taken: tuple[int, ...],
    *,
    conjugate: bool,
) -> None:
    """Transform some planes at a time along x and y, all along z, multiply, and transform back the same way.

    The conjugate of the transfer need not be kept: with the opposite sign in all transforms, the transfer acts as such.
    The threads are not torch's, which wait busily for more work and hold up those of the transforms along z; a grid of
    one part needs none. In 2D the first axis is y, and there is nothing between it and x.
    """
    from scipy import fft

    planes = max(1, PART // math.prod((*batch, *grid[1:])))
    workers = torch.get_num_threads()
    real, forth, back, real_back = (
        (fft.ihfft, fft.ifft, fft.fft, fft.hfft) if conjugate else (fft.rfft, fft.fft, fft.ifft, fft.irfft)
    )
    has_rows, outer = len(grid) == 3, -len(grid)
    spectrum = np.empty((*batch, given[0], *transfer.shape[1:]), transfer.dtype)

    def enter(part: Index) -> None:
        values = real(give(part), n=grid[-1])
        spectrum[part] = forth(values, n=grid[-2], axis=-2, overwrite_x=True) if has_rows else values

    def multiply(part: Index) -> None:
        spectrum[part] *= transfer[part]

    def leave(part: Index) -> None:
        values = spectrum[part]
        if has_rows:
            values = back(values, axis=-2, overwrite_x=True)[..., : taken[-2], :]
        take(part, real_back(values, n=grid[-1])[..., : taken[-1]])

    def parts(length: int) -> list[Index]:
        return [
            (..., slice(i, min(i + planes, length)), *(slice(None),) * (len(grid) - 1))
            for i in range(0, length, planes)
        ]

    with ThreadPoolExecutor(workers) if planes < grid[0] else nullcontext() as threads:
        each = threads.map if threads else map
        deque(each(enter, parts(given[0])), maxlen=0)
        spectrum = forth(spectrum, n=grid[0], axis=outer, overwrite_x=True, workers=workers)
        deque(each(multiply, parts(grid[0])), maxlen=0)
        spectrum = back(spectrum, axis=outer, overwrite_x=True, workers=workers)
        deque(each(leave, parts(taken[0])), maxlen=0)


def _object_shape(image_shape: tuple[int, ...], psf_shape: tuple[int, ...], boundary: Boundary) -> tuple[int, ...]:
    from scipy import fft

    if boundary not in ("linear", "circular"):
        raise ValueError(
            f"boundary is {boundary!r}, but must be 'linear' (the object goes on outside) or 'circular' (wraps round)."
        )
    if boundary == "circular":
        if any(extent > side for side, extent in zip(image_shape, psf_shape, strict=True)):
            raise ValueError(
                f"psf has shape {psf_shape}, but for a circular boundary at most that of the image, {image_shape}: "
                f"crop it and scale its sum to 1, or use boundary='linear'."
            )
        return image_shape
    needed = [side + extent - 1 for side, extent in zip(image_shape, psf_shape, strict=True)]
    return (*(fft.next_fast_len(side) for side in needed[:-1]), fft.next_fast_len(needed[-1], real=True))


def _centre_at_origin(psf: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    missing = [side - extent for side, extent in zip(shape, psf.shape, strict=True)]
    padding = [width for side in reversed(missing) for width in (0, side)]
    shifts = [-(extent // 2) for extent in psf.shape]
    return torch.nn.functional.pad(psf, padding).roll(shifts, dims=tuple(range(psf.ndim)))
