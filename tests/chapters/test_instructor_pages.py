"""The table of the instructors' page says of each chapter what the plan on its own page adds up to."""

import re
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
PAGES = sorted(BOOK.glob("instructor-*.md"))


def minutes(page: Path) -> tuple[int, int]:
    """Return the minutes of all parts but the exercises, and of all parts with the longest exercises."""
    timing = page.read_text(encoding="utf-8").split("## Timing")[1].split("\n\nShort of time")[0]
    parts = re.findall(r"^\|[^|]*\|[^|]*\| (?:\d+–)?(\d+) \|", timing, re.M)
    assert re.search(r"^\|[^|]*exercises \|[^|]*\| \d+–\d+ \|", timing, re.M), "the last part is for the exercises"
    return sum(map(int, parts[:-1])), sum(map(int, parts))


def test_there_are_instructor_pages() -> None:
    assert {"instructor-noise", "instructor-deconvolution"} <= {page.stem for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_table_has_the_sums_of_the_plan(page: Path) -> None:
    table = (BOOK / "instructors.md").read_text(encoding="utf-8")
    (row,) = [line for line in table.splitlines() if line.startswith("| [") and f"({page.stem})" in line]
    assert tuple(map(int, re.findall(r"\| (\d+) min ", row))) == minutes(page)


@pytest.mark.parametrize("name", ["intro.md", "instructors.md"])
def test_every_chapter_is_in_the_tables(name: str) -> None:
    text = (BOOK / name).read_text(encoding="utf-8")
    chapters = [path.stem for path in BOOK.glob("*.ipynb")]
    assert [
        chapter for chapter in chapters if not re.search(rf"^\| \[.*\]\({chapter}(\.ipynb)?\) \|", text, re.M)
    ] == []
