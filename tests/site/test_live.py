"""Every live figure, found by listing, in the browser: what the page computes is what torch computes."""

import functools
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Locator, Page, expect

from course_lib import live
from course_lib.live import export
from course_lib.live.widget import page_html
from course_lib.parameters import Parameters, parameter

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
FIGURES = {figure.name: figure for figure in live.list_figures()}
SLIDERS = [(figure.name, control.name) for figure in FIGURES.values() for control in figure.controls]

pytestmark = pytest.mark.site
every_figure = pytest.mark.parametrize("name", FIGURES)


def page_of(name: str) -> str:
    """Return the page of the book that shows the figure: the chapter rather than a page that borrows it."""
    pages = [path for path in sorted(SITE.glob("*.html")) if f'data-figure="{name}"' in path.read_text("utf-8")]
    assert pages, f"no page of the book shows the live figure {name!r}"
    return min(pages, key=lambda path: (path.name == "start.html", path.name)).name


def open_figure(page: Page, address: str, name: str) -> Locator:
    page.goto(address)
    root = page.locator(f'figure[data-figure="{name}"]')
    root.scroll_into_view_if_needed()
    expect(root).to_have_attribute("data-state", "idle")
    expect(root.locator(".live-poster")).to_have_count(0)
    return root


def settled(root: Locator) -> None:
    """Wait for the answer to the last touch; a first one loads the runtime."""
    expect(root).to_have_attribute("data-state", re.compile("ready|error"), timeout=60_000)
    expect(root).to_have_attribute("data-state", "ready")


def picture(root: Locator) -> list[str]:
    """Return all that is drawn and read out."""
    drawn = root.evaluate("root => [...root.querySelectorAll('canvas')].map(canvas => canvas.toDataURL())")
    return [*drawn, *root.locator(".live-numbers dd").all_inner_texts()]


def check_against_torch(root: Locator, figure: live.LiveFigure) -> dict[str, Any]:
    """Compare the numbers on the page with torch's at the same values and seed; return these values."""
    request, outputs = root.evaluate(
        "root => [root.liveRequest, "
        "Object.fromEntries(Object.entries(root.liveOutputs).map(([name, array]) => [name, [...array]]))]"
    )
    expected = live.evaluate(figure, request["values"], seed=request["seed"])
    assert set(outputs) == set(expected)
    for name, tensor in expected.items():
        reference = tensor.numpy().ravel()
        finite = reference[np.isfinite(reference)]
        span = float(np.ptp(finite)) if finite.size > 1 else float(np.abs(finite).max(initial=0))
        found = np.array([np.nan if value is None else value for value in outputs[name]])
        tolerance = 1e-4 * (span or 1.0) + 1e-6  # where an error is 0, float32 leaves its rounding
        np.testing.assert_allclose(found, reference, rtol=0, atol=tolerance, err_msg=f"{name}, {request}")
    values: dict[str, Any] = request["values"]
    return values


@every_figure
def test_before_the_first_touch_it_is_drawn_and_nothing_of_the_runtime_is_loaded(
    page: Page, site: str, record: Any, name: str
) -> None:
    root = open_figure(page, f"{site}/{page_of(name)}", name)
    page.wait_for_load_state("networkidle")
    for canvas in root.locator("canvas").all():
        colors = canvas.evaluate(
            "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
        )
        assert colors > 3
        assert canvas.get_attribute("aria-label")
    assert not [address for address in record.own if "/ort/" in address or "worker" in address or ".onnx" in address]
    assert record.foreign == []
    assert record.console == []


