"""RedLionfish's Richardson-Lucy on the CPU: circular by default; its other version puts zeros round the image.

It flips the PSF after it moved its centre to the first voxel, so that its two blurs differ by one voxel along each
axis, and an odd PSF in an even image is off by one: estimates lie one voxel off, which a comparison may undo.
"""

import numpy as np
from deconvolution_measuring import main, without_background
from RedLionfishDeconv import doRLDeconvolutionFromNpArrays
from RedLionfishDeconv.RLDeconv3DScipy import doRLDeconvolution12


def circular(image: np.ndarray, psf: np.ndarray, background: float, iterations: int) -> np.ndarray:
    return doRLDeconvolutionFromNpArrays(without_background(image, background), psf, niter=iterations, method="cpu")


def linear(image: np.ndarray, psf: np.ndarray, background: float, iterations: int) -> np.ndarray:
    return doRLDeconvolution12(without_background(image, background), psf, niter=iterations)


if __name__ == "__main__":
    main({"circular": circular, "linear": linear})
