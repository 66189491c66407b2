"""Exercises that check themselves: one module of checks a chapter.

Examples
--------
>>> from course_lib.exercises import start
>>> start.brightest_pixel.check(lambda image: ...)
✎ Nothing here yet: replace the dots by your own lines.
"""

from course_lib.exercises.exercise import Case, Exercise, Feedback, Mistake

__all__ = ["Case", "Exercise", "Feedback", "Mistake"]
