"""StarDist, and Cellpose for its flows: train and predict, suppress candidates, follow flows, and be timed.

    python stardist_contestant.py COMMAND SETTINGS.json INPUT OUTPUT

``INPUT`` and ``OUTPUT`` are folders. Each image is a file of its own, ``NAME.npz``, and its answer has the same name.
Times, in seconds, go to ``OUTPUT/report.json``. A command that repeats its work in ``rounds`` does it once before them.
How many threads there are is up to the environment: ``TF_NUM_INTRAOP_THREADS`` for training and prediction,
``OMP_NUM_THREADS`` for the rest.

``train`` learns from ``INPUT/train`` and ``INPUT/validation``, files with ``image`` and ``labels`` (Y, X), and segments
the ``image`` of each file in ``INPUT/test``. It writes ``NAME.npy``, the labels, and ``model``, the folder of the
network. Settings: ``seed``, ``steps``, a multiple of ``steps_per_epoch``, ``batch``, and ``patch``, the side of a patch
in pixels. All else is as in StarDist's own example: the network, 32 rays on every second pixel, the learning rate and
its plateaus (40 epochs without a better validation), the weights with the best validation, flips, turns and noise.

``predict`` reads the ``image`` of each file, and writes ``probability`` (Y/2, X/2), ``distances`` (Y/2, X/2, rays) in
pixels and the ``shape`` of the image. Settings: ``model``, the folder of a network, and ``rounds``.

``nms`` reads what ``predict`` wrote. It writes the candidates, the likeliest first, equal ones in StarDist's order:
``probability`` (N,), ``distances`` (N, rays) and ``points`` (N, 2) in pixels; and which are left, ``kept`` (K, 2), and
``labels`` (Y, X). Settings: ``probability_threshold``, ``suppression_threshold`` and ``rounds``.

``make-flows`` reads ``labels`` (Y, X), and writes the ``flows`` (2, Y, X) and the ``cell_probability`` (Y, X) of a
network of Cellpose that makes no error: five times the unit vectors, and 6 or -6, a logit. No settings.

``flows`` reads what ``make-flows`` wrote, and writes ``NAME.npy``, the labels. Settings: ``options``, the keyword
arguments of ``compute_masks`` that are not its own defaults, and ``rounds``.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

Arrays = dict[str, np.ndarray]
Result = TypeVar("Result")

RAYS, GRID = 32, (2, 2)
BORDER = 2  # of the grid: StarDist takes no candidate from there
LOGIT = 6.0
FLOW_SCALE = 5  # of what Cellpose's networks predict


def read(folder: Path) -> dict[str, Arrays]:
    """Return the arrays of each file of a folder."""
    found = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as given:
            found[path.stem] = dict(given)
    if not found:
        raise SystemExit(f"{folder} holds no .npz file")
    return found


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """Return what `work` returns, and the seconds it took."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def repeated(work: Callable[[], Result], rounds: int) -> tuple[Result, list[float]]:
    """Return what `work` returns, and the seconds of each round; the first call is not counted."""
    result = work()
    return result, [timed(work)[1] for _ in range(rounds)]


