"""scikit-image's Richardson-Lucy: outside the image, image and object are 0."""

import numpy as np
from deconvolution_measuring import main, without_background
from skimage.restoration import richardson_lucy


def linear(image: np.ndarray, psf: np.ndarray, background: float, iterations: int) -> np.ndarray:
    return richardson_lucy(without_background(image, background), psf, num_iter=iterations, clip=False)


if __name__ == "__main__":
    main({"linear": linear})
