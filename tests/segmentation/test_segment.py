import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import metrics, samples
from course_lib.images import Normalization
from course_lib.networks import Model, UNet, UNetConfig
from course_lib.segmentation import object_maps, segment
from course_lib.segmentation.training import REPRESENTATIONS, maps_of, normalized

pytestmark = pytest.mark.usefixtures("one_thread")

MODULE = importlib.import_module("course_lib.segmentation.segment")
SIZES = {2: (0.6, 0.6), 3: (1.5, 0.8, 0.8)}


class Knows(UNet):
    """Stands in for a trained network: an image whose brightness is a place tells it which maps to give.

    Like any network that halves the grid, it sees pixels in pairs: it answers only on the grid of the whole image.
    """

    def __init__(self, config: UNetConfig, maps: torch.Tensor) -> None:
        super().__init__(config, rng=0)
        self.maps, self.count = maps, maps[0].numel()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        place = (image[:, 0].double() * (self.count - 1)).round().long().clamp(0, self.count - 1)
        first = place[(slice(None), *(0,) * (place.ndim - 1))].tolist()
        sides = self.maps.shape[1:]
        corners = [np.unravel_index(one, sides) for one in first]
        steps = self.config.steps
        assert all(c % step == 0 for corner in corners for c, step in zip(corner, steps, strict=True))
        return self.maps.flatten(1)[:, place].movedim(0, 1)


def places(sides: tuple[int, ...]) -> torch.Tensor:
    """Return an image whose brightness is the number of the pixel."""
    count = int(np.prod(sides))
    return torch.linspace(0, 1, count, dtype=torch.float64).reshape(sides)


