"""CARE at work, and out of its depth: a real trained network on what it learned, and on what it never saw."""

from functools import cache

import torch
from torch.nn import functional

from course_lib import noise, optics, samples
from course_lib.live import Draw, ImagePanel, LiveFigure, Number, NumberPanel, Tensors
from course_lib.networks import Model, pretrained
from course_lib.parameters import Parameters, parameter

SIDE, PIXEL_UM = 128, 0.1
MARGIN = 16
"""Pixels that are simulated beyond each border, where light comes in from outside."""
BACKGROUND = 0.02
"""Photons behind the object, relative to the peak of its image."""
SHOWN_SEED = 7
"""Of the scenes that are shown; the training's begin at 1000."""
NETWORK = "care_live_2d"
WIDTHS_PX, REACH_PX = (0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.7, 2.0, 2.4, 3.0), 9
"""Standard deviations of the Gaussians that compete, and where their windows end."""
BRIGHT, DIM = 0.5, (0.1, 0.3)
"""Shares of the peak: brighter pixels count as bright, those between the two others as dim."""


class Sliders(Parameters):
    """What the reader can change."""

    photons: float = parameter(
        default=10.0, meaning="photons at the peak", unit="photons", minimum=0.0, slider=(1.0, 1000.0), scale="log"
    )
    unseen_percent: float = parameter(
        default=0.0,
        meaning="nuclei in place of filaments",
        unit="%",
        minimum=0.0,
        maximum=100.0,
        slider=(0.0, 100.0),
        step=1.0,
    )
    offset_photons: float = parameter(
        default=0.0, meaning="camera's offset left in the image", unit="photons", minimum=0.0, slider=(0.0, 50.0)
    )


def imaged(density: torch.Tensor) -> torch.Tensor:
    """Return what a dry objective (NA 0.8) makes of an object, without the margin; its peak is 1."""
    microscope = optics.Microscope(numerical_aperture=0.8, immersion_index=1.0)
    psf = optics.airy_psf(microscope, shape=(2 * MARGIN + 1,) * 2, voxel_size_um=(PIXEL_UM, PIXEL_UM))
    blurred = optics.Convolution(psf, density.shape)(density)[MARGIN:-MARGIN, MARGIN:-MARGIN].clamp(min=0)
    return blurred / blurred.max()


def filaments(
    side: int = SIDE,
    *,
    count: int = 14,
    diameter_um: float = 0.2,
    persistence_um: float = 8.0,
    rng: int | torch.Generator = SHOWN_SEED,
) -> torch.Tensor:
    """Return the image of filaments, as the network has learned them from others."""
    return imaged(
        samples.filaments(
            (side + 2 * MARGIN,) * 2,
            voxel_size_um=(PIXEL_UM, PIXEL_UM),
            count=count,
            diameter_um=diameter_um,
            persistence_um=persistence_um,
            rng=rng,
        )
    )


def nuclei() -> torch.Tensor:
    """Return the image of nuclei, which the network has never seen."""
    field = (SIDE + 2 * MARGIN,) * 2
    size = (PIXEL_UM, PIXEL_UM)
    return imaged(samples.nuclei(field, voxel_size_um=size, count=5, diameter_um=5.0, rng=SHOWN_SEED).density)


@cache
def trained(device: torch.device) -> Model:
    """Return the trained network, loaded once."""
    model = pretrained(NETWORK)
    model.network.to(device).requires_grad_(False)
    return model


def network(image: torch.Tensor) -> torch.Tensor:
    """Return the trained network's answer to an image (Y, X), in photons."""
    model = trained(image.device)
    return model.in_unit(model.network(model.normalized(image[None])[None])[0])[0]


def bells() -> torch.Tensor:
    """Return a row of each Gaussian, shape (widths, 1, 1, pixels), with sum 1."""
    places = torch.arange(-REACH_PX, REACH_PX + 1.0)
    rows = torch.exp(-0.5 * (places / torch.tensor(WIDTHS_PX)[:, None]) ** 2)
    return (rows / rows.sum(dim=1, keepdim=True))[:, None, None]


