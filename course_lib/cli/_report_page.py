"""The page of ``course report``: what was seen, what was found, how large and how bright it is, and how it was done."""

import html
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.cli._denoise_report import Section, section_parts
from course_lib.cli._measuring import Channels
from course_lib.cli._page import figure, items, page, table
from course_lib.inspection import Inspection

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Report", "report_page"]

Array = np.ndarray[Any, Any]

PACKAGES = ("numpy", "torch", "scipy", "scikit-image", "pandas", "tifffile")
NOT_SUMMARIZED = ("ID", "frame", "Type")
NO_PROPERTY = ("bbox", "orientation", "intensity_centre", "photons_centre", "z_um", "y_um", "x_um")
"""Columns that place an object, whose mean tells nothing."""
MOST_ROWS = 20
MOST_NUMBERS = 200
"""Objects whose IDs are written into the picture."""
ABOUT = ("frame", "ID", "Type", "area_um2", "volume_um3", "touches_border", "z_um", "y_um", "x_um", "solidity")
"""Columns of the rows that are shown, with the mean of each channel."""
MOST_CHANNELS = 4
"""Channels that are shown as pictures."""
SHOWN = ("area_um2", "volume_um3", "eccentricity", "circularity", "sphericity")
"""Features whose histogram is shown, with the mean of each channel."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that the page tells.

    Attributes
    ----------
    title : str
        Name of the image.
    inspection : Inspection
    section : Section or None
        How the channel that was segmented was restored.
    labels : numpy.ndarray, shape (T, [Z,] Y, X)
    segmented : numpy.ndarray, same shape
        What the objects were found in.
    channels : Channels
        What was measured.
    pixel_size_um : (float, float)
    objects : list of str
        What was found, in lines.
    doubt : str
        What speaks against it; nothing if nothing does.
    table : pandas.DataFrame
    dropped_by : sequence of str
        Flags that dropped objects; none if the table has all that were found.
    files : list of str
        What was written.
    settings : mapping from str to str
    command : str
    facts : list of str
        Program, device, time.
    """

    title: str
    inspection: Inspection
    section: Section | None
    labels: Array
    segmented: Array
    channels: Channels
    pixel_size_um: tuple[float, float]
    objects: Sequence[str]
    doubt: str
    table: "pd.DataFrame"
    dropped_by: Sequence[str]
    files: Sequence[str]
    settings: Mapping[str, str]
    command: str
    facts: Sequence[str]


def report_page(report: Report) -> str:
    """Return the page."""
    parts = [
        f"<h1>{html.escape(report.title)}</h1>",
        items([*report.objects, *report.files]),
        "<h2>Red flags</h2>",
        *_flags(report.inspection),
        "<h2>The image</h2>",
        items([line for line in report.inspection.lines() if line not in map(str, report.inspection.flags)]),
        "<h2>The objects</h2>",
        f'<p class="warning">{html.escape(report.doubt)}</p>' if report.doubt else "",
        *_pictures(report),
    ]
    if report.section is not None:
        parts += ["<h2>The restoration, for segmenting only</h2>", *section_parts(report.section, report.pixel_size_um)]
    parts += [
        "<h2>The numbers</h2>",
        f"<p>Measured on the raw image. {_counted(report.dropped_by)} {_background(report.table)}</p>",
        _summary(report.table),
        *_histograms(report),
        *_extremes(report.table),
        "<h2>How this was made</h2>",
        f"<pre>{html.escape(report.command)}</pre>",
        table(["setting", "value"], [[name, value] for name, value in report.settings.items()]),
        items([*report.facts, _versions()]),
        "<h2>Before you believe it</h2>",
        items(
            [
                "Look at the outlines, where objects are densest and where they are dimmest: splits and merges go into "
                "every number.",
                "An object is one measurement only if it is one replicate. Compare dishes or animals, not cells.",
                "Intensities of different images compare only with the same exposure, gain and illumination.",
            ]
        ),
    ]
    return page(f"{report.title}: report", "\n".join(parts))


def _counted(dropped_by: Sequence[str]) -> str:
    """Say which objects are in the table."""
    if not dropped_by:
        return "All objects count, also those that the border cuts, whose sizes and shapes are too small."
    border = "" if "--without-border" in dropped_by else " Those that the border cuts count, and are too small."
    return f"Objects were dropped by {', '.join(dropped_by)}; none of them is taken for background.{border}"


def _background(numbers: "pd.DataFrame") -> str:
    """Say what was taken off each pixel."""
    levels = numbers.attrs.get("provenance", {}).get("background")
    if not levels:
        return "No background was subtracted."
    told = [f"{_level(level)}{f' (channel {name})' if name else ''}" for name, level in levels.items()]
    return f"The background, {', '.join(told)}, was taken off each pixel."


def _level(level: Any) -> str:
    if isinstance(level, list):
        return f"{', '.join(map(_level, level))} (frame by frame)"
    if isinstance(level, dict):
        return f"{level['level']:.5g} ± {level['standard_error']:.2g}"
    return str(level)


def _flags(inspection: Inspection) -> list[str]:
    if not inspection.flags:
        return ["<p>None was raised.</p>"]
    kinds = {"stop": "stop", "care": "warning"}
    return [f'<p class="{kinds[flag.severity]}">{html.escape(str(flag))}</p>' for flag in inspection.flags]


