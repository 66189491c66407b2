import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.samples import line_pairs, resolution_target


@settings(max_examples=30, deadline=None)
@given(
    pixel=st.floats(0.03, 0.3),
    periods=st.lists(st.floats(0.1, 1.5), min_size=1, max_size=4),
    bars=st.integers(1, 5),
)
def test_the_total_is_the_area_of_the_lines(pixel, periods, bars):
    side = math.ceil(40 / pixel)
    image = resolution_target((side // 2, side), voxel_size_um=(pixel, pixel), periods_um=periods, bars=bars)
    assert image.dtype == torch.float32
    assert image.min() >= 0
    assert image.max() <= 1 + 1e-6
    area_um2 = sum(2 * bars * (period / 2) * ((bars - 0.5) * period) for period in periods)
    assert float(image.double().sum()) * pixel**2 == pytest.approx(area_um2, rel=1e-5)


def test_lines_alternate_with_the_period():
    periods = (0.8, 0.4)
    voxel = (0.02, 0.02)
    image = resolution_target((420, 400), voxel_size_um=voxel, periods_um=periods, bars=5)
    for group in line_pairs((420, 400), voxel_size_um=voxel, periods_um=periods, bars=5):
        across = (group.left_um + (torch.arange(9) + 0.5) * group.period_um / 2) / 0.02
        middle = int((group.vertical_um + group.side_um / 2) / 0.02)
        assert image[middle, across.long()].tolist() == pytest.approx([1, 0, 1, 0, 1, 0, 1, 0, 1], abs=1e-5)
        down = (group.horizontal_um + (torch.arange(9) + 0.5) * group.period_um / 2) / 0.02
        centre = int((group.left_um + group.side_um / 2) / 0.02)
        assert image[down.long(), centre].tolist() == pytest.approx([1, 0, 1, 0, 1, 0, 1, 0, 1], abs=1e-5)


def test_coarse_voxels_are_means_of_fine_ones():
    fine = resolution_target((40, 240, 320), voxel_size_um=(0.05, 0.05, 0.05), thickness_um=0.3, bars=3)
    coarse = resolution_target((10, 120, 160), voxel_size_um=(0.2, 0.1, 0.1), thickness_um=0.3, bars=3)
    torch.testing.assert_close(coarse, torch.nn.functional.avg_pool3d(fine[None], (4, 2, 2))[0], rtol=0, atol=1e-6)


def test_a_stack_holds_the_plane_halfway_up():
    plane = resolution_target((128, 256), voxel_size_um=(0.1, 0.1))
    stack = resolution_target((5, 128, 256), voxel_size_um=(0.4, 0.1, 0.1), thickness_um=0.1)
    torch.testing.assert_close(stack[2], plane * 0.25)
    assert stack[[0, 1, 3, 4]].max() == 0


def test_fluorophores_are_counted():
    voxel = (0.2, 0.1, 0.1)
    relative = resolution_target((8, 128, 256), voxel_size_um=voxel)
    counted = resolution_target((8, 128, 256), voxel_size_um=voxel, fluorophores_per_um3=1e4)
    torch.testing.assert_close(counted, relative * 20)
    plane = resolution_target((128, 256), voxel_size_um=(0.1, 0.1), fluorophores_per_um3=1e4)
    assert float(plane.max()) == pytest.approx(100)


def test_the_target_must_fit():
    with pytest.raises(
        ValueError, match=r"5 lines of each measure 10 × .* µm in all, but the field is 3.2 × 25.6 µm: use fewer"
    ):
        resolution_target((32, 256), voxel_size_um=(0.1, 0.1))
    with pytest.raises(ValueError, match=r"but the field is 25.6 × 3.2 µm: use fewer"):
        line_pairs((256, 32), voxel_size_um=(0.1, 0.1))


@pytest.mark.parametrize("periods", [(), 0.5])
def test_periods_must_be_listed(periods):
    with pytest.raises(ValueError, match=r"periods_um is .*, but must list the period of each group"):
        resolution_target((256, 256), voxel_size_um=(0.1, 0.1), periods_um=periods)


@pytest.mark.parametrize("period", [0.0, -1.0, math.nan, math.inf])
def test_periods_must_be_lengths(period):
    with pytest.raises(ValueError, match=rf"periods_um is {period:g} µm, but must be at least 0.001 µm"):
        resolution_target((256, 256), voxel_size_um=(0.1, 0.1), periods_um=(0.5, period))


def test_bars_are_counted():
    with pytest.raises(ValueError, match="bars is 0, but must be at least 1"):
        resolution_target((256, 256), voxel_size_um=(0.1, 0.1), bars=0)
    with pytest.raises(TypeError, match=r"bars is 2.0, a float, but must be a whole number: write 2"):
        resolution_target((256, 256), voxel_size_um=(0.1, 0.1), bars=2.0)


def test_the_plane_must_fit_the_stack():
    with pytest.raises(ValueError, match="thickness_um is 2 µm, but the field is 1 µm high: use a thinner plane"):
        resolution_target((5, 256, 256), voxel_size_um=(0.2, 0.1, 0.1), thickness_um=2)
    with pytest.raises(ValueError, match="thickness_um is 0 µm, but must be at least"):
        resolution_target((5, 256, 256), voxel_size_um=(0.2, 0.1, 0.1), thickness_um=0)


@pytest.mark.parametrize("scale", [-1.0, math.nan])
def test_the_scale_must_be_a_number(scale):
    with pytest.raises(ValueError, match=rf"fluorophores_per_um3 is {scale:g}, but must be at least 0"):
        resolution_target((256, 256), voxel_size_um=(0.1, 0.1), fluorophores_per_um3=scale)
