"""What each contestant of the deconvolution benchmarks does in its own process: restore, and be timed.

    python deconvolution_PEER.py INPUT.npz OUTPUT.npz

``INPUT.npz`` holds

- ``image``: photons, float32, shape (z, y, x),
- ``psf``: float32, sum 1, centre at ``size // 2``,
- ``background``: photons per voxel. A peer without a background term gets the image less it, negative values set to 0,
- ``iterations``: numbers of iterations; each is a run of its own from the start,
- ``method``: ``"linear"`` (nothing is known of what lies outside the image), ``"circular"`` (it wraps round), or
  another that the script offers,
- ``rounds``: timed turns after the first, untimed one; 0 if only the estimates are wanted,
- ``threads``: of the transforms of SciPy in the peers that use it; 1 is how they come.

``OUTPUT.npz`` receives ``estimates``, float32, shape (numbers of iterations, z, y, x). The last line printed is JSON:
``seconds`` and ``cpu_seconds`` (of all threads), a list of turns for each number of iterations, ``memory_before_mb``
(resident when libraries, image, PSF and room for the estimates are there) and ``memory_peak_mb`` (in the first turns).
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
from memory import peak_mb, reset_peak
from scipy import fft

Contestant = Callable[[np.ndarray, np.ndarray, float, int], np.ndarray]


def without_background(image: np.ndarray, background: float) -> np.ndarray:
    """Return the image less its background, at least 0."""
    return np.clip(image - np.float32(background), 0, None) if background else image


def main(contestants: dict[str, Contestant]) -> None:
    """Restore with the method that the input names, and print what it took."""
    with np.load(sys.argv[1]) as given:
        image, psf, counts = given["image"], given["psf"], given["iterations"].tolist()
        background, method = float(given["background"]), str(given["method"])
        rounds, threads = int(given["rounds"]), int(given["threads"])
    if method not in contestants:
        raise SystemExit(f"{sys.argv[0]} offers the methods {', '.join(contestants)}, but not {method}.")
    restore = contestants[method]
    estimates = np.full((len(counts), *image.shape), np.nan, np.float32)
    with fft.set_workers(threads):
        restore(np.ones((8, 16, 16), np.float32), np.full((3, 3, 3), 1 / 27, np.float32), 0.0, 1)  # imports the rest
        reset_peak()
        before = peak_mb()
        for index, count in enumerate(counts):
            estimates[index] = restore(image, psf, background, count)
        peak = peak_mb()
        np.savez(sys.argv[2], estimates=estimates)
        wall, cpu = [[] for _ in counts], [[] for _ in counts]
        for _ in range(rounds):
            for index, count in enumerate(counts):
                start, start_cpu = time.perf_counter(), time.process_time()
                restore(image, psf, background, count)
                wall[index].append(time.perf_counter() - start)
                cpu[index].append(time.process_time() - start_cpu)
    print(json.dumps({"seconds": wall, "cpu_seconds": cpu, "memory_before_mb": before, "memory_peak_mb": peak}))
