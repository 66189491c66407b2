"""Notebooks are kept without what execution adds, so that a change of a chapter shows as a change of its text."""

import json
from pathlib import Path
from typing import Any

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
NOTEBOOKS = sorted(path.name for path in BOOK.glob("*.ipynb"))


def notebook(name: str) -> dict[str, Any]:
    return json.loads((BOOK / name).read_text(encoding="utf-8"))


def code_cells(name: str) -> list[dict[str, Any]]:
    return [cell for cell in notebook(name)["cells"] if cell["cell_type"] == "code"]


def test_there_are_notebooks() -> None:
    assert "noise.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_only_cells_that_are_checked_strictly_keep_their_outputs(name: str) -> None:
    for cell in code_cells(name):
        if "nbval-check-output" in cell["metadata"].get("tags", []):
            assert cell["outputs"], f"nothing to check: {''.join(cell['source'])}"
        else:
            assert cell["outputs"] == [], f"clear the output of: {''.join(cell['source'])}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_only_checked_cells_say_that_they_have_run(name: str) -> None:
    for cell in code_cells(name):
        checked = "nbval-check-output" in cell["metadata"].get("tags", [])
        assert cell["execution_count"] == (1 if checked else None), "run python book/tidy.py"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_asks_for_the_plain_kernel_and_keeps_no_widget(name: str) -> None:
    metadata = notebook(name)["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
    assert "widgets" not in metadata


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_chapter_that_shows_tables_asks_the_site_for_them(name: str) -> None:
    if any("Markdown(" in "".join(cell["source"]) for cell in code_cells(name)):
        assert notebook(name)["metadata"]["mystnb"]["render_markdown_format"] == "gfm", "CommonMark has no tables"
