"""``course segment``: find the objects of an image of your own, with a trained network or by watershed."""

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from course_lib import datasets, devices, images, segmentation
from course_lib.axes import to_axes
from course_lib.cli._batch import add_images, add_series, for_each, stem_of
from course_lib.cli._flags import flag, sizes_um
from course_lib.cli._messages import tell, told_at_once
from course_lib.cli._object_width import doubt_of_width
from course_lib.cli.train_segment import listed_thresholds
from course_lib.images import Image
from course_lib.images.tiled_run import check_target
from course_lib.networks import Model, pretrained

__all__ = [
    "LIMITS",
    "Segmented",
    "Way",
    "add",
    "add_limits",
    "add_way",
    "check_limits",
    "dropping",
    "kept",
    "segmented",
    "summary",
    "write_labels",
]

Labels = np.ndarray[Any, np.dtype[np.int32]]
RESULT = "_labels.ome.tif"
LIMITS = {
    "min_area_um2": "drop smaller objects of an image",
    "max_area_um2": "drop larger objects of an image",
    "min_volume_um3": "drop smaller objects of a stack",
    "max_volume_um3": "drop larger objects of a stack",
}


@dataclass(frozen=True, kw_only=True)
class Way:
    """How objects are found: a function of one frame, and what it is in words; of a network, its largest object."""

    find: Callable[[np.ndarray[Any, Any]], Labels]
    told: tuple[str, ...]
    largest_px: int | None = None


