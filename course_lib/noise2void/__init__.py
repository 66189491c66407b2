"""Denoising from noisy images alone: hide pixels and guess them, or split their photons."""

from course_lib.noise2void.masking import Mask, draw_mask
from course_lib.noise2void.training import Config, train

__all__ = ["Config", "Mask", "draw_mask", "train"]
