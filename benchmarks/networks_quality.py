"""CARE, how near to the truth, and after how many steps: this library and CAREamics on the same images.

    python -m benchmarks.networks_quality --peers PYTHON [--seeds N] [--folder FOLDER]

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements-careamics.txt``. What the contestants
restored is kept in FOLDER, and what lies there already is not computed again: take another one for another case.

Both libraries learn from the same arrays with a U-Net of equal size, from equally many patches, and come with their own
settings: normalization, schedule, validation, and the choice of the best weights. Those of course_lib are the defaults
of `care.Config` and `TrainingConfig`. A first run of this benchmark showed that their learning rate was too low; the
new one was chosen on other images (see `TrainingConfig`). Trials with the specimen of the real task were among those
that decided against batch normalization. Of CAREamics only stopping early is put off. The loss of both is the mean
absolute error. Each seed is a training of its own and a draw of the noise of its own, the same for both.

"simulated" has nuclei and filaments through a microscope, with Poisson noise; the truth is known. "real" has the photon
counts of a seminal receptacle that were dealt out to eight images: one against the other seven. Its regions of test lie
apart from the one that is learned from, and the seven others judge, less their own noise.

How long a step takes makes no difference to what it leads to. So this benchmark takes no times, and may run on a busy
machine, in as many processes of one thread as it has cores: time is steps times the time of a step, which
``benchmarks/networks.py`` measured on a quiet one. Of CAREamics one training is looked at on its way; of course_lib
each number of steps is a training of its own, since its learning rate comes to rest at the end. Both are looked at
after the same numbers of steps.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.machine import write_results
from course_lib import datasets, samples
from course_lib.forward import ImagingSystem
from course_lib.metrics import nrmse, psnr, unbiased_mse
from course_lib.optics import Microscope, gaussian_psf

CASE = {"patch": 64, "batch": 16, "base_channels": 32, "depth": 2, "steps_per_epoch": 10}
MARKS = (50, 100, 200)
LIBRARIES = ("course_lib", "careamics")
PEERS = Path(__file__).parent / "peers"

PIXEL_UM, SIDE = 0.1, 256
PEAK_PHOTONS, BACKGROUND_PHOTONS = 20.0, 1.0
LEARNED, TESTED = 16, 6
KINDS = ("nuclei", "filaments")

LEARNED_REGION = (slice(64, 448), slice(176, 400))
TEST_REGIONS = {"upper left": (slice(0, 256), slice(0, 160)), "lower left": (slice(256, 512), slice(0, 160))}


class Judged(NamedTuple):
    """A test image's reference, and the variance of its noise: 0 for a truth that is known."""

    reference: torch.Tensor
    variance: torch.Tensor

    def psnr_db(self, estimate: torch.Tensor) -> float:
        """Return the PSNR against the truth, for the range of the reference."""
        span = float(self.reference.max() - self.reference.min())
        if not self.variance.any():
            return float(psnr(estimate, self.reference, data_range=span))
        error = unbiased_mse(estimate, self.reference, noise_variance=self.variance)
        return float(10 * torch.log10(span**2 / error))

    def nrmse(self, estimate: torch.Tensor) -> float:
        """Return the NRMSE against the truth."""
        if not self.variance.any():
            return float(nrmse(estimate, self.reference))
        error = unbiased_mse(estimate, self.reference, noise_variance=self.variance)
        energy = unbiased_mse(torch.zeros_like(estimate), self.reference, noise_variance=self.variance)
        return float((error / energy).sqrt())


class Task(NamedTuple):
    """What is learned and what is judged, with one draw of the noise."""

    arrays: dict[str, np.ndarray]
    judged: list[Judged]


def scene(kind: str, seed: int) -> torch.Tensor:
    """Return the photons that are expected of nuclei or filaments."""
    grid = {"voxel_size_um": (PIXEL_UM, PIXEL_UM), "rng": seed}
    if kind == "nuclei":
        density = samples.nuclei((SIDE, SIDE), count=8, diameter_um=6.0, **grid).density
    else:
        density = samples.filaments((SIDE, SIDE), count=60, **grid)
    spread = gaussian_psf(Microscope(numerical_aperture=1.2), shape=(15, 15), voxel_size_um=(PIXEL_UM, PIXEL_UM))
    seen = ImagingSystem(psf=spread, camera=None).expected(density).clamp(min=0)
    return PEAK_PHOTONS * seen / seen.max() + BACKGROUND_PHOTONS


def simulated(seed: int) -> Task:
    """Return nuclei and filaments in turns; the objects are the same for each seed, the noise is not."""
    kinds = [KINDS[number % len(KINDS)] for number in range(LEARNED + TESTED)]
    clean = torch.stack([scene(kind, number) for number, kind in enumerate(kinds)])
    noisy = torch.poisson(clean, generator=torch.Generator().manual_seed(seed))
    arrays = {
        "image": noisy[:LEARNED].numpy(),
        "target": clean[:LEARNED].numpy(),
        "sample": np.array([f"field {number}" for number in range(LEARNED)]),
        "test": noisy[LEARNED:].numpy(),
    }
    return Task(arrays, [Judged(truth, torch.zeros_like(truth)) for truth in clean[LEARNED:]])


