"""What should a network give so that objects can be read from it: an equal-budget trial on real nuclei.

    COURSE_DATA=FOLDER python -m benchmarks.segmentation_representations [--steps N …] [--folder FOLDER]

The 54 images of ``dsb2018_fluorescence`` from which networks may learn are cut into three parts by image. Each
representation is trained three times, with another seed, on two of them, and judged on the third, so that each image is
judged once. Network, patches, schedule and number of steps are the same; training chooses the thresholds by the images
that it keeps apart itself. The 16 held-out images and the test image of the course have no part in it: they judge what
was chosen here. Finished trainings are kept in FOLDER.
"""

import argparse
import json
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import write_results
from benchmarks.segmentation_quality import IOU_THRESHOLDS, judged, recipes
from course_lib import segmentation
from course_lib.networks import TrainingConfig
from course_lib.segmentation.training import REPRESENTATIONS

FOLDS, STEPS_PER_EPOCH, BATCH = 3, 50, 8


def trial(represents: str, fold: int, steps: int, examples: Any) -> dict[str, Any]:
    """Train on all but one part, and judge on that."""
    order = np.random.default_rng(0).permutation(len(examples[0])).tolist()
    judges = order[fold::FOLDS]
    images, truths = ([part[number] for number in order if number not in judges] for part in examples)
    training = TrainingConfig(epochs=steps // STEPS_PER_EPOCH, steps_per_epoch=STEPS_PER_EPOCH, batch_size=BATCH)
    model = segmentation.train(images, truths, segmentation.Config(represents=represents), training, rng=fold)
    found = [segmentation.segment(model, examples[0][number]) for number in judges]
    return {
        "represents": represents,
        "steps": steps,
        "fold": fold,
        "images": len(judges),
        "average_precision": judged(found, [examples[1][number] for number in judges]),
        "thresholds": dict(model.settings["thresholds"]),
        "training_s": round(sum(record.seconds for record in model.history)),
    }


def main() -> None:
    """Run the trial, print and write ``benchmarks/results/segmentation_representations.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[250, 1000], help="of 8 patches of 128²")
    parser.add_argument("--folder", type=Path, help="keeps finished trainings (default: none are kept)")
    given = parser.parse_args()
    examples = recipes().real_nuclei(held_out=False)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        for steps, fold, represents in product(given.steps, range(FOLDS), REPRESENTATIONS):
            kept = folder / f"{represents.replace(' ', '_')}_{steps}_{fold}.json"
            if not kept.exists():
                kept.write_text(json.dumps(trial(represents, fold, steps, examples)))
            rows.append(json.loads(kept.read_text()))
    write_results(
        "segmentation_representations",
        {
            "what": "average precision TP / (TP + FP + FN) on real nuclei that were not learned from, equal trainings",
            "iou_thresholds": IOU_THRESHOLDS,
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
