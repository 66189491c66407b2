"""Two channels, few photons: what noise, background and a threshold do to Pearson, to Manders and to an area."""

import torch

from course_lib import noise, optics
from course_lib.live import Curve, CurvePanel, Draw, ImagePanel, LiveFigure, Number, NumberPanel, Tensors
from course_lib.parameters import Parameters, parameter

SIDE, PIXEL_UM = 128, 0.1
VESICLES = 24
"""In each channel."""
RADIUS_PX, APART_PX = 4.5, 13.0
"""Radius of a vesicle, and least distance of two middles."""
DIMMEST = 0.6
"""Brightness of the dimmest vesicle over that of the brightest."""
MARGIN = 16
POINTS = 41
"""Places at which the curves are drawn."""
FEWEST, MOST = 1.0, 1000.0
LEAST_RELIABILITY, UNCERTAIN = 0.01, 3.0
"""A share of signal smaller than this, or than so many of its standard errors, corrects nothing."""


class Sliders(Parameters):
    """What the reader can change."""

    photons: float = parameter(
        default=10.0, meaning="photons at the peak", unit="photons", minimum=0.1, slider=(FEWEST, MOST), scale="log"
    )
    background_photons: float = parameter(
        default=2.0, meaning="background", unit="photons", minimum=0.0, slider=(0.0, 50.0), step=1.0
    )
    overlap_percent: float = parameter(
        default=50.0,
        meaning="vesicles that both share",
        unit="%",
        minimum=0.0,
        maximum=100.0,
        slider=(0.0, 100.0),
        step=5.0,
    )
    threshold_percent: float = parameter(
        default=40.0,
        meaning="threshold",
        unit="% of the peak",
        minimum=0.0,
        maximum=100.0,
        slider=(5.0, 95.0),
        step=2.5,
    )


def middles() -> torch.Tensor:
    """Return the middles (2 × vesicles, 2) of the first channel's vesicles, then of the second channel's own."""
    draws = torch.Generator().manual_seed(3)
    found = torch.empty(0, 2)
    while len(found) < 2 * VESICLES:
        place = RADIUS_PX + (SIDE - 1 - 2 * RADIUS_PX) * torch.rand(1, 2, generator=draws)
        if bool((torch.cdist(place, found) >= APART_PX).all()):
            found = torch.cat([found, place])
    return found


