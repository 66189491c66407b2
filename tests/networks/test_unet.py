import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from course_lib.networks import UNet, UNetConfig
from course_lib.networks.unet import _refined

pytestmark = pytest.mark.usefixtures("one_thread")

small_networks = st.builds(
    UNetConfig,
    dimensions=st.sampled_from((2, 3)),
    in_channels=st.integers(1, 3),
    out_channels=st.integers(1, 3),
    depth=st.integers(1, 3),
    base_channels=st.sampled_from((1, 3, 4)),
    planes_halved=st.integers(0, 3),
    normalization=st.sampled_from(("none", "batch")),
    pooling=st.sampled_from(("max", "blur")),
    skips=st.sampled_from(("all", "not the finest")),
)


@given(config=small_networks, seed=st.integers(0, 9), data=st.data())
@settings(max_examples=25)
def test_the_grid_of_the_output_is_that_of_the_input(config: UNetConfig, seed: int, data: st.DataObject) -> None:
    sides = tuple(step * data.draw(st.integers(1, 2)) for step in config.steps)
    image = torch.rand((2, config.in_channels, *sides), generator=torch.Generator().manual_seed(seed))
    assert UNet(config, rng=seed)(image).shape == (2, config.out_channels, *sides)


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (UNetConfig(), 332_641),  # that of CSBDeep, n2v and CAREamics; batch normalization adds two a feature
        (UNetConfig(normalization="batch"), 333_729),
        (UNetConfig(skips="not the finest"), 332_641 - 9 * 32 * 32),
    ],
)
def test_it_has_as_many_numbers_to_learn_as_that_of_csbdeep(config: UNetConfig, count: int) -> None:
    assert sum(weights.numel() for weights in UNet(config, rng=0).parameters()) == count


