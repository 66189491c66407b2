"""Metrics: what eight numbers say of an image that was spoiled in a known way."""

import torch
from torch.nn import functional

from course_lib import datasets
from course_lib.live import Curve, CurvePanel, Draw, ImagePanel, LiveFigure, Number, NumberPanel, Tensors
from course_lib.parameters import Parameters, parameter

SIDE, PEAK = 128, 100.0
"""Pixels of the image's sides, and photons at its peak: the range of the truth."""
ROW = 69
"""Row whose brightness is drawn."""
WINDOW_RADIUS, WINDOW_SIGMA = 5, 1.5
"""Of the window of SSIM, as in `course_lib.metrics.ssim`."""
LEAST_ERROR = 1e-4 * PEAK
"""Root-mean-square error in photons below which a PSNR is given as 80 dB: rounding would decide."""


class Sliders(Parameters):
    """What the reader can change."""

    noise_photons: float = parameter(
        default=6.0, meaning="noise added", unit="photons", minimum=0.0, slider=(0.0, 30.0), step=0.5
    )
    blur_px: float = parameter(default=0.0, meaning="blur σ", unit="px", minimum=0.0, slider=(0.0, 6.0), step=0.1)
    brightness_percent: float = parameter(
        default=100.0, meaning="brightness", unit="%", minimum=20.0, slider=(20.0, 200.0), step=1.0
    )
    offset_photons: float = parameter(default=0.0, meaning="offset", unit="photons", slider=(-50.0, 50.0), step=1.0)


def scene() -> torch.Tensor:
    """Return the middle of the receptacle, 2 × 2 pixels binned to some 750 photons; its peak is `PEAK`."""
    counts = datasets.load("receptacle").tensor()[128:384, 128:384]
    binned = functional.avg_pool2d(counts[None], 2)[0]
    peak = binned.flatten().kthvalue(int(0.998 * binned.numel())).values
    return PEAK * (binned / peak).clamp(max=1)


def blurred(image: torch.Tensor, sigma_px: torch.Tensor) -> torch.Tensor:
    """Blur by a Gaussian; the image is mirrored at its borders."""
    place = torch.arange(SIDE, dtype=torch.float64)
    frequency = place / (2 * SIDE)  # of the cosines that a mirrored row consists of
    waves = torch.cos(2 * torch.pi * frequency[:, None] * (place + 0.5))
    norm = (1 + (frequency > 0)) / SIDE
    gain = norm * torch.exp(-2 * torch.pi**2 * sigma_px.double() ** 2 * frequency**2)
    row = waves.T @ (gain[:, None] * waves)
    return row @ image.double() @ row.T


def local_mean(image: torch.Tensor) -> torch.Tensor:
    """Average in a Gaussian window wherever it lies inside the image."""
    offsets = torch.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1, dtype=torch.float64)
    bell = torch.exp(-0.5 * (offsets / WINDOW_SIGMA) ** 2)
    places = torch.arange(SIDE - 2 * WINDOW_RADIUS)[:, None] + torch.arange(SIDE) * 0
    column = torch.arange(SIDE) - places - WINDOW_RADIUS
    inside = (column.abs() <= WINDOW_RADIUS).double()
    row = inside * torch.exp(-0.5 * (column / WINDOW_SIGMA) ** 2) / bell.sum()
    return row @ image @ row.T


def ssim(estimate: torch.Tensor, truth: torch.Tensor, data_range: float) -> torch.Tensor:
    """Return the structural similarity, as `course_lib.metrics.ssim`."""
    mean, mean_truth = local_mean(estimate), local_mean(truth)
    variance = local_mean(estimate**2) - mean**2
    variance_truth = local_mean(truth**2) - mean_truth**2
    covariance = local_mean(estimate * truth) - mean * mean_truth
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean * mean_truth + c1) / (mean**2 + mean_truth**2 + c1)
    structure = (2 * covariance + c2) / (variance + variance_truth + c2)
    return (luminance * structure).mean()


