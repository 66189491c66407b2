"""From labels and raw channels to a table, for ``course measure`` and ``course report``."""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from course_lib import provenance, quantification
from course_lib.axes import to_axes
from course_lib.cli.denoise import CAMERA
from course_lib.images import Image
from course_lib.noise import Camera
from course_lib.quantification._plan import EVERYTHING_BUT_TEXTURE, Feature
from course_lib.quantification._provenance import background_of_frames

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Channels", "add_measuring", "channels_of", "check_table_target", "frames_of_labels", "table_of"]

Array = np.ndarray[Any, Any]
LARGEST_LABEL = np.iinfo(np.int32).max


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Raw channels, each of shape (T, [Z,] Y, X), under their names; of an image without channels the name is empty.

    `unit` is what their values count; `camera` is that whose grey values they are, where it is known.
    """

    values: Mapping[str, Array]
    unit: str = "arbitrary"
    camera: Camera | None = None


def add_measuring(parser: "argparse._ActionsContainer") -> None:
    """Add the flags of names, background and camera."""
    parser.add_argument(
        "--names", type=_names, metavar="A,B", help="names of the channels measured, for the columns (default: 0,1)"
    )
    parser.add_argument(
        "--background",
        type=_background,
        default="auto",
        metavar="auto|none|X[,X]",
        help="what is subtracted from each pixel: auto, the level outside of all objects, of each frame and channel; "
        "none; or a number for all channels or for each, in the unit of the image (default auto)",
    )
    parser.add_argument(
        "--margin-um",
        type=float,
        default=1.0,
        metavar="X",
        help="how far from all objects the background begins, in µm, at least 0 (default 1)",
    )
    parser.add_argument(
        "--features",
        type=_features,
        default=EVERYTHING_BUT_TEXTURE,
        metavar="A,B",
        help=f"groups of columns, of {', '.join(get_args(Feature))} (default: all but texture)",
    )
    parser.add_argument(
        "--neighbour-distance-um",
        type=float,
        default=0.0,
        metavar="X",
        help="how near objects are neighbours, in µm, at least 0 (default 0: they touch)",
    )
    for name, meaning in CAMERA.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="X", help=meaning)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not all(names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"{text!r} must be different names with commas between, as nuclei,actin")
    return names


def _features(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _background(text: str) -> str | tuple[float, ...]:
    if text in ("auto", "none"):
        return text
    try:
        levels = tuple(float(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if not levels or not all(map(math.isfinite, levels)):
        raise argparse.ArgumentTypeError(f"{text!r} must be auto, none, or numbers with commas between, as 3.5,12")
    return levels


def channels_of(image: Image, given: Mapping[str, Any], *, chosen: tuple[int, ...] | None = None) -> Channels:
    """Take the channels of an image that are measured, in photons where gain and offset are given."""
    count = image.data.shape[image.axes.index("C")] if "C" in image.axes else 1
    numbers = tuple(range(count)) if chosen is None else chosen
    for number in numbers:
        if not 0 <= number < count:
            raise ValueError(f"--channel is {number}, but the image has {count}: choose 0 to {count - 1}.")
    names: tuple[str, ...] = given["names"] or (("",) if len(numbers) == 1 else tuple(map(str, numbers)))
    if len(names) != len(numbers):
        raise ValueError(f"--names has {len(names)} names for {len(numbers)} channels: give one for each.")
    frames = to_axes(image.data, axes=image.axes, wanted="TCZYX" if "Z" in image.axes else "TCYX")
    values = {name: frames[:, number] for name, number in zip(names, numbers, strict=True)}
    return Channels(values=values, unit=image.unit, camera=_camera(image, given))


def _camera(image: Image, given: Mapping[str, Any]) -> Camera | None:
    """Return the camera that counts detected photons: nothing is known of those that it missed, or of its heat."""
    if given["gain_e_per_adu"] is None:
        return None
    if image.unit in ("photons", "electrons"):
        raise ValueError(f"the image says that its values are {image.unit}: leave --gain-e-per-adu and --offset-adu.")
    return Camera(
        gain_e_per_adu=given["gain_e_per_adu"],
        offset_adu=given["offset_adu"],
        read_noise_e=given["read_noise_e"] or 0.0,
        quantum_efficiency=1.0,
        dark_current_e_per_s=0.0,
        clock_induced_charge_e=0.0,
    )


def frames_of_labels(labels: Image, *, name: str) -> Array:
    """Return labels (T, [Z,] Y, X); raise unless they are whole numbers without channels."""
    if "C" in labels.axes and labels.data.shape[labels.axes.index("C")] > 1:
        raise ValueError(f"{name} has {labels.axes} with several channels, but labels have none: give a label image.")
    data = labels.data
    if data.dtype.kind == "b":
        raise ValueError(f"{name} is a mask of True and False: number its objects first, with course segment.")
    if data.dtype.kind == "f":
        data = data.astype(np.float64)
        if not bool(((data == np.round(data)) & (np.abs(data) <= LARGEST_LABEL)).all()):
            raise ValueError(f"{name} has values that are no whole numbers, so that it holds no labels: give labels.")
        data = data.astype(np.int32)
    return to_axes(data, axes=labels.axes, wanted="TZYX" if "Z" in labels.axes else "TYX")


def check_table_target(path: Path, *, overwrite: bool) -> None:
    """Raise, before the work, if a table cannot be written: no such folder, another ending, or one that is kept."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}: make it first, or check the spelling.")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise ValueError(f"{path} must end in .csv or .parquet, which say how the table is stored: rename it.")
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists: choose another name, or add --overwrite to replace it.")


