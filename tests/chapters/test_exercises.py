"""Every exercise of the book: its blank is answered kindly, its folded solution passes."""

import json
import re
from pathlib import Path

import pytest

from course_lib.exercises import Feedback

BOOK = Path(__file__).parents[2] / "book"


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def tagged(path: Path, tag: str) -> list[str]:
    return ["".join(c["source"]) for c in cells(path) if tag in c["metadata"].get("tags", [])]


CHAPTERS = [path for path in sorted(BOOK.glob("*.ipynb")) if tagged(path, "exercise")]
CASES = [
    pytest.param(path, index, id=f"{path.stem}-{index + 1}")
    for path in CHAPTERS
    for index in range(len(tagged(path, "exercise")))
]


def run(path: Path, source: str) -> Feedback:
    """Run a cell after the imports of its chapter, and return what its last line shows."""
    namespace: dict = {}
    for cell in cells(path):
        if cell["cell_type"] == "code":
            for line in "".join(cell["source"]).splitlines():
                if re.match(r"(import|from) ", line):
                    exec(line, namespace)
    body, _, last = source.rstrip().rpartition("\n")
    exec(body, namespace)
    feedback = eval(last, namespace)
    assert isinstance(feedback, Feedback)
    return feedback


def test_chapters_with_exercises_are_found() -> None:
    assert {"start", "noise"} <= {path.stem for path in CHAPTERS}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_exercise_has_a_folded_solution_of_its_own(path: Path) -> None:
    exercises, solutions = tagged(path, "exercise"), tagged(path, "solution")
    assert len(exercises) == len(solutions)
    assert len(tagged(path, "hide-cell")) >= len(solutions)
    for exercise, solution in zip(exercises, solutions, strict=True):
        assert exercise.rstrip().splitlines()[-1] == solution.rstrip().splitlines()[-1]
        assert ".check(" in exercise.rstrip().splitlines()[-1]


@pytest.mark.parametrize(("path", "index"), CASES)
def test_blank_then_solution(path: Path, index: int) -> None:
    assert run(path, tagged(path, "exercise")[index]).status == "blank"
    assert run(path, tagged(path, "solution")[index]).status == "passed"
