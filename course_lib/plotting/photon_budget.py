"""What is left of the light, step by step."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.plotting._figure import new_axes, own_figure, to_finite_numpy
from course_lib.plotting.style import COLORS, STYLE

__all__ = ["photon_budget"]


def _number(value: float) -> str:
    """Write a number of photons so that it can be read aloud.

    Examples
    --------
    >>> [_number(value) for value in (0.0523, 5.23, 52.34, 5234567.0)]
    ['0.0523', '5.23', '52.3', '5,230,000']
    """
    decimals = max(0, 2 - int(np.floor(np.log10(value))))
    rounded = round(value, 2 - int(np.floor(np.log10(value))))
    return f"{rounded:,.{decimals}f}"


@matplotlib.rc_context(STYLE)
def photon_budget(
    steps: Mapping[str, float],
    *,
    x_label: str = "photons",
    title: str = "",
    axes: Axes | None = None,
) -> Figure:
    """Draw a bar for each step of a photon budget, from the top down, on an axis from 0.

    Beside each bar stand its number and the share of the step before that it kept.

    Parameters
    ----------
    steps : mapping from str to float
        Photons after each step, above 0, in the order of the light.
    x_label : str
        What is counted, with its unit: ``"photons per molecule and frame"``.
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
        If there is no step, or a number of photons is not above 0 and finite.

    Examples
    --------
    >>> figure = photon_budget({"emitted": 1000.0, "collected": 300.0})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1,000', '300  (30 %)']
    """
    if not steps:
        raise ValueError("steps is empty, but must hold at least one: pass {'absorbed': photons}.")
    photons = to_finite_numpy([float(value) for value in steps.values()], name="steps")
    for name, value in zip(steps, photons, strict=True):
        if value <= 0:
            raise ValueError(
                f"step {name!r} has {value:g} photons, but must have more than 0: a share of it is kept next."
            )

    axes = axes or new_axes(width_in=7.0, height_in=0.6 + 0.42 * len(steps))
    places = np.arange(len(steps))
    axes.barh(places, photons, color=COLORS[2], height=0.62)
    kept = ["", *(f"  ({100 * part:.{0 if part > 0.0995 else 1}f} %)" for part in photons[1:] / photons[:-1])]
    for place, value, share in zip(places, photons, kept, strict=True):
        axes.annotate(
            _number(value) + share, (value, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.set(xlabel=x_label, title=title, yticks=places, yticklabels=list(steps))
    axes.set_xlim(0, photons.max() * 1.35)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    return own_figure(axes)
