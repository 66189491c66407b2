"""``course denoise``: take the noise from an image of your own, by the method that suits it best."""

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from course_lib import devices, images, provenance
from course_lib.cli._batch import add_images, add_series, for_each, stem_of
from course_lib.cli._denoise_noise import Look, look
from course_lib.cli._denoise_report import Section, report, residual_of, warning_of_residual
from course_lib.cli._messages import tell, told_at_once
from course_lib.cli._page import write_page
from course_lib.images.tiled_run import check_target
from course_lib.networks import TrainingError
from course_lib.noise2void import METHODS, Choice, choose

__all__ = ["CAMERA", "add", "check_camera", "check_effort", "restored"]

RESULT = "_denoised.ome.tif"
CAMERA = {
    "gain_e_per_adu": "electrons per grey level of the camera; 1, with --offset-adu 0, for photon counts",
    "offset_adu": "mean of a dark frame",
    "read_noise_e": "standard deviation of the read-out, in electrons (default 0)",
}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser."""
    parser = commands.add_parser(
        "denoise",
        help="take the noise from an image, by the method that suits it best",
        description="Restore a noisy image from itself alone. Filters and networks are compared on photons held out "
        "(or on hidden pixels, where the noise is not that of photons), and the best is taken; of two that are equally "
        "good, the simpler. Writes an OME-TIFF and a report that says what was done, why, and what to look at.",
    )
    add_images(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="TIFF|FOLDER", help="(default: IMAGE_denoised.ome.tif)")
    parser.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX")
    add_series(parser)
    parser.add_argument("--channel", type=int, metavar="N", help="which channel, from 0 (default: each by itself)")
    parser.add_argument("--method", choices=("auto", *METHODS), default="auto", help="(default auto: the best)")
    parser.add_argument("--minutes", type=float, default=2.0, metavar="X", help="time for each image (default 2)")
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="how long the network learns instead, so that a run can be repeated exactly",
    )
    for name, meaning in CAMERA.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="X", help=meaning)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all draws (default 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output and its report if they exist")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    for_each(arguments, _denoise, result=RESULT)


def _denoise(arguments: argparse.Namespace) -> None:
    given, begun = vars(arguments), time.monotonic()
    path: Path = given["image"]
    output: Path = given["output"] or path.with_name(f"{stem_of(path)}{RESULT}")
    page = output.with_name(f"{stem_of(output)}.html")
    _check(given, path, output, page)
    device = devices.resolve(given["device"])
    image = images.read(path, axes=given["axes"], series=given["series"])
    if given["channel"] is not None:
        image = image.at("C", given["channel"])
    channels = image.data.shape[image.axes.index("C")] if "C" in image.axes else 1
    output_values = np.empty(image.data.shape, np.float32)
    sections = []
    with told_at_once(given):
        for channel in range(channels):
            title = f"Channel {channel}" if channels > 1 else ""
            place = tuple(channel if letter == "C" else slice(None) for letter in image.axes)
            left = 60 * given["minutes"] * (channel + 1) / channels - (time.monotonic() - begun)
            part = image.at("C", channel) if "C" in image.axes else image
            frames = part.tensor().reshape(-1, *part.data.shape[-2:])
            if title:
                tell(title)
            seen = look(frames, unit=image.unit, known=given, seed=given["seed"])
            section, values = restored(seen, given, title, max(left, 0.0) / 60, device)
            sections.append(section)
            output_values[place] = values.numpy().reshape(part.data.shape)
    result = replace(image, data=output_values)
    images.write(output, result)
    seconds = time.monotonic() - begun
    facts = [
        f"{result!r}, in the unit of the input",
        f"Device: {devices.describe(device)}; {seconds:.0f} s; seed {given['seed']}",
        f"Program: {provenance.PROGRAM}, course denoise, {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
    ]
    if "Z" in image.axes:
        facts.append("Planes were restored one by one.")
    write_page(page, report(path.name, sections, facts=facts, pixel_size_um=image.voxel_size_um))
    print(
        f"{output}: {result}",
        *(f"{one.title + ': ' if one.title else ''}{one.choice.name}. {one.choice.reason}" for one in sections),
        f"report: {page}",
        f"device: {devices.describe(device)}, {seconds:.0f} s",
        sep="\n  ",
    )


def _check(given: Mapping[str, Any], path: Path, output: Path, page: Path) -> None:
    check_target(output, overwrite=given["overwrite"], source=path)
    if output.suffix.lower() == ".zarr":
        raise ValueError(f"{output} must end in .tif or .tiff: course denoise keeps the image in memory.")
    if page.exists() and not given["overwrite"]:
        raise ValueError(f"{page}, the report, exists: choose another output, or add --overwrite to replace it.")
    check_effort(given)
    check_camera(given)


def check_effort(given: Mapping[str, Any]) -> None:
    """Raise unless time and steps are above 0."""
    if not 0 < given["minutes"] < float("inf"):
        raise ValueError(f"--minutes is {given['minutes']:g}, but must be above 0: 2 suits an image of 512 × 512.")
    if given["steps"] is not None and given["steps"] < 1:
        raise ValueError(f"--steps is {given['steps']}, but must be at least 1: 600 suit many images.")


def check_camera(given: Mapping[str, Any]) -> None:
    """Raise unless the numbers of the camera are given together, or not at all."""
    if (given["gain_e_per_adu"] is None) != (given["offset_adu"] is None):
        raise ValueError("--gain-e-per-adu and --offset-adu belong together: give both, or neither.")
    if given["read_noise_e"] is not None and given["gain_e_per_adu"] is None:
        raise ValueError("--read-noise-e needs --gain-e-per-adu and --offset-adu: give all three, or none.")


def restored(
    seen: Look, given: Mapping[str, Any], title: str, minutes: float, device: torch.device
) -> tuple[Section, torch.Tensor]:
    """Choose a method for the frames of one channel, restore them, and say what was found."""
    tell(seen.assumed)
    for warning in seen.warnings:
        tell(f"warning: {warning}")
    try:
        choice: Choice = choose(
            seen.frames,
            noise=seen.noise,
            mask_extent=seen.mask_extent,
            methods=tuple(METHODS) if given["method"] == "auto" else (given["method"],),
            minutes=minutes,
            steps=given["steps"],
            rng=given["seed"],
            device=device,
            tell=tell,
        )
    except TrainingError as error:
        raise ValueError(str(error)) from error
    tell(choice.reason)
    frames = [
        choice.restore(frame[None])[0]
        for frame in tqdm(seen.frames, desc="restoring", unit="frame", disable=None if len(seen.frames) > 1 else True)
    ]
    values = torch.stack(frames)
    number = int(values.flatten(1).std(dim=1).argmax())
    noisy, restored = seen.frames[number].float(), values[number].float()
    warnings = [*seen.warnings, *choice.warnings]
    residual = residual_of(noisy, restored, photons=seen.noise == "photons")
    if seen.structure is not None and seen.structure.white and float(residual.std()) > 0:
        warnings += filter(None, [warning_of_residual(residual)])
    for warning in warnings[len(seen.warnings) :]:
        tell(f"warning: {warning}")
    section = Section(title=title, look=seen, choice=choice, noisy=noisy, restored=restored, warnings=tuple(warnings))
    return section, seen.back(values).float()
