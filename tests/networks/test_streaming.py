from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import images
from course_lib.images import Image, Normalization, open_image
from course_lib.images.on_disk import ImageOnDisk
from course_lib.networks import Model, UNet, UNetConfig, predict_on_disk

pytestmark = pytest.mark.usefixtures("one_thread")


def model(seed: int = 0, **config: object) -> Model:
    network = UNet(UNetConfig(base_channels=4, depth=1, **config), rng=seed)
    channels = network.config.in_channels
    return Model(
        network=network,
        method="test",
        input_normalization=tuple(Normalization(offset=100.0 + k, scale=300.0) for k in range(channels)),
        output_normalization=tuple(Normalization(offset=90.0, scale=200.0 + k) for k in range(channels)),
    )


def written(folder: Path, shape: tuple[int, ...], axes: str) -> Path:
    values = np.random.default_rng(0).integers(100, 400, shape).astype(np.uint16)
    spatial = sum(letter in "ZYX" for letter in axes)
    path = folder / "noisy.tif"
    images.write(path, Image(values, axes=axes, voxel_size_um=(0.3, 0.1, 0.1)[-spatial:], unit="adu"))
    return path


@pytest.mark.parametrize(
    ("shape", "axes", "config"),
    [
        ((50, 41), "YX", {}),
        ((3, 50, 41), "TYX", {}),
        ((3, 50, 41), "ZYX", {}),
        ((9, 30, 31), "ZYX", {"dimensions": 3}),
        ((2, 6, 20, 31), "TZYX", {"dimensions": 3}),
        ((2, 30, 31), "CYX", {"in_channels": 2, "out_channels": 2}),
        ((2, 2, 6, 20, 21), "TCZYX", {"dimensions": 3, "in_channels": 2, "out_channels": 2}),
    ],
)
@pytest.mark.parametrize("normalization", ["training", "image"])
def test_from_disk_to_disk_is_the_same_as_in_memory(
    tmp_path: Path, shape: tuple[int, ...], axes: str, config: dict, normalization: str
) -> None:
    trained = model(**config)
    noisy = images.read(written(tmp_path, shape, axes))
    with open_image(tmp_path / "noisy.tif") as image:
        done = predict_on_disk(
            trained, image, tmp_path / "clean.tif", memory_gib=4e-6, device="cpu", normalization=normalization,
            progress=False,
        )  # fmt: skip
    clean = images.read(done.path)
    assert (clean.axes, clean.voxel_size_um, clean.unit) == (noisy.axes, noisy.voxel_size_um, "adu")
    assert done.tiles > 1
    values = torch.from_numpy(noisy.data.astype(np.float32))
    if normalization == "training":
        expected = trained.predict(values, device="cpu")
    else:
        by_channel = values.reshape(1, *shape) if "C" not in axes else values.movedim(axes.index("C"), 0)
        expected = trained.fitted_to(by_channel, "image").predict(values, device="cpu")
    np.testing.assert_allclose(clean.data, expected.numpy(), rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_an_interrupted_prediction_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained, path = model(), written(tmp_path, (4, 40, 40), "TYX")
    forward, calls = UNet.forward, 0

    def until_a_power_cut(self: UNet, windows: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise KeyboardInterrupt
        return forward(self, windows)

    monkeypatch.setattr(UNet, "forward", until_a_power_cut)
    with open_image(path) as image, pytest.raises(KeyboardInterrupt):
        predict_on_disk(trained, image, tmp_path / "clean.tif", device="cpu", progress=False)
    monkeypatch.undo()
    assert not (tmp_path / "clean.tif").exists()
    with open_image(path) as image:
        with pytest.raises(ValueError, match="interrupted run with other settings: views was 1 and is 8"):
            predict_on_disk(trained, image, tmp_path / "clean.tif", views=8, device="cpu", progress=False)
        with pytest.raises(ValueError, match="interrupted run with other settings: model was"):
            predict_on_disk(model(1), image, tmp_path / "clean.tif", device="cpu", progress=False)
        done = predict_on_disk(trained, image, tmp_path / "clean.tif", device="cpu", progress=False)
    assert (done.tiles, done.resumed) == (2, True)
    values = torch.from_numpy(images.read(path).data.astype(np.float32))
    np.testing.assert_allclose(images.read(done.path).data, trained.predict(values, device="cpu").numpy(), atol=1e-3)


def test_another_background_is_said(tmp_path: Path) -> None:
    images.write(tmp_path / "bright.tif", Image(np.full((20, 20), 900, np.uint16), axes="YX"))
    with (
        open_image(tmp_path / "bright.tif") as image,
        pytest.warns(UserWarning, match="background of channel 0 is 900"),
    ):
        predict_on_disk(model(), image, tmp_path / "clean.tif", device="cpu", progress=False)


@pytest.mark.parametrize(
    ("shape", "axes", "config", "says"),
    [
        ((30, 31), "YX", {"dimensions": 3}, "has the axes YX, but this is a 3D model"),
        ((3, 30, 31), "TYX", {"dimensions": 3}, "has the axes TYX, but this is a 3D model"),
        ((1, 30, 31), "ZYX", {"dimensions": 3}, "has 1 plane, but this is a 3D model"),
        ((2, 30, 31), "TYX", {"in_channels": 2, "out_channels": 2}, "takes 2 channels just before YX"),
        ((3, 30, 31), "CYX", {"in_channels": 2, "out_channels": 2}, "has 3 channels, but this model takes 2"),
    ],
)
def test_wrong_axes_get_a_clear_error(
    tmp_path: Path, shape: tuple[int, ...], axes: str, config: dict, says: str
) -> None:
    values = np.zeros(shape, np.float32)
    image = ImageOnDisk(path=tmp_path / "noisy.tif", values=values, axes=axes, voxel_size_um=None, unit="adu")
    with pytest.raises(ValueError, match=says):
        predict_on_disk(model(**config), image, tmp_path / "clean.tif", device="cpu", progress=False)
    assert not list(tmp_path.glob("clean*"))


def test_an_older_result_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, (30, 31), "YX")
    with open_image(path) as image:
        with pytest.raises(ValueError, match="is the image itself"):
            predict_on_disk(model(), image, path, device="cpu", progress=False, overwrite=True)
        predict_on_disk(model(), image, tmp_path / "clean.tif", device="cpu", progress=False)
        with pytest.raises(ValueError, match="exists: choose another name"):
            predict_on_disk(model(), image, tmp_path / "clean.tif", device="cpu", progress=False)
