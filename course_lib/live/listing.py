"""Find live figures: every module of `course_lib.live.figures` is one, and nothing is registered by hand."""

import importlib
import pkgutil

from course_lib.live.declare import LiveFigure

__all__ = ["list_figures", "load_figure"]

PACKAGE = "course_lib.live.figures"


def list_figures() -> tuple[LiveFigure, ...]:
    """Return all live figures of the course, in the order of their names.

    Raises
    ------
    ValueError
        If a module does not define ``FIGURE``, or its figure has another name than the module.
    """
    package = importlib.import_module(PACKAGE)
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(load_figure(name) for name in names)


def load_figure(name: str) -> LiveFigure:
    """Return the live figure `name`.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.
    """
    package = importlib.import_module(PACKAGE)
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    if name not in names:
        raise ValueError(f"there is no live figure {name!r}: choose one of {', '.join(names) or '(none yet)'}.")
    found = getattr(importlib.import_module(f"{PACKAGE}.{name}"), "FIGURE", None)
    if not isinstance(found, LiveFigure) or found.name != name:
        raise ValueError(
            f"module {PACKAGE}.{name} must define FIGURE = LiveFigure(name={name!r}, ...); it has {found!r}."
        )
    return found
