"""Images with named axes, a voxel size and a unit; TIFF in and out; normalization with its inverse."""

from course_lib.images.image import UNITS, Image, Unit
from course_lib.images.normalization import (
    MeanStandardDeviationNormalization,
    Normalization,
    PercentileNormalization,
)
from course_lib.images.reading import read
from course_lib.images.writing import write

__all__ = [
    "UNITS",
    "Image",
    "MeanStandardDeviationNormalization",
    "Normalization",
    "PercentileNormalization",
    "Unit",
    "read",
    "write",
]
