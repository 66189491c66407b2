"""CARE of course_lib."""

from collections.abc import Callable

import numpy as np
import torch
from networks_measuring import main
from steps import watch_steps

from course_lib import care, networks


def train(
    image: np.ndarray, target: np.ndarray, case: dict
) -> tuple[Callable[[np.ndarray], np.ndarray], torch.nn.Module, str]:
    precision = "auto" if case["setting"] == "as it comes" else case["setting"]
    pairs = [
        care.Pair(image=torch.from_numpy(one)[None], target=torch.from_numpy(two)[None], dose_ratio=1.0)
        for one, two in zip(image, target, strict=True)
    ]
    model = care.train(
        pairs,
        care.Config(patch_side=case["patch"], base_channels=case["base_channels"], depth=case["depth"]),
        networks.TrainingConfig(epochs=1, steps_per_epoch=case["steps"], batch_size=case["batch"], precision=precision),
        rng=0,
        device="cpu",
        progress=False,
    )
    used = networks.precision_for(torch.device("cpu"), precision)

    def predict(large: np.ndarray) -> np.ndarray:
        return model.predict(torch.from_numpy(large), device="cpu", precision=precision).numpy()

    return predict, model.network, str(used).removeprefix("torch.")


if __name__ == "__main__":
    main(train, watch_steps=watch_steps)
