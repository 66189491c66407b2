import pytest
import torch

from course_lib.noise import Camera, photon_transfer, pixel_response_map

SHAPE = (256, 256)


def curve_of(camera: Camera, levels: torch.Tensor, rng: int = 0):
    flat = levels[:, None, None, None].expand(-1, 2, *SHAPE)
    return photon_transfer(camera.capture(flat, rng=rng), camera.capture(torch.zeros(2, *SHAPE), rng=rng + 1))


@pytest.mark.parametrize("gain", [0.25, 0.4545, 2.2])
@pytest.mark.parametrize("seed", [0, 10])
def test_gain_offset_and_read_noise(gain: float, seed: int) -> None:
    camera = Camera(gain_e_per_adu=gain, read_noise_e=3.0, offset_adu=120.0, full_well_e=1e6, dark_current_e_per_s=0.0)
    curve = curve_of(camera, torch.logspace(1, 3.9, 12), seed)
    assert abs(curve.gain_e_per_adu - gain) < 5 * curve.gain_standard_error
    assert curve.gain_standard_error < 0.005 * gain
    assert curve.read_noise_e == pytest.approx(3.0, rel=0.02)
    assert abs(curve.read_noise_e - 3.0) < 5 * curve.read_noise_standard_error + 0.01
    assert curve.offset_adu == pytest.approx(120.0, abs=0.1)


def test_pair_differences_are_free_of_the_fixed_pattern_that_a_single_frame_has() -> None:
    camera = Camera(
        gain_e_per_adu=1 / 0.4545, pixel_response=pixel_response_map(SHAPE, nonuniformity=0.01, rng=3), full_well_e=1e6
    )
    curve = curve_of(camera, torch.logspace(2, 4.1, 10))
    assert 1 / curve.gain_e_per_adu == pytest.approx(0.4545, rel=0.01)
    assert curve.fixed_pattern == pytest.approx(0.01, rel=0.05)
    # the variance over one frame at 10,300 electrons: twice what shot noise alone gives
    brightest = curve.signal_adu.argmax()
    naive_slope = float(curve.frame_variance_adu2[brightest] / curve.signal_adu[brightest])
    electrons = float(curve.signal_adu[brightest]) * curve.gain_e_per_adu
    assert naive_slope == pytest.approx(0.4545 * (1 + 1e-4 * electrons), rel=0.03)


def test_saturated_levels_are_left_out_of_the_fit() -> None:
    camera = Camera(gain_e_per_adu=0.5, full_well_e=8000.0, quantum_efficiency=1.0)
    curve = curve_of(camera, torch.linspace(500, 12_000, 24))
    assert curve.gain_e_per_adu == pytest.approx(0.5, rel=0.01)
    assert not bool(curve.linear[-1])
    assert 7000 < curve.brightest_level_e <= 8000


def test_error_falls_with_the_number_of_pixels() -> None:
    camera = Camera(gain_e_per_adu=0.5)
    levels = torch.logspace(1, 4, 8)[:, None, None, None]
    small, large = (
        photon_transfer(
            camera.capture(levels.expand(-1, 2, side, side), rng=0), camera.capture(torch.zeros(2, side, side), rng=1)
        )
        for side in (32, 256)
    )
    assert small.gain_standard_error / large.gain_standard_error == pytest.approx(8, rel=0.5)


