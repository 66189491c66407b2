"""``course``: the chain of the course for images of your own, from a terminal."""

from course_lib.cli.main import main

__all__ = ["main"]
