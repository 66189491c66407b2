"""Train a network that tells objects apart, from images and their true labels.

Labels are drawn by experts, pixel by pixel, or come free of charge from a simulation. Each image is brought to its own
range of brightness before (the 1st percentile becomes 0, the 99.8th 1), because nuclei are told by their shape, and
cameras and stains differ. For the same reason patches are shown turned and mirrored, and a little brighter, darker and
noisier than they are; with `fewest_photons`, also as dim as a short exposure would show them. Without it, a network
that learned from bright images knows nothing of dim ones, the less the longer it learns.

The thresholds that turn maps into objects are chosen at the end, on what was kept apart for validation: those with the
highest mean of the average precision at IoU 0.5 to 0.9.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from course_lib.images import Normalization, PercentileNormalization
from course_lib.images.journal import fingerprint
from course_lib.metrics.label_matching import ManyMatchings, contingencies
from course_lib.networks import (
    EpochRecord,
    Model,
    Patches,
    Region,
    TrainingConfig,
    UNet,
    UNetConfig,
    fit,
    predict_tiles,
    shared_generator,
    split_regions,
)
from course_lib.networks.augmentation import VIEWS, view
from course_lib.networks.processes import own_device
from course_lib.parameters import Parameters, parameter
from course_lib.segmentation._check import Array, Labels, check_image, check_labels, check_same_shape
from course_lib.segmentation.flows import Flows
from course_lib.segmentation.labels import relabelled
from course_lib.segmentation.representation import Representation
from course_lib.segmentation.star_convex import StarConvex
from course_lib.segmentation.three_classes import ThreeClasses

__all__ = ["REPRESENTATIONS", "Config", "large_enough", "maps_of", "normalized", "train"]

REPRESENTATIONS: Mapping[str, Callable[[], Representation]] = {
    "flows": Flows,
    "star-convex": StarConvex,
    "three classes": ThreeClasses,
}
SMALLEST = 0.01
"""Objects smaller than all but this share of the training's are no objects."""
IOU_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Where the average precision is looked at, to choose thresholds."""
GAIN, OFFSET, NOISE = 0.3, 0.05, 0.05
"""How much brighter or darker, higher, and noisier patches are shown, at most, relative to the image's range."""
DECADES, DARK = 3.0, 0.05
"""Photons are drawn from these decades above the fewest; what is behind the objects has some, too, of the range."""

Batch = tuple[torch.Tensor, ...]


class Config(Parameters):
    """What a segmentation network gives, and which patches it sees.

    Examples
    --------
    >>> Config(represents="three classes").patch_side
    128
    """

    represents: str = parameter(
        default="flows", meaning="what the network gives for each pixel", choices=tuple(REPRESENTATIONS)
    )
    patch_side: int = parameter(default=128, meaning="rows and columns of a patch", unit="pixels", minimum=8)
    patch_planes: int = parameter(default=16, meaning="planes of a patch of a stack", minimum=2)
    depth: int = parameter(default=3, meaning="how often the network halves the grid", minimum=1, maximum=6)
    base_channels: int = parameter(default=16, meaning="features on the finest grid", minimum=1)
    planes_halved: int = parameter(default=2, meaning="how often, at most, the planes are halved, too", minimum=0)
    fewest_photons: float = parameter(
        default=0.0,
        meaning="at the brightest objects, down to which patches are shown; 0: as they are",
        unit="photons",
        minimum=0.0,
    )
    validation_share: float = parameter(
        default=0.15, meaning="of the images, or of each image, that is kept apart", minimum=0.01, maximum=0.5
    )


def normalized(image: torch.Tensor | Array, *, name: str = "image") -> torch.Tensor:
    """Return an image as a segmentation network sees it: 0 at its 1st percentile, 1 at its 99.8th.

    Examples
    --------
    >>> normalized(torch.linspace(100, 300, 1001).reshape(7, 143)).aminmax().min.round(decimals=2)
    tensor(-0.0100)
    """
    values = torch.from_numpy(np.ascontiguousarray(check_image(image, name=name), dtype=np.float32))
    try:
        return PercentileNormalization().fit(values).apply(values)
    except ValueError as error:
        raise ValueError(f"{name} has no contrast: {error}") from error


def maps_of(
    model: Model,
    seen: torch.Tensor,
    *,
    box: tuple[slice, ...] | None = None,
    device: torch.device,
    progress: bool = False,
) -> torch.Tensor:
    """Return what the network gives for an image that is normalized already, or for a part of it.

    Halving the grid begins with a pair of pixels. So a part is computed on the grid of the whole image, and its maps
    are the same as if they were cut from those of the whole.

    Parameters
    ----------
    model : Model
        What `train` gave.
    seen : torch.Tensor
        Of `normalized`, ([z,] y, x).
    box : tuple of slice, optional
        Which part; the whole by default.
    device : torch.device
        Where to compute.
    progress : bool
        Show a bar.

    Returns
    -------
    torch.Tensor
        (maps, [z,] y, x) of the part.
    """
    part = box or tuple(slice(0, side) for side in seen.shape)
    maps = torch.empty(model.network.config.out_channels, *(side.stop - side.start for side in part))

    def read(_frame: int, place: tuple[slice, ...]) -> torch.Tensor:
        return seen[place][None]

    def write(_frame: int, place: tuple[slice, ...], values: torch.Tensor) -> None:
        inner = (slice(one.start - low.start, one.stop - low.start) for one, low in zip(place, part, strict=True))
        maps[(slice(None), *inner)] = values

    predict_tiles(
        model.network.to(device),
        read,
        write,
        sides=tuple(seen.shape),
        box=(tuple(side.start for side in part), tuple(side.stop for side in part)),
        progress=progress,
    )
    return maps


