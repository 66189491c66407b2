"""From maps to objects, from image to objects, and training: this library, StarDist and Cellpose, in one run.

    python -m benchmarks.segmentation_speed --peers PYTHON [--rounds N] [--training]

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements-segmentation.txt``. The contestants take
turns; a turn repeats its work, after a first time that is not counted, and gives the median. Ratios are taken round by
round. Whether the objects are as good, the average precision tells.

- *suppression*: probability and distances along 32 rays, made of the true labels of simulated nuclei, many of which
  touch. Networks err, and smoothly so: smooth noise is added to both, so that no two pixels are equally likely, and a
  nucleus has 1 to 2 tops of the probability; in maps of a trained network it had 1 to 5. course_lib suppresses on all
  pixels. StarDist does so on every second along each axis, a quarter as many, as its networks do by default; and, "on
  all pixels", on the very same maps. All draw labels of the whole image. The thresholds are the defaults, 0.5 and 0.4.
- *flows*: what ``cellpose.dynamics`` makes of the same labels, with smooth noise in both components, given to its
  ``compute_masks`` as it comes, to the same without the check that removes objects of unlikely flow, and to course_lib,
  which has no such check. None drops small objects. The noise is as large as the error of a trained network was, on
  held-out images of real nuclei (0.25 to 0.44 in each component, median 0.28); "more noise" is a quarter more.
- *a large image*: ``dsb2018_nuclei_2d``, 4 × 4 times side by side, by the shipped network and by the watershed, which
  is told the median diameter. No peer: how long one waits.
- With ``--training``, a short training of each on the same simulated nuclei, of patches of the same size, and the
  prediction of one image by what was trained. The networks differ: each has its own default. Steps are the median of
  all; the prediction is that of the network alone, without objects.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from benchmarks.label_matching import spread
from benchmarks.machine import write_results
from benchmarks.peers.steps import watch_steps
from benchmarks.segmentation_quality import IOU_THRESHOLDS, SCRIPT, classical, judged
from course_lib import datasets, networks, samples, segmentation
from course_lib.segmentation.star_convex import UNIT_PX

CASES = {"125": (125, 512), "1000": (1000, 1448)}  # nuclei, side
PIXEL_UM, DIAMETER_UM, TOUCHING = 0.3, 9.0, 0.5
REPEATS = 3
GRID = 2
TOP, SMOOTHNESS_PX = 0.8, 2.0  # so low that noise does not lead to a probability of 1
PROBABILITY_NOISE, DISTANCE_NOISE_PX = 0.03, 0.7
FLOW_NOISE = {"": 0.28, ", more noise": 0.35}
SUPPRESSION = {"probability_threshold": 0.5, "suppression_threshold": 0.4, "rounds": REPEATS}
FLOWS = {"cellpose": {}, "cellpose without its check": {"flow_threshold": 0}}
FLOW_SCALE = 5  # of what Cellpose's networks predict
TILES = 4
FIELDS, FIELD_SIDE, KEPT_APART, PREDICTED_TILES = 24, 256, 4, 2
TRAINING = {"seed": 0, "steps": 30, "steps_per_epoch": 30, "batch": 4, "patch": FIELD_SIDE}

Arrays = dict[str, np.ndarray]
Files = dict[str, Arrays]


def true_labels(count: int, side: int) -> np.ndarray:
    """Return labels of simulated nuclei."""
    nuclei = samples.nuclei(
        (side, side), voxel_size_um=(PIXEL_UM,) * 2, count=count, diameter_um=DIAMETER_UM, touching=TOUCHING, rng=0
    )
    return nuclei.labels.numpy().astype(np.int32)


class Contestants:
    """Runs the commands of the peers, each in a process of its own, in a folder of its own."""

    def __init__(self, python: str, folder: Path) -> None:
        self.python, self.folder = python, folder

    def __call__(self, command: str, settings: dict[str, Any], given: Files) -> tuple[Path, dict[str, Any]]:
        """Return the folder of the answers, and the report."""
        number = len(list(self.folder.iterdir()))
        here = self.folder / f"{number}_{command}"
        for name, arrays in given.items():
            (here / "in" / name).parent.mkdir(parents=True, exist_ok=True)
            np.savez(here / "in" / f"{name}.npz", **arrays)
        (here / "settings.json").write_text(json.dumps(settings))
        where = [str(here / name) for name in ("settings.json", "in", "out")]
        subprocess.run([self.python, str(SCRIPT), command, *where], check=True)
        return here / "out", json.loads((here / "out" / "report.json").read_text())


def smooth_noise(shape: tuple[int, ...], amount: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise of standard deviation `amount`, smooth along the last two axes."""
    sigmas = (*(0.0,) * (len(shape) - 2), SMOOTHNESS_PX, SMOOTHNESS_PX)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigmas)
    return amount * noise / noise.std()


