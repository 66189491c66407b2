import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.noise import Camera, digitize, pixel_response_map, scmos_maps
from course_lib.parameters import ParameterError

PIXELS = 1000
QUIET = Camera(
    quantum_efficiency=1.0,
    dark_current_e_per_s=0.0,
    read_noise_e=0.0,
    gain_e_per_adu=0.5,
    offset_adu=100.0,
    full_well_e=1e6,
)

TERMS = {
    "shot noise": ({}, 40.0, 100.0),
    "quantum efficiency": ({"quantum_efficiency": 0.6}, 100.0, 100.0),
    "dark current": ({"dark_current_e_per_s": 50.0}, 0.0, 400.0),
    "clock-induced charge": ({"clock_induced_charge_e": 3.0}, 0.0, 100.0),
    "EM gain": ({"em_gain": 200.0, "gain_e_per_adu": 10.0}, 30.0, 100.0),
    "read noise": ({"read_noise_e": 6.0}, 10.0, 100.0),
    "read noise after EM gain": ({"em_gain": 50.0, "read_noise_e": 60.0, "gain_e_per_adu": 5.0}, 10.0, 100.0),
    "row noise": ({"row_noise_adu": 12.0}, 20.0, 100.0),
    "offset and gain": ({"gain_e_per_adu": 2.0, "offset_adu": 400.0}, 200.0, 100.0),
}


@pytest.mark.parametrize("term", TERMS)
def test_mean_and_variance_within_one_percent_of_theory(term: str) -> None:
    changes, photons, exposure_ms = TERMS[term]
    camera = QUIET.replace(**changes)
    # many narrow frames, so that row noise too is drawn a million times
    image = torch.full((PIXELS, PIXELS, 2), photons)
    adu = camera.capture(image, exposure_ms=exposure_ms, rng=0).double()
    mean, variance = camera.expected(image[0], exposure_ms=exposure_ms)
    assert float(adu.mean() - camera.offset_adu) == pytest.approx(float(mean.mean()) - camera.offset_adu, rel=0.01)
    assert float(adu.var()) == pytest.approx(float(variance.mean()), rel=0.01)


def test_em_gain_doubles_the_variance_of_shot_noise() -> None:
    photons = torch.full((PIXELS, PIXELS), 25.0)
    adu = QUIET.replace(em_gain=300.0, gain_e_per_adu=20.0).capture(photons, rng=0).double() - 100
    relative = float(adu.var() / adu.mean() ** 2)
    assert relative * 25 == pytest.approx(2.0, rel=0.01)


def test_no_light_no_dark_current_no_em_noise() -> None:
    adu = QUIET.replace(em_gain=300.0).capture(torch.zeros(64, 64), rng=0)
    assert bool((adu == 100).all())


def test_fixed_pattern_is_the_same_in_every_frame_and_has_the_size_asked_for() -> None:
    response = pixel_response_map((512, 512), nonuniformity=0.02, rng=1)
    camera = QUIET.replace(pixel_response=response, gain_e_per_adu=1.0)
    frames = camera.capture(torch.full((2, 512, 512), 20_000.0), rng=0).double() - 100
    common = torch.cov(frames.reshape(2, -1))[0, 1]
    assert float(common**0.5 / frames.mean()) == pytest.approx(0.02, rel=0.02)
    assert float((frames[0] - frames[1]).var() / 2) == pytest.approx(20_000, rel=0.01)


def test_checker_pattern_alternates_and_averages_to_zero() -> None:
    adu = QUIET.replace(checker_adu=7.0).capture(torch.zeros(8, 8), rng=0)
    assert bool((adu[0, ::2] == 107).all())
    assert bool((adu[0, 1::2] == 93).all())
    assert bool((adu[1:] == adu[:-1].flip(-1)).all())
    assert float(adu.mean()) == 100


def test_scmos_maps_act_pixel_by_pixel() -> None:
    maps = scmos_maps((32, 32), rng=0)
    camera = QUIET.replace(**maps._asdict())
    frames = camera.capture(torch.full((4000, 32, 32), 50.0), rng=1).double()
    mean, variance = camera.expected(torch.full((32, 32), 50.0))
    mean_error = variance.sqrt() / 4000**0.5
    assert float(((frames.mean(dim=0) - mean) / mean_error).abs().max()) < 5
    assert float((frames.var(dim=0) / variance - 1).abs().max()) < 6 * (2 / 4000) ** 0.5


