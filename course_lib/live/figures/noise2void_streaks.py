"""Noise2Void and structN2V where the noise of neighbours is shared: a real trained network, at any correlation."""

from functools import cache

import torch

from course_lib.live import Curve, CurvePanel, Draw, ImagePanel, LiveFigure, Number, NumberPanel, Tensors
from course_lib.live.figures.care_domain import PIXEL_UM, SIDE, bells, filaments, smoothed
from course_lib.networks import Model, pretrained
from course_lib.parameters import Parameters, parameter

NETWORK = "noise2void_live_2d"
PEAK = 100.0
"""Of the scene, in per cent; the noise is given in the same unit."""
MOST_CORRELATION, MOST_HIDDEN = 0.6, 5
NOISE_PERCENT = (10.0, 60.0)
FARTHEST_PX = 8
"""Lag to which the noise is compared with itself."""


class Sliders(Parameters):
    """What the reader can change."""

    correlation: float = parameter(
        default=0.5,
        meaning="correlation of a pixel's noise with that of the pixel below",
        unit="of 1",
        minimum=0.0,
        maximum=MOST_CORRELATION,
        slider=(0.0, MOST_CORRELATION),
        step=0.05,
    )
    hidden_pixels: float = parameter(
        default=3.0,
        meaning="pixels above and below that structN2V hides, too",
        unit="pixels",
        minimum=0.0,
        maximum=float(MOST_HIDDEN),
        slider=(0.0, float(MOST_HIDDEN)),
        step=1.0,
    )
    noise_percent: float = parameter(
        default=30.0,
        meaning="noise, standard deviation",
        unit="% of the peak",
        minimum=0.0,
        slider=NOISE_PERCENT,
    )


def streaked(white: torch.Tensor, correlation: torch.Tensor) -> torch.Tensor:
    r"""Return noise (..., Y, X) whose correlation down the columns is :math:`c^{|\Delta y|}`, from white noise.

    Each row is `c` times the row above and the square root of 1 - c² times new noise, so that the variance stays.
    """
    rows = torch.arange(float(white.shape[-2]), device=white.device)
    steps = rows[:, None] - rows
    shares = torch.where(rows > 0, (1 - correlation**2).sqrt(), torch.ones_like(correlation))
    kernel = torch.where(steps >= 0, correlation ** steps.clamp(min=0), torch.zeros_like(correlation)) * shares
    return kernel @ white


def with_conditions(
    image: torch.Tensor, correlation: torch.Tensor, hidden: torch.Tensor, noise_percent: torch.Tensor
) -> torch.Tensor:
    """Return what the network sees, (4, Y, X): the image, and three maps that tell how it was to be trained."""
    plane = torch.zeros_like(image)
    told = (correlation / MOST_CORRELATION, hidden / MOST_HIDDEN, noise_percent / NOISE_PERCENT[1])
    return torch.stack([image / PEAK, *(plane + one for one in told)])


@cache
def trained(device: torch.device) -> Model:
    """Return the trained network, loaded once."""
    model = pretrained(NETWORK)
    model.network.to(device).requires_grad_(False)
    return model


def covariance(left: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Return how much pixels share of what is left, by their distance down a column, relative to the noise."""
    left = left.double()
    height = left.shape[0]
    shared = [(left[: height - lag] * left[lag:]).mean() for lag in range(FARTHEST_PX + 1)]
    return (torch.stack(shared) / variance).float()


def restore(sliders: Tensors, draws: Tensors, assets: Tensors) -> Tensors:
    """Record the scene with noise in streaks, and restore it twice by the network."""
    correlation, hidden, level = sliders["correlation"], sliders["hidden_pixels"], sliders["noise_percent"]
    truth = PEAK * assets["scene"]
    image = truth + level * streaked(draws["white"], correlation)
    seen = [with_conditions(image, correlation, mask, level) for mask in (0 * hidden, hidden)]
    blind, masked = PEAK * trained(image.device).network(torch.stack(seen))[:, 0]
    variance = level.double() ** 2
    curves = [covariance(one - truth, variance) for one in (image, blind, masked)]
    filtered = torch.stack([covariance(one - truth, variance)[0] for one in smoothed(image, assets["bells"])])
    return {
        "truth": truth,
        "image": image,
        "noise2void": blind,
        "structn2v": masked,
        "lag": torch.arange(FARTHEST_PX + 1.0),
        "of_noise": curves[0],
        "of_noise2void": curves[1],
        "of_structn2v": curves[2],
        "left_by_noise2void": 100 * curves[1][0].sqrt(),
        "left_by_structn2v": 100 * curves[2][0].sqrt(),
        "left_by_gaussian": 100 * filtered.min().sqrt(),
    }


FIGURE = LiveFigure(
    name="noise2void_streaks",
    title="Noise2Void when neighbours share their noise",
    caption=(
        "Both restorations come from a network that was trained by Noise2Void on noisy filaments alone, of every "
        "correlation and every mask that the sliders allow, and is told which. With a correlation of 0 "
        "both are ahead of the best Gaussian filter, and hiding more than the pixel makes no difference worth having. "
        "Raise the correlation: the neighbours above and below now tell the hidden noise, and Noise2Void learns to "
        "keep it. How many of them must be hidden, until it is gone? The curves tell how much of the noise's variance "
        "is left (at distance 0), and how far it is shared; the read-outs, the error that is left, in per cent of the "
        "noise."
    ),
    alt=(
        "Four images of the same filaments: the truth; recorded with noise in short vertical streaks; restored by "
        "Noise2Void, still streaked; and by structN2V, smooth. Curves below compare the noise and what both leave of "
        "it with itself a few pixels down; read-outs give the errors left, with that of the best Gaussian filter."
    ),
    sliders=Sliders,
    function=restore,
    panels=(
        *(
            ImagePanel(
                output=output,
                title=title,
                unit="% of the peak",
                pixel_size_um=PIXEL_UM,
                value_range=(-20.0, 120.0),
                color_map="magma",
            )
            for output, title in (
                ("truth", "The truth"),
                ("image", "Recorded"),
                ("noise2void", "Noise2Void"),
                ("structn2v", "structN2V"),
            )
        ),
        CurvePanel(
            x="lag",
            curves=(
                Curve(output="of_noise", label="the noise", style="dotted"),
                Curve(output="of_noise2void", label="left by Noise2Void", style="dashed"),
                Curve(output="of_structn2v", label="left by structN2V"),
            ),
            title="What is shared with the pixels below",
            x_label="distance down a column (pixels)",
            y_label="covariance / noise variance",
            y_range=(-0.1, 1.0),
        ),
        NumberPanel(
            numbers=(
                Number(output="left_by_noise2void", label="error left by Noise2Void", unit="%"),
                Number(output="left_by_structn2v", label="error left by structN2V", unit="%"),
                Number(output="left_by_gaussian", label="left by the best Gaussian", unit="%"),
            ),
        ),
    ),
    draws={"white": Draw("normal", (SIDE, SIDE))},
    assets={"scene": filaments, "bells": bells},
)