@pytest.mark.parametrize("pooling", ["max", "blur"])
@pytest.mark.parametrize("skips", ["all", "not the finest"])
@pytest.mark.parametrize(
    ("dimensions", "depth", "planes_halved"), [(2, 1, 0), (2, 2, 0), (2, 3, 0), (3, 2, 2), (3, 2, 1), (3, 2, 0)]
)
def test_an_output_pixel_depends_on_no_pixel_beyond_the_halo(
    pooling: str, skips: str, dimensions: int, depth: int, planes_halved: int
) -> None:
    config = UNetConfig(
        dimensions=dimensions, depth=depth, base_channels=2, planes_halved=planes_halved, pooling=pooling, skips=skips
    )
    network = UNet(config, rng=0).double()
    for weights in network.parameters():
        weights.data.abs_()  # so that no ReLU cuts a path off
    # sides of two halos, and the pixels of one step between them
    sides = tuple(2 * halo + step for halo, step in zip(config.halo, config.steps, strict=True))
    reach_low, reach_high = [0] * dimensions, [0] * dimensions
    for corner in (torch.zeros(dimensions, dtype=torch.int64), torch.tensor(config.steps) - 1):
        image = torch.ones((1, 1, *sides), dtype=torch.float64, requires_grad=True)
        place = tuple((torch.tensor(config.halo) + corner).tolist())
        # smooth the maximum away: with equal pixels, max pooling passes its gradient to the first of them only
        noisy = image + 1e-3 * torch.rand(image.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        network(noisy)[(0, 0, *place)].backward()
        touched = image.grad[0, 0].nonzero()
        for axis in range(dimensions):
            reach_low[axis] = max(reach_low[axis], place[axis] - int(touched[:, axis].min()))
            reach_high[axis] = max(reach_high[axis], int(touched[:, axis].max()) - place[axis])
    for low, high, halo, step in zip(reach_low, reach_high, config.halo, config.steps, strict=True):
        assert max(low, high) <= halo
        assert halo - max(low, high) < 2 * step  # and the halo wastes little


def test_the_receptive_field_is_that_of_the_course() -> None:
    for depth, width in ((2, 44), (3, 100)):
        network = UNet(UNetConfig(depth=depth, base_channels=2), rng=0).double()
        for weights in network.parameters():
            weights.data.abs_()
        widest = 0
        for place in range(96, 96 + 2**depth):
            touched = set()
            for seed in range(4):
                image = torch.rand((1, 1, 192, 192), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
                image.requires_grad_()
                network(image)[0, 0, place, place].backward()
                touched |= set(image.grad[0, 0].nonzero()[:, 0].tolist())
            widest = max(widest, max(touched) - min(touched) + 1)
        assert widest == pytest.approx(width, abs=4)


def test_blur_pooling_moves_less_when_the_image_moves() -> None:
    """Shifted by one pixel, what is on the coarse grid should change little: that is what the blur is for."""
    from course_lib.networks.unet import _halved

    image = torch.rand((1, 1, 64, 64), generator=torch.Generator().manual_seed(0))
    change = {}
    for pooling in ("max", "blur"):
        still, moved = (_halved(one, (2, 2), pooling=pooling) for one in (image, image.roll(1, dims=-1)))
        change[pooling] = float((still - moved)[..., 1:-1].std() / still.std())
    assert change["blur"] < 0.8 * change["max"]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_constant_stays_constant_in_pooling(dimensions: int) -> None:
    from course_lib.networks.unet import _halved

    image = torch.full((1, 2) + (8,) * dimensions, 3.0)
    for pooling in ("max", "blur"):
        assert torch.equal(
            _halved(image, (2,) * dimensions, pooling=pooling), torch.full((1, 2) + (4,) * dimensions, 3.0)
        )


def test_a_network_of_changes_begins_by_changing_nothing() -> None:
    image = torch.rand(1, 2, 16, 16)
    network = UNet(UNetConfig(in_channels=2, out_channels=3, learns="the change"), rng=0)
    assert torch.equal(network(image), torch.cat((image, torch.zeros(1, 1, 16, 16)), dim=1))


def test_the_same_seed_gives_the_same_weights() -> None:
    first, again, other = (UNet(UNetConfig(base_channels=4), rng=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["last.weight"], other["last.weight"])


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((1, 64, 64), r"shape \(1, 64, 64\), but this is a 2D network: give it images of shape \(N, C, Y, X\)"),
        ((1, 1, 8, 64, 64), "but this is a 2D network"),
        ((1, 2, 64, 64), r"2 channels, but this network takes 1"),
        ((1, 1, 62, 64), r"sides \(62, 64\), but they must be whole multiples of \(4, 4\)"),
        ((1, 1, 0, 64), "whole multiples"),
    ],
)
def test_a_wrong_image_gets_a_clear_error(shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        UNet(UNetConfig(), rng=0)(torch.zeros(shape))


def test_a_change_needs_something_to_be_added_to() -> None:
    with pytest.raises(ValueError, match="2 channels go in and 1 come out"):
        UNetConfig(in_channels=2, learns="the change")


@given(
    flat=st.booleans(),
    first_step=st.sampled_from((1, 2)),
    joins=st.booleans(),
    sides=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
)
@settings(max_examples=40)
def test_repeated_pixels_are_convolved_as_if_they_were_stored(
    flat: bool, first_step: int, joins: bool, sides: tuple[int, int, int]
) -> None:
    steps = (2, 2) if flat else (first_step, 2, 2)
    draw = torch.Generator().manual_seed(0)
    coarse = torch.randn((2, 3, *sides[-len(steps) :]), generator=draw, dtype=torch.float64)
    fine = [side * step for side, step in zip(sides[-len(steps) :], steps, strict=True)]
    joined = torch.randn((2, 4, *fine), generator=draw, dtype=torch.float64) if joins else None
    layer = nn.Conv2d if flat else nn.Conv3d
    convolution = layer(3 + 4 * joins, 5, kernel_size=3, padding=1, dtype=torch.float64)
    repeated = functional.interpolate(coarse, size=fine, mode="nearest")
    expected = convolution(repeated if joined is None else torch.cat((repeated, joined), dim=1))
    found = _refined(coarse, joined, convolution, steps)
    assert float((found - expected).detach().abs().max()) < 1e-12


@pytest.mark.parametrize(("planes", "planes_halved"), [(2, 0), (2, 1), (4, 0), (4, 1), (4, 2), (8, 2), (12, 2)])
def test_gradients_of_16_bits_are_about_those_of_32_for_few_planes_too(planes: int, planes_halved: int) -> None:
    """torch 2.13 reads stray memory there: gradients off by at least half of their size, infinite or NaN.

    Rounding alone makes a tenth.
    """
    network = UNet(UNetConfig(dimensions=3, base_channels=8, depth=2, planes_halved=planes_halved), rng=0)
    image = torch.rand((3, 1, planes, 16, 16), generator=torch.Generator().manual_seed(0))

    def gradients(*, half: bool) -> list[torch.Tensor]:
        network.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss = (network(image) - 0.3).square().mean()
        loss.backward()
        return [weights.grad.clone() for weights in network.parameters()]

    exact = gradients(half=False)
    for _ in range(3):
        for short, full in zip(gradients(half=True), exact, strict=True):
            assert float((short - full).norm()) <= 0.25 * float(full.norm())


@pytest.mark.parametrize("learns", ["the image", "the change"])
def test_a_centred_network_is_a_plain_one_around_its_centre(learns: str) -> None:
    image = torch.rand((2, 1, 16, 24), generator=torch.Generator().manual_seed(0))
    plain, centred = (UNet(UNetConfig(base_channels=4, centre=centre, learns=learns), rng=0) for centre in (0.0, 0.4))
    torch.testing.assert_close(centred(image + 0.4), plain(image) + 0.4)