def test_telegraph_pixels_make_the_tail_of_the_read_noise() -> None:
    read_noise = scmos_maps((1000, 1000), read_noise_e=1.2, rng=0).read_noise_e
    assert float(read_noise.median()) == pytest.approx(1.2, rel=0.01)
    assert float((read_noise > 3.5).float().mean()) == pytest.approx(0.005, rel=0.1)


def test_full_well_and_adc_saturate() -> None:
    bright = torch.full((64, 64), 1e5)
    well = QUIET.replace(full_well_e=10_000.0)
    assert bool((well.capture(bright, rng=0) == 20_100).all())
    adc = QUIET.replace(bit_depth=12)
    assert bool((adc.capture(bright, rng=0) == 4095).all())


def test_rounding_adds_a_twelfth() -> None:
    electrons = 50 * torch.rand(PIXELS, PIXELS, generator=torch.Generator().manual_seed(0))
    error = digitize(electrons, gain_e_per_adu=1.0, offset_adu=0.0, bit_depth=16) - electrons
    assert float(error.double().var()) == pytest.approx(1 / 12, rel=0.01)


@given(
    photons=st.floats(0, 500),
    quantum_efficiency=st.floats(0.05, 1),
    gain=st.floats(0.1, 5),
    offset=st.integers(50, 500),
    bit_depth=st.integers(8, 16),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_adu_are_whole_numbers_of_the_adc_and_the_seed_decides(
    photons: float, quantum_efficiency: float, gain: float, offset: int, bit_depth: int, seed: int
) -> None:
    camera = Camera(
        quantum_efficiency=quantum_efficiency, gain_e_per_adu=gain, offset_adu=float(offset), bit_depth=bit_depth
    )
    image = torch.full((2, 9, 7), photons)
    adu = camera.capture(image, rng=seed)
    assert adu.shape == image.shape
    assert adu.dtype == torch.float32
    assert bool((adu == adu.round()).all())
    assert 0 <= float(adu.min()) <= float(adu.max()) <= 2**bit_depth - 1
    assert bool((adu == camera.capture(image, rng=seed)).all())


def test_to_photons_inverts_the_mean() -> None:
    camera = Camera(
        pixel_response=pixel_response_map((40, 40), nonuniformity=0.1, rng=0),
        dark_current_e_per_s=20.0,
        checker_adu=5.0,
        em_gain=100.0,
        clock_induced_charge_e=0.2,
    )
    photons = torch.linspace(0, 200, 1600).reshape(40, 40)
    mean, _ = camera.expected(photons, exposure_ms=300)
    assert torch.allclose(camera.to_photons(mean, exposure_ms=300), photons, atol=1e-3)


def test_different_frames_of_a_batch_differ_and_dtype_float64_is_accepted() -> None:
    frames = Camera().capture(torch.full((3, 16, 16), 50.0, dtype=torch.float64), rng=0)
    assert not bool((frames[0] == frames[1]).all())


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.full((4, 4), -1.0), r"photons has a value of -1, but a mean is at least 0 photons: subtract"),
        (torch.full((4, 4), float("nan")), r"photons has 16 values that are NaN or infinite: replace them"),
        (torch.full((4, 4), float("inf")), r"photons has 16 values that are NaN or infinite"),
        (torch.zeros(4), r"photons has shape \(4,\), but needs at least 2 axes \(\.\.\., Y, X\)"),
        (torch.zeros(0, 4), r"photons has shape \(0, 4\), without any element"),
    ],
)
def test_bad_images_are_refused(image: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Camera().capture(image)


def test_integer_images_and_arrays_are_refused() -> None:
    with pytest.raises(
        TypeError, match=r"photons has dtype torch.int64, but must be floating point: photons.float\(\)"
    ):
        Camera().capture(torch.zeros(4, 4, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"photons is a ndarray, but must be a tensor"):
        Camera().capture(torch.zeros(4, 4).numpy())  # type: ignore[arg-type]


def test_maps_must_fit_the_image() -> None:
    camera = Camera(offset_adu=torch.full((8, 8), 100.0))
    with pytest.raises(
        ValueError, match=r"offset_adu is a map of shape \(8, 8\), but the image has .*\(4, 4\).*crop the map"
    ):
        camera.capture(torch.zeros(4, 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"read_noise_e": -1.0}, r"read_noise_e is -1 e⁻, but must be at least 0 e⁻: read noise"),
        ({"quantum_efficiency": 1.2}, r"quantum_efficiency is 1.2, but must be from 0 to 1"),
        ({"gain_e_per_adu": 0.0}, r"gain_e_per_adu is 0 e⁻/ADU, but must be at least 1e-06 e⁻/ADU"),
        ({"bit_depth": 17}, r"bit_depth is 17 bit, but must be from 1 to 16 bit"),
        ({"bit_depth": 12.5}, r"bit_depth is 12.5, but must be a whole number"),
        ({"offset_adu": float("nan")}, r"offset_adu is nan ADU, but must be at least 0 ADU"),
        ({"em_gain": 2.0}, r"em_gain is 2, but must be 1 \(none\) or at least 20"),
        ({"em_gain": torch.full((2, 2), 50.0)}, r"em_gain is a Tensor of shape \(2, 2\), but must be one number"),
        ({"read_noise_e": "1.6"}, r"read_noise_e is '1.6', but must be at least 0 e⁻"),
        ({"em_gain": "high"}, r"em_gain is 'high', but must be at least 1"),
        (
            {"read_noise_e": torch.tensor([[1.0, -2.0]])},
            r"read_noise_e is a map with an element -2, but must be at least",
        ),
        ({"read_noise_e": torch.zeros(0, 3)}, r"read_noise_e is a map without elements"),
    ],
)
def test_bad_cameras_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Camera(**changes)


