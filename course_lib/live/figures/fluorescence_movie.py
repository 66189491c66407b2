"""Power, exposure and frames: what each frame of a movie has to live on, and what brightness correction gives back."""

from functools import cache

import torch

from course_lib import fluorescence, noise, samples
from course_lib.live import Curve, CurvePanel, Draw, ImagePanel, LiveFigure, Number, NumberPanel, Tensors
from course_lib.parameters import Parameters, parameter

SHAPE = (128, 128)
PIXEL_UM = 0.1
MOLECULES_PER_PIXEL = 3.0
BACKGROUND_SHARE = 0.1
READ_NOISE_E = 1.6
WANTED_SNR = 5.0
HALF_DOSE_J_PER_CM2 = 200.0
BRIGHT = 0.5
"""Pixels above this share of the peak count as the signal whose SNR is read out."""
POINTS = 200


def cell() -> torch.Tensor:
    """Return a cytoskeleton, its brightest pixels scaled to 1."""
    density = samples.filaments(SHAPE, voxel_size_um=(PIXEL_UM, PIXEL_UM), diameter_um=0.35, count=30, rng=5)
    peak = density.flatten().kthvalue(int(0.98 * density.numel())).values
    return (density / peak).clamp(max=1)


@cache
def one_milliwatt() -> fluorescence.PhotonBudget:
    """Return the budget of an EGFP molecule under an LED of 1 mW on 100 µm × 100 µm, exposed for 1 ms."""
    return fluorescence.photon_budget(
        fluorescence.fluorophore("EGFP"),
        fluorescence.led(center_nm=470, width_nm=25, power_mw=1.0),
        filters=fluorescence.filter_set("GFP"),
        exposure_ms=1.0,
    )


def to_grid(photons: torch.Tensor) -> torch.Tensor:
    """Round to 1/256 photon, so that the last digit of an exponential decides about no count, whatever computes it."""
    return torch.round(256 * photons) / 256


class Sliders(Parameters):
    """What the reader can change."""

    power_mw: float = parameter(default=10.0, meaning="power", unit="mW", minimum=0.0, slider=(0.1, 100.0), scale="log")
    exposure_ms: float = parameter(
        default=100.0, meaning="exposure of a frame", unit="ms", minimum=0.0, slider=(1.0, 1000.0), scale="log"
    )
    frames: int = parameter(default=200, meaning="frames of the movie", minimum=1, slider=(5, 500), step=5)
    moment_percent: float = parameter(
        default=75.0, meaning="moment shown", unit="% of the movie", minimum=0.0, slider=(0.0, 100.0), step=1.0
    )


def record(sliders: Tensors, draws: Tensors, assets: Tensors) -> Tensors:
    """Take the frame at the chosen moment, and follow SNR, survivors and health through the movie."""
    egfp, budget = fluorescence.fluorophore("EGFP"), one_milliwatt()
    excited = fluorescence.excited_fraction(sliders["power_mw"] * budget.excitation_rate_per_s, egfp.lifetime_ns)
    cycle_rate_per_s = excited / (egfp.lifetime_ns * 1e-9)
    emitted = fluorescence.emitted_photons(
        cycle_rate_per_s,
        quantum_yield=egfp.quantum_yield,
        photons_before_bleaching=egfp.photons_before_bleaching,
        exposure_ms=sliders["exposure_ms"],
    )
    detected = emitted * (budget.detected / budget.emitted)
    first = MOLECULES_PER_PIXEL * detected
    background = BACKGROUND_SHARE * first  # autofluorescence, which is taken not to bleach
    unbleached = egfp.quantum_yield * cycle_rate_per_s * sliders["exposure_ms"] * 1e-3
    rate = unbleached / egfp.photons_before_bleaching

    frames = torch.linspace(0, 1, POINTS) * (sliders["frames"] - 1)
    survivors = fluorescence.survival(frames, rate=rate)
    moment = torch.round(sliders["moment_percent"] / 100 * (sliders["frames"] - 1))
    left = fluorescence.survival(moment, rate=rate)

    signal = to_grid(first * left) * assets["cell"]
    mean = signal + to_grid(background)
    electrons = noise.poisson_from_uniform(mean, draws["shot"]) + READ_NOISE_E * draws["read"]
    image = electrons - background
    bright = (assets["cell"] > BRIGHT).float()
    mean_cell = (assets["cell"] * bright).sum() / bright.sum()
    error = (((image - signal) ** 2 * bright).sum() / bright.sum()) ** 0.5

    def snr(share: torch.Tensor) -> torch.Tensor:
        return noise.snr(first * mean_cell * share, background_photons=background, read_noise_e=READ_NOISE_E)

    every_frame = torch.arange(500)
    taken = every_frame < sliders["frames"]
    good = snr(fluorescence.survival(every_frame.float(), rate=rate)) >= WANTED_SNR
    dose = sliders["power_mw"] * budget.light_dose_j_per_cm2 * sliders["exposure_ms"]
    return {
        "image": image,
        "corrected": image / left.clamp(min=1e-6),
        "low": -0.15 * first,
        "high": 1.2 * first,
        "frames": frames,
        "snr_over_time": snr(survivors),
        "wanted": torch.full((POINTS,), WANTED_SNR),
        "moment": moment.reshape(1),
        "snr_now": snr(left).reshape(1),
        "survivors": survivors,
        "healthy": fluorescence.healthy_fraction(dose * (frames + 1), half_dose_j_per_cm2=HALF_DOSE_J_PER_CM2),
        "left_now": left.reshape(1),
        "detected": detected,
        "snr": snr(left),
        "measured": mean_cell * first * left / error,
        "good": (taken & good).float().sum(),
        "left_percent": 100 * left,
        "dose": dose * sliders["frames"],
    }


