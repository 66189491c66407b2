"""The camera: where noise comes from, how much there is, and how to measure it in images of your own."""

from course_lib.noise.calibration import Calibration, calibrate_image, calibrate_stack
from course_lib.noise.camera import Camera, digitize
from course_lib.noise.equivalent_counts import EquivalentCounts, equivalent_counts
from course_lib.noise.fixed_pattern import SensorMaps, pixel_response_map, scmos_maps
from course_lib.noise.photon_transfer import PhotonTransfer, photon_transfer
from course_lib.noise.poisson import poisson_from_uniform
from course_lib.noise.snr import snr
from course_lib.noise.splitting import split_photons
from course_lib.noise.structure import NoiseStructure, detect_structure

__all__ = [
    "Calibration",
    "Camera",
    "EquivalentCounts",
    "NoiseStructure",
    "PhotonTransfer",
    "SensorMaps",
    "calibrate_image",
    "calibrate_stack",
    "detect_structure",
    "digitize",
    "equivalent_counts",
    "photon_transfer",
    "pixel_response_map",
    "poisson_from_uniform",
    "scmos_maps",
    "snr",
    "split_photons",
]
