"""Errors of iterative methods against their iterations, next to methods that do not iterate."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.plotting._figure import Data, new_axes, own_figure, to_finite_numpy
from course_lib.plotting.style import COLORS, PAGE_WIDTH_IN, STYLE

__all__ = ["convergence"]

LEVEL_COLOR = "0.45"
LINE_OF_TEXT = 0.055
"""Height of a line of text as a share of the axes: names of levels are drawn at least so far apart."""


def _spread(heights: np.ndarray, *, apart: float) -> np.ndarray:
    """Move rising heights up as far as needed to be `apart`.

    Examples
    --------
    >>> _spread(np.array([0.1, 0.12, 0.5]), apart=0.05)
    array([0.1 , 0.15, 0.5 ])
    """
    moved = heights.copy()
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + apart)
    return moved


def _errors(data: Data, *, name: str) -> np.ndarray:
    array = to_finite_numpy(data, name=f"errors of {name}")
    if array.ndim != 1 or array.min() <= 0:
        raise ValueError(
            f"errors of {name} have shape {array.shape} and go down to {array.min():g}, but must be one number above "
            f"0 for each iteration."
        )
    return array


@matplotlib.rc_context(STYLE)
def convergence(
    errors: Mapping[str, Data],
    *,
    levels: Mapping[str, float] | None = None,
    x_label: str = "iterations",
    y_label: str,
    y_range: tuple[float, float] | None = None,
    title: str = "",
    axes: Axes | None = None,
) -> Figure:
    """Draw the error after 1, 2, 3 … iterations, and mark the least of each method.

    Parameters
    ----------
    errors : mapping from str to tensor or array of shape (iterations,)
        Error of each iterative method after 1, 2, 3 … iterations, above 0; at most as many methods as the course has
        colours.
    levels : mapping from str to float, optional
        Errors of what does not iterate: horizontal lines, named at the right. Those beyond `y_range` are named with
        their value at its edge.
    x_label, y_label : str
        What is drawn.
    y_range : (float, float), optional
        Errors at the lower and the upper edge.
    title : str
        Heading.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no curve or one too many, or an error is not finite and above 0.

    Examples
    --------
    >>> figure = convergence({"method": [0.5, 0.3, 0.4]}, levels={"image": 0.6}, y_label="error")
    >>> figure.axes[0].get_legend().get_texts()[0].get_text()
    'method: 0.300 after 2'
    """
    if not 0 < len(errors) <= len(COLORS):
        raise ValueError(
            f"there are {len(errors)} curves, but must be 1 to {len(COLORS)}: split them into two figures."
        )
    arrays = {name: _errors(data, name=name) for name, data in errors.items()}
    flat = {name: float(_errors([level], name=name)[0]) for name, level in (levels or {}).items()}
    axes = axes or new_axes(width_in=PAGE_WIDTH_IN, height_in=4.2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for name, array in arrays.items():
        best = int(array.argmin())
        axes.plot(
            np.arange(1, len(array) + 1),
            array,
            label=f"{name}: {array[best]:.3f} after {best + 1}",
            markevery=[best],
            markersize=7,
        )
    if y_range is not None:
        axes.set_ylim(*y_range)
    _draw_levels(axes, flat)
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 3, 5)))
    axes.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set(xlabel=x_label, ylabel=y_label, title=title)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return own_figure(axes)


def _draw_levels(axes: Axes, levels: Mapping[str, float]) -> None:
    """Draw a line at each level inside the axes, and all their names at the right."""
    low, high = axes.get_ylim()
    ordered = sorted(levels.items(), key=lambda item: item[1])
    for _, level in ordered:
        if low <= level <= high:
            axes.axhline(level, color=LEVEL_COLOR, linewidth=1, zorder=1)
    shares = np.array([np.log(level / low) / np.log(high / low) for _, level in ordered]).clip(0, 1)
    for (name, level), height in zip(ordered, _spread(shares, apart=LINE_OF_TEXT), strict=True):
        beyond = "" if low <= level <= high else "↑ " if level > high else "↓ "
        axes.annotate(
            f"{beyond}{name} {_short(level)}",
            (1.01, height),
            xycoords="axes fraction",
            va="center",
            fontsize="small",
            color="0.25",
            annotation_clip=False,
        )


def _short(level: float) -> str:
    """Write three digits, and a power of ten where there is one."""
    digits, _, power = f"{level:.3g}".partition("e")
    return f"{digits}·$10^{{{int(power)}}}$" if power else digits
