"""Which part of an image is kept apart from training on noise alone."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.networks import UNetConfig
from course_lib.noise2void._preparation import Prepared, frames_of, prepare


def _prepared(images: torch.Tensor | list[torch.Tensor], seed: int = 0, share: float = 0.1) -> Prepared:
    frames, samples = frames_of(images, dimensions=2, channels=1)
    return prepare(
        frames,
        samples,
        UNetConfig(base_channels=2, depth=1),
        method="noise2void",
        patch_shape=(16, 16),
        validation_share=share,
        settings={},
        rng=torch.Generator().manual_seed(seed),
        device=torch.device("cpu"),
    )


def _bright_in_the_middle(height: int = 40, width: int = 160) -> torch.Tensor:
    columns = torch.arange(width) - width / 2
    mean = (1 + 20 * torch.exp(-columns.square() / (2 * (width / 8) ** 2))).expand(height, width)
    return torch.poisson(mean, generator=torch.Generator().manual_seed(1))


def test_a_band_of_typical_brightness_is_kept_apart_not_a_dark_end() -> None:
    image = _bright_in_the_middle()
    (kept,) = _prepared(image).validation.regions
    band = image[kept.start[0] : kept.stop[0], kept.start[1] : kept.stop[1]]
    assert abs(float(band.mean() - image.mean())) < 0.1 * float(image.mean())
    assert float(image[:, :16].mean()) < 0.4 * float(image.mean())


@given(height=st.integers(32, 90), width=st.integers(32, 90), seed=st.integers(0, 20), share=st.floats(0.05, 0.5))
def test_nothing_is_both_learned_from_and_kept_apart_and_nothing_is_lost(
    height: int, width: int, seed: int, share: float
) -> None:
    image = torch.rand((height, width), generator=torch.Generator().manual_seed(seed))
    prepared = _prepared(image, seed, share)
    seen = torch.zeros((height, width), dtype=torch.int64)
    for region in (*prepared.training.regions, *prepared.validation.regions):
        assert min(region.sides) >= 16
        seen[region.start[0] : region.stop[0], region.start[1] : region.stop[1]] += 1
    assert bool((seen == 1).all())


def test_the_frames_of_a_film_keep_the_same_band_and_five_images_keep_whole_ones() -> None:
    film = torch.stack([_bright_in_the_middle(), _bright_in_the_middle().flip(1)])
    bands = {(region.start, region.stop) for region in _prepared(film).validation.regions}
    assert len(bands) == 1
    five = [_bright_in_the_middle() for _ in range(5)]
    (whole,) = _prepared(five).validation.regions
    assert whole.sides == (40, 160)
