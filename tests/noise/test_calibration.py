import pytest
import torch

from course_lib import datasets, samples
from course_lib.noise import Camera, calibrate_image, calibrate_stack
from course_lib.noise.line import fit_line


def scene(size: int = 256) -> torch.Tensor:
    """A smooth scene of 10 to 500 photons, its period about 130 px."""
    t = torch.linspace(0, 12, size)
    return 10 + 245 * (1 + torch.sin(t)[:, None] * torch.cos(1.3 * t))


@pytest.mark.parametrize("gain", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_stack_with_dark_frames(gain: float, seed: int) -> None:
    camera = Camera(gain_e_per_adu=gain, read_noise_e=4.0, offset_adu=150.0)
    frames = camera.capture(scene().expand(6, -1, -1), rng=seed)
    dark = camera.capture(torch.zeros(6, 256, 256), rng=100 + seed)
    calibration = calibrate_stack(frames, dark_frames=dark)
    assert calibration.known == "dark frames"
    assert abs(calibration.gain_e_per_adu - gain) < 5 * calibration.gain_standard_error
    assert calibration.gain_standard_error < 0.02 * gain
    assert calibration.offset_adu == pytest.approx(150.0, abs=0.1)
    assert calibration.read_noise_e == pytest.approx(4.0, rel=0.05)


def test_intercept_is_split_by_what_is_known() -> None:
    camera = Camera(gain_e_per_adu=1.0, read_noise_e=5.0, offset_adu=150.0)
    frames = camera.capture(scene().expand(20, -1, -1), rng=0)
    by_offset = calibrate_stack(frames, offset_adu=150.0)
    by_read_noise = calibrate_stack(frames, read_noise_e=5.0)
    by_nothing = calibrate_stack(frames)
    assert by_offset.read_noise_e == pytest.approx(5.0, abs=0.5)
    assert by_read_noise.offset_adu == pytest.approx(150.0, abs=3)
    assert by_read_noise.offset_adu - by_nothing.offset_adu == pytest.approx(25.0, rel=0.05)  # R²/g
    assert by_nothing.known == "nothing"


def test_standard_error_is_what_repeats_scatter() -> None:
    camera = Camera(gain_e_per_adu=1.0)
    results = [calibrate_stack(camera.capture(scene(128).expand(4, -1, -1), rng=s), offset_adu=100) for s in range(40)]
    gains = torch.tensor([result.gain_e_per_adu for result in results])
    stated = torch.tensor([result.gain_standard_error for result in results]).mean()
    assert 0.6 < float(gains.std() / stated) < 1.5
    assert abs(float(gains.mean()) - 1) < 5 * float(stated) / 40**0.5


@pytest.mark.parametrize("gain", [0.3, 1.0, 4.0])
def test_single_image_within_ten_percent(gain: float) -> None:
    image = Camera(gain_e_per_adu=gain, offset_adu=100.0).capture(scene(), rng=0)
    calibration = calibrate_image(image, offset_adu=100.0)
    assert calibration.gain_e_per_adu == pytest.approx(gain, rel=0.1)
    assert abs(calibration.gain_e_per_adu - gain) < 5 * calibration.gain_standard_error


def test_real_photon_counts_have_a_gain_of_one() -> None:
    hazelnut = datasets.load("hazelnut").tensor()
    assert calibrate_stack(hazelnut, offset_adu=0.0).gain_e_per_adu == pytest.approx(1.0, abs=0.05)
    for frame in hazelnut:
        # one frame: a guess; dead time above 80 photons and fine structure both move it
        assert calibrate_image(frame, offset_adu=0.0).gain_e_per_adu == pytest.approx(1.0, abs=0.15)


def test_conversion_to_electrons_is_unbiased() -> None:
    camera = Camera(quantum_efficiency=1.0, dark_current_e_per_s=0.0, gain_e_per_adu=0.5)
    calibration = calibrate_stack(camera.capture(scene().expand(8, -1, -1), rng=0), offset_adu=100.0)
    electrons = calibration.to_electrons(camera.capture(scene(), rng=9))
    assert float(electrons.mean() / scene().mean()) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.zeros(1, 64, 64), r"frames has shape \(1, 64, 64\), but needs \(T, Y, X\) with at least 2 frames"),
        (torch.zeros(64, 64), r"frames has shape \(64, 64\), but needs at least 3 axes"),
        (torch.zeros(2, 3, 64, 64), r"needs \(T, Y, X\)"),
        (torch.zeros(4, 64, 64), r"a line needs at least 2 different signal levels"),
        (torch.zeros(4, 5, 5), r"25 pixels, too few for 2 levels of 50 each"),
        (torch.full((4, 64, 64), float("inf")), "NaN or infinite"),
    ],
)
def test_bad_stacks(frames: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calibrate_stack(frames)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(32, 32), r"image has shape \(32, 32\), but needs \(Y, X\) of at least 64 × 64"),
        (torch.zeros(3, 64, 64), r"choose one plane, or use calibrate_stack"),
        (torch.zeros(128, 128), r"a line needs at least 2 different signal levels, but all are 0"),
        (torch.full((128, 128), float("nan")), "NaN or infinite"),
    ],
)
def test_bad_images(image: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calibrate_image(image)


def test_images_without_photon_noise_are_refused() -> None:
    generator = torch.Generator().manual_seed(0)
    flat_noise = scene() + 5 * torch.randn(256, 256, generator=generator)
    with pytest.raises(ValueError, match=r"the variance does not grow with brightness .*so no gain follows"):
        calibrate_stack(scene() + 5 * torch.randn(4, 256, 256, generator=generator))
    with pytest.raises(ValueError, match="so no gain follows"):
        calibrate_image(flat_noise)


def test_only_one_thing_may_be_known() -> None:
    with pytest.raises(ValueError, match="more than one is given"):
        calibrate_stack(scene().expand(2, -1, -1), offset_adu=100.0, read_noise_e=1.0)
    with pytest.raises(ValueError, match="more than one is given"):
        calibrate_image(scene(), offset_adu=100.0, read_noise_e=1.0)


def test_line_equals_weighted_polynomial_fit() -> None:
    import numpy as np

    generator = torch.Generator().manual_seed(0)
    x = torch.linspace(1, 10, 30)
    error = 0.1 + 0.05 * x
    y = 2 + 0.5 * x + error * torch.randn(30, generator=generator)
    line = fit_line(x, y, error)
    (slope, intercept), covariance = np.polyfit(x.double(), y.double(), 1, w=1 / error.double(), cov="unscaled")
    assert line.slope == pytest.approx(slope, rel=1e-6)
    assert line.intercept == pytest.approx(intercept, rel=1e-6)
    residual = ((y - intercept - slope * x) / error).double()
    excess = max(1.0, float((residual**2).sum() / 28))
    assert line.slope_standard_error == pytest.approx((covariance[0, 0] * excess) ** 0.5, rel=1e-4)
    assert line.intercept_standard_error == pytest.approx((covariance[1, 1] * excess) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("frames", [2, 4, 20])
@pytest.mark.parametrize(("top", "read_noise_e"), [(3.0, 1.6), (20.0, 6.0), (500.0, 1.6)])
def test_dim_scenes_and_strong_read_noise_do_not_bias_the_gain(frames: int, top: float, read_noise_e: float) -> None:
    camera = Camera(quantum_efficiency=1.0, read_noise_e=read_noise_e, full_well_e=1e5)
    dim = top * scene() / float(scene().max())
    found = [calibrate_stack(camera.capture(dim.expand(frames, -1, -1), rng=s), offset_adu=100) for s in range(8)]
    gains = torch.tensor([one.gain_e_per_adu for one in found])
    assert abs(float(gains.mean()) / 0.46 - 1) < 0.01 + 5 * float(gains.std()) / 0.46 / 8**0.5
    assert abs(float(gains.mean()) / 0.46 - 1) < 0.08


@pytest.mark.parametrize("change", ["bleaching", "flicker"])
def test_changes_of_the_whole_scenes_brightness_are_taken_out(change: str) -> None:
    steps = torch.arange(8)[:, None, None]
    flicker = 1 + 0.03 * torch.randn(8, 1, 1, generator=torch.Generator().manual_seed(0))
    factor = 0.95**steps if change == "bleaching" else flicker
    frames = Camera(gain_e_per_adu=1.0).capture(scene() * factor, rng=1)
    assert calibrate_stack(frames, offset_adu=100.0).gain_e_per_adu == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize("full_well_e", [300.0, 350.0, 390.0])
def test_saturated_levels_are_left_out(full_well_e: float) -> None:
    camera = Camera(quantum_efficiency=1.0, full_well_e=full_well_e)
    found = calibrate_stack(camera.capture(scene().expand(8, -1, -1), rng=0), offset_adu=100.0)
    assert found.gain_e_per_adu == pytest.approx(0.46, rel=0.05)


def test_em_gain_needs_its_excess_noise_factor() -> None:
    camera = Camera(quantum_efficiency=1.0, em_gain=100.0, gain_e_per_adu=5.0, read_noise_e=30.0, full_well_e=1e5)
    frames = camera.capture(scene().expand(6, -1, -1), rng=0)
    found = calibrate_stack(frames, offset_adu=100.0, excess_noise_factor=2.0)
    assert found.gain_e_per_adu == pytest.approx(0.05, rel=0.02)
    electrons = found.to_electrons(frames).mean()
    assert float(electrons / scene().mean()) == pytest.approx(1.0, abs=0.03)
    with pytest.raises(ValueError, match=r"excess_noise_factor is 3, but must be from 1 \(no EM gain\) to 2 \(EMCCD\)"):
        calibrate_stack(frames, offset_adu=100.0, excess_noise_factor=3.0)


def test_single_image_of_blurred_filaments() -> None:
    """Dense filaments make the gain too small, by as much as the docstring says."""
    from scipy.ndimage import gaussian_filter

    sharp = 300 * samples.filaments((512, 512), voxel_size_um=(0.2, 0.2), count=120, rng=0).numpy()
    gains = {}
    for sigma in (0.85, 2.5):
        truth = torch.as_tensor(gaussian_filter(sharp, sigma) * max(1, sigma) + 20)
        gains[sigma] = calibrate_image(
            Camera(gain_e_per_adu=1.0).capture(truth, rng=0), offset_adu=100.0
        ).gain_e_per_adu
    assert 0.86 < gains[2.5] < 0.97
    assert 0.6 < gains[0.85] < 0.82


def test_standard_error_of_a_single_image_is_what_repeats_scatter() -> None:
    smooth = scene(384)
    camera = Camera(gain_e_per_adu=1.0)
    results = [calibrate_image(camera.capture(smooth, rng=s), offset_adu=100.0) for s in range(30)]
    gains = torch.tensor([result.gain_e_per_adu for result in results])
    stated = torch.tensor([result.gain_standard_error for result in results]).mean()
    assert 0.6 < float(gains.std() / stated) < 1.6


def test_the_error_of_an_offset_is_what_repeats_scatter_and_0_where_it_is_known() -> None:
    camera = Camera(gain_e_per_adu=1.0, read_noise_e=5.0, offset_adu=100.0)
    films = [camera.capture(scene(128).expand(4, -1, -1), rng=s) for s in range(40)]
    for known in ({}, {"read_noise_e": 5.0}):
        results = [calibrate_stack(film, **known) for film in films]
        offsets = torch.tensor([result.offset_adu for result in results])
        stated = torch.tensor([result.offset_standard_error for result in results]).mean()
        assert 0.6 < float(offsets.std() / stated) < 1.5
    assert calibrate_stack(films[0], offset_adu=100.0).offset_standard_error == 0
    assert calibrate_stack(films[0], dark_frames=films[1]).offset_standard_error == 0


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"offset_adu": float("nan")}, "offset_adu is nan ADU, but must be finite"),
        ({"read_noise_e": -3.0}, "read_noise_e is -3 e⁻, but must be at least 0 e⁻ and finite"),
    ],
)
def test_what_is_known_must_make_sense(known: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calibrate_stack(scene().expand(3, -1, -1), **known)
    with pytest.raises(ValueError, match=message):
        calibrate_image(scene(), **known)


def test_an_offset_above_the_image_is_refused() -> None:
    frames = Camera(offset_adu=10.0).capture(scene().expand(3, -1, -1), rng=0)
    with pytest.raises(
        ValueError, match=r"offset_adu is 2000 ADU, but half of the image lies below .* pass that, or None"
    ):
        calibrate_stack(frames, offset_adu=2000.0)


def test_frames_of_two_rows_are_refused() -> None:
    frames = torch.poisson(torch.full((8, 2, 200), 50.0), generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"frames have 2 × 200 pixels, but need at least 3 × 3"):
        calibrate_stack(frames, offset_adu=0.0)
