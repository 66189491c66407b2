"""Deep learning for microscopy image analysis: light → optics → camera → restoration → objects → numbers.

Importing this package loads nothing heavy; import the link of the chain that you need, for example
``from course_lib import noise``.
"""

from importlib.metadata import version

__version__ = version("deep-learning-microscopy-course")
