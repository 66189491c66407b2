import math

import pytest
import torch
from scipy import stats

from course_lib import noise, optics
from course_lib.forward import ImagingSystem
from course_lib.noise import Camera
from course_lib.optics import Convolution

QUIET = Camera(quantum_efficiency=1.0, dark_current_e_per_s=0.0)


def psf(shape: tuple[int, ...] = (5, 6), dtype: torch.dtype = torch.float32) -> torch.Tensor:
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return values / values.sum()


def cell(shape: tuple[int, ...] = (20, 21)) -> torch.Tensor:
    return 10 * torch.rand(shape, generator=torch.Generator().manual_seed(1)) ** 4


@pytest.mark.parametrize(("kernel", "shape"), [((5, 6), (20, 21)), ((3, 5, 6), (7, 20, 21)), ((5, 6), (4, 2, 20, 21))])
def test_expected_is_the_formula(kernel: tuple[int, ...], shape: tuple[int, ...]) -> None:
    h, f = psf(kernel), cell(shape)
    system = ImagingSystem(psf=h, camera=None, photons_per_fluorophore=3.0, background_photons=2.0)
    per_plane = h.sum(dim=(-2, -1))
    formula = 3 / per_plane.max() * Convolution(h, shape[-len(kernel) :])(f) + 2
    torch.testing.assert_close(system.expected(f), formula)


def test_capture_is_the_camera_of_the_expected_photons() -> None:
    camera = Camera(read_noise_e=2.0, em_gain=100.0, row_noise_adu=3.0)
    system = ImagingSystem(psf=psf(), camera=camera, photons_per_fluorophore=20.0, exposure_ms=5000.0)
    photons = system.expected(cell())
    assert torch.equal(system.capture(cell(), rng=4), camera.capture(photons, exposure_ms=5000.0, rng=4))
    assert not torch.equal(system.capture(cell(), rng=4), system.capture(cell(), rng=5))


def test_each_plane_and_each_image_of_a_batch_is_an_exposure_of_its_own() -> None:
    camera = QUIET.replace(read_noise_e=0.0, row_noise_adu=50.0)
    system = ImagingSystem(psf=psf((3, 3, 3)), camera=camera)
    rows = system.capture(torch.zeros(2, 6, 200, 8), rng=0)
    assert bool((rows == rows[..., :1]).all())
    series = rows[..., 0].flatten(0, 1)
    correlation = torch.corrcoef(series) - torch.eye(12)
    assert float(correlation.abs().max()) < 5 / math.sqrt(200)


def test_every_plane_of_a_widefield_stack_gets_all_the_light() -> None:
    """A fluorophore is exposed once for each plane, whatever the number of planes that the PSF has."""
    point = torch.zeros(9, 30, 30)
    point[4, 15, 15] = 2.0
    for planes in (5, 9):
        widefield = torch.full((planes, 7, 7), 1 / (49 * planes))
        system = ImagingSystem(psf=widefield, camera=None, photons_per_fluorophore=300.0)
        reached = system.expected(point).sum(dim=(-2, -1))
        first = 4 - planes // 2
        assert reached[first : first + planes].tolist() == pytest.approx([600.0] * planes, rel=1e-4)


def test_the_plane_shares_tell_what_a_narrow_widefield_psf_loses() -> None:
    """The cone of a water objective is 7.7 µm wide at 3.68 µm; 0.875 µm are two λ/NA."""
    water = optics.Microscope(numerical_aperture=1.2, immersion_index=1.33, sample_index=1.33)
    voxel = (0.16 * 23, 0.05, 0.05)  # the focus and the outermost of 47 planes
    with pytest.warns(UserWarning, match="3.68 µm along z"):
        narrow, wide = (optics.vectorial_psf(water, shape=(3, n, n), voxel_size_um=voxel) for n in (161, 345))
    assert ImagingSystem(psf=narrow, camera=None).plane_shares.tolist() == pytest.approx([0.67, 1, 0.67], abs=0.01)
    system = ImagingSystem(psf=wide, camera=None, photons_per_fluorophore=500.0)
    assert system.plane_shares.tolist() == pytest.approx([0.99, 1, 0.99], abs=0.005)
    point = torch.zeros(3, 345, 345)
    point[1, 172, 172] = 1
    expected = system.expected(point).sum(dim=(-2, -1))
    torch.testing.assert_close(expected, 500 * system.plane_shares, rtol=1e-3, atol=0)
    assert ImagingSystem(psf=psf(), camera=None).plane_shares.tolist() == pytest.approx(1)


