"""Camera simulation, megapixels a second: this library, the same model in NumPy, and microsim, in one run.

    python -m benchmarks.camera --peers PYTHON

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements.txt``; microsim needs NumPy 1.
The three take turns, so that a machine that slows down slows down all; ratios are taken round by round.
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import write_results
from course_lib import noise

SIDE = 1024
ROUNDS = 7
REPEATS = 3
PEER = Path(__file__).parent / "peers" / "microsim_camera.py"


def seconds(capture: Callable[[], object]) -> float:
    """Return the median of a few repeats."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        capture()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def numpy_camera(photons: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Record photons with the same model, written directly in NumPy."""
    electrons = np.minimum(rng.poisson(photons + 0.006), 30_000)
    adu = np.round((electrons + rng.normal(0, 1.6, photons.shape)) / 0.46 + 100)
    return np.clip(adu, 0, 65_535).astype(np.uint16)


def microsim_seconds(peers: str, photons: float) -> float:
    """Run microsim in its own environment."""
    command = [peers, str(PEER), str(SIDE), str(photons), str(REPEATS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return statistics.median(json.loads(done.stdout.strip().splitlines()[-1]))


def measure(peers: str | None) -> list[dict[str, object]]:
    """Measure at three brightnesses."""
    camera = noise.Camera(quantum_efficiency=1.0)
    rows: list[dict[str, object]] = []
    for photons in (5.0, 50.0, 500.0):
        image = torch.full((SIDE, SIDE), photons)
        generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
        contestants: dict[str, Callable[[], float]] = {
            "course_lib": lambda image=image, generator=generator: seconds(
                lambda: camera.capture(image, rng=generator)
            ),
            "numpy": lambda image=image, rng=rng: seconds(lambda: numpy_camera(image.numpy(), rng)),
        }
        if peers is not None:
            contestants["microsim"] = lambda photons=photons: microsim_seconds(peers, photons)
        for run in contestants.values():
            run()
        rounds = [{name: run() for name, run in contestants.items()} for _ in range(ROUNDS)]
        row: dict[str, object] = {"photons": photons, "pixels": SIDE * SIDE}
        for name in contestants:
            rates = sorted(SIDE * SIDE / 1e6 / times[name] for times in rounds)
            row[f"{name}_mpx_per_s"] = [round(rates[i], 2) for i in (0, ROUNDS // 2, -1)]
            if name != "course_lib":
                ratios = sorted(times[name] / times["course_lib"] for times in rounds)
                row[f"faster_than_{name}"] = [round(ratios[i], 2) for i in (0, ROUNDS // 2, -1)]
        rows.append(row)
    return rows


def main() -> None:
    """Measure, print and write ``benchmarks/results/camera.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter of the peers' environment")
    rows = measure(parser.parse_args().peers)
    write_results("camera", {"what": "camera simulation; [least, median, most] of the rounds", "rows": rows})


if __name__ == "__main__":
    main()
