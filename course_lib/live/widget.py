"""A live figure in a notebook: the kernel computes, and the published page carries the same figure without it."""

from html import escape
from typing import Any

import anywidget
import traitlets

from course_lib import devices
from course_lib.live import front
from course_lib.live.declare import LiveFigure
from course_lib.live.manifest import manifest
from course_lib.live.poster import poster_size
from course_lib.live.run import advance, check_values, first_step, initial_state

__all__ = ["LiveWidget", "page_html"]

_ASIDE = (
    "This page was opened as a file, so the figure cannot move: "
    "type <code>make serve</code> and open the address it prints."
)


def page_html(figure: LiveFigure) -> str:
    """Return the HTML of the figure on the published site: its poster, its caption and the script."""
    width, height = poster_size(figure)
    name = figure.name
    return (
        f'<figure class="live-figure" id="live-{name.replace("_", "-")}" data-figure="{name}" data-state="poster">\n'
        f'<link rel="stylesheet" href="live/live.css">\n'
        f'<img class="live-poster" src="live/{name}/poster.png" width="{width}" height="{height}" '
        f'alt="{escape(figure.alt)}" loading="lazy">\n'
        f'<p class="live-file" hidden>{_ASIDE}</p>\n'
        f"<figcaption><strong>{escape(figure.title)}.</strong> {escape(figure.caption)}</figcaption>\n"
        f'<script>if (location.protocol === "file:") '
        f"document.currentScript.parentElement.querySelector('.live-file').hidden = false;</script>\n"
        f'<script type="module" src="live/live.mjs"></script>\n'
        f"</figure>"
    )


class LiveWidget(anywidget.AnyWidget):
    """The live figure in JupyterLab.

    The front end asks for values and a seed and gets the outputs that torch computes, on the GPU if there is one.

    Attributes
    ----------
    values : dict
        Values of the sliders now; setting it moves them.
    seed : int
        Seed of the noise now.
    """

    _esm = front.page_script()
    _css = front.style()
    manifest = traitlets.Dict().tag(sync=True)
    computes = traitlets.Unicode().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)

    def __init__(self, figure: LiveFigure) -> None:
        self.figure = figure
        self.device = devices.resolve("auto")
        defaults = check_values(figure, {})
        step = first_step(figure, defaults)
        self._state, first = advance(
            figure,
            values=defaults,
            seed=0,
            state=initial_state(figure, values=defaults, seed=0, device=self.device),
            first=step,
            last=step + 1,
            device=self.device,
        )
        super().__init__(
            manifest=manifest(figure, first),
            computes=f"by the kernel with torch ({devices.describe(self.device)})",
            values=defaults,
        )
        self.on_msg(self._answer)

    @traitlets.validate("values")
    def _check(self, proposal: Any) -> dict[str, Any]:
        return check_values(self.figure, proposal["value"])

    def _answer(self, _widget: Any, request: dict[str, Any], _buffers: Any) -> None:
        try:
            values = check_values(self.figure, request["values"])
            if request["first"] == first_step(self.figure, values):
                self._state = initial_state(self.figure, values=values, seed=request["seed"], device=self.device)
            self._state, outputs = advance(
                self.figure,
                values=values,
                seed=request["seed"],
                state=self._state,
                first=request["first"],
                last=request["last"],
                device=self.device,
            )
        except Exception as error:  # whatever went wrong belongs into the figure, where the reader looks
            self.send({"id": request["id"], "error": f"{type(error).__name__}: {error}"})
            return
        buffers = [tensor.contiguous().numpy().tobytes() for tensor in outputs.values()]
        self.send({"id": request["id"], "names": list(outputs)}, buffers)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        return {**data, "text/html": page_html(self.figure)}, metadata