def test_out_of_focus_a_confocal_plane_gets_less() -> None:
    confocal = torch.tensor([0.1, 0.3, 0.6, 0.3, 0.1])[:, None, None] * torch.full((5, 3, 3), 1 / 9) / 1.4
    point = torch.zeros(5, 9, 9)
    point[2, 4, 4] = 1.0
    system = ImagingSystem(psf=confocal, camera=None, photons_per_fluorophore=60.0)
    assert system.expected(point).sum(dim=(-2, -1)).tolist() == pytest.approx([10, 30, 60, 30, 10], rel=1e-4)


def test_zero_light_gives_the_background_and_no_nan() -> None:
    system = ImagingSystem(psf=psf(), camera=QUIET, photons_per_fluorophore=1e6, background_photons=0.0)
    assert bool((system.expected(torch.zeros(20, 21)) == 0).all())
    point = torch.zeros(20, 21)
    point[10, 10] = 1.0  # far from it the FFT rounds below zero, which no camera accepts
    assert float(system.expected(point).min()) == 0
    assert bool(torch.isfinite(system.capture(point, rng=0)).all())


def test_photons_are_kept_from_fluorophores_to_the_file() -> None:
    point = torch.zeros(200, 40, 40)
    point[:, 20, 20] = 10.0
    system = ImagingSystem(psf=psf((7, 8)), camera=QUIET, photons_per_fluorophore=50.0)
    recorded = QUIET.to_photons(system.capture(point, rng=0)).sum(dim=(-2, -1))
    noise_of_the_mean = math.sqrt((500 + 1600 * 1.6**2) / 200)
    assert abs(float(recorded.mean()) - 500) < 4 * noise_of_the_mean


def test_a_photon_counter_is_poisson() -> None:
    system = ImagingSystem(psf=torch.ones(1, 1), camera=None)
    counts = system.capture(torch.full((300, 300), 7.0), rng=0)
    assert bool((counts == counts.round()).all())
    assert abs(float(counts.mean()) - 7) < 4 * math.sqrt(7 / 9e4)
    assert float(counts.var()) == pytest.approx(7, rel=0.03)


@pytest.mark.parametrize("level", [0.3, 5.0, 60.0, 900.0])
@pytest.mark.parametrize(
    "camera", [None, Camera(read_noise_e=1.2), QUIET.replace(full_well_e=900.0, gain_e_per_adu=1.0, bit_depth=10)]
)
def test_draws_from_outside_have_the_same_distribution(level: float, camera: Camera | None) -> None:
    system = ImagingSystem(psf=torch.ones(1, 1), camera=camera, background_photons=0.5)
    f = torch.full((120, 120), level)
    draw = torch.Generator().manual_seed(3)
    shot, read = torch.rand(f.shape, generator=draw), torch.randn(f.shape, generator=draw)
    given, drawn = system.capture_from_draws(f, shot=shot, read=read), system.capture(f, rng=9)
    assert given.dtype == torch.float32
    values, index = torch.stack([given, drawn]).unique(return_inverse=True)
    table = torch.stack([torch.bincount(row.flatten(), minlength=len(values)) for row in index])
    common = table.sum(dim=0) >= 20
    merged = torch.cat([table[:, common], table[:, ~common].sum(dim=1, keepdim=True)], dim=1)
    merged = merged[:, merged.sum(dim=0) > 0]
    assert merged.shape[1] > 1
    assert stats.chi2_contingency(merged.numpy()).pvalue > 1e-3