def augmented(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a pair turned and flipped at random, with another contrast and a little noise: StarDist's example."""
    if np.random.rand() < 0.5:  # noqa: NPY002  StarDist takes all its chance from the seed of np.random
        image, labels = image.T, labels.T
    for axis in range(2):
        if np.random.rand() < 0.5:  # noqa: NPY002
            image, labels = np.flip(image, axis), np.flip(labels, axis)
    image = image * np.random.uniform(0.6, 2) + np.random.uniform(-0.2, 0.2)  # noqa: NPY002
    return image + 0.02 * np.random.rand() * np.random.normal(size=image.shape), labels  # noqa: NPY002


def normalized(image: np.ndarray) -> np.ndarray:
    """Return an image whose percentiles 1 and 99.8 are 0 and 1."""
    from csbdeep.utils import normalize

    return normalize(image, 1, 99.8)


def train(settings: dict, given: Path, answers: Path) -> dict[str, Any]:
    """Train, choose the two thresholds on the validation images, and segment the test images."""
    import keras
    from stardist import fill_label_holes
    from stardist.models import Config2D, StarDist2D

    def pairs(part: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
        arrays = read(given / part).values()
        return [normalized(one["image"]) for one in arrays], [fill_label_holes(one["labels"]) for one in arrays]

    epochs, rest = divmod(settings["steps"], settings["steps_per_epoch"])
    if rest:
        raise SystemExit(f"steps, {settings['steps']}, must be a multiple of {settings['steps_per_epoch']}")
    images, labels = pairs("train")
    validation = pairs("validation")
    keras.utils.set_random_seed(settings["seed"])
    config = Config2D(
        n_rays=RAYS,
        grid=GRID,
        train_patch_size=(settings["patch"],) * 2,
        train_batch_size=settings["batch"],
        train_epochs=epochs,
        train_steps_per_epoch=settings["steps_per_epoch"],
        train_tensorboard=False,
    )
    model = StarDist2D(config, name="model", basedir=str(answers))
    model.prepare_for_training()
    ends: list[list[float]] = []
    model.callbacks.append(
        keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_, **__: ends.append([]),
            on_train_batch_end=lambda *_, **__: ends[-1].append(time.perf_counter()),
        )
    )
    start = time.perf_counter()
    history, training = timed(
        lambda: model.train(images, labels, validation_data=validation, augmenter=augmented, seed=settings["seed"])
    )
    thresholds, choosing = timed(lambda: model.optimize_thresholds(*validation))
    predicting = {}
    for name, arrays in read(given / "test").items():
        image = normalized(arrays["image"])
        (found, _), predicting[name] = timed(lambda image=image: segmented(model, image))
        np.save(answers / f"{name}.npy", found.astype(np.int32))
    return {
        "parameters": model.keras_model.count_params(),
        "training_s": training,
        "first_step_s": ends[0][0] - start,
        "median_step_s": float(np.median(np.concatenate([np.diff(epoch) for epoch in ends]))),
        "validation_loss": history.history["val_loss"],
        "learning_rate": history.history["learning_rate"],
        "choosing_thresholds_s": choosing,
        "thresholds": {name: float(value) for name, value in thresholds.items()},
        "prediction_s": predicting,
    }


def segmented(model: Any, image: np.ndarray) -> tuple[np.ndarray, dict]:
    """Return labels and polygons, from as many tiles as StarDist likes."""
    return model.predict_instances(image, n_tiles=model._guess_n_tiles(image), show_tile_progress=False)


def predict(settings: dict, given: Path, answers: Path) -> dict[str, Any]:
    """Write the network's prediction, and time it and the whole way to labels."""
    from stardist.models import StarDist2D

    folder = Path(settings["model"])
    model = StarDist2D(None, name=folder.name, basedir=str(folder.parent))
    report = {}
    for name, arrays in read(given).items():
        image = normalized(arrays["image"])
        tiles = model._guess_n_tiles(image)

        def network(image: np.ndarray = image, tiles: tuple[int, ...] = tiles) -> tuple[np.ndarray, np.ndarray]:
            return model.predict(image, n_tiles=tiles, show_tile_progress=False)

        (probability, distances), seconds = repeated(network, settings["rounds"])
        (labels, _), whole = repeated(lambda image=image: segmented(model, image), settings["rounds"])
        np.savez(answers / f"{name}.npz", probability=probability, distances=distances, shape=image.shape)
        report[name] = {"objects": int(labels.max()), "network_s": seconds, "image_to_labels_s": whole}
    return {"thresholds": model.thresholds._asdict(), "images": report}


def nms(settings: dict, given: Path, answers: Path) -> dict[str, Any]:
    """Time the suppression of candidates, and the drawing of those that are left."""
    from stardist.geometry import polygons_to_label
    from stardist.nms import non_maximum_suppression

    report = {}
    for name, arrays in read(given).items():
        probability, distances, shape = arrays["probability"], arrays["distances"], tuple(arrays["shape"])

        def suppress(
            distances: np.ndarray = distances, probability: np.ndarray = probability
        ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return non_maximum_suppression(
                distances,
                probability,
                grid=GRID,
                b=BORDER,
                prob_thresh=settings["probability_threshold"],
                nms_thresh=settings["suppression_threshold"],
            )

        (kept, scores, radii), suppressing = repeated(suppress, settings["rounds"])

        def draw(
            radii: np.ndarray = radii, kept: np.ndarray = kept, scores: np.ndarray = scores, shape: tuple = shape
        ) -> np.ndarray:
            return polygons_to_label(radii, kept, shape, prob=scores)

        labels, drawing = repeated(draw, settings["rounds"])
        candidates = likeliest_first(probability, distances, settings["probability_threshold"])
        np.savez(answers / f"{name}.npz", **candidates, kept=kept, labels=labels.astype(np.int32))
        report[name] = {
            "candidates": len(candidates["points"]),
            "kept": len(kept),
            "suppression_s": suppressing,
            "drawing_s": drawing,
        }
    return report


def likeliest_first(probability: np.ndarray, distances: np.ndarray, threshold: float) -> Arrays:
    """Return the candidates that StarDist's suppression starts from, in its order."""
    inner = np.zeros(probability.shape, bool)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    candidates = np.nonzero(inner & (probability > threshold))
    order = np.argsort(probability[candidates])[::-1]
    return {
        "probability": probability[candidates][order],
        "distances": distances[candidates][order],
        "points": (np.stack(candidates, axis=1) * GRID)[order],
    }


def make_flows(_settings: dict, given: Path, answers: Path) -> dict[str, Any]:
    """Write what a network without error would predict of given labels."""
    import torch
    from cellpose.dynamics import labels_to_flows

    processor = torch.device("cpu")
    report = {}
    for name, arrays in read(given).items():
        labels = arrays["labels"].astype(np.int32)
        (made,), seconds = timed(lambda labels=labels: labels_to_flows([labels], device=processor))
        foreground, flows = made[1] > 0, made[2:]
        cell_probability = np.where(foreground, LOGIT, -LOGIT).astype(np.float32)
        np.savez(answers / f"{name}.npz", flows=FLOW_SCALE * flows, cell_probability=cell_probability)
        report[name] = {"seconds": seconds}
    return report


def flows(settings: dict, given: Path, answers: Path) -> dict[str, Any]:
    """Time the way from flows to labels, on the processor."""
    from cellpose.dynamics import compute_masks

    report = {}
    for name, arrays in read(given).items():

        def follow(arrays: Arrays = arrays) -> np.ndarray:
            return compute_masks(arrays["flows"], arrays["cell_probability"], **settings["options"])

        labels, seconds = repeated(follow, settings["rounds"])
        np.save(answers / f"{name}.npy", labels.astype(np.int32))
        report[name] = {"objects": int(labels.max()), "seconds": seconds}
    return report


COMMANDS = {"train": train, "predict": predict, "nms": nms, "make-flows": make_flows, "flows": flows}


if __name__ == "__main__":
    command, settings, given, answers = sys.argv[1], *map(Path, sys.argv[2:])
    answers.mkdir(parents=True, exist_ok=True)
    report = COMMANDS[command](json.loads(settings.read_text()), given, answers)
    (answers / "report.json").write_text(json.dumps(report, indent=2) + "\n")
