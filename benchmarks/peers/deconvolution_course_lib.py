"""Richardson-Lucy of course_lib, plain and accelerated, on the GPU where there is one and the method says so."""

from functools import partial

import numpy as np
import torch
from deconvolution_measuring import main

from course_lib.deconvolution import accelerated_richardson_lucy, richardson_lucy


def restore(
    image: np.ndarray,
    psf: np.ndarray,
    background: float,
    iterations: int,
    accelerated: bool,
    boundary: str,
    device: str,
) -> np.ndarray:
    algorithm = accelerated_richardson_lucy if accelerated else richardson_lucy
    photons, spread = torch.from_numpy(image).to(device), torch.from_numpy(psf).to(device)
    return algorithm(photons, spread, iterations=iterations, background=background, boundary=boundary).cpu().numpy()


if __name__ == "__main__":
    main(
        {
            f"{'accelerated ' if accelerated else ''}{boundary}{'' if device == 'cpu' else ' on the GPU'}": partial(
                restore, accelerated=accelerated, boundary=boundary, device=device
            )
            for accelerated in (False, True)
            for boundary in ("linear", "circular")
            for device in ("cpu", "cuda")
        }
    )