def test_the_same_draws_give_the_same_grain() -> None:
    shot = torch.rand(20, 21, generator=torch.Generator().manual_seed(0))
    read = torch.randn(20, 21, generator=torch.Generator().manual_seed(1))
    camera = Camera(**{"read_noise_e": torch.full((20, 21), 2.0), "offset_adu": torch.full((20, 21), 90.0)})
    dim = ImagingSystem(psf=psf(), camera=camera, photons_per_fluorophore=5.0)
    bright = ImagingSystem(psf=psf(), camera=camera, photons_per_fluorophore=5.5)
    one = dim.capture_from_draws(cell(), shot=shot, read=read)
    assert torch.equal(one, dim.capture_from_draws(cell(), shot=shot, read=read))
    assert bool((bright.capture_from_draws(cell(), shot=shot, read=read) >= one).all())


def test_the_object_can_be_learned() -> None:
    system = ImagingSystem(psf=psf(dtype=torch.float64), camera=None, photons_per_fluorophore=3.0)
    f = (0.1 + cell((4, 5)).double()).requires_grad_()
    small = ImagingSystem(psf=psf((3, 2), torch.float64), camera=None, photons_per_fluorophore=3.0)
    assert torch.autograd.gradcheck(small.expected, f)
    assert not system.capture(torch.zeros(20, 21).double(), rng=0).requires_grad


