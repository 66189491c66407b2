"""A map of noise autocorrelation, with its numbers."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from course_lib.plotting._figure import Data, new_axes, new_figure, own_figure, to_finite_numpy
from course_lib.plotting.style import PAGE_WIDTH_IN, STYLE

__all__ = ["autocorrelation", "autocorrelations"]

LARGEST_MAP_WITH_NUMBERS = 9
SMALLEST_LIMIT = 0.05


@matplotlib.rc_context(STYLE)
def autocorrelation(rho: Data, *, title: str = "", axes: Axes | None = None) -> Figure:
    """Draw a map of ρ(down, right); maps of up to 9 × 9 lags show each number.

    The centre, which is 1 by definition, is left grey, and the colours span the other lags, but at least
    from -0.05 to 0.05, so that the scatter of white noise stays pale.

    Parameters
    ----------
    rho : tensor or array, shape (2 max_lag + 1, 2 max_lag + 1)
        Normalized autocorrelation, as `course_lib.metrics.autocorrelation` returns it.
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
        If the map is not square with an odd side of at least 3, or its centre is not 1.

    Examples
    --------
    >>> rows = np.array([[0.0, 0.48, 0.0], [0.17, 1.0, 0.17], [0.0, 0.48, 0.0]])
    >>> figure = autocorrelation(rows, title="rows share noise")
    >>> figure.axes[0].get_xlabel()
    'lag right (px)'
    """
    lags = to_finite_numpy(rho, name="rho").astype(np.float64)
    if lags.ndim != 2 or lags.shape[0] != lags.shape[1] or lags.shape[0] % 2 == 0 or len(lags) < 3:
        raise ValueError(
            f"rho has shape {lags.shape}, but must be square with an odd side of at least 3: "
            f"pass the map of one field, or the mean over fields."
        )
    side = len(lags)
    max_lag = side // 2
    if not np.isclose(lags[max_lag, max_lag], 1):
        raise ValueError(
            f"rho is {lags[max_lag, max_lag]:g} at its centre, but must be 1 there: "
            f"pass what metrics.autocorrelation returns."
        )
    centre = np.zeros_like(lags, dtype=bool)
    centre[max_lag, max_lag] = True
    limit = max(SMALLEST_LIMIT, float(np.abs(lags[~centre]).max()))

    axes = axes or new_axes(width_in=4.6, height_in=3.8)
    extent = (-max_lag - 0.5, max_lag + 0.5, max_lag + 0.5, -max_lag - 0.5)
    axes.set_facecolor("0.8")
    masked = np.ma.masked_array(lags, centre)
    picture = axes.imshow(masked, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=extent)
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="lag right (px)", ylabel="lag down (px)", title=title)
    own_figure(axes).colorbar(picture, ax=axes, label="autocorrelation ρ")
    if side <= LARGEST_MAP_WITH_NUMBERS:
        _write_numbers(axes, lags, dark=(np.abs(lags) > 0.6 * limit) & ~centre)
    return own_figure(axes)


def _write_numbers(axes: Axes, lags: np.ndarray, *, dark: np.ndarray) -> None:
    max_lag = len(lags) // 2
    axes.set(xticks=range(-max_lag, max_lag + 1), yticks=range(-max_lag, max_lag + 1))
    for (row, column), value in np.ndenumerate(lags):
        text = "1" if row == column == max_lag else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")
        colour = "white" if dark[row, column] else "black"
        size = 9 if max_lag <= 3 else 7
        axes.text(column - max_lag, row - max_lag, text, ha="center", va="center", color=colour, fontsize=size)


@matplotlib.rc_context(STYLE)
def autocorrelations(maps: Mapping[str, Data]) -> Figure:
    """Draw several maps side by side under their names; see `autocorrelation`.

    Examples
    --------
    >>> white = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    >>> figure = autocorrelations({"one": white, "other": white})
    >>> [axes.get_title() for axes in figure.axes[:2]]
    ['one', 'other']
    """
    if not maps:
        raise ValueError("maps is empty, but must hold at least one map: pass {'name': rho}.")
    figure = new_figure(PAGE_WIDTH_IN, PAGE_WIDTH_IN / max(2, len(maps)) + 0.4)
    for axes, (title, rho) in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps.items(), strict=True):
        autocorrelation(rho, title=title, axes=axes)
    return figure
