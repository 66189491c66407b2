"""CARE of CAREamics: as it comes, in bfloat16, and with the memory layout that convolutions like."""

import logging
import tempfile
import warnings
from collections.abc import Callable

import numpy as np
import torch
from careamics import CAREamist
from careamics.config.factories import create_advanced_care_config
from networks_measuring import main
from torch.optim.optimizer import register_optimizer_step_post_hook


def train(
    image: np.ndarray, target: np.ndarray, case: dict
) -> tuple[Callable[[np.ndarray], np.ndarray], torch.nn.Module, str]:
    half = case["setting"].startswith("bf16")
    config = create_advanced_care_config(
        experiment_name="benchmark",
        data_type="array",
        axes="SYX",
        patch_size=[case["patch"]] * 2,
        batch_size=case["batch"],
        num_epochs=1,
        num_steps=case["steps"],
        trainer_params={"precision": "bf16-mixed"} if half else None,
        model_params={"depth": case["depth"], "num_channels_init": case["base_channels"]},
        seed=1,
    )
    restorer = CAREamist(config, work_dir=tempfile.mkdtemp(), enable_progress_bar=False)
    if case["setting"].endswith("channels_last"):
        restorer.model = restorer.model.to(memory_format=torch.channels_last)
    restorer.train(train_data=image, train_data_target=target)

    def predict(large: np.ndarray) -> np.ndarray:
        found, _ = restorer.predict(large[None], tile_size=(256, 256), tile_overlap=(48, 48), batch_size=1)
        return found[0]

    return predict, restorer.model, "bfloat16" if half else "float32"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    main(train, watch_steps=register_optimizer_step_post_hook)
