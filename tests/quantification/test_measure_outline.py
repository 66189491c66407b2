"""Perimeter, surface, circularity, sphericity and solidity."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, ndimage, optimize, special
from scipy.spatial.transform import Rotation
from skimage.measure import regionprops_table
from skimage.morphology import convex_hull_image

from course_lib.quantification import measure
from course_lib.quantification._envelope import upper_envelope, upper_envelope_at

IN_PLANE = hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=16), elements=st.integers(0, 3))
OUTLINE = ("outline",)


def outline(labels: np.ndarray, *size_um: float) -> dict[str, float]:
    """Return the features of the only object."""
    (row,) = measure(labels.astype(int), voxel_size_um=size_um, features=OUTLINE).to_dict("records")
    return row


def ellipsoid(semi_axes_um: tuple[float, ...], size_um: tuple[float, ...], *, seed: int) -> np.ndarray:
    """Draw an ellipsoid, or in the plane an ellipse, turned and shifted by chance."""
    rng = np.random.default_rng(seed)
    reach = [int(max(semi_axes_um) / size) + 2 for size in size_um]
    at = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1)
    at = (at - rng.uniform(-0.5, 0.5, len(size_um))) * size_um
    angle = rng.uniform(0, np.pi)
    turned = at @ (
        Rotation.random(random_state=seed).as_matrix()
        if len(size_um) == 3
        else np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    )
    return ((turned / semi_axes_um) ** 2).sum(axis=-1) <= 1


def surface_of_ellipsoid(a: float, b: float, c: float) -> float:
    def density(polar: float, azimuth: float) -> float:
        s = np.sin(polar)
        return s * np.sqrt(
            (b * c * s * np.cos(azimuth)) ** 2 + (a * c * s * np.sin(azimuth)) ** 2 + (a * b * np.cos(polar)) ** 2
        )

    return integrate.dblquad(density, 0, 2 * np.pi, 0, np.pi)[0]


@settings(max_examples=60, deadline=None)
@given(IN_PLANE)
def test_the_plane_equals_scikit_image_whatever_the_labels(labels: np.ndarray) -> None:
    table = measure(labels, voxel_size_um=(0.4, 0.4), features=OUTLINE)
    if len(table):
        names = {"perimeter": "perimeter_um", "perimeter_crofton": "perimeter_crofton_um", "solidity": "solidity"}
        expected = regionprops_table(labels, properties=list(names), spacing=(0.4, 0.4))
        for theirs, ours in names.items():
            np.testing.assert_allclose(table[ours], expected[theirs], rtol=1e-9, atol=1e-9, err_msg=ours)


@pytest.mark.parametrize("smoothing", [1, 3, 6])
def test_cells_of_all_sizes_equal_scikit_image(smoothing: float) -> None:
    smooth = ndimage.gaussian_filter(np.random.default_rng(smoothing).normal(size=(200, 240)), smoothing)
    labels, count = ndimage.label(smooth > 0.4 * smooth.std())
    assert count > 20
    table = measure(labels, voxel_size_um=(1, 1), features=OUTLINE)
    expected = regionprops_table(labels, properties=["perimeter", "perimeter_crofton", "solidity"])
    np.testing.assert_allclose(table["perimeter_um"], expected["perimeter"], rtol=1e-9)
    np.testing.assert_allclose(table["perimeter_crofton_um"], expected["perimeter_crofton"], rtol=1e-9)
    np.testing.assert_allclose(table["solidity"], expected["solidity"], rtol=1e-12)


def test_solidity_of_stacks_equals_scikit_image() -> None:
    smooth = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(20, 40, 50)), 2)
    labels, _ = ndimage.label(smooth > 0.7 * smooth.std())
    table = measure(labels, voxel_size_um=(3, 1, 1), features=OUTLINE).set_index("ID")
    compared = 0
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[box] == number
        if min(inside.shape) > 1:  # its first hull, of centres, has no volume otherwise
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                hull = convex_hull_image(inside).sum()
            if hull:
                assert table.loc[number, "solidity"] == pytest.approx(inside.sum() / hull, rel=1e-12)
                compared += 1
    assert compared > 5


def test_hulls_of_small_bodies_equal_a_test_of_each_voxel() -> None:
    rng = np.random.default_rng(0)
    octahedron = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    for shape in ((1, 4, 4), (3, 3, 3), (4, 1, 5), (2, 4, 3)) * 2:
        inside = rng.random(shape) < 0.4
        inside[(0,) * 3] = inside[(-1,) * 3] = True
        corners = (np.argwhere(inside)[:, None] + octahedron).reshape(-1, 3)
        mixture = np.vstack([corners.T, np.ones(len(corners))])
        in_hull = [
            optimize.linprog(np.zeros(len(corners)), A_eq=mixture, b_eq=[*at, 1]).status == 0
            for at in np.ndindex(inside.shape)
        ]
        assert outline(inside, 1, 1, 1)["solidity"] == pytest.approx(inside.sum() / sum(in_hull))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(-8, 8), min_size=2, max_size=12), min_size=1, max_size=5))
def test_the_envelope_is_the_least_concave_function_above_all_points(groups: list[list[int]]) -> None:
    group = np.repeat(np.arange(len(groups)), [len(heights) for heights in groups])
    position = np.concatenate([np.arange(len(heights)) for heights in groups])
    height = np.concatenate([np.array(heights) for heights in groups])
    inner = np.concatenate([np.arange(len(heights)) < len(heights) - 1 for heights in groups])
    found = upper_envelope_at(group, position, height, at_group=group[inner], at_position=position[inner], per=1)
    corners = set(upper_envelope(group, position, height).tolist())
    expected = []
    begin = 0
    for heights in groups:
        n = len(heights)
        assert {begin, begin + n - 1} <= corners
        mine = np.array(sorted(corners & set(range(begin, begin + n))))
        assert (np.diff(np.diff(height[mine]) / np.diff(position[mine])) < 0).all()
        for at in range(n - 1):
            chords = [
                (heights[a] * (b - at) + heights[b] * (at - a)) / (b - a)
                for a, b in itertools.product(range(at + 1), range(at + 1, n))
            ]
            expected.append(np.floor(max(chords) + 1e-12))
        begin += n
    assert found.tolist() == expected


@pytest.mark.parametrize("size_um", [(1.0, 1.0), (2.0, 1.0), (1.0, 3.0)])
@pytest.mark.parametrize("radius", [6.0, 15.0, 40.0])
def test_the_outline_of_a_disc_is_right_on_average(size_um: tuple[float, float], radius: float) -> None:
    discs = [outline(ellipsoid((radius, radius), size_um, seed=seed), *size_um) for seed in range(40)]
    for name, truth in (("perimeter_crofton_um", 2 * np.pi * radius), ("circularity", 1)):
        values = np.array([disc[name] for disc in discs]) / truth
        assert values.mean() == pytest.approx(1, abs=0.01 + 3 * values.std() / len(values) ** 0.5)
        assert values.std() < 0.5 * max(size_um) / radius


@pytest.mark.parametrize("size_um", [(1.0, 1.0), (2.0, 1.0)])
def test_the_outline_of_an_ellipse_is_right_on_average(size_um: tuple[float, float]) -> None:
    truth = 4 * 30 * special.ellipe(1 - (12 / 30) ** 2)
    ellipses = [outline(ellipsoid((30, 12), size_um, seed=seed), *size_um) for seed in range(60)]
    lengths = np.array([ellipse["perimeter_crofton_um"] for ellipse in ellipses])
    assert lengths.std() < 0.03 * truth
    assert lengths.mean() == pytest.approx(truth, abs=3 * lengths.std() / len(lengths) ** 0.5)
    circularity = np.array([ellipse["circularity"] for ellipse in ellipses])
    chance = 3 * circularity.std() / len(circularity) ** 0.5
    assert circularity.mean() == pytest.approx(4 * np.pi * (np.pi * 30 * 12) / truth**2, abs=chance + 0.003)


def test_the_two_perimeters_differ_as_the_text_says() -> None:
    centred, crossed = {}, {}
    for radius in (5.0, 10.0, 40.0):
        discs = [outline(ellipsoid((radius, radius), (1.0, 1.0), seed=seed), 1.0, 1.0) for seed in range(60)]
        area = np.pi * radius**2
        centred[radius] = np.mean([disc["perimeter_um"] for disc in discs]) / (2 * np.pi * radius)
        crossed[radius] = np.mean([4 * np.pi * area / disc["perimeter_um"] ** 2 for disc in discs])
    assert centred[5.0] == pytest.approx(0.965, abs=0.005)
    assert centred[10.0] == pytest.approx(1.01, abs=0.005)
    assert centred[40.0] == pytest.approx(1.043, abs=0.005)
    assert crossed[5.0] == pytest.approx(1.08, abs=0.02)
    assert crossed[40.0] == pytest.approx(0.92, abs=0.01)


@pytest.mark.parametrize("size_um", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (3.0, 1.0, 1.0)])
@pytest.mark.parametrize("semi_axes_um", [(12.0, 12.0, 12.0), (20.0, 12.0, 12.0), (8.0, 16.0, 12.0)])
def test_surfaces_are_right_on_average_with_elongated_voxels(
    semi_axes_um: tuple[float, ...], size_um: tuple[float, ...]
) -> None:
    truth = surface_of_ellipsoid(*semi_axes_um)
    bodies = [outline(ellipsoid(semi_axes_um, size_um, seed=seed), *size_um) for seed in range(12)]
    surface = np.array([body["surface_um2"] for body in bodies])
    sphericity = np.array([body["sphericity"] for body in bodies])
    volume = 4 / 3 * np.pi * np.prod(semi_axes_um)
    chance = 3 * (surface / truth).std() / len(bodies) ** 0.5
    assert chance < 0.03
    assert surface.mean() == pytest.approx(truth, rel=chance + 0.005)
    assert sphericity.mean() == pytest.approx(np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / truth, rel=chance + 0.005)


def test_bars_steps_and_rings_have_the_lengths_of_paper_and_pencil() -> None:
    labels = np.zeros((40, 40), int)
    labels[2:6, 2:9] = 1  # outline through centres: 2 × (3 along y + 6 along x)
    labels[12:23, 2:13] = 2
    labels[15:20, 5:10] = 0  # a ring three pixels wide: a square outside, one with cut corners around the hole
    labels[np.arange(25, 35), np.arange(25, 35)] = 3
    labels[30:32, 2:9], labels[20:27, 30:32] = 4, 5  # two pixels wide: none has all its neighbours
    table = measure(labels, voxel_size_um=(1.0, 3.0), features=OUTLINE)
    assert table["perimeter_um"][0] == pytest.approx(2 * 3 * 1 + 2 * 6 * 3)
    assert table["perimeter_um"][1] == pytest.approx(2 * (10 + 30) + 2 * (4 + 12) + 4 * 10**0.5)
    assert table["perimeter_um"][2] == pytest.approx(8 * 10**0.5)  # its ends add nothing
    assert table["perimeter_um"].tolist()[3:] == pytest.approx([2 * 1 + 2 * 6 * 3, 2 * 6 * 1 + 2 * 3])


def test_solidity_of_bars_is_one_whatever_their_direction_and_of_an_l_what_is_counted() -> None:
    labels = np.zeros((30, 30), int)
    labels[2:5, 2:20] = 1
    labels[np.arange(8, 20), np.arange(8, 20)] = 2
    labels[8:18, 24], labels[17, 24:29] = 3, 3
    table = measure(labels, voxel_size_um=(1, 1), features=OUTLINE)
    assert table["solidity"].tolist()[:2] == [1, 1]
    corner = labels[8:18, 24:29] == 3
    assert table["solidity"][2] == pytest.approx(corner.sum() / convex_hull_image(corner).sum())


def test_an_object_in_two_parts_has_the_hull_of_both() -> None:
    labels = np.zeros((3, 21), int)
    labels[:, :3] = labels[:, -3:] = 4
    assert outline(labels, 1, 1)["solidity"] == pytest.approx(18 / 63)
    stack = np.zeros((9, 3, 3), int)
    stack[0] = stack[8] = 4
    assert outline(stack, 1, 1, 1)["solidity"] == pytest.approx(18 / 81)


def test_the_cut_at_the_image_border_belongs_to_the_surface() -> None:
    whole = np.zeros((12, 12, 12), int)
    whole[2:10, 2:10, 2:10] = 1
    for cut in (whole[2:10, 2:10, 2:10], whole[2:], whole[:, :10]):
        assert outline(cut, 0.5, 0.5, 0.5) == outline(whole, 0.5, 0.5, 0.5) | {
            name: value for name, value in outline(cut, 0.5, 0.5, 0.5).items() if name.endswith("_um")
        }


@pytest.mark.parametrize(("axes", "name"), [(2, "circularity"), (3, "sphericity")])
def test_debris_of_a_few_pixels_is_not_called_round(axes: int, name: str) -> None:
    for pixels, known in ((1, False), (4, False), (9, False), (10, True), (16, True)):
        labels = np.zeros((24,) * axes, int)
        labels[(3,) * (axes - 1)][3 : 3 + pixels] = 1
        found = outline(labels, *(1.0,) * axes)
        assert np.isfinite(found[name]) == known
        assert np.isfinite(found["solidity"])
    square = np.pad(np.ones((3,) * axes, int), 2)
    assert np.isnan(outline(square, *(1.0,) * axes)[name]) == (axes == 2)


def test_the_circularity_of_small_discs_scatters_as_the_text_says() -> None:
    radii = np.random.default_rng(0).uniform(1.9, 4, 200)
    discs = [outline(ellipsoid((radius, radius), (1.0, 1.0), seed=n), 1, 1) for n, radius in enumerate(radii)]
    found = np.array([disc["circularity"] for disc in discs])
    assert 0.87 < np.nanmin(found) < 0.93
    assert 1.05 < np.nanmax(found) < 1.13


def test_large_objects_are_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    body = ellipsoid((6.0, 9.0, 7.0), (1.0, 1.0, 1.0), seed=3)
    body[:, :8] &= body[:, :8] & (np.indices(body[:, :8].shape).sum(axis=0) % 3 > 0)
    at_once = outline(body, 1, 1, 1)["solidity"]
    monkeypatch.setattr("course_lib.quantification._solidity.MOST_AT_ONCE", 50)
    assert outline(body, 1, 1, 1)["solidity"] == at_once