def _nearest(of_second: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for each pixel, and a margin around, the number of the nearest vesicle, and how far its middle is."""
    places = torch.arange(-MARGIN, SIDE + MARGIN, dtype=torch.float32)
    pixels = torch.cartesian_prod(places, places)
    own = middles()[VESICLES:] if of_second else middles()[:VESICLES]
    distance, number = torch.cdist(pixels, own).min(dim=1)
    side = SIDE + 2 * MARGIN
    return number.reshape(side, side), distance.reshape(side, side)


def _inside(image: torch.Tensor) -> torch.Tensor:
    return image[MARGIN:-MARGIN, MARGIN:-MARGIN]


def brightness() -> torch.Tensor:
    """Return the light of a pixel of each vesicle, 1 for the brightest; the numbers' order is by chance."""
    steps = torch.linspace(DIMMEST, 1, VESICLES)
    return steps[torch.randperm(VESICLES, generator=torch.Generator().manual_seed(0))]


def _imaged(of_second: bool) -> torch.Tensor:
    """Return what a dry objective (NA 0.8) makes of the vesicles, with 1 at the peak."""
    number, distance = _nearest(of_second)
    discs = brightness()[number] * (RADIUS_PX + 0.5 - distance).clamp(0, 1)
    microscope = optics.Microscope(numerical_aperture=0.8, immersion_index=1.0)
    psf = optics.airy_psf(microscope, shape=(2 * MARGIN + 1,) * 2, voxel_size_um=(PIXEL_UM, PIXEL_UM))
    image = _inside(optics.Convolution(psf, discs.shape)(discs)).clamp(min=0)
    return image / image.max()


def first_image() -> torch.Tensor:
    """Return the first channel."""
    return _imaged(of_second=False)


def second_image() -> torch.Tensor:
    """Return the vesicles of the second channel where it shares none."""
    return _imaged(of_second=True)


def first_number() -> torch.Tensor:
    """Return for each pixel the number of the first channel's vesicle that is nearest."""
    return _inside(_nearest(of_second=False)[0]).float()


def second_number() -> torch.Tensor:
    """Return for each pixel the number of the second channel's own vesicle that is nearest."""
    return _inside(_nearest(of_second=True)[0]).float()


def first_area() -> torch.Tensor:
    """Return the area of the first channel's vesicles, in pixels."""
    return (_inside(_nearest(of_second=False)[1]) < RADIUS_PX).sum().float()


def pearson(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the correlation over all pixels."""
    one, other = first - first.mean(), second - second.mean()
    return (one * other).mean() / (one.square().mean() * other.square().mean()).sqrt()


def reliability(counts: torch.Tensor) -> torch.Tensor:
    """Return the share of the variance over pixels that is not the photons': NaN where it drowns in chance."""
    variance = counts.var()
    share = 1 - counts.mean() / variance
    least = (UNCERTAIN * (1 - share) * (2 / counts.numel()) ** 0.5).clamp(min=LEAST_RELIABILITY)
    return torch.where(share > least, share, torch.nan)


def manders(first: torch.Tensor, second: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Return the share of the first channel's light, where it is above the level, that lies where both are.

    The levels have any shape; so has the result.
    """
    mine, other = first.flatten(), second.flatten()
    levels = level[..., None]
    above = torch.where(mine > levels, mine, 0.0)
    return torch.where(other > levels, above, 0.0).sum(dim=-1) / above.sum(dim=-1)


def half_a_count_above(level: torch.Tensor) -> torch.Tensor:
    """Return a level that parts the same counts and equals none, so that no rounding of its last digit decides."""
    return torch.floor(level + 1e-6) + 0.5


def colocalize(sliders: Tensors, draws: Tensors, assets: Tensors) -> Tensors:
    """Record both channels, and compare what is read off them with what is true."""
    photons, background = sliders["photons"], sliders["background_photons"]
    share = sliders["overlap_percent"] / 100
    shared, own = ((VESICLES * share - assets[number]).clamp(0, 1) for number in ("first_number", "second_number"))
    light = assets["brightness"]
    weights = (VESICLES * share - torch.arange(VESICLES)).clamp(0, 1)
    one, other = assets["first"], shared * assets["first"] + (1 - own) * assets["second"]
    first, second = (
        noise.poisson_from_uniform(photons * scene + background, draws[name]).double()
        for scene, name in ((one, "first_shot"), (other, "second_shot"))
    )

    truth = pearson(one.double(), other.double())
    dose = torch.logspace(0, 3, POINTS, dtype=torch.float64)
    expected = truth.expand(POINTS)
    for scene in (one.double(), other.double()):
        signal = dose**2 * scene.var()
        expected = expected * (signal / (signal + dose * scene.mean() + background)).sqrt()
    measured = pearson(first, second)
    corrected = measured / (reliability(first) * reliability(second)).sqrt()

    levels = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    in_counts = half_a_count_above(levels * photons + background) - background
    here = half_a_count_above(sliders["threshold_percent"].double() / 100 * photons + background) - background
    in_first, in_second = first - background, second - background
    area_of = (in_first.flatten() > in_counts[:, None]).double().sum(dim=1) / assets["area"]
    area = (in_first > here).double().sum() / assets["area"]
    at_threshold = manders(in_first, in_second, here)
    true_share = (light * weights).sum() / light.sum()
    return {
        "first": first,
        "second": second,
        "dark": 0 * photons,
        "bright": photons + background + 2 * (photons + background).sqrt(),
        "masks": (in_first > here).float() + 2 * (in_second > here).float(),
        "dose": dose,
        "dose_now": photons.reshape(1),
        "true_pearson": truth.expand(POINTS),
        "expected_pearson": expected,
        "measured_now": measured.reshape(1),
        "corrected_now": corrected.reshape(1),
        "levels": 100 * levels,
        "level_now": sliders["threshold_percent"].reshape(1),
        "true_manders": true_share.expand(POINTS),
        "manders": manders(in_first, in_second, in_counts),
        "area_of": area_of,
        "manders_now": at_threshold.reshape(1),
        "pearson": measured,
        "corrected": corrected,
        "truth": truth,
        "manders_first": at_threshold,
        "true_share": true_share,
        "area": 100 * area,
    }


FIGURE = LiveFigure(
    name="quantification_colocalization",
    title="Do they lie together? Two channels, few photons",
    caption=(
        "Vesicles in two colours; you set how many the two share. Take photons away, or add background, and Pearson's "
        "correlation falls along the curve, although nothing moves. Divided by what noise costs, it comes back, until "
        "the signal drowns. Manders' coefficient and the area hang on the threshold: near the background noise makes "
        "pixels into objects, far above it the dimmer vesicles vanish. Find a threshold that is right at 300 photons, "
        "and try it at 3."
    ),
    alt=(
        "Three images of the same field: vesicles as discs in the first channel, grainy; in the second, of which a "
        "part lies at the same places; and the pixels above the threshold in one, in the other or in both. A graph of "
        "Pearson's correlation against photons, which rises towards the truth; and one of Manders' coefficient and of "
        "the area that is found, both over the threshold. Read-outs give the values and the truth."
    ),
    sliders=Sliders,
    function=colocalize,
    panels=(
        ImagePanel(
            output="first",
            title="First channel",
            unit="photons",
            pixel_size_um=PIXEL_UM,
            value_range=("dark", "bright"),
        ),
        ImagePanel(
            output="second",
            title="Second channel",
            unit="photons",
            pixel_size_um=PIXEL_UM,
            value_range=("dark", "bright"),
        ),
        ImagePanel(
            output="masks",
            title="Above threshold",
            unit="3: both",
            pixel_size_um=PIXEL_UM,
            value_range=(0.0, 3.0),
            color_map="viridis",
        ),
        CurvePanel(
            title="Pearson against photons",
            x="dose",
            curves=(
                Curve(output="true_pearson", label="truth", style="dashed"),
                Curve(output="expected_pearson", label="expected"),
                Curve(output="measured_now", label="measured", style="points", x="dose_now"),
                Curve(output="corrected_now", label="corrected", style="points", x="dose_now"),
            ),
            x_label="photons at the peak",
            y_label="Pearson's correlation",
            x_scale="log",
            y_range=(-0.25, 1.25),
        ),
        CurvePanel(
            title="Manders and area against the threshold",
            x="levels",
            curves=(
                Curve(output="true_manders", label="true share", style="dashed"),
                Curve(output="manders", label="Manders' M1"),
                Curve(output="manders_now", label="here", style="points", x="level_now"),
                Curve(output="area_of", label="area ÷ true area", style="dotted"),
            ),
            x_label="threshold (% of the peak)",
            y_label="share",
            y_range=(0.0, 2.0),
        ),
        NumberPanel(
            numbers=(
                Number(output="truth", label="Pearson, without noise", digits=2),
                Number(output="pearson", label="Pearson, measured", digits=2),
                Number(output="corrected", label="Pearson, corrected", digits=2),
                Number(output="true_share", label="true share of shared light", digits=2),
                Number(output="manders_first", label="Manders' M1", digits=2),
                Number(output="area", label="area, of the true one", unit="%", digits=0),
            ),
        ),
    ),
    draws={"first_shot": Draw("uniform", (SIDE, SIDE)), "second_shot": Draw("uniform", (SIDE, SIDE))},
    assets={
        "first": first_image,
        "second": second_image,
        "first_number": first_number,
        "second_number": second_number,
        "brightness": brightness,
        "area": first_area,
    },
)
