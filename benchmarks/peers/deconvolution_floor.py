"""The floor of a Richardson-Lucy iteration: two transforms forth and two back of the padded image, nothing else.

The same library and threads as course_lib's, SciPy on the CPU and torch on a GPU, as one calls them: `rfftn`, `irfftn`.
"""

from functools import partial

import numpy as np
import torch
from deconvolution_measuring import main
from scipy import fft

from course_lib.deconvolution import Blur


def transforms(
    image: np.ndarray, psf: np.ndarray, _background: float, iterations: int, boundary: str, device: str
) -> np.ndarray:
    shape = Blur(torch.from_numpy(psf), image.shape, boundary=boundary).object_shape
    values = np.random.default_rng(0).random(shape, np.float32)
    if device == "cpu":
        forth, back = (partial(function, workers=torch.get_num_threads()) for function in (fft.rfftn, fft.irfftn))
    else:
        forth, back, values = torch.fft.rfftn, torch.fft.irfftn, torch.from_numpy(values).to(device)
    for _ in range(2 * iterations):
        values = back(forth(values), s=shape)
    return np.asarray(values.cpu() if device != "cpu" else values)[tuple(slice(side) for side in image.shape)]


if __name__ == "__main__":
    main(
        {
            f"{boundary}{'' if device == 'cpu' else ' on the GPU'}": partial(
                transforms, boundary=boundary, device=device
            )
            for boundary in ("linear", "circular")
            for device in ("cpu", "cuda")
        }
    )
