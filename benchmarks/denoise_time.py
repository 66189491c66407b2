"""How long does ``course denoise`` take, and is it worth the time? The whole program, on real photon counts.

    python -m benchmarks.denoise_time

The seconds are those of the process: from its start, with the import of all libraries, until image and report are
written. It is given nothing but the processor and the file, which says that its values are photons, so it plans to
learn for as long as two minutes allow. What it is compared with knows more: the Gaussian filter and non-local means
have the setting that the judge likes best. The judge is that of ``benchmarks/noise2void_quality.py``: the other frames
of the hazelnut, or the other seven eighths of the photons of the receptacle, less their own noise. Nothing else may run
meanwhile.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.denoise import STRENGTHS
from benchmarks.machine import write_results
from benchmarks.noise2void_quality import SIGMAS_PX, hazelnut, receptacle
from course_lib import images
from course_lib.noise2void import classical

CASES = (("receptacle", receptacle, 4), ("receptacle", receptacle, 5), ("hazelnut", hazelnut, 3))
COURSE = Path(sys.executable).with_name("course")


def timed(counts: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Return the seconds that the program takes, and its result."""
    with tempfile.TemporaryDirectory() as folder:
        noisy, restored = Path(folder) / "noisy.ome.tif", Path(folder) / "restored.ome.tif"
        images.write(noisy, images.Image(counts.numpy().astype("uint16"), axes="YX", unit="photons"))
        begun = time.perf_counter()
        subprocess.run(
            [str(COURSE), "denoise", str(noisy), "--output", str(restored), "--device", "cpu"],
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - begun, images.read(restored).tensor()


def main() -> None:
    """Measure, print and write ``benchmarks/results/denoise_time.json``."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    rows = []
    for name, load, number in CASES:
        task = load(number)
        counts, judge = task.images[0], task.judged[0]
        seconds, restored = timed(counts)
        gaussians = [classical.gaussian(counts, sigma=sigma) for sigma in SIGMAS_PX]
        means = [classical.nonlocal_means(counts, strength=strength) for strength in STRENGTHS]
        rows.append(
            {
                "image": f"{name}, {number}",
                "shape": list(counts.shape),
                "seconds": round(seconds, 1),
                "psnr_db": {
                    "noisy": round(judge.psnr_db(counts), 3),
                    "course denoise": round(judge.psnr_db(restored), 3),
                    "best Gaussian of all": round(max(map(judge.psnr_db, gaussians)), 3),
                    "best non-local means of all": round(max(map(judge.psnr_db, means)), 3),
                },
            }
        )
    write_results("denoise_time", {"what": "course denoise on the processor, the whole program", "rows": rows})


if __name__ == "__main__":
    main()
