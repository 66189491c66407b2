"""Who is chosen for which image, by whom it is judged, and in which time."""

import functools

import pytest
import torch

from course_lib import metrics, samples
from course_lib.noise import detect_structure
from course_lib.noise2void import Config, SplittingConfig, school
from course_lib.noise2void import choice as choices
from course_lib.noise2void.choice import choose, proposed_extent
from course_lib.noise2void.classical import gaussian
from course_lib.noise2void.referees import BlindSpotReferee, Measured, Restore

pytestmark = pytest.mark.usefixtures("one_thread")

CLASSICAL = ("gaussian", "tv", "nlm")


def smooth(side: int = 128) -> torch.Tensor:
    rows = torch.linspace(0, 6, side)
    return 20 * (1.2 + torch.sin(rows)[:, None] * torch.cos(rows))


def steps(side: int = 128) -> torch.Tensor:
    """Flat areas with sharp edges: what total variation was made for."""
    scene = torch.full((side, side), 10.0)
    scene[20:80, 30:100] = 60.0
    scene[90:120, 10:60] = 120.0
    return scene


def counts(scene: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return torch.poisson(scene, generator=torch.Generator().manual_seed(seed))[None]


def filaments(side: int = 128) -> torch.Tensor:
    scene = samples.filaments((side, side), voxel_size_um=(0.1, 0.1), count=30, diameter_um=0.5, rng=0)
    return 60 * scene / scene.max() + 3


@pytest.mark.parametrize("scene", [smooth(), steps(), filaments()])
def test_the_filter_that_is_truly_best_is_chosen(scene: torch.Tensor) -> None:
    image = counts(scene)
    choice = choose(image, noise="photons", methods=CLASSICAL, rng=0)
    alone = {name: choose(image, noise="photons", methods=[name], rng=0) for name in CLASSICAL}
    errors = {name: float((one.restore(image)[0] - scene).square().mean()) for name, one in alone.items()}
    assert choice.method == min(errors, key=lambda name: errors[name])
    assert errors[choice.method] < float((image[0] - scene).square().mean()) / 3
    assert f"{choices.METHODS[choice.method]} is chosen: it has the least error".lower() in choice.reason.lower()
    assert [line.method for line in choice.judged] == ["as it is", *CLASSICAL]


def test_the_width_of_the_blur_is_the_best_one() -> None:
    """Tuned on four fifths of the photons, it loses no more than a tenth against the best for a truth that is known."""
    scene = 100 * samples.filaments((256, 256), voxel_size_um=(0.1, 0.1), count=60, diameter_um=0.5, rng=0) + 5
    image = counts(scene)
    choice = choose(image, noise="photons", methods=["gaussian"], rng=0)
    errors = [(gaussian(image[0], sigma=sigma) - scene).square().mean() for sigma in choices.SIGMAS_PX]
    found = (choice.restore(image)[0] - scene).square().mean()
    assert float(found) < 1.1 * float(min(errors))
    assert choice.reason == "Gaussian blur was asked for."


@pytest.mark.parametrize(("lead", "expected"), [(0.3, "gaussian"), (1.5, "gaussian"), (3.0, "noise2void")])
def test_of_two_that_differ_by_less_than_their_error_the_simpler_is_chosen(lead: float, expected: str) -> None:
    """A lead of one and a half standard errors does not count, one of 3 does."""

    class Told:
        unit, pixels, shown = "photons²", 1, torch.zeros(1, 2, 2)

        def estimate(self, restore: Restore) -> torch.Tensor:
            return restore(torch.full((1, 2, 2), 9.0))

        def error(self, estimate: torch.Tensor) -> Measured:
            return Measured(float(estimate.mean()), 1.0)

        def difference(self, estimate: torch.Tensor, other: torch.Tensor) -> Measured:
            return Measured(float((estimate - other).mean()), 0.1)

    tried = [
        school.Tried("noise2void", "600 steps", lambda frames: frames, torch.full((1, 2, 2), 1.0)),
        school.Tried("gaussian", "σ = 2 px", lambda frames: frames, torch.full((1, 2, 2), 1.0 + 0.1 * lead)),
    ]
    found = choices._verdict(Told(), tried, ())
    assert (found.method, found.judged[1].method) == (expected, "gaussian")
    if expected == "gaussian":
        told = f"Gaussian blur is chosen: Noise2Void is not measurably better, by {0.1 * lead:.2f} ± 0.10 photons²"
        assert told in found.reason
        assert found.name == "Gaussian blur (σ = 2 px)"
    else:
        assert "that of Gaussian blur, which comes next, is larger by 0.30 ± 0.10 photons²" in found.reason


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks, and a clock that stands still: a step takes 0.1 s on any machine."""
    small = {"base_channels": 8, "depth": 1}
    monkeypatch.setattr(school, "Config", functools.partial(Config, **small))
    monkeypatch.setattr(school, "SplittingConfig", functools.partial(SplittingConfig, **small))
    monkeypatch.setattr(school.time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(school, "_cost", lambda short, long: school._Cost(0.1, 0.05))


@pytest.mark.usefixtures("quick")
def test_networks_share_the_time_equally(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 11 s, 1 s are 10 looks at the validation set of each; the rest are 50 steps of each."""
    monkeypatch.setattr(school, "STEPS_FOR_ALL", 50)
    told: list[str] = []
    image = counts(steps())
    choice = choose(image, noise="photons", minutes=11.1 / 60, rng=0, device="cpu", progress=False, tell=told.append)
    settings = {line.method: line.setting for line in choice.judged}
    assert set(settings) == {"as it is", *choices.METHODS}
    assert [line for line in told if "learns" in line] == [
        "photon splitting learns for 50 steps, about 6 s",
        "Noise2Void learns for 50 steps, about 6 s",
    ]
    assert settings["photon-splitting"] == settings["noise2void"] == "50 steps"
    assert choice.restore(image).shape == image.shape


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("method", ["photon-splitting", "noise2void"])
def test_a_network_alone_restores_in_photons(method: str) -> None:
    image = counts(steps())
    choice = choose(image, noise="photons", methods=[method], steps=120, rng=0, device="cpu", progress=False)
    assert (choice.setting, len(choice.history)) == ("120 steps", 10)
    restored = choice.restore(image)
    assert float((restored - steps()).square().mean()) < float((image - steps()).square().mean())
    assert float(restored.mean()) == pytest.approx(float(image.mean()), rel=0.1)


@pytest.mark.usefixtures("quick")
def test_with_a_number_of_steps_a_choice_is_exact_to_repeat() -> None:
    image = counts(smooth(64))
    first, second = (
        choose(image, noise="photons", methods=["photon-splitting"], steps=5, rng=0, device="cpu", progress=False)
        for _ in range(2)
    )
    assert first.judged == second.judged
    assert torch.equal(first.restore(image), second.restore(image))


@pytest.mark.usefixtures("quick")
def test_without_time_for_both_the_first_learns_and_the_reader_is_told() -> None:
    image = counts(steps())
    told: list[str] = []
    choice = choose(image, noise="photons", minutes=0.031, rng=0, device="cpu", progress=False, tell=told.append)
    assert "there is no time for Noise2Void, too: photon splitting learns alone" in told
    assert choice.warnings == (
        "there was time for 13 steps of photon splitting only, too few to learn much: give it more minutes.",
    )
    assert "noise2void" not in {line.method for line in choice.judged}


def striped(side: int = 128, seed: int = 0) -> torch.Tensor:
    """A smooth scene with noise that three pixels of a column share."""
    noise = 4 * torch.randn(side + 2, side, generator=torch.Generator().manual_seed(seed))
    return (smooth(side) + noise[:-2] + noise[1:-1] + noise[2:])[None]


def test_the_extent_of_the_mask_is_read_off_the_noise() -> None:
    assert proposed_extent(detect_structure(striped(256)[0], max_lag=7)) == (2, 0)


def test_hidden_pixels_judge_where_neighbours_share_their_noise() -> None:
    """Photons held out would praise what keeps the stripes; pixels hidden with their neighbours do not."""
    choice = choose(striped(), noise="unknown", mask_extent=(2, 0), methods=["gaussian"], rng=0)
    blind = choose(striped(), noise="unknown", methods=["gaussian"], rng=0)

    def sigma(setting: str) -> float:
        return float(setting.split()[2])

    assert sigma(choice.setting) >= 2
    assert sigma(blind.setting) < sigma(choice.setting)


def test_grey_levels_that_are_no_photons_are_noticed_by_an_impossible_error() -> None:
    image = counts(steps())
    camera = choose(image + 400, noise="photons", methods=["gaussian"], rng=0)
    assert any("but no squared error is below" in warning for warning in camera.warnings)
    photons = choose(image, noise="photons", methods=["gaussian"], rng=0)
    assert photons.warnings == ()


def test_what_hiding_neighbours_costs_is_said() -> None:
    methods = ["noise2void"]
    choice = choose(striped(), noise="unknown", mask_extent=(2, 0), methods=methods, steps=1, rng=0, progress=False)
    assert any("spots of 5 × 1 pixels and less lose light" in warning for warning in choice.warnings)
    plain = choose(striped(), noise="unknown", methods=methods, steps=1, rng=0, progress=False)
    assert not any("lose light" in warning for warning in plain.warnings)


def test_hidden_pixels_tell_the_error_with_the_noise() -> None:
    scene = smooth(256)
    noisy = scene[None] + 5 * torch.randn(1, 256, 256, generator=torch.Generator().manual_seed(0))
    referee = BlindSpotReferee(noisy, judged=(slice(None),), mask_extent=(0, 0), rng=torch.Generator().manual_seed(1))
    perfect = referee.estimate(lambda shown: scene[None].expand_as(shown))
    wrong = referee.estimate(lambda shown: scene[None].expand_as(shown) + 3)
    error, behind = referee.error(perfect), referee.difference(wrong, perfect)
    assert abs(error.value - 25) < 4 * error.standard_error
    assert abs(behind.value - 9) < 4 * behind.standard_error


def test_of_a_large_image_the_part_that_varies_most_is_judged() -> None:
    image = torch.ones(1, 900, 700)
    image[0, 600:, 300:] = counts(torch.full((300, 400), 50.0))[0]
    learned, judged = choices._parts(image)
    part = learned[judged]
    assert part.shape == (1, 512, 512)
    assert float((part > 20).sum()) > 0.6 * 300 * 400


def test_of_a_film_several_frames_are_judged() -> None:
    film = torch.arange(40.0)[:, None, None].expand(40, 128, 100)
    learned, judged = choices._parts(film)
    assert learned[judged].shape == (20, 128, 100)
    assert len(learned[judged][:, 0, 0].unique()) == 20


@pytest.mark.parametrize("count", [1, 2, 4, 5, 10, 40])
def test_no_frame_is_judged_twice(count: int) -> None:
    film = torch.arange(float(count))[:, None, None].expand(count, 128, 100)
    learned, judged = choices._parts(film)
    assert len(learned[judged][:, 0, 0].unique()) == len(learned[judged]) == min(count, 20)


@pytest.mark.parametrize(
    ("frames", "words", "says"),
    [
        (torch.zeros(0, 64, 64), {}, "holds no pixel"),
        (striped(), {"noise": "Photons"}, "noise is 'Photons', but must be"),
        (striped(), {"mask_extent": (2, 0)}, "shared with no neighbour: pass noise='unknown'"),
        (striped(), {"methods": ["gauss"]}, "there is no method gauss: choose of gaussian, tv"),
        (striped(), {"steps": 0}, "steps is 0, but must be at least 1"),
        (torch.ones(64, 64), {}, r"frames has shape \(64, 64\), but must be \(N, Y, X\): one frame is frames\[None\]"),
        (
            striped(),
            {"methods": ["nlm"], "noise": "unknown"},
            "of the methods nlm none fits this image: all but gaussian and noise2void need photon counts",
        ),
        (
            counts(smooth(48)),
            {"methods": ["noise2void"]},
            "none fits this image: the image has 48 × 48 pixels, too few to learn from: networks need at least 64",
        ),
        (striped(), {"methods": ["gaussian"]}, "counts has a value of .*, but must be whole numbers of photons"),
    ],
)
def test_mistakes_get_a_clear_error(frames: torch.Tensor, words: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        choose(frames, **({"noise": "photons", "rng": 0, "device": "cpu"} | words))


def test_a_tiny_image_is_filtered_and_the_reader_is_told() -> None:
    choice = choose(counts(smooth(48)), noise="photons", rng=0)
    assert choice.method in CLASSICAL
    assert "too few to learn from" in choice.warnings[0]


def test_the_same_seed_makes_the_same_choice() -> None:
    first, second = (choose(counts(steps()), noise="photons", methods=CLASSICAL, rng=3) for _ in range(2))
    assert first.judged == second.judged
    assert metrics.nrmse(first.restore(counts(steps())), second.restore(counts(steps()))).max() == 0
