"""What can be done with this image? Look at a raw image before anything is done to it, and say what follows.

`inspect` gives an `Inspection`: what the file says, what its noise is like, what is wrong with it (its flags), and for
each channel the method to begin with. The notebook, ``course inspect`` and the report share it.
"""

from course_lib.inspection.channel import COUNTS_GAIN, COUNTS_OFFSET, LARGEST_GAIN_ERROR, ChannelInspection
from course_lib.inspection.flag import Flag
from course_lib.inspection.image import Inspection, inspect
from course_lib.inspection.offset import doubt_of_offset
from course_lib.inspection.recommendation import Recommendation
from course_lib.inspection.sampling import Sampling, check_sampling
from course_lib.inspection.values import Values, look_at_values, pile_share

__all__ = [
    "COUNTS_GAIN",
    "COUNTS_OFFSET",
    "LARGEST_GAIN_ERROR",
    "ChannelInspection",
    "Flag",
    "Inspection",
    "Recommendation",
    "Sampling",
    "Values",
    "check_sampling",
    "doubt_of_offset",
    "inspect",
    "look_at_values",
    "pile_share",
]
