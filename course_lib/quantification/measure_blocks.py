"""The table of features of an image that is larger than the memory.

The labels are read twice, a block of planes (of rows, in the plane) at a time. The first reading notes in which planes
each object begins and ends. The second takes each block, with as many planes more as the objects that begin in it need
to be seen whole, and measures those as `measure` does. So every feature, percentiles, hulls and textures among them, is
the same as from the whole image. The price is that an object as tall as the image is held whole.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from course_lib.noise import Camera
from course_lib.quantification._inputs import channels_of
from course_lib.quantification._light import BackgroundLevel
from course_lib.quantification._objects import Integers, check_labels, objects_of
from course_lib.quantification._plan import EVERYTHING_BUT_TEXTURE, Feature, Plan, Unit
from course_lib.quantification._provenance import provenance
from course_lib.segmentation._check import check_voxel_size

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["measure_blocks"]


def measure_blocks(
    labels: Any,
    intensity: Any = None,
    *,
    voxel_size_um: Sequence[float],
    background: BackgroundLevel | Mapping[str, BackgroundLevel] = None,
    camera: Camera | None = None,
    exposure_ms: float = 100.0,
    unit: Unit = "grey",
    features: Sequence[Feature] = EVERYTHING_BUT_TEXTURE,
    neighbour_distance_um: float = 0.0,
    object_type: str = "",
    block_voxels: int = 2**24,
) -> "pd.DataFrame":
    """Measure every object of a label image on disk, a part of it at a time; the table is that of `measure`.

    Parameters
    ----------
    labels : array on disk, shape (y, x) or (z, y, x)
        Whatever has a shape and gives an array for ``labels[10:20]``: `numpy.memmap`, an array of Zarr or HDF5.
    intensity : array on disk, or mapping of channel names to them, same shape
        Likewise, as the `background` where that is an image.
    voxel_size_um, background, camera, exposure_ms, unit, features, neighbour_distance_um, object_type
        As in `measure`.
    block_voxels : int
        Voxels of a block; at least one plane is read, or in the plane one row. Beside the images, each needs some 10
        bytes of memory, 50 with a camera or a distance of neighbours, 120 with texture.

    Returns
    -------
    pandas.DataFrame
        Sorted by ID, with the same ``attrs["provenance"]`` but for the command.

    Raises
    ------
    ValueError, TypeError
        As `measure`.

    Examples
    --------
    >>> labels = np.zeros((6, 4), np.uint16)
    >>> labels[1:4, 1:3] = 5
    >>> measure_blocks(labels, voxel_size_um=(0.5, 0.5), block_voxels=8)["area_um2"].tolist()
    [1.5]
    """
    import pandas as pd

    shape = _shape(labels)
    plan = Plan(
        voxel_size_um=check_voxel_size(voxel_size_um, len(shape)),
        camera=camera,
        exposure_ms=exposure_ms,
        unit=unit,
        features=features,
        neighbour_distance_um=neighbour_distance_um,
        object_type=object_type,
    )
    if block_voxels < 1:
        raise ValueError(f"block_voxels is {block_voxels}, but must be at least 1: 2**24 is 17 million.")
    channels = channels_of(intensity, background, shape)
    planes = max(1, block_voxels // int(np.prod(shape[1:])))
    margin = 1 + int(np.ceil(plan.neighbour_distance_um / plan.voxel_size_um[0]))
    tables = []
    for numbers, begin, end in _parts(labels, shape[0], planes, margin):
        part = slice(begin, end)
        here = objects_of(check_labels(np.asarray(labels[part])), first_plane=begin, planes=shape[0])
        table = _for_part(plan, part).table(here, *channels.at(part))
        tables.append(table[table["ID"].isin(numbers)])
    whole = pd.concat(tables, ignore_index=True).sort_values("ID", ignore_index=True)
    whole.attrs["provenance"] = provenance(
        plan, command="measure_blocks", shape=shape, backgrounds=channels.backgrounds, columns=whole.columns
    )
    return whole


def _shape(labels: Any) -> tuple[int, ...]:
    if not hasattr(labels, "shape") or not hasattr(labels, "__getitem__"):
        raise TypeError(
            f"labels are a {type(labels).__name__}, but must have a shape and give parts: numpy.load(..., "
            f"mmap_mode='r') and zarr.open do."
        )
    shape = tuple(int(length) for length in labels.shape)
    check_labels(np.broadcast_to(np.zeros((), np.asarray(labels[:0]).dtype), shape))
    return shape


def _parts(labels: Any, length: int, planes: int, margin: int) -> Iterator[tuple[Integers, int, int]]:
    """Yield the objects that begin in each block, and the planes in which they and their neighbours are seen whole.

    The first block is always yielded, so that an image without objects has a table, too. Parts begin at even planes,
    for a checker pattern of the camera.
    """
    numbers, first, last = _extents(labels, length, planes)
    for begin in range(0, length, planes):
        mine = (first >= begin) & (first < begin + planes)
        if mine.any() or begin == 0:
            low = max(0, int(first[mine].min(initial=begin)) - margin)
            high = min(length, int(last[mine].max(initial=begin)) + 1 + margin)
            yield numbers[mine], low - low % 2, high


def _extents(labels: Any, length: int, planes: int) -> tuple[Integers, Integers, Integers]:
    """Return the objects, and the first and last plane of each."""
    found: list[tuple[Integers, Integers, Integers]] = []
    for begin in range(0, length, planes):
        here = objects_of(check_labels(np.asarray(labels[begin : begin + planes])), first_plane=begin, planes=length)
        found.append((here.numbers, here.lowest[0], here.highest[0]))
    all_numbers, lowest, highest = (np.concatenate(parts) for parts in zip(*found, strict=True))
    numbers, place = np.unique(all_numbers, return_inverse=True)
    first, last = np.full(len(numbers), length), np.zeros(len(numbers), np.int64)
    np.minimum.at(first, place, lowest)
    np.maximum.at(last, place, highest)
    return numbers, first, last


def _for_part(plan: Plan, rows: slice) -> Plan:
    """Return the plan with the camera's maps cut to some rows of an image in the plane; stacks have whole planes."""
    if plan.camera is None or len(plan.voxel_size_um) == 3:
        return plan
    values = {declared.name: getattr(plan.camera, declared.name) for declared in plan.camera.declared()}
    maps: dict[str, Any] = {
        name: value[rows] for name, value in values.items() if isinstance(value, torch.Tensor) and value.ndim
    }
    return dataclasses.replace(plan, camera=dataclasses.replace(plan.camera, **maps))
