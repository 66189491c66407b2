"""CARE in 3D as the seminar trained it, from stacks that stay on disk: whether it fits, and how long it takes.

    python -m benchmarks.care_3d [--effort scaled]

The seminar's network saw 17,000 patches of 16 × 64 × 64 voxels, 16 at a time, for 4 to 5 hours on a GeForce GTX 1080.
CSBDeep's schedule is 100 epochs of 400 steps; "full" is that, for a GPU. "scaled" is the same patches, batches and
network for a few steps, for a processor. Both learn from pairs of stacks that are together larger than the memory that
the process may use: the limit is enforced by the system (RLIMIT_DATA), so that a program that read its stacks whole
would be ended. Files that are mapped into memory do not count, because the system can drop them at any time.

Each pair is one simulated field of nuclei, repeated side by side: enough to prove speed and memory, no test of quality.
"""

import argparse
import resource
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import tifffile
import torch

from benchmarks.machine import write_results
from benchmarks.peers.steps import watch_steps
from course_lib import care, devices, images, networks, samples

PAIRS, PLANES, FIELD, REPEATS = 4, 64, 128, 16
PREDICTED_SIDE = 256
PEAK_PHOTONS, DOSE_RATIO = 20.0, 20.0
VOXEL_SIZE_UM = (0.3, 0.2, 0.2)
PATCHES, BATCH = 17_000, 16
SCHEDULES = {"full": (100, 400), "scaled": (1, 20)}
WARM_UP = 3
LIMIT_GB = 4.0
"""Of memory of the process, beyond what the libraries take."""


def write_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Write the stacks as plain TIFF of 16 bits."""
    written = []
    for number in range(PAIRS):
        field = samples.nuclei(
            (PLANES, FIELD, FIELD), voxel_size_um=VOXEL_SIZE_UM, count=8, diameter_um=8.0, rng=number
        ).density
        dim = PEAK_PHOTONS * field / field.max() + 1
        draw = torch.Generator().manual_seed(number)
        paths = folder / f"dim{number}.ome.tif", folder / f"bright{number}.ome.tif"
        for path, mean in zip(paths, (dim, DOSE_RATIO * dim), strict=True):
            counts = torch.poisson(mean.repeat(1, REPEATS, REPEATS), generator=draw)
            tifffile.imwrite(path, counts.numpy().astype(np.uint16), metadata={"axes": "ZYX"}, ome=True)
        written.append(paths)
    return written


def data_gb() -> float:
    """Return the memory of this process that counts against the limit."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) / 2**20
    raise RuntimeError("this system has no /proc/self/status: run the benchmark on Linux.")


def main() -> None:
    """Measure, print and write ``benchmarks/results/care_3d.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--effort", choices=tuple(SCHEDULES), default="full" if torch.cuda.is_available() else "scaled")
    effort = parser.parse_args().effort
    epochs, steps = SCHEDULES[effort]
    device = devices.resolve("auto")
    with tempfile.TemporaryDirectory() as name, ExitStack() as opened:
        paths = write_pairs(Path(name))
        on_disk_gb = sum(path.stat().st_size for pair in paths for path in pair) / 2**30
        pairs = [
            care.PairOnDisk(
                image=opened.enter_context(images.open_image(image)),
                target=opened.enter_context(images.open_image(target)),
            )
            for image, target in paths
        ]
        torch.ones(1, device=device)  # the libraries of a GPU are in memory before the limit is set
        before_gb = data_gb()
        limit = int((before_gb + LIMIT_GB) * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        ends: list[float] = []
        watch_steps(lambda: ends.append(time.perf_counter()))
        begun = time.perf_counter()
        model = care.train(
            pairs,
            care.Config(patch_side=64, patch_planes=16, validation_share=0.01),
            networks.TrainingConfig(epochs=epochs, steps_per_epoch=steps, batch_size=BATCH),
            rng=0,
            device=device,
        )
        seconds = time.perf_counter() - begun
        crop = pairs[0].image.read((slice(None), slice(PREDICTED_SIDE), slice(PREDICTED_SIDE)))
        model.predict(crop, device=device)
        begun = time.perf_counter()
        model.predict(crop, device=device)
        predicted_s = time.perf_counter() - begun
    counted = ends[WARM_UP:steps]  # of the first epoch, so that validation does not count
    patches_per_s = BATCH * (len(counted) - 1) / (counted[-1] - counted[0])
    write_results(
        "care_3d",
        {
            "what": "CARE in 3D from stacks on disk that are larger than the memory allowed: training and prediction",
            "effort": effort,
            "device": devices.describe(device),
            "precision": str(networks.precision_for(device)).removeprefix("torch."),
            "parameters": sum(weights.numel() for weights in model.network.parameters()),
            "patch": [16, 64, 64],
            "batch": BATCH,
            "stacks_on_disk_gb": round(on_disk_gb, 2),
            "memory_allowed_gb": LIMIT_GB,
            "epochs": epochs,
            "steps_per_epoch": steps,
            "training_s": round(seconds, 1),
            "patches_per_s": float(f"{patches_per_s:.3g}"),
            "s_per_pass_of_17000_patches": float(f"{PATCHES / patches_per_s:.3g}"),
            "validation_loss": [round(record.validation_loss, 5) for record in model.history],
            "predicted_mvoxel_per_s": float(f"{crop.numel() / 1e6 / predicted_s:.3g}"),
        },
    )


if __name__ == "__main__":
    main()
