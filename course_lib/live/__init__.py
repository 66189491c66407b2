"""Live figures: one torch function, run by the kernel in JupyterLab and by the browser on the published page.

A figure is a module in ``figures/`` that defines ``FIGURE``, a `LiveFigure`: its sliders (a `Parameters` class), its
random draws, its panels, and one pure torch function. `show` puts it into a notebook; `export_all` exports every
figure for the site. Nothing else is to be written or registered.

A figure may iterate. Then its function takes one step: it gets the ``state`` that the step before has handed on, and
returns the next one with the outputs. ``steps`` names the slider that says how many steps are taken; the front end
shows them as they come. ``start`` makes the state before the first step from sliders and draws, which are then made
once; without it, ``state`` is that state, and each step gets fresh draws. ``at_once`` names choices, such as a direct
method, for which the last step alone gives what all give. See `LiveFigure`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.live.declare import (
    Curve,
    CurvePanel,
    Draw,
    ImagePanel,
    LiveFigure,
    Number,
    NumberPanel,
    Panel,
    Tensors,
)
from course_lib.live.histogram import histogram
from course_lib.live.listing import list_figures, load_figure
from course_lib.live.run import evaluate

if TYPE_CHECKING:
    from course_lib.live.widget import LiveWidget

__all__ = [
    "Curve",
    "CurvePanel",
    "Draw",
    "ImagePanel",
    "LiveFigure",
    "Number",
    "NumberPanel",
    "Panel",
    "Tensors",
    "evaluate",
    "export_all",
    "histogram",
    "list_figures",
    "load_figure",
    "show",
]


def show(name: str) -> "LiveWidget":
    """Show the live figure `name` in a notebook.

    Returns
    -------
    LiveWidget
        JupyterLab displays it as a widget whose sliders call torch in the kernel; the published page gets the HTML
        that calls the exported graph. ``.values`` are the sliders' values.

    Raises
    ------
    ValueError
        If there is no live figure of that name.

    Examples
    --------
    >>> show("noise_camer")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: there is no live figure 'noise_camer': choose one of ...
    """
    from course_lib.live.widget import LiveWidget

    return LiveWidget(load_figure(name))


def export_all(folder: Path) -> list[str]:
    """Export all live figures and the front end into `folder`; see `course_lib.live.export.export_all`."""
    from course_lib.live import export

    return export.export_all(folder)
