"""``course train-care``: train a network on pairs of a noisy and a clean image of your own."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from course_lib import care, devices, images
from course_lib.axes import to_axes
from course_lib.cli._messages import tell, told_at_once
from course_lib.networks import TrainingConfig, join
from course_lib.networks.processes import own_device, rank_of
from course_lib.parameters import add_arguments, from_arguments
from course_lib.seeding import generator

__all__ = ["add"]


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser; every parameter of the network and the training becomes a flag."""
    parser = commands.add_parser(
        "train-care",
        help="train a network on noisy and clean images of the same fields",
        description="Train a restoration network. Either give images of both kinds, --images dim1.tif dim2.tif "
        "--targets bright1.tif bright2.tif, which are registered; or give photon counts alone with --thin 0.2, which "
        "puts a fifth of the photons into the noisy image and the rest into the clean one. An interrupted training "
        "goes on when the same command is given again. On several GPUs: torchrun --nproc-per-node 4 --no-python course "
        "train-care ...",
    )
    parser.add_argument("output", type=Path, metavar="MODEL", help="file to write, for example cells.model")
    parser.add_argument("--images", type=Path, nargs="+", required=True, metavar="TIFF", help="noisy images or counts")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--targets", type=Path, nargs="+", metavar="TIFF", help="clean images, in the same order")
    source.add_argument("--thin", type=float, metavar="X", help="share of the photons for the noisy image")
    parser.add_argument("--axes", help="axes of plain TIFFs, letters of TCZYX")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of split, weights and draws (default 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--overwrite", action="store_true", help="replace MODEL if it exists")
    add_arguments(parser, care.Config)
    add_arguments(parser, TrainingConfig)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    given = vars(arguments)
    output: Path = given["output"]
    _check_output(output, overwrite=given["overwrite"])
    network, training = from_arguments(care.Config, given), from_arguments(TrainingConfig, given)
    join(given["device"])
    device, first = own_device(given["device"]), rank_of()[0] == 0
    state = output.with_name(f"{output.name}.state")
    with told_at_once(given):
        pairs = _pairs(given)
        if first:
            tell(f"training on {devices.describe(device)}, {len(pairs)} pairs of {_listed(pairs[0].image.shape)}")
            if state.exists():
                tell(f"going on with {state}")
        try:
            model = care.train(pairs, network, training, rng=given["seed"], device=device, state_path=state)
        except KeyboardInterrupt:
            kept = f"all but the last epoch is kept in {state}: give the same command to go on"
            tell(f"interrupted; {kept if state.exists() else 'no epoch was finished'}.")
            raise SystemExit(130) from None
    if first:
        model.save(output)
        best = min(model.history, key=lambda record: record.validation_loss)
        seconds = sum(record.seconds for record in model.history)
        print(
            f"{output}: {len(model.history)} epochs in {seconds:.0f} s, best after {best.epoch}",
            f"validation loss: {model.history[0].validation_loss:.4g} at first, {best.validation_loss:.4g} at best",
            f"network: {asdict(model.network.config)}",
            sep="\n  ",
        )


def _check_output(output: Path, *, overwrite: bool) -> None:
    if not output.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {output.parent}: make it first, or check the spelling.")
    if output.exists() and not overwrite:
        raise ValueError(f"{output} exists: choose another name, or add --overwrite to replace it.")


def _pairs(given: Mapping[str, Any]) -> list[care.Pair]:
    """Read all images, and make pairs of them on one scale."""
    noisy = [(path, frame) for path in given["images"] for frame in _read(path, given["axes"])]
    if given["targets"] is None:
        draws = generator(given["seed"])
        thinned = ((path, care.thinned_pair(frame, fraction=given["thin"], rng=draws)) for path, frame in noisy)
        return [replace(pair.scaled(), sample=str(path)) for path, pair in thinned]
    clean = [frame for path in given["targets"] for frame in _read(path, given["axes"])]
    if len(noisy) != len(clean):
        raise ValueError(f"--images hold {len(noisy)} frames, --targets {len(clean)}: each needs its target.")
    pairs = []
    for (path, image), target in zip(noisy, clean, strict=True):
        if len(image) > 1 or len(target) > 1:
            raise ValueError(
                f"{path} or its target has several channels, but only single ones can be registered: write each "
                f"channel to a file of its own."
            )
        try:
            pair = care.recorded_pair(image[0], target[0], dose_ratio=1.0).matched()
            pairs.append(replace(pair, sample=str(path)))
        except care.MisregisteredError as error:
            raise ValueError(f"{path} and its target are no pair: {error}") from error
    return pairs


def _read(path: Path, axes: str | None) -> list[torch.Tensor]:
    """Return the frames of an image, each (C, [Z,] Y, X)."""
    image = images.read(path, axes=axes)
    wanted = "TCZYX" if "Z" in image.axes else "TCYX"
    return list(to_axes(image.tensor(), axes=image.axes, wanted=wanted))


def _listed(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
