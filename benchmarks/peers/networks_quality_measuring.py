"""What each contestant of ``benchmarks/networks_quality.py`` does in its own process: train, restore test images.

    python networks_quality_LIBRARY.py CASE INPUT.npz OUTPUT.npz

``CASE`` is JSON: ``patch`` side, ``batch``, ``depth`` and ``base_channels`` of the network, ``seed``,
``steps_per_epoch``, and ``marks``, the numbers of steps after which the test images are restored, multiples of
``steps_per_epoch``. ``INPUT.npz`` holds ``image`` and ``target`` (N, Y, X), the name of the ``sample`` of each, and the
images to restore, ``test`` (M, Y, X). ``OUTPUT.npz`` receives ``restored``, (marks, M, Y, X).
"""

import json
import sys
from collections.abc import Callable

import numpy as np

Arrays = dict[str, np.ndarray]


def main(restored: Callable[[Arrays, dict], list[np.ndarray]]) -> None:
    """Write what `restored` returns, the test images after each mark."""
    with np.load(sys.argv[2]) as given:
        arrays = dict(given)
    np.savez(sys.argv[3], restored=np.stack(restored(arrays, json.loads(sys.argv[1]))))