@dataclass(frozen=True, kw_only=True)
class Segmented:
    """The objects (T, [Z,] Y, X) that are kept, all that were found, how, and what speaks against it."""

    kept: Labels
    everything: Labels
    way: Way
    doubt: str


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser."""
    parser = commands.add_parser(
        "segment",
        help="find the objects of an image, with a trained network or by watershed",
        description="Find objects and write their labels: 0 for background, another number for each object. With "
        "--model, a network finds them; without, a threshold and a watershed, which need to know how large an object "
        "is, --diameter-um. Each time of a film is segmented by itself, and its objects are numbered from 1 on: the "
        "same number in two frames does not mean the same object.",
    )
    add_images(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="TIFF|FOLDER", help="(default: IMAGE_labels.ome.tif)")
    add_way(parser, method_flag="--method")
    parser.add_argument("--axes", help="axes of a plain TIFF, letters of TCZYX")
    add_series(parser)
    parser.add_argument("--channel", type=int, metavar="N", help="which channel, from 0; needed if there are several")
    parser.add_argument(
        "--voxel-size-um", type=sizes_um, metavar="[Z,]Y,X", help="in µm, where the file does not tell, or tells wrong"
    )
    add_limits(parser)
    parser.add_argument("--device", default="auto", help="of a network: auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    parser.set_defaults(run=_run)


def add_way(parser: "argparse._ActionsContainer", *, method_flag: str) -> None:
    """Add the flags that say how objects are found; `method_flag` is that of the threshold."""
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--model", metavar="MODEL", help="what course train-segment wrote, or the name of a network of the course"
    )
    way.add_argument("--diameter-um", type=float, metavar="X", help="of a usual object, at least 3 pixels, in µm")
    parser.add_argument(
        method_flag,
        choices=("local", "otsu", "li", "triangle"),
        help="without a model: what is foreground. local: what is brighter than its surroundings (default); others: "
        "what is above one level; without --diameter-um, touching objects then stay one",
    )
    parser.add_argument(
        "--model-threshold",
        dest="model_thresholds",
        action="append",
        default=[],
        type=_threshold,
        metavar="NAME=X",
        help="with a model: a number to use in place of the one that its training chose, such as "
        "least_foreground=0.3, where lower ones draw larger outlines; several times for several",
    )


def _threshold(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be a name and a number, as least_foreground=0.4") from None


def add_limits(parser: "argparse._ActionsContainer") -> None:
    """Add the flags that drop objects by their size, and at the border."""
    for name, meaning in LIMITS.items():
        unit = "µm²" if name.endswith("um2") else "µm³"
        parser.add_argument(flag(name), type=float, metavar="X", help=f"{meaning}, in {unit} (default: none)")
    parser.add_argument(
        "--without-border",
        action="store_true",
        help="drop objects that touch the border; of a stack, the first and the last plane are borders, too",
    )


def _run(arguments: argparse.Namespace) -> None:
    for_each(arguments, _segment, result=RESULT)


def _segment(arguments: argparse.Namespace) -> None:
    given = vars(arguments)
    path: Path = given["image"]
    output: Path = given["output"] or path.with_name(f"{stem_of(path)}{RESULT}")
    check_target(output, overwrite=given["overwrite"], source=path)
    if output.suffix.lower() == ".zarr":
        raise ValueError(f"{output} must end in .tif or .tiff: course segment keeps the labels in memory.")
    image = _image(path, given)
    check_limits(given, stack="Z" in image.axes)
    with told_at_once(given):
        found = segmented(image, given)
    result = write_labels(output, found.kept, image)
    print(f"{output}: {result}", *summary(found.kept, image), *found.way.told, sep="\n  ")


def segmented(image: Image, given: Mapping[str, Any]) -> Segmented:
    """Find the objects of each frame of an image without channels."""
    frames = to_axes(image.data, axes=image.axes, wanted="TZYX" if "Z" in image.axes else "TYX")
    way = _way(given, image)
    doubt = ""
    if way.largest_px is not None:
        doubt = doubt_of_width(frames, largest_px=way.largest_px, model=given["model"])
    if doubt:
        tell(doubt)
    everything = np.zeros(frames.shape, np.int32)
    labels = np.zeros_like(everything) if dropping(given) else everything
    blank = []
    for number, frame in enumerate(tqdm(frames, desc="segmenting", unit="frame", disable=len(frames) == 1 or None)):
        if len(frames) > 1 and frame.min() == frame.max():
            blank.append(number)
            continue
        try:
            everything[number] = way.find(np.ascontiguousarray(frame))
            labels[number] = segmentation.relabelled(kept(everything[number], image, given))
        except (ValueError, TypeError) as error:
            if len(frames) == 1:
                raise
            raise ValueError(f"frame {number}, from 0, cannot be segmented: {error}") from error
    if blank:
        tell(f"frames of one value, which hold no objects: {', '.join(map(str, blank))}, counted from 0.")
    return Segmented(kept=labels, everything=everything, way=way, doubt=doubt)


def write_labels(path: Path, labels: Labels, image: Image) -> Image:
    """Write labels (T, [Z,] Y, X) with the axes and voxels of their image, in as few bits as hold them."""
    type_ = np.uint16 if int(labels.max(initial=0)) <= np.iinfo(np.uint16).max else np.int32
    result = replace(image, data=labels.reshape(image.data.shape).astype(type_), unit="arbitrary")
    images.write(path, result, compression="zlib")
    return result


def _image(path: Path, given: Mapping[str, Any]) -> Image:
    """Return one channel of the image."""
    image = images.read(path, axes=given["axes"], voxel_size_um=given["voxel_size_um"], series=given["series"])
    channel: int | None = given["channel"]
    if "C" not in image.axes:
        if channel is not None:
            raise ValueError(f"--channel is {channel}, but {path} has no channels: leave it out.")
        return image
    channels = image.data.shape[image.axes.index("C")]
    if channel is None and channels > 1:
        raise ValueError(f"{path} has {channels} channels: choose one with --channel 0 to --channel {channels - 1}.")
    if channel is not None and not 0 <= channel < channels:
        raise ValueError(f"--channel is {channel}, but {path} has {channels}: choose 0 to {channels - 1}.")
    return image.at("C", channel or 0)


def check_limits(given: Mapping[str, Any], *, stack: bool) -> None:
    """Raise where a limit of size is out of range, or not for this kind of image."""
    for name in LIMITS:
        value = given[name]
        if value is None:
            continue
        if not 0 <= value < math.inf:
            raise ValueError(f"{flag(name)} is {value:g}, but must be a finite number of at least 0.")
        if stack != name.endswith("um3"):
            other = name.replace("area_um2", "volume_um3") if stack else name.replace("volume_um3", "area_um2")
            raise ValueError(f"{flag(name)} is not for {'a stack' if stack else 'an image'}: give {flag(other)}.")


def _way(given: Mapping[str, Any], image: Image) -> Way:
    if given["model"] is None and given["model_thresholds"]:
        raise ValueError("--model-threshold is for what a network gives: leave it out, or choose a --model.")
    if given["model"] is not None:
        if given["method"] is not None:
            raise ValueError("--method chooses how to go without a network: leave it out, or --model.")
        return _learned(given)
    method: Any = given["method"] or "local"
    if given["diameter_um"] is None:
        if method == "local":
            raise ValueError("how are objects to be found? Give --model, or --diameter-um with their usual diameter.")
        return Way(
            find=lambda frame: segmentation.connected(segmentation.threshold(frame, method=method)),
            told=(f"method: connected pixels above the level of {method}; touching objects are one",),
        )
    sizes, diameter_um = image.known_voxel_size_um, given["diameter_um"]

    def find(frame: np.ndarray[Any, Any]) -> Labels:
        mask = None if method == "local" else segmentation.threshold(frame, method=method)
        return segmentation.watershed(frame, diameter_um=diameter_um, voxel_size_um=sizes, mask=mask)

    return Way(find=find, told=(f"method: watershed, foreground {method}, diameter {diameter_um:g} µm",))


def _learned(given: Mapping[str, Any]) -> Way:
    device = devices.resolve(given["device"])
    model = _model(given["model"])
    if model.method != "segmentation":
        raise ValueError(
            f"{given['model']} is a model of the method {model.method}, which gives no objects: course train-segment "
            f"makes one that does."
        )
    represents, changed = model.settings["segmentation"]["represents"], dict(given["model_thresholds"])
    thresholds = segmentation.thresholds_of(model, changed)
    return Way(
        find=lambda frame: segmentation.segment(model, frame, thresholds=thresholds, device=device, progress=True),
        told=(
            f"method: {given['model']}, {represents}, {model.network.config.dimensions}D",
            f"thresholds: {listed_thresholds(thresholds)}",
            f"device: {devices.describe(device)}",
        ),
        largest_px=min(model.settings["largest_object_px"][-2:]),
    )


def _model(name: str) -> Model:
    """Load a model by the name of its file, or by its own."""
    if Path(name).exists():
        return Model.load(name)
    known = datasets.names("model")
    if name in known:
        return pretrained(name)
    raise ValueError(f"there is no file {name}, and no network of the course of that name: {', '.join(known)}.")


def dropping(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the flags that drop objects, of those that were given."""
    border = ("--without-border",) if given["without_border"] else ()
    return (*(flag(name) for name in LIMITS if given[name] is not None), *border)


