"""Every page of the built book, found by listing: nothing foreign, nothing heavy, nothing that shuts people out."""

import functools
import gzip
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from fontTools.ttLib import TTFont
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
PAGES = sorted(page.name for page in SITE.glob("*.html")) or ["intro.html"]
AXE = ROOT / "_build" / "javascript" / "node_modules" / "axe-core" / "axe.min.js"
WEIGHT_LIMIT = 1_200_000

pytestmark = pytest.mark.site
every_page = pytest.mark.parametrize("name", PAGES)


@functools.cache
def weight(path: str) -> int:
    """Bytes of the file at the address `path`, compressed as a web server would."""
    return len(gzip.compress((SITE / unquote(path).lstrip("/")).read_bytes()))


def settle(page: Page) -> None:
    """Wait until the page has loaded all it asks for by itself, formulas included."""
    page.wait_for_load_state("networkidle")
    page.evaluate("async () => { if (window.MathJax?.startup) await MathJax.startup.promise; }")


@every_page
def test_it_asks_nothing_of_others_says_no_error_and_stays_light(page: Page, site, record, name: str) -> None:
    page.goto(f"{site}/{name}")
    settle(page)
    for height in range(0, page.evaluate("document.documentElement.scrollHeight"), 500):
        page.evaluate(f"window.scrollTo(0, {height})")  # figures below the fold load on the way
        page.wait_for_timeout(60)
    settle(page)
    assert record.foreign == []
    assert record.console == []
    paths = {urlsplit(address).path for address in record.own}
    assert f"/{name}" in paths
    assert not [path for path in paths if "/ort/" in path or path.endswith(".onnx")]
    weights = {path: weight(path) for path in paths}
    assert sum(weights.values()) <= WEIGHT_LIMIT, sorted(weights.items(), key=lambda item: -item[1])[:8]


@every_page
def test_each_icon_it_shows_is_in_the_fonts(page: Page, site, name: str) -> None:
    page.goto(f"{site}/{name}")
    settle(page)
    contents = page.evaluate(
        "[...document.querySelectorAll('*')].flatMap(e => ['::before', '::after'].map(p => getComputedStyle(e, p)))"
        ".filter(style => style.fontFamily.includes('Font Awesome')).map(style => style.content)"
    )
    shown = {character for content in contents for character in content if "\ue000" <= character <= "\uf8ff"}
    fonts = (SITE / "_static" / "vendor" / "fontawesome" / "webfonts").glob("*.woff2")
    drawn = {chr(code) for font in fonts for code in TTFont(font).getBestCmap()}
    assert shown
    assert shown <= drawn


@every_page
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Page, site, name: str, mode) -> None:
    page.emulate_media(color_scheme=mode, reduced_motion="reduce")
    page.goto(f"{site}/{name}")
    settle(page)
    assert page.evaluate("document.documentElement.dataset.theme") == mode
    page.evaluate(AXE.read_text(encoding="utf-8"))
    violations = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    serious = [
        f"{violation['id']}: {violation['help']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert not serious, "\n".join(serious)


@every_page
def test_it_fits_a_phone(page: Page, site, name: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{site}/{name}")
    settle(page)
    too_wide = page.evaluate(
        "() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('main *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 150))"
    )
    assert too_wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    sideways = page.evaluate(
        "() => [...document.querySelectorAll('.sentences pre, .live-figure .live-numbers')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 150))"
    )
    assert sideways == []


@every_page
@pytest.mark.parametrize("width", [390, 1280])
def test_what_opens_a_fold_stands_beside_its_title(page: Page, site, name: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{site}/{name}")
    settle(page)
    misplaced = page.evaluate(
        """() => [...document.querySelectorAll('.admonition.toggle > .admonition-title')].filter(title => {
            title.click();
            const button = title.querySelector('button').getBoundingClientRect();
            const box = title.getBoundingClientRect(), words = document.createRange();
            words.selectNodeContents(title.firstChild);
            const across = Math.max(...[...words.getClientRects()].map(line => line.right));
            return button.bottom > box.bottom || button.top < box.top
                || button.left < across || button.right > box.right;
        }).map(title => title.textContent.slice(0, 100))"""
    )
    assert misplaced == []


def test_sentences_wrap_and_columns_stay_aligned(page: Page, site) -> None:
    page.goto(f"{site}/your-images.html")
    wraps = (
        "text => getComputedStyle([...document.querySelectorAll('.cell_output pre')]"
        ".find(output => output.textContent.includes(text))).whiteSpace"
    )
    assert page.evaluate(wraps, "begin with structured blind spots") == "pre-wrap"
    assert page.evaluate(wraps, "as recorded        saturated") == "pre"


def test_in_the_dark_figures_are_dimmed_and_live_ones_are_not(page: Page, site) -> None:
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.goto(f"{site}/quantification.html")
    filters = "where => [...new Set([...document.querySelectorAll(where)].map(e => getComputedStyle(e).filter))]"
    assert page.evaluate(filters, ".cell_output figure:not(.live-figure) img") == ["brightness(0.8)"]
    assert page.evaluate(filters, ".live-figure img, .live-figure canvas") == ["none"]
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto(f"{site}/quantification.html")
    assert page.evaluate(filters, ".cell_output figure:not(.live-figure) img") == ["none"]
