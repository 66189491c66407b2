"""Noise2Void, N2V2 and structN2V, how near to the truth: this library and CAREamics on the same images.

    python -m benchmarks.noise2void_quality --peers PYTHON [--seeds N] [--folder FOLDER]

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements-careamics.txt``. What the contestants
restored is kept in FOLDER, and what lies there already is not computed again: take another one for another case.

Both learn from the images that are judged, as Noise2Void does, with a U-Net of equal size and equally many patches, and
come with their own settings: masked share, normalization, batch normalization, schedule, validation, and the choice of
the best weights. The learning rate and the batch of course_lib were chosen on other images; its masked share, radius
and network in trials with frame 0 of the hazelnut and a part of the receptacle among the images, and the least share of
photon splitting on frame 2. An epoch of CAREamics is a pass through its images; they are repeated until it has 20
steps, because its learning rate falls after ten epochs without progress, which were ten steps for a single small image.
With structN2V both hide the same pixels, as far as course_lib finds the noise of these images shared.
A first run showed course_lib behind there; that its network sees the mean as 0 was chosen afterwards, on other images.

"simulated" has nuclei and filaments through a microscope, with Poisson noise, "streaks" the same with noise of a camera
that is shared down the columns: the truth is known. "hazelnut" is one frame of five of real photon counts, judged by
the other four, less the variance of their mean as these four show it; "receptacle" is one of eight images to which real
photons are dealt at random, judged by the other seven, less their photon noise. The best Gaussian filter is the one
whose width the judge likes best.

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
from course_lib import datasets, noise
from course_lib.live.figures.noise2void_streaks import streaked
from course_lib.noise2void import classical, proposed_extent

CASE = {"patch": 64, "batch": 8, "steps": 400, "steps_per_epoch": 20, "base_channels": 32, "depth": 2}
FIELDS, FIRST_FIELD = 6, 100
STREAKS_CORRELATION, STREAKS_NOISE = 0.5, 0.25
SIGMAS_PX = (0.5, 0.7, 0.9, 1.1, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0)


class Task(NamedTuple):
    """What is learned from and judged, with one draw of the noise."""

    images: torch.Tensor
    judged: list[Judged]


def fields() -> torch.Tensor:
    """Return the photons that are expected of nuclei and filaments in turns."""
    return torch.stack([scene(KINDS[number % len(KINDS)], FIRST_FIELD + number) for number in range(FIELDS)])


def known(clean: torch.Tensor) -> list[Judged]:
    """Return judges that know the truth."""
    return [Judged(truth, torch.zeros_like(truth)) for truth in clean]


def simulated(seed: int) -> Task:
    """Return photon counts of the fields."""
    clean = fields()
    return Task(torch.poisson(clean, generator=torch.Generator().manual_seed(seed)), known(clean))


def streaks(seed: int) -> Task:
    """Return the fields with noise that is shared down the columns, relative to the peak of each."""
    clean = fields()
    white = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    shared = streaked(white, torch.tensor(STREAKS_CORRELATION))
    return Task(clean + STREAKS_NOISE * clean.amax(dim=(1, 2), keepdim=True) * shared, known(clean))


def hazelnut(seed: int) -> Task:
    """Return the frame of number `seed`; the other four judge."""
    frames = datasets.load("hazelnut").tensor().float()
    number = seed % len(frames)
    others = torch.cat((frames[:number], frames[number + 1 :]))
    return Task(frames[number][None], [Judged(others.mean(dim=0), others.var(dim=0) / len(others))])


def receptacle(seed: int) -> Task:
    """Return an eighth of the photons, dealt at random; the other seven judge, on its scale."""
    photons = datasets.load("receptacle").tensor().float()
    image, others = noise.split_photons(photons, fraction=1 / 8, rng=seed)
    return Task(image[None], [Judged(others / 7, others / 49)])


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
        case = json.dumps(
            {**CASE, "variant": variant, "seed": seed, "reach": reach(task) if "struct" in variant else 0}
        )
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


def reach(task: Task) -> int:
    """Return how far down the noise of the images is shared, as they show it themselves."""
    return max(proposed_extent(noise.detect_structure(image))[0] for image in task.images)


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
