"""Time microsim's acquisition of an object: one line of JSON. Arguments: object.npy, dz, dy, dx, pixels of the PSF."""

import json
import os
import resource
import sys
import time

os.environ["MICROSIM_CACHE"] = "0"  # or a second run would read the PSF of the first from the disk

import numpy as np
from microsim import schema
from microsim.schema import Simulation

EXPOSURE_MS = 100


def peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def simulation(truth: np.ndarray, scale: tuple[float, ...], psf_side: int) -> Simulation:
    # microsim takes this wavelength to be in µm where it gives it in nm, and so never limits the PSF, which is then as
    # wide as the image and far slower; with a limit that much smaller it has the size that was meant, less a pixel
    airy_radius_px = 0.61 * 525.26 / 1.4 / scale[2]
    return Simulation.from_ground_truth(
        truth,
        scale,
        objective_lens=schema.ObjectiveLens(numerical_aperture=1.4, specimen_ri=1.515),
        detector=schema.CameraCCD(read_noise=1.6, qe=1, full_well=30_000, bit_depth=16, dark_current=0.06),
        exposure_ms=EXPOSURE_MS,
        settings=schema.Settings(
            np_backend="numpy",
            device="cpu",
            cache={"read": False, "write": False},
            max_psf_radius_aus=(psf_side - 1.5) / 2 / airy_radius_px,
            random_seed=0,
        ),
    )


def main() -> None:
    scale, psf_side = tuple(map(float, sys.argv[2:5])), int(sys.argv[5])
    before = peak_mib()
    photons = np.load(sys.argv[1])
    # its light source and spectra set how many photons a fluorophore gives; divide them out
    rate = float(simulation(photons[:1, :8, :8], scale, psf_side).filtered_emission_rates().sum())
    photons /= rate * EXPOSURE_MS / 1000

    simulated = simulation(photons, scale, psf_side)
    truth = simulated.ground_truth()
    seen = []
    modality = type(simulated.modality)
    original = modality._summed_weighted_psf

    def timed_psf(*arguments: object) -> object:
        start = time.perf_counter()
        psf = original(*arguments)
        seen.append((time.perf_counter() - start, np.shape(psf)))
        return psf

    modality._summed_weighted_psf = timed_psf
    start = time.perf_counter()
    optical = simulated.optical_image()
    middle = time.perf_counter()
    recorded = simulated.digital_image(optical)
    end = time.perf_counter()
    psf_s, psf_shape = seen[0]
    print(
        json.dumps(
            {
                "memory_before_mib": before,
                "psf_s": psf_s,
                "blur_s": middle - start - psf_s,
                "camera_s": end - middle,
                "memory_peak_mib": peak_mib(),
                "photons": float(optical.values.sum(dtype=np.float64)) * EXPOSURE_MS / 1000,
                "recorded_adu": float(recorded.values.mean()),
                "psf_planes": psf_shape[0],
                "psf_side": psf_shape[-1],
                "voxels": truth.size,
            }
        )
    )


if __name__ == "__main__":
    main()
