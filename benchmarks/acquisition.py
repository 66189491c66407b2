"""A whole simulated acquisition of 64 × 512 × 512 voxels: object → PSF → blur → camera, seconds and memory.

    python -m benchmarks.acquisition --peers PYTHON

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements.txt``; microsim needs NumPy 1. Every run
is a fresh process, so that its peak memory is its own and nothing is warm; imports are not counted. The two take
turns. The object, filaments, is drawn by this library and handed to both; PSF (vectorial, the same size to a pixel),
blur and camera are each one's own.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from benchmarks.machine import write_results
from course_lib import noise, optics, samples

SHAPE = (64, 512, 512)
PSF_SHAPE = (65, 65, 65)
VOXEL_UM = (0.2, 0.08, 0.08)
PEAK_PHOTONS = 100.0
ROUNDS = 5
PEER = Path(__file__).parent / "peers" / "microsim_acquisition.py"
Result = TypeVar("Result")


def peak_mib() -> float:
    """Return the largest memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def acquire(path: Path) -> dict[str, float]:
    """Simulate the acquisition here, write the object to `path` in photons, return the seconds of each stage."""
    found = {"memory_before_mib": peak_mib()}

    def timed(stage: str, run: Callable[[], Result]) -> Result:
        start = time.perf_counter()
        result = run()
        found[f"{stage}_s"] = time.perf_counter() - start
        return result

    cell = timed("object", lambda: samples.filaments(SHAPE, voxel_size_um=VOXEL_UM, count=200, rng=0))
    microscope = optics.Microscope(numerical_aperture=1.4)
    psf = timed("psf", lambda: optics.vectorial_psf(microscope, shape=PSF_SHAPE, voxel_size_um=VOXEL_UM))
    blurred = timed("blur", lambda: optics.Convolution(psf, SHAPE)(cell).clamp_(min=0))
    scale = PEAK_PHOTONS / float(blurred.max())
    recorded = timed("camera", lambda: noise.Camera(quantum_efficiency=1.0).capture(blurred.mul_(scale), rng=0))
    found["memory_peak_mib"] = peak_mib()
    found["photons"] = float(blurred.sum(dtype=torch.float64))
    found["recorded_adu"] = float(recorded.mean())
    np.save(path, (scale * cell).numpy())
    return found


def run(command: list[str]) -> dict[str, float]:
    """Run one process and return what it measured, with totals."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    found["memory_mib"] = found.pop("memory_peak_mib") - found.pop("memory_before_mib")
    found["psf_to_adu_s"] = found["psf_s"] + found["blur_s"] + found["camera_s"]
    return found


def measure(peers: str | None) -> dict[str, object]:
    """Let the two take turns."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "object.npy")
        contestants = {"course_lib": [sys.executable, "-m", "benchmarks.acquisition", "--write-object", path]}
        if peers is not None:
            sizes = [*map(str, VOXEL_UM), str(PSF_SHAPE[-1])]
            contestants["microsim"] = [peers, str(PEER), path, *sizes]
        rounds = [{name: run(command) for name, command in contestants.items()} for _ in range(ROUNDS)]
    measured: dict[str, object] = {
        name: {key: round(statistics.median(one[name][key] for one in rounds), 3) for key in rounds[0][name]}
        for name in contestants
    }
    if peers is not None:
        ratios = sorted(one["microsim"]["psf_to_adu_s"] / one["course_lib"]["psf_to_adu_s"] for one in rounds)
        measured["faster_than_microsim"] = [round(ratios[i], 2) for i in (0, ROUNDS // 2, -1)]
    return measured


def main() -> None:
    """Measure, print and write ``benchmarks/results/acquisition.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter of the peers' environment")
    parser.add_argument("--write-object", metavar="PATH", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write_object is not None:
        print(json.dumps(acquire(arguments.write_object)))
        return
    what = "64 × 512 × 512 acquisition, PSF 65 × 65 × 65; medians of fresh processes; ratios [least, median, most]"
    write_results("acquisition", {"what": what, **measure(arguments.peers)})


if __name__ == "__main__":
    main()
