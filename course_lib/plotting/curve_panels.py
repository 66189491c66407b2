"""Several sets of curves side by side, over one x and on one scale."""

from collections.abc import Mapping
from typing import Literal

import matplotlib
from matplotlib.figure import Figure

from course_lib.plotting._figure import Data, new_figure
from course_lib.plotting.curves import curves
from course_lib.plotting.style import PAGE_WIDTH_IN, STYLE

__all__ = ["curve_panels"]


@matplotlib.rc_context(STYLE)
def curve_panels(
    x: Data,
    panels: Mapping[str, Mapping[str, Data]],
    *,
    x_label: str,
    y_label: str,
    log: Literal["", "x", "y", "xy"] = "",
) -> Figure:
    """Draw sets of curves side by side, so that each has few enough to be told apart.

    Parameters
    ----------
    x : tensor or array, shape (n,)
        Positions, the same for all panels.
    panels : mapping from str to mapping from str to tensor or array of shape (n,)
        Under the heading of each panel its curves, as for `curves`.
    x_label, y_label, log
        As for `curves`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no panel, or as `curves` does.

    Examples
    --------
    >>> panels = {"linear": {"a": [1, 2, 3]}, "square": {"a": [1, 4, 9]}}
    >>> figure = curve_panels([1, 2, 3], panels, x_label="photons", y_label="error")
    >>> [axes.get_title() for axes in figure.axes]
    ['linear', 'square']
    """
    if not panels:
        raise ValueError("panels is empty, but must hold at least one: pass {'heading': {'name': values}}.")
    figure = new_figure(PAGE_WIDTH_IN, 3.4)
    for axes, (heading, series) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False).flatten(), panels.items(), strict=True
    ):
        curves(x, series, x_label=x_label, y_label=y_label, log=log, title=heading, axes=axes)
        axes.label_outer()
    return figure