FIGURE = LiveFigure(
    name="fluorescence_movie",
    title="What a movie costs",
    caption=(
        "A cell with at most 3 EGFP molecules in a pixel of 0.1 µm, a 470 nm LED on 100 µm × 100 µm, an oil objective "
        "with NA 1.4. Left, one frame as recorded, background subtracted; right, the same frame divided by the share "
        "that survives, so that it is as bright as the first one. Find the longest movie whose last frame has an SNR "
        "of 5; then look at the dose. The healthy share is a model with an invented half dose of 200 J/cm²."
    ),
    alt=(
        "Two images of the filaments of a cell, the left dark from bleaching, the right brightened and grainy; below "
        "them the signal-to-noise ratio, and the shares of unbleached molecules and healthy cells, against the frame."
    ),
    sliders=Sliders,
    function=record,
    panels=(
        ImagePanel(output="image", title="As recorded", unit="e⁻", pixel_size_um=PIXEL_UM, value_range=("low", "high")),
        ImagePanel(
            output="corrected",
            title="Brightness corrected",
            unit="e⁻ ÷ share left",
            pixel_size_um=PIXEL_UM,
            value_range=("low", "high"),
        ),
        CurvePanel(
            title="SNR of a bright pixel",
            x="frames",
            curves=(
                Curve(output="snr_over_time", label="SNR"),
                Curve(output="wanted", label="wanted: 5", style="dotted"),
                Curve(output="snr_now", x="moment", label="moment shown", style="points"),
            ),
            x_label="frame, counted from 0",
            y_label="SNR",
        ),
        CurvePanel(
            title="What is left",
            x="frames",
            curves=(
                Curve(output="survivors", label="molecules not bleached"),
                Curve(output="healthy", label="healthy cells, by the model", style="dashed"),
                Curve(output="left_now", x="moment", label="moment shown", style="points"),
            ),
            x_label="frame, counted from 0",
            y_label="share",
            y_range=(0, 1),
        ),
        NumberPanel(
            title="Read-outs",
            numbers=(
                Number(output="detected", label="detected per molecule, first frame", unit="photons", digits=1),
                Number(output="snr", label="SNR now, by the formula", digits=2),
                Number(output="measured", label="… measured in either image", digits=2),
                Number(output="good", label="frames with an SNR above 5", digits=0),
                Number(output="left_percent", label="not bleached now", unit="%", digits=1),
                Number(output="dose", label="dose of the movie", unit="J/cm²", digits=0),
            ),
        ),
    ),
    draws={"shot": Draw("uniform", SHAPE), "read": Draw("normal", SHAPE)},
    assets={"cell": cell},
)
