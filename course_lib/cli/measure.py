"""``course measure``: from labels, and the raw image they belong to, to a table with one row for each object."""

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from course_lib import images
from course_lib.cli._batch import add_images, add_series, files_of, for_each, stem_of
from course_lib.cli._flags import flag, sizes_um, whole_numbers
from course_lib.cli._measuring import (
    Channels,
    add_measuring,
    channels_of,
    check_table_target,
    frames_of_labels,
    table_of,
)
from course_lib.cli._messages import tell, told_at_once
from course_lib.cli.denoise import check_camera
from course_lib.cli.segment import LIMITS, add_limits, check_limits, dropping, kept
from course_lib.images import Image
from course_lib.quantification.tables import write_table

__all__ = ["add"]

RESULT = "_objects.csv"
MADE = ("_labels", "_denoised", "_restored", "_deconvolved")
"""What commands put behind the name of an image; the raw one has none of it."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser."""
    parser = commands.add_parser(
        "measure",
        help="measure the objects of a label image: a table of sizes, shapes and intensities",
        description="Write a table with one row for each object: number, position and size in µm, shape, and the "
        "intensities of each channel. Give the RAW image as --intensity, not the restored one: a restoration that "
        "helps to find an object changes how bright it is. Each time of a film is measured by itself. "
        "Drop objects here, not when they are segmented: the background is taken outside of all objects, also of those "
        "that are dropped.",
    )
    add_images(parser, metavar="LABELS")
    parser.add_argument(
        "--intensity",
        type=Path,
        metavar="IMAGE|FOLDER",
        help="the raw image; of several labels, the folder of their images: of NAME_labels.ome.tif, "
        "or NAME_denoised_labels.ome.tif, that is NAME.tif",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="TABLE|FOLDER", help=".csv or .parquet (default: LABELS_objects.csv)"
    )
    parser.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX; of the labels the same without C")
    add_series(parser)
    parser.add_argument(
        "--channel", type=whole_numbers, metavar="N[,N]", help="channels to measure, from 0 (default: all)"
    )
    parser.add_argument(
        "--voxel-size-um", type=sizes_um, metavar="[Z,]Y,X", help="in µm, where the files do not tell, or tell wrong"
    )
    add_measuring(parser)
    add_limits(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace the table if it exists")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    check_camera(vars(arguments))
    for_each(arguments, _measure, result=RESULT)


def _measure(arguments: argparse.Namespace) -> None:
    given = vars(arguments)
    path: Path = given["image"]
    output: Path = given["output"] or path.with_name(f"{stem_of(path)}{RESULT}")
    check_table_target(output, overwrite=given["overwrite"])
    axes = given["axes"].replace("C", "") if given["axes"] else None
    with told_at_once(given):
        labels = images.read(path, axes=axes, voxel_size_um=given["voxel_size_um"])
        check_limits(given, stack="Z" in labels.axes)
        frames = frames_of_labels(labels, name=str(path))
        raw = _raw(path, given)
        channels = Channels(values={}) if raw is None else channels_of(raw, given, chosen=given["channel"])
        sizes = labels.voxel_size_um or (raw and raw.voxel_size_um) or labels.known_voxel_size_um
        sized = replace(labels, voxel_size_um=sizes)
        chosen = np.stack([kept(frame, sized, given) for frame in frames]) if dropping(given) else frames
        if channels.values and given["background"] == "auto":
            _warn_of_dropped(path)
        table = table_of(chosen, channels, everything=frames, voxel_size_um=sizes, given=given)
        write_table(output, table, overwrite=given["overwrite"])
    objects = "object" if len(table) == 1 else "objects"
    print(f"{output}: {len(table)} {objects}, {len(table.columns)} columns: {', '.join(table.columns)}")


def _warn_of_dropped(path: Path) -> None:
    """Tell if the command that wrote labels dropped objects: their light lies in what now passes for background."""
    command = "" if path.is_dir() else images.read_provenance(path).get("command", "")
    words = [word.split("=")[0] for word in shlex.split(command) if len(word) > len("--")]
    found = [name for name in (*map(flag, LIMITS), "--without-border") if any(map(name.startswith, words))]
    if found:
        tell(
            f"{path} was written with {', '.join(found)}: the objects that were dropped pass for background, which may "
            f"come out too bright. Segment without, and give {found[0]} to course measure; or give --background X."
        )


def _raw(labels: Path, given: dict[str, Any]) -> Image | None:
    """Read the image that labels belong to."""
    asked: Path | None = given["intensity"]
    if asked is None:
        if given["channel"] is not None or given["names"] is not None:
            raise ValueError("--channel and --names choose among intensities: add --intensity, the raw image.")
        return None
    path = asked if not asked.is_dir() or asked.suffix.lower() == ".zarr" else _partner(labels, asked)
    return images.read(path, axes=given["axes"], voxel_size_um=given["voxel_size_um"], series=given["series"])


def _partner(labels: Path, folder: Path) -> Path:
    """Return the image of a folder whose name is that of the labels."""
    wanted = stem_of(labels)
    while ending := next((made for made in MADE if wanted.endswith(made)), ""):
        wanted = wanted.removesuffix(ending)
    found = [path for path in files_of([folder]) if stem_of(path) == wanted and path.resolve() != labels.resolve()]
    if len(found) != 1:
        there = f"holds {' and '.join(path.name for path in found)}" if found else "has no file of that name"
        raise ValueError(f"{labels} belongs to an image called {wanted}.tif, but {folder} {there}: rename one.")
    return found[0]