def decibel(mean_squared_error: torch.Tensor) -> torch.Tensor:
    """Return the PSNR in dB for the range `PEAK`, at most 80."""
    return -10 * torch.log10((mean_squared_error + LEAST_ERROR**2) / PEAK**2)


def judge(sliders: Tensors, draws: Tensors, assets: Tensors) -> Tensors:
    """Spoil the truth, and compare it with what it was."""
    truth = assets["scene"].double()
    brightness = sliders["brightness_percent"].double() / 100
    noisy = blurred(truth, sliders["blur_px"]) + sliders["noise_photons"] * draws["noise"]
    estimate = brightness * noisy + sliders["offset_photons"]
    error = (estimate - truth) ** 2
    relative = error.sum() / (truth**2).sum()
    centred, centred_truth = estimate - estimate.mean(), truth - truth.mean()
    scale = (centred * centred_truth).mean() / (centred**2).mean()
    return {
        "truth": truth,
        "estimate": estimate,
        "place": torch.arange(SIDE).float(),
        "truth_row": truth[ROW],
        "estimate_row": estimate[ROW],
        "nrmse": torch.sqrt(relative),
        "squared": relative,
        "psnr": decibel(error.mean()),
        "si_psnr": decibel(((scale * centred - centred_truth) ** 2).mean()),
        "ssim_one": ssim(estimate, truth, 1.0),
        "ssim": ssim(estimate, truth, PEAK),
        "ssim_16_bits": ssim(estimate, truth, 65535.0),
        "bias": 100 * (estimate.sum() / truth.sum() - 1),
    }


FIGURE = LiveFigure(
    name="learning_metrics",
    title="One image, spoiled, and what the metrics say",
    caption=(
        "Left the truth, a real insect organ with a peak of 100 photons; right the same with noise, blur, a wrong "
        "brightness and an offset. Start with noise alone and remember the numbers. Then find a blur with the same "
        "NRMSE, and ask SSIM which is better. Take noise and blur away, halve the brightness, and compare PSNR with "
        "SI-PSNR. Add an offset, and look at the bias. PSNRs are given up to 80 dB."
    ),
    alt=(
        "Two images of a seminal receptacle, on the left smooth, on the right with grain; the brightness along one row "
        "of both as two curves; and a list of numbers: NRMSE, its square as on the slide, PSNR, SI-PSNR, three values "
        "of SSIM for three ranges of the data, and the bias of the sum."
    ),
    sliders=Sliders,
    function=judge,
    panels=(
        ImagePanel(output="truth", title="The truth", unit="photons", value_range=(0.0, PEAK)),
        ImagePanel(output="estimate", title="Spoiled", unit="photons", value_range=(0.0, PEAK)),
        CurvePanel(
            title=f"Brightness along row {ROW}",
            x="place",
            curves=(
                Curve(output="truth_row", label="truth", style="dashed"),
                Curve(output="estimate_row", label="spoiled"),
            ),
            x_label="column (px)",
            y_label="photons",
        ),
        NumberPanel(
            title="What the metrics say",
            numbers=(
                Number(output="nrmse", label="NRMSE", digits=3),
                Number(output="squared", label="… without the root", digits=3),
                Number(output="psnr", label="PSNR, range 100", unit="dB", digits=1),
                Number(output="si_psnr", label="SI-PSNR, range 100", unit="dB", digits=1),
                Number(output="ssim_one", label="SSIM, range 1", digits=3),
                Number(output="ssim", label="SSIM, range 100", digits=3),
                Number(output="ssim_16_bits", label="SSIM, range 65535", digits=3),
                Number(output="bias", label="bias of the sum", unit="%", digits=1),
            ),
        ),
    ),
    draws={"noise": Draw("normal", (SIDE, SIDE))},
    assets={"scene": scene},
)
