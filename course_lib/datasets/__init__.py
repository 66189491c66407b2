"""Real images with licence, citation, axes, voxel size and unit; verified, and shipped wherever they may be."""

from course_lib.datasets.loading import load, path
from course_lib.datasets.registry import Dataset, Origin, data_folder, describe, names, pixels_sha256

__all__ = ["Dataset", "Origin", "data_folder", "describe", "load", "names", "path", "pixels_sha256"]
