"""CARE of course_lib as it comes: a training of its own for each number of steps, since its schedule ends with them."""

import numpy as np
import torch
from networks_quality_measuring import Arrays, main

from course_lib import care, networks


def restored(arrays: Arrays, case: dict) -> list[np.ndarray]:
    pairs = [
        care.Pair(
            image=torch.from_numpy(one)[None], target=torch.from_numpy(two)[None], dose_ratio=1.0, sample=str(name)
        )
        for one, two, name in zip(arrays["image"], arrays["target"], arrays["sample"], strict=True)
    ]
    answers = []
    for steps in case["marks"]:
        model = care.train(
            pairs,
            care.Config(patch_side=case["patch"], base_channels=case["base_channels"], depth=case["depth"]),
            networks.TrainingConfig(
                epochs=steps // case["steps_per_epoch"],
                steps_per_epoch=case["steps_per_epoch"],
                batch_size=case["batch"],
            ),
            rng=case["seed"],
            device="cpu",
            progress=False,
        )
        answers.append(model.predict(torch.from_numpy(arrays["test"]), device="cpu").numpy())
    return answers


if __name__ == "__main__":
    main(restored)
