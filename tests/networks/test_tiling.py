import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.images import Normalization
from course_lib.networks import Model, UNet, UNetConfig, default_tile, predict_tiles

pytestmark = pytest.mark.usefixtures("one_thread")

PLAIN = Normalization(offset=0.0, scale=10.0)


def model(**config: object) -> Model:
    network = UNet(UNetConfig(base_channels=3, **config), rng=0)
    channels = network.config
    return Model(
        network=network,
        method="test",
        input_normalization=(PLAIN,) * channels.in_channels,
        output_normalization=(PLAIN,) * channels.out_channels,
    )


def random(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@given(
    depth=st.integers(1, 3), pooling=st.sampled_from(("max", "blur")), skips=st.sampled_from(("all", "not the finest")),
    sides=st.tuples(st.integers(1, 150), st.integers(1, 150)), tile=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    batch_size=st.integers(1, 5),
)  # fmt: skip
@settings(max_examples=40)
def test_tiles_leave_no_seam(
    depth: int, pooling: str, skips: str, sides: tuple[int, int], tile: tuple[int, int], batch_size: int
) -> None:
    trained = model(depth=depth, pooling=pooling, skips=skips)
    image = random(sides)
    whole = trained.predict(image, tile=sides, device="cpu")
    tiled = trained.predict(image, tile=tile, batch_size=batch_size, device="cpu")
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


@given(
    planes_halved=st.integers(0, 1),
    sides=st.tuples(st.integers(2, 20), st.integers(1, 30), st.integers(1, 30)),
    tile=st.tuples(st.integers(4, 12), st.integers(8, 16), st.integers(8, 16)),
)
@settings(max_examples=10)
def test_tiles_of_stacks_leave_no_seam(
    planes_halved: int, sides: tuple[int, int, int], tile: tuple[int, int, int]
) -> None:
    trained = model(dimensions=3, depth=1, planes_halved=planes_halved)
    stack = random(sides)
    whole = trained.predict(stack, tile=sides, device="cpu")
    torch.testing.assert_close(
        trained.predict(stack, tile=tile, device="cpu"), whole, rtol=0, atol=1e-5 * float(whole.abs().max())
    )


def test_an_image_that_fits_the_grid_is_what_the_network_itself_gives() -> None:
    trained, image = model(depth=2), random((2, 64, 48))
    with torch.inference_mode():
        expected = trained.network(image[:, None])[:, 0]
    torch.testing.assert_close(trained.predict(image, device="cpu"), expected, rtol=0, atol=1e-6)


def test_eight_views_are_averaged() -> None:
    trained, image = model(depth=1), random((20, 20))
    average = trained.predict(image, views=8, device="cpu")
    turned = trained.predict(torch.rot90(image, 1), views=8, device="cpu")
    torch.testing.assert_close(torch.rot90(average, 1), turned, rtol=0, atol=1e-6)
    assert not torch.allclose(average, trained.predict(image, device="cpu"), atol=1e-4)


def test_half_precision_is_close() -> None:
    trained, image = model(depth=2), random((64, 64))
    exact = trained.predict(image, device="cpu")
    half = trained.predict(image, device="cpu", precision="bfloat16")
    assert half.dtype == torch.float32
    assert float((half - exact).std() / exact.std()) < 0.03


def test_where_memory_runs_out_tiles_get_smaller_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, image = model(depth=1), random((100, 90))
    whole = trained.predict(image, device="cpu")
    forward = UNet.forward

    def limited(self: UNet, windows: torch.Tensor) -> torch.Tensor:
        if windows.numel() > 3000:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")  # as torch's CPU says it
        return forward(self, windows)

    monkeypatch.setattr(UNet, "forward", limited)
    with pytest.warns(UserWarning, match=r"pixels needs more memory than CPU.* goes on with") as said:
        tiled = trained.predict(image, batch_size=4, device="cpu")
    assert "a tile of (100, 90) pixels" in str(said[0].message)
    assert len(said) > 1
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


def test_memory_for_not_even_one_tile_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: UNet, windows: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(UNet, "forward", never)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(MemoryError, match=r"smallest tile, \(2, 2\) pixels"):
            model(depth=1).predict(random((16, 16)), device="cpu")


def test_only_what_a_tile_needs_is_read() -> None:
    network = UNet(UNetConfig(depth=1, base_channels=2), rng=0)
    most = 0
    image = random((1, 200, 200))

    def read(frame: int, place: tuple[slice, ...]) -> torch.Tensor:
        nonlocal most
        part = image[(slice(None), *place)]
        most = max(most, part.numel())
        return part

    written = torch.full((1, 200, 200), float("nan"))

    def write(frame: int, place: tuple[slice, ...], values: torch.Tensor) -> None:
        assert written[(slice(None), *place)].isnan().all()
        written[(slice(None), *place)] = values

    predict_tiles(network, read, write, sides=(200, 200), tile=(20, 20))
    assert written.isfinite().all()
    halo = network.config.halo[0]
    assert most == (20 + 2 * halo) ** 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tile": (4, 4, 4)}, r"tile is \(4, 4, 4\), but must be 2 sides"),
        ({"tile": (0, 4)}, r"tile is \(0, 4\)"),
        ({"views": 3}, "views is 3, but must be 1 or 8"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"device": "cuda:7"}, "cuda:7' is not on this machine"),
    ],
)
def test_wrong_arguments_get_a_clear_error(arguments: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        model(depth=1).predict(random((16, 16)), **({"device": "cpu"} | arguments))


def test_a_batch_has_tiles_of_several_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, film = model(depth=1), random((7, 30, 40))
    expected = torch.stack([trained.predict(frame, device="cpu") for frame in film])
    forward, batches = UNet.forward, []

    def counted(self: UNet, windows: torch.Tensor) -> torch.Tensor:
        batches.append(len(windows))
        return forward(self, windows)

    monkeypatch.setattr(UNet, "forward", counted)
    together = trained.predict(film, batch_size=4, device="cpu")
    assert batches == [4, 3]
    torch.testing.assert_close(together, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_each_frame_of_a_batch_has_its_own_normalization() -> None:
    trained = model(depth=1)
    film = random((3, 30, 40)) * torch.tensor([1.0, 7.0, 300.0])[:, None, None] + 5
    expected = torch.stack([trained.predict(frame, normalization="image", device="cpu") for frame in film])
    together = trained.predict(film, normalization="image", batch_size=3, device="cpu")
    for one, other in zip(together, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(other.abs().max()))


def test_where_memory_runs_out_films_and_stacks_get_smaller_tiles_and_the_same_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained, film = model(dimensions=3, depth=1), random((2, 12, 60, 50))
    whole = trained.predict(film, device="cpu")
    forward, refused, fitting = UNet.forward, [], []

    def limited(self: UNet, windows: torch.Tensor) -> torch.Tensor:
        if windows.numel() > 20_000:
            refused.append(tuple(windows.shape))
            raise torch.OutOfMemoryError
        fitting.append(tuple(windows.shape))
        return forward(self, windows)

    monkeypatch.setattr(UNet, "forward", limited)
    with pytest.warns(UserWarning, match="goes on with"):
        tiled = trained.predict(film, batch_size=2, device="cpu")
    sizes = [math.prod(shape) for shape in refused]
    assert len(sizes) > 2
    assert sizes == sorted(sizes, reverse=True)
    assert len({shape[2:] for shape in fitting}) == 1
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


def computed(config: UNetConfig, sides: tuple[int, ...], tile: tuple[int, ...]) -> int:
    """Return the pixels that the network computes for an image in such tiles."""
    padded = [-(-side // step) * step for side, step in zip(sides, config.steps, strict=True)]
    windows = [min(one + 2 * halo, side) for one, halo, side in zip(tile, config.halo, padded, strict=True)]
    counts = [-(-side // one) for side, one in zip(padded, tile, strict=True)]
    return math.prod(counts) * math.prod(windows)


@pytest.mark.parametrize("sides", [(40, 512, 512), (60, 512, 512), (64, 400, 400), (40, 2048, 2048)])
def test_default_tiles_of_stacks_waste_a_seventh_less_than_192_pixels_a_side(sides: tuple[int, ...]) -> None:
    config = UNetConfig(dimensions=3, depth=2)
    tile = default_tile(config, sides)
    former = (sides[0], 192, 192)
    window = math.prod(min(one + 2 * halo, side) for one, halo, side in zip(tile, config.halo, sides, strict=True))
    assert window <= 3_700_000
    assert computed(config, sides, tile) <= 6 / 7 * computed(config, sides, former)


def test_an_image_that_fits_is_one_tile() -> None:
    assert default_tile(UNetConfig(depth=2), (301, 500)) == (304, 500)
    assert default_tile(UNetConfig(dimensions=3, depth=2), (60, 128, 128)) == (60, 128, 128)


@given(sides=st.tuples(st.integers(1, 6000), st.integers(1, 6000)), depth=st.integers(1, 4))
@settings(max_examples=30)
def test_default_tiles_fit_and_lie_on_the_grid(sides: tuple[int, int], depth: int) -> None:
    config = UNetConfig(depth=depth)
    tile = default_tile(config, sides)
    assert all(one % step == 0 for one, step in zip(tile, config.steps, strict=True))
    padded = [-(-side // step) * step for side, step in zip(sides, config.steps, strict=True)]
    windows = [min(one + 2 * halo, side) for one, halo, side in zip(tile, config.halo, padded, strict=True)]
    assert math.prod(windows) <= 320_000
