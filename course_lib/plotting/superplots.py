"""Superplots side by side: one experiment, analysed in several ways."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.figure import Figure

from course_lib.plotting._figure import new_figure
from course_lib.plotting.style import PAGE_WIDTH_IN, STYLE
from course_lib.plotting.superplot import Columns, superplot

if TYPE_CHECKING:
    from course_lib.quantification import Comparison

__all__ = ["superplots"]

COLUMNS, HEIGHT_IN = 2, 3.6


@matplotlib.rc_context(STYLE)
def superplots(
    tables: Mapping[str, Columns],
    *,
    value: str,
    condition: str,
    replicate: str,
    y_label: str,
    comparisons: "Mapping[str, Comparison] | None" = None,
) -> Figure:
    """Draw several superplots in rows of two, on one scale, so that their conclusions can be compared.

    Parameters
    ----------
    tables : mapping from str to pandas.DataFrame
        Under the heading of each panel its table, one row a cell, with the same columns in all.
    value, condition, replicate, y_label
        As for `superplot`.
    comparisons : mapping from str to Comparison, optional
        Results of `course_lib.quantification.compare`, by heading. Effect, interval, p and the number of replicates are
        written above the panels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no panel, a comparison belongs to none, or as `superplot` does.

    Examples
    --------
    >>> table = {"area": [1.0, 2.0, 3.0, 5.0], "drug": ["no", "no", "yes", "yes"], "dish": ["a", "b", "c", "d"]}
    >>> figure = superplots(
    ...     {"raw": table, "restored": table}, value="area", condition="drug", replicate="dish", y_label="area (µm²)"
    ... )
    >>> [axes.get_title() for axes in figure.axes]
    ['raw', 'restored']
    """
    if not tables:
        raise ValueError("tables is empty, but must hold at least one: pass {'heading': table}.")
    comparisons = comparisons or {}
    if strangers := [heading for heading in comparisons if heading not in tables]:
        raise ValueError(f"comparisons has {strangers}, but the tables are {list(tables)}: use the same headings.")
    columns = min(COLUMNS, len(tables))
    rows = -(-len(tables) // columns)
    figure = new_figure(PAGE_WIDTH_IN, rows * HEIGHT_IN)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    for unused in panels[len(tables) :]:
        unused.remove()
    for axes, (heading, table) in zip(panels, tables.items(), strict=False):
        superplot(
            table,
            value=value,
            condition=condition,
            replicate=replicate,
            y_label=y_label,
            title="\n".join([heading, *_result(comparisons.get(heading))]),
            axes=axes,
        )
    for axes in figure.axes[1::columns] if columns > 1 else ():
        axes.set_ylabel("")
    return figure


def _result(comparison: "Comparison | None") -> list[str]:
    """Return two lines that fit half a page: the effect with its interval; p, and how many replicates."""
    if comparison is None:
        return []
    low, high = comparison.interval
    p = "p < 0.0001" if comparison.p_value < 1e-4 else f"p = {comparison.p_value:.2g}"
    one, other = comparison.observations
    effect = f"{comparison.difference:+.2g} ({low:+.2g} to {high:+.2g})".replace("-", "\N{MINUS SIGN}")
    return [effect, f"{p}, {one} and {other} {comparison.unit}"]
