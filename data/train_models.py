"""Train the networks of data/models: what they learned from, how long, and from which seed, is this file.

    python data/train_models.py care_live_2d --effort quick

Every draw has a seed, so that the same machine trains the same network again; another one rounds differently and gets
another network of the same quality. So what is shipped is registered by its sha256 in data/registry.toml: after a new
training, put the two lines there that this script prints.
"""

import argparse
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_lib import care, datasets, devices, images, optics, segmentation
from course_lib.care import Pair
from course_lib.forward import ImagingSystem
from course_lib.images import Normalization
from course_lib.live.figures import care_domain
from course_lib.live.figures.noise2void_streaks import (
    MOST_CORRELATION,
    MOST_HIDDEN,
    NOISE_PERCENT,
    PEAK,
    streaked,
    with_conditions,
)
from course_lib.networks import Model, TrainingConfig, UNet, UNetConfig, fit, precision_for
from course_lib.noise2void import draw_mask
from course_lib.segmentation import NucleiVariety, simulated_nuclei

MODELS = Path(__file__).parent / "models"
SEED = 0

FIELDS, DOSES_PER_FIELD = 48, 3
FIELD_SIDE = 192
PEAK_PHOTONS = (2.0, 200.0)

PATCH, SCENES_APART, VALIDATION_BATCHES = 64, 6, 8

LEARNED_COLUMNS = 88
"""Columns of cells3d_nuclei that the 3D network learns from; those from 96 on are free for judging it."""
DIM_PEAK_PHOTONS = (4.0, 8.0, 16.0)
DOSE_RATIO = 1000.0
DRAWS_PER_DOSE = 2

REAL_NUCLEI = "dsb2018_fluorescence"
"""Folder in the one that COURSE_DATA names: images/ and masks/, fluorescence images of the 2018 Data Science Bowl."""
HELD_OUT = [
    "1e8408fbb161",
    "514ccfc78cb5",
    "603445656763",
    "60cb718759bf",
    "62570c4ff1c5",
    "77ceeb87f560",
    "79dfcbc9361e",
    "80632d6be60c",
    "86f9087eb1d0",
    "ad9d305cbf19",
    "b67a6e5da8b1",
    "bbce7ebc4032",
    "cfabf7379c55",
    "d2ce593bddf9",
    "db45946a4412",
    "fc5452f612a0",
]
"""Images that no network learns from, so that benchmarks can judge by them."""
FEWEST_PHOTONS = 5.0
SIMULATED_2D, SIMULATED_2D_SIDES = 160, (192, 192)
SIMULATED_3D, SIMULATED_3D_SIDES = 40, (24, 96, 96)
VARIETY_3D = NucleiVariety(smallest_diameter_px=10.0, largest_diameter_px=24.0)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a network learns from, and how."""

    teach: Callable[[TrainingConfig, torch.device], Model]
    training: Mapping[str, TrainingConfig]
    learned_from: str


def by_care(pairs: Callable[[], list[Pair]], config: care.Config) -> Callable[[TrainingConfig, torch.device], Model]:
    """Return what teaches a network from pairs."""
    return lambda training, device: care.train(pairs(), config, training, rng=SEED, device=device)


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


class Streaks:
    """Hidden pixels of noisy filaments, learned from what is seen: noise in streaks of every correlation and mask.

    A batch is what is seen, with maps that tell the conditions, the centres, their noisy values and the variance.
    """

    def __init__(self, device: torch.device) -> None:
        scenes = [
            care_domain.filaments(
                FIELD_SIDE, count=10 + number, diameter_um=0.2, persistence_um=3.0 + number % 15, rng=1000 + number
            )
            for number in range(FIELDS)
        ]
        self.scenes, self.device = PEAK * torch.stack(scenes), device

    def training_batch(self, count: int, *, rng: torch.Generator, rank: int, ranks: int) -> tuple[torch.Tensor, ...]:
        """Draw noisy patches of all scenes but the last ones, and hide pixels."""
        return tuple(one[rank::ranks] for one in self._batch(self.scenes[:-SCENES_APART], count, rng))

    def validation_batches(self, batch_size: int, *, rank: int, ranks: int) -> Iterator[tuple[torch.Tensor, ...]]:
        """Draw the same noisy patches of the last scenes each time."""
        rng = torch.Generator().manual_seed(SEED)
        for _ in range(VALIDATION_BATCHES):
            yield tuple(one[rank::ranks] for one in self._batch(self.scenes[-SCENES_APART:], batch_size, rng))

    def _batch(self, scenes: torch.Tensor, count: int, rng: torch.Generator) -> tuple[torch.Tensor, ...]:
        hidden = int(torch.randint(MOST_HIDDEN + 1, (), generator=rng))
        numbers, tops, lefts = (
            torch.randint(most, (count,), generator=rng).tolist()
            for most in (len(scenes), FIELD_SIDE - PATCH, FIELD_SIDE - PATCH)
        )
        clean = torch.stack(
            [
                scenes[number, top : top + PATCH, left : left + PATCH]
                for number, top, left in zip(numbers, tops, lefts, strict=True)
            ]
        )
        correlation = MOST_CORRELATION * torch.rand((count, 1, 1), generator=rng)
        low, high = NOISE_PERCENT
        level = low + (high - low) * torch.rand((count, 1, 1), generator=rng)
        noisy = clean + level * streaked(torch.randn(clean.shape, generator=rng), correlation)
        mask = draw_mask(
            count,
            1,
            (PATCH, PATCH),
            masked_fraction=0.02,
            neighborhood_radius=MOST_HIDDEN + 1,
            mask_extent=(hidden, 0),
            rng=rng,
        )
        seen = mask.uniform(noisy[:, None])[:, 0]
        told = (correlation, torch.full_like(level, hidden), level)
        shown = torch.stack([with_conditions(*each) for each in zip(seen, *told, strict=True)])
        batch = (shown, mask.centers, mask.at_centers(noisy[:, None]), level)
        return tuple(one.to(self.device) for one in batch)

    def loss(self, network: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return the squared errors at hidden pixels, relative to the variance of the noise."""
        shown, centers, values, level = batch
        guessed = PEAK * network(shown).flatten(2).gather(2, centers)
        return ((guessed - values) / level).square().flatten(1).mean(1)


