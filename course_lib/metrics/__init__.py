"""How far an estimate is from the truth, which objects were found, whether noise is independent; some need no truth."""

from course_lib.metrics.aggregated_jaccard_index import aggregated_jaccard_index
from course_lib.metrics.autocorrelation import autocorrelation
from course_lib.metrics.boundary_f_score import BoundaryScore, boundary_f_score
from course_lib.metrics.chessboard import chessboard
from course_lib.metrics.fourier_ring_correlation import RingCorrelation, fourier_ring_correlation
from course_lib.metrics.held_out_photons import HeldOutError, held_out_difference, held_out_error
from course_lib.metrics.label_matching import (
    Contingency,
    ManyMatchings,
    Matching,
    MatchScores,
    contingency,
    match_labels,
    match_many,
)
from course_lib.metrics.normalized_squared_error import normalized_squared_error
from course_lib.metrics.nrmse import nrmse
from course_lib.metrics.offset_sensitivity import offset_sensitivity
from course_lib.metrics.planted_light import planted_light
from course_lib.metrics.psnr import psnr
from course_lib.metrics.seg_score import seg_score
from course_lib.metrics.si_psnr import si_psnr
from course_lib.metrics.ssim import ssim
from course_lib.metrics.unbiased_mse import unbiased_mse

__all__ = [
    "BoundaryScore",
    "Contingency",
    "HeldOutError",
    "ManyMatchings",
    "MatchScores",
    "Matching",
    "RingCorrelation",
    "aggregated_jaccard_index",
    "autocorrelation",
    "boundary_f_score",
    "chessboard",
    "contingency",
    "fourier_ring_correlation",
    "held_out_difference",
    "held_out_error",
    "match_labels",
    "match_many",
    "normalized_squared_error",
    "nrmse",
    "offset_sensitivity",
    "planted_light",
    "psnr",
    "seg_score",
    "si_psnr",
    "ssim",
    "unbiased_mse",
]