@pytest.mark.gpu
def test_the_chain_on_the_gpu() -> None:
    system = ImagingSystem(psf=psf().cuda(), camera=Camera(), photons_per_fluorophore=10.0)
    recorded = system.capture(cell().cuda(), rng=0)
    assert recorded.is_cuda
    there = ImagingSystem(psf=psf(), camera=Camera(), photons_per_fluorophore=10.0).expected(cell())
    torch.testing.assert_close(system.expected(cell().cuda()).cpu(), there, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"psf": [[1.0]]}, TypeError, "psf is a list"),
        ({"psf": torch.ones(3)}, ValueError, "psf has shape"),
        ({"psf": torch.ones(3, 3)}, ValueError, "psf sums to 9, but must sum to 1"),
        ({"psf": torch.tensor([[1.5, -0.5]])}, ValueError, "psf has a value of -0.5"),
        ({"psf": torch.full((2, 2), torch.nan)}, ValueError, "NaN"),
        ({"camera": "sCMOS"}, TypeError, "camera is a str"),
        ({"photons_per_fluorophore": -1.0}, ValueError, "photons_per_fluorophore is -1 photons, but must be at least"),
        ({"background_photons": math.nan}, ValueError, "background_photons is nan"),
        ({"exposure_ms": math.inf}, ValueError, "exposure_ms is inf ms"),
    ],
)
def test_bad_systems(changes: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ImagingSystem(**({"psf": psf(), "camera": None} | changes))


def test_bad_objects_and_draws() -> None:
    system = ImagingSystem(psf=psf((3, 3, 3)), camera=noise.Camera())
    with pytest.raises(TypeError, match="fluorophores is a list"):
        system.expected([1.0])
    with pytest.raises(ValueError, match=r"fluorophores has shape \(4, 4\), but needs at least 3 axes"):
        system.expected(torch.ones(4, 4))
    with pytest.raises(ValueError, match="fluorophores has a value of -1, but a voxel holds at least 0"):
        system.capture(torch.full((4, 4, 4), -1.0))
    with pytest.raises(ValueError, match=r"psf has shape \(3, 3, 3\), but for images of shape \(1, 4, 4\)"):
        system.capture(torch.ones(1, 4, 4))
    f = torch.ones(4, 4, 4)
    with pytest.raises(ValueError, match=r"shot has shape \(4, 4\), but the image \(4, 4, 4\)"):
        system.capture_from_draws(f, shot=f[0] / 2, read=f)
    with pytest.raises(ValueError, match="shot has values from 1 to 1, but must be uniform"):
        system.capture_from_draws(f, shot=f, read=f)


@pytest.mark.parametrize("term", [{"em_gain": 100.0}, {"row_noise_adu": 1.0}, {"checker_adu": 2.0}])
def test_terms_without_draws_are_refused(term: dict[str, float]) -> None:
    system = ImagingSystem(psf=psf(), camera=Camera(**term))
    half = torch.full((20, 21), 0.5)
    with pytest.raises(ValueError, match=f"{next(iter(term))} = .* no draws: use capture"):
        system.capture_from_draws(cell(), shot=half, read=half)


# pixels larger than voxels ------------------------------------------------------------------------------


def test_pixels_add_up_the_light_of_their_voxels_and_planes_are_skipped() -> None:
    h, f = psf((3, 5, 6)), cell((2, 8, 20, 21 * 3))
    fine = ImagingSystem(psf=h, camera=None).expected(f)
    binned = ImagingSystem(psf=h, camera=None, background_photons=2.0, binning=(4, 5, 3)).expected(f)
    assert binned.shape == (2, 2, 4, 21)
    pooled = 15 * torch.nn.functional.avg_pool2d(fine[:, ::4], (5, 3)) + 2
    torch.testing.assert_close(binned, pooled)


def test_binning_keeps_the_photons_of_a_plane() -> None:
    h, f = psf((3, 3)), cell((20, 24))
    plain, binned = (ImagingSystem(psf=h, camera=None, binning=b).expected(f).sum() for b in (None, (4, 6)))
    torch.testing.assert_close(plain, binned)


def test_noise_is_drawn_for_each_pixel_of_the_image() -> None:
    system = ImagingSystem(psf=psf((3, 3)), camera=QUIET, photons_per_fluorophore=50.0, binning=(2, 3))
    half, none = torch.full((10, 7), 0.5), torch.zeros(10, 7)
    assert system.capture(cell(), rng=0).shape == (10, 7)
    assert system.capture_from_draws(cell(), shot=half, read=none).shape == (10, 7)
    with pytest.raises(ValueError, match=r"shot has shape \(20, 21\), but the image \(10, 7\)"):
        system.capture_from_draws(cell(), shot=torch.rand(20, 21), read=none)


@pytest.mark.parametrize(
    ("binning", "message"),
    [
        ((2,), r"binning is \(2,\), but must have one number for each of the 2 axes"),
        ((0, 1), "binning is 0, but must be at least 1"),
        ((1, 1.5), "binning is 1.5, but must be a whole number"),
    ],
)
def test_binning_that_cannot_be_is_named(binning: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImagingSystem(psf=psf((3, 3)), camera=None, binning=binning)


def test_an_object_that_the_pixels_do_not_divide_is_refused() -> None:
    system = ImagingSystem(psf=psf((3, 3)), camera=None, binning=(1, 4))
    with pytest.raises(ValueError, match="21 voxels along x, which pixels of 4 do not divide: crop it to 20"):
        system.expected(cell())


def test_a_psf_as_wide_as_the_light_keeps_the_haze_and_a_narrow_one_loses_a_third() -> None:
    water = optics.Microscope(numerical_aperture=1.2, immersion_index=1.33, sample_index=1.33)
    reach = water.light_reach_um(23 * 0.16)
    assert reach == pytest.approx(8.6, abs=0.05)
    shares = []
    for width_um in (reach, 4.0):
        side = 2 * round(width_um / 0.1) + 1
        wide = optics.vectorial_psf(water, shape=(47, side, side), voxel_size_um=(0.16, 0.1, 0.1))
        shares.append(float(ImagingSystem(psf=wide, camera=None).plane_shares[-1]))
    assert shares[0] > 0.98
    assert shares[1] == pytest.approx(0.67, abs=0.02)
