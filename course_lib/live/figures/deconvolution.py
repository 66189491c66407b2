"""Deconvolution: what five methods make of one noisy image whose object is known."""

import torch

from course_lib import noise, optics, samples
from course_lib.deconvolution.accelerated_richardson_lucy import LARGEST_DIMMING, LARGEST_MOMENTUM
from course_lib.deconvolution.landweber import landweber_gain
from course_lib.live import Curve, CurvePanel, Draw, ImagePanel, LiveFigure, Number, NumberPanel, Tensors
from course_lib.parameters import Parameters, parameter

SHAPE, PIXEL_UM = (128, 128), 0.06
MOST_ITERATIONS = 100
BACKGROUND = 0.05
"""Photons behind the object, relative to the peak of its image."""
DIRECT = ("inverse", "Tikhonov", "Landweber")
ITERATIVE = ("Richardson-Lucy", "accelerated RL")
LARGEST_ERROR = 1000.0
"""Errors above it, which only the inverse reaches, are shown as this."""


class Sliders(Parameters):
    """What the reader can change."""

    method: str = parameter(default="Richardson-Lucy", meaning="method", choices=(*DIRECT, *ITERATIVE))
    iterations: int = parameter(default=30, meaning="iterations", minimum=1, slider=(1, MOST_ITERATIONS))
    regularization: float = parameter(
        default=0.01, meaning="regularization λ", minimum=0.0, slider=(1e-5, 1.0), scale="log"
    )
    photons: float = parameter(
        default=30.0,
        meaning="image peak",
        unit="photons",
        minimum=0.0,
        slider=(3.0, 30_000.0),
        scale="log",
    )


def transfer() -> torch.Tensor:
    """Return H, the half-spectrum of a dry objective's PSF (NA 0.8): real, because the PSF is symmetric."""
    microscope = optics.Microscope(numerical_aperture=0.8, immersion_index=1.0)
    psf = optics.airy_psf(microscope, shape=SHAPE, voxel_size_um=(PIXEL_UM, PIXEL_UM))
    spectrum: torch.Tensor = torch.fft.rfft2(torch.fft.ifftshift(psf))
    return spectrum.real.contiguous()


