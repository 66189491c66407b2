"""The front end's files: one script for the page and for JupyterLab, one for the page's worker, one style sheet.

The modules in ``front/`` are joined into one, because `anywidget` takes a single module as text; the page gets the
same text.
"""

import re
from importlib.resources import files

__all__ = ["page_script", "style", "worker_script"]

_PAGE = ("scales", "sliders", "panels", "figure", "live")
_WORKER = ("gunzip", "draws", "worker")


def _read(name: str) -> str:
    return (files("course_lib.live") / "front" / name).read_text(encoding="utf-8")


def _join(names: tuple[str, ...]) -> str:
    text = "\n".join(_read(f"{name}.mjs") for name in names)
    text = re.sub(r'^import .* from "\./.*";\n', "", text, flags=re.MULTILINE)
    return re.sub(r"^export (?!default)", "", text, flags=re.MULTILINE)


def page_script() -> str:
    """Return the module that mounts the figures of a page, and is the view of `LiveWidget`."""
    return _join(("gunzip", *_PAGE))


def worker_script() -> str:
    """Return the module of the page's worker, which runs the exported graphs."""
    return _join(_WORKER)


def style() -> str:
    """Return the style sheet."""
    return _read("live.css")
