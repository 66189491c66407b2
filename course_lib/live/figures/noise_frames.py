"""One long exposure or many short ones: the same photons, but each frame adds its read noise."""

import torch

from course_lib import noise
from course_lib.live import Curve, CurvePanel, Draw, ImagePanel, LiveFigure, Number, NumberPanel, Tensors
from course_lib.live.figures.noise_camera import BRIGHT, scene
from course_lib.parameters import Parameters, parameter

MOST_FRAMES = 50
SHAPE = (128, 128)


class Sliders(Parameters):
    """What the reader can change."""

    photons: float = parameter(
        default=30.0,
        meaning="photons at the peak",
        unit="photons",
        minimum=0.0,
        slider=(1.0, 300.0),
        scale="log",
    )
    frames: int = parameter(default=20, meaning="frames that share them", minimum=1, slider=(1, MOST_FRAMES))
    read_noise_e: float = parameter(
        default=1.6, meaning="read noise", unit="e⁻", minimum=0.0, slider=(0.0, 6.0), step=0.1
    )


def add_frame(
    sliders: Tensors, draws: Tensors, assets: Tensors, state: Tensors, step: torch.Tensor
) -> tuple[Tensors, Tensors]:
    """Take one more short frame; the same photons, read once at the end, are the long exposure."""
    truth = sliders["photons"] * assets["scene"]
    electrons = state["electrons"] + noise.poisson_from_uniform(truth / sliders["frames"], draws["shot"])
    reads = state["reads"] + draws["read"]
    one_read = torch.where(step < 0.5, draws["read"], state["one_read"])
    total = electrons + sliders["read_noise_e"] * reads
    long = electrons + sliders["read_noise_e"] * one_read

    frames = torch.arange(1, MOST_FRAMES + 1)
    so_far = truth * (step + 1) / sliders["frames"]
    bright = (assets["scene"] > BRIGHT).double()
    signal = (truth * bright).sum() / bright.sum()
    signal_so_far = (so_far * bright).sum() / bright.sum()

    def measured(image: torch.Tensor) -> torch.Tensor:
        return signal_so_far / (((image - so_far) ** 2 * bright).sum() / bright.sum()) ** 0.5

    return {"electrons": electrons, "reads": reads, "one_read": one_read}, {
        "total": total,
        "long": long,
        "top": 1.3 * sliders["photons"],
        "bottom": 0 * sliders["photons"],
        "frames": frames.float(),
        "split": sliders["frames"].reshape(1),
        "formula": noise.snr(signal.expand(MOST_FRAMES), read_noise_e=sliders["read_noise_e"], frames=frames),
        "taken": step + 1,
        "snr": noise.snr(signal, read_noise_e=sliders["read_noise_e"], frames=sliders["frames"]),
        "measured": measured(total).reshape(1),
        "long_snr": noise.snr(signal, read_noise_e=sliders["read_noise_e"]),
        "long_measured": measured(long),
    }


FIGURE = LiveFigure(
    name="noise_frames",
    title="One long exposure or many short ones",
    caption=(
        "The same photons twice, as they arrive: left, read out once; right, read out after every frame and added up. "
        "Shot noise does not mind being split; read noise is paid for every frame. Find a dose at which ten frames "
        "cost less than a tenth of the SNR."
    ),
    alt=(
        "Left, one long exposure of a seminal receptacle; right, the noisier sum of many short frames with as many "
        "photons; below, the signal-to-noise ratio falling with the number of frames that share the photons."
    ),
    sliders=Sliders,
    function=add_frame,
    panels=(
        ImagePanel(output="long", title="One long exposure", unit="e⁻", value_range=("bottom", "top")),
        ImagePanel(output="total", title="Sum of the short frames", unit="e⁻", value_range=("bottom", "top")),
        CurvePanel(
            title="The dose split over n frames",
            x="frames",
            curves=(
                Curve(output="formula", label="SNR of the sum, by the formula"),
                Curve(output="measured", x="split", label="measured so far", style="points"),
            ),
            x_label="frames n that share the photons",
            y_label="SNR",
        ),
        NumberPanel(
            title="In the bright half of the scale",
            numbers=(
                Number(output="taken", label="frames taken", digits=0),
                Number(output="snr", label="SNR of the sum, formula", digits=2),
                Number(output="measured", label="… measured so far", digits=2),
                Number(output="long_snr", label="SNR of the long exposure, formula", digits=2),
                Number(output="long_measured", label="… measured", digits=2),
            ),
        ),
    ),
    draws={"shot": Draw("uniform", SHAPE), "read": Draw("normal", SHAPE)},
    assets={"scene": scene},
    state={name: torch.zeros(SHAPE) for name in ("electrons", "reads", "one_read")},
    steps="frames",
)
