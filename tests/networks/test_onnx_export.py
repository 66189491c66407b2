"""ONNX files against torch, at random sizes, in the unit of the images."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from course_lib.images import Normalization
from course_lib.networks import Model, UNet, UNetConfig, export_onnx

pytestmark = pytest.mark.usefixtures("one_thread")


def model(**config: Any) -> Model:
    network = UNet(UNetConfig(**({"base_channels": 4, "depth": 1} | config)), rng=0)
    draw = torch.Generator().manual_seed(1)
    for values in network.parameters():  # also biases, and the last layer of a network that learns the change
        values.data += 0.05 * torch.randn(values.shape, generator=draw)
    shape = network.config
    return Model(
        network=network.eval(),
        method="test",
        input_normalization=tuple(Normalization(offset=100.0 + k, scale=50.0) for k in range(shape.in_channels)),
        output_normalization=tuple(Normalization(offset=-5.0, scale=10.0 + k) for k in range(shape.out_channels)),
    )


def answers(path: Path, image: torch.Tensor) -> dict[str, torch.Tensor]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    given = session.run(names, {"image": image.numpy()})
    return {name: torch.from_numpy(values) for name, values in zip(names, given, strict=True)}


def random(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    image = 100 + 300 * torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    image[..., ::2] = 100.0  # the background that the model knows
    return image


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"depth": 3},
        {"depth": 2, "learns": "the change", "normalization": "batch"},
        {"depth": 2, "pooling": "blur", "skips": "not the finest"},
        {"in_channels": 2, "out_channels": 3, "centre": 0.3},
        {"dimensions": 3, "depth": 2, "planes_halved": 1, "learns": "the change"},
        {"dimensions": 3, "pooling": "blur"},
        {"dimensions": 3, "planes_halved": 0},
    ],
)
def test_onnxruntime_gives_what_torch_gives_at_any_size(config: dict[str, Any], tmp_path: Path) -> None:
    trained = model(**config)
    path = tmp_path / "trained.onnx"
    export_onnx(trained, path)
    assert list(tmp_path.iterdir()) == [path]
    shape = trained.network.config
    rng = np.random.default_rng(0)
    for seed in range(4):
        counts = rng.integers(1, 8, size=shape.dimensions) if seed else [1] * shape.dimensions
        sides = [int(count) * step for count, step in zip(counts, shape.steps, strict=True)]
        if shape.dimensions == 3:
            sides[0] = max(2, sides[0])  # Model.predict takes a stack of one plane for a mistake
        image = random((int(rng.integers(1, 4)), shape.in_channels, *sides), seed)
        expected = trained.predict(image if shape.in_channels > 1 else image[:, 0], device="cpu")
        found = answers(path, image)["restored"].reshape(expected.shape)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_expected_errors_are_a_second_output(tmp_path: Path) -> None:
    trained = model(gives="values and errors")
    export_onnx(trained, tmp_path / "trained.onnx")
    image = random((1, 1, 20, 26), 3)
    found = answers(tmp_path / "trained.onnx", image)
    both = trained.predict_with_errors(image[0, 0], device="cpu")
    for one, expected in zip(("restored", "errors"), both, strict=True):
        torch.testing.assert_close(found[one][0, 0], expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_the_file_tells_what_tiling_needs_and_nothing_of_this_machine(tmp_path: Path) -> None:
    trained = model(dimensions=3, depth=2, planes_halved=1)
    export_onnx(trained, tmp_path / "trained.onnx")
    told = {entry.key: entry.value for entry in onnx.load(tmp_path / "trained.onnx").metadata_props}
    assert (told["method"], told["axes"], told["steps"]) == ("test", "n,c,z,y,x", "2,4,4")
    assert told["halo"] == ",".join(map(str, trained.network.config.halo))
    content = (tmp_path / "trained.onnx").read_bytes()
    assert str(Path(torch.__file__).parent).encode() not in content
    assert str(Path(__file__).parents[2]).encode() not in content


def test_a_disk_that_is_full_keeps_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trained.onnx"
    path.write_bytes(b"older")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"trained.onnx could not be written: No space left on device"):
        export_onnx(model(), path)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"must end in \.onnx"):
        export_onnx(model(), tmp_path / "trained.model")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        export_onnx(model(), tmp_path / "nowhere" / "trained.onnx")
    broken = model()
    broken.network.last.bias.data[0] = float("nan")
    with pytest.raises(ValueError, match=r"the weights last\.bias have values that are NaN or infinite"):
        export_onnx(broken, tmp_path / "trained.onnx")
    monkeypatch.setattr("course_lib.networks.onnx_export.LARGEST_BYTES", 1000)
    with pytest.raises(ValueError, match=r"GiB of weights, but an ONNX file holds less than 2 GiB"):
        export_onnx(model(), tmp_path / "trained.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_the_exporter_does_not_know_is_refused(tmp_path: Path) -> None:
    class Odd(UNet):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(super().forward(image))

    odd = Odd(UNetConfig(base_channels=4, depth=1), rng=0).eval()
    with pytest.raises(ValueError, match=r"cannot write this network, UNetConfig\(.*as ONNX: predict with Model"):
        export_onnx(replace(model(), network=odd), tmp_path / "trained.onnx")


def test_without_the_packages_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "course_lib.networks.onnx_export.find_spec", lambda name: None if name == "onnxscript" else find(name)
    )
    with pytest.raises(ImportError, match=r"writing ONNX needs onnxscript: install onnx onnxscript with pip"):
        export_onnx(model(), tmp_path / "trained.onnx")
