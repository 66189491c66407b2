import math

import pytest
import torch

from course_lib.samples import filaments
from course_lib.samples.filaments import worm_like_chains
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