def known(labels: np.ndarray, represents: str, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Return a model that gives the maps of these labels, roughened."""
    representation = REPRESENTATIONS[represents]()
    targets = representation.targets(labels)
    if represents == "flows":
        given = torch.cat([12 * targets[:1] - 6, targets[1:]])
    elif represents == "star-convex":
        given = torch.cat([targets[:1].clamp(1e-3, 1 - 1e-3).logit(), targets[1:]])
    else:
        given = 6 * nn.functional.one_hot(targets[0].long(), 3).movedim(-1, 0).float()
    given = given + 0.15 * torch.randn(given.shape, generator=torch.Generator().manual_seed(0))
    config = UNetConfig(dimensions=labels.ndim, out_channels=len(given), depth=2, base_channels=2, planes_halved=1)
    plain = Normalization(offset=0.0, scale=1.0)
    monkeypatch.setattr(MODULE, "normalized", torch.as_tensor)
    boxes = [np.argwhere(labels == number) for number in range(1, labels.max() + 1)]
    sides = np.max([np.ptp(box, axis=0) + 1 for box in boxes], axis=0)
    return Model(
        network=Knows(config, given),
        method="segmentation",
        input_normalization=(plain,),
        output_normalization=(plain,) * len(given),
        settings={
            "segmentation": {"represents": represents},
            "thresholds": dict(representation.choices[len(representation.choices) // 2]),
            "largest_object_px": sides.tolist(),
            "smallest_object_px": 5,
        },
    )


def nuclei(shape: tuple[int, ...], count: int) -> np.ndarray:
    sample = samples.nuclei(shape, voxel_size_um=SIZES[len(shape)], count=count, touching=0.8, height_ratio=0.8, rng=4)
    return np.asarray(sample.labels)


CASES = [
    ((110, 131), 22, "flows"),
    ((110, 131), 22, "star-convex"),
    ((110, 131), 22, "three classes"),
    ((14, 50, 61), 8, "flows"),
    ((14, 50, 61), 8, "three classes"),
]


@pytest.mark.parametrize(("shape", "count", "represents"), CASES)
def test_blocks_give_the_labels_of_the_whole(
    shape: tuple[int, ...], count: int, represents: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = nuclei(shape, count)
    model, image = known(labels, represents, monkeypatch), places(shape)
    whole = segment(model, image, block=shape, device="cpu")
    assert metrics.match_labels(whole, labels, iou_threshold=0.7).average_precision > 0.8
    for sides in ((31, 47), (64, 64), (25, 200), (17, 19)):
        block = (*(5, 14, 3, 7)[sides[0] % 4 : sides[0] % 4 + len(shape) - 2], *sides)
        assert np.array_equal(segment(model, image, block=block, device="cpu"), whole), block


@pytest.mark.parametrize(("shape", "count", "represents"), CASES)
def test_labels_count_from_one_in_the_order_of_appearance(
    shape: tuple[int, ...], count: int, represents: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = known(nuclei(shape, count), represents, monkeypatch)
    found = segment(model, places(shape), device="cpu")
    assert found.dtype == np.int32
    numbers, first = np.unique(found[found > 0], return_index=True)
    assert np.array_equal(numbers, np.arange(1, found.max() + 1))
    assert (np.diff(first) > 0).all()


def test_blocks_are_cut_where_the_memory_would_not_hold_the_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = nuclei((110, 131), 22)
    model, image = known(labels, "flows", monkeypatch), places((110, 131))
    whole = segment(model, image, device="cpu")
    seen = []
    objects = REPRESENTATIONS["flows"].objects  # type: ignore[attr-defined]

    def counted(self: Any, given: torch.Tensor, **thresholds: float) -> np.ndarray:
        seen.append(tuple(given.shape[1:]))
        return np.asarray(objects(self, given, **thresholds))

    monkeypatch.setattr(REPRESENTATIONS["flows"], "objects", counted)
    monkeypatch.setattr(MODULE, "MOST_NUMBERS", 30_000)
    assert np.array_equal(segment(model, image, device="cpu"), whole)
    assert len(seen) > 1


def test_an_object_larger_than_the_margin_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros((40, 120), np.int32)
    labels[10:30, 10:110] = 1
    model, image = known(labels, "three classes", monkeypatch), places((40, 120))
    whole = segment(model, image, block=(40, 30), device="cpu")
    assert whole.max() == 1
    small = replace(model, settings={**model.settings, "largest_object_px": [8, 8]})
    with pytest.warns(UserWarning, match=r"an object is larger than the margin of a block, \(12, 12\) pixels"):
        segment(small, image, block=(40, 30), device="cpu")


def test_objects_at_the_border_and_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[:12, :12], labels[28:, 15:27], labels[10:22, 28:] = 1, 2, 3
    model = known(labels, "flows", monkeypatch)
    found = segment(model, places((40, 40)), block=(16, 16), device="cpu")
    assert metrics.match_labels(found, labels, iou_threshold=0.9).average_precision == 1
    monkeypatch.setattr(model.network, "maps", torch.full((3, 40, 40), -9.0))
    assert not segment(model, places((40, 40)), block=(16, 16), device="cpu").any()


def test_thresholds_of_the_caller_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    model, image = known(nuclei((60, 60), 6), "flows", monkeypatch), places((60, 60))
    wide = segment(model, image, thresholds={"least_foreground": 0.001}, device="cpu")
    narrow = segment(model, image, thresholds={"least_foreground": 0.9999}, device="cpu")
    assert np.count_nonzero(wide) > np.count_nonzero(segment(model, image, device="cpu")) > np.count_nonzero(narrow)


def random_model(dimensions: int = 2, *, depth: int = 1) -> Model:
    config = UNetConfig(dimensions=dimensions, out_channels=1 + dimensions, depth=depth, base_channels=4)
    plain = Normalization(offset=0.0, scale=1.0)
    return Model(
        network=UNet(config, rng=0),
        method="segmentation",
        input_normalization=(plain,),
        output_normalization=(plain,) * (1 + dimensions),
        settings={
            "segmentation": {"represents": "flows"},
            "thresholds": {"least_foreground": 0.5, "joined_within_px": 1},
            "largest_object_px": [9] * dimensions,
            "smallest_object_px": 1,
        },
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_the_unit_and_type_of_the_image_do_not_count(dtype: type) -> None:
    image = np.random.default_rng(0).integers(0, 100, (37, 50))
    model = random_model(depth=2)
    expected = object_maps(model, torch.from_numpy(image).float(), device="cpu")
    assert expected.shape == (3, 37, 50)
    assert torch.allclose(object_maps(model, image.astype(dtype), device="cpu"), expected, atol=1e-5)
    assert torch.allclose(object_maps(model, image * 8.0 + 64, device="cpu"), expected, atol=1e-4)
    assert torch.allclose(expected, model.predict(normalized(image), device="cpu"), atol=1e-5)


def test_maps_of_bright_parts_do_not_warn_of_another_background() -> None:
    seen = normalized(np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64))
    maps = maps_of(random_model(), seen, box=(slice(40, 64), slice(0, 64)), device=torch.device("cpu"))
    assert maps.shape == (3, 24, 64)


def test_a_real_network_gives_the_same_maps_in_blocks() -> None:
    image = torch.rand(61, 83, generator=torch.Generator().manual_seed(0))
    model = random_model(depth=3)
    whole = object_maps(model, image, device="cpu")
    seen, box = normalized(image), (slice(7, 40), slice(33, 83))
    part = maps_of(model, seen, box=box, device=torch.device("cpu"))
    assert torch.allclose(part, whole[:, 7:40, 33:83], atol=1e-5)


NOISE = np.random.default_rng(0).random((24, 24), np.float32)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": np.full((24, 24), 3.0)}, r"of the image are both 3: it is constant or nearly so"),
        ({"image": np.full((24, 24), np.nan)}, r"image has 576 values that are NaN or infinite"),
        ({"image": np.zeros((0, 4))}, r"image has shape \(0, 4\), without any element"),
        ({"image": NOISE[None]}, r"shape \(1, 24, 24\), but this model takes \(y, x\): segment plane by plane"),
        ({"model": random_model(3)}, r"shape \(24, 24\), but this model takes \(z, y, x\): give a stack"),
        ({"model": random_model(3), "image": NOISE[None]}, r"image has 1 plane, but this model learned from stacks"),
        ({"model": replace(random_model(), method="care")}, r"this model is of the method care, which gives no objec"),
        ({"thresholds": {"probability": 0.5}}, r"thresholds are .*, but this model has least_foreground, joined_with"),
        ({"thresholds": {"least_foreground": 1.2}}, r"least_foreground is 1\.2, but must be from 0 to 1; the tr"),
        ({"thresholds": {"least_foreground": np.nan}}, r"threshold least_foreground is nan, but must be from 0 to 1"),
        ({"thresholds": {"joined_within_px": np.inf}}, r"joined_within_px is inf, but must be a finite number of pix"),
        ({"block": (8,)}, r"block is \(8,\), but must have 2 sides of at least 1 pixel"),
        ({"block": (8, 0)}, r"block is \(8, 0\), but must have 2 sides of at least 1 pixel"),
        ({"device": "cuda:99"}, r"cuda"),
    ],
)
def test_bad_input(changed: dict[str, Any], message: str) -> None:
    arguments = {"model": random_model(), "image": NOISE, "device": "cpu"} | changed
    with pytest.raises(ValueError, match=message):
        segment(arguments.pop("model"), arguments.pop("image"), **arguments)


def test_a_mask_is_no_image() -> None:
    with pytest.raises(TypeError, match=r"image has dtype bool, but must be an integer or floating-point type"):
        segment(random_model(), NOISE > 0.5, device="cpu")
