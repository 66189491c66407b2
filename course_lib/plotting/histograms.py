"""Histograms of pixel values, as steps."""

from collections.abc import Mapping
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.plotting._figure import Data, new_axes, own_figure, to_finite_numpy
from course_lib.plotting.curves import set_scales
from course_lib.plotting.style import LINE_STYLES, STYLE

__all__ = ["bin_edges", "histograms"]


def bin_edges(low: float, high: float, *, whole: bool, bins: int) -> np.ndarray:
    """Return edges of at most `bins` equal bins; for whole numbers each bin holds equally many of them.

    Bins of unequal numbers of whole values would show a comb that is not in the data.

    Examples
    --------
    >>> bin_edges(0, 5, whole=True, bins=3)
    array([-0.5,  1.5,  3.5,  5.5])
    """
    if whole:
        width = np.ceil((high - low + 1) / bins)
        return np.arange(low - 0.5, high + 0.5 + width, width)
    return np.histogram_bin_edges([low, high], bins=bins)


@matplotlib.rc_context(STYLE)
def histograms(
    series: Mapping[str, Data],
    *,
    x_label: str,
    bins: int = 80,
    log: Literal["", "x", "y", "xy"] = "",
    title: str = "",
    axes: Axes | None = None,
) -> Figure:
    """Draw how many pixels have which value, for one or several images, in common bins.

    Parameters
    ----------
    series : mapping from str to tensor or array of any shape
        Values under their names; a single histogram gets no legend.
    x_label : str
        What was counted, with its unit: ``"photons"``, ``"brightness (ADU)"``.
    bins : int
        Largest number of bins.
    log : {"", "x", "y", "xy"}
        Axes that are logarithmic.
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
        If there is nothing to draw, a value is not finite, or there are fewer bins than 1.

    Examples
    --------
    >>> counts = np.random.default_rng(0).poisson(3, (64, 64))
    >>> figure = histograms({"3 photons on average": counts}, x_label="photons")
    >>> figure.axes[0].get_ylabel()
    'pixels'
    """
    if not series:
        raise ValueError("series is empty, but must hold at least one histogram: pass {'name': values}.")
    if bins < 1:
        raise ValueError(f"bins is {bins}, but must be at least 1: it is the largest number of bins.")
    values = {name: to_finite_numpy(data, name=name).ravel() for name, data in series.items()}
    whole = all(bool((array == np.round(array)).all()) for array in values.values())
    low, high = (
        float(extreme) for extreme in (min(a.min() for a in values.values()), max(a.max() for a in values.values()))
    )
    edges = bin_edges(low, high, whole=whole, bins=bins)

    axes = axes or new_axes()
    set_scales(axes, log)
    for index, (name, array) in enumerate(values.items()):
        pixels, _ = np.histogram(array, edges)
        axes.stairs(pixels, edges, label=name, linewidth=1.8, linestyle=LINE_STYLES[index % len(LINE_STYLES)])
    axes.set(xlabel=x_label, ylabel="pixels", title=title)
    if len(values) > 1:
        axes.legend()
    return own_figure(axes)
