"""Figures: images with scale bars, outlines of labels, curves, histograms, spectra, budgets, ratios, superplots.

Every function takes tensors or arrays and returns the figure, which Jupyter shows where it is the value of the
last line of a cell; ``figure.savefig("name.png")`` writes it to a file.
"""

from course_lib.plotting.autocorrelation import autocorrelation, autocorrelations
from course_lib.plotting.convergence import convergence
from course_lib.plotting.curve_panels import curve_panels
from course_lib.plotting.curves import curves
from course_lib.plotting.histograms import histograms
from course_lib.plotting.images import show_images
from course_lib.plotting.label_overlay import label_overlay, number_objects
from course_lib.plotting.photon_budget import photon_budget
from course_lib.plotting.photon_transfer import photon_transfer
from course_lib.plotting.psf_and_otf import psf_and_otf
from course_lib.plotting.ratios import ratios
from course_lib.plotting.scale_bar import scale_bar
from course_lib.plotting.spectra import spectra
from course_lib.plotting.style import COLORS, use_style
from course_lib.plotting.superplot import superplot
from course_lib.plotting.superplots import superplots

__all__ = [
    "COLORS",
    "autocorrelation",
    "autocorrelations",
    "convergence",
    "curve_panels",
    "curves",
    "histograms",
    "label_overlay",
    "number_objects",
    "photon_budget",
    "photon_transfer",
    "psf_and_otf",
    "ratios",
    "scale_bar",
    "show_images",
    "spectra",
    "superplot",
    "superplots",
    "use_style",
]
