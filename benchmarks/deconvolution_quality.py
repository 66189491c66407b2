"""Deconvolution, how near to the truth: this library and its peers on one stack, and the automatic stop on many.

    python -m benchmarks.deconvolution_quality [--peers PYTHON]

PYTHON is an interpreter of an environment with ``benchmarks/peers/requirements.txt``; without it only this library is
measured. Every image is part of a larger, simulated specimen, so that light comes from beyond its borders; photons have
Poisson noise. The error is the NRMSE, the norm of the difference over the norm of the truth, in the whole image.

The automatic stop is compared with the oracle, the best of all iterations, which knows the truth. Its settings were
chosen on other specimens, seeds, voxels and partly other microscopes.
"""

import argparse
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.machine import write_results
from course_lib import samples
from course_lib.deconvolution import (
    accelerated_richardson_lucy,
    automatic_stop,
    richardson_lucy,
    total_variation_richardson_lucy,
)
from course_lib.metrics import nrmse
from course_lib.optics import Convolution, Microscope, confocal_psf, vectorial_psf

OIL = Microscope(numerical_aperture=1.4, emission_wavelength_nm=525.0, immersion_index=1.518, sample_index=1.518)
WATER = Microscope(numerical_aperture=0.8, emission_wavelength_nm=525.0, immersion_index=1.33, sample_index=1.33)
OIL_VOXEL_UM, WATER_VOXEL_UM = (0.25, 0.09, 0.09), (0.4, 0.075, 0.075)
BACKGROUND_SHARE = 0.05

STACKS = {
    "fine": {"nuclei_share": 0.4, "filament_um": 0.25, "bead_um": 0.4},
    "coarse": {"nuclei_share": 1.0, "filament_um": 0.35, "bead_um": 0.6},
}
"""Two specimens of 3 nuclei of 5 µm, 15 filaments and 20 beads: the brightest voxel of the nuclei as a share of that of
filaments and of beads, and the diameters of these."""

SPECIMEN_SHAPE, STACK_SHAPE, STACK_PSF_SHAPE = (56, 144, 144), (32, 96, 96), (25, 49, 49)
STACK_PEAK, STACK_BACKGROUND = 200, 10
PEERS = {
    "scikit-image": ("linear",),
    "RedLionfish": ("circular", "linear"),
    "sdeconv": ("circular", "linear"),
    "cubic": ("circular", "linear"),
}
SCRIPTS = Path(__file__).parent / "peers"
IN_THE_MODEL, SUBTRACTED = "in the model", "subtracted before, and no photon below 0"
ITERATIONS = (10, 30, 100)
ACCELERATED = (6, 10, 12, 15, 20, 25)
NOISE_SEEDS = (0, 1, 2)

STOP_IMAGE_SHAPE, STOP_MARGIN = (14, 72, 72), (8, 24, 24)
STOP_PEAKS = (20, 200, 2000)
STOP_SEEDS = (0, 1, 2)
MOST_ITERATIONS = 150
WORSE_FOR = 30
GOAL = 1.05

total_variation = partial(total_variation_richardson_lucy, voxel_size_um=OIL_VOXEL_UM)


class Scene(NamedTuple):
    """Truth and photons expected without background, both with the brightest expected voxel scaled to 1."""

    truth: torch.Tensor
    expected: torch.Tensor
    psf: torch.Tensor


