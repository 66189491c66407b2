"""The table of features of a time series: each frame measured for itself, the frame in a column."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from course_lib.images.image import as_array
from course_lib.noise import Camera
from course_lib.quantification._light import BackgroundLevel
from course_lib.quantification._objects import Array
from course_lib.quantification._plan import EVERYTHING_BUT_TEXTURE, Feature, Unit
from course_lib.quantification._provenance import background_of_frames
from course_lib.quantification.measure import measure

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["measure_frames"]

Background = BackgroundLevel | Sequence[BackgroundLevel]


def measure_frames(
    labels: Any,
    intensity: Any = None,
    *,
    voxel_size_um: Sequence[float],
    background: Background | Mapping[str, Background] = None,
    camera: Camera | None = None,
    exposure_ms: float = 100.0,
    unit: Unit = "grey",
    features: Sequence[Feature] = EVERYTHING_BUT_TEXTURE,
    neighbour_distance_um: float = 0.0,
    object_type: str = "",
) -> "pd.DataFrame":
    """Measure every object of each frame. An ID means something within its frame only, until `link` has made tracks.

    One frame at a time is read, so that the series may lie on disk.

    Parameters
    ----------
    labels : array or tensor of int, in memory or on disk, shape (t, y, x) or (t, z, y, x)
        0 background, objects above.
    intensity : array or tensor, or mapping of channel names to them, same shape
        The raw images. Without them, shapes alone are measured.
    background : as in `measure`, or a list of such
        A list has one for each frame, as bleaching makes each frame its own. An image has the shape of the series.
    voxel_size_um, camera, exposure_ms, unit, features, neighbour_distance_um, object_type
        As in `measure`.

    Returns
    -------
    pandas.DataFrame
        Sorted by ``frame``, which counts from 0 and is the first column, then by ID. ``attrs["provenance"]`` has the
        background of each frame, where they differ.

    Raises
    ------
    ValueError, TypeError
        As `measure`, and if the number of frames is not the same.

    Examples
    --------
    >>> labels = np.array([[[1, 0, 0]], [[0, 1, 0]], [[0, 0, 1]]])
    >>> measure_frames(labels, voxel_size_um=(0.5, 0.5))[["frame", "ID", "x_um"]].to_dict("list")
    {'frame': [0, 1, 2], 'ID': [1, 1, 1], 'x_um': [0.0, 0.5, 1.0]}
    """
    import pandas as pd

    count = _frames(labels, "labels")
    channels = intensity if intensity is None or isinstance(intensity, Mapping) else {"": intensity}
    for name, image in (channels or {}).items():
        if _frames(image, "intensity") != count:
            raise ValueError(
                f"intensity{f'[{name!r}]' if name else ''} has {_frames(image, 'intensity')} frames, but the labels "
                f"{count}: take both from the same series."
            )
    tables = []
    for frame in range(count):
        here = None if channels is None else {name: _frame(image, frame) for name, image in channels.items()}
        table = measure(
            _frame(labels, frame),
            here,
            voxel_size_um=voxel_size_um,
            background=_background(background, frame, count),
            camera=camera,
            exposure_ms=exposure_ms,
            unit=unit,
            features=features,
            neighbour_distance_um=neighbour_distance_um,
            object_type=object_type,
        )
        table.insert(0, "frame", np.full(len(table), frame))
        tables.append(table)
    whole = pd.concat(tables, ignore_index=True)
    whole.attrs["provenance"] = tables[0].attrs["provenance"] | {
        "command": "measure_frames",
        "background": background_of_frames([table.attrs["provenance"] for table in tables]),
        "shape": [count, *tables[0].attrs["provenance"]["shape"]],
    }
    return whole


def _frames(series: Any, name: str) -> int:
    if not hasattr(series, "shape") or len(series.shape) not in (3, 4):
        shape = tuple(series.shape) if hasattr(series, "shape") else None
        raise ValueError(
            f"{name} is of type {type(series).__name__} with shape {shape}, but must be an array (t, y, x) or "
            f"(t, z, y, x): a single frame is measured by measure."
        )
    if series.shape[0] == 0:
        raise ValueError(f"{name} has shape {tuple(series.shape)}, without any frame: check how it was cropped.")
    return int(series.shape[0])


def _frame(series: Any, frame: int) -> Array:
    part = series[frame]
    return as_array(part) if isinstance(part, torch.Tensor) else np.asarray(part)


def _background(background: Any, frame: int, count: int) -> Any:
    """Return the background of one frame, of all channels where there are several."""
    if isinstance(background, Mapping):
        return {name: _background(level, frame, count) for name, level in background.items()}
    if isinstance(background, list | tuple):
        if len(background) != count:
            raise ValueError(
                f"background is a list of {len(background)} values, but there are {count} frames: give one for each."
            )
        return background[frame]
    if hasattr(background, "shape") and len(background.shape) > 0:
        return _frame(background, frame) if len(background) == count else background
    return background
