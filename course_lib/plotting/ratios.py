"""Ratios of a benchmark, each with its range over the rounds, on an axis of ratios."""

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from course_lib.plotting._figure import new_axes, own_figure, to_finite_numpy
from course_lib.plotting.style import COLORS, PAGE_WIDTH_IN, STYLE

__all__ = ["ratios"]

LINE_HEIGHT_IN = 0.27
ROOM_FOR_NUMBERS = 0.17
"""Share of the width, in logarithms, that stays free beyond the outermost ratios."""

LOOKS = {
    "above 1 in every round": ("o", COLORS[2], COLORS[2]),
    "1 lies in the range": ("s", COLORS[0], "white"),
    "below 1 in every round": ("D", COLORS[3], COLORS[3]),
}
"""Marker, colour and filling."""


def _side(least: float, most: float) -> str:
    """Say on which side of 1 a range lies; one that touches 1 is on neither side.

    Examples
    --------
    >>> _side(1.2, 3.0), _side(1.0, 3.0), _side(0.5, 0.9)
    ('above 1 in every round', '1 lies in the range', 'below 1 in every round')
    """
    if least > 1:
        return "above 1 in every round"
    return "below 1 in every round" if most < 1 else "1 lies in the range"


def _checked(ratio: Sequence[float], *, name: str) -> tuple[float, float, float]:
    values = to_finite_numpy([float(value) for value in ratio], name=f"ratio {name!r}")
    if len(values) != 3 or not 0 < values[0] <= values[1] <= values[2]:
        raise ValueError(f"ratio {name!r} is {values.tolist()}, but must be [least, median, most], all above 0.")
    return float(values[0]), float(values[1]), float(values[2])


@matplotlib.rc_context(STYLE)
def ratios(
    groups: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    x_label: str,
    title: str = "",
    axes: Axes | None = None,
) -> Figure:
    """Draw each ratio as a point at its median and a bar from its least to its most, on a logarithmic axis.

    On that axis twice and half are equally far from 1, which is marked. Marker and colour tell whether a whole range
    lies above 1 or below it, or 1 lies in the range; the number is the median.

    Parameters
    ----------
    groups : mapping from str to mapping from str to (float, float, float)
        Under the heading of each group the ratios by name: least, median and most, all above 0.
    x_label : str
        What is divided by what: ``"time of the peer / time of course_lib"``.
    title : str
        Heading.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure, as high as it needs to be.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no ratio, or one of them is not three finite numbers above 0 in rising order.

    Examples
    --------
    >>> figure = ratios({"PSF": {"slow peer": (8.0, 9.0, 12.0)}}, x_label="peer's time / ours")
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['PSF', 'slow peer']
    """
    if not any(groups.values()):
        raise ValueError("groups holds no ratio, but must hold one: pass {'PSF': {'peer': (least, median, most)}}.")
    checked = {
        heading: {name: _checked(ratio, name=name) for name, ratio in members.items()}
        for heading, members in groups.items()
    }
    names = [name for heading, members in checked.items() for name in (heading, *members)]
    axes = axes or new_axes(width_in=PAGE_WIDTH_IN, height_in=1.1 + LINE_HEIGHT_IN * len(names))

    headings, named, line = [], set(), 0
    for members in checked.values():
        headings.append(line)
        for place, (least, median, most) in enumerate(members.values(), start=line + 1):
            side = _side(least, most)
            label = side if side not in named else "_again"
            named.add(side)
            marker, color, filling = LOOKS[side]
            (point, *_) = axes.errorbar(
                [median], [place], xerr=[[median - least], [most - median]], label=label, color=color, capsize=3
            )
            point.set(marker=marker, markersize=6, markerfacecolor=filling, linestyle="none")
            end, shift, side_of_text = (least, -6, "right") if most < 1 else (most, 6, "left")
            axes.annotate(
                f"{median:.3g}×",
                (end, place),
                xytext=(shift, 0),
                textcoords="offset points",
                va="center",
                ha=side_of_text,
                fontsize=9,
            )
        line += 1 + len(members)

    every = [value for members in checked.values() for ratio in members.values() for value in ratio]
    axes.set_xscale("log")
    least, most = min(1.0, *every), max(1.0, *every)
    room = max(2.0, (most / least) ** ROOM_FOR_NUMBERS)
    axes.set_xlim(least / room, most * room)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if most > 30 * least else (1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.axvspan(axes.get_xlim()[0], 1, color="0.95", zorder=0)
    axes.axvline(1, color="0.15", linewidth=1.2, linestyle="-", marker="", zorder=1)
    axes.set(xlabel=x_label, yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    for place, text in enumerate(axes.get_yticklabels()):
        text.set_fontweight("bold" if place in headings else "normal")
    for place in headings[1:]:
        axes.axhline(place - 0.5, color="0.85", linewidth=0.7, linestyle="-", marker="", zorder=0)
    axes.set_title(title, pad=24 if title else None)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=9, borderaxespad=0.2, handletextpad=0.3)
    return own_figure(axes)
