"""Time stardist.matching and cellpose.metrics on pairs of label images, one turn for each line that comes in.

Arguments: the folder with NAME_labels.npy and NAME_truth.npy, and the thresholds as JSON. A line is a JSON list: the
contestant, the name of the pair, and how often to repeat. The answer is a line of JSON: the seconds of each repeat, and
true and false positives and false negatives for each threshold.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cellpose.metrics import average_precision
from stardist.matching import matching


def stardist(truth: np.ndarray, labels: np.ndarray, thresholds: list[float]) -> list[list[int]]:
    return [[int(found.tp), int(found.fp), int(found.fn)] for found in matching(truth, labels, thresh=thresholds)]


def cellpose(truth: np.ndarray, labels: np.ndarray, thresholds: list[float]) -> list[list[int]]:
    _, *counts = average_precision(truth, labels, threshold=thresholds)
    return np.stack(counts, axis=1).astype(int).tolist()


CONTESTANTS: dict[str, Callable[[np.ndarray, np.ndarray, list[float]], list[list[int]]]] = {
    "stardist": stardist,
    "cellpose": cellpose,
}


def main() -> None:
    folder, thresholds = Path(sys.argv[1]), json.loads(sys.argv[2])
    for line in sys.stdin:
        contestant, name, repeats = json.loads(line)
        truth, labels = (np.load(folder / f"{name}_{what}.npy") for what in ("truth", "labels"))
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            counts = CONTESTANTS[contestant](truth, labels, thresholds)
            seconds.append(time.perf_counter() - start)
        print(json.dumps({"seconds": seconds, "counts": counts}), flush=True)


if __name__ == "__main__":
    main()
