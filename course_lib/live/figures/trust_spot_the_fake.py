"""Spot the fake: of two restored images one has gaps that are in the specimen, the other has invented them."""

from functools import cache

import torch

from course_lib import noise, optics, samples
from course_lib.live import Draw, ImagePanel, LiveFigure, Number, NumberPanel, Tensors
from course_lib.live.figures.care_domain import BACKGROUND, MARGIN, PIXEL_UM, SIDE, trained
from course_lib.parameters import Parameters, parameter

SEED, COUNT = 11, 10
"""Of the filaments that are shown; the network's training began at 1000."""
CUT_RADIUS_PX, CUTS_APART_PX = 5.5, 24
ON_PATH, GAP = 0.3, 0.3
"""Share of the brightest density that counts as filament, and of the whole filament's light that counts as a gap."""
STEEP = 40.0
"""Of the step from filament to gap, which is a little soft, so that both runtimes agree on pixels at its edge."""
PHOTONS, TRUTH = "other photons", "the truth"


class Sliders(Parameters):
    """What the reader can change."""

    photons: float = parameter(
        default=0.7, meaning="photons at the peak", unit="photons", minimum=0.0, slider=(0.3, 30.0), scale="log"
    )
    reveal: str = parameter(
        default="nothing yet",
        meaning="what is shown below A and B",
        choices=("nothing yet", PHOTONS, TRUTH),
    )


@cache
def specimens() -> torch.Tensor:
    """Return the density of whole filaments and of the same with gaps, with a margin, (2, Y, X)."""
    field = (SIDE + 2 * MARGIN,) * 2
    whole = samples.filaments(
        field, voxel_size_um=(PIXEL_UM,) * 2, count=COUNT, diameter_um=0.2, persistence_um=8.0, rng=SEED
    )
    on = (whole > 0.5 * whole.max()).nonzero().float()
    left, kept = on[torch.randperm(len(on), generator=torch.Generator().manual_seed(3))], torch.ones(field)
    places = torch.stack(torch.meshgrid(*(torch.arange(float(side)) for side in field), indexing="ij"), dim=-1)
    while len(left):
        kept[(places - left[0]).norm(dim=-1) < CUT_RADIUS_PX] = 0
        left = left[(left - left[0]).norm(dim=-1) > CUTS_APART_PX]
    return torch.stack([whole, whole * kept])


def scenes() -> torch.Tensor:
    """Return what a dry objective (NA 0.8) makes of the two, (2, Y, X), relative to the peak of the whole."""
    microscope = optics.Microscope(numerical_aperture=0.8, immersion_index=1.0)
    psf = optics.airy_psf(microscope, shape=(2 * MARGIN + 1,) * 2, voxel_size_um=(PIXEL_UM,) * 2)
    density = specimens()
    blurred = optics.Convolution(psf, density.shape[-2:])(density)[:, MARGIN:-MARGIN, MARGIN:-MARGIN].clamp(min=0)
    return blurred / blurred.max()


def path() -> torch.Tensor:
    """Return 1 where the whole filaments are, else 0, (Y, X)."""
    whole = specimens()[0, MARGIN:-MARGIN, MARGIN:-MARGIN]
    return (whole > ON_PATH * whole.max()).float()


def in_one_go(images: torch.Tensor) -> torch.Tensor:
    """Return the trained network's answers to images (N, Y, X), in photons."""
    model = trained(images.device)
    (seen,), (given,) = model.input_normalization, model.output_normalization
    answers: torch.Tensor = model.network(seen.apply(images)[:, None])[:, 0]
    return given.invert(answers)