def by_streaks(training: TrainingConfig, device: torch.device) -> Model:
    """Teach a network that is told the correlation, the mask and the noise for which it is to answer."""
    network = UNet(UNetConfig(in_channels=4, base_channels=12, depth=2), rng=SEED)
    history = fit(network, Streaks(device), training, rng=torch.Generator().manual_seed(SEED), device=device)
    plain = Normalization(offset=0.0, scale=1.0)
    return Model(
        network=network.cpu(),
        method="noise2void",
        input_normalization=(plain,) * 4,
        output_normalization=(plain,),
        settings={"training": asdict(training)},
        history=history,
    )


def real_nuclei(*, held_out: bool) -> tuple[list[torch.Tensor], list[Any]]:
    """Return images of real nuclei and their labels: those to learn from, or those that are held out."""
    folder = Path(os.environ.get("COURSE_DATA", "")) / REAL_NUCLEI
    paths = sorted((folder / "images").glob("*.tif"))
    if not paths:
        raise FileNotFoundError(
            f"there are no images in {folder / 'images'}: set COURSE_DATA to the folder that holds {REAL_NUCLEI}."
        )
    chosen = [path for path in paths if (path.stem in HELD_OUT) == held_out]
    truths = [images.read(folder / "masks" / path.name).data.astype("int32") for path in chosen]
    return [images.read(path).tensor() for path in chosen], truths


def by_segmentation(
    examples: Callable[[], tuple[list[torch.Tensor], list[Any]]], config: segmentation.Config
) -> Callable[[TrainingConfig, torch.device], Model]:
    """Return what teaches a network from images and labels."""
    return lambda training, device: segmentation.train(*examples(), config, training, rng=SEED, device=device)


def simulated(
    number: int, shape: tuple[int, ...], variety: NucleiVariety | None = None
) -> tuple[list[torch.Tensor], list[Any]]:
    """Return simulated images of nuclei and their labels."""
    fields = list(simulated_nuclei(number, shape, variety=variety, rng=SEED))
    return [image for image, _ in fields], [labels for _, labels in fields]


