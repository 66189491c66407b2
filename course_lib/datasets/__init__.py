"""The course's real images: each with its origin, licence, citation and checksum; offline first."""

from course_lib.datasets.loading import load, path
from course_lib.datasets.registry import Dataset, Origin, describe, names

__all__ = ["Dataset", "Origin", "describe", "load", "names", "path"]
