import pytest
import torch

from course_lib import datasets, samples
from course_lib.noise import Camera, detect_structure
from course_lib.noise2void import classical


def white(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def scene(size: int = 256) -> torch.Tensor:
    t = torch.linspace(0, 20, size)
    return 60 * (1.2 + torch.sin(t)[:, None] * torch.cos(t))


@pytest.mark.parametrize("frames", [1, 5])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_moving_average_noise_has_its_closed_form(frames: int, share: float) -> None:
    noise = white(frames, 256, 256)
    structure = detect_structure((noise + share * noise.roll(1, dims=-2)).squeeze(0))
    expected = share / (1 + share**2)
    error = float(structure.standard_error[4, 3])
    assert structure.at(1, 0) == pytest.approx(expected, abs=5 * error)
    assert structure.at(-1, 0) == pytest.approx(expected, abs=5 * error)
    assert abs(structure.at(0, 1)) < 5 * float(structure.standard_error[3, 4])
    assert structure.verdict == ("white" if share == 0 else "structured")


@pytest.mark.parametrize("seed", range(8))
def test_a_shot_noise_image_of_a_scene_is_white(seed: int) -> None:
    frames = Camera().capture(scene().expand(3, -1, -1), rng=seed)
    assert detect_structure(frames).white
    assert detect_structure(frames[0]).white


def test_stripes_along_rows_are_found() -> None:
    camera = Camera(row_noise_adu=15.0, read_noise_e=3.0)
    frames = camera.capture(scene().expand(3, -1, -1), rng=0)
    structure = detect_structure(frames)
    assert not structure.white
    assert structure.at(0, 1) > 0.3
    assert abs(structure.at(1, 0)) < 0.1


def test_fixed_stripes_are_not_noise() -> None:
    stripes = 40 * white(256, seed=1)
    frames = Camera().capture(scene().expand(4, -1, -1), rng=0) + stripes
    assert detect_structure(frames).white


def test_real_cameras() -> None:
    hazelnut = detect_structure(datasets.load("hazelnut").tensor())
    assert hazelnut.white
    assert abs(hazelnut.at(1, 0)) < 0.03
    telomeres = datasets.load("telomeres").tensor()
    movie = detect_structure(telomeres)
    assert not movie.white
    assert movie.at(1, 0) == pytest.approx(0.483, abs=0.02)
    assert movie.at(0, 1) == pytest.approx(0.173, abs=0.02)
    assert movie.at(2, 0) == pytest.approx(0.02, abs=0.02)
    single = detect_structure(telomeres[0])
    assert not single.white
    assert single.at(1, 0) == pytest.approx(0.483, abs=0.05)
    assert "structured noise: ρ = +0.4" in str(single)
    assert detect_structure(datasets.load("hazelnut").tensor()[0]).white


@pytest.mark.parametrize(
    ("frames", "max_lag", "message"),
    [
        (torch.zeros(32, 64), 3, r"frames has shape \(32, 64\), but needs \(T, Y, X\) or \(Y, X\) from 64 × 64"),
        (torch.zeros(2, 2, 64, 64), 3, r"choose one channel and plane"),
        (torch.zeros(64), 3, r"needs at least 2 axes"),
        (white(64, 64), 0, r"max_lag is 0 px, but must be from 1 to 7 px"),
        (white(64, 64), 8, r"max_lag is 8 px"),
        (torch.full((64, 64), float("nan")), 3, r"NaN or infinite"),
        (torch.zeros(64, 64), 3, r"constant"),
    ],
)
def test_bad_input(frames: torch.Tensor, max_lag: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detect_structure(frames, max_lag=max_lag)


def test_diagonal_noise_is_seen_from_a_stack_and_not_called_white_from_one_image() -> None:
    noise = white(4, 256, 256)
    frames = noise + noise.roll((1, 1), dims=(-2, -1))
    stack = detect_structure(frames)
    assert stack.at(1, 1) == pytest.approx(0.5, abs=0.02)
    assert abs(stack.at(1, 0)) < 0.02
    assert detect_structure(frames[0]).verdict == "structured"


def test_between_white_and_structured_it_says_uncertain() -> None:
    receptacle = detect_structure(datasets.load("receptacle").tensor())
    assert receptacle.verdict == "uncertain"
    assert str(receptacle).startswith("uncertain: ρ = ")


def test_a_black_border_does_not_stop_the_measurement() -> None:
    frames = Camera().capture(scene().expand(3, -1, -1), rng=0)
    frames[:, :64] = 0
    assert detect_structure(frames).white


def test_stated_errors_are_what_repeats_scatter() -> None:
    results = [detect_structure(white(2, 128, 128, seed=s)) for s in range(40)]
    scatter = torch.tensor([result.at(1, 0) for result in results]).std()
    stated = torch.stack([result.standard_error[4, 3] for result in results]).mean()
    assert 0.6 < float(scatter / stated) < 1.6


def test_tiles_that_are_flat_in_one_direction_only_are_left_out_of_both() -> None:
    image = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    image[:68, :68] = torch.arange(68.0)[:, None]  # no fourth difference along rows, none down columns
    image[68:132, :68] = torch.randn(64, 1, generator=torch.Generator().manual_seed(1))  # none along rows alone
    found = detect_structure(image)
    assert found.white
    assert found.autocorrelation.shape == (7, 7)


def nuclei(seed: int, photons: float) -> torch.Tensor:
    """Nuclei at 0.25 µm a pixel, blurred by 0.15 µm, recorded by a camera whose pixels err on their own."""
    density, _ = samples.nuclei((256, 256), voxel_size_um=(0.25, 0.25), count=20, diameter_um=10, rng=seed)
    light = classical.gaussian(photons * density / density.max(), sigma=0.6) + 5
    return Camera(gain_e_per_adu=0.5, read_noise_e=1.6, quantum_efficiency=1.0).capture(light, rng=seed)


@pytest.mark.parametrize("photons", [200, 2000, 20_000])
@pytest.mark.parametrize("seed", range(3))
def test_fine_detail_in_good_light_is_not_called_structured_noise(seed: int, photons: float) -> None:
    frame = nuclei(seed, photons)
    structure = detect_structure(frame)
    assert structure.verdict == ("white" if photons == 200 else "uncertain")
    if photons > 200:
        assert structure.at(1, 0) > 0.3  # the detail is there: it is the darkest quarter that speaks against it


@pytest.mark.parametrize("seed", range(3))
def test_what_the_camera_does_to_all_pixels_is_structured_beside_fine_detail_too(seed: int) -> None:
    frame = nuclei(seed, 2000)
    shared = {"rows": (frame + frame.roll(1, dims=0)) / 2, "both": classical.gaussian(frame, sigma=0.7)}
    assert {name: detect_structure(one).verdict for name, one in shared.items()} == dict.fromkeys(shared, "structured")
