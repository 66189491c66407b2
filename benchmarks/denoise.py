"""Does the referee choose the best method, and how good is it? Ten simulated images, and six of real photon counts.

    python -m benchmarks.denoise --peers PYTHON

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements.txt``. For each image `choose`
tunes the filters, trains both networks for a fixed number of steps, and takes what held-out photons like best. The
truth, or for real images frames that nobody has seen, less their own noise, then tells the error of each method that
was tried. What is compared with it knows more: the Gaussian filter and non-local means have the setting that the judge
likes best. BM3D is the package of its authors, after Anscombe's transform and with the same inverse as our filters; its
licence allows no commercial use, so it is in no package of this course.

Of the real images, frame 2 of the hazelnut took part in choosing the least share of photon splitting, and a part of the
receptacle in earlier trials; the other frames did not. No times are taken, so that this may run on a busy machine.
"""

import argparse
import os
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.machine import write_results
from benchmarks.networks_quality import PEERS, Judged
from benchmarks.noise2void_quality import SIGMAS_PX, hazelnut, receptacle
from course_lib import samples
from course_lib.forward import ImagingSystem
from course_lib.noise2void import choose, classical
from course_lib.optics import Microscope, gaussian_psf

STEPS = 400
SIDE, PIXEL_UM, BACKGROUND = 256, 0.1, 0.05
STRENGTHS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5)
FIRST_SEED = 900
DOSES = {"nuclei": (5.0, 20.0, 80.0), "filaments": (5.0, 20.0, 80.0), "beads": (20.0, 80.0), "blobs": (5.0, 20.0)}
HAZELNUT_FRAMES, RECEPTACLE_PARTS = (1, 2, 4), (1, 2, 3)


class Case(NamedTuple):
    """An image of photon counts, and who judges its restorations."""

    name: str
    counts: torch.Tensor
    judge: Judged


def scene(kind: str, seed: int) -> torch.Tensor:
    """Return what a microscope makes of an object; its peak is 1."""
    grid = {"voxel_size_um": (PIXEL_UM, PIXEL_UM), "rng": seed}
    density = {
        "nuclei": lambda: samples.nuclei((SIDE, SIDE), count=8, diameter_um=6.0, **grid).density,
        "filaments": lambda: samples.filaments((SIDE, SIDE), count=60, **grid),
        "beads": lambda: samples.beads((SIDE, SIDE), count=60, diameter_um=0.3, **grid).density,
        "blobs": lambda: samples.beads((SIDE, SIDE), count=12, diameter_um=5.0, **grid).density,
    }[kind]()
    spread = gaussian_psf(Microscope(numerical_aperture=1.2), shape=(15, 15), voxel_size_um=(PIXEL_UM, PIXEL_UM))
    seen = ImagingSystem(psf=spread, camera=None).expected(density).clamp(min=0)
    return seen / seen.max()


def cases() -> list[Case]:
    """Return the simulated images, then the real ones."""
    found = []
    for kind, doses in DOSES.items():
        for dose in doses:
            seed = FIRST_SEED + len(found)
            truth = dose * (scene(kind, seed) + BACKGROUND)
            counts = torch.poisson(truth, generator=torch.Generator().manual_seed(seed))
            found.append(Case(f"{kind}, {dose:g} photons", counts, Judged(truth, torch.zeros_like(truth))))
    for name, load, numbers in (("hazelnut", hazelnut, HAZELNUT_FRAMES), ("receptacle", receptacle, RECEPTACLE_PARTS)):
        for number in numbers:
            task = load(number)
            found.append(Case(f"{name}, {number}", task.images[0], task.judged[0]))
    return found


def judged(case: Case) -> dict[str, object]:
    """Choose a method for one image, and judge all that were tried."""
    torch.set_num_threads(1)
    choice = choose(case.counts[None], noise="photons", steps=STEPS, rng=0, device="cpu", progress=False)
    tried = {
        line.method: round(case.judge.psnr_db(line.restore(case.counts[None])[0]), 3)
        for line in choice.judged
        if line.method != "as it is"
    }
    best = max(tried, key=lambda method: tried[method])
    return {
        "image": case.name,
        "chosen": choice.method,
        "best": best,
        "chosen_behind_best_db": round(tried[best] - tried[choice.method], 3),
        "psnr_db": {
            "noisy": round(case.judge.psnr_db(case.counts), 3),
            **tried,
            "best Gaussian of all": round(
                max(case.judge.psnr_db(classical.gaussian(case.counts, sigma=sigma)) for sigma in SIGMAS_PX), 3
            ),
            "best non-local means of all": round(
                max(case.judge.psnr_db(classical.nonlocal_means(case.counts, strength=s)) for s in STRENGTHS), 3
            ),
        },
    }


def by_bm3d(all_of_them: list[Case], *, peers: str) -> list[float]:
    """Return the PSNR of BM3D on each image."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "asked.npz", Path(folder) / "answered.npz"
        for case in all_of_them:
            np.savez(asked, images=classical.stabilized(case.counts)[None].numpy())
            subprocess.run([peers, str(PEERS / "denoise_bm3d.py"), str(asked), str(answered)], check=True)
            with np.load(answered) as given:
                restored = classical.unstabilized(torch.from_numpy(given["restored"][0]).float())
            found.append(round(case.judge.psnr_db(restored), 3))
    return found


def main() -> None:
    """Choose, judge, print and write ``benchmarks/results/denoise.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="interpreter of the peers' environment")
    peers = str(Path(parser.parse_args().peers).absolute())
    all_of_them = cases()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(judged, all_of_them))
    for row, psnr_db in zip(rows, by_bm3d(all_of_them, peers=peers), strict=True):
        row["psnr_db"]["BM3D"] = psnr_db
    simulated = rows[: sum(map(len, DOSES.values()))]
    write_results(
        "denoise",
        {
            "what": "the referee's choice among filters and networks, PSNR of all of them",
            "steps": STEPS,
            "simulated_images": len(simulated),
            "chosen_is_best_of_simulated": sum(row["chosen"] == row["best"] for row in simulated),
            "most_behind_best_db": max(row["chosen_behind_best_db"] for row in rows),
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
