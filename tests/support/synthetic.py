"""Images, PSFs and matrices that several tests need: drawn from a seed, small, in float64."""

import math

import numpy as np
import torch

from course_lib import optics, samples
from course_lib.deconvolution import Blur


def random(shape: tuple[int, ...], *, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def lopsided_psf(shape: tuple[int, ...], *, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    psf = random(shape, seed=seed).pow(4) + 1e-3
    return (psf / psf.sum()).to(dtype)


def sharp_psf(shape: tuple[int, ...], *, seed: int) -> torch.Tensor:
    """Draw a lopsided PSF with 0.6 of its light in the centre: |H| is at least 0.2 everywhere."""
    psf = random(shape, seed=seed)
    psf[tuple(extent // 2 for extent in shape)] = 0
    psf = 0.4 * psf / psf.sum().clamp(min=1e-300)
    psf[tuple(extent // 2 for extent in shape)] = 1 - psf.sum()
    return psf


def gaussian(shape: tuple[int, ...], sigma: float | tuple[float, ...]) -> torch.Tensor:
    psf = torch.ones((), dtype=torch.float64)
    for side, width in zip(shape, sigma if isinstance(sigma, tuple) else (sigma,) * len(shape), strict=True):
        psf = psf[..., None] * torch.exp(-((torch.arange(side) - side // 2) ** 2) / (2 * width**2)).double()
    return psf / psf.sum()


def widefield_plane(sample: str, *, photons: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return photons counted above 2 of background, PSF and truth of filaments, nuclei or beads that go on outside."""
    water = optics.Microscope(numerical_aperture=1.2, immersion_index=1.33, sample_index=1.33)
    psf = optics.vectorial_psf(water, shape=(1, 31, 31), voxel_size_um=(0.2, 0.1, 0.1))[0]
    psf = psf / psf.sum()
    size = {"voxel_size_um": (0.1, 0.1), "rng": 0}
    if sample == "filaments":
        cell = samples.filaments((128, 128), count=40, **size)
    elif sample == "nuclei":
        cell = samples.nuclei((128, 128), count=4, diameter_um=6.0, **size).density.float()
    else:
        cell = samples.beads((128, 128), count=40, diameter_um=0.2, **size).density.float()
    mean = optics.Convolution(psf, cell.shape)(cell)[16:-16, 16:-16].clamp(min=0)
    scale = photons / float(mean.max())
    image = torch.poisson(scale * mean + 2, generator=torch.Generator().manual_seed(1))
    return image, psf, scale * cell[16:-16, 16:-16]


def counts(shape: tuple[int, ...], *, seed: int, peak: float = 20.0) -> torch.Tensor:
    """Draw photons of a few bright voxels on a dim ground."""
    mean = peak * (random(shape, seed=seed).pow(3) + 0.1)
    return torch.poisson(mean, generator=torch.Generator().manual_seed(seed + 1))


def matrix(blur: Blur) -> np.ndarray:
    """Blur each voxel of the object on its own: the columns of H, (voxels of the image, voxels of the object)."""
    voxels = math.prod(blur.object_shape)
    basis = torch.eye(voxels, dtype=torch.float64).reshape(voxels, *blur.object_shape)
    return blur(basis).reshape(voxels, -1).T.numpy()