@pytest.mark.parametrize(("name", "slider"), SLIDERS)
def test_each_slider_changes_the_picture_and_the_numbers_are_those_of_torch(
    page: Page, site: str, record: Any, name: str, slider: str
) -> None:
    figure = FIGURES[name]
    root = open_figure(page, f"{site}/{page_of(name)}", name)
    control = root.locator(f'[name="{slider}"]')
    before = picture(root)
    for key in ("End", "ArrowLeft", "Home"):
        control.press(key)
        settled(root)
        values = check_against_torch(root, figure)
        after = picture(root)
        assert after != before, f"{slider} = {values[slider]}"
        before = after
    for other in figure.controls:
        if other.name != slider:
            assert values[other.name] == other.default
    assert record.foreign == []
    assert record.console == []


@every_figure
def test_arrow_keys_move_one_step_and_the_value_is_told(page: Page, site: str, name: str) -> None:
    root = open_figure(page, f"{site}/{page_of(name)}", name)
    for control in root.locator("input[type=range]").all():
        place, told = control.input_value(), control.get_attribute("aria-valuetext")
        control.press("ArrowRight")
        assert int(control.input_value()) == int(place) + 1
        assert control.get_attribute("aria-valuetext") != told
        control.press("ArrowLeft")
        assert control.input_value() == place
    settled(root)


@every_figure
def test_new_noise_and_reset(page: Page, site: str, name: str) -> None:
    figure = FIGURES[name]
    root = open_figure(page, f"{site}/{page_of(name)}", name)
    root.get_by_role("button", name="Reset").click()
    settled(root)
    check_against_torch(root, figure)
    first = picture(root)
    root.locator("input[type=range]").first.press("End")
    settled(root)
    assert picture(root) != first
    moved = picture(root)
    new_noise = root.get_by_role("button", name="New noise")
    assert new_noise.count() == bool(figure.draws)
    if figure.draws:
        new_noise.click()
        settled(root)
        assert root.evaluate("root => root.liveRequest.seed") == 1
        check_against_torch(root, figure)
        assert picture(root) != moved
    root.get_by_role("button", name="Reset").click()
    settled(root)
    assert picture(root) == first


@every_figure
def test_the_last_place_of_a_quick_drag_wins(page: Page, site: str, name: str) -> None:
    root = open_figure(page, f"{site}/{page_of(name)}", name)
    control = root.locator("input[type=range]").first
    control.evaluate(
        "input => { for (let i = 0; i <= Number(input.max); i++) {"
        " input.value = i; input.dispatchEvent(new Event('input')); } }"
    )
    settled(root)
    values = check_against_torch(root, FIGURES[name])
    name, (_, highest) = next((c.name, c.slider) for c in FIGURES[name].controls if c.slider is not None)
    assert values[name] == highest


@every_figure
def test_the_picture_is_described_and_the_numbers_are_spoken(page: Page, site: str, name: str) -> None:
    root = open_figure(page, f"{site}/{page_of(name)}", name)
    control = root.locator("input[type=range]").first
    control.press("ArrowRight")
    settled(root)
    told = control.get_attribute("aria-valuetext")
    for canvas in root.locator("canvas").all():
        assert told in (canvas.get_attribute("aria-label") or "")
    if root.locator(".live-numbers").count():
        expect(root.locator("[aria-live=polite]")).to_contain_text(root.locator("dd").first.inner_text())


@every_figure
def test_the_dark_theme_redraws_the_axes(page: Page, site: str, name: str) -> None:
    root = open_figure(page, f"{site}/{page_of(name)}", name)
    light = picture(root)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_timeout(100)
    assert picture(root) != light


