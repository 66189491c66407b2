"""What an inspection sees: simulated recordings whose camera and faults are known, and the real ones of the course."""

import json
import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import datasets, optics, samples
from course_lib.images import Image
from course_lib.inspection import Inspection, check_sampling, inspect, look_at_values, pile_share
from course_lib.noise import Camera
from course_lib.noise2void import classical

pytestmark = pytest.mark.usefixtures("one_thread")

OIL = optics.Microscope(numerical_aperture=1.4, emission_wavelength_nm=520)


def scene(side: int = 128, photons: float = 100.0) -> torch.Tensor:
    t = torch.linspace(0, 12, side)
    return photons * (1.05 + torch.sin(t)[:, None] * torch.cos(1.3 * t))


def counts(truth: torch.Tensor, seed: int = 0) -> np.ndarray:
    return torch.poisson(truth, generator=torch.Generator().manual_seed(seed)).numpy().astype(np.uint16)


def seen(data: np.ndarray, axes: str = "YX", unit: str = "adu", **options: object) -> Inspection:
    sizes = (0.2, 0.08, 0.08) if "Z" in axes else (0.08, 0.08)
    return inspect(Image(data, axes=axes, voxel_size_um=sizes, unit=unit), **options)


def method(found: Inspection) -> str:
    recommendation = found.channels[0].recommendation
    assert recommendation is not None
    return recommendation.method


def test_a_raw_camera_image_has_no_flag_and_photons_that_can_be_split() -> None:
    camera = Camera(gain_e_per_adu=0.5, offset_adu=100.0, read_noise_e=1.6, quantum_efficiency=1.0)
    found = seen(camera.capture(scene(256), rng=0).numpy().astype(np.uint16), file="a.tif")
    assert found.flag_names == set()
    (channel,) = found.channels
    assert channel.noise == "camera"
    assert channel.calibration is not None
    assert channel.calibration.gain_e_per_adu == pytest.approx(0.5, rel=0.1)
    assert method(found) == "photon splitting"
    gain = f"--gain-e-per-adu {channel.calibration.gain_e_per_adu:.3g} --offset-adu"
    assert channel.recommendation is not None
    assert channel.recommendation.command.startswith(f"course denoise a.tif {gain}")
    assert f"begin with {channel.recommendation}" in found.lines()[-1]