def filtered(values: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Multiply the half-spectrum by `factors`; by H it is the blur, and, H being real, also the blur's transpose."""
    image: torch.Tensor = torch.fft.irfft2(torch.fft.rfft2(values) * factors, s=SHAPE)
    return image


def truth() -> torch.Tensor:
    """Return filaments and points, so bright that the peak of their image is 1."""
    size = (PIXEL_UM, PIXEL_UM)
    lines = samples.filaments(SHAPE, voxel_size_um=size, count=9, length_um=7.0, diameter_um=0.12, rng=3)
    points = samples.beads(SHAPE, voxel_size_um=size, count=14, diameter_um=0.1, spacing_um=0.5, rng=3).density
    scene = lines + 4 * points
    return scene / filtered(scene, transfer()).max()


def blurred() -> torch.Tensor:
    """Return the image of the truth without noise."""
    return filtered(truth(), transfer()).clamp(min=0)


def norm(values: torch.Tensor) -> torch.Tensor:
    """Return the square root of the sum of squares."""
    return torch.sqrt((values**2).sum())


def spectral_error(
    gain: torch.Tensor, transfer: torch.Tensor, image: torch.Tensor, scene: torch.Tensor
) -> torch.Tensor:
    """Return the NRMSE of the estimate H g Y from the half-spectra Y of the image and X of the scene, by Parseval."""
    columns = torch.cat([torch.ones(1), 2 * torch.ones(SHAPE[1] // 2 - 1), torch.ones(1)])  # one stands for two
    own = columns * (image.real**2 + image.imag**2)
    common = columns * (image.real * scene.real + image.imag * scene.imag)
    true = (columns * (scene.real**2 + scene.imag**2)).sum()
    kept = transfer * gain
    squared = ((kept**2 * own).sum((-2, -1)) - 2 * (kept * common).sum((-2, -1)) + true) / true
    return torch.sqrt(squared.clamp(min=0)).clamp(max=LARGEST_ERROR)


def start(sliders: Tensors, draws: Tensors, assets: Tensors) -> Tensors:
    """Expose the image, and restore it by the linear methods, which need no steps."""
    photons, weight, method = sliders["photons"], sliders["regularization"], sliders["method"]
    transfer, background = assets["transfer"], BACKGROUND * photons
    image = noise.poisson_from_uniform(photons * assets["blurred"] + background, draws["shot"])
    power = transfer**2

    def landweber(iterations: torch.Tensor) -> torch.Tensor:
        return landweber_gain(power, iterations=iterations, step=1 / (1 + weight), regularization=weight)

    def error(gain: torch.Tensor) -> torch.Tensor:
        return spectral_error(gain, transfer, spectrum, torch.fft.rfft2(photons * assets["truth"]))

    spectrum = torch.fft.rfft2(image - background)
    inverse, tikhonov = 1 / power.clamp(min=torch.finfo(power.dtype).tiny), 1 / (power + weight)
    gain = torch.where(method < 0.5, inverse, torch.where(method < 1.5, tikhonov, landweber(sliders["iterations"])))
    restored = torch.fft.irfft2(spectrum * (transfer * gain), s=SHAPE)
    mean = image.double().mean()
    even = torch.maximum(mean - background, 0.01 * mean).float().expand(SHAPE)

    iterations = torch.arange(1, MOST_ITERATIONS + 1).float()
    along = torch.where(method < 1.5, error(gain).expand(MOST_ITERATIONS), error(landweber(iterations[:, None, None])))
    return {
        "image": image,
        "estimate": torch.where(method < 2.5, restored, even),
        "previous": even,
        "move": torch.zeros(SHAPE),
        "momentum": torch.zeros(()),
        "errors": torch.where(method < 2.5, along, torch.nan),
        "tikhonov": error(tikhonov),
    }


def iterate(
    sliders: Tensors, _draws: Tensors, assets: Tensors, state: Tensors, step: torch.Tensor
) -> tuple[Tensors, Tensors]:
    """Take a step of Richardson-Lucy, with momentum where it is accelerated; leave a linear estimate as it is.

    In float64, which both runtimes round to the same float32 for the next step: small differences would grow.
    """
    photons, method, transfer = sliders["photons"], sliders["method"], assets["transfer"].double()
    image, background, scene = state["image"], BACKGROUND * photons, photons * assets["truth"]
    last, previous, last_move = (state[name].double() for name in ("estimate", "previous", "move"))

    momentum = torch.where(method < 3.5, 0.0, state["momentum"])
    predicted = torch.maximum(last + momentum * (last - previous), LARGEST_DIMMING * last)
    least_expected = torch.finfo(image.dtype).eps * image.max()
    expected = torch.maximum(filtered(predicted, transfer) + background, least_expected)
    updated = predicted * filtered(image / expected, transfer).clamp(min=0)
    move = updated - predicted
    agreement = (move * last_move).sum() / (last_move**2).sum().clamp(min=torch.finfo(image.dtype).tiny)

    estimate = torch.where(method < 2.5, state["estimate"], updated)
    error = (norm(estimate - scene) / norm(scene)).clamp(max=LARGEST_ERROR)
    iterations = torch.arange(1, MOST_ITERATIONS + 1).float()
    errors = torch.where((iterations == step + 1) & (method > 2.5), error, state["errors"])
    reached = torch.where(torch.isnan(errors), torch.inf, errors)
    least = reached.min()
    handed = {
        "image": image,
        "estimate": estimate,
        "previous": state["estimate"],
        "move": move,
        "momentum": agreement.clamp(0.0, LARGEST_MOMENTUM),
        "errors": errors,
        "tikhonov": state["tikhonov"],
    }
    return handed, {
        "truth": scene,
        "image": image,
        "estimate": estimate,
        "dark": 0 * photons,
        "bright": 1.2 * photons,
        "sharp": scene.max(),
        "iterations": iterations,
        "errors": errors,
        "shown": (step + 1).reshape(1),
        "done": torch.where(method < 1.5, torch.nan, step + 1),
        "error": error.reshape(1),
        "ends": torch.tensor([1.0, MOST_ITERATIONS]),
        "tikhonov": state["tikhonov"].expand(2),
        "untouched": norm(image - background - scene) / norm(scene),
        "least": least,
        "near": torch.where(method < 1.5, torch.nan, torch.where(reached <= 1.01 * least, iterations, torch.inf).min()),
    }


FIGURE = LiveFigure(
    name="deconvolution",
    title="Five ways back from a blurred image",
    caption=(
        "An object that is known, its noisy image, and what a method makes of it. The curve is the error against the "
        "truth: watch Richardson-Lucy come nearer and, past its best iteration, go astray; give it more photons, and "
        "the best comes later. Accelerated RL gets there in a third of the iterations. Then try the inverse, and find "
        "the λ with which Tikhonov does best. λ acts on Tikhonov and Landweber, iterations on Landweber and "
        "Richardson-Lucy. Landweber here carries Tikhonov's penalty, too; with λ towards 0 it is that of section 6."
    ),
    alt=(
        "Thin bright filaments and points, the truth; the same blurred and grainy, as the camera counts it; the "
        "restoration, nearly as thin as the truth but with beads along the filaments; a curve of the error that falls "
        "with the iterations, and read-outs of the error and the best iteration."
    ),
    sliders=Sliders,
    function=iterate,
    panels=(
        ImagePanel(
            output="truth", title="The truth", unit="photons", pixel_size_um=PIXEL_UM, value_range=("dark", "sharp")
        ),
        ImagePanel(
            output="image", title="Its image", unit="photons", pixel_size_um=PIXEL_UM, value_range=("dark", "bright")
        ),
        ImagePanel(
            output="estimate", title="Restored", unit="photons", pixel_size_um=PIXEL_UM, value_range=("dark", "sharp")
        ),
        CurvePanel(
            title="Error against the truth",
            x="iterations",
            curves=(
                Curve(output="errors", label="this method"),
                Curve(output="tikhonov", x="ends", label="Tikhonov with this λ", style="dashed"),
                Curve(output="error", x="shown", label="shown", style="points"),
            ),
            x_label="iterations",
            y_label="error (NRMSE)",
            x_range=(0.0, MOST_ITERATIONS + 5.0),
            y_range=(0.0, 1.0),
        ),
        NumberPanel(
            numbers=(
                Number(output="done", label="iterations done", digits=0),
                Number(output="error", label="error (at most 1000)", digits=3),
                Number(output="least", label="least error so far", digits=3),
                Number(output="near", label="… within 1 % at iteration", digits=0),
                Number(output="tikhonov", label="Tikhonov with this λ", digits=3),
                Number(output="untouched", label="the image as it is", digits=3),
            ),
        ),
    ),
    draws={"shot": Draw("uniform", SHAPE)},
    assets={"truth": truth, "blurred": blurred, "transfer": transfer},
    state={
        **{name: torch.zeros(SHAPE) for name in ("image", "estimate", "previous", "move")},
        "momentum": torch.zeros(()),
        "errors": torch.zeros(MOST_ITERATIONS),
        "tikhonov": torch.zeros(()),
    },
    steps="iterations",
    start=start,
    at_once={"method": DIRECT},
)
