"""How fast a live figure answers on the built site, in Chromium, everything pinned to one core.

    make book && python -m benchmarks.live_latency

The time of an answer runs from the event of the slider to the picture being drawn. The first includes loading the
runtime and the model, each time in a fresh browser context. A figure that iterates draws its first step first and is
done with its last.
"""

import functools
import http.server
import os
import shutil
import statistics
import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.machine import write_results
from course_lib import live

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"
FIRST_ROUNDS = 5
ANSWERS = 60

# Move one slider to a place and return the milliseconds until something is drawn, and until all is done.
MOVE = """
([name, index, share]) => new Promise((resolve, reject) => {
  const root = document.querySelector(`figure[data-figure="${name}"]`);
  const input = root.querySelectorAll("input[type=range]")[index];
  const begun = performance.now();
  let outputs, drawn;
  Object.defineProperty(root, "liveOutputs", {
    configurable: true,
    get: () => outputs,
    set: (given) => { outputs = given; drawn ??= performance.now() - begun; },
  });
  const watch = new MutationObserver(() => {
    if (root.dataset.state === "computing") return;
    watch.disconnect();
    if (root.dataset.state === "ready") resolve([drawn, performance.now() - begun]);
    else reject(new Error(root.querySelector(".live-status").textContent));
  });
  watch.observe(root, { attributeFilter: ["data-state"] });
  input.value = Math.round(share * input.max);
  input.dispatchEvent(new Event("input"));
})
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves without a word."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def page_with(name: str) -> str:
    """Return the page that shows the figure."""
    for path in sorted(SITE.glob("*.html")):
        if f'data-figure="{name}"' in path.read_text(encoding="utf-8"):
            return path.name
    raise SystemExit(f"No page in {SITE} shows the live figure {name!r}: run `make book` first.")


def open_page(browser: Browser, address: str, name: str) -> Page:
    """Open the page in a fresh browser context and wait for the figure's first picture."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(address)
    page.locator(f'figure[data-figure="{name}"][data-state="idle"]').scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    return page


def least_median_most(times: list[float]) -> list[int]:
    """Summarize a few times."""
    return [round(time) for time in (min(times), statistics.median(times), max(times))]


def measure(browser: Browser, address: str, figure: live.LiveFigure) -> dict[str, Any]:
    """Time first answers, and then answers at places all over the sliders."""
    where = f"{address}/{page_with(figure.name)}"
    ranges = [control for control in figure.controls if control.slider is not None]
    sliders = [index for index, control in enumerate(ranges) if control.name != figure.steps]
    first, first_done = [], []
    for _ in range(FIRST_ROUNDS):
        page = open_page(browser, where, figure.name)
        drawn, done = page.evaluate(MOVE, [figure.name, sliders[0], 0.4])
        first.append(drawn)
        first_done.append(done)
        page.context.close()
    page = open_page(browser, where, figure.name)
    page.evaluate(MOVE, [figure.name, sliders[0], 0.4])
    later = []
    for turn in range(ANSWERS):
        index = sliders[turn % len(sliders)]
        later.append(page.evaluate(MOVE, [figure.name, index, (0.13 + 0.37 * turn) % 1])[1])
    page.context.close()
    later.sort()
    return {
        "figure": figure.name,
        "outputs": {name: list(tensor.shape) for name, tensor in live.evaluate(figure).items() if tensor.ndim == 2},
        "steps": int(next(c.default for c in figure.controls if c.name == figure.steps)) if figure.steps else 1,
        "first_answer_ms": least_median_most(first),
        "first_all_steps_ms": least_median_most(first_done),
        "answer_ms_median": round(statistics.median(later), 1),
        "answer_ms_95_percent": round(later[int(0.95 * ANSWERS)], 1),
        "answers": ANSWERS,
    }


def main() -> None:
    """Measure, print and write ``benchmarks/results/live_latency.json``."""
    chromium = os.environ.get("COURSE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("Chromium is not installed: install it, or set COURSE_CHROMIUM to its program file.")
    pinned = hasattr(os, "sched_setaffinity")
    if pinned:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    handler = functools.partial(Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        address = f"http://127.0.0.1:{server.server_port}"
        rows = [measure(browser, address, figure) for figure in live.list_figures()]
        write_results(
            "live_latency",
            {
                "what": "live figures in the browser; first answers as [least, median, most]",
                "browser": f"Chromium {browser.version}",
                "one_core": pinned,
                "rows": rows,
            },
        )
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
