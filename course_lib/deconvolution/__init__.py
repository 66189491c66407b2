"""Deconvolution: undo the blur of the microscope, as far as the noise allows."""

from course_lib.deconvolution._tile_plan import TilePlan, plan_tiles
from course_lib.deconvolution.accelerated_richardson_lucy import accelerated_richardson_lucy
from course_lib.deconvolution.automatic_stop import AutomaticStop, automatic_stop
from course_lib.deconvolution.blur import Blur
from course_lib.deconvolution.depth_varying import depth_varying
from course_lib.deconvolution.discrepancy import Discrepancy
from course_lib.deconvolution.held_out_photons import HeldOutPhotons
from course_lib.deconvolution.jansson_van_cittert import jansson_van_cittert
from course_lib.deconvolution.landweber import landweber, landweber_after, landweber_gain
from course_lib.deconvolution.least_squares import least_squares
from course_lib.deconvolution.naive_inverse import naive_inverse
from course_lib.deconvolution.noise_to_signal import estimate_noise_to_signal
from course_lib.deconvolution.relative_change import RelativeChange
from course_lib.deconvolution.richardson_lucy import richardson_lucy
from course_lib.deconvolution.tikhonov import tikhonov
from course_lib.deconvolution.tikhonov_miller import tikhonov_miller
from course_lib.deconvolution.tiles import TiledRestoration, deconvolve_tiled
from course_lib.deconvolution.total_variation_richardson_lucy import total_variation_richardson_lucy
from course_lib.deconvolution.unmatched_richardson_lucy import unmatched_richardson_lucy, wiener_butterworth
from course_lib.deconvolution.volume import Survey, Volume, open_volume
from course_lib.deconvolution.wiener import wiener

__all__ = [
    "AutomaticStop",
    "Blur",
    "Discrepancy",
    "HeldOutPhotons",
    "RelativeChange",
    "Survey",
    "TilePlan",
    "TiledRestoration",
    "Volume",
    "accelerated_richardson_lucy",
    "automatic_stop",
    "deconvolve_tiled",
    "depth_varying",
    "estimate_noise_to_signal",
    "jansson_van_cittert",
    "landweber",
    "landweber_after",
    "landweber_gain",
    "least_squares",
    "naive_inverse",
    "open_volume",
    "plan_tiles",
    "richardson_lucy",
    "tikhonov",
    "tikhonov_miller",
    "total_variation_richardson_lucy",
    "unmatched_richardson_lucy",
    "wiener",
    "wiener_butterworth",
]
