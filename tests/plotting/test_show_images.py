import io

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from course_lib.plotting import show_images

images = np.arange(3 * 20 * 30).reshape(3, 20, 30)


def panels(figure):
    return [axes for axes in figure.axes if axes.images]


def colour_bar(figure):
    (bar,) = (axes for axes in figure.axes if not axes.images)
    return bar


def test_all_images_share_one_labelled_range():
    figure = show_images(images, titles=["a", "b", "c"], unit="photons")
    assert [axes.get_title() for axes in panels(figure)] == ["a", "b", "c"]
    assert {axes.images[0].get_clim() for axes in panels(figure)} == {(0, 1799)}
    for axes, image in zip(panels(figure), images, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
    assert colour_bar(figure).get_ylabel() == "photons"


def test_without_pixel_size_the_axes_count_pixels():
    (axes,) = panels(show_images(images[0]))
    assert axes.get_xlabel() == "pixels"
    assert len(axes.get_xticks()) > 0
    assert not axes.lines


def test_with_pixel_size_there_is_a_scale_bar_and_no_ticks():
    (axes,) = panels(show_images(images[0], pixel_size_um=0.5, scale_bar_um=4))
    left, right = axes.lines[0].get_xdata()
    assert right - left == pytest.approx(8)
    assert axes.texts[0].get_text() == "4 µm"
    assert len(axes.get_xticks()) == 0


def test_sections_along_z_have_the_right_shape_and_bar():
    (axes,) = panels(show_images(images[0], pixel_size_um=(0.2, 0.1)))
    assert axes.get_aspect() == pytest.approx(2)
    left, right = axes.lines[0].get_xdata()
    assert right - left == pytest.approx(5)
    assert axes.texts[0].get_text() == "500 nm"


@pytest.mark.parametrize(
    ("count", "columns", "expected"),
    [(1, None, (1, 1)), (4, None, (1, 4)), (5, None, (2, 3)), (9, None, (3, 3)), (3, 2, (2, 2)), (2, 5, (1, 5))],
)
def test_images_fill_rows_evenly(count, columns, expected):
    figure = show_images([images[0]] * count, columns=columns)
    assert len(panels(figure)) == count
    assert panels(figure)[0].get_subplotspec().get_gridspec().get_geometry() == expected


@pytest.mark.parametrize(
    ("value_range", "extend"), [((0, 1799), "neither"), ((1, 1799), "min"), ((0, 9), "max"), ((1, 9), "both")]
)
def test_the_colour_bar_tells_of_values_beyond_the_range(value_range, extend):
    figure = show_images(images, value_range=value_range)
    assert panels(figure)[0].images[0].get_clim() == value_range
    assert panels(figure)[-1].images[0].colorbar.extend == extend


@pytest.mark.parametrize(("below_color", "drawn"), [("orange", to_rgba("orange")), (None, (0, 0, 0, 1))])
def test_what_lies_below_the_range_stands_out_if_asked(below_color, drawn):
    (axes,) = panels(show_images(images[0], value_range=(5, 500), below_color=below_color))
    picture = axes.images[0]
    colors = picture.to_rgba(picture.get_array())
    assert (colors[images[0] < 5] == drawn).all()
    assert not (colors[images[0] > 10] == drawn).all(axis=-1).any()
    assert (colors[images[0] >= 500] == 1).all()


@pytest.mark.parametrize(
    "image",
    [
        torch.ones(8, 8, requires_grad=True),
        torch.zeros(8, 8, dtype=torch.uint8),
        np.ones((8, 8), dtype=bool),
        np.full((8, 8), 65535, dtype=np.uint16),
        np.zeros((1, 1)),
    ],
)
def test_every_kind_of_image_is_drawn(image):
    figure = show_images([image, image])
    figure.savefig(io.BytesIO())
    assert figure.axes[0].images[0].get_array().shape == image.shape


def test_figures_fit_the_page():
    for count in (1, 2, 4, 7):
        assert show_images([images[0]] * count).get_figwidth() <= 7.2


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "images is empty, but must hold at least one image"),
        (np.zeros((0, 4)), r"image 0 has shape \(0, 4\), without any element"),
        ([np.zeros((2, 3, 4))], r"image 0 has shape \(2, 3, 4\), but must have 2 axes \(Y, X\).*one plane"),
        (np.zeros(4), r"image 0 has shape \(\), but must have 2 axes"),
        ([np.ones((4, 4)), np.array([[1, np.nan]])], "image 1 has 1 values that are NaN or infinite"),
    ],
)
def test_bad_images_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        show_images(bad)


def test_complex_images_are_refused():
    with pytest.raises(TypeError, match="image 0 has dtype complex64, but must be real numbers"):
        show_images(torch.ones(4, 4, dtype=torch.complex64))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"titles": ["one"]}, "there are 1 titles for 3 images: pass one for each"),
        ({"columns": 0}, "columns is 0, but must be at least 1"),
        ({"color_map": "grey-ish"}, "color_map 'grey-ish' is not one of matplotlib's: pass 'gray'"),
        ({"below_color": "orange-ish"}, "below_color 'orange-ish' is no colour of matplotlib: pass 'orange'"),
        ({"value_range": (3, 3)}, r"value_range is \(3, 3\), but must be two finite numbers, the lower first"),
        ({"value_range": (0, np.nan)}, r"value_range is \(0, nan\), but must be two finite"),
        ({"pixel_size_um": 0}, "pixel_size_um is 0 µm, but must be from"),
        ({"pixel_size_um": (0.1, -1)}, "pixel_size_um is -1 µm, but must be from"),
        ({"pixel_size_um": 0.1, "scale_bar_um": 50}, "length_um is 50 µm, but the image is only 3 µm wide"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        show_images(images, **arguments)
