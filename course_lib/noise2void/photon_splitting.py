r"""Learn to restore photon counts from the counts themselves: split the photons, and predict one part from the other.

A count :math:`y` is Poisson around the signal :math:`s`. If each of its photons is shown with probability :math:`p` and
kept back otherwise, what is shown, :math:`v`, and the rest, :math:`r = y - v`, are Poisson with means :math:`ps` and
:math:`(1 - p)s`, and independent of each other for a given :math:`s` (`course_lib.noise.split_photons`). So a network
:math:`f` that sees :math:`v / p` and is asked for :math:`r / (1 - p)` is trained by a target that is right on average
and whose noise it cannot know. (The idea is that of [1]_, who ask for the place of the next photon, by cross-entropy;
the squared error of a split is this library's.)

.. math::

    \mathrm{E}\left(f - \tfrac{r}{1 - p}\right)^2 = \mathrm{E}\,(f - s)^2 + \frac{\mathrm{E}\,s}{1 - p} ,

which is least for the mean of :math:`s` given :math:`v`. No pixel need be hidden: its own photons help to tell its
signal, which is what Noise2Void must do without [2]_.

The share :math:`p` is drawn anew for each example. The variance of the target, :math:`s / (1 - p)`, grows where few
photons are kept back, so that the squared error is weighted with :math:`1 - p`: then each example is as noisy as any
other, as in a least-squares fit of measurements of unequal variance. In the end *all* photons are shown, :math:`p = 1`,
an image less noisy than any of the training, but only a little less than the best of them.

References
----------
.. [1] A. Krull, H. Basevi, B. Salmon, A. Zeug, F. Müller, S. Tonks, L. Muppala, A. Leonardis, "Image denoising and the
   generative accumulation of photons", WACV (2024) 1517-1526, arXiv:2307.06607.
.. [2] A. Krull, T.-O. Buchholz, F. Jug, "Noise2Void - learning denoising from single noisy images", CVPR (2019),
   arXiv:1811.10980.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import torch
from torch import nn

from course_lib.networks import EpochRecord, Model, TrainingConfig, random_views, shared_generator
from course_lib.networks.processes import own_device
from course_lib.noise.splitting import checked_photons
from course_lib.noise2void._preparation import Prepared, frames_of, prepare
from course_lib.noise2void._settings import PatchSettings
from course_lib.parameters import parameter

__all__ = ["SplittingConfig", "train_photon_splitting"]

Batch = tuple[torch.Tensor, ...]


class SplittingConfig(PatchSettings):
    """How many photons are shown, and to which network.

    Notes
    -----
    The least share was chosen on the third frame of the hazelnut, in one short training each (200 steps of 8 patches,
    16 features, one seed): 35.2 dB for 0.5, 34.8 for 0.2 and 34.9 for 0.8, which is a hint rather than a proof.

    Examples
    --------
    >>> SplittingConfig(least_share=0.2).patch_shape
    (64, 64)
    >>> SplittingConfig(least_share=1)
    Traceback (most recent call last):
    course_lib.parameters.ParameterError: least_share is 1, but must be from 0.01 to 0.99: of the photons that ...
    """

    least_share: float = parameter(
        default=0.5,
        meaning="of the photons that are shown; shares are drawn evenly between it and 1",
        minimum=0.01,
        maximum=0.99,
    )


class _Splitting:
    """Learns the photons kept back from those shown: batches are both, a photon's worth each, and the share kept."""

    def __init__(self, prepared: Prepared, config: SplittingConfig) -> None:
        self.prepared, self.config = prepared, config

    def training_batch(self, count: int, *, rng: torch.Generator, rank: int, ranks: int) -> Batch:
        (counts,) = self.prepared.training.draw(count, rng=rng, rank=rank, ranks=ranks)
        if self.config.views != "as they are":
            turn = self.config.views == "turned"
            (counts,) = random_views((counts,), rng=rng, turn=turn, flip_planes=False, rank=rank, ranks=ranks)
        seeds = torch.randint(2**62, (count,), generator=rng)
        return self._split(counts, seeds[rank::ranks].tolist())

    def validation_batches(self, batch_size: int, *, rank: int, ranks: int) -> Iterator[Batch]:
        first = rank
        for (counts,) in self.prepared.validation.each(batch_size, rank=rank, ranks=ranks):
            after = first + ranks * len(counts)
            yield self._split(counts, range(first, after, ranks))  # the same in every epoch
            first = after

    def _split(self, counts: torch.Tensor, seeds: Sequence[int]) -> Batch:
        """Split each example by a share and draws of its own, the same for any number of processes."""
        kept_shares, shown = [], []
        for photons, seed in zip(counts, seeds, strict=True):
            draws = torch.Generator().manual_seed(seed)
            drawn = 1 - float(torch.rand((), generator=draws, dtype=torch.float64))  # never 0
            kept_shares.append((1 - self.config.least_share) * drawn)
            there = torch.Generator(counts.device).manual_seed(seed)
            shown.append(torch.binomial(photons, torch.full_like(photons, 1 - kept_shares[-1]), generator=there))
        kept = torch.tensor(kept_shares, device=counts.device).view(-1, *[1] * (counts.ndim - 1))
        seen = torch.stack(shown)
        normalized = self.prepared.normalized
        return normalized(seen / (1 - kept)), normalized((counts - seen) / kept), kept

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        seen, target, kept = batch
        squares: torch.Tensor = kept * (network(seen) - target).square()
        return squares.flatten(1).mean(1)


