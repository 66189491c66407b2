"""What each contestant of ``benchmarks/networks.py`` does in its own process: train, predict, and be timed.

Arguments: the case as JSON, and the file with ``image`` and ``target`` (N, Y, X) and ``large`` (Y, X). Prints one line
of JSON.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from memory import peak_mb, reset_peak

Train = Callable[[np.ndarray, np.ndarray, dict], tuple[Callable[[np.ndarray], np.ndarray], torch.nn.Module, str]]


def main(train: Train, *, watch_steps: Callable[[Callable[..., None]], None]) -> None:
    """Train; `train` returns what predicts, the network, and the numbers in which it predicts.

    `watch_steps` has a function called after each step of the optimizer.
    """
    case = json.loads(sys.argv[1])
    with np.load(sys.argv[2]) as given:
        image, target, large = given["image"], given["target"], given["large"]
    ends: list[float] = []
    watch_steps(lambda *_: ends.append(time.perf_counter()))
    reset_peak()
    before = peak_mb()
    start = time.perf_counter()
    predict, network, precision = train(image, target, case)
    memory = peak_mb() - before
    counted = ends[case["warm_up"] - 1 : case["steps"]]
    predict(large)
    begun = time.perf_counter()
    predict(large)
    seconds = time.perf_counter() - begun
    print(
        json.dumps(
            {
                "parameters": sum(weights.numel() for weights in network.parameters()),
                "precision": precision,
                "patches_per_s": case["batch"] * (len(counted) - 1) / (counted[-1] - counted[0]),
                "first_step_s": ends[0] - start,
                "predicted_mpx_per_s": large.size / 1e6 / seconds,
                "training_memory_mb": memory,
            }
        )
    )