def smoothed(image: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return the image (Y, X) after each Gaussian filter, (widths, Y, X), mirrored at its borders."""
    mirrored = functional.pad(image[None, None], (REACH_PX,) * 4, mode="reflect")
    along_x = functional.conv2d(mirrored, rows)
    return functional.conv2d(along_x, rows.transpose(2, 3), groups=len(WIDTHS_PX))[0]


def nrmse(estimate: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the root-mean-square error relative to the root-mean-square truth."""
    return torch.sqrt((estimate - truth).double().square().sum() / truth.double().square().sum())


def restore(sliders: Tensors, draws: Tensors, assets: Tensors) -> Tensors:
    """Record the scene, restore it, and compare both images with the truth, all three without the offset."""
    photons, offset = sliders["photons"], sliders["offset_photons"]
    share = sliders["unseen_percent"] / 100
    scene = (1 - share) * assets["filaments"] + share * assets["nuclei"]
    scene = scene / scene.max()
    background = BACKGROUND * photons
    truth = photons * scene + background
    counted = noise.poisson_from_uniform(truth, draws["shot"])
    restored = network(counted + offset) - offset
    noisy, remaining = nrmse(counted, truth), nrmse(restored, truth)
    least = torch.stack([nrmse(one, truth) for one in smoothed(counted, assets["bells"])]).min()

    def brightness_percent(part: torch.Tensor) -> torch.Tensor:
        return 100 * ((restored - background) * part).double().sum() / ((truth - background) * part).double().sum()

    return {
        "truth": truth,
        "image": counted + offset,
        "restored": restored,
        "error": restored - truth,
        "dark": 0 * photons,
        "bright": 1.2 * photons,
        "image_dark": offset,
        "image_bright": offset + 1.2 * photons,
        "too_dark": -photons / 2,
        "too_bright": photons / 2,
        "noisy": noisy,
        "remaining": remaining,
        "gain": (noisy / remaining) ** 2,
        "gain_of_filter": (noisy / least) ** 2,
        "bright_percent": brightness_percent((scene > BRIGHT).float()),
        "dim_percent": brightness_percent(((scene > DIM[0]) & (scene < DIM[1])).float()),
    }


FIGURE = LiveFigure(
    name="care_domain",
    title="A trained network, in its domain and out of it",
    caption=(
        "A small CARE network, trained on simulated filaments of 2 to 200 photons at the peak, restores what it has "
        "learned: it is worth more photons than the Gaussian filter whose width suits the truth best. Lower the "
        "photons: the answer stays smooth, but is it still true? Then replace the filaments by nuclei, which it has "
        "never seen: look for rims and threads that are not there, and ask whether the filter is better now. Last, "
        "forget to subtract the camera's offset, which a filter would not mind. All errors are counted after taking "
        "the offset away again."
    ),
    alt=(
        "Four images: bright filaments, the truth; the same as the camera counts it, grainy; the network's "
        "restoration, smooth; and its error. Read-outs compare the errors of the two images, the photons that the "
        "network and a Gaussian filter are worth, and the brightness of bright and dim parts with the truth."
    ),
    sliders=Sliders,
    function=restore,
    panels=(
        ImagePanel(
            output="truth",
            title="The truth",
            unit="photons",
            pixel_size_um=PIXEL_UM,
            value_range=("dark", "bright"),
            color_map="magma",
        ),
        ImagePanel(
            output="image",
            title="Recorded",
            unit="photons",
            pixel_size_um=PIXEL_UM,
            value_range=("image_dark", "image_bright"),
            color_map="magma",
        ),
        ImagePanel(
            output="restored",
            title="Restored by the network",
            unit="photons",
            pixel_size_um=PIXEL_UM,
            value_range=("dark", "bright"),
            color_map="magma",
        ),
        ImagePanel(
            output="error",
            title="Restored − truth",
            unit="photons",
            pixel_size_um=PIXEL_UM,
            value_range=("too_dark", "too_bright"),
            color_map="cividis",
        ),
        NumberPanel(
            numbers=(
                Number(output="noisy", label="NRMSE, recorded", digits=3),
                Number(output="remaining", label="NRMSE, restored", digits=3),
                Number(output="gain", label="the network is worth … × the photons", digits=1),
                Number(output="gain_of_filter", label="the best Gaussian filter … × the photons", digits=1),
                Number(output="bright_percent", label="light of bright parts, of the truth's", unit="%"),
                Number(output="dim_percent", label="light of dim parts, of the truth's", unit="%"),
            ),
        ),
    ),
    draws={"shot": Draw("uniform", (SIDE, SIDE))},
    assets={
        "filaments": filaments,
        "nuclei": nuclei,
        "bells": bells,
    },
)
