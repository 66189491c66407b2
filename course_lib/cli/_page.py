"""HTML pages that need no other file: no scripts, nothing from elsewhere, images inside, light and dark."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_lib.images.replacing import replacing

__all__ = ["figure", "items", "page", "table", "write_page"]

STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --ground: #ffffff; --head: #0b1f4b; --line: #d5d5d5;
  --chosen: #e6f1ef; --care: #fdf3e5; --stop: #fbe9e4; --quiet: #444444; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --ground: #16181d; --head: #b9cbff; --line: #3c4048;
  --chosen: #173330; --care: #3a2a12; --stop: #44201a; --quiet: #b9b9b9; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--ground); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1, h2 { line-height: 1.2; color: var(--head); } h2 { margin-top: 2.5rem; }
.wide { overflow-x: auto; } .wide td, .wide th { overflow-wrap: normal; white-space: nowrap; }
table { border-collapse: collapse; } th, td { padding: .3rem .9rem; border-bottom: 1px solid var(--line);
  text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.chosen { background: var(--chosen); font-weight: 600; }
.warning, .stop { border-left: 4px solid #d97b06; padding: .4rem 1rem; background: var(--care); }
.stop { border-left-color: #c23a12; background: var(--stop); }
pre { padding: .6rem 1rem; border: 1px solid var(--line); overflow-x: auto; }
img { max-width: 100%; background: #ffffff; } figure { margin: 1.5rem 0; }
.side-by-side { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 0 1.5rem; }
.side-by-side img { width: 100%; }
figcaption { color: var(--quiet); font-size: .9rem; }
""".strip()


def page(title: str, body: str) -> str:
    """Return a whole page; `body` is HTML, `title` is text.

    Examples
    --------
    >>> "<title>cells &amp; more</title>" in page("cells & more", "<p>Nothing.</p>")
    True
    """
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n{body}\n"
        f"</body>\n</html>\n"
    )


def items(lines: Sequence[str]) -> str:
    """Return a list of lines of text.

    Examples
    --------
    >>> items(["a < b"])
    '<ul><li>a &lt; b</li></ul>'
    """
    return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> str:
    """Return a table of text; all columns but the first are aligned to the right, as numbers.

    Examples
    --------
    >>> table(["feature", "median"], [["area (µm²)", "31.4"]]).count("<tr>")
    2
    """

    def row(cells: Sequence[str], tag: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        kinds = ["", *[' class="number"'] * (len(cells) - 1)]
        marked = [f"<{tag}{scope}{kind}>{html.escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)]
        return f"<tr>{''.join(marked)}</tr>"

    said = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    body = "\n".join([row(head, "th"), *(row(cells, "td") for cells in rows)])
    return f'<div class="wide"><table>{said}\n{body}\n</table></div>'


def figure(drawn: Any, caption: str, *, alt: str = "") -> str:
    """Return a figure of matplotlib as an image inside the page; `alt` describes it, where the caption does not."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    described = html.escape(alt or caption, quote=True)
    return (
        f'<figure><img alt="{described}" src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def write_page(path: Path, text: str) -> None:
    """Write a page that is never half written."""
    with replacing(path) as file:
        file.write(text.encode())
