"""One look for every figure of the course.

The colours differ in lightness, by at least 10 units of CIE L* from one another and by a contrast of at
least 3:1 from the white page, so that they stay apart in grey print and for every kind of colour vision; the
line style and the marker change with the colour.
"""

from typing import Any

import matplotlib
from cycler import cycler

__all__ = ["COLORS", "LINE_STYLES", "MARKERS", "PAGE_WIDTH_IN", "STYLE", "use_style"]

PAGE_WIDTH_IN = 7.2
"""Full width of a figure in inches, shown about 700 px wide on the page."""

COLORS = ("#0b1f4b", "#d97b06", "#14827a", "#a3320b", "#5b1a6b")
"""Navy, orange, teal, rust, purple."""

LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v")

STYLE: dict[Any, Any] = {
    "figure.dpi": 144,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.dpi": 144,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.facecolor": "white",
    "axes.edgecolor": "0.6",
    "axes.labelcolor": "0.15",
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=LINE_STYLES) + cycler(marker=MARKERS),
    "grid.color": "0.9",
    "grid.linewidth": 0.7,
    "xtick.color": "0.6",
    "ytick.color": "0.6",
    "xtick.labelcolor": "0.15",
    "ytick.labelcolor": "0.15",
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
}
"""Settings of matplotlib; the functions of this package apply them by themselves, to their figures only."""


def use_style() -> None:
    """Give the look of the course to figures of your own, from here on.

    Examples
    --------
    >>> use_style()
    >>> matplotlib.rcParams["figure.dpi"]
    144.0
    """
    matplotlib.rcParams.update(STYLE)