def table_of(
    labels: Array,
    channels: Channels,
    *,
    everything: Array,
    voxel_size_um: tuple[float, ...],
    given: Mapping[str, Any],
) -> "pd.DataFrame":
    """Measure labels (T, [Z,] Y, X) in all channels: a row for each object of each frame.

    `everything` has the objects that were dropped as well: they hold light, so that they are no background.
    Frames are numbered in a column `frame` where there are several.
    """
    import pandas as pd

    for name, values in channels.values.items():
        if values.shape != labels.shape:
            raise ValueError(
                f"the labels have shape {labels.shape}, but the intensities{f' {name}' if name else ''} have "
                f"{values.shape} (T, [Z,] Y, X): give the image that was segmented, and name its --axes."
            )
    tables = []
    for number, frame in enumerate(labels):
        here = {name: values[number] for name, values in channels.values.items()}
        table = quantification.measure(
            frame,
            here or None,
            voxel_size_um=voxel_size_um,
            background=_levels(everything[number], here, voxel_size_um, given),
            camera=channels.camera,
            unit="photons" if channels.unit in ("photons", "electrons") else "grey",
            features=given["features"],
            neighbour_distance_um=given["neighbour_distance_um"],
        )
        if len(labels) > 1:
            table.insert(0, "frame", number)
        tables.append(table)
    whole = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    records = [table.attrs["provenance"] for table in tables]
    whole.attrs["provenance"] = records[0] | {"background": background_of_frames(records)} | provenance.record()
    return whole


def _levels(
    labels: Array, channels: Mapping[str, Array], sizes: tuple[float, ...], given: Mapping[str, Any]
) -> dict[str, float | quantification.Background] | None:
    asked, margin_um = given["background"], given["margin_um"]
    if asked == "none" or not channels:
        return None
    if asked == "auto":
        return {
            name: quantification.estimate_background(values, labels, voxel_size_um=sizes, margin_um=margin_um)
            for name, values in channels.items()
        }
    if len(asked) not in (1, len(channels)):
        raise ValueError(f"--background has {len(asked)} numbers for {len(channels)} channels: give one, or one each.")
    levels = [float(level) for level in asked] * (len(channels) if len(asked) == 1 else 1)
    return dict(zip(channels, levels, strict=True))
