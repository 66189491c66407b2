"""From images to objects: thresholds, watershed, and tools for labels.

Images are tensors or arrays of (y, x) or (z, y, x), sizes are in µm. A mask is bool; labels are int32, 0 for background
and a number above 0 for each object.
"""

from course_lib.segmentation.labels import (
    connected,
    filled,
    merged,
    of_size,
    relabelled,
    touching_pairs,
    without_border,
)
from course_lib.segmentation.threshold import threshold, threshold_level
from course_lib.segmentation.watershed import distance_um, seeded_watershed, seeds, split_touching, watershed

__all__ = [
    "connected",
    "distance_um",
    "filled",
    "merged",
    "of_size",
    "relabelled",
    "seeded_watershed",
    "seeds",
    "split_touching",
    "threshold",
    "threshold_level",
    "touching_pairs",
    "watershed",
    "without_border",
]
