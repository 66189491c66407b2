"""A scale bar, so that an image has a size."""

import math

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from course_lib.parameters import Parameter

__all__ = ["format_length", "round_length", "scale_bar"]

PIXEL_SIZE = Parameter(
    name="pixel_size_um", default=0.1, meaning="size of a pixel", unit="µm", minimum=1e-6, maximum=1e6
)
LENGTH = Parameter(
    name="length_um", default=5.0, meaning="length of the scale bar", unit="µm", minimum=1e-6, maximum=1e9
)


def round_length(width_um: float) -> float:
    """Return the length of the series 1, 2, 5, 10, … that is nearest to a fifth of `width_um` (as a ratio).

    Examples
    --------
    >>> round_length(33.0)
    5.0
    """
    target = math.log10(width_um / 5)
    decade = math.floor(target)
    exponent, digit = min(
        ((decade, 1), (decade, 2), (decade, 5), (decade + 1, 1)),
        key=lambda candidate: abs(candidate[0] + math.log10(candidate[1]) - target),
    )
    return float(f"{digit}e{exponent}")


def format_length(length_um: float) -> str:
    """Write a length with the unit that suits it.

    Examples
    --------
    >>> [format_length(length) for length in (0.5, 20, 1000)]
    ['500 nm', '20 µm', '1 mm']
    """
    if length_um < 1:
        return f"{length_um * 1000:g} nm"
    if length_um >= 1000:
        return f"{length_um / 1000:g} mm"
    return f"{length_um:g} µm"


def scale_bar(axes: Axes, *, pixel_size_um: float, length_um: float | None = None) -> Line2D:
    """Draw a scale bar in the lower right corner of an image: white with a dark outline, on any background.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes that show an image, its pixels counted by the axes.
    pixel_size_um : float
        Width of a pixel.
    length_um : float, optional
        Length of the bar; by default a round one, about a fifth of the image's width.

    Returns
    -------
    matplotlib.lines.Line2D
        The bar.

    Raises
    ------
    ValueError
        If a length is not above 0, or the bar is longer than the image is wide.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> figure, axes = plt.subplots()
    >>> _ = axes.imshow([[0] * 100] * 50)
    >>> bar = scale_bar(axes, pixel_size_um=0.2)
    >>> left, right = bar.get_xdata()
    >>> print(f"{right - left:g} pixels")
    25 pixels
    >>> plt.close(figure)
    """
    PIXEL_SIZE.check(pixel_size_um)
    left, right = axes.get_xlim()
    width_um = abs(right - left) * pixel_size_um
    if length_um is None:
        length_um = round_length(width_um)
    LENGTH.check(length_um)
    if length_um > width_um:
        raise ValueError(
            f"length_um is {length_um:g} µm, but the image is only {width_um:g} µm wide: pass a shorter bar."
        )
    length = math.copysign(length_um / pixel_size_um, right - left)
    margin = min(0.04, (1 - length / (right - left)) / 2) * (right - left)
    start, end = right - margin - length, right - margin
    (bar,) = axes.plot(
        [start, end],
        [0.06, 0.06],
        transform=axes.get_xaxis_transform(),
        color="white",
        linestyle="-",
        marker="",
        linewidth=3,
        solid_capstyle="butt",
        path_effects=[withStroke(linewidth=4.5, foreground="black")],
        scalex=False,
        scaley=False,
    )
    axes.annotate(
        format_length(length_um),
        ((start + end) / 2, 0.06),
        xycoords=axes.get_xaxis_transform(),
        xytext=(0, 3.5),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color="white",
        fontsize=9,
        path_effects=[withStroke(linewidth=2, foreground="black")],
    )
    return bar
