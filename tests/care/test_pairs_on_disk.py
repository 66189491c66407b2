"""Training on pairs that stay on disk."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from course_lib import care, images
from course_lib.care import Config, PairOnDisk, train
from course_lib.networks import EpochRecord, TrainingConfig

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = Config(patch_side=16, patch_planes=4, base_channels=4, depth=1)
SHORT = TrainingConfig(epochs=2, steps_per_epoch=3, batch_size=2, precision="float32")


def _stacks(shape: tuple[int, ...] = (12, 40, 48), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    clean = 30 + 20 * np.sin(np.arange(shape[-1]) / 3) * np.ones(shape)
    return draws.poisson(clean).astype(np.uint16), clean.astype(np.uint16)


def _write(folder: Path, seed: int, axes: str = "ZYX", shape: tuple[int, ...] = (12, 40, 48)) -> tuple[Path, Path]:
    paths = folder / f"dim{seed}.tif", folder / f"bright{seed}.tif"
    for path, values in zip(paths, _stacks(shape, seed), strict=True):
        tifffile.imwrite(path, values, metadata={"axes": axes}, ome=True)
    return paths


class _Counted:
    """An array that knows how much was read of it at once."""

    def __init__(self, values: Any) -> None:
        self.values, self.most = values, 0

    shape = property(lambda self: self.values.shape)
    dtype = property(lambda self: self.values.dtype)

    def __getitem__(self, index: Any) -> Any:
        read = self.values[index]
        self.most = max(self.most, read.size)
        return read


def test_training_on_disk_gives_the_weights_of_training_in_memory(tmp_path: Path) -> None:
    with ExitStack() as opened:
        stored = []
        for seed in range(2):
            image, target = (opened.enter_context(images.open_image(path)) for path in _write(tmp_path, seed))
            stored.append(PairOnDisk(image=image, target=target))
        on_disk = train(stored, SMALL, SHORT, rng=0, device="cpu", progress=False)
    in_memory = [
        care.Pair(
            image=torch.from_numpy(noisy.astype(np.float32))[None],
            target=torch.from_numpy(clean.astype(np.float32))[None],
            dose_ratio=1.0,
        )
        for noisy, clean in (_stacks(seed=seed) for seed in range(2))
    ]
    expected = train(in_memory, SMALL, SHORT, rng=0, device="cpu", progress=False)
    assert on_disk.input_normalization == expected.input_normalization
    for name, weights in on_disk.network.state_dict().items():
        assert torch.equal(weights, expected.network.state_dict()[name])


def test_no_more_than_a_few_planes_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.care.training.MOST_AT_ONCE", 2 * 40 * 48)
    with ExitStack() as opened:
        counted = []
        pair = {}
        for name, path in zip(("image", "target"), _write(tmp_path, 0), strict=True):
            on_disk = opened.enter_context(images.open_image(path))
            counted.append(_Counted(on_disk.values))
            object.__setattr__(on_disk, "values", counted[-1])
            pair[name] = on_disk
        train([PairOnDisk(**pair)], SMALL, SHORT, rng=0, device="cpu", progress=False)
    assert all(0 < one.most <= 2 * 40 * 48 for one in counted)


def test_a_broken_training_on_disk_goes_on_and_other_files_are_refused(tmp_path: Path) -> None:
    def stop(record: EpochRecord) -> None:
        raise KeyboardInterrupt

    state = tmp_path / "state"
    with ExitStack() as opened:
        pairs = []
        for seed in range(2):
            image, target = (opened.enter_context(images.open_image(path)) for path in _write(tmp_path, seed))
            pairs.append(PairOnDisk(image=image, target=target))
        whole = train(pairs[:1], SMALL, SHORT, rng=0, device="cpu", progress=False)
        with pytest.raises(KeyboardInterrupt):
            train(pairs[:1], SMALL, SHORT, rng=0, device="cpu", state_path=state, on_epoch=stop, progress=False)
        with pytest.raises(ValueError, match="training with other settings"):
            train(pairs[1:], SMALL, SHORT, rng=0, device="cpu", state_path=state, progress=False)
        resumed = train(pairs[:1], SMALL, SHORT, rng=0, device="cpu", state_path=state, progress=False)
    assert resumed.history[-1].validation_loss == whole.history[-1].validation_loss


def test_channels_are_read(tmp_path: Path) -> None:
    with ExitStack() as opened:
        image, target = (
            opened.enter_context(images.open_image(path)) for path in _write(tmp_path, 0, "CYX", (2, 64, 48))
        )
        model = train([PairOnDisk(image=image, target=target)], SMALL, SHORT, rng=0, device="cpu", progress=False)
    assert model.network.config.in_channels == 2
    assert model.network.config.dimensions == 2


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    with ExitStack() as opened:
        film, other = (opened.enter_context(images.open_image(path)) for path in _write(tmp_path, 0, "TYX"))
        with pytest.raises(ValueError, match="has the axes TYX"):
            PairOnDisk(image=film, target=other)
        small, _ = (opened.enter_context(images.open_image(path)) for path in _write(tmp_path, 1, "ZYX", (12, 40, 40)))
        large, _ = (opened.enter_context(images.open_image(path)) for path in _write(tmp_path, 2))
        with pytest.raises(ValueError, match="must show one field"):
            PairOnDisk(image=small, target=large)
