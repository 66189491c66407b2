"""From the reader's images to a network, its normalization and its patches: the same for all that learns from noise."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from course_lib.axes import check_spatial
from course_lib.images import PercentileNormalization
from course_lib.images.journal import fingerprint
from course_lib.networks import (
    EpochRecord,
    Model,
    Patches,
    Region,
    Task,
    TrainingConfig,
    UNet,
    UNetConfig,
    fit,
    split_regions,
)

__all__ = ["Prepared", "frames_of", "prepare"]

MOST_FITTED = 2**24
"""Pixels of a channel, evenly chosen, to whose percentiles the normalization is fitted."""


def frames_of(
    images: torch.Tensor | Sequence[torch.Tensor], *, dimensions: int, channels: int
) -> tuple[list[torch.Tensor], list[int]]:
    """Return the frames, each (C, [Z,] Y, X), and for each the number of the image that it is from."""
    given = [images] if isinstance(images, torch.Tensor) else list(images)
    if not given:
        raise ValueError("there is no image to learn from: give at least one.")
    axes = f"(..., {'C, ' if channels > 1 else ''}{'Z, ' if dimensions == 3 else ''}Y, X)"
    frames: list[torch.Tensor] = []
    samples: list[int] = []
    for number, image in enumerate(given):
        check_spatial(image, dimensions, name=f"image {number}")
        whole = image.unsqueeze(-dimensions - 1) if channels == 1 else image
        if whole.ndim < dimensions + 1 or whole.shape[-dimensions - 1] != channels:
            raise ValueError(
                f"image {number} has shape {tuple(image.shape)}, but is to be read as {axes} with {channels} "
                f"channel(s): set channels and dimensions of the configuration."
            )
        if dimensions == 3 and whole.shape[-3] == 1:
            raise ValueError(f"image {number} has 1 plane, too few for a 3D network: pass dimensions=2.")
        if not bool(whole.isfinite().all()):
            raise ValueError(f"image {number} has values that are NaN or infinite: replace or crop them first.")
        frames.extend(whole.reshape(-1, *whole.shape[-dimensions - 1 :]))
        samples.extend([number] * (len(frames) - len(samples)))
    for number, frame in zip(samples, frames, strict=True):
        for channel, values in enumerate(frame):
            if float(values.min()) == float(values.max()):
                raise ValueError(
                    f"channel {channel} of image {number} is {float(values.min()):g} everywhere: there is no noise to "
                    f"learn from. Take another channel, or leave this image out."
                )
    return frames, samples


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a training needs.

    Attributes
    ----------
    model : Model
        Not trained yet.
    training, validation : Patches
        Of fields of one image each; they have no pixel in common.
    settings : dict
        What tells this training from others.
    """

    model: Model
    training: Patches
    validation: Patches
    settings: dict[str, Any]

    def normalized(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (N, C, [Z,] Y, X) as the network sees them."""
        channels = zip(images.unbind(1), self.model.input_normalization, strict=True)
        return torch.stack([one.apply(channel) for channel, one in channels], dim=1)

    def taught(
        self,
        task: Task,
        training: TrainingConfig,
        *,
        rng: torch.Generator,
        device: torch.device,
        state_path: str | os.PathLike[str] | None,
        on_epoch: Callable[[EpochRecord], None] | None,
        progress: bool,
    ) -> Model:
        """Return the model, trained for `task`, on the CPU: see `course_lib.networks.fit`."""
        history = fit(
            self.model.network,
            task,
            training,
            rng=rng,
            device=device,
            state_path=state_path,
            settings=self.settings,
            on_epoch=on_epoch,
            progress=progress,
        )
        self.model.network.cpu()
        return replace(self.model, history=history)


def prepare(
    frames: Sequence[torch.Tensor],
    samples: Sequence[int],
    shape: UNetConfig,
    *,
    method: str,
    patch_shape: tuple[int, ...],
    validation_share: float,
    settings: dict[str, Any],
    rng: torch.Generator,
    device: torch.device,
    centred: bool = False,
) -> Prepared:
    """Split, normalize by what is learned from, and draw a network; to a centred one the mean of all channels is 0."""
    if any(side % step for side, step in zip(patch_shape, shape.steps, strict=True)):
        raise ValueError(
            f"patches are {patch_shape}, but a network that halves the grid {shape.depth} times needs multiples of "
            f"{shape.steps}: change patch_side, patch_planes or depth."
        )
    learned, kept = split_regions(
        frames,
        patch_shape=patch_shape,
        samples=list(samples),
        validation_share=validation_share,
        rng=rng,
    )
    values = _learned_values(frames, learned)
    normalization = tuple(PercentileNormalization().fit(channel[None]) for channel in values)
    if centred:
        means = [float(one.apply(channel.mean())) for one, channel in zip(normalization, values, strict=True)]
        shape = shape.replace(centre=sum(means) / len(means))
    on_device = [(frame.to(device, torch.float32),) for frame in frames]
    return Prepared(
        model=Model(
            network=UNet(shape, rng=rng),
            method=method,
            input_normalization=normalization,
            output_normalization=normalization,
            settings=settings,
        ),
        training=Patches(on_device, learned, patch_shape=patch_shape, device=device),
        validation=Patches(on_device, kept, patch_shape=patch_shape, device=device),
        settings={
            **settings,
            "kept apart": [str(region) for region in kept],
            "images": [fingerprint(frame) for frame in frames],
        },
    )


def _learned_values(frames: Sequence[torch.Tensor], regions: Sequence[Region]) -> torch.Tensor:
    """Return values of what is learned from, (C, values), evenly chosen where there are too many."""
    learned = [
        frames[region.image][(slice(None), *map(slice, region.start, region.stop))].flatten(1) for region in regions
    ]
    step = max(1, sum(one.shape[1] for one in learned) // MOST_FITTED)
    return torch.cat([one[:, ::step] for one in learned], dim=1).float()
