"""Figures: images with scale bars, curves, histograms, photon transfer, noise autocorrelation.

Every function takes tensors or arrays and returns the figure, which Jupyter shows where it is the value of the
last line of a cell; ``figure.savefig("name.png")`` writes it to a file.
"""

from course_lib.plotting.autocorrelation import autocorrelation, autocorrelations
from course_lib.plotting.curves import curves
from course_lib.plotting.histograms import histograms
from course_lib.plotting.images import show_images
from course_lib.plotting.photon_transfer import photon_transfer
from course_lib.plotting.scale_bar import scale_bar
from course_lib.plotting.style import COLORS, use_style

__all__ = [
    "COLORS",
    "autocorrelation",
    "autocorrelations",
    "curves",
    "histograms",
    "photon_transfer",
    "scale_bar",
    "show_images",
    "use_style",
]
