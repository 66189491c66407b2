"""The widget in a kernel: what it shows, what it answers."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from course_lib import live
from course_lib.live.widget import LiveWidget, page_html


class Asked:
    """A widget whose answers are kept instead of being sent."""

    def __init__(self, figure: live.LiveFigure, monkeypatch: pytest.MonkeyPatch) -> None:
        self.widget = LiveWidget(figure)
        self.sent: list[tuple[Any, Any]] = []
        monkeypatch.setattr(self.widget, "send", lambda content, buffers=None: self.sent.append((content, buffers)))

    def ask(self, **request: Any) -> tuple[Any, Any]:
        self.widget._handle_custom_msg({"id": "1", **request}, [])
        return self.sent[-1]


def test_it_shows_the_widget_in_jupyterlab_and_html_on_the_page(blurred: live.LiveFigure) -> None:
    bundle = LiveWidget(blurred)._repr_mimebundle_()
    assert bundle is not None
    assert "application/vnd.jupyter.widget-view+json" in bundle[0]
    assert bundle[0]["text/html"] == page_html(blurred)


def test_the_html_names_the_poster_its_size_and_its_words() -> None:
    html = page_html(live.load_figure("noise_camera"))
    assert 'id="live-noise-camera" data-figure="noise_camera"' in html
    assert 'src="live/noise_camera/poster.png" width="680" height="620"' in html
    assert 'loading="lazy"' in html
    assert '<script type="module" src="live/live.mjs"></script>' in html
    assert "http" not in html


def test_the_html_is_escaped(blurred: live.LiveFigure) -> None:
    html = page_html(blurred)
    assert "Three &quot;points&quot; that are blurred." in html
    assert "Widen the blur &amp; watch." in html


def test_it_answers_with_what_torch_computes(blurred: live.LiveFigure, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"width_px": 1.0, "photons": 50.0, "levels": 7, "shape": "lorentz"}
    content, buffers = Asked(blurred, monkeypatch).ask(values=values, seed=2, first=0, last=1)
    expected = live.evaluate(blurred, values, seed=2, device="auto")
    assert content == {"id": "1", "names": list(expected)}
    for tensor, buffer in zip(expected.values(), buffers, strict=True):
        np.testing.assert_array_equal(np.frombuffer(buffer, dtype=np.float32), tensor.numpy().ravel())


def test_it_iterates_in_portions(averaged: live.LiveFigure, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(averaged, monkeypatch)
    values = {"frames": 5, "noise": 1.0}
    for _ in range(2):  # from the start again: the state of the last run is forgotten
        asked.ask(values=values, seed=1, first=0, last=2)
        _, buffers = asked.ask(values=values, seed=1, first=2, last=5)
        expected = live.evaluate(averaged, values, seed=1, device="auto")["mean"]
        np.testing.assert_array_equal(np.frombuffer(buffers[0], dtype=np.float32), expected.numpy().ravel())


def test_an_error_is_told_in_the_figure(blurred: live.LiveFigure, monkeypatch: pytest.MonkeyPatch) -> None:
    content, _ = Asked(blurred, monkeypatch).ask(values={"photons": -1.0}, seed=0, first=0, last=1)
    assert content["error"].startswith("ParameterError: photons is -1 photons, but must be at least 0 photons")


def test_values_set_in_python_are_checked(blurred: live.LiveFigure) -> None:
    widget = LiveWidget(blurred)
    widget.values = {"photons": 3.0}
    assert widget.values == {"width_px": 2.0, "photons": 3.0, "levels": 64, "shape": "gauss"}
    with pytest.raises(ValueError, match="'photon' is no slider of live figure 'blur'"):
        widget.values = {"photon": 3.0}


def test_importing_live_loads_neither_widgets_nor_exporters_nor_matplotlib() -> None:
    heavy = ["anywidget", "ipywidgets", "matplotlib", "onnx", "onnxscript", "IPython"]
    code = f"import course_lib.live, sys; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
