"""The other runtime: JupyterLab in the browser, whose kernel computes the live figure with torch."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from course_lib import live

pytestmark = pytest.mark.site

CELLS = (
    'from course_lib import live\nfigure = live.show("noise_camera")\nfigure',
    'print("photons now", figure.values["photons"], "seed", figure.seed)',
    'figure.values = {"photons": 500.0, "read_noise_e": 4.0}',
)


def notebook() -> dict[str, Any]:
    """Return a notebook of these cells."""
    cells = [
        {"cell_type": "code", "id": f"cell-{i}", "metadata": {}, "execution_count": None, "outputs": [], "source": text}
        for i, text in enumerate(CELLS)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Address of a JupyterLab whose only notebook is ours, with settings, workspaces and runtime files of its own."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "live.ipynb").write_text(json.dumps(notebook()), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    environment = {**os.environ, **{name: str(tmp_path / folder) for name, folder in folders.items()}}
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.password="),
        *("--allow-root", f"--ServerApp.root_dir={tmp_path / 'work'}"),
        *("--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
    ]
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api/status", server, tmp_path / "lab.log")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"JupyterLab did not answer at {address} within two minutes:\n{log.read_text()}")


def test_the_slider_reaches_the_kernel_and_the_kernel_the_slider(page: Page, lab: str, record: Any) -> None:
    figure = live.load_figure("noise_camera")
    page.goto(f"{lab}/lab/tree/live.ipynb?reset")
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    expect(cells).to_have_count(len(CELLS), timeout=90_000)
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=90_000)

    def run(index: int) -> None:
        cells.nth(index).locator(".jp-InputArea-editor").click()
        page.keyboard.press("Control+Enter")
        prompt = cells.nth(index).locator(".jp-InputPrompt").first
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=120_000)

    def shown(values: dict[str, float], seed: int) -> None:
        """Wait until the read-outs are those that torch computes here."""
        outputs = live.evaluate(figure, values, seed=seed)
        for panel in figure.panels:
            for number in panel.numbers if isinstance(panel, live.NumberPanel) else ():
                text = f"{float(outputs[number.output]):.{number.digits}f}".replace("-", "−")
                row = root.locator(".live-numbers > div").filter(has_text=number.label)
                expect(row.locator("dd")).to_have_text(f"{text} {number.unit}".strip(), timeout=60_000)

    run(0)
    root = page.locator("figure.live-figure")
    expect(root).to_have_attribute("data-state", "ready", timeout=120_000)
    expect(root.locator(".live-status")).to_contain_text("by the kernel with torch")
    shown({}, seed=0)

    slider = root.locator('input[name="photons"]')
    slider.press("End")
    slider.press("ArrowLeft")
    low, high = next(control.slider for control in figure.controls if control.name == "photons")
    photons = float(f"{low * (high / low) ** (119 / 120):.3g}")  # the last but one of 120 steps
    expect(root.locator("output").first).to_have_text(f"{photons:g} photons")
    root.get_by_role("button", name="New noise").click()
    expect(root).to_have_attribute("data-state", "ready", timeout=60_000)
    shown({"photons": photons}, seed=1)
    run(1)
    expect(cells.nth(1).locator(".jp-OutputArea-output")).to_have_text(f"photons now {photons:g} seed 1")

    run(2)
    expect(root.locator("output").first).to_have_text("500 photons", timeout=60_000)
    shown({"photons": 500.0, "read_noise_e": 4.0}, seed=1)
    assert not [text for text in record.console if "live" in text.lower() or "anywidget" in text.lower()]
