r"""Crops of beads, each moved so that its centre lies on a voxel.

The smoothed crop is the trigonometric polynomial :math:`s(x) = \sum_\nu S(\nu)\,e^{2\pi i\nu\cdot x}`. Newton's steps
:math:`d \leftarrow d - (\nabla\nabla s)^{-1}\,\nabla s` lead to its maximum between the voxels, and
:math:`S(\nu)\,e^{2\pi i\nu\cdot d}` moves it to a voxel without blurring it, as an interpolation would.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["border", "centred_crops"]

MARGIN = 8
"""Voxels around a crop that keep its ends apart where the Fourier transform joins them."""


def centred_crops(
    values: NDArray[np.float64],
    voxels: NDArray[np.int64],
    *,
    sigma: NDArray[np.float64],
    shape: tuple[int, ...],
    background: float | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return crops (N, *shape) above their background, centred on a voxel, how far they were off, the background."""
    boxes = []
    for voxel in voxels:
        ranges = [np.arange(v - c // 2 - MARGIN, v - c // 2 + c + MARGIN) for v, c in zip(voxel, shape, strict=True)]
        inside = [r.clip(0, side - 1) for r, side in zip(ranges, values.shape, strict=True)]
        boxes.append(torch.from_numpy(values[np.ix_(*inside)]))
    box = torch.stack(boxes)
    within = (slice(None), *(slice(MARGIN, MARGIN + side) for side in shape))
    levels = torch.full((len(box),), background).to(box) if background is not None else border(box[within]).mean(1)
    box = box - levels.view(-1, *[1] * len(shape))

    axes = tuple(range(1, box.ndim))
    frequencies = torch.meshgrid(*(torch.fft.fftfreq(n, dtype=torch.float64) for n in box.shape[1:]), indexing="ij")
    wave = 2 * math.pi * torch.stack([f.flatten() for f in frequencies])  # (axes, K)
    spectrum = torch.fft.fftn(box, dim=axes).flatten(1)
    smoothing = torch.exp(-0.5 * ((wave * torch.from_numpy(sigma)[:, None]) ** 2).sum(0))
    centre = torch.tensor([MARGIN + side // 2 for side in shape], dtype=torch.float64)
    offsets = torch.zeros(len(box), len(shape), dtype=torch.float64)
    for _ in range(6):
        terms = spectrum * smoothing * torch.exp(1j * ((centre + offsets) @ wave))
        gradient = -terms.imag @ wave.T
        hessian = -torch.einsum("nk,ak,bk->nab", terms.real, wave, wave)
        step = torch.linalg.solve(hessian, gradient)
        offsets = (offsets - step).clamp(-2, 2)
    moved = torch.fft.ifftn((spectrum * torch.exp(1j * (offsets @ wave))).view(box.shape), dim=axes).real
    return moved[within].contiguous(), offsets, levels


def border(crops: torch.Tensor) -> torch.Tensor:
    """Return the voxels (N, K) in the outermost eighth of rows and columns, in 3D of the planes close to the middle."""
    edge = torch.ones(crops.shape[1:], dtype=torch.bool)
    height, width = crops.shape[-2:]
    y, x = max(height // 8, 1), max(width // 8, 1)
    edge[..., y : height - y, x : width - x] = False
    if edge.ndim == 3:
        planes = len(edge)
        edge[: planes // 2 - planes // 8] = False
        edge[planes // 2 + planes // 8 + 1 :] = False
    return crops[:, edge]
