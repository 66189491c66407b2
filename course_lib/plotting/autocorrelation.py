"""A map of noise autocorrelation, with its numbers."""

from collections.abc import Iterable, Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
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
    lags = _checked(rho)
    axes = axes or new_axes(width_in=4.6, height_in=3.8)
    picture = _draw(axes, lags, limit=_limit([lags]), title=title)
    own_figure(axes).colorbar(picture, ax=axes, label="autocorrelation ρ")
    return own_figure(axes)


@matplotlib.rc_context(STYLE)
def autocorrelations(maps: Mapping[str, Data]) -> Figure:
    """Draw several maps side by side under their names, on one scale of colours; see `autocorrelation`.

    Parameters
    ----------
    maps : mapping from str to tensor or array
        Maps as `autocorrelation` takes them, under their names.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no map, or one is not what `autocorrelation` takes.

    Examples
    --------
    >>> white = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    >>> figure = autocorrelations({"one": white, "other": white})
    >>> [axes.get_title() for axes in figure.axes[:2]]
    ['one', 'other']
    """
    if not maps:
        raise ValueError("maps is empty, but must hold at least one map: pass {'name': rho}.")
    checked = {title: _checked(rho) for title, rho in maps.items()}
    figure = new_figure(PAGE_WIDTH_IN, PAGE_WIDTH_IN / max(2, len(maps)))
    grid = figure.subplots(1, len(maps), squeeze=False)[0]
    limit = _limit(checked.values())
    for axes, (title, lags) in zip(grid, checked.items(), strict=True):
        picture = _draw(axes, lags, limit=limit, title=title)
    figure.colorbar(picture, ax=grid, label="autocorrelation ρ", shrink=0.8)
    return figure


def _checked(rho: Data) -> np.ndarray:
    lags = to_finite_numpy(rho, name="rho").astype(np.float64)
    if lags.ndim != 2 or lags.shape[0] != lags.shape[1] or lags.shape[0] % 2 == 0 or len(lags) < 3:
        raise ValueError(
            f"rho has shape {lags.shape}, but must be square with an odd side of at least 3: "
            f"pass the map of one field, or the mean over fields."
        )
    center = lags[len(lags) // 2, len(lags) // 2]
    if not np.isclose(center, 1):
        raise ValueError(
            f"rho is {center:g} at its centre, but must be 1 there: pass what metrics.autocorrelation returns."
        )
    return lags


def _center(lags: np.ndarray) -> np.ndarray:
    center = np.zeros_like(lags, dtype=bool)
    center[len(lags) // 2, len(lags) // 2] = True
    return center


def _limit(maps: Iterable[np.ndarray]) -> float:
    return max(SMALLEST_LIMIT, *(float(np.abs(lags[~_center(lags)]).max()) for lags in maps))


def _draw(axes: Axes, lags: np.ndarray, *, limit: float, title: str) -> AxesImage:
    max_lag = len(lags) // 2
    extent = (-max_lag - 0.5, max_lag + 0.5, max_lag + 0.5, -max_lag - 0.5)
    axes.set_facecolor("0.8")
    masked = np.ma.masked_array(lags, _center(lags))
    picture = axes.imshow(masked, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=extent)
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="lag right (px)", ylabel="lag down (px)", title=title)
    if len(lags) <= LARGEST_MAP_WITH_NUMBERS:
        _write_numbers(axes, lags, dark=(np.abs(lags) > 0.6 * limit) & ~_center(lags))
    return picture


def _write_numbers(axes: Axes, lags: np.ndarray, *, dark: np.ndarray) -> None:
    max_lag = len(lags) // 2
    axes.set(xticks=range(-max_lag, max_lag + 1), yticks=range(-max_lag, max_lag + 1))
    for (row, column), value in np.ndenumerate(lags):
        text = "1" if row == column == max_lag else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")
        color = "white" if dark[row, column] else "black"
        size = 9 if max_lag <= 2 else 7
        axes.text(column - max_lag, row - max_lag, text, ha="center", va="center", color=color, fontsize=size)
