"""The networks that the course ships: whole, small, and better than what they were given."""

import importlib.util
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from course_lib import datasets, segmentation
from course_lib.live.figures import care_domain
from course_lib.metrics import match_labels
from course_lib.networks import Model, pretrained

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = datasets.names("model")


@pytest.fixture(scope="module")
def recipes(root: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location("train_models", root / "data" / "train_models.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_file_of_the_folder_is_registered_and_can_be_trained_again(root: Path, recipes: ModuleType) -> None:
    files = {f"models/{path.name}" for path in (root / "data" / "models").glob("*.model")}
    assert files == {datasets.describe(name).file for name in NAMES}
    assert (
        set(recipes.RECIPES)
        == set(NAMES)
        == {
            "care_live_2d",
            "care_nuclei_3d",
            "noise2void_live_2d",
            "nuclei_2d",
            "nuclei_2d_simulated",
            "nuclei_3d_simulated",
        }
    )


@pytest.mark.parametrize("name", NAMES)
def test_records_and_files_agree(name: str, root: Path) -> None:
    record, model = datasets.describe(name), pretrained(name)
    assert datasets.path(name).stat().st_size == record.size_bytes
    assert model.settings["made by"] == record.made_by
    assert model.settings["minutes"] > 0
    assert model.history
    assert model.settings["learned from"]
    assert record.licence
    assert record.citation
    assert 10 < len(record.description) < 80
    told = (root / "data" / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in told.splitlines() if line.startswith(f"| {name} |")]
    for part in (record.file, record.description, record.licence):
        assert part in row


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_no_data_set(name: str) -> None:
    assert name not in datasets.names()
    with pytest.raises(ValueError, match=r"is a trained network, not an image: networks.pretrained\("):
        datasets.load(name)


def test_unknown_names_get_the_list() -> None:
    with pytest.raises(ValueError, match="no pretrained network 'care': choose one of care_live_2d, care_nuclei_3d"):
        pretrained("care")


def squared_error(estimate: torch.Tensor, truth: torch.Tensor) -> float:
    return float((estimate.double() - truth.double()).square().mean())


def least_of_gaussians(
    noisy: torch.Tensor, truth: torch.Tensor, widths: list[tuple[float, ...]], place: tuple[slice, ...]
) -> float:
    """Return the squared error of the Gaussian filter that happens to be best, chosen with the truth at hand."""
    blurred = (torch.from_numpy(gaussian_filter(noisy.numpy(), width)) for width in widths)
    return min(squared_error(one[place], truth[place]) for one in blurred)


@pytest.mark.parametrize("photons", [5.0, 20.0, 150.0])
def test_the_live_network_beats_the_best_gaussian_on_filaments_it_has_not_seen(photons: float) -> None:
    mean = photons * (care_domain.filaments(256, count=30, rng=50) + care_domain.BACKGROUND)
    noisy = torch.poisson(mean, generator=torch.Generator().manual_seed(0))
    restored = pretrained("care_live_2d").predict(noisy, device="cpu")
    everywhere = (slice(None), slice(None))
    best = least_of_gaussians(noisy, mean, [(k / 10, k / 10) for k in range(4, 26)], everywhere)
    assert squared_error(restored, mean) < 0.75 * best


def test_the_network_of_nuclei_beats_the_best_gaussian_in_columns_it_has_not_learned(recipes: ModuleType) -> None:
    fluorophores = recipes.nuclei_object()
    model, unseen = pretrained("care_nuclei_3d"), (slice(None), slice(None), slice(96, None))
    widths = [(z, xy, xy) for z in (1.5, 2.0, 2.5, 3.0, 3.5) for xy in (0.7, 0.85, 1.0, 1.25, 1.5)]
    for peak in recipes.DIM_PEAK_PHOTONS:
        dim, _ = recipes.nuclei_systems(fluorophores, peak_photons=peak)
        mean, noisy = dim.expected(fluorophores), dim.capture(fluorophores, rng=99)
        restored = model.predict(noisy, device="cpu")
        best = least_of_gaussians(noisy, mean, widths, unseen)
        assert squared_error(restored[unseen], mean[unseen]) < 0.9 * best


def test_the_network_of_real_nuclei_beats_the_watershed_on_an_image_it_has_not_seen() -> None:
    """As recorded, and with as few photons as a short exposure; the watershed is told the true median diameter."""
    image, truth = datasets.load("dsb2018_nuclei_2d").tensor().float(), datasets.load("dsb2018_nuclei_2d_labels").data
    areas = np.bincount(truth.ravel())[1:]
    diameter = float(np.median(np.sqrt(4 / np.pi * areas[areas > 0])))
    dark, bright = image.quantile(0.01), image.quantile(0.998)
    scene = ((image - dark) / (bright - dark)).clamp(min=0) + 0.02
    model = pretrained("nuclei_2d")

    def lead(seen: torch.Tensor, smoothing: float) -> float:
        found = segmentation.segment(model, seen, device="cpu")
        classical = segmentation.watershed(seen, diameter_um=diameter, voxel_size_um=(1, 1), smoothing=smoothing)
        learned, told = (match_labels(one, truth, iou_threshold=0.7).average_precision for one in (found, classical))
        return learned - told

    assert lead(image, 0.03) > 0.05
    for peak in (30, 10):
        draws = [torch.poisson(peak * scene, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
        assert np.mean([lead(counts, 0.06) for counts in draws]) > 0.05


@pytest.mark.parametrize("name", ["care_live_2d", "noise2void_live_2d"])
def test_the_recipe_trains_and_writes_a_model(
    name: str, recipes: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "FIELDS", 7)
    short = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 1}
    path = recipes.train(name, effort="quick", folder=tmp_path, device="cpu", **short)
    model = Model.load(path)
    assert model.settings["made by"] == f"python data/train_models.py {name} --effort quick"
    assert asdict(model.network.config) == asdict(pretrained(name).network.config)


def test_a_streak_network_learns_hidden_pixels_of_every_condition(recipes: ModuleType) -> None:
    """What is seen holds the image, and three maps; the values that are asked for have the noise they claim."""
    task = recipes.Streaks(torch.device("cpu"))
    batch = task.training_batch(64, rng=torch.Generator().manual_seed(0), rank=0, ranks=1)
    shown, centers, values, level = batch
    assert shown.shape == (64, 4, 64, 64)
    assert bool((shown[:, 1:].amax(dim=(2, 3)) == shown[:, 1:].amin(dim=(2, 3))).all())
    hidden = (100 * shown[:, 0].flatten(1).gather(1, centers[:, 0]) != values[:, 0]).float().mean()
    assert float(hidden) > 0.99

    class Knowing(torch.nn.Module):
        """Answers with the noisy values themselves, with an error of one noise."""

        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            full = torch.zeros(len(seen), 1, 64 * 64).scatter(2, centers, values + level)
            return full.view(-1, 1, 64, 64) / 100

    assert torch.allclose(task.loss(Knowing(), batch), torch.ones(64), atol=1e-4)


def test_the_command_explains_itself_and_refuses_unknown_names(
    recipes: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["train_models.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        recipes.main()
    assert "Train the networks of data/models" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["train_models.py", "care"])
    with pytest.raises(SystemExit, match="2"):
        recipes.main()
    assert "care: choose from care_live_2d, care_nuclei_3d, noise2void_live_2d" in capsys.readouterr().err
