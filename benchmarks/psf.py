"""PSFs, how fast and how exact: this library, psfmodels, psf and psf-generator, in one run.

    python -m benchmarks.psf --peers PYTHON [--rounds N]

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements.txt``. Each contestant runs in its own
process, by its script in ``benchmarks/peers``, and they take turns, so that a machine that slows down slows down all;
ratios are taken round by round. The error is relative L2, the sum of each PSF scaled to 1, against a float64
quadrature with 600 nodes (``benchmarks/psf_reference.py``) of the same physics: matched index, freely turning emitter.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import psf_reference
from benchmarks.machine import write_results

# Nyquist: widefield 0.094 µm lateral and 0.282 axial, confocal 0.045 and 0.136
CASE = {
    "planes": 64,
    "side": 127,
    "step_um": 0.1,
    "pixel_um": 0.04,
    "aperture": 1.4,
    "index": 1.518,
    "emission_um": 0.525,
    "excitation_um": 0.488,
    "pinhole_airy_units": 1.0,
}
SAME = "the same physics"
CONTESTANTS = {
    "vectorial": {
        "course_lib": SAME,
        "psfmodels": f"{SAME}, straight lines between distances a pixel apart; maximum 1, scaled here",
        "psf": "by reciprocity the focus of an evenly lit aperture; its emission model is another one",
        "psf_generator": f"{SAME}, 129 nodes; scaled here",
    },
    "integrated": {
        "course_lib": SAME,
        "psfmodels": f"{SAME}, the mean of 3 by 3 points of each pixel; maximum 1, scaled here",
    },
    "confocal": {
        "course_lib": SAME,
        "psfmodels": f"{SAME}, a pinhole of whole pixels, convolved in space; scaled here",
        "psf": "laser in an evenly lit aperture, but an emission model of its own; scaled here",
    },
}
REFERENCES = {
    "vectorial": psf_reference.vectorial,
    "integrated": psf_reference.integrated,
    "confocal": psf_reference.confocal,
}
REPEATS = 20
SLOW_S = 5.0
PEERS = Path(__file__).parent / "peers"


def run(contestant: str, kind: str, *, peers: str, repeats: int, result: Path) -> dict:
    """Run one contestant in its own process; `result` receives its PSF."""
    interpreter = sys.executable if contestant == "course_lib" else peers
    script = PEERS / f"psf_{contestant}.py"
    command = [interpreter, str(script), json.dumps({**CASE, "kind": kind}), str(repeats), str(result)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def spread(values: list[float], digits: int = 2) -> list[float]:
    """Return least, median and most, rounded to significant digits."""
    ordered = sorted(values)
    return [float(f"{ordered[i]:.{digits + 1}g}") for i in (0, len(ordered) // 2, -1)]


def measure(kind: str, *, peers: str, rounds: int) -> list[dict[str, object]]:
    """Measure the contestants of one kind of PSF."""
    reference = REFERENCES[kind](CASE)
    rows, repeats = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "psf.npy"
        for name in CONTESTANTS[kind]:  # the first turn, which is not timed, brings files into memory
            first = run(name, kind, peers=peers, repeats=0, result=result)
            psf = np.load(result)
            error = np.linalg.norm(psf / psf.sum() - reference) / np.linalg.norm(reference)
            repeats[name] = REPEATS if first["first"] < SLOW_S else 0
            rows[name] = {
                "psf": kind,
                "library": name,
                "model": CONTESTANTS[kind][name],
                "relative_l2_error": float(f"{error:.2g}"),
                "sum": float(f"{psf.sum():.6g}"),
                "memory_mb": round(first["memory_mb"]),
            }
        turns = [
            {name: run(name, kind, peers=peers, repeats=repeats[name], result=result) for name in rows}
            for _ in range(rounds)
        ]
    medians = [{name: float(np.median(turn[name]["seconds"])) for name in rows} for turn in turns]
    for name, row in rows.items():
        row["ms"] = spread([1000 * times[name] for times in medians])
        row["first_call_ms"] = spread([1000 * turn[name]["first"] for turn in turns])
        row["times_course_lib"] = spread([times[name] / times["course_lib"] for times in medians])
    return list(rows.values())


def main() -> None:
    """Measure, print and write ``benchmarks/results/psf.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="interpreter of the peers' environment")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contestant")
    given = parser.parse_args()
    rows = [row for kind in CONTESTANTS for row in measure(kind, peers=given.peers, rounds=given.rounds)]
    what = (
        "PSFs; [least, median, most] of the rounds; a first call includes what is set up once; memory of the first call"
    )
    write_results("psf", {"what": what, "case": CASE, "rounds": given.rounds, "rows": rows})


if __name__ == "__main__":
    main()
