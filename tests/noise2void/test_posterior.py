"""Photons are drawn one after the other, and the answers scatter as they should."""

import math
from functools import cache

import pytest
import torch
from scipy import stats

from course_lib import samples
from course_lib.images import Normalization
from course_lib.networks import Model, TrainingConfig, UNet, UNetConfig
from course_lib.noise import split_photons
from course_lib.noise2void import SplittingConfig, sample_posterior, train_photon_splitting

pytestmark = pytest.mark.usefixtures("one_thread")


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _trusting(channels: int = 1) -> Model:
    """Return a model that gives back what it sees: each pixel's own photons, without a prior."""
    shape = UNetConfig(base_channels=1, depth=1, in_channels=channels, out_channels=channels, learns="the change")
    plain = (Normalization(offset=0.0, scale=1e3),) * channels  # so large that no background is far from 0
    return Model(
        network=UNet(shape, rng=0),
        method="photon splitting",
        input_normalization=plain,
        output_normalization=plain,
        settings={"photon splitting": {"least_share": 0.1}},
    )


@pytest.mark.parametrize("share", [0.2, 0.5])
@pytest.mark.parametrize("steps", [1, 10])
def test_photons_that_each_call_for_more_have_the_mean_and_variance_of_the_closed_form(
    share: float, steps: int
) -> None:
    counts = torch.full((64, 64), 30)
    drawn = sample_posterior(_trusting(), counts, samples=20, share=share, steps=steps, rng=4, device="cpu")
    seen, _ = split_photons(counts, fraction=share, rng=4)
    error = drawn - seen / share
    factor = share ** (-1 / steps)  # of photons more from look to look
    variance = 30 * share * (1 - share) / share**2 / factor
    assert abs(float(error.mean())) < 5 * math.sqrt(variance / error.numel())
    assert float(error.square().mean()) == pytest.approx(variance, rel=0.03)


def test_with_many_looks_their_number_is_negative_binomial() -> None:
    """As in a Yule process: what follows n photons at a share p, if each calls for as many more."""
    counts = torch.full((128, 128), 4)
    drawn = sample_posterior(_trusting(), counts, samples=1, share=0.5, steps=60, rng=4, device="cpu")[0]
    seen, _ = split_photons(counts, fraction=0.5, rng=4)
    new = (drawn - seen)[seen == 2].long()
    found = torch.bincount(new.clamp(max=8), minlength=9)
    expected = stats.nbinom.pmf(range(8), 2, 0.5).tolist()
    expected.append(1 - sum(expected))
    assert stats.chisquare(found.numpy(), [len(new) * one for one in expected]).pvalue > 1e-3


def _scene(seed: int) -> torch.Tensor:
    scene = samples.filaments((128, 128), voxel_size_um=(0.1, 0.1), count=40, diameter_um=0.6, rng=seed)
    return 20 * scene / scene.max() + 2


@cache
def _trained() -> Model:
    counts = [torch.poisson(_scene(seed), generator=_generator(seed)) for seed in (1, 2)]
    return train_photon_splitting(
        counts,
        SplittingConfig(patch_side=32, base_channels=8, depth=1, least_share=0.4),
        TrainingConfig(epochs=2, steps_per_epoch=100, batch_size=8, learning_rate=3e-3),
        rng=0,
        device="cpu",
        progress=False,
    )


def test_the_answer_of_the_real_photons_is_one_more_draw() -> None:
    """On an image that was not learned from, and where they scatter little as well as where they scatter much."""
    counts = torch.poisson(_scene(7), generator=_generator(70))
    drawn = sample_posterior(_trained(), counts, samples=32, rng=3, device="cpu")
    chosen_by = drawn[:16].std(dim=0)  # draws that chose the places themselves would be smaller than they are
    scatter, mean = drawn[16:].std(dim=0), drawn[16:].mean(dim=0)
    away = (_trained().predict(counts, device="cpu") - mean) / math.sqrt(1 + 1 / 16)
    low, high = torch.quantile(chosen_by, torch.tensor([1 / 3, 2 / 3])).tolist()
    dark = chosen_by < low  # where scatter is a few hundredths of a photon, and a small bias of the network counts
    for some, farther in ((dark, 0.25), ((chosen_by >= low) & (chosen_by < high), 0.15), (chosen_by >= high, 0.15)):
        ratio = away[some].square().mean().sqrt() / scatter[some].square().mean().sqrt()
        assert 0.85 < float(ratio) < 1 + farther
    assert float(scatter[chosen_by >= high].mean()) > 1.4 * float(scatter[chosen_by < low].mean())


def test_the_error_at_full_dose_is_once_to_twice_the_scatter_from_one_half() -> None:
    truth = _scene(7)
    counts = torch.poisson(truth, generator=_generator(70))
    scatter = sample_posterior(_trained(), counts, samples=16, rng=3, device="cpu").std(dim=0)
    error = float((_trained().predict(counts, device="cpu") - truth).square().mean().sqrt())
    assert 1 < error / float(scatter.square().mean().sqrt()) < 2


def test_the_more_is_shown_the_less_they_scatter() -> None:
    counts = torch.poisson(_scene(7), generator=_generator(70))
    half, most = (
        sample_posterior(_trained(), counts, samples=4, share=share, steps=3, rng=3, device="cpu").std(dim=0).mean()
        for share in (0.5, 0.9)
    )
    assert float(most) < 0.5 * float(half)


def test_axes_are_kept_and_the_seed_decides() -> None:
    counts = torch.poisson(torch.full((3, 2, 20, 18), 5.0), generator=_generator())
    one, same, other = (
        sample_posterior(_trusting(channels=2), counts, samples=4, steps=2, rng=seed, device="cpu")
        for seed in (1, 1, 2)
    )
    assert one.shape == (4, 3, 2, 20, 18)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share": 0.05}, r"share is 0.05, but must be from 0.1, the least share that the model was shown, to below 1"),
        ({"share": 1.0}, "share is 1, but must be from 0.1"),
        ({"samples": 0}, "samples is 0 and steps 10, but both must be at least 1"),
        ({"steps": 0}, "samples is 16 and steps 0, but both must be at least 1"),
        ({"counts": torch.full((16, 16), 0.5)}, "counts has a value of 0.5, but must be whole numbers of photons"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], message: str) -> None:
    given = {"counts": torch.full((16, 16), 3), "rng": 0, "device": "cpu"} | arguments
    counts = given.pop("counts")
    with pytest.raises(ValueError, match=message):
        sample_posterior(_trusting(), counts, **given)


def test_other_models_are_refused() -> None:
    model = Model(
        network=_trusting().network,
        method="noise2void",
        input_normalization=_trusting().input_normalization,
        output_normalization=_trusting().output_normalization,
    )
    with pytest.raises(ValueError, match="trained by 'noise2void', but only one that has seen shares of photons"):
        sample_posterior(model, torch.full((16, 16), 3), rng=0, device="cpu")
