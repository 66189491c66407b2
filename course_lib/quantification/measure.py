"""The table of features: one row an object, one column a feature with its unit in its name."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from course_lib.images.image import as_array
from course_lib.quantification._geometry import geometry, size_and_centre
from course_lib.quantification._intensities import percentiles, values_of
from course_lib.quantification._objects import Array, Objects, check_labels, objects_of
from course_lib.segmentation._check import check_voxel_size

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Feature", "measure"]

Feature = Literal["geometry", "intensity", "percentiles"]
Image = torch.Tensor | Array


def measure(
    labels: Image,
    intensity: Image | Mapping[str, Image] | None = None,
    *,
    voxel_size_um: Sequence[float],
    background: float | Mapping[str, float] | None = None,
    features: Sequence[Feature] = get_args(Feature),
    object_type: str = "",
) -> "pd.DataFrame":
    """Measure every object of a label image: where it is, how large, of which shape, how bright.

    Examples
    --------
    >>> labels = np.array([[0, 3, 3], [0, 3, 3], [8, 0, 0]])
    >>> table = measure(labels, labels * 10.0, voxel_size_um=(0.5, 0.5))
    >>> table[["ID", "area_um2", "x_um", "intensity_mean"]].round(2).to_dict("list")
    {'ID': [3, 8], 'area_um2': [1.0, 0.25], 'x_um': [0.75, 0.0], 'intensity_mean': [30.0, 80.0]}
    """
    import pandas as pd

    image = check_labels(labels)
    sizes_um = check_voxel_size(voxel_size_um, image.ndim)
    objects = objects_of(image)
    columns: dict[str, Any] = {"ID": objects.numbers, "Type": pd.array([object_type] * objects.count, dtype="str")}
    columns |= size_and_centre(objects, sizes_um)
    if "geometry" in features:
        columns |= geometry(objects, sizes_um)
    channels = intensity if isinstance(intensity, Mapping) else {} if intensity is None else {"": intensity}
    for name, channel in channels.items():
        level = background[name] if isinstance(background, Mapping) else background or 0.0
        columns |= _intensities(objects, _array(channel), level, suffix=f"_{name}" if name else "")
    return pd.DataFrame(columns)


def _intensities(objects: Objects, image: Array, level: float, *, suffix: str) -> dict[str, Array]:
    values = values_of(objects, image) - level
    first = objects.first_pixel
    total = np.add.reduceat(values, first) if objects.count else values[:0]
    mean = total / objects.pixels
    deviation = values - np.repeat(mean, objects.pixels)
    p05, median, p95 = percentiles(objects, values, shares=(0.05, 0.5, 0.95))
    columns = {
        "sum": total,
        "mean": mean,
        "std": np.sqrt(np.add.reduceat(deviation**2, first) / objects.pixels) if objects.count else total,
        "min": np.minimum.reduceat(values, first) if objects.count else total,
        "p05": p05,
        "median": median,
        "p95": p95,
        "max": np.maximum.reduceat(values, first) if objects.count else total,
    }
    return {f"intensity_{name}{suffix}": column for name, column in columns.items()}


def _array(image: Image) -> Array:
    return as_array(image) if isinstance(image, torch.Tensor) else image
