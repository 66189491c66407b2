"""Simulated objects whose truth is known."""

from course_lib.samples.filaments import filaments
from course_lib.samples.wedge import wedge

__all__ = ["filaments", "wedge"]
