"""``course train-segment``: train a network that tells objects apart, on labelled images of your own."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from course_lib import devices, images, segmentation
from course_lib.axes import to_axes
from course_lib.cli._messages import tell, told_at_once
from course_lib.networks import TrainingConfig, TrainingError, join
from course_lib.networks.processes import own_device, rank_of
from course_lib.parameters import add_arguments, from_arguments

__all__ = ["add"]

Arrays = list[np.ndarray[Any, Any]]


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser; every parameter of the network and the training becomes a flag."""
    parser = commands.add_parser(
        "train-segment",
        help="train a network to find objects, on images and their labels",
        description="Train a segmentation network on images and on labels of the same fields, drawn by hand or "
        "simulated: whole numbers, 0 for background, another one for each object. Of five images or more, whole ones "
        "are kept apart to choose the thresholds. An interrupted training goes on when the same command is given "
        "again. On several GPUs: torchrun --nproc-per-node 4 --no-python course train-segment ...",
    )
    parser.add_argument("output", type=Path, metavar="MODEL", help="file to write, for example nuclei.model")
    parser.add_argument("--images", type=Path, nargs="+", required=True, metavar="TIFF", help="of one pixel size")
    parser.add_argument("--labels", type=Path, nargs="+", required=True, metavar="TIFF", help="in the same order")
    parser.add_argument("--axes", help="axes of plain TIFFs, letters of TCZYX")
    parser.add_argument("--channel", type=int, metavar="N", help="which channel of the images, from 0")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of split, weights and draws (default 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--overwrite", action="store_true", help="replace MODEL if it exists")
    add_arguments(parser, segmentation.Config)
    add_arguments(parser, TrainingConfig)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    given = vars(arguments)
    output: Path = given["output"]
    _check_output(output, overwrite=given["overwrite"])
    config, training = from_arguments(segmentation.Config, given), from_arguments(TrainingConfig, given)
    join(given["device"])
    device, first = own_device(given["device"]), rank_of()[0] == 0
    state = output.with_name(f"{output.name}.state")
    with told_at_once(given):
        fields, labels = _fields(given)
        if first:
            tell(f"training on {devices.describe(device)}, {len(fields)} images, the first {_listed(fields[0].shape)}")
            if state.exists():
                tell(f"going on with {state}")
        try:
            model = segmentation.train(
                fields, labels, config, training, rng=given["seed"], device=device, state_path=state
            )
        except KeyboardInterrupt:
            kept = f"all but the last epoch is kept in {state}: give the same command to go on"
            tell(f"interrupted; {kept if state.exists() else 'no epoch was finished'}.")
            raise SystemExit(130) from None
        except TrainingError as error:
            raise ValueError(str(error)) from error
    if first:
        model.save(output)
        best = min(model.history, key=lambda record: record.validation_loss)
        seconds = sum(record.seconds for record in model.history)
        print(
            f"{output}: {len(model.history)} epochs in {seconds:.0f} s, best after {best.epoch}",
            f"validation loss: {model.history[0].validation_loss:.4g} at first, {best.validation_loss:.4g} at best",
            f"thresholds: {listed_thresholds(model.settings['thresholds'])}",
            f"largest object: {_listed(model.settings['largest_object_px'])} pixels",
            f"network: {asdict(model.network.config)}",
            sep="\n  ",
        )


def listed_thresholds(thresholds: Mapping[str, float]) -> str:
    """Return thresholds in words.

    Examples
    --------
    >>> listed_thresholds({"least_foreground": 0.5, "joined_within_px": 2})
    'least foreground 0.5, joined within px 2'
    """
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in thresholds.items())


def _check_output(output: Path, *, overwrite: bool) -> None:
    if not output.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {output.parent}: make it first, or check the spelling.")
    if output.exists() and not overwrite:
        raise ValueError(f"{output} exists: choose another name, or add --overwrite to replace it.")


def _fields(given: Mapping[str, Any]) -> tuple[Arrays, Arrays]:
    """Read all images and labels, frame by frame."""
    if len(given["images"]) != len(given["labels"]):
        raise ValueError(
            f"--images names {len(given['images'])} files, --labels {len(given['labels'])}: each needs its labels."
        )
    fields: Arrays = []
    labels: Arrays = []
    for path, path_of_labels in zip(given["images"], given["labels"], strict=True):
        some = _frames(path, axes=given["axes"], channel=given["channel"])
        others = _frames(path_of_labels, axes=given["axes"], channel=None)
        if len(some) != len(others):
            raise ValueError(f"{path} holds {len(some)} frames, {path_of_labels} {len(others)}: each needs its labels.")
        for number, (field, whole) in enumerate(zip(some, others, strict=True)):
            if field.shape != whole.shape:
                raise ValueError(
                    f"frame {number} of {path} has shape {field.shape}, but that of {path_of_labels} {whole.shape}: "
                    f"give labels of the same field and crop."
                )
        fields += some
        labels += others
    return fields, labels


def _frames(path: Path, *, axes: str | None, channel: int | None) -> Arrays:
    """Return the frames of one channel, each ([Z,] Y, X)."""
    image = images.read(path, axes=axes)
    if "C" in image.axes and image.data.shape[image.axes.index("C")] > 1 and channel is None:
        raise ValueError(f"{path} has several channels: choose one with --channel 0, or write it to a file of its own.")
    if "C" in image.axes:
        image = image.at("C", channel or 0)
    return list(to_axes(image.data, axes=image.axes, wanted="TZYX" if "Z" in image.axes else "TYX"))


def _listed(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