def train_photon_splitting(
    counts: torch.Tensor | Sequence[torch.Tensor],
    config: SplittingConfig | None = None,
    training: TrainingConfig | None = None,
    *,
    rng: int | torch.Generator | None,
    device: str | torch.device = "auto",
    state_path: str | os.PathLike[str] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: bool = True,
) -> Model:
    """Train a network on photon counts alone; it can then restore these and others of the same kind.

    Parameters
    ----------
    counts : torch.Tensor or sequence of torch.Tensor
        Photon counts of any dtype, (..., [Z,] Y, X), of several channels (..., C, [Z,] Y, X). Leading axes, such as
        time, are further examples of the same field. Of five images or more, whole ones are kept apart for validation;
        of fewer, a band. How to turn a camera image into counts: see `course_lib.noise.split_photons`.
    config : SplittingConfig, optional
        How many photons are shown, and to which network.
    training : TrainingConfig, optional
        How long and how fast.
    rng : int, torch.Generator or None
        Seed of the split, the first weights and all draws.
    device, state_path, on_epoch, progress
        See `course_lib.networks.fit`.

    Returns
    -------
    Model
        On the CPU, for the counts as they are, from photons to photons.

    Raises
    ------
    ValueError
        If a count is negative, not whole or not finite, there is no image, one is constant or smaller than its patches,
        or its axes do not fit.

    Notes
    -----
    The noise must be that of photons: noise of the camera goes into both parts, and is kept.

    Examples
    --------
    >>> from course_lib import samples
    >>> scene = 30 * samples.filaments((64, 128), voxel_size_um=(0.1, 0.1), count=30, rng=0)
    >>> counts = torch.poisson(scene + 2, generator=torch.Generator().manual_seed(0))
    >>> model = train_photon_splitting(
    ...     counts,
    ...     SplittingConfig(patch_side=32, base_channels=4, depth=1),
    ...     TrainingConfig(epochs=1, steps_per_epoch=2, batch_size=2),
    ...     rng=0,
    ...     device="cpu",
    ...     progress=False,
    ... )
    >>> model.predict(counts, device="cpu").shape
    torch.Size([64, 128])
    """
    config, training = config or SplittingConfig(), training or TrainingConfig()
    if rng is None and state_path is not None:
        raise ValueError("rng is None, but only a training with a seed can go on after a break: pass a number.")
    where, draws = own_device(device), shared_generator(rng)
    given = [counts] if isinstance(counts, torch.Tensor) else list(counts)
    alone = isinstance(counts, torch.Tensor)
    photons = [checked_photons(one, name="counts" if alone else f"counts[{k}]") for k, one in enumerate(given)]
    frames, samples = frames_of(photons, dimensions=config.dimensions, channels=config.channels)
    prepared = prepare(
        frames,
        samples,
        config.network,
        method="photon splitting",
        patch_shape=config.patch_shape,
        validation_share=config.validation_share,
        settings={"photon splitting": asdict(config), "training": asdict(training)},
        rng=draws,
        device=where,
    )
    return prepared.taught(
        _Splitting(prepared, config),
        training,
        rng=draws,
        device=where,
        state_path=state_path,
        on_epoch=on_epoch,
        progress=progress,
    )
