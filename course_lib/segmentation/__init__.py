"""From images to objects: thresholds, watershed, trained networks, and tools for labels.

Images are tensors or arrays of (y, x) or (z, y, x), sizes are in µm. A mask is bool; labels are int32, 0 for background
and a number above 0 for each object.
"""

from course_lib.segmentation.bridges import by_cellpose, by_stardist
from course_lib.segmentation.flows import Flows, arrivals, flow, temperature
from course_lib.segmentation.labels import (
    connected,
    filled,
    merged,
    of_size,
    relabelled,
    touching_pairs,
    without_border,
)
from course_lib.segmentation.representation import Representation
from course_lib.segmentation.segment import object_maps, segment, thresholds_of
from course_lib.segmentation.simulated_nuclei import NucleiVariety, simulated_nuclei
from course_lib.segmentation.star_convex import StarConvex, depth_inside, ray_distances, suppressed
from course_lib.segmentation.three_classes import ThreeClasses
from course_lib.segmentation.threshold import threshold, threshold_level
from course_lib.segmentation.training import Config, train
from course_lib.segmentation.watershed import distance_um, seeded_watershed, seeds, split_touching, watershed

__all__ = [
    "Config",
    "Flows",
    "NucleiVariety",
    "Representation",
    "StarConvex",
    "ThreeClasses",
    "arrivals",
    "by_cellpose",
    "by_stardist",
    "connected",
    "depth_inside",
    "distance_um",
    "filled",
    "flow",
    "merged",
    "object_maps",
    "of_size",
    "ray_distances",
    "relabelled",
    "seeded_watershed",
    "seeds",
    "segment",
    "simulated_nuclei",
    "split_touching",
    "suppressed",
    "temperature",
    "threshold",
    "threshold_level",
    "thresholds_of",
    "touching_pairs",
    "train",
    "watershed",
    "without_border",
]
