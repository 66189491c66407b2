"""Segmentation of real nuclei: the shipped networks, the classical way, and StarDist trained on the same images.

    COURSE_DATA=FOLDER python -m benchmarks.segmentation_quality [--peers PYTHON] [--seeds N] [--steps N] [--folder F]

FOLDER holds ``dsb2018_fluorescence``, 70 images of the 2018 Data Science Bowl. 54 are for learning, 16 held out; the
test image of the course, ``dsb2018_nuclei_2d``, is none of them. All judge by the Jaccard form of average precision,
pooled over the objects, and as the mean over images.

- "classical" is `segmentation.watershed`, its defaults chosen on all 70 images, told the true median diameter of each
  image, which no other contestant is: an advantage twice.
- "nuclei_2d" learned from the 54, "nuclei_2d_simulated" from simulations alone, so that it is judged on all 70.
- With ``--peers``, an interpreter of an environment with ``benchmarks/peers/requirements-segmentation.txt``, StarDist
  is trained on the 54 from scratch, as its example does it, and course_lib beside it, each N seeds, with equally many
  pixels: N steps of 4 patches of 256² against twice as many of 8 patches of 128². Thresholds of both are chosen on the
  images that each keeps apart for validation. Finished trainings are kept in F.
"""

import argparse
import importlib.util
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.machine import write_results
from course_lib import datasets, networks, segmentation
from course_lib.metrics.label_matching import ManyMatchings, contingencies

IOU_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
KEPT_APART = 8
SCRIPT = Path(__file__).parent / "peers" / "stardist_contestant.py"
RECIPES = Path(__file__).parent.parent / "data" / "train_models.py"

Images = Sequence[torch.Tensor]
Truths = Sequence[np.ndarray]


def recipes() -> ModuleType:
    """Return the script that trains what is shipped: it knows which images are held out."""
    specification = importlib.util.spec_from_file_location("train_models", RECIPES)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def judged(found: Sequence[np.ndarray], truths: Truths) -> dict[str, Any]:
    """Return average precision at each threshold, pooled and as the mean over images."""
    tables = contingencies(list(found), list(truths))
    matched = [ManyMatchings(tuple(table.match(iou_threshold=least) for table in tables)) for least in IOU_THRESHOLDS]
    return {
        "pooled": [round(one.pooled.average_precision, 4) for one in matched],
        "mean_over_images": [round(one.mean_over_images.average_precision, 4) for one in matched],
    }


def classical(image: torch.Tensor, truth: np.ndarray) -> np.ndarray:
    """Segment by watershed, told the true median diameter."""
    areas = np.bincount(truth.ravel())[1:]
    diameter_px = float(np.median(np.sqrt(4 / np.pi * areas[areas > 0])))
    return segmentation.watershed(image, diameter_um=diameter_px, voxel_size_um=(1, 1))


def shipped(name: str) -> Callable[[torch.Tensor, np.ndarray], np.ndarray]:
    """Return what segments by a shipped network."""
    model = networks.pretrained(name)
    return lambda image, _: segmentation.segment(model, image)


