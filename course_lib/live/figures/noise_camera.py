"""Photons, background and read noise: what a camera makes of a scene that is known."""

import torch

from course_lib import datasets, noise
from course_lib.live import Curve, CurvePanel, Draw, ImagePanel, LiveFigure, Number, NumberPanel, Tensors, histogram
from course_lib.parameters import Parameters, parameter

GAIN_E_PER_ADU = 0.46
OFFSET_ADU = 100.0
BINS = 64
BRIGHT = 0.5
"""Pixels above this share of the peak count as the signal whose SNR is read out."""


def scene() -> torch.Tensor:
    """Return the receptacle, 4 × 4 pixels binned to 128 × 128: about 1200 photons a pixel, the peak scaled to 1."""
    counts = datasets.load("receptacle").tensor()
    binned = torch.nn.functional.avg_pool2d(counts[None], 4)[0]
    peak = binned.flatten().kthvalue(int(0.998 * binned.numel())).values
    return (binned / peak).clamp(max=1)


class Sliders(Parameters):
    """What the reader can change."""

    photons: float = parameter(
        default=30.0, meaning="photons at the peak", unit="photons", minimum=0.0, slider=(0.1, 1000.0), scale="log"
    )
    background_photons: float = parameter(
        default=5.0, meaning="background", unit="photons", minimum=0.0, slider=(0.0, 100.0), step=1.0
    )
    read_noise_e: float = parameter(
        default=1.6, meaning="read noise", unit="e⁻", minimum=0.0, slider=(0.0, 20.0), step=0.1
    )


def record(sliders: Tensors, draws: Tensors, assets: Tensors) -> Tensors:
    """Expose the scene, read it out, and compare signal and noise with the formula."""
    signal = sliders["photons"] * assets["scene"]
    electrons = noise.poisson_from_uniform(signal + sliders["background_photons"], draws["shot"])
    adu = noise.digitize(
        electrons + sliders["read_noise_e"] * draws["read"],
        gain_e_per_adu=GAIN_E_PER_ADU,
        offset_adu=OFFSET_ADU,
        bit_depth=16,
    )
    bright = (assets["scene"] > BRIGHT).double()
    estimate = (adu - OFFSET_ADU) * GAIN_E_PER_ADU - sliders["background_photons"]
    mean_signal = (signal * bright).sum() / bright.sum()
    error = (((estimate - signal) ** 2 * bright).sum() / bright.sum()) ** 0.5
    width = torch.ceil((adu.max() - adu.min() + 1) / BINS)  # whole ADU, or the bars would be a comb
    low = adu.min() - 0.5
    return {
        "mean": signal + sliders["background_photons"],
        "image": adu,
        "values": low + width * (torch.arange(BINS) + 0.5),
        "pixels": histogram(adu, low=low, width=width, bins=BINS),
        "snr": noise.snr(
            mean_signal,
            background_photons=sliders["background_photons"],
            read_noise_e=sliders["read_noise_e"],
        ),
        "measured": mean_signal / error,
        "shot": torch.sqrt(mean_signal + sliders["background_photons"]),
        "darkest": adu.min(),
    }


FIGURE = LiveFigure(
    name="noise_camera",
    title="From photons to the recorded image",
    caption=(
        "Left, the mean number of photons that each pixel detects: a real insect organ, counted long enough to "
        "pass for the truth. Right, one exposure by a camera with a gain of 0.46 e⁻/ADU and an offset of 100 ADU. "
        "Lower the photons until the structure drowns; then see which of background and read noise costs more."
    ),
    alt=(
        "Two images of a seminal receptacle, on the left smooth, on the right grainy as recorded with few photons; "
        "below them a histogram of the recorded values, and the signal-to-noise ratio by formula and as measured."
    ),
    sliders=Sliders,
    function=record,
    panels=(
        ImagePanel(output="mean", title="Mean of the detected photons", unit="photons"),
        ImagePanel(output="image", title="Recorded image", unit="ADU"),
        CurvePanel(
            title="Histogram of the recorded image",
            x="values",
            curves=(Curve(output="pixels", label="pixels", style="bars"),),
            x_label="recorded value (ADU)",
            y_label="pixels",
        ),
        NumberPanel(
            title="In the bright half of the scale",
            numbers=(
                Number(output="snr", label="SNR by the formula", digits=2),
                Number(output="measured", label="SNR as measured", digits=2),
                Number(output="shot", label="shot noise √(N + B)", unit="e⁻", digits=2),
                Number(output="darkest", label="darkest pixel", unit="ADU", digits=0),
            ),
        ),
    ),
    draws={"shot": Draw("uniform", (128, 128)), "read": Draw("normal", (128, 128))},
    assets={"scene": scene},
)
