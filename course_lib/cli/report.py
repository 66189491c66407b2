"""``course report``: from an image to objects, a table, and a page that tells all of it, in one line of the shell."""

import argparse
import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from course_lib import devices, images, inspection, provenance
from course_lib.axes import to_axes
from course_lib.cli._batch import add_images, add_series, for_each, stem_of
from course_lib.cli._denoise_noise import look
from course_lib.cli._denoise_report import Section
from course_lib.cli._flags import flag, sizes_um
from course_lib.cli._measuring import add_measuring, channels_of, table_of
from course_lib.cli._messages import told_at_once
from course_lib.cli._page import write_page
from course_lib.cli._report_page import Report, report_page
from course_lib.cli.denoise import check_camera, check_effort, restored
from course_lib.cli.inspect import add_sampling, microscope_of
from course_lib.cli.segment import add_limits, add_way, check_limits, dropping, segmented, summary, write_labels
from course_lib.images import Image
from course_lib.images.tiled_run import check_target
from course_lib.noise2void import METHODS
from course_lib.quantification.tables import write_table

__all__ = ["add"]

RESULT = "_report.html"
SETTINGS_LEFT_OUT = ("image", "output", "overwrite", "run")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser."""
    parser = commands.add_parser(
        "report",
        help="the whole chain: inspect, restore if asked, segment, measure; a table, labels and a page",
        description="Inspect an image, restore the channel that is segmented, if that is asked for, find the objects, "
        "and measure them in the RAW channels. Writes a page that needs no other file (IMAGE_report.html), and beside "
        "it the table (.csv) and the labels (_labels.ome.tif); all of them, or none.",
    )
    add_images(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="HTML|FOLDER", help="the page, .html (default: IMAGE_report.html)"
    )
    parser.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX")
    add_series(parser)
    parser.add_argument(
        "--voxel-size-um", type=sizes_um, metavar="[Z,]Y,X", help="in µm, where the file does not tell, or tells wrong"
    )
    finding = parser.add_argument_group("finding the objects")
    finding.add_argument(
        "--segment-channel", type=int, metavar="N", help="in which channel, from 0; needed if there are several"
    )
    add_way(finding, method_flag="--threshold")
    add_limits(finding)
    restoring = parser.add_argument_group("restoring the channel that is segmented, never what is measured")
    restoring.add_argument(
        "--method", choices=("none", "auto", *METHODS), default="none", help="as of course denoise (default none)"
    )
    restoring.add_argument("--minutes", type=float, default=1.0, metavar="X", help="time for it, above 0 (default 1)")
    restoring.add_argument("--steps", type=int, metavar="N", help="how long a network learns instead, at least 1")
    restoring.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all draws (default 0)")
    add_measuring(parser.add_argument_group("measuring, on the raw channels"))
    add_sampling(parser)
    parser.add_argument("--device", default="auto", help="of networks: auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--overwrite", action="store_true", help="replace page, table and labels if they exist")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    given = vars(arguments)
    check_camera(given)
    check_effort(given)
    microscope_of(given)
    for_each(arguments, _report, result=RESULT)


def _report(arguments: argparse.Namespace) -> None:
    given, begun = vars(arguments), time.monotonic()
    path: Path = given["image"]
    output: Path = given["output"] or path.with_name(f"{stem_of(path)}{RESULT}")
    targets = _targets(output)
    _check_targets(targets, given, source=path)
    device = devices.resolve(given["device"])
    image = images.read(path, axes=given["axes"], voxel_size_um=given["voxel_size_um"], series=given["series"])
    sizes = image.known_voxel_size_um
    check_limits(given, stack="Z" in image.axes)
    with told_at_once(given):
        seen = inspection.inspect(
            image, offset_adu=given["offset_adu"], microscope=microscope_of(given), file=str(path)
        )
        channel = _channel(image, given, path)
        section, channel = _restored(channel, given, device)
        found = segmented(channel, {**given, "method": given["threshold"]})
        channels = channels_of(image, given)
        table = table_of(found.kept, channels, everything=found.everything, voxel_size_um=sizes, given=given)
    told = [*summary(found.kept, channel), *found.way.told]
    report = Report(
        title=path.name,
        inspection=seen,
        section=section,
        labels=found.kept,
        segmented=to_axes(channel.data, axes=channel.axes, wanted="TZYX" if "Z" in channel.axes else "TYX"),
        channels=channels,
        pixel_size_um=(sizes[-2], sizes[-1]),
        objects=told,
        doubt=found.doubt,
        table=table,
        dropped_by=dropping(given),
        files=[f"table: {targets['table'].name}", f"labels: {targets['labels'].name}"],
        settings=_settings(given),
        command=provenance.record().get("command", "course report"),
        facts=_facts(device, time.monotonic() - begun),
    )
    with _all_or_none(targets) as beside:
        write_labels(beside["labels"], found.kept, channel)
        write_table(beside["table"], table)
        write_page(beside["page"], report_page(report))
    print(f"{output}: {seen.title}", *map(str, seen.flags), *told, *report.files, sep="\n  ")


def _targets(page: Path) -> dict[str, Path]:
    """Return all that is written; the page comes last."""
    return {
        "labels": page.with_name(f"{page.stem}_labels.ome.tif"),
        "table": page.with_suffix(".csv"),
        "page": page,
    }


def _check_targets(targets: Mapping[str, Path], given: Mapping[str, Any], *, source: Path) -> None:
    page = targets["page"]
    if page.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{page} must end in .html, because it will be a page: rename it.")
    check_target(targets["labels"], overwrite=given["overwrite"], source=source)
    for target in (targets["table"], page):
        if target.exists() and not given["overwrite"]:
            raise ValueError(f"{target} exists: choose another name, or add --overwrite to replace it.")


def _channel(image: Image, given: Mapping[str, Any], path: Path) -> Image:
    """Return the channel that is segmented."""
    number: int | None = given["segment_channel"]
    if "C" not in image.axes:
        if number is not None:
            raise ValueError(f"--segment-channel is {number}, but {path} has no channels: leave it out.")
        return image
    count = image.data.shape[image.axes.index("C")]
    if number is None and count > 1:
        raise ValueError(
            f"{path} has {count} channels: choose the one with the objects, --segment-channel 0 to {count - 1}."
        )
    if number is not None and not 0 <= number < count:
        raise ValueError(f"--segment-channel is {number}, but {path} has {count}: choose 0 to {count - 1}.")
    return image.at("C", number or 0)


def _restored(channel: Image, given: Mapping[str, Any], device: torch.device) -> tuple[Section | None, Image]:
    """Restore the channel that is segmented, if that is asked for."""
    if given["method"] == "none":
        return None, channel
    frames = channel.tensor().reshape(-1, *channel.data.shape[-2:])
    seen = look(frames, unit=channel.unit, known=given, seed=given["seed"])
    section, values = restored(seen, given, "", given["minutes"], device)
    return section, replace(channel, data=values.numpy().reshape(channel.data.shape))


def _settings(given: Mapping[str, Any]) -> dict[str, str]:
    """Return all settings by their flags, also those that were not given."""
    return {flag(name): _told(value) for name, value in given.items() if name not in SETTINGS_LEFT_OUT}


def _told(value: Any) -> str:
    if value is None:
        return "not given"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _facts(device: torch.device, seconds: float) -> list[str]:
    return [
        f"Program: {provenance.PROGRAM}, {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        f"Device: {devices.describe(device)}; {math.ceil(seconds)} s",
    ]


@contextmanager
def _all_or_none(targets: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Give names in a hidden folder beside the targets, and move all files from there when all are complete."""
    folder = Path(tempfile.mkdtemp(prefix=".course-report-", dir=targets["page"].parent))
    try:
        beside = {name: folder / path.name for name, path in targets.items()}
        yield beside
        for name, path in targets.items():
            beside[name].replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
