"""Training and prediction of a U-Net, how fast and in how much memory: this library and CAREamics, in one run.

    python -m benchmarks.networks --peers PYTHON [--rounds N]

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements-careamics.txt``. Each contestant runs in
its own process, by its script in ``benchmarks/peers``, and they take turns; ratios are taken round by round. All learn
the same pairs with a U-Net of depth 2 and 32 channels at the finest grid, 64 × 64 patches, 16 at a time; CAREamics' has
batch normalization, which it has by default. Sixteen bits are tried only where the processor computes with them. Both
note the end of each step of their optimizer.

"first step" is the time from the call to the end of the first step; the rate is that of the steps after the tenth of
the first epoch, so that neither setting up nor validation counts. A prediction is one image of 2048 × 2048, all of a
second call. The memory is what training adds to libraries and images at its peak. There are so many images that one
epoch of CAREamics, which goes once through their patches, has all the steps that are counted, each of a whole batch.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import write_results
from course_lib import samples

CASE = {"patch": 64, "batch": 16, "steps": 50, "warm_up": 10, "base_channels": 32, "depth": 2}
HALF = torch.cpu._is_avx512_bf16_supported()  # a processor without instructions for bf16 emulates it, slowly
CONTESTANTS = {
    "course_lib": ("as it comes", "float32") if HALF else ("as it comes",),
    "careamics": ("as it comes", "channels_last", *(("bf16", "bf16 and channels_last") if HALF else ())),
}
IMAGES, SIDE, LARGE_SIDE, PEAK_PHOTONS = 14, 512, 2048, 20.0
IMPORTS = {"course_lib": "import course_lib.care", "careamics": "from careamics import CAREamist"}
PEERS = Path(__file__).parent / "peers"


def make_pairs(folder: Path) -> None:
    """Write noisy and clean filaments, and one large noisy image."""
    scenes = [
        samples.filaments((SIDE, SIDE), voxel_size_um=(0.1, 0.1), count=150, diameter_um=0.4, rng=seed)
        for seed in range(IMAGES)
    ]
    clean = torch.stack([PEAK_PHOTONS * scene / scene.max() + 1 for scene in scenes])
    noisy = torch.poisson(clean, generator=torch.Generator().manual_seed(0))
    repeats = LARGE_SIDE // SIDE
    np.savez(folder / "pairs.npz", image=noisy.numpy(), target=clean.numpy(), large=noisy[0].repeat(repeats, repeats))


def run(library: str, setting: str, *, peers: str, folder: Path) -> dict:
    """Train and predict with one contestant in its own process."""
    interpreter = sys.executable if library == "course_lib" else peers
    command = [
        interpreter,
        str(PEERS / f"networks_{library}.py"),
        json.dumps({**CASE, "setting": setting}),
        "pairs.npz",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return json.loads(done.stdout.strip().splitlines()[-1])


def import_s(library: str, *, peers: str) -> float:
    """Return how long a fresh process takes to start and to import the library."""
    interpreter = sys.executable if library == "course_lib" else peers
    start = time.perf_counter()
    subprocess.run([interpreter, "-c", IMPORTS[library]], check=True, capture_output=True)
    return time.perf_counter() - start


def spread(values: list[float]) -> list[float]:
    """Return least, median and most, rounded to three digits."""
    ordered = sorted(values)
    return [float(f"{ordered[index]:.3g}") for index in (0, len(ordered) // 2, -1)]


def main() -> None:
    """Measure, print and write ``benchmarks/results/networks.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="interpreter of the environment of CAREamics")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant")
    given = parser.parse_args()
    peers = str(Path(given.peers).absolute())  # the contestants run in a folder of their own
    all_of_them = [(library, setting) for library, settings in CONTESTANTS.items() for setting in settings]
    turns: list[dict[tuple[str, str], dict]] = []
    imports: dict[str, list[float]] = {library: [] for library in CONTESTANTS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pairs(folder)
        for library in CONTESTANTS:  # the first import, which is not counted, brings the files into memory
            import_s(library, peers=peers)
        for _ in range(given.rounds):
            turns.append({one: run(*one, peers=peers, folder=folder) for one in all_of_them})
            for library in CONTESTANTS:
                imports[library].append(import_s(library, peers=peers))
    rows = []
    for one in all_of_them:
        found = [turn[one] for turn in turns]
        ours = [turn["course_lib", "as it comes"] for turn in turns]
        rows.append(
            {
                "library": one[0],
                "setting": one[1],
                "parameters": found[0]["parameters"],
                "precision": found[0]["precision"],
                "patches_per_s": spread([each["patches_per_s"] for each in found]),
                "first_step_s": spread([each["first_step_s"] for each in found]),
                "predicted_mpx_per_s": spread([each["predicted_mpx_per_s"] for each in found]),
                "training_memory_mb": spread([each["training_memory_mb"] for each in found]),
                "training_time_over_course_lib": spread(
                    [own["patches_per_s"] / each["patches_per_s"] for own, each in zip(ours, found, strict=True)]
                ),
                "prediction_time_over_course_lib": spread(
                    [
                        own["predicted_mpx_per_s"] / each["predicted_mpx_per_s"]
                        for own, each in zip(ours, found, strict=True)
                    ]
                ),
            }
        )
    write_results(
        "networks",
        {
            "what": "a 2D U-Net, trained and applied; [least, median, most] of the rounds",
            "case": CASE,
            "rounds": given.rounds,
            "import_s": {library: spread(times) for library, times in imports.items()},
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