def see(specimen: torch.Tensor, psf: torch.Tensor, shape: tuple[int, ...]) -> Scene:
    """Blur the specimen, and cut the middle out."""
    middle = tuple(slice((a - b) // 2, (a - b) // 2 + b) for a, b in zip(specimen.shape, shape, strict=True))
    expected = Convolution(psf, specimen.shape)(specimen).clamp(min=0)[middle]
    return Scene(specimen[middle] / expected.max(), expected / expected.max(), psf)


def expose(scene: Scene, *, peak: float, background: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the truth in photons, and one image."""
    mean = peak * scene.expected + background
    return peak * scene.truth, torch.poisson(mean, generator=torch.Generator().manual_seed(seed))


def unit(density: torch.Tensor) -> torch.Tensor:
    """Scale the brightest voxel to 1."""
    return density / density.max()


def mixed(
    shape: tuple[int, ...],
    voxel_um: tuple[float, ...],
    seed: int,
    *,
    scale: float = 1.0,
    nuclei_share: float = 0.4,
    filament_um: float = 0.25,
    bead_um: float = 0.4,
) -> torch.Tensor:
    """Nuclei, filaments and beads in one field; `scale` is the share of their number."""
    nuclei = samples.nuclei(shape, voxel_size_um=voxel_um, count=round(3 * scale), diameter_um=5.0, rng=seed).density
    lines = samples.filaments(shape, voxel_size_um=voxel_um, count=round(15 * scale), diameter_um=filament_um, rng=seed)
    spots = samples.beads(shape, voxel_size_um=voxel_um, count=round(20 * scale), diameter_um=bead_um, rng=seed).density
    return nuclei_share * unit(nuclei) + unit(lines) + unit(spots)


def spread(values: list[float], digits: int = 3) -> list[float]:
    """Return least, median and most."""
    ordered = sorted(values)
    return [float(f"{ordered[i]:.{digits}g}") for i in (0, len(ordered) // 2, -1)]


def errors_along(
    method: Callable[..., torch.Tensor],
    image: torch.Tensor,
    truth: torch.Tensor,
    psf: torch.Tensor,
    *,
    iterations: int,
    background: float,
    boundary: str = "linear",
    worse_for: float = math.inf,
) -> list[float]:
    """Return the error after each iteration, until it has not been lower for `worse_for` of them."""
    errors: list[float] = []

    def note(_: int, estimate: torch.Tensor) -> None:
        errors.append(float(nrmse(estimate, truth, dimensions=3)))

    def past_the_best(*_: object) -> bool:
        return bool(errors) and len(errors) - 1 - int(np.argmin(errors)) >= worse_for

    given = {"iterations": iterations, "background": background, "boundary": boundary}
    method(image, psf, callback=note, stop=past_the_best, **given)
    return errors


def own_rows(scene: Scene) -> list[dict[str, object]]:
    """Measure this library on the stack."""
    contestants = (
        ("richardson_lucy", "linear", IN_THE_MODEL, richardson_lucy, ITERATIONS),
        ("richardson_lucy", "circular", IN_THE_MODEL, richardson_lucy, ITERATIONS),
        ("richardson_lucy", "linear", SUBTRACTED, richardson_lucy, ITERATIONS),
        ("richardson_lucy", "circular", SUBTRACTED, richardson_lucy, ITERATIONS),
        ("accelerated_richardson_lucy", "linear", IN_THE_MODEL, accelerated_richardson_lucy, ACCELERATED),
        ("accelerated_richardson_lucy", "circular", IN_THE_MODEL, accelerated_richardson_lucy, ACCELERATED),
        ("total_variation_richardson_lucy", "linear", IN_THE_MODEL, total_variation, ITERATIONS),
    )
    rows = []
    for name, boundary, handling, method, marks in contestants:
        curves = []
        for seed in NOISE_SEEDS:
            truth, image = expose(scene, peak=STACK_PEAK, background=STACK_BACKGROUND, seed=seed)
            background = float(STACK_BACKGROUND)
            if handling == SUBTRACTED:
                image, background = (image - background).clamp(min=0), 0.0
            given = {"background": background, "boundary": boundary, "iterations": max(marks)}
            curves.append(errors_along(method, image, truth, scene.psf, **given))
        rows.append(
            {
                "library": "course_lib",
                "method": name,
                "background": handling,
                "boundary": boundary,
                "nrmse": {mark: spread([curve[mark - 1] for curve in curves]) for mark in marks},
            }
        )
    return rows


def limits(scene: Scene) -> dict[str, object]:
    """Measure how near accelerated Richardson-Lucy comes without noise, and with noise if the truth says when to stop.

    The first is what so few iterations leave undone, the second what the noise forbids, however many there are.
    """
    mean = STACK_PEAK * scene.expected + STACK_BACKGROUND
    truth = STACK_PEAK * scene.truth
    given = {"psf": scene.psf, "background": float(STACK_BACKGROUND)}
    marks = [mark for mark in ACCELERATED if mark >= ITERATIONS[0]]
    clean = errors_along(accelerated_richardson_lucy, mean, truth, iterations=max(marks), **given)
    noisy = []
    for seed in NOISE_SEEDS:
        _, image = expose(scene, peak=STACK_PEAK, background=STACK_BACKGROUND, seed=seed)
        run = {**given, "iterations": MOST_ITERATIONS, "worse_for": WORSE_FOR}
        noisy.append(errors_along(accelerated_richardson_lucy, image, truth, **run))
    return {
        "without_noise": {mark: float(f"{clean[mark - 1]:.3g}") for mark in marks},
        "with_noise_iterations": spread([int(np.argmin(errors)) + 1 for errors in noisy]),
        "with_noise": spread([min(errors) for errors in noisy]),
    }


def stopped_row(scene: Scene) -> dict[str, object]:
    """Measure the automatic stop on the stack."""
    errors, iterations = [], []
    for seed in NOISE_SEEDS:
        truth, image = expose(scene, peak=STACK_PEAK, background=STACK_BACKGROUND, seed=seed)
        result = automatic_stop(image, scene.psf, background=STACK_BACKGROUND, rng=seed)
        errors.append(float(nrmse(result.restored, truth, dimensions=3)))
        iterations.append(result.iterations)
    return {
        "library": "course_lib",
        "method": "automatic_stop of accelerated_richardson_lucy",
        "background": IN_THE_MODEL,
        "boundary": "linear",
        "iterations": sorted(iterations),
        "nrmse": spread(errors),
    }


def best_shift(estimate: torch.Tensor, truth: torch.Tensor) -> tuple[float, list[int]]:
    """Return the least error of the estimate moved by up to one voxel along each axis, and that move."""
    moves = list(product((-1, 0, 1), repeat=3))
    errors = [float(nrmse(estimate.roll(move, (0, 1, 2)), truth, dimensions=3)) for move in moves]
    return min(errors), list(moves[int(np.argmin(errors))])


def peer_rows(scene: Scene, *, peers: str) -> Iterator[dict[str, object]]:
    """Measure the peers on the stack, each in its own process."""
    exposed = [expose(scene, peak=STACK_PEAK, background=STACK_BACKGROUND, seed=seed) for seed in NOISE_SEEDS]
    truth = exposed[0][0]
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "asked.npz", Path(folder) / "answered.npz"
        for name, methods in PEERS.items():
            script = SCRIPTS / f"deconvolution_{name.lower().replace('scikit-image', 'skimage')}.py"
            for method in methods:
                plain, moved = [], []
                for _, image in exposed:
                    given = {"image": image.numpy(), "psf": scene.psf.numpy(), "background": float(STACK_BACKGROUND)}
                    np.savez(asked, **given, iterations=np.array(ITERATIONS), method=method, rounds=0, threads=2)
                    subprocess.run([peers, str(script), str(asked), str(answered)], check=True, capture_output=True)
                    with np.load(answered) as restored:
                        estimates = torch.from_numpy(restored["estimates"])
                    plain.append([float(nrmse(estimate, truth, dimensions=3)) for estimate in estimates])
                    moved.append([best_shift(estimate, truth) for estimate in estimates])
                yield {
                    "library": name,
                    "method": "Richardson-Lucy",
                    "background": SUBTRACTED,
                    "boundary": method,
                    "nrmse": {
                        mark: spread(list(errors))
                        for mark, errors in zip(ITERATIONS, zip(*plain, strict=True), strict=True)
                    },
                    "nrmse_moved_best": {
                        mark: spread([error for error, _ in found])
                        for mark, found in zip(ITERATIONS, zip(*moved, strict=True), strict=True)
                    },
                    "best_move_voxels": moved[0][-1][1],
                }


def measured_stack(name: str, psf: torch.Tensor, *, peers: str | None) -> dict[str, object]:
    """Measure everyone on one stack."""
    scene = see(mixed(SPECIMEN_SHAPE, OIL_VOXEL_UM, seed=0, **STACKS[name]), psf, STACK_SHAPE)
    truth, image = expose(scene, peak=STACK_PEAK, background=STACK_BACKGROUND, seed=NOISE_SEEDS[0])
    rows = [*own_rows(scene), stopped_row(scene)]
    if peers:
        rows += peer_rows(scene, peers=peers)
    return {
        "name": name,
        **STACKS[name],
        "nrmse_of_the_image_less_background": float(
            f"{float(nrmse(image - STACK_BACKGROUND, truth, dimensions=3)):.3g}"
        ),
        "limits_of_accelerated_richardson_lucy": limits(scene),
        "rows": rows,
    }


def stop_scenes(seed: int) -> Iterator[tuple[str, Scene]]:
    """Yield specimens of seven kinds, none of which the settings of the stop have seen."""
    shape = tuple(side + 2 * margin for side, margin in zip(STOP_IMAGE_SHAPE, STOP_MARGIN, strict=True))
    widefield = vectorial_psf(OIL, shape=(17, 41, 41), voxel_size_um=OIL_VOXEL_UM)
    confocal = confocal_psf(WATER, shape=(13, 25, 25), voxel_size_um=WATER_VOXEL_UM)
    oil, water = {"voxel_size_um": OIL_VOXEL_UM, "rng": seed}, {"voxel_size_um": WATER_VOXEL_UM, "rng": seed}
    specimens = {
        "nuclei, widefield": (samples.nuclei(shape, count=4, diameter_um=4.5, **oil).density, widefield),
        "filaments, widefield": (samples.filaments(shape, count=16, diameter_um=0.25, **oil), widefield),
        "beads of 0.5 µm, widefield": (samples.beads(shape, count=40, diameter_um=0.5, **oil).density, widefield),
        "mixed, widefield": (mixed(shape, OIL_VOXEL_UM, seed, scale=0.7), widefield),
        "nuclei, confocal": (samples.nuclei(shape, count=3, diameter_um=5.0, **water).density, confocal),
        "filaments, confocal": (samples.filaments(shape, count=20, diameter_um=0.35, **water), confocal),
        "points of 0.1 µm, widefield": (samples.beads(shape, count=40, diameter_um=0.1, **oil).density, widefield),
    }
    for name, (specimen, psf) in specimens.items():
        yield name, see(specimen, psf, STOP_IMAGE_SHAPE)


def stop_rows() -> list[dict[str, object]]:
    """Compare the automatic stop with the oracle."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for seed in STOP_SEEDS:
        for (name, scene), peak in product(stop_scenes(seed), STOP_PEAKS):
            background = BACKGROUND_SHARE * peak
            truth, image = expose(scene, peak=peak, background=background, seed=seed)
            errors = errors_along(
                accelerated_richardson_lucy,
                image,
                truth,
                scene.psf,
                iterations=MOST_ITERATIONS,
                background=background,
                worse_for=WORSE_FOR,
            )
            result = automatic_stop(
                image, scene.psf, background=background, most_iterations=MOST_ITERATIONS, rng=seed + 100
            )
            error = float(nrmse(result.restored, truth, dimensions=3))
            found.setdefault((name, peak), []).append(
                {
                    "oracle": int(np.argmin(errors)) + 1,
                    "oracle_nrmse": min(errors),
                    "stop": result.iterations,
                    "nrmse": error,
                    "ratio": error / min(errors),
                }
            )
    return [
        {
            "specimen": name,
            "peak_photons": peak,
            "oracle_iterations": spread([one["oracle"] for one in runs]),
            "oracle_nrmse": spread([one["oracle_nrmse"] for one in runs]),
            "stop_iterations": spread([one["stop"] for one in runs]),
            "stop_nrmse": spread([one["nrmse"] for one in runs]),
            "stop_over_oracle": spread([one["ratio"] for one in runs], digits=4),
            "ratios": [float(f"{one['ratio']:.4g}") for one in runs],
            "within_5_percent": sum(one["ratio"] <= GOAL for one in runs),
            "runs": len(runs),
        }
        for (name, peak), runs in found.items()
    ]


def main() -> None:
    """Measure, print and write ``benchmarks/results/deconvolution_quality.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter of the peers' environment")
    given = parser.parse_args()
    start = time.perf_counter()
    psf = vectorial_psf(OIL, shape=STACK_PSF_SHAPE, voxel_size_um=OIL_VOXEL_UM)
    stacks = [measured_stack(name, psf, peers=given.peers) for name in STACKS]
    stops = stop_rows()
    measured = {
        "what": "NRMSE of deconvolutions, [least, median, most] of the seeds; the automatic stop against the oracle",
        "stack": {
            "voxel_um": OIL_VOXEL_UM,
            "image_shape": STACK_SHAPE,
            "psf_shape": STACK_PSF_SHAPE,
            "peak_photons": STACK_PEAK,
            "background_photons": STACK_BACKGROUND,
        },
        "noise_seeds": len(NOISE_SEEDS),
        "stacks": stacks,
        "stop": {
            "image_shape": STOP_IMAGE_SHAPE,
            "background_share_of_peak": BACKGROUND_SHARE,
            "most_iterations": MOST_ITERATIONS,
            "within_5_percent": sum(row["within_5_percent"] for row in stops),
            "runs": sum(row["runs"] for row in stops),
            "rows": stops,
        },
        "seconds": round(time.perf_counter() - start),
    }
    write_results("deconvolution_quality", json.loads(json.dumps(measured)))


if __name__ == "__main__":
    main()
