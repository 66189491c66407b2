"""What the frame of the site offers: search, and a dark mode that stays."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.site


def test_search_finds_read_noise(page: Page, site, record) -> None:
    page.goto(f"{site}/intro.html")
    page.keyboard.press("Control+k")
    page.locator("#pst-search-dialog input[type=search]").fill("read noise")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=read+noise")
    found = page.locator("#search-results ul.search li a[href*='glossary.html']").first
    expect(found).to_be_visible()
    assert record.foreign == []
    assert record.console == []


def test_the_dark_mode_switches_and_stays(page: Page, site) -> None:
    def brightness() -> float:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.strip("rgb()").split(",")) / 3

    page.goto(f"{site}/intro.html")
    assert brightness() > 240
    for _ in range(3):
        if page.evaluate("document.documentElement.dataset.mode") == "dark":
            break
        page.locator(".article-header-buttons .theme-switch-button").click()
    assert brightness() < 40
    page.goto(f"{site}/glossary.html")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert brightness() < 40
