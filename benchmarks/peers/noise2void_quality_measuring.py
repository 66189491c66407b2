"""What each contestant of ``benchmarks/noise2void_quality.py`` does in its own process: learn, and restore.

    python noise2void_quality_LIBRARY.py CASE INPUT.npz OUTPUT.npz

``CASE`` is JSON: ``variant`` (``"noise2void"``, ``"noise2void2"`` or ``"structn2v"``, whose noise is shared down the
columns as far as ``reach``), ``patch`` side, ``batch``, ``steps``, ``steps_per_epoch`` where there are epochs,
``depth`` and ``base_channels`` of the network, and ``seed``. ``INPUT.npz`` holds ``images`` (N, Y, X); ``OUTPUT.npz``
receives ``restored``, of the same shape.
"""

import json
import sys
from collections.abc import Callable

import numpy as np


def main(restored: Callable[[np.ndarray, dict], np.ndarray]) -> None:
    """Write what `restored` returns."""
    with np.load(sys.argv[2]) as given:
        images = given["images"]
    np.savez(sys.argv[3], restored=restored(images, json.loads(sys.argv[1])))