def test_signal_and_snr_are_those_of_the_scene() -> None:
    truth = scene(256)
    found = seen(np.stack([counts(truth, seed) for seed in range(6)]), "TYX", "photons")
    flat = truth.flatten().sort().values
    bright, dark = float(flat[-len(flat) // 40 :].mean()), float(flat[: len(flat) // 40].mean())
    (channel,) = found.channels
    assert channel.noise == "photons"
    assert channel.signal == pytest.approx(bright - dark, rel=0.03)
    assert channel.snr == pytest.approx((bright - dark) / bright**0.5, rel=0.05)
    assert not channel.moves


def test_photons_by_their_noise_alone() -> None:
    assert seen(counts(scene(512, photons=30.0)), unit="arbitrary").channels[0].noise == "photons"


def test_saturation_stops_intensities_but_one_bright_pixel_does_not() -> None:
    raw = counts(scene(photons=120.0))
    found = seen(np.minimum(raw, 200).astype(np.uint8), unit="photons")
    assert "saturated" in found.flag_names
    share = found.channels[0].values.saturated_share
    assert share == pytest.approx(float((raw >= 200).mean()))
    assert f"{100 * share:.2g} % of the pixels are 200" in str(found.flags[0])
    raw[5, 5] = 4095
    assert "saturated" not in seen(raw, unit="photons").flag_names


def test_clipped_noise_is_seen_where_values_are_no_counts() -> None:
    noisy = scene(photons=20.0) + 8 * torch.randn(128, 128, generator=torch.Generator().manual_seed(0))
    assert "clipped" in seen(noisy.clamp(min=0).numpy()).flag_names
    assert "clipped" not in seen(noisy.numpy()).flag_names
    few = counts(torch.full((96, 96), 0.2))
    assert "clipped" not in seen(few, unit="photons").flag_names


@settings(max_examples=25)
@given(mean=st.floats(0.5, 3000), factor=st.sampled_from([1.0, 1.7, 3.0, 47.4]), seed=st.integers(0, 999))
def test_a_stretched_contrast_leaves_gaps_and_a_raw_one_none(mean: float, factor: float, seed: int) -> None:
    raw = np.random.default_rng(seed).poisson(mean, (96, 128))
    step = look_at_values(torch.as_tensor(np.round(raw * factor))).grey_step
    if factor == 1.0:
        assert step == 1.0
    elif mean > 40:
        assert step == pytest.approx(factor, rel=0.3)


@pytest.mark.parametrize("factor", [3, 16])
def test_a_whole_factor_changes_the_gain_and_nothing_else(factor: int) -> None:
    camera = Camera(gain_e_per_adu=0.5, offset_adu=100.0, read_noise_e=1.6, quantum_efficiency=1.0)
    raw = camera.capture(scene(256, photons=400.0), rng=0).numpy().astype(np.uint16)
    plain, multiplied = seen(raw), seen((factor * raw).astype(np.uint16))
    assert multiplied.flag_names == {"multiplied"}
    assert multiplied.flags[0].severity == "care"
    assert f"All grey levels lie {factor} apart" in multiplied.flags[0].text
    (channel,), (expected,) = multiplied.channels, plain.channels
    assert (channel.values.grey_step, channel.values.are_multiples, channel.noise) == (factor, True, "camera")
    assert channel.calibration is not None
    assert expected.calibration is not None
    assert factor * channel.calibration.gain_e_per_adu == pytest.approx(expected.calibration.gain_e_per_adu, rel=0.01)
    assert channel.signal == pytest.approx(expected.signal, rel=0.02)
    assert method(multiplied) == "photon splitting"
    assert channel.camera_flags.startswith(f" --gain-e-per-adu {channel.calibration.gain_e_per_adu:.3g}")


@pytest.mark.parametrize("factor", [1.7, 15.9, 47.4])
def test_a_factor_that_is_not_whole_stops(factor: float) -> None:
    found = seen(np.round(factor * counts(scene(256, photons=400.0))).astype(np.uint16))
    assert "rescaled" in found.flag_names
    assert next(flag for flag in found.flags if flag.name == "rescaled").severity == "stop"
    assert not found.channels[0].values.are_multiples
    assert found.channels[0].noise == "unknown"


def test_a_12_bit_camera_that_is_shifted_and_saturates_is_seen_to() -> None:
    raw = 16 * np.minimum(counts(scene(256, photons=2500.0)), 4095)
    found = seen(raw.astype(np.uint16))
    assert found.flag_names >= {"multiplied", "saturated"}
    assert found.channels[0].values.saturated_share == pytest.approx(float((raw == 65520).mean()))


def test_the_stretched_data_set_is_recognized() -> None:
    found = inspect(datasets.load("cells3d_nuclei"))
    assert "rescaled" in found.flag_names
    assert found.channels[0].values.grey_step == pytest.approx(47.4, abs=0.5)
    assert not found.channels[0].values.are_multiples
    assert found.channels[0].noise == "unknown"
    assert method(found) == "blind spots"


@pytest.mark.parametrize("name", ["dsb2018_nuclei_2d_labels", "stardist_nuclei_3d_labels"])
def test_labels_are_no_image(name: str) -> None:
    found = inspect(datasets.load(name))
    assert "labels" in found.flag_names
    assert method(found) == "another file"


@pytest.mark.parametrize("name", ["hazelnut", "receptacle", "telomeres", "terra_nuclei", "dsb2018_nuclei_2d"])
def test_real_recordings_are_no_labels_and_were_not_stretched(name: str) -> None:
    found = inspect(datasets.load(name))
    assert not found.flag_names & {"labels", "rescaled", "saturated", "clipped", "constant", "not finite"}


@pytest.mark.parametrize("name", ["hazelnut", "receptacle", "telomeres", "terra_nuclei"])
def test_the_offset_of_real_recordings_is_credible(name: str) -> None:
    assert not any(channel.offset_doubt for channel in inspect(datasets.load(name)).channels)


@pytest.mark.parametrize("read_noise_e", [1.6, 8.0])
@pytest.mark.parametrize("gain_e_per_adu", [0.25, 4.0])
def test_the_read_noise_of_a_camera_makes_no_offset_incredible(read_noise_e: float, gain_e_per_adu: float) -> None:
    camera = Camera(gain_e_per_adu=gain_e_per_adu, offset_adu=20.0, read_noise_e=read_noise_e, quantum_efficiency=1.0)
    found = seen(camera.capture(scene(256, photons=800.0), rng=0).numpy().astype(np.uint16))
    assert "offset not credible" not in found.flag_names
    assert found.channels[0].noise == "camera"


def test_an_offset_far_below_0_is_not_believed() -> None:
    found = inspect(datasets.load("dsb2018_nuclei_2d"))
    (channel,) = found.channels
    assert channel.calibration is not None
    assert channel.calibration.offset_adu < -100
    assert channel.camera_flags == ""
    needed = math.sqrt(-channel.calibration.offset_adu * channel.calibration.gain_e_per_adu)
    (flag,) = (flag for flag in found.flags if flag.name == "offset not credible")
    assert f"below 0 it would take a read noise of {needed:.2g} e⁻, and cameras have 1 to 10." in flag.text
    assert "give the mean of a dark frame, --offset-adu" in flag.text
    assert any("if there is no read noise, which is not credible (from one image" in line for line in found.lines())
    assert found.to_dict()["channels"][0]["offset_doubt"] == flag.text
    known = inspect(datasets.load("dsb2018_nuclei_2d"), offset_adu=0.0)
    assert "offset not credible" not in known.flag_names


def test_an_offset_above_the_darkest_areas_is_not_believed() -> None:
    found = seen(counts(scene(256)).astype(np.float32) / 20)
    assert found.channels[0].noise == "unknown"
    told = next(flag.text for flag in found.flags if flag.name == "offset not credible")
    assert "the darkest areas are 0.4" in told
    assert "and light cannot be negative" in told
    assert method(found) == "blind spots"


def test_what_was_subtracted_may_leave_an_offset_below_0() -> None:
    camera = Camera(gain_e_per_adu=2.0, offset_adu=300.0, read_noise_e=1.6, quantum_efficiency=1.0)
    found = seen(camera.capture(scene(256, photons=400.0), rng=0).numpy() - 700)
    assert found.channels[0].values.minimum < -350
    assert "offset not credible" not in found.flag_names


def test_pixels_at_the_maximum_are_counted() -> None:
    raw = counts(scene())
    raw[3, 3:7] = 999
    assert "; 4 pixels are at the maximum" in seen(raw, unit="photons").lines()[1]
    raw[3, 3] = 1000
    assert "; 1 pixel is at the maximum" in seen(raw, unit="photons").lines()[1]


def test_structured_noise_asks_for_structured_blind_spots() -> None:
    white = torch.randn(160, 160, generator=torch.Generator().manual_seed(0))
    found = seen((scene(160) + 10 * (white + white.roll(1, dims=0))).numpy())
    assert found.channels[0].noise == "structured"
    assert "structured noise" in found.flag_names
    assert found.flags[0].severity == "stop"
    assert method(found) == "structured blind spots"


@pytest.mark.parametrize("seed", range(3))
def test_nuclei_in_good_light_keep_their_gain(seed: int) -> None:
    camera = Camera(gain_e_per_adu=0.5, offset_adu=100.0, read_noise_e=1.6, quantum_efficiency=1.0)
    density, _ = samples.nuclei((256, 256), voxel_size_um=(0.25, 0.25), count=20, diameter_um=10, rng=seed)
    light = classical.gaussian(2000 * density / density.max(), sigma=0.6) + 5
    found = seen(camera.capture(light, rng=seed).numpy())
    assert found.flag_names == {"noise uncertain"}
    assert found.flags[0].severity == "care"
    (channel,) = found.channels
    assert channel.noise == "camera"
    assert channel.calibration is not None
    assert channel.calibration.gain_e_per_adu == pytest.approx(0.5, rel=0.2)


def test_a_moving_scene_is_no_structured_noise() -> None:
    large = scene(256, photons=300.0)
    still, moving = ([large[:128, step * n : step * n + 128] for n in range(5)] for step in (0, 6))
    films = [np.stack([counts(frame, seed) for seed, frame in enumerate(film)]) for film in (still, moving)]
    assert not seen(films[0], "TYX", "photons").channels[0].moves
    found = seen(films[1], "TYX", "photons")
    assert found.channels[0].moves
    assert "moving" in found.flag_names
    assert found.channels[0].noise == "photons"


def test_a_fine_stack_of_a_known_microscope_is_deconvolved_unless_something_forbids_it() -> None:
    stack = np.stack([counts(scene(), seed) for seed in range(10)])
    assert method(seen(stack, "ZYX", "photons")) == "photon splitting"
    found = seen(stack, "ZYX", "photons", microscope=OIL)
    assert method(found) == "deconvolution"
    assert found.sampling is not None
    assert found.sampling.undersampled == ()
    assert method(seen(np.minimum(stack, 90), "ZYX", "photons", microscope=OIL)) == "photon splitting"
    assert method(seen(stack[:3], "ZYX", "photons", microscope=OIL)) == "photon splitting"


def test_coarse_pixels_and_planes_are_told_apart() -> None:
    lateral, axial = OIL.lateral_nyquist_um, OIL.axial_nyquist_um
    cases = {(1.0, 1.0): (), (1.1, 1.0): ("planes",), (1.0, 1.1): ("pixels",), (1.1, 1.1): ("pixels", "planes")}
    for (along, across), coarse in cases.items():
        assert check_sampling((along * axial, across * lateral, lateral), OIL).undersampled == coarse
    found = inspect(Image(counts(scene()), axes="YX", voxel_size_um=(0.2, 0.2)), microscope=OIL)
    assert "undersampled" in found.flag_names
    assert "Do not deconvolve" in str(found.flags[0])


def test_with_light_in_plenty_nothing_is_restored_and_with_little_it_is_told() -> None:
    assert method(seen(counts(scene(photons=5e3)), unit="photons")) == "nothing"
    found = seen(counts(scene(photons=2.0)), unit="photons")
    assert "few photons" in found.flag_names
    assert found.channels[0].snr is not None
    assert found.channels[0].snr < 3


def test_channels_are_told_apart() -> None:
    two = np.stack([counts(scene()), np.minimum(counts(scene()), 60)])
    found = seen(two, "CYX", "photons", file="two.tif")
    assert [flag.channel for flag in found.flags if flag.name == "saturated"] == [1]
    assert [channel.channel for channel in found.channels] == [0, 1]
    assert "course denoise two.tif --channel 1" in found.lines()[-1]
    assert any(line.startswith("STOP: saturated (channel 1): ") for line in found.lines())


def test_saturation_in_any_plane_is_found() -> None:
    stack = np.stack([counts(scene(), seed) for seed in range(9)])
    stack[1] = np.minimum(stack[1], 80)
    stack[1:2][stack[1:2] == 80] = 4095
    assert "saturated" in seen(stack, "ZYX", "photons").flag_names


def test_of_a_long_film_some_frames_are_read() -> None:
    film = np.broadcast_to(counts(scene(64)), (20_000, 64, 64))
    found = seen(film, "TYX", "photons")
    assert found.shape == (20_000, 64, 64)
    assert found.channels[0].calibration is None


@pytest.mark.parametrize(
    ("data", "flag", "told"),
    [
        (np.full((80, 80), 7, np.uint8), "constant", "All pixels are 7"),
        (np.where(np.eye(80) > 0, np.nan, 1.0), "not finite", "80 pixels are NaN, infinite"),
        (np.ones((1, 1), np.uint16), "constant", "All pixels are 1"),
        (np.arange(60.0).reshape(6, 10), "noise unknown", "at least 64 × 64"),
        (np.where(np.eye(80) > 0, 1e300, 1.0), "not finite", "80 pixels are NaN, infinite or beyond 3e38"),
    ],
)
def test_odd_images_are_flagged(data: np.ndarray, flag: str, told: str) -> None:
    found = seen(data)
    assert flag in found.flag_names
    assert any(told in str(one) for one in found.flags) or "64" in told
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("data", [np.zeros((0, 5)), np.full((4, 4), np.nan)])
def test_nothing_to_look_at_is_an_error(data: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"has no pixel|none of them is a finite number|without any element"):
        seen(data)


def test_no_voxel_size_is_a_flag() -> None:
    found = inspect(Image(counts(scene()), axes="YX", unit="photons"))
    assert found.flag_names == {"no voxel size"}
    assert found.sampling is None


def test_photons_that_are_none_are_doubted() -> None:
    assert "no counts" in seen(4 * counts(scene(256)), unit="photons").flag_names


def test_all_of_it_is_plain_and_frozen() -> None:
    found = inspect(datasets.load("hazelnut"))
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["channels"][0]["noise"] == "photons"
    assert told["flags"] == []
    with pytest.raises(FrozenInstanceError):
        found.axes = "YX"


@given(st.lists(st.integers(0, 20), min_size=1, max_size=200))
def test_a_pile_is_a_share(values: list[int]) -> None:
    tensor = torch.tensor(values, dtype=torch.float32)
    share = pile_share(tensor, float(tensor.max()))
    assert share == 0 or share == pytest.approx(values.count(max(values)) / len(values))
    assert pile_share(torch.full((50,), 3.0), 3.0) == 0


@pytest.mark.parametrize("cut", [-1.2, 0.0, 1.0])
def test_a_background_that_is_cut_off_piles_up_wherever_it_is_cut(cut: float) -> None:
    noise = torch.randn(128, 128, generator=torch.Generator().manual_seed(0))
    recorded = (100 + 3 * noise).round()
    below = float((recorded <= 100 + 3 * cut).double().mean())
    share = look_at_values(recorded.clamp(min=round(100 + 3 * cut))).clipped_share
    assert share == pytest.approx(below, rel=0.3)
    assert look_at_values(recorded).clipped_share == 0


@settings(max_examples=40)
@given(seed=st.integers(0, 9999), mean=st.floats(20, 500), side=st.integers(20, 200))
def test_histograms_that_are_not_cut_off_have_no_pile(seed: int, mean: float, side: int) -> None:
    raw = torch.as_tensor(np.random.default_rng(seed).poisson(mean, (side, side)).astype(np.float32))
    seen_values = look_at_values(raw)
    assert seen_values.saturated_share == seen_values.clipped_share == 0


def test_where_neighbours_share_noise_one_image_tells_no_gain_and_a_film_does() -> None:
    camera = Camera(gain_e_per_adu=2.0, read_noise_e=1.0, quantum_efficiency=1.0)
    film = camera.capture(scene(256).expand(8, -1, -1), rng=0)
    shared = (film + film.roll(1, dims=-2)) / 2
    alone = seen(shared[0].numpy())
    assert alone.channels[0].calibration is None
    assert alone.channels[0].snr is None
    assert any("gain: unknown, one image does not tell it where neighbours share noise" in s for s in alone.lines())
    assert seen(shared.numpy(), "TYX").channels[0].calibration is not None