def star_maps(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return probability (y, x) and distances in pixels (rays, y, x)."""
    probability = TOP * segmentation.depth_inside(labels)
    probability += smooth_noise(probability.shape, PROBABILITY_NOISE, rng)
    distances = segmentation.ray_distances(labels)
    distances += smooth_noise(distances.shape, DISTANCE_NOISE_PX, rng)
    return probability.clip(1e-3, 1 - 1e-3), distances.clip(min=0)


def median_s(work: Callable[[], Any]) -> float:
    """Return the median of the seconds of a few calls, after one that is not counted."""
    work()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def compared(turns: list[dict[str, float]]) -> dict[str, Any]:
    """Return times and ratios of rounds, in each the seconds of every contestant."""
    peers = [name for name in turns[0] if name != "course_lib"]
    return {
        "ms": {name: spread([1000 * turn[name] for turn in turns]) for name in turns[0]},
        **{f"faster_than_{peer}": spread([turn[peer] / turn["course_lib"] for turn in turns]) for peer in peers},
    }


def precision(found: np.ndarray, truth: np.ndarray) -> list[float]:
    """Return the average precision at each threshold."""
    return judged([found], [truth])["pooled"]


def stardist_maps(probability: np.ndarray, distances: np.ndarray, *, every: int) -> Arrays:
    """Return every so many pixels as maps of StarDist, whose grid is 2: with every pixel, those of a doubled image."""
    return {
        "probability": probability[::every, ::every],
        "distances": np.ascontiguousarray(np.moveaxis(distances[:, ::every, ::every], 0, -1)) * (GRID / every),
        "shape": np.array(probability.shape) * GRID // every,
    }


def suppression_rows(peers: Contestants, truths: Arrays, *, rounds: int) -> list[dict[str, Any]]:
    """Compare the ways from star-convex polygons to labels."""
    maps = {name: star_maps(truth, np.random.default_rng(0)) for name, truth in truths.items()}
    theirs = {f"{name}_{every}": stardist_maps(*maps[name], every=every) for name in maps for every in (1, GRID)}
    given = {
        name: torch.cat([torch.from_numpy(probability).logit()[None], torch.from_numpy(distances) / UNIT_PX])
        for name, (probability, distances) in maps.items()
    }
    stars = segmentation.StarConvex()
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in truths}
    for _ in range(rounds):
        answers, report = peers("nms", SUPPRESSION, theirs)
        for name in truths:
            own = median_s(lambda name=name: stars.objects(given[name]))
            coarse, fine = (statistics.median(report[f"{name}_{every}"]["suppression_s"]) for every in (GRID, 1))
            drawing = statistics.median(report[f"{name}_{GRID}"]["drawing_s"])  # the other one is of a doubled image
            turns[name].append(
                {"course_lib": own, "stardist": coarse + drawing, "stardist on all pixels": fine + drawing}
            )
    rows = []
    for name, truth in truths.items():
        probability = maps[name][0]
        tops = (probability > SUPPRESSION["probability_threshold"]) & (
            probability >= ndimage.maximum_filter(probability, 3)
        )
        found = {"course_lib": stars.objects(given[name])}
        for peer, every in (("stardist", GRID), ("stardist on all pixels", 1)):
            with np.load(answers / f"{name}_{every}.npz") as answer:
                found[peer] = answer["labels"][:: GRID // every, :: GRID // every]
        rows.append(
            {
                "work": f"suppression, {name} nuclei",
                "objects": int(truth.max()),
                "pixels": truth.size,
                "candidates": {
                    "course_lib": int(tops.sum()),
                    "stardist": report[f"{name}_{GRID}"]["candidates"],
                    "stardist on all pixels": report[f"{name}_1"]["candidates"],
                },
                "average_precision": {who: precision(labels, truth) for who, labels in found.items()},
                **compared(turns[name]),
            }
        )
    return rows


def noisy_flows(peers: Contestants, truths: Arrays) -> Files:
    """Return the flows that Cellpose makes of labels, with noise."""
    answers, _ = peers("make-flows", {}, {name: {"labels": truth} for name, truth in truths.items()})
    rng, made = np.random.default_rng(0), {}
    for name in truths:
        with np.load(answers / f"{name}.npz") as answer:
            flows, cell_probability = answer["flows"], answer["cell_probability"]
        for level, amount in FLOW_NOISE.items():
            noisy = flows + FLOW_SCALE * smooth_noise(flows.shape, amount, rng)
            made[f"{name} nuclei{level}"] = {"flows": noisy.astype(np.float32), "cell_probability": cell_probability}
    return made


def flow_rows(peers: Contestants, truths: Arrays, *, rounds: int) -> list[dict[str, Any]]:
    """Compare the ways from flows to labels."""
    made, own_flows = noisy_flows(peers, truths), segmentation.Flows()
    given = {
        name: torch.from_numpy(np.concatenate([one["cell_probability"][None], one["flows"] / FLOW_SCALE]))
        for name, one in made.items()
    }
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in made}
    found: dict[str, Path] = {}
    for _ in range(rounds):
        reports = {}
        for peer, options in FLOWS.items():
            found[peer], reports[peer] = peers("flows", {"options": options, "rounds": REPEATS}, made)
        for name in made:
            own = median_s(lambda name=name: own_flows.objects(given[name]))
            theirs = {peer: statistics.median(report[name]["seconds"]) for peer, report in reports.items()}
            turns[name].append({"course_lib": own, **theirs})
    rows = []
    for name in made:
        truth = truths[name.split()[0]]
        labels = {"course_lib": own_flows.objects(given[name])}
        labels |= {peer: np.load(answers / f"{name}.npy") for peer, answers in found.items()}
        rows.append(
            {
                "work": f"flows, {name}",
                "objects": int(truth.max()),
                "pixels": truth.size,
                "average_precision": {who: precision(one, truth) for who, one in labels.items()},
                **compared(turns[name]),
            }
        )
    return rows


def large_image(*, rounds: int) -> dict[str, Any]:
    """Time the whole way from an image of 2048² pixels to labels."""
    image = datasets.load("dsb2018_nuclei_2d").tensor().repeat(TILES, TILES)
    truth = datasets.load("dsb2018_nuclei_2d_labels").data.astype("int32")
    model = networks.pretrained("nuclei_2d")
    methods = {
        "nuclei_2d": lambda: segmentation.segment(model, image),
        "watershed": lambda: classical(image, truth),
    }
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    found = {name: int(work().max()) for name, work in methods.items()}
    for _ in range(rounds):
        for name, work in methods.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return {
        "shape": list(image.shape),
        "objects": TILES**2 * (len(np.unique(truth)) - 1),
        "rows": [{"method": name, "found": found[name], "seconds": spread(seconds[name])} for name in methods],
    }


def own_training(
    images: list[torch.Tensor], labels: list[np.ndarray], large: torch.Tensor, ends: list[float]
) -> dict[str, float]:
    """Train and predict with this library; `ends` grows by the time at which each step ends."""
    ends.clear()
    model = segmentation.train(
        images,
        labels,
        segmentation.Config(patch_side=TRAINING["patch"], validation_share=KEPT_APART / FIELDS),
        networks.TrainingConfig(epochs=1, steps_per_epoch=TRAINING["steps"], batch_size=TRAINING["batch"]),
        rng=TRAINING["seed"],
        progress=False,
    )
    return {
        "parameters": sum(weights.numel() for weights in model.network.parameters()),
        "training": float(np.median(np.diff(ends[: TRAINING["steps"]]))),
        "prediction": median_s(lambda: segmentation.object_maps(model, large)),
    }


def stardist_training(
    peers: Contestants, images: list[torch.Tensor], labels: list[np.ndarray], large: torch.Tensor
) -> dict[str, float]:
    """Train and predict with StarDist."""
    given: Files = {"test/0": {"image": images[0].numpy()}}
    for number, (image, truth) in enumerate(zip(images, labels, strict=True)):
        part = "validation" if number < KEPT_APART else "train"
        given[f"{part}/{number:03d}"] = {"image": image.numpy(), "labels": truth}
    answers, trained = peers("train", TRAINING, given)
    settings = {"model": str(answers / "model"), "rounds": REPEATS}
    _, predicted = peers("predict", settings, {"large": {"image": large.numpy()}})
    return {
        "parameters": trained["parameters"],
        "training": trained["median_step_s"],
        "prediction": statistics.median(predicted["images"]["large"]["network_s"]),
    }


def training_rows(peers: Contestants, *, rounds: int) -> list[dict[str, Any]]:
    """Compare short trainings and the predictions of what was trained."""
    fields = list(segmentation.simulated_nuclei(FIELDS, (FIELD_SIDE,) * 2, rng=0))
    images, labels = [image for image, _ in fields], [truth for _, truth in fields]
    large = datasets.load("dsb2018_nuclei_2d").tensor().repeat(PREDICTED_TILES, PREDICTED_TILES)
    ends: list[float] = []
    watch_steps(lambda: ends.append(time.perf_counter()))
    turns = [
        {
            "course_lib": own_training(images, labels, large, ends),
            "stardist": stardist_training(peers, images, labels, large),
        }
        for _ in range(rounds)
    ]
    sizes = {
        "training": ("patches_per_s", TRAINING["batch"]),
        "prediction": ("megapixels_per_s", large.numel() / 1e6),
    }
    return [
        {
            "work": work,
            "parameters": {name: one["parameters"] for name, one in turns[0].items()},
            unit: {name: spread([size / turn[name][work] for turn in turns]) for name in turns[0]},
            **compared([{name: one[work] for name, one in turn.items()} for turn in turns]),
        }
        for work, (unit, size) in sizes.items()
    ]


def main() -> None:
    """Measure, print and write ``benchmarks/results/segmentation_speed.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="interpreter of the peers' environment")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant")
    parser.add_argument("--training", action="store_true", help="compare short trainings, too")
    given = parser.parse_args()
    truths = {name: true_labels(*case) for name, case in CASES.items()}
    with tempfile.TemporaryDirectory() as scratch:
        peers = Contestants(given.peers, Path(scratch))
        rows = suppression_rows(peers, truths, rounds=given.rounds)
        rows += flow_rows(peers, truths, rounds=given.rounds)
        if given.training:
            rows += training_rows(peers, rounds=given.rounds)
    write_results(
        "segmentation_speed",
        {
            "what": "from maps and images to objects, and training; [least, median, most] of the rounds",
            "rounds": given.rounds,
            "iou_thresholds": IOU_THRESHOLDS,
            "trained": TRAINING if given.training else None,
            "rows": rows,
            "large": large_image(rounds=given.rounds),
        },
    )


if __name__ == "__main__":
    main()
