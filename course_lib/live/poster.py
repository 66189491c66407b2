"""The still picture of a live figure: what is seen without JavaScript and in print."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image

from course_lib.live.declare import CurvePanel, ImagePanel, LiveFigure, NumberPanel, Tensors

__all__ = ["poster", "poster_size"]

_COLUMNS = 2
_WIDTH, _HEIGHT, _DPI = 3.4, 3.1, 100
_INK, _SOFT, _GRID = "#1f2328", "#57606a", "#d8dee4"
_COLORS = ("#0b62a3", "#c2410c", "#0f766e", "#7e22ce")
_STYLES = {"line": "-", "dashed": "--", "dotted": ":", "points": "none"}


def poster_size(figure: LiveFigure) -> tuple[int, int]:
    """Return width and height of the poster in pixels."""
    columns = min(len(figure.panels), _COLUMNS)
    rows = -(-len(figure.panels) // columns)
    return round(columns * _WIDTH * _DPI), round(rows * _HEIGHT * _DPI)


def nice_length(longest: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of ten that is at most `longest`."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(digit * power for digit in (1, 2, 5) if digit * power <= longest))


def _number(outputs: Tensors, source: float | str) -> float:
    return float(outputs[source].reshape(-1)[0]) if isinstance(source, str) else source


def _draw_image(canvas: Figure, axes: Axes, panel: ImagePanel, outputs: Tensors) -> None:
    image = outputs[panel.output].numpy()
    low, high = (
        (float(image.min()), float(image.max()))
        if panel.value_range is None
        else (_number(outputs, end) for end in panel.value_range)
    )
    shown = axes.imshow(image, cmap=panel.color_map, vmin=low, vmax=high, interpolation="nearest")
    axes.set_axis_off()
    bar = canvas.colorbar(shown, ax=axes, fraction=0.046, pad=0.04)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0, colors=_SOFT)
    if panel.pixel_size_um is not None:
        pixel_size_um = _number(outputs, panel.pixel_size_um)
        height, width = image.shape
        length_um = nice_length(width * pixel_size_um / 4)
        length = length_um / pixel_size_um
        x, y = 0.04 * width, 0.95 * height
        axes.add_patch(Rectangle((x, y - 0.02 * height), length, 0.02 * height, color="white"))
        box = {"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 1.5}
        axes.text(x, y - 0.04 * height, f"{length_um:g} µm", color="white", fontsize=8, va="bottom", bbox=box)


def _draw_curves(axes: Axes, panel: CurvePanel, outputs: Tensors) -> None:
    for curve, color in zip(panel.curves, np.resize(_COLORS, len(panel.curves)), strict=True):
        x = outputs[curve.x or panel.x].numpy().reshape(-1)
        y = outputs[curve.output].numpy().reshape(-1)
        if curve.style == "bars":
            width = x[1] - x[0] if len(x) > 1 else 1.0
            axes.bar(x, y, width=width, color=color, alpha=0.55, label=curve.label)
        else:
            marker = "o" if curve.style == "points" else ""
            style = _STYLES[curve.style]
            axes.plot(
                x,
                y,
                color=color,
                linestyle=style,
                marker=marker,
                markersize=7 if len(x) == 1 else 4,
                lw=1.8,
                label=curve.label,
            )
    axes.set_xscale(panel.x_scale)
    axes.set_yscale(panel.y_scale)
    if panel.x_range is not None:
        axes.set_xlim(*panel.x_range)
    if panel.y_range is not None:
        axes.set_ylim(*panel.y_range)
    axes.set_xlabel(panel.x_label, fontsize=9, color=_SOFT)
    axes.set_ylabel(panel.y_label, fontsize=9, color=_SOFT)
    axes.tick_params(labelsize=8, length=0, colors=_SOFT)
    axes.grid(color=_GRID, lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    if len(panel.curves) > 1 or panel.curves[0].label != panel.y_label:
        axes.legend(fontsize=8, frameon=False)


def _draw_numbers(axes: Axes, panel: NumberPanel, outputs: Tensors) -> None:
    axes.set_axis_off()
    for row, number in enumerate(panel.numbers):
        y = 0.92 - 0.17 * row
        value = f"{_number(outputs, number.output):.{number.digits}f} {number.unit}".replace("-", "−")
        axes.text(0, y, number.label, fontsize=9, color=_SOFT, transform=axes.transAxes)
        axes.text(1, y, value, fontsize=11, color=_INK, ha="right", transform=axes.transAxes)
        rule = Line2D([0, 1], [y - 0.05, y - 0.05], color=_GRID, lw=0.8, transform=axes.transAxes)
        axes.add_line(rule)


def poster(figure: LiveFigure, outputs: Tensors) -> bytes:
    r"""Draw `outputs` as the front end does, and return a PNG file.

    Examples
    --------
    >>> from course_lib import live
    >>> first = live.list_figures()[0]
    >>> poster(first, live.evaluate(first))[:4]
    b'\x89PNG'
    """
    width, height = poster_size(figure)
    canvas = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained", facecolor="white")
    agg = FigureCanvasAgg(canvas)
    columns = min(len(figure.panels), _COLUMNS)
    for place, panel in enumerate(figure.panels, start=1):
        axes = canvas.add_subplot(-(-len(figure.panels) // columns), columns, place)
        unit = f" ({panel.unit})" if isinstance(panel, ImagePanel) and panel.unit else ""
        axes.set_title(panel.title + unit, fontsize=10, color=_INK, loc="left")
        if isinstance(panel, ImagePanel):
            _draw_image(canvas, axes, panel, outputs)
        elif isinstance(panel, CurvePanel):
            _draw_curves(axes, panel, outputs)
        else:
            _draw_numbers(axes, panel, outputs)
    agg.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(agg.buffer_rgba())  # type: ignore[no-untyped-call]
    picture = Image.fromarray(pixels).convert("RGB").quantize(256)
    file = io.BytesIO()
    picture.save(file, format="png", optimize=True)
    return file.getvalue()
