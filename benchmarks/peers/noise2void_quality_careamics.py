"""Noise2Void of CAREamics as it comes, restored by the weights of the last step, as its `predict` does."""

import logging
import tempfile
import warnings

import numpy as np
from careamics import CAREamist
from careamics.config.factories import create_advanced_n2v_config
from noise2void_quality_measuring import main

KEPT_APART = 8
"""Patches, by its default."""


def restored(images: np.ndarray, case: dict) -> np.ndarray:
    shared = case["variant"] == "structn2v"
    config = create_advanced_n2v_config(
        experiment_name="benchmark",
        data_type="array",
        axes="SYX",
        patch_size=[case["patch"]] * 2,
        batch_size=case["batch"],
        num_epochs=case["steps"] // case["steps_per_epoch"],
        num_steps=case["steps_per_epoch"],
        augmentations=[] if shared else None,  # as its create_structn2v_config has it
        use_n2v2=case["variant"] == "noise2void2",
        struct_n2v_axes="vertical" if shared else "none",
        struct_n2v_span=2 * case["reach"] + 1 if shared else 5,
        model_params={"depth": case["depth"], "num_channels_init": case["base_channels"]},
        seed=case["seed"],
    )
    with tempfile.TemporaryDirectory() as folder:
        restorer = CAREamist(config, work_dir=folder, enable_progress_bar=False)
        restorer.train(train_data=np.tile(images, (_repeats(images, case), 1, 1)))
        assert restorer.trainer.global_step == case["steps"], restorer.trainer.global_step
        found, _ = restorer.predict(images, batch_size=1)
    return np.concatenate(found).reshape(images.shape)


def _repeats(images: np.ndarray, case: dict) -> int:
    """Return how often the images are given, so that an epoch has all its steps, besides what is kept apart."""
    patches = len(images) * (images.shape[1] // case["patch"]) * (images.shape[2] // case["patch"])
    return -(-(case["steps_per_epoch"] * case["batch"] + KEPT_APART) // patches)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    main(restored)
