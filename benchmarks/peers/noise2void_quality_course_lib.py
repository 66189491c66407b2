"""Noise2Void of course_lib as it comes; how far noise is shared is read off the images."""

import numpy as np
import torch
from noise2void_quality_measuring import main

from course_lib import networks, noise, noise2void

LOOKS = 10


def restored(images: np.ndarray, case: dict) -> np.ndarray:
    noisy = torch.from_numpy(images)
    down = right = 0
    if case["variant"] == "structn2v":
        reach = [noise2void.proposed_extent(noise.detect_structure(image)) for image in noisy]
        down, right = (max(extents) for extents in zip(*reach, strict=True))
    config = noise2void.Config(
        variant="noise2void2" if case["variant"] == "noise2void2" else "noise2void",
        mask_extent_y=down,
        mask_extent_x=right,
        patch_side=case["patch"],
        base_channels=case["base_channels"],
        depth=case["depth"],
    )
    length = networks.TrainingConfig(epochs=LOOKS, steps_per_epoch=case["steps"] // LOOKS, batch_size=case["batch"])
    model = noise2void.train(list(noisy), config, length, rng=case["seed"], device="cpu", progress=False)
    return model.predict(noisy, device="cpu").numpy()


if __name__ == "__main__":
    main(restored)
