r"""Learn from repeated frames of a still scene: Noise2Noise.

Two frames :math:`a = s + n_1` and :math:`b = s + n_2` show the same signal with other noise. A network that sees
:math:`a` and is asked for :math:`b` pays

.. math:: \mathrm{E}\,(f(a) - b)^2 = \mathrm{E}\,(f(a) - s)^2 + \mathrm{E}\,n_2^2 ,

because :math:`n_2` has mean 0 and nothing to do with :math:`a`. So it learns the same as from a clean target, only from
more examples [1]_. Nothing is hidden, the noise need not be that of photons, and may correlate between pixels, as long
as it does not from frame to frame.

**The scene must be still.** Whatever differs between the frames is taken for noise: a network that learns from a scene
that moves gives its average over the moves, blurred, and no loss tells. Bring frames of a drifting stage into register
first, with `course_lib.care.register`, and look at the difference of the first and the last frame: it must be noise.
Fixed patterns of the camera are in all frames, and are kept.

References
----------
.. [1] J. Lehtinen, J. Munkberg, J. Hasselgren, S. Laine, T. Karras, M. Aittala, T. Aila, "Noise2Noise: learning image
   restoration without clean data", ICML (2018), arXiv:1803.04189.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace

import torch
from torch import nn

from course_lib.networks import EpochRecord, Model, Patches, TrainingConfig, random_views, shared_generator
from course_lib.networks.processes import own_device
from course_lib.noise2void._preparation import Prepared, frames_of, prepare
from course_lib.noise2void._settings import PatchSettings

__all__ = ["Noise2NoiseConfig", "train_noise2noise"]

Batch = tuple[torch.Tensor, ...]


class Noise2NoiseConfig(PatchSettings):
    """Which patches are shown, and to which network.

    Examples
    --------
    >>> Noise2NoiseConfig(dimensions=3).patch_shape
    (8, 64, 64)
    """


class _Repeats:
    """Learns one frame from another: batches are both, normalized."""

    def __init__(self, prepared: Prepared, views: str, *, repeats: int) -> None:
        self.prepared, self.views, self.repeats = prepared, views, repeats
        self.training, self.validation = (_together(one, repeats) for one in (prepared.training, prepared.validation))

    def training_batch(self, count: int, *, rng: torch.Generator, rank: int, ranks: int) -> Batch:
        frames = torch.stack(self.training.draw(count, rng=rng, rank=rank, ranks=ranks))
        seen = torch.randint(self.repeats, (count,), generator=rng)[rank::ranks]
        later = torch.randint(1, self.repeats, (count,), generator=rng)[rank::ranks]
        pair = self._pair(frames, seen, later)
        if self.views == "as they are":
            return pair
        return random_views(pair, rng=rng, turn=self.views == "turned", flip_planes=False, rank=rank, ranks=ranks)

    def validation_batches(self, batch_size: int, *, rank: int, ranks: int) -> Iterator[Batch]:
        first = rank
        for batch in self.validation.each(batch_size, rank=rank, ranks=ranks):
            frames = torch.stack(batch)
            seen = first + ranks * torch.arange(frames.shape[1])
            yield self._pair(frames, seen, torch.ones_like(seen))
            first += ranks * frames.shape[1]

    def _pair(self, frames: torch.Tensor, seen: torch.Tensor, later: torch.Tensor) -> Batch:
        """Return, of `frames` (T, N, C, ...), the one that is seen, and the one that comes so much later, in a ring."""
        examples = torch.arange(frames.shape[1])
        return tuple(
            self.prepared.normalized(frames[number % self.repeats, examples]) for number in (seen, seen + later)
        )

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        seen, target = batch
        squares: torch.Tensor = (network(seen) - target).square()
        return squares.flatten(1).mean(1)


def _together(patches: Patches, repeats: int) -> Patches:
    """Return patches of all frames of a scene together, from patches of single ones in which they follow each other."""
    frames = [frame for (frame,) in patches.images]
    return Patches(
        [tuple(frames[first : first + repeats]) for first in range(0, len(frames), repeats)],
        [replace(one, image=one.image // repeats) for one in patches.regions if one.image % repeats == 0],
        patch_shape=patches.patch_shape,
        device=patches.device,
    )


def train_noise2noise(
    frames: torch.Tensor | Sequence[torch.Tensor],
    config: Noise2NoiseConfig | None = None,
    training: TrainingConfig | None = None,
    *,
    rng: int | torch.Generator | None,
    device: str | torch.device = "auto",
    state_path: str | os.PathLike[str] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: bool = True,
) -> Model:
    """Train a network on repeated frames of still scenes: from one frame to another, drawn at random, both ways.

    Parameters
    ----------
    frames : torch.Tensor or sequence of torch.Tensor
        Noisy frames of one scene, (T, [C,] [Z,] Y, X), in register and of equal brightness, or such for several scenes,
        of one T, at least 2. Of five scenes or more, whole ones are kept apart for validation; of fewer, a band. That
        nothing moves between the frames is not checked: see above.
    config : Noise2NoiseConfig, optional
        Which patches are shown, and to which network.
    training : TrainingConfig, optional
        How long and how fast.
    rng : int, torch.Generator or None
        Seed of the split, the first weights and all draws.
    device, state_path, on_epoch, progress
        See `course_lib.networks.fit`.

    Returns
    -------
    Model
        On the CPU, in the unit of the frames. It restores single frames, of which it has learned the noise: to restore
        the scene, average its answers, ``model.predict(frames).mean(dim=0)``, not its input.

    Raises
    ------
    ValueError
        If a scene has one frame only, or another number than the first, a frame is constant, not finite or smaller than
        its patches, or its axes do not fit.

    Examples
    --------
    >>> from course_lib import samples
    >>> scene = 30 * samples.filaments((64, 128), voxel_size_um=(0.1, 0.1), count=30, rng=0)
    >>> frames = scene + 5 * torch.randn((4, 64, 128), generator=torch.Generator().manual_seed(0))
    >>> model = train_noise2noise(
    ...     frames,
    ...     Noise2NoiseConfig(patch_side=32, base_channels=4, depth=1),
    ...     TrainingConfig(epochs=1, steps_per_epoch=2, batch_size=2),
    ...     rng=0,
    ...     device="cpu",
    ...     progress=False,
    ... )
    >>> model.predict(frames, device="cpu").mean(dim=0).shape
    torch.Size([64, 128])
    """
    config, training = config or Noise2NoiseConfig(), training or TrainingConfig()
    if rng is None and state_path is not None:
        raise ValueError("rng is None, but only a training with a seed can go on after a break: pass a number.")
    where, draws = own_device(device), shared_generator(rng)
    single, scenes = frames_of(frames, dimensions=config.dimensions, channels=config.channels)
    repeats = scenes.count(0)
    for scene in range(scenes[-1] + 1):
        if scenes.count(scene) != repeats or repeats < 2:
            raise ValueError(
                f"scene {scene} has {scenes.count(scene)} frame(s) and scene 0 {repeats}, but each needs the same "
                f"number, at least 2: give more frames, or use train, which needs one."
            )
    prepared = prepare(
        single,
        scenes,
        config.network,
        method="noise2noise",
        patch_shape=config.patch_shape,
        validation_share=config.validation_share,
        settings={"noise2noise": asdict(config), "training": asdict(training)},
        rng=draws,
        device=where,
    )
    return prepared.taught(
        _Repeats(prepared, config.views, repeats=repeats),
        training,
        rng=draws,
        device=where,
        state_path=state_path,
        on_epoch=on_epoch,
        progress=progress,
    )