def _pictures(report: Report) -> list[str]:
    try:
        from course_lib import plotting
    except ModuleNotFoundError:
        return ["<p>There are no pictures, because matplotlib is not installed: pip install matplotlib.</p>"]
    place, told = _busiest(report.labels)
    labels = report.labels[place]
    shown: dict[str, Any] = {"pixel_size_um": report.pixel_size_um, "unit": _unit(report.channels.unit)}
    count = len(np.unique(labels[labels > 0]))
    drawn = plotting.label_overlay(
        report.segmented[place], [labels], value_range=_range(report.segmented[place]), **shown
    )
    if count <= MOST_NUMBERS:
        plotting.number_objects(drawn, labels)
    parts = [
        figure(
            drawn,
            f"What was segmented{told}, with the outlines of {count} objects{_numbered(count)}.",
            alt=f"A grey image with a scale bar; white outlines around {count} objects.",
        )
    ]
    for name, values in list(report.channels.values.items())[:MOST_CHANNELS]:
        called = f"channel {name}" if name else "the image"
        parts.append(
            figure(
                plotting.show_images(values[place], value_range=_range(values[place]), **shown),
                f"Raw, as it was measured: {called}{told}.",
                alt=f"A grey image with a scale bar and a bar of brightness in {shown['unit']}: {called}, raw.",
            )
        )
    return ['<div class="side-by-side">', *parts, "</div>"]


def _numbered(count: int) -> str:
    return ", and their IDs in the table" if count <= MOST_NUMBERS else ""


def _busiest(labels: Array) -> tuple[tuple[int, ...], str]:
    """Return where the plane with most of all objects' pixels is, and that in words."""
    leading = labels.shape[:-2]
    pixels = (labels > 0).sum(axis=(-2, -1))
    place = tuple(int(index) for index in np.unravel_index(int(pixels.argmax()), leading))
    words = []
    if leading[0] > 1:
        words.append(f"frame {place[0]}")
    if len(leading) > 1:
        words.append(f"plane {place[1]}")
    return place, f", {', '.join(words)}" if words else ""


def _range(image: Array) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(image, (0.1, 99.9)))
    return (low, high) if low < high else (low, low + 1.0)


def _unit(unit: str) -> str:
    return {"adu": "grey levels", "arbitrary": "arbitrary units"}.get(unit, unit)


def _summary(numbers: "pd.DataFrame") -> str:
    rows = []
    for name in numbers.columns:
        column = numbers[name]
        if name in NOT_SUMMARIZED or column.dtype.kind not in "uif" or name.startswith(NO_PROPERTY):
            continue
        values = column.to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        if len(values):
            low, middle, high = np.percentile(values, (5, 50, 95))
            rows.append([name, *(f"{value:.4g}" for value in (low, middle, high, values.mean())), str(len(values))])
    if not rows:
        return "<p>There is no object.</p>"
    return table(["feature", "5 %", "median", "95 %", "mean", "objects"], rows)


def _histograms(report: Report) -> list[str]:
    if len(report.table) < 2:
        return []
    try:
        from course_lib import plotting
    except ModuleNotFoundError:
        return []
    means = [name for name in report.table.columns if name.startswith(("intensity_mean", "photons_mean"))]
    parts = []
    for name in [*SHOWN, *(name for name in means if "error" not in name)]:
        if name not in report.table.columns:
            continue
        values = report.table[name].to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        if len(values) < 2 or values.min() == values.max():
            continue
        drawn = plotting.histograms({name: values}, x_label=name, bins=min(40, max(5, len(values) // 5)))
        drawn.axes[0].set_ylabel("objects")
        low, high = values.min(), values.max()
        alt = f"Histogram of {name} over {len(values)} objects, from {low:.3g} to {high:.3g}."
        parts.append(figure(drawn, f"{name} of {len(values)} objects.", alt=alt))
    return ['<div class="side-by-side">', *parts, "</div>"]


def _extremes(numbers: "pd.DataFrame") -> list[str]:
    """Return the largest and the smallest objects, where mistakes of the segmentation are found first."""
    if len(numbers) == 0:
        return []
    size = "volume_um3" if "volume_um3" in numbers.columns else "area_um2"
    means = [name for name in numbers.columns if name.startswith(("intensity_mean", "photons_mean"))]
    columns = [*(name for name in ABOUT if name in numbers.columns), *(name for name in means if "error" not in name)]
    ordered = numbers.sort_values(size, ascending=False, kind="stable")[columns]
    told = f"All {len(numbers)} objects, the largest first"
    if len(ordered) > MOST_ROWS:
        half = MOST_ROWS // 2
        ordered = ordered.iloc[[*range(half), *range(len(ordered) - half, len(ordered))]]
        told = f"The {half} largest and the {half} smallest of {len(numbers)} objects"
    rows = [[_cell(value) for value in row] for row in ordered.itertuples(index=False)]
    return [table(columns, rows, caption=f"{told}; the table on disk has {len(numbers.columns)} columns.")]


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _versions() -> str:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return f"Versions: Python {platform.python_version()}, {', '.join(found)}"