def test_bad_exposure_and_dead_pixels_are_refused() -> None:
    for exposure_ms in (-5, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"exposure_ms is .* ms, but must be at least 0 ms and finite"):
            Camera().capture(torch.zeros(4, 4), exposure_ms=exposure_ms)
    dead = torch.ones(4, 4)
    dead[1, 1] = 0
    with pytest.raises(ValueError, match="is 0 in some pixel, which cannot be inverted"):
        Camera(pixel_response=dead).to_photons(torch.zeros(4, 4))
    with pytest.raises(ValueError, match=r"nonuniformity is 0.5, but must be from 0 to 0.3"):
        pixel_response_map((4, 4), nonuniformity=0.5)


@pytest.mark.gpu
def test_capture_on_the_gpu_has_the_same_statistics() -> None:
    photons = torch.full((1000, 1000), 40.0, device="cuda")
    camera = QUIET.replace(read_noise_e=3.0)
    adu = camera.capture(photons, rng=0).double()
    mean, variance = camera.expected(photons)
    assert adu.device.type == "cuda"
    assert float(adu.mean()) == pytest.approx(float(mean.mean()), rel=0.01)
    assert float(adu.var()) == pytest.approx(float(variance.mean()), rel=0.01)


@pytest.mark.parametrize("photons", [1e5, 1e12, 1e19, 1e30])
def test_any_overexposure_is_white(photons: float) -> None:
    adu = Camera().capture(torch.full((8, 8), photons), rng=0)
    assert bool((adu > 65_000).all())


def test_electrons_are_poisson_whatever_the_quantum_efficiency() -> None:
    camera = QUIET.replace(quantum_efficiency=0.5)
    electrons = camera.to_electrons(camera.capture(torch.full((PIXELS, PIXELS), 30.0), rng=0)).double()
    assert float(electrons.mean()) == pytest.approx(15, rel=0.01)
    assert float(electrons.var()) == pytest.approx(15, rel=0.01)


def test_statistics_of_the_scmos_maps() -> None:
    maps = scmos_maps((1000, 1000), gain_e_per_adu=0.5, offset_adu=100.0, rng=0)
    assert float(maps.gain_e_per_adu.std() / 0.5) == pytest.approx(0.01, rel=0.01)
    columns = maps.offset_adu.mean(dim=0)
    assert float(columns.std()) == pytest.approx(1.0, rel=0.1)
    assert float((maps.offset_adu - columns).std()) == pytest.approx(2.0, rel=0.01)
