"""Bring notebooks into the form that the repository keeps: only cells tagged nbval-check-output keep an output.

    python book/tidy.py noise start

executes the notebooks, stores the text that their checked cells print, and clears everything else.
"""

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient

BOOK = Path(__file__).resolve().parent


def tidy(path: Path) -> None:
    """Execute one notebook and write it back without what changes from run to run."""
    notebook = nbformat.read(path, as_version=4)
    executed = NotebookClient(
        notebook, timeout=600, coalesce_streams=True, resources={"metadata": {"path": str(BOOK)}}
    ).execute()
    executed.metadata.pop("widgets", None)
    executed.metadata["language_info"] = {"name": "python"}
    for cell in executed.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        if "nbval-check-output" in cell.metadata.get("tags", []):
            cell.execution_count = 1  # nbval compares only cells that say they have run
        else:
            cell.execution_count, cell.outputs = None, []
    path.write_text(nbformat.writes(executed, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME", help="a chapter, without .ipynb")
    for name in parser.parse_args().names:
        tidy(BOOK / f"{name}.ipynb")
