"""The networks that the course ships: whole, small, and better than what they were given."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from course_lib import datasets, metrics
from course_lib.live.figures import care_domain
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
    assert set(recipes.RECIPES) == set(NAMES) == {"care_live_2d", "care_nuclei_3d"}


@pytest.mark.parametrize("name", NAMES)
def test_records_and_files_agree(name: str, root: Path) -> None:
    record, model = datasets.describe(name), pretrained(name)
    assert datasets.path(name).stat().st_size == record.size_bytes
    assert model.settings["made by"] == record.made_by
    assert model.settings["minutes"] > 0
    assert model.history
    assert record.licence
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


@pytest.mark.parametrize("photons", [3.0, 20.0, 150.0])
def test_the_live_network_restores_filaments_it_has_not_seen(photons: float) -> None:
    mean = photons * (care_domain.filaments(256, count=30, rng=50) + care_domain.BACKGROUND)
    noisy = torch.poisson(mean, generator=torch.Generator().manual_seed(0))
    restored = pretrained("care_live_2d").predict(noisy, device="cpu")
    assert metrics.nrmse(restored, mean) < 0.6 * metrics.nrmse(noisy, mean)


def test_the_network_of_nuclei_restores_columns_it_has_not_learned(recipes: ModuleType) -> None:
    fluorophores = recipes.nuclei_object()
    model = pretrained("care_nuclei_3d")
    for peak in recipes.DIM_PEAK_PHOTONS:
        dim, _ = recipes.nuclei_systems(fluorophores, peak_photons=peak)
        mean = dim.expected(fluorophores)
        noisy = dim.capture(fluorophores, rng=99)
        restored = model.predict(noisy, device="cpu")
        unseen = (..., slice(96, None))
        before, after = (metrics.nrmse(one[unseen], mean[unseen], dimensions=3) for one in (noisy, restored))
        assert after < 0.4 * before


def test_the_recipe_trains_and_writes_a_model(
    recipes: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "FIELDS", 5)
    short = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 1}
    path = recipes.train("care_live_2d", effort="quick", folder=tmp_path, device="cpu", **short)
    model = Model.load(path)
    assert model.settings["made by"] == "python data/train_models.py care_live_2d --effort quick"
    assert model.network.config == care_domain.SHAPE


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
    assert "care: choose from care_live_2d, care_nuclei_3d" in capsys.readouterr().err
