"""Average precision at five thresholds: this library, stardist.matching and cellpose.metrics, in one run.

    python -m benchmarks.label_matching --peers PYTHON [--rounds N]

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements-segmentation.txt``. Labels and truth are
discs on a lattice, a little displaced and of another size each time, one in twenty missed; their values have no gaps,
as Cellpose asks. The three take turns, so that a machine that slows down slows down all; ratios are taken round by
round. All must count the same true and false positives and false negatives at each threshold, or the run stops.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import write_results
from course_lib.metrics import contingency

THRESHOLDS = [0.5, 0.6, 0.7, 0.8, 0.9]
CASES = {"125": (125, 512, 20), "1000": (1000, 1448, 5), "8000": (8000, 4096, 1)}  # objects, side, repeats
SPACING_SHARES = (0.36, 0.46)  # radii over the distance of neighbours
MISSED = 0.05
PEERS = ("stardist", "cellpose")
SCRIPT = Path(__file__).parent / "peers" / "label_matching_contestants.py"


def discs(centres: np.ndarray, radii: np.ndarray, side: int) -> np.ndarray:
    """Draw numbered discs, later ones over earlier ones."""
    image = np.zeros((side, side), np.int32)
    for number, ((y, x), radius) in enumerate(zip(centres, radii, strict=True), start=1):
        low = [max(int(middle - radius), 0) for middle in (y, x)]
        window = tuple(slice(start, int(middle + radius) + 2) for start, middle in zip(low, (y, x), strict=True))
        rows, columns = np.ogrid[: image[window].shape[0], : image[window].shape[1]]
        inside = (rows + low[0] - y) ** 2 + (columns + low[1] - x) ** 2 <= radius**2
        image[window][inside] = number
    return image


def label_pair(objects: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and truth of one image."""
    rng = np.random.default_rng(objects)
    across = int(np.ceil(objects**0.5))
    spacing = side / across
    lattice = (np.stack(np.divmod(np.arange(objects), across), axis=1) + 0.5) * spacing
    centres = lattice + rng.uniform(-0.04, 0.04, lattice.shape) * spacing
    radii = rng.uniform(*SPACING_SHARES, objects) * spacing
    kept = rng.random(objects) >= MISSED
    moved = centres + rng.normal(0, 0.04, centres.shape) * spacing
    labels = discs(moved[kept], (radii * rng.normal(1, 0.06, objects))[kept], side)
    return labels, discs(centres, radii, side)


def own_turn(labels: np.ndarray, truth: np.ndarray, repeats: int) -> dict[str, Any]:
    """Time this library."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        table = contingency(labels, truth)
        found = [table.match(iou_threshold=threshold) for threshold in THRESHOLDS]
        seconds.append(time.perf_counter() - start)
    counts = [[one.true_positives, one.false_positives, one.false_negatives] for one in found]
    return {"seconds": seconds, "counts": counts}


def peer_turn(peer: subprocess.Popen[str], contestant: str, name: str, repeats: int) -> dict[str, Any]:
    """Have the peers' process time one of them."""
    assert peer.stdin is not None
    assert peer.stdout is not None
    peer.stdin.write(json.dumps([contestant, name, repeats]) + "\n")
    peer.stdin.flush()
    line = peer.stdout.readline()
    if not line:
        raise RuntimeError(f"{contestant} stopped at {name} objects: see its message above.")
    return json.loads(line)


def spread(values: list[float]) -> list[float]:
    """Return least, median and most, rounded to three digits."""
    ordered = sorted(values)
    return [float(f"{value:.3g}") for value in (ordered[0], statistics.median(ordered), ordered[-1])]


def measure(name: str, *, peer: subprocess.Popen[str], folder: Path, rounds: int) -> dict[str, Any]:
    """Measure one size."""
    objects, side, repeats = CASES[name]
    pair = dict(zip(("labels", "truth"), label_pair(objects, side), strict=True))
    for what, image in pair.items():
        np.save(folder / f"{name}_{what}.npy", image)

    def turn(repeats: int) -> dict[str, float]:
        found = {"course_lib": own_turn(**pair, repeats=repeats)}
        found |= {contestant: peer_turn(peer, contestant, name, repeats) for contestant in PEERS}
        for contestant in PEERS:
            if found[contestant]["counts"] != found["course_lib"]["counts"]:
                raise RuntimeError(f"{contestant} counts otherwise at {name} objects: {found}")
        row["counts"] = found["course_lib"]["counts"]
        return {contestant: statistics.median(timed["seconds"]) for contestant, timed in found.items()}

    row: dict[str, Any] = {"objects": objects, "pixels": side * side}
    turn(1)  # the first turn, which is not timed, compiles
    turns = [turn(repeats) for _ in range(rounds)]
    for contestant in ("course_lib", *PEERS):
        row[f"{contestant}_ms"] = spread([1000 * seconds[contestant] for seconds in turns])
    for contestant in PEERS:
        row[f"faster_than_{contestant}"] = spread([seconds[contestant] / seconds["course_lib"] for seconds in turns])
    return row


def main() -> None:
    """Measure, print and write ``benchmarks/results/label_matching.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="interpreter of the peers' environment")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contestant")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [given.peers, str(SCRIPT), folder, json.dumps(THRESHOLDS)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
            rows = [measure(name, peer=peer, folder=Path(folder), rounds=given.rounds) for name in CASES]
            peer.stdin.close()
    what = (
        "average precision at five thresholds from two label images; [least, median, most] of the rounds; "
        "counts are true positives, false positives and false negatives at each threshold, the same of all three"
    )
    write_results("label_matching", {"what": what, "thresholds": THRESHOLDS, "rounds": given.rounds, "rows": rows})


if __name__ == "__main__":
    main()