@every_figure
def test_without_javascript_the_poster_stands_with_its_caption(browser: Browser, site: str, name: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{site}/{page_of(name)}")
    root = page.locator(f'figure[data-figure="{name}"]')
    poster = root.locator("img")
    poster.scroll_into_view_if_needed()
    expect(poster).to_be_visible()
    assert poster.get_attribute("alt") == FIGURES[name].alt
    assert page.request.get(f"{site}/{poster.get_attribute('src')}").headers["content-type"] == "image/png"
    expect(root.locator("figcaption")).to_contain_text(FIGURES[name].caption)
    context.close()


def test_a_missing_model_is_told_in_the_figure_and_tried_again(page: Page, site: str) -> None:
    root = open_figure(page, f"{site}/{page_of('noise_camera')}", "noise_camera")
    slider = root.locator("input[type=range]").first
    page.route("**/model.onnx", lambda route: route.fulfill(status=404))
    slider.press("ArrowRight")
    expect(root).to_have_attribute("data-state", "error", timeout=60_000)
    expect(root.locator(".live-status")).to_contain_text("This did not work:")
    expect(root.locator(".live-status")).to_contain_text("model.onnx answered 404")
    page.unroute("**/model.onnx")
    slider.press("ArrowRight")
    settled(root)
    check_against_torch(root, FIGURES["noise_camera"])


def test_a_page_opened_as_a_file_says_what_to_do(browser: Browser) -> None:
    page = browser.new_page()
    page.goto((SITE / page_of("noise_camera")).as_uri())
    root = page.locator('figure[data-figure="noise_camera"]')
    expect(root.locator(".live-file")).to_contain_text("type make serve")
    expect(root.locator("img")).to_be_visible()
    page.close()


class Words(Parameters):
    """A slider and a list of words."""

    frequency: float = parameter(default=2.0, meaning="frequency", unit="1/µm", minimum=0, slider=(1, 4), step=0.5)
    wave: str = parameter(default="sine", meaning="wave", choices=("sine", "square"))


def wave(sliders: live.Tensors, draws: live.Tensors, assets: live.Tensors) -> live.Tensors:
    x = assets["x"]
    sine = torch.sin(2 * torch.pi * sliders["frequency"] * x)
    y = torch.where(sliders["wave"] < 0.5, sine, torch.sign(sine))
    return {"x": x, "y": y, "size": torch.exp(3 * y), "here": x[32:33], "there": y[32:33], "image": y.expand(8, 64)}


WAVE = live.LiveFigure(
    name="wave",
    title="Waves",
    caption="Choose one.",
    alt="A wave.",
    sliders=Words,
    function=wave,
    panels=(
        live.CurvePanel(
            title="All styles",
            x="x",
            curves=(
                live.Curve(output="y", label="line"),
                live.Curve(output="size", label="dashed", style="dashed"),
                live.Curve(output="size", label="dotted", style="dotted"),
                live.Curve(output="y", label="points", style="points"),
                live.Curve(output="there", label="here", style="points", x="here"),
            ),
            x_label="x (µm)",
            y_label="height",
            y_scale="log",
            x_range=(0.0, 1.0),
        ),
        live.ImagePanel(output="image", title="Stripes", unit="a.u.", pixel_size_um=0.1, value_range=(-1.0, 1.0)),
    ),
    assets={"x": functools.partial(torch.linspace, 0, 1, 64)},
)


@pytest.fixture
def small_site(site: str, tmp_path: Path) -> Iterator[str]:
    """A page of one figure, with the runtime of the book."""
    export.export_all(tmp_path / "live", chosen=[WAVE])
    shutil.copytree(SITE / "live" / "ort", tmp_path / "live" / "ort")
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Wave</title><link rel="icon" href="data:,">'
    (tmp_path / "index.html").write_text(head + page_html(WAVE), encoding="utf-8")
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def test_words_all_styles_of_curves_and_no_noise(page: Page, small_site: str, record: Any) -> None:
    root = open_figure(page, f"{small_site}/index.html", "wave")
    before = picture(root)
    root.get_by_label("wave", exact=True).select_option("square")
    settled(root)
    assert check_against_torch(root, WAVE) == {"frequency": 2.0, "wave": "square"}
    assert picture(root) != before
    assert root.get_by_role("button", name="New noise").count() == 0
    image = root.locator(".live-panel-image canvas")
    image.hover(position={"x": 20, "y": 10})
    expect(root.locator(".live-probe")).to_contain_text(re.compile(r"x \d\.\d, y 0\.\d µm: −?[01] a\.u\."))
    assert record.console == []
