"""A served site and a browser that cannot reach anything else.

Fixtures
--------
site : str
    Address of the built book (``_build/html``), served for the session; without a slash at its end.
pages : list of str
    Names of all its pages, such as ``"noise.html"``; `PAGES` is the same list for ``parametrize``.
browser : playwright.sync_api.Browser
    The installed Chromium, Chrome or Edge, for one test file: Playwright keeps an event loop running in this thread,
    which the notebooks' kernels, tested later, must not meet.
record : Record
    What happens on `page`: ``record.console`` (errors and uncaught exceptions), ``record.foreign`` (requests to
    elsewhere, all of them aborted), ``record.own`` (addresses asked of this machine, in their order).
page : playwright.sync_api.Page
    A fresh page, 1280 × 900, that writes `record`. Set ``page.emulate_media(color_scheme="dark")`` before ``goto``,
    or call `in_mode`, for the dark theme.
"""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
PAGES = sorted(page.name for page in SITE.glob("*.html")) or ["intro.html"]
HERE = {"127.0.0.1", "localhost"}

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str:
    """Return the program file of the browser, or fail and say how to get one."""
    asked = os.environ.get("COURSE_CHROMIUM")
    if asked is not None:
        if Path(asked).is_file():
            return asked
        pytest.fail(f"COURSE_CHROMIUM is {asked!r}, but no such file exists: set it to a browser, or unset it.")
    for found in (*map(shutil.which, NAMES), *(place for place in PLACES if Path(place).is_file())):
        if found:
            return found
    pytest.fail(
        "The browser tests need Chromium, Chrome or Edge, and none is installed: `sudo apt-get install chromium`, "
        "or set COURSE_CHROMIUM to its program file."
    )


@dataclass
class Record:
    """What a page said and asked for."""

    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    if not (SITE / "index.html").is_file():
        pytest.fail("There is no built book in _build/html: run `make book` first.")
    handler = functools.partial(_Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def pages() -> list[str]:
    return PAGES


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def page(browser: Browser, record: Record) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")

    def pass_or_abort(route: Route) -> None:
        if urlsplit(route.request.url).hostname in HERE:
            record.own.append(route.request.url)
            route.continue_()
        else:
            record.foreign.append(route.request.url)
            route.abort()

    context.route("**/*", pass_or_abort)
    opened = context.new_page()
    opened.on("console", lambda message: record.console.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: record.console.append(str(error)))
    yield opened
    context.close()