def real(seed: int) -> Task:
    """Return each sub-image of the receptacle and the seven others; the one of number `seed` is tested."""
    eight = datasets.load("receptacle_split").tensor().float()
    learned = eight[:, *LEARNED_REGION]
    together = learned.sum(dim=0)
    doses = [float((together - dim).sum() / dim.sum()) for dim in learned]  # of the others, over that of the image
    arrays = {
        "image": learned.numpy(),
        "target": torch.stack([(together - dim) / dose for dim, dose in zip(learned, doses, strict=True)]).numpy(),
        "sample": np.array(["receptacle"] * len(eight)),
        "test": torch.stack([eight[seed][region] for region in TEST_REGIONS.values()]).numpy(),
    }
    others = (eight.sum(dim=0) - eight[seed]) / doses[seed]
    judges = [others[region] for region in TEST_REGIONS.values()]
    return Task(arrays, [Judged(judge, judge / doses[seed]) for judge in judges])


TASKS = {"simulated": simulated, "real": real}
IMAGES = {
    "simulated": [f"{KINDS[number % len(KINDS)]} {number // len(KINDS) + 1}" for number in range(TESTED)],
    "real": list(TEST_REGIONS),
}


def restored(library: str, name: str, seed: int, *, peers: str, folder: Path) -> torch.Tensor:
    """Return the test images as one contestant restores them, (marks, images, Y, X)."""
    answer = folder / f"{name}_{seed}_{library}.npz"
    if not answer.exists():
        unfinished = answer.with_suffix(".part.npz")
        interpreter = sys.executable if library == "course_lib" else peers
        case = json.dumps({**CASE, "marks": MARKS, "seed": seed})
        arrays = str(folder / f"{name}_{seed}.npz")
        subprocess.run(
            [interpreter, str(PEERS / f"networks_quality_{library}.py"), case, arrays, str(unfinished)],
            capture_output=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        unfinished.rename(answer)
    with np.load(answer) as given:
        return torch.from_numpy(given["restored"])


def spread(values: Sequence[float]) -> list[float]:
    """Return least, median and most."""
    ordered = sorted(values)
    return [round(ordered[index], 4) for index in (0, len(ordered) // 2, -1)]


def mean(values: Sequence[float]) -> float:
    """Return the mean, rounded."""
    return round(sum(values) / len(values), 4)


def judged(name: str, tasks: list[Task], answers: dict[str, list[torch.Tensor]]) -> dict[str, object]:
    """Compare the two libraries on one task; `answers` holds those of each seed."""
    psnrs = {
        library: [
            [[one.psnr_db(image) for one, image in zip(task.judged, images, strict=True)] for images in answer]
            for task, answer in zip(tasks, given, strict=True)
        ]
        for library, given in answers.items()
    }  # (seeds, marks, images)
    rows = []
    for index, image in enumerate(IMAGES[name]):
        noisy = [torch.from_numpy(task.arrays["test"][index]) for task in tasks]
        final = {library: [seed[-1][index] for seed in found] for library, found in psnrs.items()}
        gains = [own - other for own, other in zip(*(final[library] for library in LIBRARIES), strict=True)]
        rows.append(
            {
                "image": image,
                "psnr_db": {
                    "noisy": spread([t.judged[index].psnr_db(one) for t, one in zip(tasks, noisy, strict=True)]),
                    **{library: spread(found) for library, found in final.items()},
                },
                "nrmse": {
                    "noisy": spread([t.judged[index].nrmse(one) for t, one in zip(tasks, noisy, strict=True)]),
                    **{
                        library: spread(
                            [t.judged[index].nrmse(one[-1][index]) for t, one in zip(tasks, given, strict=True)]
                        )
                        for library, given in answers.items()
                    },
                },
                "course_lib_minus_careamics_db": spread(gains),
                "mean_difference_db": mean(gains),
            }
        )
    return {
        "task": name,
        "images": rows,
        "mean_difference_db": mean([row["mean_difference_db"] for row in rows]),
        "mean_psnr_db_of_each_seed": {
            library: [{str(mark): mean(images) for mark, images in zip(MARKS, seed, strict=True)} for seed in found]
            for library, found in psnrs.items()
        },
    }


def main() -> None:
    """Train, judge, print and write ``benchmarks/results/networks_quality.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="interpreter of the environment of CAREamics")
    parser.add_argument("--folder", type=Path, help="where arrays and answers are kept; by default they are not")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each library on each task")
    given = parser.parse_args()
    seeds = range(1, given.seeds + 1)
    peers = str(Path(given.peers).absolute())
    tasks = {(name, seed): make(seed) for (name, make), seed in product(TASKS.items(), seeds)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        for (name, seed), task in tasks.items():
            np.savez(folder / f"{name}_{seed}.npz", **task.arrays)
        turns = [(library, name, seed) for seed, name, library in product(seeds, TASKS, LIBRARIES)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = dict(
                zip(turns, pool.map(lambda turn: restored(*turn, peers=peers, folder=folder), turns), strict=True)
            )
    write_results(
        "networks_quality",
        {
            "what": "CARE, PSNR and NRMSE of restored test images; [least, median, most] of the seeds",
            "case": CASE,
            "marks": MARKS,
            "seeds": given.seeds,
            "tasks": [
                judged(
                    name,
                    [tasks[name, seed] for seed in seeds],
                    {library: [found[library, name, seed] for seed in seeds] for library in LIBRARIES},
                )
                for name in TASKS
            ],
        },
    )


if __name__ == "__main__":
    main()
