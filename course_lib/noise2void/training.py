r"""Train a network on noisy images alone: Noise2Void, N2V2, and structN2V.

The network :math:`f` sees an image in which some pixels are hidden (`course_lib.noise2void.masking`), and the loss
counts its errors at these pixels, against their *noisy* values :math:`y = s + n`:

.. math:: \mathrm{E}\,(f - y)^2 = \mathrm{E}\,(f - s)^2 + \mathrm{E}\,n^2 .

The mixed term is missing because the noise of a hidden pixel has nothing to do with what the network saw. So the least
loss is reached by the best guess of the *signal*; and at pixels that were never asked for in training, those kept apart
for validation, no honest loss falls below the variance of the noise. One that does has found a leak. The training loss
may fall farther, in a long training on a small image: then the network has learned its noise by heart.

With an extended mask (structN2V) the mean of the image is 0 to the network (``UNetConfig.centre``; of several channels
the mean over all), instead of its background. In three trainings on simulated streaks that brought 1.3 dB after 100
steps and 1.1 to 1.5 dB after 400; another scale, a farther radius, a smaller masked share and a lower learning rate did
not. The other methods neither gained nor lost more than their seeds differ, and are left as they were.

References
----------
.. [1] A. Krull, T.-O. Buchholz, F. Jug, "Noise2Void - learning denoising from single noisy images", CVPR (2019),
   arXiv:1811.10980.
.. [2] E. Höck, T.-O. Buchholz, A. Brachmann, F. Jug, A. Freytag, "N2V2 - fixing Noise2Void checkerboard artifacts with
   modified sampling strategies and a tweaked network architecture", ECCV Workshops (2022),
   doi:10.1007/978-3-031-25069-9_33.
.. [3] C. Broaddus, A. Krull, M. Weigert, U. Schmidt, G. Myers, "Removing structured noise with self-supervised
   blind-spot networks", ISBI (2020), doi:10.1109/ISBI45749.2020.9098336.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import torch
from torch import nn

from course_lib.networks import EpochRecord, Model, TrainingConfig, UNetConfig, random_views, shared_generator
from course_lib.networks.processes import own_device
from course_lib.noise2void._preparation import Prepared, frames_of, prepare
from course_lib.noise2void._settings import PatchSettings
from course_lib.noise2void.masking import Mask, draw_mask
from course_lib.parameters import parameter

__all__ = ["Config", "train"]

Batch = tuple[torch.Tensor, ...]


class Config(PatchSettings):
    """What is hidden, and from which network.

    Examples
    --------
    >>> Config(mask_extent_x=4).mask_extent
    (0, 4)
    >>> Config(neighborhood_radius=0)
    Traceback (most recent call last):
    course_lib.parameters.ParameterError: neighborhood_radius is 0 pixels, but must be from 1 to 32 pixels: ...
    """

    variant: str = parameter(
        default="noise2void",
        meaning="N2V2 replaces by the median, blurs before it halves the grid, and joins no finest level",
        choices=("noise2void", "noise2void2"),
    )
    masks: str = parameter(
        default="independent",
        meaning="whether each channel hides pixels of its own, or all hide the same: where their noise is shared",
        choices=("independent", "joint"),
    )
    masked_fraction: float = parameter(
        default=0.02, meaning="share of the pixels that are guessed in a step", minimum=1e-4, maximum=0.25
    )
    neighborhood_radius: int = parameter(
        default=5, meaning="farthest distance of what replaces a hidden pixel", unit="pixels", minimum=1, maximum=32
    )
    mask_extent_x: int = parameter(
        default=0, meaning="pixels to the left and right that are hidden, too", unit="pixels", minimum=0
    )
    mask_extent_y: int = parameter(
        default=0, meaning="pixels above and below that are hidden, too", unit="pixels", minimum=0
    )
    mask_extent_z: int = parameter(default=0, meaning="planes on both sides that are hidden, too", minimum=0)
    views: str = parameter(
        default="turned",
        meaning="sides from which patches are shown: also turned by quarters, unless the mask is longer one way than "
        "the other; only mirrored; or as they are",
        choices=("turned", "mirrored", "as they are"),
    )

    def __post_init__(self) -> None:
        """Check each value, and that something is left to be seen around a hidden pixel."""
        super().__post_init__()
        if self.dimensions == 2 and self.mask_extent_z:
            raise ValueError(f"mask_extent_z is {self.mask_extent_z}, but dimensions is 2: planes need dimensions=3.")
        if min(self.mask_extent) >= self.neighborhood_radius:
            raise ValueError(
                f"mask_extent is {self.mask_extent}, but neighborhood_radius {self.neighborhood_radius} must reach "
                f"beyond it along at least one axis: make the radius larger than {min(self.mask_extent)}."
            )

    @property
    def mask_extent(self) -> tuple[int, ...]:
        """How far from a centre pixels are hidden with it, along each axis."""
        return (self.mask_extent_z, self.mask_extent_y, self.mask_extent_x)[-self.dimensions :]

    @property
    def network(self) -> UNetConfig:
        """The network that belongs to the variant."""
        if self.variant == "noise2void":
            return super().network
        return super().network.replace(pooling="blur", skips="not the finest")


class _BlindSpot:
    """Learns hidden pixels from those that are seen: batches are what is seen, the centres, and their noisy values."""

    def __init__(self, prepared: Prepared, config: Config) -> None:
        self.prepared, self.config = prepared, config
        self.turn = config.views == "turned" and config.mask_extent_x == config.mask_extent_y

    def training_batch(self, count: int, *, rng: torch.Generator, rank: int, ranks: int) -> Batch:
        (images,) = self.prepared.training.draw(count, rng=rng, rank=rank, ranks=ranks)
        if self.config.views != "as they are":
            (images,) = random_views((images,), rng=rng, turn=self.turn, flip_planes=False, rank=rank, ranks=ranks)
        return self._hide(images, self._mask(count, rng).every(ranks, start=rank))

    def validation_batches(self, batch_size: int, *, rank: int, ranks: int) -> Iterator[Batch]:
        number = rank
        for (images,) in self.prepared.validation.each(batch_size, rank=rank, ranks=ranks):
            hidden = []
            for image in images:  # each by a draw of its own, the same in every epoch and for any number of processes
                hidden.append(self._hide(image[None], self._mask(1, torch.Generator().manual_seed(number))))
                number += ranks
            yield tuple(torch.cat(each) for each in zip(*hidden, strict=True))

    def _mask(self, count: int, rng: torch.Generator) -> Mask:
        joint = self.config.masks == "joint"
        mask = draw_mask(
            count,
            1 if joint else self.config.channels,
            self.config.patch_shape,
            masked_fraction=self.config.masked_fraction,
            neighborhood_radius=self.config.neighborhood_radius,
            mask_extent=self.config.mask_extent,
            rng=rng,
        )
        return mask.in_all_channels(self.config.channels) if joint else mask

    def _hide(self, images: torch.Tensor, mask: Mask) -> Batch:
        normalized = self.prepared.normalized(images)
        seen = mask.median(normalized) if self.config.variant == "noise2void2" else mask.uniform(normalized)
        return seen, mask.centers.to(images.device), mask.at_centers(normalized)

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        seen, centers, values = batch
        guessed: torch.Tensor = network(seen).flatten(2).gather(2, centers)
        return (guessed - values).square().flatten(1).mean(1)


def train(
    images: torch.Tensor | Sequence[torch.Tensor],
    config: Config | None = None,
    training: TrainingConfig | None = None,
    *,
    rng: int | torch.Generator | None,
    device: str | torch.device = "auto",
    state_path: str | os.PathLike[str] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: bool = True,
) -> Model:
    """Train a network on noisy images alone; it can then restore these and others of the same kind.

    Parameters
    ----------
    images : torch.Tensor or sequence of torch.Tensor
        Noisy images, (..., [Z,] Y, X), of several channels (..., C, [Z,] Y, X). Leading axes, such as time, are further
        examples of the same field. Of five images or more, whole ones are kept apart for validation; of fewer, a band.
    config : Config, optional
        What is hidden, and from which network. Noise that correlates between neighbours must be hidden with them:
        `course_lib.noise.detect_structure` tells how far it reaches.
    training : TrainingConfig, optional
        How long and how fast.
    rng : int, torch.Generator or None
        Seed of the split, the first weights and all draws.
    device, state_path, on_epoch, progress
        See `course_lib.networks.fit`.

    Returns
    -------
    Model
        On the CPU, in the unit of the images. It sees the pixel that it restores: only in training was it hidden.

    Raises
    ------
    ValueError
        If there is no image, one is constant, not finite or smaller than its patches, or its axes do not fit.

    Examples
    --------
    >>> from course_lib import samples
    >>> scene = 30 * samples.filaments((64, 128), voxel_size_um=(0.1, 0.1), count=30, rng=0)
    >>> noisy = torch.poisson(scene + 2, generator=torch.Generator().manual_seed(0))
    >>> model = train(
    ...     noisy,
    ...     Config(patch_side=32, base_channels=4, depth=1),
    ...     TrainingConfig(epochs=1, steps_per_epoch=2, batch_size=2),
    ...     rng=0,
    ...     device="cpu",
    ...     progress=False,
    ... )
    >>> model.predict(noisy, device="cpu").shape
    torch.Size([64, 128])
    """
    config, training = config or Config(), training or TrainingConfig()
    if rng is None and state_path is not None:
        raise ValueError("rng is None, but only a training with a seed can go on after a break: pass a number.")
    where, draws = own_device(device), shared_generator(rng)
    frames, samples = frames_of(images, dimensions=config.dimensions, channels=config.channels)
    prepared = prepare(
        frames,
        samples,
        config.network,
        method=config.variant,
        patch_shape=config.patch_shape,
        validation_share=config.validation_share,
        settings={"noise2void": asdict(config), "training": asdict(training)},
        rng=draws,
        device=where,
        centred=any(config.mask_extent),
    )
    return prepared.taught(
        _BlindSpot(prepared, config),
        training,
        rng=draws,
        device=where,
        state_path=state_path,
        on_epoch=on_epoch,
        progress=progress,
    )
