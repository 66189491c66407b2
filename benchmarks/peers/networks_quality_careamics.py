"""CARE of CAREamics as it comes: one training, and at each mark the checkpoint that it holds for the best until then.

Only stopping early is put off, so that it sees as many patches as the other library, and all checkpoints are kept.
"""

import logging
import tempfile
import warnings

import numpy as np
import torch
from careamics import CAREamist
from careamics.config.factories import create_advanced_care_config
from networks_quality_measuring import Arrays, main


def restored(arrays: Arrays, case: dict) -> list[np.ndarray]:
    epochs = max(case["marks"]) // case["steps_per_epoch"]
    config = create_advanced_care_config(
        experiment_name="benchmark",
        data_type="array",
        axes="SYX",
        patch_size=[case["patch"]] * 2,
        batch_size=case["batch"],
        num_epochs=epochs,
        num_steps=case["steps_per_epoch"],
        model_params={"depth": case["depth"], "num_channels_init": case["base_channels"]},
        checkpoint_params={"monitor": "val_loss", "mode": "min", "save_top_k": -1, "auto_insert_metric_name": False},
        early_stopping_params={"monitor": "val_loss", "mode": "min", "patience": epochs},
        seed=case["seed"],
    )
    with tempfile.TemporaryDirectory() as folder:
        restorer = CAREamist(config, work_dir=folder, enable_progress_bar=False)
        restorer.train(train_data=arrays["image"], train_data_target=arrays["target"])
        kept = [(torch.load(path, weights_only=False), path) for path in restorer.get_checkpoints()]
        assert restorer.trainer.global_step == max(case["marks"]), restorer.trainer.global_step
        answers = []
        for steps in case["marks"]:
            best = min((_loss(state), path) for state, path in kept if state["global_step"] <= steps)[1]
            found, _ = restorer.predict(arrays["test"], batch_size=1, checkpoint=best)
            answers.append(np.concatenate(found).reshape(arrays["test"].shape))
    return answers


def _loss(state: dict) -> float:
    """Return the validation loss with which a checkpoint was kept."""
    (record,) = (one for name, one in state["callbacks"].items() if name.startswith("ModelCheckpoint"))
    return float(record["current_score"])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    main(restored)
