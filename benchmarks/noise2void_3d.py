"""Noise2Void in 3D with two channels, as the seminar trained it on its own stacks: how long it takes.

    python -m benchmarks.noise2void_3d [--effort scaled]

The seminar's network saw patches of 8 × 64 × 64 voxels of two channels for 200 epochs, in 1 to 2 hours on a GeForce RTX
3090. Its stack is not to be had, nor is it told how many steps an epoch had; here an epoch shows as many patches as lie
side by side in a stack of 32 × 512 × 512, 16 at a time. "full" is that, for a GPU; "scaled" is the same patches,
batches and network for a few steps, for a processor. The stack is one simulated field of nuclei, repeated side by
side: enough to prove speed, no test of quality.
"""

import argparse
import time

import torch

from benchmarks.machine import write_results
from benchmarks.peers.steps import watch_steps
from course_lib import devices, networks, noise2void, samples

PLANES, FIELD, REPEATS = 32, 128, 4
VOXEL_SIZE_UM = (0.5, 0.2, 0.2)
PEAK_PHOTONS = 20.0
PATCH_PLANES, PATCH_SIDE, BATCH = 8, 64, 16
STEPS_PER_EPOCH = (PLANES // PATCH_PLANES) * (FIELD * REPEATS // PATCH_SIDE) ** 2 // BATCH
EPOCHS = {"full": 200, "scaled": 1}
WARM_UP = 3


def stack() -> torch.Tensor:
    """Return photon counts of nuclei in one channel, and of other nuclei in the other, (C, Z, Y, X)."""
    fields = [
        samples.nuclei(
            (PLANES, FIELD, FIELD), voxel_size_um=VOXEL_SIZE_UM, count=8, diameter_um=8.0, rng=channel
        ).density
        for channel in range(2)
    ]
    mean = torch.stack([PEAK_PHOTONS * field / field.max() + 1 for field in fields])
    return torch.poisson(mean.repeat(1, 1, REPEATS, REPEATS), generator=torch.Generator().manual_seed(0))


def main() -> None:
    """Measure, print and write ``benchmarks/results/noise2void_3d.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--effort", choices=tuple(EPOCHS), default="full" if torch.cuda.is_available() else "scaled")
    effort = parser.parse_args().effort
    device = devices.resolve("auto")
    counts = stack()
    ends: list[float] = []
    watch_steps(lambda: ends.append(time.perf_counter()))
    begun = time.perf_counter()
    model = noise2void.train(
        counts,
        noise2void.Config(dimensions=3, channels=2, patch_planes=PATCH_PLANES, patch_side=PATCH_SIDE),
        networks.TrainingConfig(epochs=EPOCHS[effort], steps_per_epoch=STEPS_PER_EPOCH, batch_size=BATCH),
        rng=0,
        device=device,
    )
    seconds = time.perf_counter() - begun
    crop = counts[..., : FIELD * 2, : FIELD * 2]
    model.predict(crop, device=device)
    begun = time.perf_counter()
    model.predict(crop, device=device)
    predicted_s = time.perf_counter() - begun
    counted = ends[WARM_UP:STEPS_PER_EPOCH]  # of the first epoch, so that validation does not count
    patches_per_s = BATCH * (len(counted) - 1) / (counted[-1] - counted[0])
    write_results(
        "noise2void_3d",
        {
            "what": "Noise2Void in 3D with two channels, at the seminar's size: training and prediction",
            "effort": effort,
            "device": devices.describe(device),
            "precision": str(networks.precision_for(device)).removeprefix("torch."),
            "parameters": sum(weights.numel() for weights in model.network.parameters()),
            "patch": [2, PATCH_PLANES, PATCH_SIDE, PATCH_SIDE],
            "batch": BATCH,
            "epochs": EPOCHS[effort],
            "steps_per_epoch": STEPS_PER_EPOCH,
            "training_s": round(seconds, 1),
            "patches_per_s": float(f"{patches_per_s:.3g}"),
            "hours_for_200_epochs": float(f"{200 * STEPS_PER_EPOCH * BATCH / patches_per_s / 3600:.3g}"),
            "validation_loss": [round(record.validation_loss, 5) for record in model.history],
            "predicted_mvoxel_per_s": float(f"{crop.numel() / 1e6 / predicted_s:.3g}"),
        },
    )


if __name__ == "__main__":
    main()
