"""Train a network that makes a noisy image look like a clean one: content-aware image restoration.

References
----------
.. [1] M. Weigert et al., "Content-aware image restoration: pushing the limits of fluorescence microscopy", Nature
   Methods 15, 1090-1097 (2018), doi:10.1038/s41592-018-0216-7.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace

import torch
from torch import nn

from course_lib.care.losses import LOSSES
from course_lib.care.pairs import Pair
from course_lib.care.pairs_on_disk import PairOnDisk, StoredField
from course_lib.images import Normalization, PercentileNormalization
from course_lib.images.journal import fingerprint
from course_lib.networks import (
    EpochRecord,
    Model,
    Patches,
    Region,
    Sliceable,
    TrainingConfig,
    UNet,
    UNetConfig,
    fit,
    random_views,
    shared_generator,
    split_regions,
)
from course_lib.networks.processes import own_device
from course_lib.parameters import Parameters, parameter

__all__ = ["Config", "train"]

Batch = tuple[torch.Tensor, ...]

MOST_FITTED = 2**24
"""Pixels of a channel, evenly chosen, to whose percentiles the normalization is fitted."""
MOST_AT_ONCE = 2**22
"""Pixels of a channel that are read at a time to choose them."""


class Config(Parameters):
    """What a CARE network is, and which patches it sees.

    Examples
    --------
    >>> Config(loss="mse").depth
    2
    """

    patch_side: int = parameter(default=64, meaning="rows and columns of a patch", unit="pixels", minimum=8)
    patch_planes: int = parameter(default=16, meaning="planes of a patch of a stack", minimum=2)
    depth: int = parameter(default=2, meaning="how often the network halves the grid", minimum=1, maximum=6)
    base_channels: int = parameter(default=32, meaning="features on the finest grid", minimum=1)
    planes_halved: int = parameter(default=2, meaning="how often, at most, the planes are halved, too", minimum=0)
    loss: str = parameter(default="mae", meaning="what being wrong costs", choices=("mae", "mse", "probabilistic"))
    learns: str = parameter(default="the change", meaning="what the network gives", choices=("the image", "the change"))
    views: str = parameter(
        default="turned",
        meaning="sides from which patches are shown: also turned by quarters, only mirrored where noise or structures "
        "have a direction, or as they are",
        choices=("turned", "mirrored", "as they are"),
    )
    foreground_share: float = parameter(
        default=0.0, meaning="leaves out dark patches: 0 none, 1 all but the brightest", minimum=0, maximum=1
    )
    validation_share: float = parameter(
        default=0.1, meaning="of the images, or of each image, that is kept apart", minimum=0.01, maximum=0.5
    )


class _Restoration:
    """Learns targets from images, both normalized, patch by patch."""

    def __init__(self, training: Patches, validation: Patches, model: Model, *, loss: str, views: str) -> None:
        self.training, self.validation, self.loss_of = training, validation, LOSSES[loss]
        self.normalizations = (model.input_normalization, model.output_normalization)
        self.views = views

    def _normalized(self, batch: Batch) -> Batch:
        return tuple(
            torch.stack([one.apply(channel) for one, channel in zip(each, images.unbind(1), strict=True)], dim=1)
            for images, each in zip(batch, self.normalizations, strict=True)
        )

    def training_batch(self, count: int, *, rng: torch.Generator, rank: int, ranks: int) -> Batch:
        drawn = self._normalized(self.training.draw(count, rng=rng, rank=rank, ranks=ranks))
        if self.views == "as they are":
            return drawn
        turn = self.views == "turned"
        return random_views(drawn, rng=rng, turn=turn, flip_planes=False, rank=rank, ranks=ranks)

    def validation_batches(self, batch_size: int, *, rank: int, ranks: int) -> Iterator[Batch]:
        for batch in self.validation.each(batch_size, rank=rank, ranks=ranks):
            yield self._normalized(batch)

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        image, target = batch
        return self.loss_of(network(image), target)


def train(
    pairs: Sequence[Pair | PairOnDisk],
    config: Config | None = None,
    training: TrainingConfig | None = None,
    *,
    rng: int | torch.Generator | None,
    device: str | torch.device = "auto",
    state_path: str | os.PathLike[str] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: bool = True,
) -> Model:
    """Train a network on pairs of a noisy and a clean image.

    Parameters
    ----------
    pairs : sequence of Pair or PairOnDisk
        All of the same channels and dimensions; of those on disk only patches are read. Of five samples or more, whole
        ones are kept apart for validation; of fewer, a band of each, of typical brightness. Use `Pair.scaled` or
        `Pair.matched` where doses differ.
    config : Config, optional
        The network and its patches.
    training : TrainingConfig, optional
        How long and how fast.
    rng : int, torch.Generator or None
        Seed of the split, the first weights and all draws.
    device, state_path, on_epoch, progress
        See `course_lib.networks.fit`.

    Returns
    -------
    Model
        On the CPU. A probabilistic model gives, for each channel, the mean, and then, for each, the mean absolute error
        that it expects.

    Raises
    ------
    ValueError
        If there is no pair, pairs differ in channels or dimensions, or an image is too small for its patches.

    Examples
    --------
    >>> from course_lib import care, samples
    >>> counts = torch.poisson(30 * samples.filaments((64, 128), voxel_size_um=(0.1, 0.1), count=30, rng=0))
    >>> pair = care.thinned_pair(counts[None], fraction=0.2, rng=0).scaled()
    >>> model = train(
    ...     [pair],
    ...     Config(patch_side=32, base_channels=4, depth=1),
    ...     TrainingConfig(epochs=1, steps_per_epoch=2, batch_size=2),
    ...     rng=0,
    ...     device="cpu",
    ...     progress=False,
    ... )
    >>> model.predict(pair.image[0], device="cpu").shape
    torch.Size([64, 128])
    """
    config, training = config or Config(), training or TrainingConfig()
    if rng is None and state_path is not None:
        raise ValueError("rng is None, but only a training with a seed can go on after a break: pass a number.")
    where, draw = own_device(device), shared_generator(rng)
    fields = [_fields(pair) for pair in pairs]
    first = _check(fields)
    sides = first[0].shape[1:]
    patch_shape = (config.patch_side,) * 2 if len(sides) == 2 else (config.patch_planes, *(config.patch_side,) * 2)
    learned, kept = split_regions(
        [target for _, target in fields],
        patch_shape=patch_shape,
        samples=[index if pair.sample is None else pair.sample for index, pair in enumerate(pairs)],
        validation_share=config.validation_share,
        rng=draw,
    )
    shape = _network_config(*first, config)
    if any(side % step for side, step in zip(patch_shape, shape.steps, strict=True)):
        raise ValueError(
            f"patches are {patch_shape}, but a network that halves the grid {config.depth} times needs multiples of "
            f"{shape.steps}: change patch_side, patch_planes or depth."
        )
    model = Model(
        network=UNet(shape, rng=draw),
        method="care",
        input_normalization=_normalizations([image for image, _ in fields], learned),
        output_normalization=_normalizations([target for _, target in fields], learned),
        settings={"care": asdict(config), "training": asdict(training), "pairs": len(pairs)},
    )
    images = [tuple(_on_device(one, where) for one in each) for each in fields]
    task = _Restoration(
        Patches(images, learned, patch_shape=patch_shape, foreground_share=config.foreground_share, device=where),
        Patches(images, kept, patch_shape=patch_shape, device=where),
        model,
        loss=config.loss,
        views=config.views,
    )
    history = fit(
        model.network,
        task,
        training,
        rng=draw,
        device=where,
        state_path=state_path,
        settings={
            **asdict(config),
            "kept apart": [str(region) for region in kept],
            "images": [_fingerprint(one) for each in fields for one in each],
        },
        on_epoch=on_epoch,
        progress=progress,
    )
    model.network.cpu()
    return replace(model, history=history)


def _fields(pair: Pair | PairOnDisk) -> tuple[Sliceable, Sliceable]:
    """Return image and target, (C, [Z,] Y, X), in memory or on disk."""
    if isinstance(pair, PairOnDisk):
        return StoredField(pair.image), StoredField(pair.target)
    return pair.image, pair.target


def _on_device(image: Sliceable, device: torch.device) -> Sliceable:
    return image.to(device, torch.float32) if isinstance(image, torch.Tensor) else image


def _fingerprint(image: Sliceable) -> str:
    if isinstance(image, StoredField):
        at = image.image.path.stat()
        return f"{image.image.path.name}, {at.st_size} bytes of {at.st_mtime_ns}"
    return fingerprint(image[:])


def _check(fields: Sequence[tuple[Sliceable, Sliceable]]) -> tuple[Sliceable, Sliceable]:
    """Return the first pair, after a look at the others."""
    if not fields:
        raise ValueError("there is no pair to learn from: give at least one.")
    first = fields[0]
    for index, pair in enumerate(fields):
        for name, one, like in zip(("image", "target"), pair, first, strict=True):
            if len(one.shape) != len(like.shape) or one.shape[0] != like.shape[0]:
                raise ValueError(
                    f"the {name} of pair {index} has shape {tuple(one.shape)}, that of the first {tuple(like.shape)}: "
                    f"all need the same channels and the same number of axes, (C, [Z,] Y, X)."
                )
    if len(first[0].shape) == 4 and first[0].shape[1] == 1:
        raise ValueError("the images are stacks of 1 plane: give planes, (C, Y, X), to train a 2D network.")
    return first


def _network_config(image: Sliceable, target: Sliceable, config: Config) -> UNetConfig:
    return UNetConfig(
        dimensions=len(image.shape) - 1,
        in_channels=image.shape[0],
        out_channels=target.shape[0],
        depth=config.depth,
        base_channels=config.base_channels,
        planes_halved=config.planes_halved,
        learns=config.learns,
        gives="values and errors" if config.loss == "probabilistic" else "values",
    )


def _normalizations(images: Sequence[Sliceable], regions: Sequence[Region]) -> tuple[Normalization, ...]:
    """Return one normalization a channel, fitted to what is learned from, and to nothing that is kept apart."""
    step = max(1, sum(math.prod(region.sides) for region in regions) // MOST_FITTED)
    parts = []
    for region in regions:
        first, last = region.start[0], region.stop[0]
        rest = tuple(map(slice, region.start[1:], region.stop[1:]))
        rows = max(1, MOST_AT_ONCE // math.prod(region.sides[1:]))
        for low in range(first, last, rows):  # a few planes, or rows, at a time, because all may not fit into memory
            read = images[region.image][(slice(None), slice(low, min(low + rows, last)), *rest)]
            parts.append(read.flatten(1)[:, ::step].float())
    return tuple(PercentileNormalization().fit(channel[None]) for channel in torch.cat(parts, dim=1))
