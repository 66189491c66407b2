"""Time microsim's camera: one line of JSON with the seconds of each repeat. Arguments: side, photons, repeats."""

import json
import sys
import time

import numpy as np
from microsim._data_array import DataArray
from microsim.schema.detectors import CameraCCD


def main() -> None:
    side, photons, repeats = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    camera = CameraCCD(read_noise=1.6, qe=1, full_well=30_000, bit_depth=16, dark_current=0.06)
    image = DataArray(np.full((side, side), photons * 10, np.float32), dims=("y", "x"))  # photons per second
    camera.simulate(image, exposure_ms=100)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        camera.simulate(image, exposure_ms=100)
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
