"""Superplots: every cell, and above the cells the means of the replicates, which are what counts.

S. J. Lord, K. B. Velle, R. D. Mullins, L. K. Fritz-Laylin, "SuperPlots: communicating reproducibility and variability
in cell biology", Journal of Cell Biology 219 (2020) e202001064.
"""

from typing import TYPE_CHECKING, Any, Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.plotting._figure import new_axes, own_figure, to_finite_numpy
from course_lib.plotting.style import COLORS, MARKERS, STYLE

if TYPE_CHECKING:
    from course_lib.quantification import Comparison

__all__ = ["superplot"]

HALF_WIDTH = 0.32
LEVELS = 30
"""Of the value, within which cells are set side by side."""
CELL_AREA, MEAN_AREA = 10.0, 75.0


class Columns(Protocol):
    """A table, of which columns are taken by name: a pandas.DataFrame, or a dict of sequences."""

    def __getitem__(self, name: str, /) -> Any:
        """Return a column."""


@matplotlib.rc_context(STYLE)
def superplot(
    table: Columns,
    *,
    value: str,
    condition: str,
    replicate: str,
    y_label: str,
    comparison: "Comparison | None" = None,
    title: str = "",
    axes: Axes | None = None,
) -> Figure:
    """Draw each cell as a small mark, the mean of each replicate as a large one, and the mean of these with its error.

    Colour and shape tell the replicate. Where a replicate occurs in several conditions, a line joins its means.

    Parameters
    ----------
    table : pandas.DataFrame or mapping
        One row a cell.
    value, condition, replicate : str
        Columns: what is shown, in which condition, of which dish, animal or day.
    y_label : str
        What the value is, with its unit.
    comparison : Comparison, optional
        Of `course_lib.quantification.compare`: its result is written above the plot.
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
        If there is no cell, the columns differ in length, or a value is NaN or infinite.

    Examples
    --------
    >>> table = {"area": [1.0, 2.0, 3.0, 5.0], "drug": ["no", "no", "yes", "yes"], "dish": ["a", "b", "c", "d"]}
    >>> figure = superplot(table, value="area", condition="drug", replicate="dish", y_label="area (µm²)")
    >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
    ['no', 'yes']
    """
    values = to_finite_numpy(np.asarray(table[value]), name=f"column {value!r}").astype(float)
    group, dish = (np.asarray(table[name]).astype(str) for name in (condition, replicate))
    if not len(values) == len(group) == len(dish):
        raise ValueError(
            f"columns {value!r}, {condition!r} and {replicate!r} have {len(values)}, {len(group)} and {len(dish)} "
            f"rows, but must have the same number."
        )
    names, styles = list(dict.fromkeys(group.tolist())), _styles(group, dish)
    axes = axes or new_axes(width_in=1.6 + 1.5 * len(names), height_in=3.8)
    places: dict[str, list[tuple[float, float]]] = {}
    for place, name in enumerate(names):
        inside = group == name
        x = place + _side_by_side(values[inside], low=float(values.min()), high=float(values.max()))
        dishes = list(dict.fromkeys(dish[inside].tolist()))
        means = [float(values[inside & (dish == one)].mean()) for one in dishes]
        middle = place + np.linspace(-0.15, 0.15, len(dishes)) if len(dishes) > 1 else [float(place)]
        for one, mean, at in zip(dishes, means, middle, strict=True):
            color, marker = styles[name, one]
            here = dish[inside] == one
            axes.scatter(
                x[here], values[inside][here], s=CELL_AREA, color=color, marker=marker, alpha=0.35, linewidths=0
            )
            axes.scatter(
                [at], [mean], s=MEAN_AREA, color=color, marker=marker, edgecolors="white", linewidths=1, zorder=4
            )
            places.setdefault(one, []).append((float(at), mean))
        _mean_and_error(axes, place, means)
    for points in places.values():
        if len(points) > 1:
            axes.plot(*zip(*points, strict=True), color="0.45", linewidth=0.9, linestyle="-", marker="", zorder=3)
    axes.set(xticks=range(len(names)), xticklabels=names, xlim=(-0.6, len(names) - 0.4), ylabel=y_label)
    axes.grid(visible=False, axis="x")
    axes.set_title("\n".join(text for text in (title, _result(comparison)) if text), fontsize=9)
    return own_figure(axes)


def _styles(group: np.ndarray, dish: np.ndarray) -> dict[tuple[str, str], tuple[str, str]]:
    """Return colour and marker of each replicate: by its name where conditions share names, else by its place."""
    pairs = list(dict.fromkeys(zip(group.tolist(), dish.tolist(), strict=True)))
    names = list(dict.fromkeys(dish.tolist()))
    shared = len(names) < len(pairs)
    styles = {}
    for name, one in pairs:
        inside = [other for condition, other in pairs if condition == name]
        number = names.index(one) if shared else inside.index(one)
        styles[name, one] = COLORS[number % len(COLORS)], MARKERS[(number + number // len(COLORS)) % len(MARKERS)]
    return styles


def _side_by_side(values: np.ndarray, *, low: float, high: float) -> np.ndarray:
    """Return an offset for each value: about equal ones are spread around 0, the wider the more there are."""
    level = np.floor(LEVELS * (values - low) / max(high - low, 1e-300)).astype(int)
    counts = np.bincount(level)
    offsets = np.zeros(len(values))
    for number in np.flatnonzero(counts):
        members = np.flatnonzero(level == number)
        half = HALF_WIDTH * counts[number] / counts.max()
        offsets[members] = np.linspace(-half, half, len(members)) if len(members) > 1 else 0.0
    return offsets


def _mean_and_error(axes: Axes, place: int, means: list[float]) -> None:
    """Draw the mean of the replicates as a line, and its standard error, where there are two, as a bar."""
    mean = float(np.mean(means))
    axes.hlines(mean, place - 0.24, place + 0.24, color="0.1", linewidth=1.6, zorder=5)
    if len(means) > 1:
        error = float(np.std(means, ddof=1)) / len(means) ** 0.5
        axes.vlines(place, mean - error, mean + error, color="0.1", linewidth=1.6, zorder=5)


def _result(comparison: "Comparison | None") -> str:
    return str(comparison).replace(", g =", "\ng =") if comparison else ""
