import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from course_lib.samples import nuclei
from course_lib.samples._random_field import random_field
from course_lib.seeding import generator


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), dimensions=st.sampled_from([2, 3]), touching=st.sampled_from([0.0, 1.0]))
def test_each_nucleus_is_one_piece_with_its_own_label(seed, dimensions, touching):
    shape, voxel = ((12, 80, 80), (0.5, 0.4, 0.4)) if dimensions == 3 else ((120, 120), (0.25, 0.25))
    density, labels = nuclei(shape, voxel_size_um=voxel, count=5, diameter_um=8, touching=touching, rng=seed)
    assert density.shape == labels.shape == shape
    assert (density.dtype, labels.dtype) == (torch.float32, torch.int32)
    assert labels.unique().tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.isfinite(density).all()
    assert density.min() >= 0
    for number in range(1, 6):
        inside = (labels == number).numpy()
        sizes = ndimage.sum_labels(inside, ndimage.label(inside)[0], range(1, ndimage.label(inside)[1] + 1))
        assert max(sizes) >= 0.99 * sum(sizes)


def test_the_same_seed_gives_the_same_nuclei():
    call = {"voxel_size_um": (0.5, 0.4, 0.4), "count": 5, "diameter_um": 8}
    first = nuclei((12, 80, 80), rng=5, **call)
    for again in (nuclei((12, 80, 80), rng=5, **call), nuclei((12, 80, 80), rng=generator(5), **call)):
        assert torch.equal(first.density, again.density)
        assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.labels, nuclei((12, 80, 80), rng=6, **call).labels)