@pytest.mark.parametrize(
    ("pairs", "dark", "error", "message"),
    [
        (torch.zeros(3, 3, 8, 8), torch.zeros(2, 8, 8), ValueError, r"must be \(levels, 2, Y, X\) and \(2, Y, X\)"),
        (torch.zeros(3, 2, 8, 8), torch.zeros(2, 9, 8), ValueError, r"must be \(levels, 2, Y, X\)"),
        (
            torch.zeros(2, 8, 8),
            torch.zeros(2, 8, 8),
            ValueError,
            r"pairs has shape \(2, 8, 8\), but needs at least 4 axes",
        ),
        (torch.full((2, 2, 8, 8), float("nan")), torch.zeros(2, 8, 8), ValueError, "NaN or infinite"),
        (torch.zeros(2, 2, 8, 8), torch.zeros(2, 8, 8), ValueError, "only 0 level is in the linear range"),
        (torch.zeros(2, 2, 8, 8).int(), torch.zeros(2, 8, 8), TypeError, "floating point"),
    ],
)
def test_bad_input(pairs: torch.Tensor, dark: torch.Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        photon_transfer(pairs, dark)


def pairs_of(signal: list[float], deviation: list[float]) -> torch.Tensor:
    noise = torch.randn(len(signal), 2, 64, 64, generator=torch.Generator().manual_seed(0))
    return torch.tensor(signal)[:, None, None, None] + torch.tensor(deviation)[:, None, None, None] * noise


def test_variance_that_falls_with_the_signal_is_refused() -> None:
    pairs = pairs_of([1000, 2000, 3000, 4000, 8000, 9000], [40, 30, 20, 10, 60, 5])
    with pytest.raises(ValueError, match=r"variance falls with the signal \(slope -.* ADU\), so no gain follows"):
        photon_transfer(pairs, torch.zeros(2, 64, 64))


def test_only_saturated_levels_are_refused() -> None:
    pairs = pairs_of([8000, 9000, 10_000], [60, 5, 1])
    with pytest.raises(ValueError, match=r"only 0 level is in the linear range, up to 5.* add dimmer levels"):
        photon_transfer(pairs, torch.zeros(2, 64, 64))


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
def test_the_order_of_levels_does_not_matter(order: str) -> None:
    camera = Camera(pixel_response=pixel_response_map(SHAPE, nonuniformity=0.02, rng=3), gain_e_per_adu=2.0)
    levels = torch.logspace(2, 4, 8)
    levels = {"ascending": levels, "descending": levels.flip(0), "shuffled": levels[[3, 7, 0, 5, 1, 6, 2, 4]]}[order]
    curve = curve_of(camera, levels)
    assert curve.fixed_pattern == pytest.approx(0.02, rel=0.05)
    assert curve.gain_e_per_adu == pytest.approx(2.0, rel=0.01)


def test_offset_pattern_is_not_counted_as_response() -> None:
    camera = Camera(offset_adu=100 + 3 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)))
    assert curve_of(camera, torch.logspace(0.5, 1.5, 6)).fixed_pattern < 0.02  # 0.05 with it


def test_em_gain_refers_gain_and_read_noise_to_the_input() -> None:
    camera = Camera(em_gain=100.0, gain_e_per_adu=5.0, read_noise_e=40.0, dark_current_e_per_s=0.0, full_well_e=1e5)
    flat = torch.logspace(0.5, 3, 8)[:, None, None, None].expand(-1, 2, *SHAPE)
    dark_pair = camera.capture(torch.zeros(2, *SHAPE), rng=1)
    curve = photon_transfer(camera.capture(flat, rng=0), dark_pair, excess_noise_factor=2.0)
    assert curve.gain_e_per_adu == pytest.approx(0.05, rel=0.02)
    assert curve.read_noise_e == pytest.approx(0.4, rel=0.03)


@pytest.mark.parametrize("seeds", [range(30)])
def test_stated_errors_are_what_repeats_scatter(seeds: range) -> None:
    camera = Camera(gain_e_per_adu=1.0, read_noise_e=3.0, dark_current_e_per_s=0.0)
    flat = torch.logspace(1, 4, 8)[:, None, None, None].expand(-1, 2, 64, 64)
    dark = torch.zeros(2, 64, 64)
    curves = [photon_transfer(camera.capture(flat, rng=s), camera.capture(dark, rng=1000 + s)) for s in seeds]
    for value, error in (("gain_e_per_adu", "gain_standard_error"), ("read_noise_e", "read_noise_standard_error")):
        scatter = torch.tensor([getattr(c, value) for c in curves]).std()
        stated = torch.tensor([getattr(c, error) for c in curves]).mean()
        assert 0.6 < float(scatter / stated) < 1.6


def test_read_noise_hidden_by_rounding_has_a_large_error_and_one_pixel_is_refused() -> None:
    curve = curve_of(Camera(gain_e_per_adu=5.0, read_noise_e=1.0), torch.logspace(1, 4, 8))
    assert curve.read_noise_standard_error == pytest.approx(2.5, rel=0.05)
    with pytest.raises(ValueError, match="the frames have 1 pixels, but a variance needs at least 64"):
        photon_transfer(torch.zeros(3, 2, 1, 1), torch.zeros(2, 1, 1))
