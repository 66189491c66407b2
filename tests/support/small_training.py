"""A training small enough for tests; as a script, it trains and saves the weights: python small_training.py TARGET."""

import sys
from collections.abc import Iterator

import torch
from torch import distributed, nn

from course_lib.networks import Patches, Region, TrainingConfig, UNet, UNetConfig, fit, join, random_views

CONFIG = TrainingConfig(epochs=3, steps_per_epoch=4, batch_size=4, learning_rate=3e-3, precision="float32")


class Denoising:
    """Learns a noisy image from another of the same scene."""

    def __init__(self) -> None:
        rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
        clean = torch.sin(rows / 5) * torch.cos(columns / 7)
        noise = torch.randn((2, 48, 48), generator=torch.Generator().manual_seed(5)) / 2
        pair = (clean[None] + noise[:1], clean[None] + noise[1:])
        train, validate = Region(image=0, start=(0, 0), stop=(32, 48)), Region(image=0, start=(32, 0), stop=(48, 48))
        self.training = Patches([pair], [train], patch_shape=(16, 16))
        self.validation = Patches([pair], [validate], patch_shape=(16, 16))

    def training_batch(self, count: int, *, rng: torch.Generator, rank: int, ranks: int) -> tuple[torch.Tensor, ...]:
        drawn = self.training.draw(count, rng=rng, rank=rank, ranks=ranks)
        return random_views(drawn, rng=rng, turn=True, flip_planes=False, rank=rank, ranks=ranks)

    def validation_batches(self, batch_size: int, *, rank: int, ranks: int) -> Iterator[tuple[torch.Tensor, ...]]:
        return self.validation.each(batch_size, rank=rank, ranks=ranks)

    def loss(self, network: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
        image, target = batch
        return (network(image) - target).square().flatten(1).mean(1)


def small_network() -> UNet:
    return UNet(UNetConfig(depth=1, base_channels=4), rng=0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    join("cpu")
    network = small_network()
    history = fit(network, Denoising(), CONFIG, rng=7, device="cpu", progress=False)
    if not distributed.is_initialized() or distributed.get_rank() == 0:
        torch.save({"weights": network.state_dict(), "loss": history[-1].validation_loss}, sys.argv[1])
    if distributed.is_initialized():
        distributed.destroy_process_group()
