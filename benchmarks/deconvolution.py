"""Richardson-Lucy, how fast and in how much memory: this library, its peers, and the transforms that all need.

    python -m benchmarks.deconvolution --peers PYTHON [--rounds N]

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements.txt``. Each contestant runs in its own
process, by its script in ``benchmarks/peers``, and they take turns, so that a machine that slows down slows down all;
ratios are taken turn by turn. The time of an iteration is that of a run of 6 less that of a run of 1, over 5: what is
set up once does not count. The floor is two `rfftn` and two `irfftn` of the grid of the object. The memory is what a
run adds to libraries, image and PSF at its peak. scikit-image and RedLionfish come with one thread; with more they are
used as in ``with scipy.fft.set_workers(threads)``.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.machine import write_results
from course_lib import optics

PSF_SHAPES = {(64, 256, 256): (33, 65, 65), (32, 512, 512): (31, 65, 65)}
"""PSF of each image; where borders are circular, it must not be larger than the image."""
VOXEL_UM = (0.2, 0.08, 0.08)
BACKGROUND_PHOTONS = 5.0
FEW, MANY = 1, 6
REPEATS = 3
SLOW_S = 3.0
PEERS = Path(__file__).parent / "peers"
THREADS = torch.get_num_threads()


class Contestant(NamedTuple):
    """What takes turns."""

    library: str
    method: str
    threads: int = THREADS


OURS = [
    *(Contestant(library, method) for method in ("circular", "linear") for library in ("floor", "course_lib")),
    *(Contestant("course_lib", f"accelerated {method}") for method in ("circular", "linear")),
]
ON_GPU = [Contestant(one.library, f"{one.method} on the GPU") for one in OURS]
THEIRS = [
    *(Contestant("skimage", "linear", threads) for threads in (1, THREADS)),
    *(Contestant("redlionfish", method, threads) for method in ("circular", "linear") for threads in (1, THREADS)),
    *(Contestant("sdeconv", method) for method in ("circular", "linear")),
    *(Contestant("cubic", method, 1) for method in ("circular", "linear")),
]
CONTESTANTS = [*OURS, *(ON_GPU if torch.cuda.is_available() else ()), *THEIRS]


def recording(shape: tuple[int, ...]) -> dict[str, object]:
    """Return an image of points with noise, and its PSF, as the contestants read them."""
    microscope = optics.Microscope(numerical_aperture=1.4)
    psf = optics.vectorial_psf(microscope, shape=PSF_SHAPES[shape], voxel_size_um=VOXEL_UM)
    rng = torch.Generator().manual_seed(0)
    points = (torch.rand(shape, generator=rng) < 1e-3) * 2e4
    mean = optics.Convolution(psf, shape)(points).clamp_(min=0) + BACKGROUND_PHOTONS
    image = torch.poisson(mean, generator=rng)
    return {"image": image.numpy(), "psf": psf.numpy(), "background": BACKGROUND_PHOTONS, "iterations": (FEW, MANY)}


def run(contestant: Contestant, given: dict[str, object], *, peers: str, repeats: int, folder: str) -> dict:
    """Run one contestant in its own process."""
    library, method, threads = contestant
    np.savez(Path(folder) / "input.npz", **given, method=method, rounds=repeats, threads=threads)
    interpreter = sys.executable if library in ("course_lib", "floor") else peers
    command = [interpreter, str(PEERS / f"deconvolution_{library}.py"), "input.npz", "output.npz"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return json.loads(done.stdout.strip().splitlines()[-1])


def iteration_ms(found: dict, kind: str) -> float:
    """Return the milliseconds of one iteration in one process."""
    few, many = (statistics.median(seconds) for seconds in found[kind])
    return 1000 * (many - few) / (MANY - FEW)


def spread(values: list[float]) -> list[float]:
    """Return least, median and most, rounded to three digits."""
    return [float(f"{value:.3g}") for value in (min(values), statistics.median(values), max(values))]


def measure(shape: tuple[int, ...], *, peers: str, rounds: int) -> list[dict[str, object]]:
    """Measure all contestants with images of one shape."""
    given = recording(shape)
    turns: dict[Contestant, list[dict]] = {one: [] for one in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder:
        first = {one: run(one, given, peers=peers, repeats=1, folder=folder) for one in CONTESTANTS}
        for _ in range(rounds):
            for one, found in first.items():
                repeats = REPEATS if found["seconds"][1][0] < SLOW_S else 1
                turns[one].append(run(one, given, peers=peers, repeats=repeats, folder=folder))
    ms = {one: [iteration_ms(found, "seconds") for found in turns[one]] for one in CONTESTANTS}

    def times(one: Contestant, other: Contestant) -> list[float]:
        return spread([mine / its for mine, its in zip(ms[one], ms[other], strict=True)])

    rows = []
    for one in CONTESTANTS:
        place = " on the GPU" if one.method.endswith("GPU") else ""
        boundary = "circular" if "circular" in one.method else "linear"
        row: dict[str, object] = {
            "shape": shape,
            "psf_shape": PSF_SHAPES[shape],
            **one._asdict(),
            "ms": spread(ms[one]),
            "cpu_ms": spread([iteration_ms(found, "cpu_seconds") for found in turns[one]]),
        }
        if one.library != "floor":
            row["memory_mb"] = spread([found["memory_peak_mb"] - found["memory_before_mb"] for found in turns[one]])
            row["process_mb"] = spread([found["memory_peak_mb"] for found in turns[one]])
        if one.library == "course_lib":
            row["times_floor"] = times(one, Contestant("floor", boundary + place))
        elif one.library != "floor":
            row["times_course_lib"] = times(one, Contestant("course_lib", boundary))
            row["times_course_lib_circular"] = times(one, Contestant("course_lib", "circular"))
        rows.append(row)
    return rows


def main() -> None:
    """Measure, print and write ``benchmarks/results/deconvolution.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="interpreter of the peers' environment")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contestant")
    given = parser.parse_args()
    peers = str(Path(given.peers).absolute())  # the contestants run in a folder of their own
    what = "One Richardson-Lucy iteration; [least, median, most] of the turns; memory of a run, and of its process"
    rows: list[dict[str, object]] = []
    for shape in PSF_SHAPES:
        rows += measure(shape, peers=peers, rounds=given.rounds)
        write_results("deconvolution", {"what": what, "rounds": given.rounds, "rows": rows})


if __name__ == "__main__":
    main()
