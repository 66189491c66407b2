"""cubic's Richardson-Lucy on the CPU, by NumPy's complex transforms (double in NumPy 1, which microsim needs)."""

import numpy as np
from cubic.preprocessing import richardson_lucy_xp
from deconvolution_measuring import main, without_background


def circular(image: np.ndarray, psf: np.ndarray, background: float, iterations: int) -> np.ndarray:
    return richardson_lucy_xp(without_background(image, background), psf, n_iter=iterations)


def linear(image: np.ndarray, psf: np.ndarray, background: float, iterations: int) -> np.ndarray:
    return richardson_lucy_xp(without_background(image, background), psf, n_iter=iterations, noncirc=True)


if __name__ == "__main__":
    main({"circular": circular, "linear": linear})
