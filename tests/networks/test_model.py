import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from course_lib.images import Normalization
from course_lib.networks import EpochRecord, Model, UNet, UNetConfig

pytestmark = pytest.mark.usefixtures("one_thread")


def model(*, method: str = "test", **config: object) -> Model:
    network = UNet(UNetConfig(base_channels=4, depth=1, **config), rng=0)
    shape = network.config
    return Model(
        network=network,
        method=method,
        input_normalization=tuple(Normalization(offset=100.0 + k, scale=50.0) for k in range(shape.in_channels)),
        output_normalization=tuple(Normalization(offset=-5.0, scale=10.0 + k) for k in range(shape.out_channels)),
        settings={"epochs": 3, "images": ["a.tif", "b.tif"]},
        history=(EpochRecord(epoch=1, training_loss=2.0, validation_loss=3.0, learning_rate=1e-3, seconds=0.5),),
    )


def image(*shape: int) -> torch.Tensor:
    return 100 + 50 * torch.rand(shape, generator=torch.Generator().manual_seed(1))


def test_values_go_in_normalized_and_come_out_in_their_unit() -> None:
    trained, given = model(), image(16, 16)
    with torch.inference_mode():
        expected = trained.network(((given - 100) / 50)[None, None])[0, 0] * 10 - 5
    torch.testing.assert_close(trained.predict(given, device="cpu"), expected)


def test_each_channel_has_its_normalization() -> None:
    trained, given = model(in_channels=2, out_channels=3), image(5, 2, 16, 16)
    predicted = trained.predict(given, device="cpu")
    assert predicted.shape == (5, 3, 16, 16)
    ready = torch.stack(((given[:, 0] - 100) / 50, (given[:, 1] - 101) / 50), dim=1)
    with torch.inference_mode():
        raw = trained.network(ready)
    torch.testing.assert_close(predicted, raw * torch.tensor([10.0, 11, 12])[:, None, None] - 5)


@pytest.mark.parametrize("config", [{}, {"dimensions": 3, "pooling": "blur"}, {"normalization": "batch"}])
def test_what_is_saved_is_what_is_loaded(tmp_path: Path, config: dict) -> None:
    trained = model(**config)
    trained.save(tmp_path / "trained.model")
    loaded = Model.load(tmp_path / "trained.model")
    given = image(*(8,) * (trained.network.config.dimensions - 2), 20, 20)
    assert torch.equal(loaded.predict(given, device="cpu"), trained.predict(given, device="cpu"))
    assert (loaded.method, loaded.settings, loaded.history) == ("test", trained.settings, trained.history)
    assert loaded.input_normalization == trained.input_normalization
    assert list(tmp_path.iterdir()) == [tmp_path / "trained.model"]


def test_half_the_bytes_change_predictions_by_a_thousandth(tmp_path: Path) -> None:
    trained, given = model(), image(64, 64)
    trained.save(tmp_path / "whole.model")
    trained.save(tmp_path / "half.model", weights="float16")
    exact = trained.predict(given, device="cpu")
    half = Model.load(tmp_path / "half.model").predict(given, device="cpu")
    assert float((half - exact).std() / exact.std()) < 2e-3


class Harmful:
    """What a file could run when it is loaded carelessly."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code was executed')",)


def test_loading_executes_nothing(tmp_path: Path) -> None:
    torch.save({"format": 1, "network": Harmful()}, tmp_path / "harmful.model")
    with pytest.raises(ValueError, match=r"harmful\.model is damaged, or not a file of this course"):
        Model.load(tmp_path / "harmful.model")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "trained.model"
    model().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: math.floor(share * len(whole))])
    with pytest.raises(ValueError, match=r"trained\.model is damaged"):
        Model.load(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    with pytest.raises(FileNotFoundError, match=r"no file .*other\.pt"):
        Model.load(path)
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match="holds tensors, but no model of this course"):
        Model.load(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="holds a list"):
        Model.load(path)


def test_a_file_of_a_later_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "later.model"
    model().save(path)
    content = torch.load(path, weights_only=True)
    torch.save(content | {"format": 2, "library": "9.9"}, path)
    with pytest.raises(
        ValueError, match=r"version 9\.9 of the course, in format 2, but this version reads up to format 1"
    ):
        Model.load(path)


def test_a_model_of_another_dimension_is_refused(tmp_path: Path) -> None:
    model().save(tmp_path / "flat.model")
    with pytest.raises(ValueError, match="is a 2D model, but the image needs a 3D one"):
        Model.load(tmp_path / "flat.model", dimensions=3)


def test_a_disk_that_is_full_keeps_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trained.model"
    model(method="older").save(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(
        OSError, match=r"trained.model could not be written: No space left on device; what was there is kept"
    ):
        model().save(path)
    monkeypatch.undo()
    assert Model.load(path).method == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_of_numpy_and_paths_are_written_as_plain_ones(tmp_path: Path) -> None:
    import numpy as np

    trained = replace(
        model(), settings={"share": np.float64(0.5), "count": np.int64(3), "source": tmp_path, "t": (1, 2)}
    )
    trained.save(tmp_path / "trained.model")
    loaded = Model.load(tmp_path / "trained.model")
    assert loaded.settings == {"share": 0.5, "count": 3, "source": str(tmp_path), "t": [1, 2]}
    with pytest.raises(TypeError, match=r"trained\.model, settings, odd is a set, but only tensors, numbers and words"):
        replace(model(), settings={"odd": {1}}).save(tmp_path / "trained.model")


def test_bright_pixels_keep_their_digits_in_half_precision() -> None:
    given = image(64, 64)
    given[20:36, 20:36] += 700 * torch.rand(16, 16, generator=torch.Generator().manual_seed(2))
    half = model(learns="the change").predict(given, device="cpu", precision="bfloat16")
    assert len(half[20:36, 20:36].unique()) > 250


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        model().save(tmp_path / "nowhere" / "trained.model")


@pytest.mark.parametrize(
    ("config", "given", "error", "says"),
    [
        ({}, torch.zeros(16), ValueError, r"needs at least 2 axes"),
        ({}, torch.zeros(16, 16, dtype=torch.int32), TypeError, "must be floating point"),
        ({}, torch.full((16, 16), float("nan")), ValueError, "256 values that are NaN"),
        ({}, torch.zeros(0, 16), ValueError, "without any element"),
        ({"in_channels": 2}, torch.zeros(16, 16), ValueError, r"takes 2 channels, \(..., C, Y, X\)"),
        (
            {"in_channels": 2},
            torch.zeros(3, 16, 16),
            ValueError,
            r"shape \(3, 16, 16\), but this model takes 2 channels",
        ),
        ({"dimensions": 3}, torch.zeros(1, 16, 16), ValueError, "1 plane, but this is a 3D network.*use a 2D model"),
    ],
)
def test_a_wrong_image_gets_a_clear_error(config: dict, given: torch.Tensor, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        model(**config).predict(given, device="cpu")


def test_each_channel_needs_a_normalization() -> None:
    one = (Normalization(offset=0.0, scale=1.0),)
    with pytest.raises(ValueError, match="input_normalization has 1 entries, but the network has 2 such channels"):
        Model(
            network=UNet(UNetConfig(in_channels=2), rng=0),
            method="test",
            input_normalization=one,
            output_normalization=one,
        )
