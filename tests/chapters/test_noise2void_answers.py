"""The numbers that the chapter on Noise2Void tells of its live figure are those of the figure."""

import json
from pathlib import Path

import pytest

from course_lib import live
from course_lib.live.figures.noise2void_streaks import FIGURE

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("one_thread")


def told() -> str:
    cells = json.loads((ROOT / "book" / "noise2void.ipynb").read_text(encoding="utf-8"))["cells"]
    (text,) = [
        source for source in ("".join(cell["source"]) for cell in cells) if "where on is Noise2Void worse" in source
    ]
    return text


def left(by: str, *, correlation: float, hidden: float = 0.0) -> str:
    shown = live.evaluate(FIGURE, {"correlation": correlation, "hidden_pixels": hidden})
    return f"{float(shown[f'left_by_{by}']):.0f} %"


def test_the_answers_are_those_of_the_figure() -> None:
    text = told()
    white = left("noise2void", correlation=0.0), left("gaussian", correlation=0.0)
    assert f"an error of {white[0]} of the noise's standard deviation, the filter one of {white[1]}" in text
    shared = left("noise2void", correlation=0.2), left("gaussian", correlation=0.2)
    assert f"From 0.2 on: {shared[0]} against {shared[1]}." in text
    two, three, five = (left("structn2v", correlation=0.6, hidden=hidden) for hidden in (2.0, 3.0, 5.0))
    assert f"With two hidden pixels the error is {two}, with three {three}, with five no less." in text
    assert float(five[:-2]) >= float(three[:-2])
