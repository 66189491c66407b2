import math

import pytest
import torch

from course_lib.optics import BeadPsf, Microscope, bead_psf, fwhm_um, point_fwhm_um, vectorial_psf

WIDTH = math.sqrt(8 * math.log(2))


def field(shape, centres, sigma, heights, *, background: float = 0.0) -> torch.Tensor:
    """Gaussian spots at `centres` (N, axes), float64."""
    image = torch.full(shape, background, dtype=torch.float64)
    for centre, height in zip(centres, heights, strict=True):
        spot = torch.tensor(height, dtype=torch.float64)
        for n, c, s in zip(shape, centre, sigma, strict=True):
            spot = spot[..., None] * torch.exp(-(((torch.arange(n, dtype=torch.float64) - c) / s) ** 2) / 2)
        image += spot
    return image


def lattice(shape, pitch, seed: int) -> torch.Tensor:
    """Centres `pitch` apart, each up to half a voxel off the voxels."""
    whole = torch.cartesian_prod(*[torch.arange(p, n - p + 1, p) for n, p in zip(shape, pitch, strict=True)]).double()
    return whole + torch.rand(whole.shape, generator=torch.Generator().manual_seed(seed)).double() - 0.5


def noisy(image: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return torch.poisson(image, generator=torch.Generator().manual_seed(seed))


def errors(measured: BeadPsf, centres: torch.Tensor) -> torch.Tensor:
    """In voxels of 1 µm."""
    found = measured.centres_um.double()
    return found - centres[torch.cdist(found, centres).argmin(1)]


CASES = [
    ((150, 160), (25, 30), (1.2, 1.4), (19, 21)),
    ((150, 150), (25, 25), (2.0, 2.0), (20, 20)),
    ((40, 90, 90), (20, 30, 30), (2.5, 1.3, 1.3), (17, 20, 21)),
]


@pytest.mark.parametrize(("shape", "pitch", "sigma", "crop"), CASES)
def test_without_noise_the_centres_are_exact_and_the_psf_too(shape, pitch, sigma, crop) -> None:
    centres = lattice(shape, pitch, seed=1)
    image = field(shape, centres, sigma, [300.0] * len(centres), background=7.0)
    measured = bead_psf(image, voxel_size_um=(1,) * len(shape), shape=crop)
    assert len(measured.light) == len(centres)
    assert measured.rejected == {}
    assert float(errors(measured, centres).abs().max()) < 2e-3
    truth = field(crop, [[side // 2 for side in crop]], sigma, [1.0])
    truth /= truth.sum()
    assert float((measured.psf - truth).norm() / truth.norm()) < 5e-3
    assert float(measured.psf.sum()) == pytest.approx(1)
    assert float(measured.psf.min()) >= 0
    assert measured.background.tolist() == pytest.approx([7.0] * len(centres), abs=0.05)
    light = 300 * math.prod(sigma) * (2 * math.pi) ** (len(sigma) / 2)
    assert measured.light.tolist() == pytest.approx([light] * len(centres), rel=5e-3)
    assert measured.fwhm_um == pytest.approx([WIDTH * s for s in sigma], rel=2e-3)


@pytest.mark.parametrize(("shape", "pitch", "sigma", "crop"), CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_with_noise_the_centres_are_within_a_twentieth_of_a_voxel(shape, pitch, sigma, crop, seed) -> None:
    centres = lattice(shape, pitch, seed)
    image = noisy(field(shape, centres, sigma, [300.0] * len(centres), background=7.0), seed)
    measured = bead_psf(image, voxel_size_um=(1,) * len(shape), shape=crop)
    assert len(measured.light) > 0.9 * len(centres)
    off = errors(measured, centres)
    assert float(off.square().mean().sqrt()) < 0.05
    # they are not pulled towards the voxels: the mean error is what chance leaves of it
    assert float(off.mean(0).abs().max()) < 4 * 0.05 / math.sqrt(len(off))


def test_average_of_many_beads_has_less_noise_than_one() -> None:
    centres = lattice((250, 250), (25, 25), seed=3)
    image = noisy(field((250, 250), centres, (1.5, 1.5), [500.0] * len(centres), background=20.0))
    truth = field((21, 21), [[10, 10]], (1.5, 1.5), [500.0])
    many = bead_psf(image, voxel_size_um=(1, 1), shape=(21, 21))
    one = bead_psf(image[:50, :50], voxel_size_um=(1, 1), shape=(21, 21))
    assert len(one.light) == 1
    ratio = float((one.average - truth).norm() / (many.average - truth).norm())
    assert ratio == pytest.approx(math.sqrt(len(many.light)), rel=0.25)


def test_each_reason_for_leaving_out_a_bead_is_counted() -> None:
    good = [(20.2, 20.1), (20.3, 60.4), (60.1, 20.3), (60.4, 59.8), (100.2, 20.4), (100.3, 100.1)]
    border = [(3.0, 100.0), (118.0, 60.0)]
    close = [(60.0, 100.0), (64.0, 106.0)]
    bright = [(20.0, 100.0)]
    unlike = [(99.0, 60.0), (99.5, 63.0)]  # a pair that is not resolved
    heights = [1000.0] * 10 + [1900.0] + [700.0, 700.0]
    image = noisy(field((120, 120), good + border + close + bright + unlike, (1.5, 1.5), heights, background=5.0))
    measured = bead_psf(image, voxel_size_um=(1, 1), shape=(19, 19))
    assert measured.rejected == {
        "close to another": 2,
        "close to the border": 2,
        "of unusual brightness": 1,
        "of unusual form": 1,
    }
    assert len(measured.light) == 6
    assert str(measured) == (
        "6 beads used; left out: 2 close to another, 2 close to the border, 1 of unusual brightness, 1 of unusual form"
    )


@pytest.mark.parametrize("saturation", [None, 800.0])
def test_saturated_beads_are_left_out(saturation: float | None) -> None:
    centres = [(20.2, 20.1), (20.3, 60.4), (60.1, 20.3), (60.4, 59.8)]
    image = noisy(field((80, 80), centres, (1.5, 1.5), [500, 500, 500, 2000], background=5.0)).clamp(max=800)
    measured = bead_psf(image, voxel_size_um=(1, 1), shape=(19, 19), saturation=saturation)
    assert measured.rejected == {"saturated": 1}
    assert len(measured.light) == 3


def test_given_background_keeps_the_light_far_from_the_focus() -> None:
    microscope = Microscope(numerical_aperture=1.4, immersion_index=1.518, sample_index=1.518)
    sizes = (0.2, 0.07, 0.07)
    truth = vectorial_psf(microscope, shape=(31, 61, 61), voxel_size_um=sizes)
    image = noisy(1e7 * truth + 100)
    crop = truth[5:26, 15:46, 15:46] / truth[5:26, 15:46, 15:46].sum()
    known = bead_psf(image, voxel_size_um=sizes, shape=crop.shape, background=100.0)
    assert float((known.psf - crop).norm() / crop.norm()) < 0.025  # shot noise alone is 0.022
    assert known.background.tolist() == [100.0]
    assert float(known.light) == pytest.approx(1e7 * float(truth[5:26, 15:46, 15:46].sum()), rel=0.01)
    guessed = bead_psf(image, voxel_size_um=sizes, shape=crop.shape)
    assert float(guessed.light) < 0.95 * float(known.light)
    assert known.fwhm_um == pytest.approx(fwhm_um(truth, voxel_size_um=sizes), rel=0.02)


def test_side_lobes_are_no_neighbours_unless_they_are_high() -> None:
    lobes = field((61, 61), [(30, 30), (30, 38)], (1.5, 1.5), [1000, 400], background=5.0)
    with pytest.raises(ValueError, match="none of the 2 beads found can be used, 2 close to another: use a smaller"):
        bead_psf(lobes, voxel_size_um=(1, 1), shape=(21, 21))
    assert len(bead_psf(lobes, voxel_size_um=(1, 1), shape=(21, 21), neighbour_height=0.6).light) == 1
    assert len(bead_psf(lobes, voxel_size_um=(1, 1), shape=(13, 13)).light) == 2


def test_noise_alone_does_not_enter_the_psf() -> None:
    image = noisy(field((25, 81, 81), [(12.0, 40.0, 40.0)], (2.0, 1.5, 1.5), [400.0], background=50.0))
    measured = bead_psf(image, voxel_size_um=(1, 1, 1), shape=(21, 61, 61))
    truth = field((21, 61, 61), [(10, 30, 30)], (2.0, 1.5, 1.5), [1.0])
    truth /= truth.sum()
    assert float((measured.psf - truth).norm() / truth.norm()) < 0.13  # shot noise in its core alone is 0.12
    assert float(measured.psf[truth < 1e-4 * truth.max()].sum()) < 0.02
    clamped = measured.average.clamp(min=0)  # the haze that would be there otherwise
    assert float(clamped[truth < 1e-4 * truth.max()].sum() / clamped.sum()) > 0.8


@pytest.mark.parametrize("diameter_um", [0.05, 0.1, 0.2])
def test_size_of_the_bead(diameter_um: float) -> None:
    voxel = 0.01
    axis = (torch.arange(121, dtype=torch.float64) - 60) * voxel
    psf = torch.exp(-((axis / 0.085) ** 2) / 2)  # 0.2 µm wide
    # on the axis: the share of the Gaussian in each slice of the ball, a disc
    ball = 1 - torch.exp(-((diameter_um / 2) ** 2 - axis**2).clamp(min=0) / (2 * 0.085**2))
    profile = torch.nn.functional.conv1d(psf[None, None], ball[None, None], padding=60)[0, 0]
    (_, width) = fwhm_um(psf[:, None] * profile, voxel_size_um=(voxel, voxel))
    assert width > 0.085 * WIDTH * (1 + 0.1 * (diameter_um / 0.2) ** 2)
    assert point_fwhm_um(width, bead_diameter_um=diameter_um) == pytest.approx(
        0.085 * WIDTH, rel=0.002 if diameter_um < 0.15 else 0.025
    )


def test_point_width_of_a_measured_psf() -> None:
    image = field((60, 60), [(30.2, 30.4)], (2.0, 2.0), [100.0])
    measured = bead_psf(image, voxel_size_um=(0.1, 0.1), shape=(31, 31), bead_diameter_um=0.3)
    assert measured.bead_diameter_um == 0.3
    assert measured.point_fwhm_um == tuple(point_fwhm_um(w, bead_diameter_um=0.3) for w in measured.fwhm_um)
    assert measured.point_fwhm_um[0] == pytest.approx(math.sqrt(0.471**2 - 0.277 * 0.3**2), rel=2e-3)


def test_bead_wider_than_its_image() -> None:
    with pytest.raises(ValueError, match="less than a bead of 1 µm has on its own"):
        point_fwhm_um(0.3, bead_diameter_um=1.0)
    with pytest.raises(ValueError, match="bead_diameter_um is -1 µm"):
        point_fwhm_um(0.3, bead_diameter_um=-1.0)


def test_keeps_dtype() -> None:
    image = field((60, 60), [(30.2, 30.4)], (2.0, 2.0), [100.0]).float()
    measured = bead_psf(image, voxel_size_um=(0.1, 0.1), shape=(21, 21))
    assert measured.psf.dtype == measured.centres_um.dtype == torch.float32
    assert measured.centres_um[0].tolist() == pytest.approx([3.02, 3.04], abs=1e-3)


SINGLE = field((40, 40), [(20.0, 20.0)], (1.5, 1.5), [100.0], background=1.0)


@pytest.mark.parametrize(
    ("image", "arguments", "message"),
    [
        (torch.ones(40, 40), {}, "no bead found: the brightest place of the smoothed image is 0 above its median"),
        (noisy(torch.full((60, 60), 9.0)), {}, "no bead found.*dilute them"),
        (SINGLE, {"shape": (41, 21)}, r"shape is \(41, 21\), larger than the image, \(40, 40\)"),
        (SINGLE, {"shape": (3, 21)}, r"shape is \(3, 21\), but must have one side for each of the 2 axes"),
        (SINGLE, {"shape": (21, 21, 21)}, "one side for each of the 2 axes"),
        (SINGLE, {"shape": (40, 40), "voxel_size_um": (1, 1, 1)}, r"voxel_size_um is \(1, 1, 1\)"),
        (
            SINGLE[8:],
            {"shape": (31, 31)},
            "none of the 1 beads found can be used, 1 close to the border: use a smaller",
        ),
        (SINGLE, {"saturation": 90.0}, "1 saturated: expose for a shorter time"),
        (SINGLE, {"neighbour_height": 0.0}, "neighbour_height is 0, but must be from 0.01 to 1"),
        (SINGLE, {"bead_diameter_um": -0.1}, "bead_diameter_um is -0.1 µm"),
        (SINGLE * math.nan, {}, "image has 1600 values that are NaN"),
    ],
)
def test_bad_input(image: torch.Tensor, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bead_psf(image, **{"voxel_size_um": (1, 1), "shape": (21, 21), **arguments})


def test_raw_counts_are_refused_with_the_remedy() -> None:
    with pytest.raises(TypeError, match=r"image has dtype torch.int32, but must be floating point: image.float\(\)"):
        bead_psf(torch.ones(40, 40, dtype=torch.int32), voxel_size_um=(1, 1), shape=(21, 21))
