import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.samples import beads
from course_lib.samples.beads import POINTS_AT_ONCE, _lines, _slabs
from course_lib.seeding import generator


def centroid_um(density, voxel_size_um):
    lines = [torch.arange(n, dtype=torch.float64) * s for n, s in zip(density.shape, voxel_size_um, strict=True)]
    grid = torch.stack(torch.meshgrid(*lines, indexing="ij"))
    return (grid * density).flatten(1).sum(1) / density.double().sum()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    dimensions=st.sampled_from([2, 3]),
    diameter=st.sampled_from([0.0, 0.04, 0.3, 1.0]),
    sizes=st.lists(st.sampled_from([0.05, 0.1, 0.23]), min_size=3, max_size=3),
)
def test_fluorophores_and_centroid_are_exact(seed, dimensions, diameter, sizes):
    voxel = tuple(sizes[:dimensions])
    shape = tuple(math.ceil(2.0 / size) for size in voxel)
    density, positions_um = beads(
        shape, voxel_size_um=voxel, count=1, diameter_um=diameter, fluorophores_per_bead=300.0, rng=seed
    )
    assert density.dtype == torch.float32
    assert density.min() >= 0
    assert float(density.double().sum()) == pytest.approx(300, rel=1e-6)
    torch.testing.assert_close(centroid_um(density, voxel), positions_um[0], rtol=0, atol=1e-5)


def test_a_point_between_two_voxels_lies_in_both():
    density, positions_um = beads((1, 40), voxel_size_um=(0.1, 0.1), count=1, diameter_um=0, rng=1)
    place = float(positions_um[0, 1]) / 0.1
    left = math.floor(place)
    assert float(density[0, left]) == pytest.approx(1 - (place - left))
    assert float(density[0, left + 1]) == pytest.approx(place - left)
    assert int((density > 0).sum()) == 2


def test_a_large_sphere_is_even_inside_and_has_the_variance_of_a_sphere():
    voxel, diameter = 0.05, 1.2
    density, positions_um = beads((40, 40, 40), voxel_size_um=(voxel,) * 3, count=1, diameter_um=diameter, rng=0)
    line = torch.arange(40, dtype=torch.float64) * voxel
    radius = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), -1).sub(positions_um[0]).norm(dim=-1)
    inside = density[radius < diameter / 2 - 2 * voxel]
    expected = voxel**3 / (math.pi / 6 * diameter**3)
    torch.testing.assert_close(inside, torch.full_like(inside, expected), rtol=0.01, atol=0)
    assert density[radius > diameter / 2 + 2 * voxel].max() == 0
    # a sphere has d² / 20 along each axis; the sharing adds from 0 to Δ² / 4
    for axis in range(3):
        share = density.double().sum(tuple({0, 1, 2} - {axis}))
        variance = float((share * (line - positions_um[0, axis]) ** 2).sum())
        assert diameter**2 / 20 * 0.995 < variance < diameter**2 / 20 * 1.005 + voxel**2 / 4


@pytest.mark.parametrize(("shape", "diameter"), [((20, 22, 21), 0.7), ((24, 30), 0.9), ((8, 8, 8), 0.0)])
def test_slabs_add_up_to_the_same_bead(shape, diameter, monkeypatch):
    call = {"voxel_size_um": (0.05, 0.06, 0.05)[-len(shape) :], "count": 3, "diameter_um": diameter, "rng": 2}
    whole = beads(shape, **call).density
    monkeypatch.setattr(sys.modules[beads.__module__], "POINTS_AT_ONCE", 1)
    torch.testing.assert_close(beads(shape, **call).density, whole, rtol=1e-6, atol=0)


def test_a_large_bead_takes_little_memory():
    slab_um, weights = next(_slabs(10.0, _lines(10.0, torch.full((3,), 0.05, dtype=torch.float64))))
    assert weights.shape == (len(slab_um), 401, 401)
    assert weights.numel() <= POINTS_AT_ONCE


