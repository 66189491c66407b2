import pytest
import torch

from course_lib import samples
from course_lib.care import MisregisteredError, Pair, recorded_pair, simulated_pair, thinned_pair
from course_lib.forward import ImagingSystem
from course_lib.noise import Camera


def scene(shape: tuple[int, ...] = (128, 128)) -> torch.Tensor:
    return samples.filaments(shape, voxel_size_um=(0.1,) * len(shape), count=40, rng=0)


def test_a_thinned_pair_is_independent_given_the_scene() -> None:
    counts = torch.poisson(torch.full((1, 512, 512), 40.0), generator=torch.Generator().manual_seed(0))
    pair = thinned_pair(counts, fraction=0.25, rng=1)
    assert pair.dose_ratio == 3
    assert float(pair.image.mean()) == pytest.approx(10, abs=4 * (10 / 512**2) ** 0.5)
    both = torch.stack((pair.image.flatten(), pair.target.flatten()))
    assert abs(float(torch.corrcoef(both)[0, 1])) < 4 / 512


def test_noise_added_to_the_clean_image_would_not_be_independent() -> None:
    """What a pair must not be: its noise is in both."""
    counts = torch.poisson(torch.full((512, 512), 40.0), generator=torch.Generator().manual_seed(0))
    noisier = counts + torch.randn(512, 512, generator=torch.Generator().manual_seed(1)) * 6
    assert float(torch.corrcoef(torch.stack((counts.flatten(), noisier.flatten())))[0, 1]) > 0.5


@pytest.mark.parametrize(("photons", "dose"), [(50.0, 9.0), (10.0, 1.0), (10.0, 0.5)])
def test_a_matched_target_has_the_scale_of_its_image_without_bias(photons: float, dose: float) -> None:
    clean = photons * scene((512, 512)) / scene((512, 512)).max()
    slopes = []
    for seed in range(8):
        draw = torch.Generator().manual_seed(seed)
        image = torch.poisson(clean + 3, generator=draw)[None]
        target = torch.poisson(dose * clean + 5, generator=draw)[None]
        matched = Pair(image=image, target=target, dose_ratio=dose).matched()
        slopes.append(float((matched.target.max() - matched.target.min()) / (target.max() - target.min())))
        assert float(matched.target.mean()) == pytest.approx(float(image.mean()), rel=1e-3)
    assert matched.dose_ratio == 1
    found = dose * torch.tensor(slopes)
    assert abs(float(found.mean()) - 1) < 4 * float(found.std()) / 8**0.5 + 0.01
    assert float(found.std()) < 0.15


def test_a_scaled_target_has_the_dose_of_its_image_exactly() -> None:
    counts = torch.poisson(torch.full((1, 256, 256), 0.5), generator=torch.Generator().manual_seed(0))
    pair = thinned_pair(counts, fraction=0.2, rng=0).scaled()
    assert float(pair.target.mean()) == pytest.approx(float(pair.image.mean()), rel=0.05)
    assert pair.dose_ratio == 1


def test_an_empty_field_has_no_scale() -> None:
    draw = torch.Generator().manual_seed(0)
    image, target = (torch.poisson(torch.full((1, 256, 256), 9.0), generator=draw) for _ in range(2))
    with pytest.raises(ValueError, match="too little in common to find their scale"):
        Pair(image=image, target=target, dose_ratio=1).matched()


def test_the_microscopes_of_a_simulated_pair_differ_in_dose() -> None:
    psf = torch.full((3, 3), 1 / 9)
    dim, bright = (ImagingSystem(psf=psf, camera=None, photons_per_fluorophore=dose) for dose in (0.2, 20.0))
    pair = simulated_pair(dim, bright, scene(), rng=0)
    assert pair.image.shape == pair.target.shape == (1, 128, 128)
    assert pair.dose_ratio == pytest.approx(100)
    assert float(pair.target.mean() / pair.image.mean()) == pytest.approx(100, rel=0.05)
    again = simulated_pair(dim, bright, scene(), rng=0)
    assert torch.equal(pair.image, again.image)
    assert torch.equal(pair.target, again.target)


def test_a_recorded_pair_is_laid_over_and_cropped() -> None:
    clean = scene().double()
    image = clean + 0.02 * clean.max() * torch.randn(128, 128, generator=torch.Generator().manual_seed(0)).double()
    pair = recorded_pair(image, 5 * clean.roll((2, -3), dims=(0, 1)), dose_ratio=5)
    assert pair.image.shape == pair.target.shape == (1, 126, 125)
    difference = pair.target[0] - 5 * clean[:126, 3:]
    assert float(difference[10:-10, 10:-10].abs().max()) < 0.01 * 5 * float(clean.max())  # 0.01 px of the steepest rim


def test_a_camera_records_pairs_too() -> None:
    psf = torch.full((3, 3), 1 / 9)
    dim = ImagingSystem(psf=psf, camera=Camera(offset_adu=100), photons_per_fluorophore=1.0)
    pair = simulated_pair(dim, dim, scene(), rng=0)
    assert not torch.equal(pair.image, pair.target)  # the noise of one is not that of the other


def test_wrong_pairs_get_a_clear_error() -> None:
    one = torch.rand(1, 8, 8)
    with pytest.raises(ValueError, match=r"image has shape \(1, 8, 8\), its target \(1, 8, 9\)"):
        Pair(image=one, target=torch.rand(1, 8, 9), dose_ratio=1)
    with pytest.raises(ValueError, match=r"target has shape \(8, 8\), but must have axes \(C, Y, X\)"):
        Pair(image=one, target=torch.rand(8, 8), dose_ratio=1)
    with pytest.raises(ValueError, match="NaN"):
        Pair(image=one, target=torch.full((1, 8, 8), float("nan")), dose_ratio=1)
    with pytest.raises(ValueError, match="target is constant, 1 everywhere: there is nothing to learn"):
        Pair(image=one, target=torch.ones(1, 8, 8), dose_ratio=1).matched()
    with pytest.raises(ValueError, match="1 channels, its target 2: only equal numbers"):
        Pair(image=one, target=torch.rand(2, 8, 8), dose_ratio=1).matched()
    with pytest.raises(ValueError, match=r"fraction is 1, but must be between 0 and 1"):
        thinned_pair(one, fraction=1.0, rng=0)
    with pytest.raises(MisregisteredError, match=r"different fields|shifted by"):
        recorded_pair(scene(), torch.rand(128, 128), dose_ratio=1, least_correlation=0.6)