class _Objects:
    """Learns the maps of a representation from images, patch by patch."""

    def __init__(
        self, training: Patches, validation: Patches, representation: Representation, fewest_photons: float
    ) -> None:
        self.training, self.validation, self.representation = training, validation, representation
        self.fewest_photons = fewest_photons

    def training_batch(self, count: int, *, rng: torch.Generator, rank: int, ranks: int) -> Batch:
        images, targets = self.training.draw(count, rng=rng, rank=rank, ranks=ranks)
        numbers = torch.randint(VIEWS, (count,), generator=rng)[rank::ranks].tolist()
        draws = torch.rand((count, 3), generator=rng)[rank::ranks].to(images.device)
        gain, offset, noise = draws.reshape(len(images), 3, *(1,) * (images.ndim - 1)).unbind(1)
        turned = [view(one, number) for one, number in zip(images, numbers, strict=True)]
        shown = (1 + GAIN * (2 * gain - 1)) * torch.stack(turned) + OFFSET * (2 * offset - 1)
        drawn = (count, *shown.shape[1:])  # for all processes, which so see what one would
        shown = shown + NOISE * noise * torch.randn(drawn, generator=rng)[rank::ranks].to(shown.device)
        if self.fewest_photons:
            decades = DECADES * torch.rand(count, generator=rng)[rank::ranks]
            photons = (self.fewest_photons * 10**decades).to(shown.device).reshape(gain.shape)
            scatter = ((shown.clamp(min=0) + DARK) / photons).sqrt()
            shown = shown + scatter * torch.randn(drawn, generator=rng)[rank::ranks].to(shown.device)
        learned = [
            self.representation.turned(view(one, number), number) for one, number in zip(targets, numbers, strict=True)
        ]
        return shown, torch.stack(learned)

    def validation_batches(self, batch_size: int, *, rank: int, ranks: int) -> Iterator[Batch]:
        return self.validation.each(batch_size, rank=rank, ranks=ranks)

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        image, targets = batch
        return self.representation.loss(network(image), targets)


def train(
    images: Sequence[torch.Tensor | Array],
    labels: Sequence[torch.Tensor | Array],
    config: Config | None = None,
    training: TrainingConfig | None = None,
    *,
    rng: int | torch.Generator | None,
    device: str | torch.device = "auto",
    state_path: str | os.PathLike[str] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: bool = True,
) -> Model:
    """Train a network on images and their true labels.

    Parameters
    ----------
    images : sequence of torch.Tensor or numpy.ndarray
        Each ([z,] y, x), in any unit. Of five or more, whole ones are kept apart for validation; of fewer, a band.
    labels : sequence of torch.Tensor or numpy.ndarray
        For each image, whole numbers of the same shape: 0 background, each object another number.
    config : Config, optional
        The network, what it gives, and its patches.
    training : TrainingConfig, optional
        How long and how fast.
    rng : int, torch.Generator or None
        Seed of the split, the first weights and all draws.
    device, state_path, on_epoch, progress
        See `course_lib.networks.fit`.

    Returns
    -------
    Model
        On the CPU. Its settings hold the thresholds, and how large the largest object was. Use it by `segment`.

    Raises
    ------
    ValueError, TypeError
        If images and labels do not belong together, an image is constant or too small, or there is no object.

    Examples
    --------
    >>> from course_lib import samples
    >>> density, labels = samples.nuclei((64, 128), voxel_size_um=(0.5, 0.5), count=12, rng=0)
    >>> model = train(
    ...     [density],
    ...     [labels],
    ...     Config(patch_side=32, base_channels=4, depth=1),
    ...     TrainingConfig(epochs=1, steps_per_epoch=2, batch_size=2),
    ...     rng=0,
    ...     device="cpu",
    ...     progress=False,
    ... )
    >>> model.method
    'segmentation'
    """
    config, training = config or Config(), training or TrainingConfig()
    if rng is None and state_path is not None:
        raise ValueError("rng is None, but only a training with a seed can go on after a break: pass a number.")
    where, draw = own_device(device), shared_generator(rng)
    seen, truths = _checked(images, labels)
    representation = REPRESENTATIONS[config.represents]()
    dimensions = seen[0].ndim - 1
    patch_shape = (config.patch_side,) * 2 if dimensions == 2 else (config.patch_planes, *(config.patch_side,) * 2)
    shape = UNetConfig(
        dimensions=dimensions,
        out_channels=representation.maps(dimensions),
        depth=config.depth,
        base_channels=config.base_channels,
        planes_halved=config.planes_halved,
        learns="the image",
    )
    if any(side % step for side, step in zip(patch_shape, shape.steps, strict=True)):
        raise ValueError(
            f"patches are {patch_shape}, but a network that halves the grid {config.depth} times needs multiples of "
            f"{shape.steps}: change patch_side, patch_planes or depth."
        )
    learned, kept = split_regions(seen, patch_shape=patch_shape, validation_share=config.validation_share, rng=draw)
    fields = [
        (image.to(where), representation.targets(truth).to(where)) for image, truth in zip(seen, truths, strict=True)
    ]
    plain = Normalization(offset=0.0, scale=1.0)
    model = Model(
        network=UNet(shape, rng=draw),
        method="segmentation",
        input_normalization=(plain,),
        output_normalization=(plain,) * shape.out_channels,
        settings={
            "segmentation": asdict(config),
            "training": asdict(training),
            "images": len(seen),
            "largest_object_px": _largest(truths),
            "smallest_object_px": _smallest(truths),
        },
    )
    history = fit(
        model.network,
        _Objects(
            Patches(fields, learned, patch_shape=patch_shape, device=where),
            Patches(fields, kept, patch_shape=patch_shape, device=where),
            representation,
            config.fewest_photons,
        ),
        training,
        rng=draw,
        device=where,
        state_path=state_path,
        settings={
            **asdict(config),
            "kept apart": [str(region) for region in kept],
            "images": [fingerprint(one) for each in fields for one in each],
        },
        on_epoch=on_epoch,
        progress=progress,
    )
    chosen = _best_thresholds(model, representation, seen, truths, kept, device=where)
    model.network.cpu()
    return replace(model, history=history, settings={**model.settings, "thresholds": chosen})


