"""Noise2Void, N2V2 and structN2V, how near to the truth: this library and CAREamics on the same images.

    python -m benchmarks.noise2void_quality --peers PYTHON [--seeds N] [--folder FOLDER]

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements-careamics.txt``. What the contestants
restored is kept in FOLDER, and what lies there already is not computed again: take another one for another case.

Both learn from the images that are judged, as Noise2Void does, with a U-Net of equal size and equally many patches, and
come with their own settings: masked share, normalization, batch normalization, schedule, validation, and the choice of
the best weights. Those of course_lib were chosen on images that are not among these (see `course_lib.noise2void`).
structN2V of CAREamics hides five pixels on each side, its default; course_lib hides as far as it finds noise shared.

"simulated" has nuclei and filaments through a microscope, with Poisson noise, "streaks" the same with noise of a camera
that is shared down the columns: the truth is known. "hazelnut" is one frame of five of real photon counts, and
"receptacle" one of eight images to which real photons were dealt; the others judge, less their own noise. The best
Gaussian filter is the one whose width the truth likes best.

No times are taken, so that this may run on a busy machine: a step costs what ``benchmarks/networks.py`` measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.machine import write_results
from benchmarks.networks_quality import KINDS, LIBRARIES, PEERS, Judged, mean, scene, spread
from course_lib import datasets
from course_lib.live.figures.noise2void_streaks import streaked
from course_lib.noise2void import classical

CASE = {"patch": 64, "batch": 8, "steps": 400, "base_channels": 32, "depth": 2}
FIELDS, FIRST_FIELD = 6, 100
STREAKS_CORRELATION, STREAKS_NOISE = 0.5, 0.25
SIGMAS_PX = (0.5, 0.7, 0.9, 1.1, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0)


class Task(NamedTuple):
    """What is learned from and judged, with one draw of the noise, and steps after which CAREamics has seen it all."""

    images: torch.Tensor
    judged: list[Judged]
    steps_per_epoch: int


def fields() -> torch.Tensor:
    """Return the photons that are expected of nuclei and filaments in turns."""
    return torch.stack([scene(KINDS[number % len(KINDS)], FIRST_FIELD + number) for number in range(FIELDS)])


def known(clean: torch.Tensor) -> list[Judged]:
    """Return judges that know the truth."""
    return [Judged(truth, torch.zeros_like(truth)) for truth in clean]


def simulated(seed: int) -> Task:
    """Return photon counts of the fields."""
    clean = fields()
    return Task(torch.poisson(clean, generator=torch.Generator().manual_seed(seed)), known(clean), 10)


def streaks(seed: int) -> Task:
    """Return the fields with noise that is shared down the columns, relative to the peak of each."""
    clean = fields()
    white = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    noise = streaked(white, torch.tensor(STREAKS_CORRELATION))
    return Task(clean + STREAKS_NOISE * clean.amax(dim=(1, 2), keepdim=True) * noise, known(clean), 10)


def hazelnut(seed: int) -> Task:
    """Return the frame of number `seed`; the other four judge."""
    frames = datasets.load("hazelnut").tensor().float()
    number = seed % len(frames)
    judge = (frames.sum(dim=0) - frames[number]) / (len(frames) - 1)
    return Task(frames[number][None], [Judged(judge, judge / (len(frames) - 1))], 1)


def receptacle(seed: int) -> Task:
    """Return the sub-image of number `seed`; the other seven judge, on its scale."""
    eight = datasets.load("receptacle_split").tensor().float()
    others = eight.sum(dim=0) - eight[seed]
    dose = float(others.sum() / eight[seed].sum())
    return Task(eight[seed][None], [Judged(others / dose, others / dose**2)], 5)


TASKS: dict[str, tuple[Callable[[int], Task], tuple[str, ...]]] = {
    "simulated": (simulated, ("noise2void", "noise2void2")),
    "hazelnut": (hazelnut, ("noise2void",)),
    "receptacle": (receptacle, ("noise2void", "noise2void2")),
    "streaks": (streaks, ("structn2v",)),
}


def restored(library: str, name: str, variant: str, seed: int, *, task: Task, peers: str, folder: Path) -> torch.Tensor:
    """Return the images as one contestant restores them."""
    answer = folder / f"{name}_{variant}_{seed}_{library}.npz"
    if not answer.exists():
        unfinished = answer.with_suffix(".part.npz")
        interpreter = sys.executable if library == "course_lib" else peers
        case = json.dumps({**CASE, "variant": variant, "seed": seed, "steps_per_epoch": task.steps_per_epoch})
        images = folder / f"{name}_{variant}_{seed}_{library}.images.npz"
        np.savez(images, images=task.images.numpy())
        subprocess.run(
            [interpreter, str(PEERS / f"noise2void_quality_{library}.py"), case, str(images), str(unfinished)],
            capture_output=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        unfinished.rename(answer)
    with np.load(answer) as given:
        return torch.from_numpy(given["restored"])


def best_gaussian_db(image: torch.Tensor, judge: Judged) -> float:
    """Return the PSNR of the filter whose width the judge likes best."""
    return max(judge.psnr_db(classical.gaussian(image, sigma=sigma)) for sigma in SIGMAS_PX)


def row(name: str, variant: str, tasks: list[Task], answers: dict[str, list[torch.Tensor]]) -> dict[str, object]:
    """Compare the two libraries with one variant on one task."""
    psnrs = {
        library: [
            [judge.psnr_db(image) for judge, image in zip(task.judged, answer, strict=True)]
            for task, answer in zip(tasks, given, strict=True)
        ]
        for library, given in answers.items()
    }  # (seeds, images)
    differences = [
        [own - other for own, other in zip(*both, strict=True)]
        for both in zip(*(psnrs[library] for library in LIBRARIES), strict=True)
    ]
    of_images = [mean(one) for one in zip(*differences, strict=True)]
    each = [(task, image, judge) for task in tasks for image, judge in zip(task.images, task.judged, strict=True)]
    return {
        "task": name,
        "variant": variant,
        "images": len(tasks[0].judged),
        "mean_psnr_db": {
            "noisy": mean([judge.psnr_db(image) for _, image, judge in each]),
            "best Gaussian": mean([best_gaussian_db(image, judge) for _, image, judge in each]),
            **{library: spread([mean(one) for one in found]) for library, found in psnrs.items()},
        },
        "difference_db": spread([mean(one) for one in differences]),
        "difference_db_of_images": of_images,
        "mean_difference_db": mean(of_images),
        "images_not_behind": sum(one >= 0 for one in of_images),
    }


def main() -> None:
    """Train, judge, print and write ``benchmarks/results/noise2void_quality.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="interpreter of the environment of CAREamics")
    parser.add_argument("--folder", type=Path, help="where answers are kept; by default they are not")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each library in each case")
    given = parser.parse_args()
    seeds = range(1, given.seeds + 1)
    peers = str(Path(given.peers).absolute())
    cases = [(name, variant) for name, (_, variants) in TASKS.items() for variant in variants]
    tasks = {(name, seed): make(seed) for (name, (make, _)), seed in product(TASKS.items(), seeds)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        turns = [(library, *case, seed) for seed, case, library in product(seeds, cases, LIBRARIES)]

        def answer(turn: tuple[str, str, str, int]) -> torch.Tensor:
            library, name, variant, seed = turn
            return restored(library, name, variant, seed, task=tasks[name, seed], peers=peers, folder=folder)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = dict(zip(turns, pool.map(answer, turns), strict=True))
    rows = [
        row(
            name,
            variant,
            [tasks[name, seed] for seed in seeds],
            {library: [found[library, name, variant, seed] for seed in seeds] for library in LIBRARIES},
        )
        for name, variant in cases
    ]
    write_results(
        "noise2void_quality",
        {
            "what": "PSNR of restored images; [least, median, most] of the seeds",
            "case": CASE,
            "seeds": given.seeds,
            "rows": rows,
            "mean_difference_db": mean([one["mean_difference_db"] for one in rows]),
        },
    )


if __name__ == "__main__":
    main()
