import numpy as np
import pytest
import torch

from course_lib.plotting import psf_and_otf

VOXEL_UM = (0.2, 0.1, 0.1)


def gaussian(sigma_um: tuple[float, float], *, shape: tuple[int, int, int] = (40, 41, 42)) -> np.ndarray:
    z, y, x = (step * (np.arange(size) - size // 2) for step, size in zip(VOXEL_UM, shape, strict=True))
    lateral = np.exp(-(y[:, None] ** 2 + x**2) / (2 * sigma_um[1] ** 2))
    return np.exp(-(z**2) / (2 * sigma_um[0] ** 2))[:, None, None] * lateral


def pictures(figure):
    return [axes for axes in figure.axes if axes.images]


def at(axes, row_position, column_position):
    """Read the picture of `axes` at a position in the units of its axes."""
    left, right, bottom, top = axes.images[0].get_extent()
    array = axes.images[0].get_array()
    row = (row_position - top) / (bottom - top) * array.shape[0]
    column = (column_position - left) / (right - left) * array.shape[1]
    return array[int(row), int(column)]


def test_sections_have_their_maximum_at_zero_and_both_rows_share_their_axes():
    figure = psf_and_otf({"narrow": gaussian((0.5, 0.2)), "wide": gaussian((0.8, 0.4))}, voxel_size_um=VOXEL_UM)
    panels = pictures(figure)
    assert [axes.get_title() for axes in panels] == ["narrow", "wide", "", ""]
    for axes in panels:
        assert at(axes, 0.0, 0.0) == pytest.approx(1)
    assert [axes.get_ylabel() for axes in panels[::2]] == ["z (µm)", "along z (1/µm)"]
    assert panels[0].get_xlim() == panels[1].get_xlim() == (-3, 3)
    assert panels[2].get_xlim() == (-5, 5)
    assert panels[2].get_ylim() == (2.5, -2.5)


def test_psf_section_and_otf_of_a_gaussian_follow_the_closed_form():
    sigma_z, sigma_x = 0.6, 0.25
    spot, transfer = pictures(psf_and_otf({"a": gaussian((sigma_z, sigma_x))}, voxel_size_um=VOXEL_UM))
    assert at(spot, 0.8, 0.3) == pytest.approx(np.exp(-(0.8**2) / (2 * sigma_z**2) - 0.3**2 / (2 * sigma_x**2)))
    f_z, f_x = 2 / (40 * 0.2), 2 / (42 * 0.1)
    expected = np.exp(-2 * np.pi**2 * ((f_z * sigma_z) ** 2 + (f_x * sigma_x) ** 2))
    assert at(transfer, f_z, f_x) == pytest.approx(expected, rel=1e-3)


def test_the_otf_is_that_of_the_whole_psf_not_of_its_section():
    wide_beside_the_section = gaussian((0.5, 0.2))
    wide_beside_the_section[:, 5] += gaussian((0.5, 0.6))[:, 20]
    for psf in (gaussian((0.5, 0.2)), wide_beside_the_section):
        _, transfer = pictures(psf_and_otf({"a": torch.from_numpy(psf)}, voxel_size_um=VOXEL_UM))
        along_x = np.abs(np.fft.fft(psf.sum(axis=(0, 1))))[4] / psf.sum()
        assert at(transfer, 0.0, 4 / 4.2) == pytest.approx(along_x)


def test_cut_offs_are_marked_on_both_sides_of_their_own_otf():
    psfs = {"narrow": gaussian((0.5, 0.2)), "wide": gaussian((0.8, 0.4))}
    panels = pictures(psf_and_otf(psfs, voxel_size_um=VOXEL_UM, cutoffs_per_um={"wide": 2.5}))
    assert [[line.get_xdata()[0] for line in axes.lines] for axes in panels] == [[], [], [], [-2.5, 2.5]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"psfs": {}}, "psfs is empty"),
        ({"psfs": {"flat": np.ones((5, 5))}}, r"flat has shape \(5, 5\), but must have 3 axes"),
        ({"psfs": {"dark": np.zeros((3, 3, 3))}}, "dark has no light in its central section"),
        ({"psfs": {"nan": np.full((3, 3, 3), np.nan)}}, "nan has 27 values that are NaN"),
        ({"voxel_size_um": (0.1, 0.1)}, r"voxel_size_um is \(0.1, 0.1\), but must have 3 numbers"),
        ({"voxel_size_um": (0.1, 0.1, 0.0)}, "voxel_size_um is 0"),
        ({"cutoffs_per_um": {"a": 0.0}}, "cutoffs_per_um is 0"),
        ({"cutoffs_per_um": {"b": 5.0}}, r"cutoffs_per_um name \['b'\], but the PSFs are \['a'\]"),
        ({"reach_um": (-1.0, 1.0)}, "reach_um is -1"),
    ],
)
def test_bad_input_gets_one_clear_error(arguments, message):
    good = {"psfs": {"a": gaussian((0.5, 0.2))}, "voxel_size_um": VOXEL_UM}
    with pytest.raises(ValueError, match=message):
        psf_and_otf(**(good | arguments))
