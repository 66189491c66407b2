"""Denoising from noisy images alone: hide pixels and guess them, split their photons, or compare repeated frames."""

from course_lib.noise2void.choice import METHODS, Choice, Judged, choose, proposed_extent
from course_lib.noise2void.masking import Mask, draw_mask
from course_lib.noise2void.photon_splitting import SplittingConfig, train_photon_splitting
from course_lib.noise2void.posterior import sample_posterior
from course_lib.noise2void.repeated_frames import Noise2NoiseConfig, train_noise2noise
from course_lib.noise2void.training import Config, train
from course_lib.noise2void.zero_shot import zero_shot

__all__ = [
    "METHODS",
    "Choice",
    "Config",
    "Judged",
    "Mask",
    "Noise2NoiseConfig",
    "SplittingConfig",
    "choose",
    "draw_mask",
    "proposed_extent",
    "sample_posterior",
    "train",
    "train_noise2noise",
    "train_photon_splitting",
    "zero_shot",
]