RECIPES = {
    "care_live_2d": Recipe(
        teach=by_care(live_pairs, care.Config(base_channels=12, depth=2)),
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
        teach=by_care(
            nuclei_pairs,
            care.Config(patch_side=32, patch_planes=16, base_channels=16, depth=2, learns="the image"),
        ),
        training={
            "quick": TrainingConfig(epochs=4, steps_per_epoch=300, batch_size=4, learning_rate=3e-3),
            "full": TrainingConfig(epochs=100, steps_per_epoch=200, batch_size=16, learning_rate=3e-3),
        },
        learned_from=(
            f"columns 0 to {LEARNED_COLUMNS - 1} of cells3d_nuclei as object, NA 0.5, photon counts of "
            f"{', '.join(f'{peak:g}' for peak in DIM_PEAK_PHOTONS)} at the peak against {DOSE_RATIO:g} times as many"
        ),
    ),
    "noise2void_live_2d": Recipe(
        teach=by_streaks,
        training={
            "quick": TrainingConfig(epochs=20, steps_per_epoch=200, batch_size=16, learning_rate=2e-3),
            "full": TrainingConfig(epochs=100, steps_per_epoch=400, batch_size=32, learning_rate=2e-3),
        },
        learned_from=(
            f"{FIELDS} simulated fields of filaments, {FIELD_SIDE} pixels of 0.1 µm a side, NA 0.8, only with noise: "
            f"{NOISE_PERCENT[0]:g} to {NOISE_PERCENT[1]:g} % of the peak, correlations down the columns of 0 to "
            f"{MOST_CORRELATION:g}, and 0 to {MOST_HIDDEN} pixels hidden above and below each"
        ),
    ),
    "nuclei_2d": Recipe(
        teach=by_segmentation(lambda: real_nuclei(held_out=False), segmentation.Config(fewest_photons=FEWEST_PHOTONS)),
        training={
            "quick": TrainingConfig(epochs=40, steps_per_epoch=100, batch_size=8),
            "full": TrainingConfig(epochs=100, steps_per_epoch=200, batch_size=16),
        },
        learned_from=(
            f"54 fluorescence images of the 2018 Data Science Bowl (CC0, corrected masks), {len(HELD_OUT)} others held "
            f"out; nuclei of 8 to 52 pixels, shown with {FEWEST_PHOTONS:g} photons and more; the image of "
            f"dsb2018_nuclei_2d is not among them"
        ),
    ),
    "nuclei_2d_simulated": Recipe(
        teach=by_segmentation(lambda: simulated(SIMULATED_2D, SIMULATED_2D_SIDES), segmentation.Config()),
        training={
            "quick": TrainingConfig(epochs=40, steps_per_epoch=100, batch_size=8),
            "full": TrainingConfig(epochs=100, steps_per_epoch=200, batch_size=16),
        },
        learned_from=f"{SIMULATED_2D} simulated images of nuclei of 8 to 50 pixels and 5 to 5000 photons, none real",
    ),
    "nuclei_3d_simulated": Recipe(
        teach=by_segmentation(
            lambda: simulated(SIMULATED_3D, SIMULATED_3D_SIDES, VARIETY_3D),
            segmentation.Config(patch_side=64, patch_planes=16, depth=2, planes_halved=1),
        ),
        training={
            "quick": TrainingConfig(epochs=30, steps_per_epoch=50, batch_size=4),
            "full": TrainingConfig(epochs=100, steps_per_epoch=100, batch_size=8),
        },
        learned_from=f"{SIMULATED_3D} simulated stacks of nuclei of 10 to 24 pixels and 5 to 5000 photons",
    ),
}


def train(name: str, *, effort: str, folder: Path, device: str = "auto", **changes: Any) -> Path:
    """Train one network, and write it into `folder`."""
    recipe, where = RECIPES[name], devices.resolve(device)
    training = recipe.training[effort].replace(**changes)
    model = recipe.teach(training, where)
    settings = {
        **model.settings,
        "learned from": recipe.learned_from,
        "made by": f"python data/train_models.py {name} --effort {effort}",
        "device": devices.describe(where),
        "precision": str(precision_for(where, training.precision)).removeprefix("torch."),
        "minutes": round(sum(record.seconds for record in model.history) / 60, 1),
    }
    path = folder / f"{name}.model"
    replace(model, settings=settings).save(path, weights="float16")
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
