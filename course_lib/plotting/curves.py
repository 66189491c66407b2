"""Curves with axes that say what and in which unit."""

from collections.abc import Collection, Mapping
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.plotting._figure import Data, new_axes, own_figure, to_finite_numpy
from course_lib.plotting.style import STYLE

__all__ = ["curves", "set_scales"]

MOST_MARKERS = 20
JAGGED = 0.25
"""Share of its inner points at which a noisy trace turns; a smooth curve turns at few."""


def set_scales(axes: Axes, log: str) -> None:
    """Make the axes named in `log` logarithmic.

    Examples
    --------
    >>> set_scales(new_axes(), "z")
    Traceback (most recent call last):
    ValueError: log is 'z', but must be '', 'x', 'y' or 'xy': the axes to make logarithmic.
    """
    if log not in ("", "x", "y", "xy"):
        raise ValueError(f"log is {log!r}, but must be '', 'x', 'y' or 'xy': the axes to make logarithmic.")
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")


def _one_dimensional(data: Data, *, name: str, length: int | None, log: bool) -> np.ndarray:
    array = to_finite_numpy(data, name=name)
    if array.ndim != 1 or (length is not None and len(array) != length):
        expected = f"({length},), that of x" if length is not None else "(n,)"
        raise ValueError(f"{name} has shape {array.shape}, but must have {expected}: pass one number a point.")
    if log and array.min() <= 0:
        raise ValueError(
            f"{name} goes down to {array.min():g}, but a logarithmic axis starts above 0: "
            f"leave such points out, or use a linear axis."
        )
    return array


def _is_jagged(array: np.ndarray) -> bool:
    """Tell whether a few markers on a curve would look like chosen data.

    Examples
    --------
    >>> phase = np.linspace(0, 12, 200)
    >>> noise = np.random.default_rng(0).normal(size=200)
    >>> _is_jagged(np.sin(phase)), _is_jagged(np.sin(phase) + noise)
    (False, True)
    """
    steps = np.diff(array)
    turns = (steps[1:] * steps[:-1] < 0).sum()
    return len(array) >= 2 * MOST_MARKERS and bool(turns > JAGGED * (len(array) - 2))


@matplotlib.rc_context(STYLE)
def curves(
    x: Data,
    series: Mapping[str, Data],
    *,
    x_label: str,
    y_label: str,
    log: Literal["", "x", "y", "xy"] = "",
    errors: Mapping[str, Data] | None = None,
    points: Collection[str] = (),
    title: str = "",
    axes: Axes | None = None,
) -> Figure:
    """Draw curves over a common x, each with its own colour, line and marker.

    Long curves carry some twenty markers; those that are jagged as well carry none, since a few points of noise
    would look like chosen data.

    Parameters
    ----------
    x : tensor or array, shape (n,)
        Positions.
    series : mapping from str to tensor or array of shape (n,)
        Values of each curve under its name; a single curve gets no legend.
    x_label, y_label : str
        What is drawn, with its unit: ``"photons per pixel"``.
    log : {"", "x", "y", "xy"}
        Axes that are logarithmic.
    errors : mapping from str to tensor or array of shape (n,), optional
        Standard errors of some of the curves, at least 0, drawn as bars.
    points : collection of str
        Names of the series that were measured: each of their values is drawn as a point, and no line joins them. The
        other curves are then lines without markers.
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
        If there is no curve, lengths differ, a value is not finite, or not above 0 on a logarithmic axis.

    Examples
    --------
    >>> dose = np.array([1, 10, 100])
    >>> figure = curves(dose, {"shot noise": dose**0.5}, x_label="photons", y_label="SNR", log="xy")
    >>> figure.axes[0].get_xlabel()
    'photons'
    """
    if not series:
        raise ValueError("series is empty, but must hold at least one curve: pass {'name': values}.")
    errors = errors or {}
    unknown = set(errors) - set(series)
    if unknown:
        raise ValueError(f"errors name {sorted(unknown)}, but the curves are {list(series)}: use the same names.")
    unknown = set(points) - set(series)
    if unknown:
        raise ValueError(f"points name {sorted(unknown)}, but the curves are {list(series)}: use the same names.")
    positions = _one_dimensional(x, name="x", length=None, log="x" in log)
    values = {
        name: _one_dimensional(data, name=name, length=len(positions), log="y" in log) for name, data in series.items()
    }
    bars = {
        name: _one_dimensional(data, name=f"errors of {name}", length=len(positions), log=False)
        for name, data in errors.items()
    }
    for name, bar in bars.items():
        if bar.min() < 0:
            raise ValueError(f"errors of {name} go down to {bar.min():g}, but must be at least 0: they are lengths.")

    axes = axes or new_axes()
    set_scales(axes, log)
    every = max(1, len(positions) // MOST_MARKERS)
    for name, array in values.items():
        if name in points:
            axes.errorbar(positions, array, bars.get(name), label=name, linestyle="none", markersize=4, capsize=2.5)
            continue
        (line, *_) = axes.errorbar(
            positions, array, bars.get(name), label=name, markevery=every, errorevery=every, capsize=2.5
        )
        if points or _is_jagged(array):
            line.set_marker("")
    axes.set(xlabel=x_label, ylabel=y_label, title=title)
    if len(values) > 1:
        axes.legend()
    return own_figure(axes)