def stardist(
    python: str, learned: Any, test: Images, *, seed: int, steps: int
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Train StarDist in its own environment, and return its labels and its report."""
    order = np.random.default_rng(seed).permutation(len(learned[0]))
    parts = {"validation": order[:KEPT_APART], "train": order[KEPT_APART:]}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for part, numbers in parts.items():
            (folder / "in" / part).mkdir(parents=True)
            for number in numbers:
                arrays = {"image": learned[0][number].numpy(), "labels": learned[1][number]}
                np.savez(folder / "in" / part / f"{number:03d}.npz", **arrays)
        (folder / "in" / "test").mkdir()
        for number, image in enumerate(test):
            np.savez(folder / "in" / "test" / f"{number:03d}.npz", image=image.numpy())
        settings = {"seed": seed, "steps": steps, "steps_per_epoch": 50, "batch": 4, "patch": 256}
        (folder / "settings.json").write_text(json.dumps(settings))
        where = [str(folder / name) for name in ("settings.json", "in", "out")]
        subprocess.run([python, str(SCRIPT), "train", *where], check=True)
        report = json.loads((folder / "out" / "report.json").read_text())
        return [np.load(folder / "out" / f"{number:03d}.npy") for number in range(len(test))], report


def contest(python: str, script: ModuleType, test: Images, truths: Truths, *, seed: int, steps: int) -> dict[str, Any]:
    """Train both with equally many pixels, and judge them by images of which neither learned."""
    learned = script.real_nuclei(held_out=False)
    training = networks.TrainingConfig(epochs=2 * steps // 50, steps_per_epoch=50, batch_size=8)
    model = segmentation.train(*learned, None, training, rng=seed)
    own = [segmentation.segment(model, image) for image in test]
    theirs, report = stardist(python, learned, test, seed=seed, steps=steps)
    return {
        "seed": seed,
        "course_lib": judged(own, truths),
        "course_lib_training_s": round(sum(record.seconds for record in model.history)),
        "stardist": judged(theirs, truths),
        "stardist_training_s": round(report["training_s"]),
    }


def contests(python: str, script: ModuleType, *, seeds: int, steps: int, folder: Path) -> list[Any]:
    """Return a contest for each seed, those that the folder keeps as they were."""
    tests = [test_image(), script.real_nuclei(held_out=True)]
    seen, truths = ([one for test in tests for one in test[part]] for part in (0, 1))
    rows = []
    for seed in range(seeds):
        kept = folder / f"stardist_{steps}_{seed}.json"
        if not kept.exists():
            kept.write_text(json.dumps(contest(python, script, seen, truths, seed=seed, steps=steps)))
        rows.append(json.loads(kept.read_text()))
    return rows


def test_image() -> tuple[list[torch.Tensor], list[np.ndarray]]:
    """Return the test image of the course, and its labels."""
    labels = datasets.load("dsb2018_nuclei_2d_labels").data.astype("int32")
    return [datasets.load("dsb2018_nuclei_2d").tensor()], [labels]


def main() -> None:
    """Judge, print and write ``benchmarks/results/segmentation_quality.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter of the peers' environment")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each")
    parser.add_argument("--steps", type=int, default=750, help="of StarDist, 4 patches of 256² each")
    parser.add_argument("--folder", type=Path, help="keeps finished trainings (default: none are kept)")
    given = parser.parse_args()
    script = recipes()
    held_out, learned = script.real_nuclei(held_out=True), script.real_nuclei(held_out=False)
    every = [[*one, *other] for one, other in zip(held_out, learned, strict=True)]
    sets = {"test image": test_image(), "16 held-out images": held_out, "all 70 images": every}
    contestants = {
        "classical": classical,
        "nuclei_2d": shipped("nuclei_2d"),
        "nuclei_2d_simulated": shipped("nuclei_2d_simulated"),
    }
    rows = [
        {
            "images": name,
            "objects": sum(len(np.unique(truth)) - 1 for truth in truths),
            **{
                contestant: judged([work(*each) for each in zip(seen, truths, strict=True)], truths)
                for contestant, work in contestants.items()
                if (contestant, name) != ("nuclei_2d", "all 70 images")
            },
        }
        for name, (seen, truths) in sets.items()
    ]
    measured: dict[str, Any] = {
        "what": "average precision TP / (TP + FP + FN) of real nuclei at each IoU threshold",
        "iou_thresholds": IOU_THRESHOLDS,
        "rows": rows,
    }
    if given.peers:
        with tempfile.TemporaryDirectory() as scratch:
            folder = given.folder or Path(scratch)
            measured["contest"] = contests(given.peers, script, seeds=given.seeds, steps=given.steps, folder=folder)
        measured["contest_steps"] = given.steps
    write_results("segmentation_quality", measured)


if __name__ == "__main__":
    main()