def restore(sliders: Tensors, draws: Tensors, assets: Tensors) -> Tensors:
    """Record both specimens twice, restore all four images, and show what the reader has asked for."""
    photons, reveal = sliders["photons"], sliders["reveal"]
    swapped = (draws["coin"][0] < 0.5).float()
    whole, cut = assets["scenes"]
    truths = torch.stack([(1 - swapped) * whole + swapped * cut, (1 - swapped) * cut + swapped * whole])
    expected = photons * (truths + BACKGROUND)
    first = noise.poisson_from_uniform(expected, draws["first"])
    second = noise.poisson_from_uniform(expected, draws["second"])
    answers = in_one_go(torch.cat([first, second])).reshape(2, 2, SIDE, SIDE)
    gaps = [torch.sigmoid(STEEP * (GAP * whole - answer / photons)) * assets["path"] for answer in answers]
    found = gaps[0].sum(dim=(1, 2))
    again = (gaps[0] * gaps[1]).sum(dim=(1, 2)) / found.clamp(min=1)
    by_photons, by_truth = ((reveal - place).abs() < 0.5 for place in (1, 2))
    nothing = torch.zeros_like(truths)
    below = torch.where(by_truth, expected, torch.where(by_photons, answers[1], nothing))
    told = (reveal > 0.5).float()
    return {
        "recorded_a": first[0],
        "recorded_b": first[1],
        "restored_a": answers[0][0],
        "restored_b": answers[0][1],
        "below_a": below[0],
        "below_b": below[1],
        "dark": 0 * photons,
        "bright": photons,
        "bright_recorded": photons + 2,
        "gaps_a": 100 * told * found[0] / assets["path"].sum(),
        "gaps_b": 100 * told * found[1] / assets["path"].sum(),
        "again_a": 100 * told * again[0],
        "again_b": 100 * told * again[1],
        "cut": by_truth.float() * (1 + (1 - swapped)),
    }


def _panel(output: str, title: str, bright: str = "bright") -> ImagePanel:
    return ImagePanel(
        output=output,
        title=title,
        unit="photons",
        pixel_size_um=PIXEL_UM,
        value_range=("dark", bright),
        color_map="magma",
    )


FIGURE = LiveFigure(
    name="trust_spot_the_fake",
    title="Spot the fake",
    caption=(
        "In one of two specimens the filaments have gaps, in the other they are whole; which is A and which is B, "
        "a coin has decided. Both were recorded with few photons, and restored by the same trained network. First "
        "say which gaps are real, and how sure you are. Then ask other photons: the same specimens, recorded once more "
        "and restored by the same network. A gap that is in the specimen comes back at its place; one that was "
        "invented is now elsewhere. Only then look at the truth. New noise tosses the coin again."
    ),
    alt=(
        "Six images in two columns, A and B. Above, both restored: bright, smooth rods with gaps between them, in A as "
        "in B. In the middle, the recorded photons: a few bright pixels along faint lines. Below, black until the "
        "reader asks for a restoration from other photons, or for the truth. Read-outs then tell how much of the "
        "filaments is gap, and what share of the gaps comes back."
    ),
    sliders=Sliders,
    function=restore,
    panels=(
        _panel("restored_a", "A, restored"),
        _panel("restored_b", "B, restored"),
        _panel("recorded_a", "A, recorded", "bright_recorded"),
        _panel("recorded_b", "B, recorded", "bright_recorded"),
        _panel("below_a", "A, what you asked for"),
        _panel("below_b", "B, what you asked for"),
        NumberPanel(
            title="Read-outs (0 until you ask)",
            numbers=(
                Number(output="gaps_a", label="gaps in A, of the length", unit="%", digits=0),
                Number(output="gaps_b", label="gaps in B, of the length", unit="%", digits=0),
                Number(output="again_a", label="of A's gaps, found again", unit="%", digits=0),
                Number(output="again_b", label="of B's gaps, found again", unit="%", digits=0),
                Number(output="cut", label="real gaps in: 1 = A, 2 = B", digits=0),
            ),
        ),
    ),
    draws={
        "coin": Draw("uniform", (1,)),
        "first": Draw("uniform", (2, SIDE, SIDE)),
        "second": Draw("uniform", (2, SIDE, SIDE)),
    },
    assets={"scenes": scenes, "path": path},
)
