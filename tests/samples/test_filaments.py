import math
import sys

import pytest
import torch

from course_lib.samples import filaments
from course_lib.samples.filaments import _add_balls, worm_like_chains
from course_lib.seeding import generator


def straight(shape, *, voxel_size_um, diameter_um, rng=51):
    """Return one filament; with this seed it crosses a square field from top to bottom, slanted."""
    return filaments(
        shape,
        voxel_size_um=voxel_size_um,
        count=1,
        length_um=100,
        diameter_um=diameter_um,
        persistence_um=1e12,
        rng=rng,
    )


@pytest.mark.parametrize(("shape", "voxel"), [((64, 60), (0.1, 0.1)), ((8, 40, 30), (0.2, 0.1, 0.1))])
def test_the_same_seed_gives_the_same_filaments(shape, voxel):
    first = filaments(shape, voxel_size_um=voxel, rng=5)
    assert first.shape == shape
    assert first.dtype == torch.float32
    assert first.min() >= 0
    assert torch.equal(first, filaments(shape, voxel_size_um=voxel, rng=5))
    assert torch.equal(first, filaments(shape, voxel_size_um=voxel, rng=generator(5)))
    assert not torch.equal(first, filaments(shape, voxel_size_um=voxel, rng=6))


def test_the_global_seed_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    filaments((16, 16), voxel_size_um=(0.1, 0.1), rng=1)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("pixel_um", [0.02, 0.05])
def test_the_full_width_at_half_maximum_is_the_diameter(pixel_um):
    diameter_um = 0.4
    side = round(6 / pixel_um)
    image = straight((side, side), voxel_size_um=(pixel_um, pixel_um), diameter_um=diameter_um).double()
    assert image.max() == pytest.approx(1, abs=0.01)
    # moments of the middle rows across a straight line: its slope, and its variance along the row
    position = torch.arange(side) * pixel_um
    rows = image[side // 3 : 2 * side // 3]
    mean = (rows * position).sum(1) / rows.sum(1)
    variance = (rows * (position - mean[:, None]) ** 2).sum(1) / rows.sum(1)
    slope = float((mean[-1] - mean[0]) / (len(rows) - 1) / pixel_um)
    sigma = (variance - pixel_um**2 / 12).sqrt().mean() / math.sqrt(1 + slope**2)
    assert sigma * math.sqrt(8 * math.log(2)) == pytest.approx(diameter_um, rel=0.01)


def test_coarse_voxels_are_means_of_fine_ones():
    fine = filaments((40, 80, 80), voxel_size_um=(0.05, 0.05, 0.05), rng=2)
    coarse = filaments((10, 40, 40), voxel_size_um=(0.2, 0.1, 0.1), rng=2)
    pooled = torch.nn.functional.avg_pool3d(fine[None], (4, 2, 2))[0]
    torch.testing.assert_close(coarse, pooled, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("shape", "voxel"), [((64, 60), (0.1, 0.1)), ((8, 40, 30), (0.2, 0.05, 0.1))])
def test_chunks_add_up_to_the_same_filaments(shape, voxel, monkeypatch):
    whole = filaments(shape, voxel_size_um=voxel, rng=5)
    monkeypatch.setattr(sys.modules[filaments.__module__], "VOXELS_AT_ONCE", 1)
    assert torch.equal(filaments(shape, voxel_size_um=voxel, rng=5), whole)


def test_a_ball_much_larger_than_the_field_takes_no_more_memory_than_the_field():
    # a ball spans 683 voxels along each axis, 3e8 in all
    image = filaments((4, 16, 16), voxel_size_um=(0.001,) * 3, count=1, rng=0)
    assert 0.1 < float(image.min()) <= float(image.max()) < 1.01
    assert float(image.max() / image.min()) < 1.2


@pytest.mark.parametrize("shape", [(6, 6), (12, 12), (5, 6, 7)])
def test_balls_are_cut_where_they_were_on_any_field(shape):
    """A field is a part of a larger one, however much of each ball lies in it."""
    generator_ = generator(0)
    centres = torch.tensor(shape) * (3 * torch.rand(60, len(shape), generator=generator_) - 1)
    sigmas = (0.9, 1.6, 0.4)[: len(shape)]
    small, large = torch.zeros(shape), torch.zeros([3 * side + 40 for side in shape])
    _add_balls(small, centres, sigmas)
    _add_balls(large, centres + torch.tensor(shape) + 20, sigmas)
    part = large[tuple(slice(side + 20, 2 * side + 20) for side in shape)]
    torch.testing.assert_close(small, part, rtol=0, atol=2e-5)


def test_the_total_is_the_volume_of_the_tube():
    voxel_um, diameter_um = 0.1, 0.3
    image = filaments(
        (80, 80, 80), voxel_size_um=(voxel_um,) * 3, count=1, length_um=1.0, diameter_um=diameter_um, rng=0
    )
    sigma_um = diameter_um / math.sqrt(8 * math.log(2))
    balls = round(1.0 / sigma_um)
    expected = balls * sigma_um * 2 * math.pi * sigma_um**2
    assert float(image.sum()) * voxel_um**3 == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_chains_forget_their_direction_over_the_persistence_length(dimensions):
    count, step, persistence = 4000, 0.05, 2.0
    heading = torch.zeros(count, dimensions)
    heading[:, 0] = 1
    chains = worm_like_chains(
        torch.zeros(count, dimensions),
        heading,
        steps=82,
        step=step,
        persistence=persistence,
        rng=generator(0),
    )
    tangents = chains.diff(dim=1) / step
    torch.testing.assert_close(tangents.norm(dim=-1), torch.ones(count, 81), rtol=0, atol=1e-4)
    for steps in (20, 40, 80):
        cosine = tangents[:, steps, 0].double()
        standard_error = float(cosine.std()) / math.sqrt(count)
        expected = math.exp(-steps * step / persistence)
        # steps of 1/40 of the persistence length change the decay itself by less than 1 %
        assert float(cosine.mean()) == pytest.approx(expected, abs=4 * standard_error + 0.01 * expected)


def test_one_pixel_is_drawn():
    assert filaments((1, 1), voxel_size_um=(0.1, 0.1), rng=0).shape == (1, 1)


def test_voxel_size_must_match_the_shape():
    with pytest.raises(ValueError, match=r"voxel_size_um is \(0.1, 0.1\), with 2 sizes, but shape \(8, 8, 8\) has 3"):
        filaments((8, 8, 8), voxel_size_um=(0.1, 0.1), rng=0)


@pytest.mark.parametrize("size", [0.0, -0.1, math.nan, math.inf])
def test_voxel_size_must_be_a_length(size):
    with pytest.raises(ValueError, match=rf"voxel_size_um is {size:g} µm, but must be from 0.0001 to 10000 µm"):
        filaments((8, 8), voxel_size_um=(0.1, size), rng=0)


def test_shape_must_have_two_or_three_sides():
    with pytest.raises(ValueError, match=r"shape is \(8,\), with 1 sides, but must have 2"):
        filaments((8,), voxel_size_um=(0.1,), rng=0)


@pytest.mark.parametrize("name", ["count", "length_um", "diameter_um", "persistence_um"])
def test_numbers_must_be_in_range(name):
    with pytest.raises(ValueError, match=rf"{name} is -1.*, but must be at least"):
        filaments((8, 8), voxel_size_um=(0.1, 0.1), rng=0, **{name: -1})


def test_fluorophores_are_counted():
    voxel = (0.2, 0.1, 0.1)
    relative = filaments((8, 64, 64), voxel_size_um=voxel, rng=0)
    torch.testing.assert_close(
        filaments((8, 64, 64), voxel_size_um=voxel, fluorophores_per_um3=5000, rng=0), relative * 10
    )
    # a pixel of a plane is 1 µm deep; coarse pixels hold as many as the fine ones in them
    fine = filaments((64, 64), voxel_size_um=(0.05, 0.05), fluorophores_per_um3=5000, rng=0)
    coarse = filaments((32, 32), voxel_size_um=(0.1, 0.1), fluorophores_per_um3=5000, rng=0)
    torch.testing.assert_close(coarse, torch.nn.functional.avg_pool2d(fine[None], 2)[0] * 4, rtol=0, atol=0.01)


@pytest.mark.parametrize("shape", [(8.0, 8), (8, torch.tensor(8.0))])
def test_sides_must_be_whole_numbers(shape):
    with pytest.raises(TypeError, match=r"shape is .*, a (float|Tensor), but must be a whole number: write 8"):
        filaments(shape, voxel_size_um=(0.1, 0.1), rng=0)


def test_half_a_pixel_is_none():
    with pytest.raises(ValueError, match=r"shape is 8.5, but must be a whole number"):
        filaments((8.5, 8), voxel_size_um=(0.1, 0.1), rng=0)


def test_the_count_must_be_a_whole_number():
    with pytest.raises(TypeError, match=r"count is 4.0, a float, but must be a whole number: write 4"):
        filaments((8, 8), voxel_size_um=(0.1, 0.1), count=4.0, rng=0)


def test_shape_and_voxel_size_are_sequences():
    with pytest.raises(TypeError, match=r"shape is 8, but must be a sequence of sides: for example \(256, 256\)"):
        filaments(8, voxel_size_um=(0.1, 0.1), rng=0)
    with pytest.raises(TypeError, match=r"voxel_size_um is 0.1, but must be a sequence .* example \(0.1, 0.1\)"):
        filaments((8, 8), voxel_size_um=0.1, rng=0)
