"""``course inspect``: what is in a file, what its camera and noise are like, what is wrong, and what to begin with."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_lib import images, inspection, optics
from course_lib.cli._batch import add_series, files_of
from course_lib.cli._flags import flag, sizes_um
from course_lib.cli._messages import EXPECTED, told_at_once, words_of

__all__ = ["add", "add_sampling", "microscope_of"]

SAMPLING = ("numerical_aperture", "emission_wavelength_nm", "immersion_index")
"""Numbers of the microscope that the Nyquist limit hangs on."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser."""
    parser = commands.add_parser(
        "inspect",
        help="axes, saturation, gain, structure of the noise, sampling, and the method to begin with",
        description="Look at raw images before anything is done to them. Says what the file tells, what its camera and "
        "its noise are like, what is wrong with it, and which method to begin with. A time series is taken to show a "
        "scene that holds still.",
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="FILE", help="TIFF, ImageJ TIFF or OME-TIFF, or folders of them"
    )
    parser.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX, for example TYX")
    add_series(parser)
    parser.add_argument(
        "--voxel-size-um", type=sizes_um, metavar="[Z,]Y,X", help="in µm, where the file does not tell, or tells wrong"
    )
    parser.add_argument(
        "--offset-adu", type=float, metavar="X", help="mean of a dark frame; without it the read noise is taken as 0"
    )
    add_sampling(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON list, with an object for each file")
    parser.set_defaults(run=_run)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the numbers of the microscope that the sampling is judged by."""
    group = parser.add_argument_group("microscope, to judge the sampling; give at least the first two")
    for declared in optics.Microscope.declared():
        if declared.name in SAMPLING:
            group.add_argument(
                flag(declared.name), type=float, metavar="X", help=f"{declared.meaning}; {declared.limits}"
            )


def _run(arguments: argparse.Namespace) -> None:
    given = vars(arguments)
    microscope = microscope_of(given)
    failed, found = [], []
    for path in files_of(given["paths"]):
        try:
            with told_at_once(given):
                seen = _inspected(path, given, microscope)
        except EXPECTED as error:
            failed.append(words_of(error))
            continue
        if given["json"]:
            found.append({"file": str(path), "written_by": images.read_provenance(path)} | seen.to_dict())
        else:
            print(path, *_written_by(path), *seen.lines(), sep="\n  ")
    if given["json"]:
        print(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
    if failed:
        raise ValueError("; ".join(failed))


def microscope_of(given: Mapping[str, Any]) -> optics.Microscope | None:
    """Build the microscope from parsed flags; None where none of them is given."""
    known = {name: given[name] for name in SAMPLING if given[name] is not None}
    if not known:
        return None
    for name in SAMPLING[:2]:
        if name not in known:
            raise ValueError(f"to judge the sampling, {flag(name)} is needed, too: add it.")
    return optics.Microscope(**known)


def _inspected(path: Path, given: Mapping[str, Any], microscope: optics.Microscope | None) -> inspection.Inspection:
    image = images.read(
        path,
        axes=given["axes"],
        voxel_size_um=given["voxel_size_um"],
        series=given["series"],
        memory_map=images.can_be_mapped(path, series=given["series"] or 0),
    )
    try:
        return inspection.inspect(image, offset_adu=given["offset_adu"], microscope=microscope, file=str(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _written_by(path: Path) -> list[str]:
    """Tell which command wrote a file of this course."""
    known = images.read_provenance(path)
    return [f"written by {known['program']}: {known['command']}"] if "command" in known else []
