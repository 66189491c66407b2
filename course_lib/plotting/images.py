"""Images side by side, on one scale of brightness and with their size in µm."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure

from course_lib.plotting._figure import new_figure, to_finite_numpy
from course_lib.plotting.scale_bar import PIXEL_SIZE, scale_bar
from course_lib.plotting.style import PAGE_WIDTH_IN, STYLE

__all__ = ["show_images"]

Images: TypeAlias = np.ndarray | torch.Tensor | Sequence[np.ndarray | torch.Tensor]

PANEL_WIDTH_IN = 3.4
COLOUR_BAR_WIDTH_IN = 0.9
TITLE_HEIGHT_IN = 0.3


def _arrays(images: Images) -> list[np.ndarray]:
    if not isinstance(images, Sequence) and images.ndim == 2:
        images = images[None]
    arrays = [to_finite_numpy(image, name=f"image {index}") for index, image in enumerate(images)]
    if not arrays:
        raise ValueError("images is empty, but must hold at least one image: pass a list of images.")
    for index, array in enumerate(arrays):
        if array.ndim != 2:
            raise ValueError(
                f"image {index} has shape {array.shape}, but must have 2 axes (Y, X): "
                f"choose one plane, or take the maximum along the others."
            )
    return arrays


def _limits(arrays: list[np.ndarray], value_range: tuple[float, float] | None) -> tuple[float, float]:
    if value_range is None:
        return min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)
    low, high = value_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            f"value_range is ({low:g}, {high:g}), but must be two finite numbers, the lower first: "
            f"leave it out to take the range of the images."
        )
    return low, high


def _pixel_sizes(pixel_size_um: float | tuple[float, float] | None) -> tuple[float, float] | None:
    if pixel_size_um is None:
        return None
    down, right = pixel_size_um if isinstance(pixel_size_um, tuple) else (pixel_size_um, pixel_size_um)
    PIXEL_SIZE.check(down)
    PIXEL_SIZE.check(right)
    return down, right


def _beyond(arrays: list[np.ndarray], low: float, high: float) -> str:
    """Name the ends of the colour bar beyond which there are values, as matplotlib calls them."""
    below, above = any(a.min() < low for a in arrays), any(a.max() > high for a in arrays)
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]


def _balanced_columns(count: int) -> int:
    """Fill as few rows as hold 4 images each, as evenly as can be."""
    rows = math.ceil(count / 4)
    return math.ceil(count / rows)


def _grid(arrays: list[np.ndarray], columns: int, aspect: float, titled: bool) -> tuple[Figure, list[Axes]]:
    """Return a figure that fits the images, and one axes for each."""
    rows = math.ceil(len(arrays) / columns)
    panel_width = min(PANEL_WIDTH_IN, (PAGE_WIDTH_IN - COLOUR_BAR_WIDTH_IN) / columns)
    panel_height = panel_width * max(aspect * a.shape[0] / a.shape[1] for a in arrays)
    panel_height = min(panel_height, 2 * panel_width) + TITLE_HEIGHT_IN * titled
    figure = new_figure(columns * panel_width + COLOUR_BAR_WIDTH_IN, max(rows * panel_height, 1.2))
    figure.set_layout_engine("compressed")
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for unused in grid[len(arrays) :]:
        unused.remove()
    return figure, list(grid[: len(arrays)])


@matplotlib.rc_context(STYLE)
def show_images(
    images: Images,
    *,
    titles: Sequence[str] = (),
    pixel_size_um: float | tuple[float, float] | None = None,
    scale_bar_um: float | None = None,
    unit: str = "arbitrary units",
    value_range: tuple[float, float] | None = None,
    columns: int | None = None,
    color_map: str = "gray",
    below_color: str | None = None,
) -> Figure:
    """Show images in rows, all on one scale of brightness, with scale bars and one colour bar.

    Parameters
    ----------
    images : tensor or array of shape (Y, X) or (images, Y, X), or sequence of such of shape (Y, X)
        One image or several, which may differ in shape.
    titles : sequence of str
        One for each image, or none at all.
    pixel_size_um : float or (float, float), optional
        Size of a pixel, or its height and width, for example of a section along z. Without it the axes
        count pixels, and there is no scale bar.
    scale_bar_um : float, optional
        Length of the scale bar; by default a round one, about a fifth of the width.
    unit : str
        What the brightness is counted in, for the colour bar.
    value_range : (float, float), optional
        Brightness shown as the darkest and the brightest colour; by default the extremes of all images.
    columns : int, optional
        Images in a row; by default up to 4.
    color_map : str
        Name of a colour map of matplotlib; "gray" and "magma" read well in grey.
    below_color : str, optional
        Colour of what lies below `value_range`, to make it stand out; by default that of the darkest.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no image, one is not two-dimensional or not finite, or an argument does not fit.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).poisson(9, (2, 64, 64))
    >>> figure = show_images(noisy, titles=["first", "second"], pixel_size_um=0.1, unit="photons")
    >>> [axes.get_title() for axes in figure.axes[:2]]
    ['first', 'second']
    """
    arrays = _arrays(images)
    if titles and len(titles) != len(arrays):
        raise ValueError(f"there are {len(titles)} titles for {len(arrays)} images: pass one for each, or none.")
    if columns is not None and columns < 1:
        raise ValueError(f"columns is {columns}, but must be at least 1: it is the number of images in a row.")
    if color_map not in matplotlib.colormaps:
        raise ValueError(f"color_map {color_map!r} is not one of matplotlib's: pass 'gray', 'magma' or 'viridis'.")
    if below_color is not None and not is_color_like(below_color):
        raise ValueError(f"below_color {below_color!r} is no colour of matplotlib: pass 'orange' or '#d97b06'.")
    low, high = _limits(arrays, value_range)
    sizes = _pixel_sizes(pixel_size_um)
    down, right = sizes or (1.0, 1.0)
    colors = matplotlib.colormaps[color_map].with_extremes(under=below_color)
    figure, panels = _grid(arrays, columns or _balanced_columns(len(arrays)), down / right, bool(titles))
    for axes, array, title in zip(panels, arrays, titles or [""] * len(arrays), strict=True):
        picture = axes.imshow(array, cmap=colors, vmin=low, vmax=high, aspect=down / right)
        axes.set_title(title)
        axes.grid(visible=False)
        if sizes:
            axes.set(xticks=[], yticks=[])
            scale_bar(axes, pixel_size_um=right, length_um=scale_bar_um)
        else:
            axes.set_xlabel("pixels")
    figure.colorbar(picture, ax=panels, label=unit, extend=_beyond(arrays, low, high), pad=0.02)
    return figure