def test_a_plane_shows_the_projection_of_the_sphere():
    voxel, diameter = 0.05, 1.2
    stack = beads((40, 40, 40), voxel_size_um=(voxel,) * 3, count=1, diameter_um=diameter, rng=0)
    plane = beads((40, 40), voxel_size_um=(voxel,) * 2, count=1, diameter_um=diameter, rng=0)
    profiles = []
    for density, centre in ((stack.density.sum(0), stack.positions_um[0, 1:]), (plane.density, plane.positions_um[0])):
        line = torch.arange(40, dtype=torch.float64) * voxel
        radius = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).sub(centre).norm(dim=-1)
        rings = (radius / 0.1).long()
        profiles.append(torch.stack([density[rings == ring].mean() for ring in range(8)]))
    torch.testing.assert_close(profiles[0], profiles[1], rtol=0.1, atol=0.01 * float(profiles[0].max()))


def test_the_same_seed_gives_the_same_beads_for_every_voxel_size():
    fine = beads((40, 80, 80), voxel_size_um=(0.1, 0.05, 0.05), count=5, rng=3).positions_um
    coarse = beads((20, 40, 40), voxel_size_um=(0.2, 0.1, 0.1), count=5, rng=3).positions_um
    # from the corner of the field, which lies half a voxel before the centre of the first voxel
    fine = fine + torch.tensor([0.1, 0.05, 0.05]) / 2
    coarse = coarse + torch.tensor([0.2, 0.1, 0.1]) / 2
    off = (fine - coarse).abs()
    assert (off <= torch.tensor([0.05, 0.025, 0.025]) + 1e-9).all()
    assert off.median() < 1e-9
    again = beads((40, 80, 80), voxel_size_um=(0.1, 0.05, 0.05), count=5, rng=generator(3)).positions_um
    torch.testing.assert_close(again + torch.tensor([0.1, 0.05, 0.05]) / 2, fine)
    assert not torch.equal(beads((40, 80, 80), voxel_size_um=(0.1, 0.05, 0.05), count=5, rng=4).positions_um, again)


def test_beads_keep_their_distance_and_fill_the_field():
    positions_um = beads((400, 400), voxel_size_um=(0.1, 0.1), count=100, spacing_um=2.0, rng=0).positions_um
    distance = torch.cdist(positions_um, positions_um).fill_diagonal_(math.inf)
    assert distance.min() >= 2.0
    # uniform over 40 µm: mean 19.95 µm, standard error 40 / √1200
    assert positions_um.mean(0).sub(19.95).abs().max() < 4 * 40 / math.sqrt(1200)
    assert positions_um.std(0).sub(40 / math.sqrt(12)).abs().max() < 2


def test_one_pixel_holds_a_point():
    density, positions_um = beads((1, 1), voxel_size_um=(0.1, 0.1), count=3, diameter_um=0, rng=0)
    assert density.tolist() == [[3.0]]
    assert positions_um.abs().max() < 1e-12


def test_too_many_beads_find_no_room():
    with pytest.raises(ValueError, match=r"count is 50 and spacing_um is 2, but only \d beads found room: lower"):
        beads((40, 40), voxel_size_um=(0.1, 0.1), count=50, spacing_um=2.0, rng=0)


def test_a_bead_must_fit_the_field():
    with pytest.raises(ValueError, match=r"diameter_um is 2 µm, but .* the field spans 0.7 × 3.9 µm: enlarge shape"):
        beads((8, 40), voxel_size_um=(0.1, 0.1), diameter_um=2.0, rng=0)


@pytest.mark.parametrize("name", ["count", "diameter_um", "spacing_um", "fluorophores_per_bead"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_numbers_must_be_in_range(name, value):
    with pytest.raises(ValueError, match=rf"{name} is {value}.*, but must be at least"):
        beads((8, 8), voxel_size_um=(0.1, 0.1), rng=0, **{name: value})


def test_the_count_is_whole():
    with pytest.raises(TypeError, match=r"count is 3.0, a float, but must be a whole number: write 3"):
        beads((8, 8), voxel_size_um=(0.1, 0.1), count=3.0, rng=0)
