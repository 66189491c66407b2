"""The engine that learned methods share: U-Net, patches, training, tiles, and models on disk, also as ONNX."""

from course_lib.networks.augmentation import random_views
from course_lib.networks.model import Model
from course_lib.networks.onnx_export import export_onnx
from course_lib.networks.patches import Patches
from course_lib.networks.pretrained import pretrained
from course_lib.networks.processes import join, shared_generator
from course_lib.networks.regions import Region, Sliceable, split_regions
from course_lib.networks.streaming import StreamedPrediction, predict_on_disk
from course_lib.networks.tiling import default_tile, predict_tiles
from course_lib.networks.training import EpochRecord, Task, TrainingConfig, TrainingError, fit, precision_for
from course_lib.networks.unet import UNet, UNetConfig

__all__ = [
    "EpochRecord",
    "Model",
    "Patches",
    "Region",
    "Sliceable",
    "StreamedPrediction",
    "Task",
    "TrainingConfig",
    "TrainingError",
    "UNet",
    "UNetConfig",
    "default_tile",
    "export_onnx",
    "fit",
    "join",
    "precision_for",
    "predict_on_disk",
    "predict_tiles",
    "pretrained",
    "random_views",
    "shared_generator",
    "split_regions",
]
