"""What each contestant of ``benchmarks/psf.py`` does in its own process: time a function, and keep its result.

Arguments: the case as JSON, repeats, and the file for the result. Prints one line of JSON: the seconds of each repeat
after the first call, those of the first call, and by how many MB the first call raised the peak of the memory.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
from memory import peak_mb, reset_peak


def main(contestants: dict[str, Callable[[dict], np.ndarray]]) -> None:
    """Measure the contestant for the kind of PSF that the case names."""
    case, repeats, path = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    compute = contestants[case["kind"]]
    reset_peak()
    before = peak_mb()
    start = time.perf_counter()
    psf = compute(case)
    first = time.perf_counter() - start
    after = peak_mb()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        compute(case)
        seconds.append(time.perf_counter() - start)
    np.save(path, np.asarray(psf, np.float64))
    print(json.dumps({"seconds": seconds or [first], "first": first, "memory_mb": after - before}))
