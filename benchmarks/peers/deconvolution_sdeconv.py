"""sdeconv's Richardson-Lucy, with complex transforms; "linear" mirrors the image at its borders.

It wants a PSF with the size of the image.
"""

import numpy as np
import torch
from deconvolution_measuring import main, without_background
from sdeconv.deconv import SRichardsonLucy


def as_large_as(image: np.ndarray, psf: np.ndarray) -> np.ndarray:
    large = np.zeros(image.shape, psf.dtype)
    starts = [side // 2 - extent // 2 for side, extent in zip(image.shape, psf.shape, strict=True)]
    large[tuple(slice(start, start + extent) for start, extent in zip(starts, psf.shape, strict=True))] = psf
    return large


def restore(image: np.ndarray, psf: np.ndarray, background: float, iterations: int, pad: int | tuple) -> np.ndarray:
    photons = torch.from_numpy(without_background(image, background))
    algorithm = SRichardsonLucy(torch.from_numpy(as_large_as(image, psf)), niter=iterations, pad=pad)
    return algorithm(photons).numpy()


def circular(image: np.ndarray, psf: np.ndarray, background: float, iterations: int) -> np.ndarray:
    return restore(image, psf, background, iterations, pad=0)


def linear(image: np.ndarray, psf: np.ndarray, background: float, iterations: int) -> np.ndarray:
    return restore(image, psf, background, iterations, pad=tuple(extent // 2 for extent in psf.shape))


if __name__ == "__main__":
    main({"circular": circular, "linear": linear})
