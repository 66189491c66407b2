import numpy as np
import pytest
import torch

from course_lib.deconvolution import Blur, accelerated_richardson_lucy, richardson_lucy
from course_lib.samples import beads, filaments
from synthetic import gaussian

PSF = gaussian((7, 11, 11), (1.5, 2.0, 2.0))
BACKGROUND = 5.0


def photons(sample: str, *, peak: float) -> torch.Tensor:
    """A stack of filaments or beads in the light of a blur wider than they are."""
    shape, voxel_size_um = (8, 30, 31), (0.2, 0.1, 0.1)
    if sample == "filaments":
        density = filaments(shape, voxel_size_um=voxel_size_um, count=6, diameter_um=0.3, rng=0)
    else:
        density = beads(shape, voxel_size_um=voxel_size_um, count=12, diameter_um=0.3, rng=0).density
    mean = Blur(PSF, shape, boundary="circular")(density.double()).clamp(min=0)
    return torch.poisson(mean * (peak / mean.max()) + BACKGROUND, generator=torch.Generator().manual_seed(1))


class Likelihood:
    """A rule that never stops and keeps the logarithm of the likelihood before each iteration."""

    def __init__(self, image: torch.Tensor) -> None:
        self.image = image
        self.values: list[float] = []

    def __call__(self, _iteration: int, _estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        self.values.append(float((torch.xlogy(self.image, expected) - expected).sum()))
        return False


@pytest.mark.parametrize(("sample", "hundred"), [("beads", 24), ("filaments", 36)])  # filaments cross the borders
@pytest.mark.parametrize("peak", [20.0, 200.0, 2000.0])
def test_reaches_10_and_30_iterations_in_6_and_12_and_100_in_a_third(sample: str, hundred: int, peak: float) -> None:
    image = photons(sample, peak=peak)
    plain, quick = Likelihood(image), Likelihood(image)
    richardson_lucy(image, PSF, iterations=101, background=BACKGROUND, stop=plain)
    accelerated_richardson_lucy(image, PSF, iterations=37, background=BACKGROUND, stop=quick)
    for few, many in [(6, 10), (12, 30), (hundred, 100)]:
        assert quick.values[few] >= plain.values[many]


def test_against_the_formulas() -> None:
    generator = torch.Generator().manual_seed(0)
    psf = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    psf /= psf.sum()
    image = torch.poisson(torch.rand(8, 9, generator=generator, dtype=torch.float64) * 40, generator=generator)
    blur = Blur(psf, (8, 9), boundary="circular")
    y, b = image.numpy(), 2.0

    def step(x: np.ndarray) -> np.ndarray:
        return x * blur.adjoint(torch.from_numpy(y / (blur(torch.from_numpy(x)).numpy() + b))).numpy()

    x = [np.full((8, 9), y.mean() - b)]
    g: list[np.ndarray] = []
    for k in range(12):
        alpha = np.clip((g[-1] * g[-2]).sum() / (g[-2] ** 2).sum(), 0, 0.999) if k >= 2 else 0.0
        p = np.maximum(x[-1] + alpha * (x[-1] - x[-2]), x[-1] / 2) if k else x[-1]
        x.append(step(p))
        g.append(x[-1] - p)
    restored = accelerated_richardson_lucy(image, psf, iterations=12, background=b, boundary="circular")
    np.testing.assert_allclose(restored.numpy(), x[-1], rtol=1e-9, atol=1e-9)


def test_the_first_two_iterations_are_those_of_richardson_lucy() -> None:
    image = photons("filaments", peak=200.0)
    for iterations in (1, 2):
        torch.testing.assert_close(
            accelerated_richardson_lucy(image, PSF, iterations=iterations, background=BACKGROUND),
            richardson_lucy(image, PSF, iterations=iterations, background=BACKGROUND),
        )
    third = accelerated_richardson_lucy(image, PSF, iterations=3, background=BACKGROUND)
    assert not torch.allclose(third, richardson_lucy(image, PSF, iterations=3, background=BACKGROUND), rtol=1e-3)


def test_a_voxel_that_overshot_brightens_again() -> None:
    psf = torch.zeros(7, 7, dtype=torch.float64)
    psf[3, 3], psf[3, 6], psf[1, 3] = 0.5, 0.3, 0.2
    truth = torch.full((24, 25), 0.5, dtype=torch.float64)
    truth[8, 9], truth[15, 12] = 300.0, 150.0
    image = Blur(psf, (24, 25), boundary="circular")(truth)
    plain, quick = Likelihood(image), Likelihood(image)
    richardson_lucy(image, psf, iterations=300, boundary="circular", stop=plain)
    restored = accelerated_richardson_lucy(image, psf, iterations=300, boundary="circular", stop=quick)
    assert quick.values[-1] >= plain.values[-1]  # clamped at 0 it ends 0.9 below
    assert float(restored.min()) > 0


@pytest.mark.parametrize("last", [0, 1, 2, 5])
def test_a_stop_is_shown_where_the_step_begins_and_returns_where_the_last_one_ended(last: int) -> None:
    image, blur, shown, made = photons("beads", peak=200.0), Blur(PSF, (8, 30, 31)), [], []

    def stop(iteration: int, estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        torch.testing.assert_close(expected, blur(estimate) + BACKGROUND)
        shown.append(blur.crop(estimate).clone())
        return iteration == last

    stopped = accelerated_richardson_lucy(
        image, PSF, background=BACKGROUND, stop=stop, callback=lambda _, estimate: made.append(estimate.clone())
    )
    assert len(shown) == len(made) + 1 == last + 1
    if last == 0:
        assert torch.equal(stopped, shown[0])  # the even start
    else:
        assert torch.equal(stopped, accelerated_richardson_lucy(image, PSF, iterations=last, background=BACKGROUND))
        assert torch.equal(stopped, made[-1])
    assert torch.equal(stopped, shown[-1]) == (last < 2)  # without two steps there is no momentum


def test_each_image_of_a_batch_has_its_own_momentum() -> None:
    images = torch.stack([photons("beads", peak=20.0), photons("filaments", peak=2000.0)])
    together = accelerated_richardson_lucy(images, PSF, iterations=8, background=BACKGROUND)
    for image, restored in zip(images, together, strict=True):
        alone = accelerated_richardson_lucy(image, PSF, iterations=8, background=BACKGROUND)
        torch.testing.assert_close(restored, alone)
