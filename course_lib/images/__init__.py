"""Images with named axes, a voxel size and a unit; TIFF in and out; normalization with its inverse.

What does not fit into memory stays on disk: `open_image` reads parts of TIFF and Zarr, and `TiledRun` computes a result
tile by tile into a file of either kind, and goes on where it was interrupted.
"""

from course_lib.images.image import UNITS, Image, Unit
from course_lib.images.normalization import (
    MeanStandardDeviationNormalization,
    Normalization,
    PercentileNormalization,
)
from course_lib.images.on_disk import ImageOnDisk, open_image
from course_lib.images.reading import can_be_mapped, read, read_provenance
from course_lib.images.target import blank
from course_lib.images.tiled_run import TiledRun
from course_lib.images.tiles import Tile, largest_tile
from course_lib.images.writing import write

__all__ = [
    "UNITS",
    "Image",
    "ImageOnDisk",
    "MeanStandardDeviationNormalization",
    "Normalization",
    "PercentileNormalization",
    "Tile",
    "TiledRun",
    "Unit",
    "blank",
    "can_be_mapped",
    "largest_tile",
    "open_image",
    "read",
    "read_provenance",
    "write",
]
