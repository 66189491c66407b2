"""Train the networks of data/models: what they learned from, how long, and from which seed, is this file.

    python data/train_models.py care_live_2d --effort quick

Every draw has a seed, so that the same machine trains the same network again; another one rounds differently and gets
another network of the same quality. So what is shipped is registered by its sha256 in data/registry.toml: after a new
training, put the two lines there that this script prints.
"""

import argparse
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from course_lib import care, datasets, devices, optics
from course_lib.care import Pair
from course_lib.forward import ImagingSystem
from course_lib.live.figures import care_domain
from course_lib.networks import Model, TrainingConfig, precision_for

MODELS = Path(__file__).parent / "models"
SEED = 0

FIELDS, DOSES_PER_FIELD = 48, 3
FIELD_SIDE = 192
PEAK_PHOTONS = (2.0, 200.0)

LEARNED_COLUMNS = 88
"""Columns of cells3d_nuclei that the 3D network learns from; those from 96 on are free for judging it."""
DIM_PEAK_PHOTONS = (4.0, 8.0, 16.0)
DOSE_RATIO = 1000.0
DRAWS_PER_DOSE = 2


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a network learns from, and how."""

    pairs: Callable[[], list[Pair]]
    config: care.Config
    training: Mapping[str, TrainingConfig]
    learned_from: str


def live_pairs() -> list[Pair]:
    """Return filaments of many kinds, as few and as many photons show them, with their means."""
    draw = torch.Generator().manual_seed(SEED)

    def between(low: float, high: float) -> float:
        return low * (high / low) ** float(torch.rand((), generator=draw))

    pairs = []
    for number in range(FIELDS):
        scene = care_domain.filaments(
            FIELD_SIDE,
            count=round(between(8, 80)),
            diameter_um=between(0.1, 0.4),
            persistence_um=between(3.0, 20.0),
            rng=1000 + number,
        )
        for _ in range(DOSES_PER_FIELD):
            mean = between(*PEAK_PHOTONS) * (scene + care_domain.BACKGROUND)
            pairs.append(
                Pair(
                    image=torch.poisson(mean, generator=draw)[None],
                    target=mean[None],
                    dose_ratio=1.0,
                    sample=f"field {number}",
                )
            )
    return pairs


def nuclei_object() -> torch.Tensor:
    """Return the real nuclei as an object: brightness above the dark, 1 at the brightest thousandth."""
    stack = datasets.load("cells3d_nuclei").tensor()
    dark, bright = (float(stack.flatten().kthvalue(round(share * stack.numel())).values) for share in (0.01, 0.999))
    return ((stack - dark) / (bright - dark)).clamp(min=0)


def nuclei_systems(fluorophores: torch.Tensor, *, peak_photons: float) -> tuple[ImagingSystem, ImagingSystem]:
    """Return the dim and the bright microscope: a dry objective (NA 0.5) and a detector that counts photons.

    The brightest voxel of the dim image has `peak_photons` on average, that of the bright one `DOSE_RATIO` times more.
    """
    objective = optics.Microscope(numerical_aperture=0.5, immersion_index=1.0)
    psf = optics.gaussian_psf(objective, shape=(31, 9, 9), voxel_size_um=(0.29, 0.26, 0.26))
    of_one = ImagingSystem(psf=psf, camera=None)
    photons = peak_photons / float(of_one.expected(fluorophores).max())
    return (
        replace(of_one, photons_per_fluorophore=photons),
        replace(of_one, photons_per_fluorophore=DOSE_RATIO * photons),
    )


def nuclei_pairs() -> list[Pair]:
    """Return pairs of the learned columns at a few doses, the bright image on the scale of the dim one."""
    draw = torch.Generator().manual_seed(SEED)
    fluorophores = nuclei_object()
    pairs = []
    for peak_photons in DIM_PEAK_PHOTONS:
        dim, bright = nuclei_systems(fluorophores, peak_photons=peak_photons)
        for _ in range(DRAWS_PER_DOSE):
            whole = care.simulated_pair(dim, bright, fluorophores, rng=draw).scaled()
            learned = (..., slice(LEARNED_COLUMNS))
            pairs.append(replace(whole, image=whole.image[learned], target=whole.target[learned], sample="cells3d"))
    return pairs


RECIPES = {
    "care_live_2d": Recipe(
        pairs=live_pairs,
        config=care.Config(base_channels=12, depth=2),
        training={
            "quick": TrainingConfig(epochs=20, steps_per_epoch=150, batch_size=16, learning_rate=2e-3),
            "full": TrainingConfig(epochs=100, steps_per_epoch=400, batch_size=32, learning_rate=2e-3),
        },
        learned_from=(
            f"{FIELDS} simulated fields of filaments, {FIELD_SIDE} pixels of 0.1 µm a side, NA 0.8, each at "
            f"{DOSES_PER_FIELD} doses of {PEAK_PHOTONS[0]:g} to {PEAK_PHOTONS[1]:g} photons at the peak, against "
            f"their means"
        ),
    ),
    "care_nuclei_3d": Recipe(
        pairs=nuclei_pairs,
        config=care.Config(patch_side=32, patch_planes=16, base_channels=16, depth=2, learns="the image"),
        training={
            "quick": TrainingConfig(epochs=4, steps_per_epoch=300, batch_size=4, learning_rate=3e-3),
            "full": TrainingConfig(epochs=100, steps_per_epoch=200, batch_size=16, learning_rate=3e-3),
        },
        learned_from=(
            f"columns 0 to {LEARNED_COLUMNS - 1} of cells3d_nuclei as object, NA 0.5, photon counts of "
            f"{', '.join(f'{peak:g}' for peak in DIM_PEAK_PHOTONS)} at the peak against {DOSE_RATIO:g} times as many"
        ),
    ),
}


def train(name: str, *, effort: str, folder: Path, device: str = "auto", **changes: Any) -> Path:
    """Train one network, and write it into `folder`."""
    recipe, where = RECIPES[name], devices.resolve(device)
    training = recipe.training[effort].replace(**changes)
    model = care.train(recipe.pairs(), recipe.config, training, rng=SEED, device=where)
    settings = {
        **model.settings,
        "learned from": recipe.learned_from,
        "made by": f"python data/train_models.py {name} --effort {effort}",
        "device": devices.describe(where),
        "precision": str(precision_for(where, training.precision)).removeprefix("torch."),
        "minutes": round(sum(record.seconds for record in model.history) / 60, 1),
    }
    path = folder / f"{name}.model"
    trained: Model = replace(model, settings=settings)
    trained.save(path, weights="float16")
    return path


def main() -> None:
    """Train what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to train, of {', '.join(RECIPES)} (all)")
    parser.add_argument("--effort", choices=("quick", "full"), default="quick", help="minutes on a CPU, or on a GPU")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--folder", type=Path, default=MODELS, help="where to (default: %(default)s)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(RECIPES)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(RECIPES)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or RECIPES:
        path = train(name, effort=arguments.effort, folder=arguments.folder, device=arguments.device)
        content = path.read_bytes()
        print(f'[{name}]\nsha256 = "{hashlib.sha256(content).hexdigest()}"\nsize_bytes = {len(content)}')


if __name__ == "__main__":
    main()