def test_the_global_seed_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    nuclei((40, 40), voxel_size_um=(0.5, 0.5), count=2, rng=1)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("fine_shape", "fine_voxel", "shape", "voxel"),
    [
        ((300, 300), (0.1, 0.1), (60, 60), (0.5, 0.5)),
        ((30, 150, 150), (0.2, 0.2, 0.2), (6, 75, 75), (1.0, 0.4, 0.4)),
    ],
)
def test_coarse_voxels_hold_the_nuclei_of_fine_ones(fine_shape, fine_voxel, shape, voxel):
    fine = nuclei(fine_shape, voxel_size_um=fine_voxel, count=6, diameter_um=8, rng=2)
    coarse = nuclei(shape, voxel_size_um=voxel, count=6, diameter_um=8, rng=2)
    factors = [a // b for a, b in zip(fine_shape, shape, strict=True)]
    pool = torch.nn.functional.avg_pool2d if len(shape) == 2 else torch.nn.functional.avg_pool3d
    means = pool(fine.density[None], factors)[0]
    assert float((coarse.density - means).norm() / means.norm()) < 0.07
    assert float(coarse.density.mean()) == pytest.approx(float(means.mean()), rel=0.01)
    # the same voxels, but for the surface, where their centres decide
    in_middle = fine.labels[tuple(slice(factor // 2, None, factor) for factor in factors)]
    assert float((coarse.labels != in_middle).float().mean()) < 0.03
    if all(factor % 2 for factor in factors):
        assert float((coarse.labels != in_middle).float().mean()) < 1e-3


def test_a_stack_seen_finer_in_z_has_whole_nuclei_of_the_height_asked():
    _, labels = nuclei(
        (100, 160, 160), voxel_size_um=(0.2, 0.5, 0.5), count=14, diameter_um=10, height_ratio=0.6, touching=0, rng=4
    )
    heights = []
    for number in range(1, 15):
        planes = (labels == number).flatten(1).any(1).nonzero()
        heights.append(0.2 * float(planes.max() - planes.min() + 1))
    # 12 % of spread, and waves of the surface: the mean of 14 within four standard errors
    assert sum(heights) / 14 == pytest.approx(6.0, abs=4 * 0.15 * 6 / math.sqrt(14))
    assert labels[[0, -1]].float().mean() < 0.01


def test_sections_have_the_area_of_the_diameter():
    _, labels = nuclei((600, 600), voxel_size_um=(0.5, 0.5), count=150, diameter_um=12, touching=0, rng=0)
    whole = set(range(1, 151)) - {int(n) for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]) for n in edge}
    areas = torch.bincount(labels.flatten())[sorted(whole)].double() * 0.25
    assert len(areas) > 100
    # E[π d² / 4] with a spread of 12 % in d
    expected = math.pi / 4 * 12**2 * (1 + 0.12**2)
    assert float(areas.mean()) == pytest.approx(expected, abs=4 * float(areas.std()) / math.sqrt(len(areas)))


def test_neighbours_touch_without_overlap_and_with_a_dark_gap():
    density, labels = nuclei(
        (500, 500), voxel_size_um=(0.1, 0.1), count=16, diameter_um=9, touching=1, texture=0, rng=3
    )
    left, right = labels[:, :-1], labels[:, 1:]
    faces = (left > 0) & (right > 0) & (left != right)
    assert int(faces.sum()) > 100
    assert float(density[:, :-1][faces].mean()) < 0.02 * float(density[labels > 0].median())


def test_fewer_touch_when_none_is_set_against_another():
    def faces(touching):
        labels = nuclei((300, 300), voxel_size_um=(0.4, 0.4), count=30, diameter_um=9, touching=touching, rng=1).labels
        left, right = labels[:, :-1], labels[:, 1:]
        return int(((left > 0) & (right > 0) & (left != right)).sum())

    assert faces(1) > 2 * faces(0)


def test_without_texture_a_nucleus_is_even():
    density, labels = nuclei((200, 200), voxel_size_um=(0.2, 0.2), count=6, diameter_um=9, texture=0, rng=0)
    levels = []
    for number in range(1, 7):
        core = torch.from_numpy(ndimage.binary_erosion((labels == number).numpy(), iterations=3))
        assert density[core].std() < 1e-5
        levels.append(float(density[core].mean()))
    assert max(levels) / min(levels) > 1.2


def test_texture_and_relative_density():
    density, labels = nuclei((500, 500), voxel_size_um=(0.22, 0.22), count=40, diameter_um=11, rng=0)
    inside = density[labels > 0]
    means = torch.stack([density[labels == number].mean() for number in range(1, 41)])
    assert float(means.mean()) == pytest.approx(1, abs=0.1)
    # the brightness of nuclei spreads by about 25 %, the chromatin within them by more
    assert 0.15 < float(means.std()) < 0.35
    assert 0.35 < float((inside / means[labels[labels > 0].long() - 1]).std()) < 0.7
    # nothing outside but the soft edge
    outside = ndimage.binary_erosion((labels == 0).numpy(), iterations=2)
    assert float(density[torch.from_numpy(outside)].max()) == 0


def test_dividing_nuclei_are_bright_plates():
    call = {"voxel_size_um": (0.2, 0.2), "count": 20, "diameter_um": 10, "touching": 0, "rng": 3}
    resting = nuclei((500, 500), dividing=0, **call)
    dividing = nuclei((500, 500), dividing=1, **call)
    ratio = float((dividing.labels > 0).sum() / (resting.labels > 0).sum())
    assert ratio == pytest.approx(0.35, abs=0.08)
    brighter = float(dividing.density[dividing.labels > 0].mean() / resting.density[resting.labels > 0].mean())
    assert brighter == pytest.approx(2 / 0.35, rel=0.25)


def test_fluorophores_are_counted():
    call = {"count": 3, "diameter_um": 8, "rng": 0}
    relative = nuclei((20, 60, 60), voxel_size_um=(0.4, 0.5, 0.5), **call).density
    counted = nuclei((20, 60, 60), voxel_size_um=(0.4, 0.5, 0.5), fluorophores_per_um3=3000, **call).density
    torch.testing.assert_close(counted, relative * 300)


def test_the_random_field_is_normal_and_smooth_over_its_grain():
    line = (torch.arange(1200) + 0.5) * 0.1
    field = random_field([line, line], [120.0, 120.0], step_um=[0.1, 0.1], grain_um=1.0, rng=generator(0)).double()
    # 120² independent knots
    assert float(field.mean()) == pytest.approx(0, abs=4 / 120)
    assert float(field.var()) == pytest.approx(1, abs=4 * math.sqrt(2) / 120)
    # of cubic B-splines a knot apart, weighted to variance 1: 151/315, 397/1680, 1/42, 1/5040 over their sum of squares
    for knots, expected in ((1, (397 / 1680) / (151 / 315)), (4, 0.0)):
        correlation = float((field[:, : -10 * knots] * field[:, 10 * knots :]).mean())
        assert correlation == pytest.approx(expected, abs=0.05)


def test_coarse_voxels_hold_the_mean_of_the_random_field():
    fine, coarse = ((torch.arange(n) + 0.5) * (24 / n) for n in (240, 40))
    field = random_field([fine, fine], [24.0, 24.0], step_um=[0.1, 0.1], grain_um=0.5, rng=generator(0))
    mean = random_field([coarse, coarse], [24.0, 24.0], step_um=[0.6, 0.6], grain_um=0.5, rng=generator(0))
    torch.testing.assert_close(mean, torch.nn.functional.avg_pool2d(field[None], 6)[0], rtol=0, atol=0.02)


def test_too_many_nuclei_find_no_room():
    with pytest.raises(
        ValueError, match=r"count is 50, but only \d+ nuclei found room in a field of 20 × 20 µm: lower"
    ):
        nuclei((40, 40), voxel_size_um=(0.5, 0.5), count=50, rng=0)


@pytest.mark.parametrize(("shape", "voxel"), [((40, 40), (0.5, 6.0)), ((8, 40, 40), (4.0, 0.5, 0.5))])
def test_voxels_must_be_finer_than_nuclei(shape, voxel):
    with pytest.raises(ValueError, match=r"voxel_size_um is .*, but nuclei measure .* µm: use voxels of at most half"):
        nuclei(shape, voxel_size_um=voxel, count=1, rng=0)


def test_one_pixel_is_drawn():
    density, labels = nuclei((1, 1), voxel_size_um=(0.5, 0.5), count=1, rng=0)
    assert labels.tolist() == [[1]]
    assert density.shape == (1, 1)


@pytest.mark.parametrize("name", ["count", "diameter_um", "height_ratio", "touching", "dividing", "texture"])
@pytest.mark.parametrize("value", [-1, math.nan])
def test_numbers_must_be_in_range(name, value):
    with pytest.raises(ValueError, match=rf"{name} is {value}.*, but must be "):
        nuclei((40, 40), voxel_size_um=(0.5, 0.5), rng=0, **{"count": 2, name: value})


def test_the_count_is_whole():
    with pytest.raises(TypeError, match=r"count is 2.0, a float, but must be a whole number: write 2"):
        nuclei((40, 40), voxel_size_um=(0.5, 0.5), count=2.0, rng=0)


def test_a_field_that_takes_too_much_memory_is_refused():
    message = r"shape is \(64, 512, 512\), which takes 7.5e\+08 points .* voxels of 1 µm and more are divided, draw"
    with pytest.raises(ValueError, match=message):
        nuclei((64, 512, 512), voxel_size_um=(2, 1, 1), rng=0)
    with pytest.raises(ValueError, match=r"at most 1.3e\+08 are: make the field smaller"):
        nuclei((600, 600, 600), voxel_size_um=(0.2, 0.2, 0.2), rng=0)