def kept(labels: Labels, image: Image, given: Mapping[str, Any]) -> Labels:
    """Drop objects of one frame by size and at the border; the others keep their numbers."""
    what = "volume_um3" if labels.ndim == 3 else "area_um2"
    lowest, highest = given[f"min_{what}"], given[f"max_{what}"]
    if lowest is not None or highest is not None:
        limits = (lowest or 0.0, math.inf if highest is None else highest)
        labels = segmentation.of_size(labels, voxel_size_um=image.known_voxel_size_um, **{what: limits})
    if given["without_border"]:
        labels = segmentation.without_border(labels)
    return labels


def summary(labels: Labels, image: Image) -> tuple[str, ...]:
    """Return in words how many objects there are, how large, and how many the border may have cut."""
    counts = [int(frame.max()) for frame in labels]
    total = sum(counts)
    each = "" if len(counts) == 1 else f" in {len(counts)} frames, {min(counts)} to {max(counts)} in each"
    if total == 0:
        return (f"objects: 0{each}",)
    pixels = float(np.median(np.concatenate([np.bincount(frame.ravel())[1:] for frame in labels])))
    size = f"{pixels:g} {'voxels' if 'Z' in image.axes else 'pixels'}"
    if image.voxel_size_um is not None:
        unit = "µm³" if "Z" in image.axes else "µm²"
        size = f"{pixels * math.prod(image.voxel_size_um):.4g} {unit}, {size}"
    inner = sum(len(np.unique(segmentation.without_border(frame))) - 1 for frame in labels)
    return (
        f"objects: {total}{each}",
        f"median {'volume' if 'Z' in image.axes else 'area'}: {size}",
        f"touching the border: {total - inner}, {(total - inner) / total:.0%}",
    )