def _checked(
    images: Sequence[torch.Tensor | Array], labels: Sequence[torch.Tensor | Array]
) -> tuple[list[torch.Tensor], list[Labels]]:
    """Return images (1, [z,] y, x), normalized, and their labels."""
    if not images or len(images) != len(labels):
        raise ValueError(
            f"there are {len(images)} images and {len(labels)} label images: give at least one, and for each its "
            f"labels."
        )
    seen, truths = [], []
    for number, (image, truth) in enumerate(zip(images, labels, strict=True)):
        name = f"the labels of image {number}"
        values, whole = check_image(image, name=f"image {number}"), check_labels(truth, name=name)
        check_same_shape(whole, values, name=name, other_name="image")
        if values.ndim != np.ndim(images[0]):
            raise ValueError(
                f"image {number} has {values.ndim} axes, the first {np.ndim(images[0])}: train one network for planes "
                f"and another one for stacks."
            )
        seen.append(normalized(values, name=f"image {number}")[None])
        truths.append(relabelled(whole))
    if not any(whole.any() for whole in truths):
        raise ValueError("the labels are 0 everywhere: there is no object to learn from.")
    return seen, truths


def _largest(truths: Sequence[Labels]) -> list[int]:
    """Return the longest sides, ([z,] y, x), of the boxes around objects."""
    from scipy import ndimage

    boxes = [box for truth in truths for box in ndimage.find_objects(truth) if box is not None]
    return [max(box[axis].stop - box[axis].start for box in boxes) for axis in range(truths[0].ndim)]


def _smallest(truths: Sequence[Labels]) -> int:
    """Return the pixels, or voxels, that only one object in a hundred has fewer than."""
    areas = np.concatenate([np.bincount(truth.ravel())[1:] for truth in truths])
    return int(np.quantile(areas[areas > 0], SMALLEST))


def large_enough(labels: Labels, least_px: int) -> Labels:
    """Return the labels without objects of fewer pixels: noise, or what it split off.

    Examples
    --------
    >>> large_enough(np.array([[1, 1, 0, 2]], dtype=np.int32), 2)
    array([[1, 1, 0, 0]], dtype=int32)
    """
    return np.where((np.bincount(labels.ravel()) >= least_px)[labels], labels, 0).astype(np.int32)


def _best_thresholds(
    model: Model,
    representation: Representation,
    seen: Sequence[torch.Tensor],
    truths: Sequence[Labels],
    kept: Sequence[Region],
    *,
    device: torch.device,
) -> dict[str, Any]:
    """Return the thresholds with the highest mean average precision on what was kept apart."""
    places = [(region.image, tuple(map(slice, region.start, region.stop))) for region in kept]
    given = [maps_of(model, seen[image][0], box=place, device=device) for image, place in places]
    apart = [truths[image][place] for image, place in places]
    least_px = model.settings["smallest_object_px"]

    def precision(thresholds: dict[str, float]) -> float:
        found = [large_enough(representation.objects(maps, **thresholds), least_px) for maps in given]
        tables = contingencies(found, apart)
        matched = [
            ManyMatchings(tuple(table.match(iou_threshold=least) for table in tables)) for least in IOU_THRESHOLDS
        ]
        return sum(one.pooled.average_precision for one in matched)

    return max((dict(one) for one in representation.choices), key=precision)
