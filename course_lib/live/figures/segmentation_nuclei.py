"""Nuclei, from a noisy image to objects: a threshold, a landscape and its summits, by hand or by a trained network."""

from functools import cache

import torch
from torch.nn import functional

from course_lib import datasets, noise
from course_lib.live import Draw, ImagePanel, LiveFigure, Number, NumberPanel, Tensors
from course_lib.networks import Model, pretrained
from course_lib.parameters import Parameters, parameter

NETWORK = "nuclei_2d"
IMAGE, TRUTH = "dsb2018_nuclei_2d", "dsb2018_nuclei_2d_labels"
SIDE, CORNER = 128, (384, 80)
"""Sides of the part of the image that is shown, and its first row and column."""
FARTHEST_PX = 26
"""Largest distance of two seeds."""
SMALLEST_PX = 20
"""Objects of fewer pixels are dropped, also true ones that the border cuts."""
MOST_OBJECTS, MOST_TRUE = 128, 32
"""Objects of higher numbers are counted, but not compared with the truth; and more true ones there are not."""
SMOOTHING_PX = 2.0
DARK, BRIGHT = 0.01, 0.998
"""Quantiles of the image that the evidence calls 0 and 100 %; a network for segmentation sees them as 0 and 1."""
FINENESS = 2.0**20
"""Steps of a pixel in which heights are compared: finer differences are rounding, which runtimes do not share."""
DOUBLINGS = 8
FLATTEST = 2.0**-10
"""Waves of the landscape with a smaller square of their radians per pixel, as long as the image, are left out."""


CHOICES = ("network", "network's mask, distance", "brightness, distance")
"""What tells nucleus from background, and what the landscape is: the flow, where nothing else is said."""


class Sliders(Parameters):
    """What the reader can change."""

    evidence: str = parameter(default="network", meaning="evidence", choices=CHOICES)
    threshold_percent: float = parameter(
        default=50.0,
        meaning="threshold of the evidence",
        unit="%",
        minimum=0.0,
        maximum=100.0,
        slider=(5.0, 95.0),
        step=1.0,
    )
    seed_distance_px: float = parameter(
        default=6.0,
        meaning="smallest distance of two seeds",
        unit="pixels",
        minimum=1.0,
        maximum=float(FARTHEST_PX),
        slider=(1.0, float(FARTHEST_PX)),
        step=2.5,
    )
    photons: float = parameter(
        default=300.0, meaning="photons at the peak", unit="photons", minimum=0.0, slider=(3.0, 1000.0), scale="log"
    )


def _part(name: str) -> torch.Tensor:
    row, column = CORNER
    return datasets.load(name).tensor()[row : row + SIDE, column : column + SIDE].float()


def scene() -> torch.Tensor:
    """Return a part of the real image, with 1 at its peak."""
    part = _part(IMAGE)
    return part / part.max()


def truth() -> torch.Tensor:
    """Return the true labels of that part, numbered from 1 on."""
    part = _part(TRUTH).long()
    sizes = part.flatten().bincount()
    kept = sizes >= SMALLEST_PX
    kept[0] = False
    numbers = kept.cumsum(dim=0) * kept
    return numbers[part].float()


def blur() -> torch.Tensor:
    """Return the matrix that smooths a column by a Gaussian; at the borders the weights are those that are left."""
    places = torch.arange(SIDE, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((places[:, None] - places) / SMOOTHING_PX) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)


def turns() -> torch.Tensor:
    """Return the frequencies of a row beside its mirror image, in radians per pixel."""
    frequencies: torch.Tensor = torch.fft.fftfreq(2 * SIDE, dtype=torch.float64)
    return 2 * torch.pi * frequencies


@cache
def trained(device: torch.device) -> Model:
    """Return the trained network, loaded once."""
    model = pretrained(NETWORK)
    model.network.to(device).requires_grad_(False)
    return model


def smoothed(values: torch.Tensor, blur: torch.Tensor) -> torch.Tensor:
    """Return float64 values after the Gaussian filter."""
    return blur @ values.double() @ blur.T


def quantile(values: torch.Tensor, share: float) -> torch.Tensor:
    """Return the quantile, between the two values next to it."""
    ordered = values.flatten().sort().values
    place = share * (len(ordered) - 1)
    below = int(place)
    return ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])


def normalized(image: torch.Tensor) -> torch.Tensor:
    """Return the image with 0 at its 1st percentile and 1 at its 99.8th."""
    dark, bright = quantile(image, DARK), quantile(image, BRIGHT)
    return (image - dark) / (bright - dark).clamp(min=1e-6)


def distance(mask: torch.Tensor) -> torch.Tensor:
    """Return how far each pixel is from the nearest one outside the mask: along rows first, then along columns."""
    places = torch.arange(float(SIDE))
    squares = (places[:, None] - places) ** 2
    outside = torch.where(mask, 2.0 * SIDE**2, 0.0)
    along = (outside[:, None, :] + squares[None]).min(dim=2).values
    both = (along[None] + squares[:, :, None]).min(dim=1).values
    return both.double().sqrt()


def height_of_flow(flow: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    r"""Return the landscape whose slopes come nearest to the flow (2, Y, X), in pixels.

    For a flow :math:`f` these heights solve :math:`\Delta h = \nabla \cdot f`, and a Fourier transform of the image
    beside its mirror images makes a division of it.
    """
    down, across = flow.double()
    rows, columns = torch.cat([down, -down.flip(0)]), torch.cat([across, across.flip(0)])
    mirrored = torch.stack([torch.cat([rows, rows.flip(1)], dim=1), torch.cat([columns, -columns.flip(1)], dim=1)])
    spectrum = torch.fft.rfft2(mirrored)
    sines = torch.sin(turns)
    down_slope, right_slope = sines[:, None], sines[: SIDE + 1]
    divisor = down_slope**2 + right_slope**2 + FLATTEST
    real, imaginary = (
        (of_rows * down_slope + of_columns * right_slope) / divisor
        for of_rows, of_columns in (spectrum.imag, -spectrum.real)
    )
    heights: torch.Tensor = torch.fft.irfft2(torch.complex(real, imaginary), s=(2 * SIDE, 2 * SIDE))
    return heights[:SIDE, :SIDE]


def highest_around(values: torch.Tensor) -> torch.Tensor:
    """Return the highest value among a pixel and its eight neighbours."""
    return functional.max_pool2d(values[None, None], 3, stride=1, padding=1)[0, 0]


def highest_beside(values: torch.Tensor) -> torch.Tensor:
    """Return the highest value among a pixel and its four neighbours."""
    planes = values[None, None]
    above = functional.max_pool2d(planes, (3, 1), stride=1, padding=(1, 0))
    beside = functional.max_pool2d(planes, (1, 3), stride=1, padding=(0, 1))
    return torch.maximum(above, beside)[0, 0]


def summits(height: torch.Tensor, mask: torch.Tensor, apart: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the seed that each pixel of the mask climbs to, as a place in the flat image, and which pixels are seeds.

    Each pixel steps to its highest neighbour in the mask. On a summit it looks as far as seeds must be `apart`, within
    the mask, and goes on to what is highest there: if that is where it stands, it is a seed.
    """
    pixels = SIDE * SIDE
    places = torch.arange(pixels)
    exact = torch.round(height.flatten() * FINENESS) * pixels + places  # of equal heights the last is higher
    order = exact.argsort()
    ranks = torch.zeros(pixels).scatter(0, order, places + 1.0).reshape(SIDE, SIDE) * mask
    highest = highest_around(ranks) * mask
    far = ranks
    for step in range(FARTHEST_PX):
        further = (highest_around(far) if step % 2 else highest_beside(far)) * mask
        far = torch.where(step < apart, further, far)
    upwards = torch.where(highest == ranks, far, highest)
    reached = torch.where(mask.flatten(), order[(upwards.flatten().long() - 1).clamp(min=0)], places)
    for _ in range(DOUBLINGS):
        reached = reached[reached]
    return reached, mask.flatten() & (far == ranks).flatten()


def objects(height: torch.Tensor, mask: torch.Tensor, apart: torch.Tensor) -> torch.Tensor:
    """Return the labels (Y, X), float32: 0 background, objects from 1 on."""
    reached, seeds = summits(height, mask, apart)
    inside = mask.flatten().float()
    sizes = torch.zeros_like(inside).scatter_add(0, reached, inside)
    kept = seeds & (sizes >= SMALLEST_PX)
    numbers = kept.float().cumsum(dim=0) * kept
    return (numbers[reached] * inside).reshape(SIDE, SIDE)


def shades(labels: torch.Tensor) -> torch.Tensor:
    """Return a shade of each object, far from those of the numbers next to it, and a dark line where two meet."""
    others = torch.where(labels > 0, -labels, -float(SIDE * SIDE))
    highest, lowest = highest_around(labels), -highest_around(others)
    shade = 0.4 + 0.6 * torch.remainder(labels.double() * 0.381966, 1).float()
    return torch.where(labels > 0, torch.where(highest == lowest, shade, 0.15), 0.0)


def average_precisions(labels: torch.Tensor, truth: torch.Tensor, levels: tuple[float, ...]) -> list[torch.Tensor]:
    """Return TP / (TP + FP + FN) at each threshold of the IoU, all above 0.5, where pairs are unique."""
    mine, true = (
        (image.flatten() == torch.arange(1.0, most + 1)[:, None]).float()
        for image, most in ((labels, MOST_OBJECTS), (truth, MOST_TRUE))
    )
    common = mine @ true.T
    iou = common / (mine.sum(dim=1)[:, None] + true.sum(dim=1) - common).clamp(min=1)
    found = [(iou > level).float().sum() for level in levels]
    return [one / (labels.max() + truth.max() - one) for one in found]


def segment(sliders: Tensors, draws: Tensors, assets: Tensors) -> Tensors:
    """Record the scene, find objects in it, and compare them with the true ones."""
    photons, threshold = sliders["photons"], sliders["threshold_percent"]
    by_network, by_flow = sliders["evidence"] < 1.5, sliders["evidence"] < 0.5
    image = noise.poisson_from_uniform(photons * assets["scene"], draws["shot"])
    maps = trained(image.device).network(normalized(image)[None, None])[0]
    brightness = normalized(smoothed(image, assets["blur"])).float()
    evidence = 100 * torch.where(by_network, maps[0].sigmoid(), brightness.clamp(0, 1))
    mask = evidence > threshold
    learned = height_of_flow(maps[1:], assets["turns"])
    height = torch.where(by_flow, learned, smoothed(distance(mask), assets["blur"]))
    labels = objects(height, mask, sliders["seed_distance_px"])

    at_half, strict = average_precisions(labels, assets["truth"], (0.5, 0.7))
    return {
        "image": image,
        "dark": 0 * photons,
        "bright": photons,
        "evidence": evidence,
        "objects": shades(labels),
        "truth": shades(assets["truth"]),
        "count": labels.max(),
        "true_count": assets["truth"].max(),
        "ap_half": at_half,
        "ap_strict": strict,
    }


FIGURE = LiveFigure(
    name="segmentation_nuclei",
    title="From evidence to objects",
    caption=(
        "A part of a real image whose nuclei are known, and which no network of the course has learned from. What "
        "exceeds the threshold is nucleus; seeds are the summits of a landscape, and every pixel belongs to the "
        "summit it climbs to. The landscape is the distance from the edge of the mask, or the one whose slopes are "
        "the flow that the network gives. Move the seeds apart until nuclei merge, and together until they break. "
        "From 50 % up the threshold hardly matters to the network, which is sure but for a thin rim. Brightness is "
        "not: it needs some 30 %, and with a little more the count may stay, but the outlines shrink, and the AP at "
        "an IoU of 0.7 falls first. Then take photons away, down to 3, and see what each evidence loses. The noise "
        "is added to that of the recorded image."
    ),
    alt=(
        "Four images of the same field: nuclei as recorded; the evidence for nucleus, which a network gives, bright on "
        "dark; the objects found, each in a shade of its own, with a dark line where two meet; and the true objects. "
        "Read-outs tell how many there are, and the average precision at two thresholds of the IoU."
    ),
    sliders=Sliders,
    function=segment,
    panels=(
        ImagePanel(output="image", title="Recorded", unit="photons", value_range=("dark", "bright")),
        ImagePanel(output="evidence", title="Evidence", unit="%", value_range=(0.0, 100.0), color_map="magma"),
        ImagePanel(output="objects", title="Objects", unit="a shade each", value_range=(0.0, 1.0), color_map="viridis"),
        ImagePanel(output="truth", title="The truth", unit="a shade each", value_range=(0.0, 1.0), color_map="viridis"),
        NumberPanel(
            numbers=(
                Number(output="count", label="objects", digits=0),
                Number(output="true_count", label="true objects", digits=0),
                Number(output="ap_half", label="AP at an IoU of 0.5", digits=2),
                Number(output="ap_strict", label="AP at an IoU of 0.7", digits=2),
            ),
        ),
    ),
    draws={"shot": Draw("uniform", (SIDE, SIDE))},
    assets={"scene": scene, "truth": truth, "blur": blur, "turns": turns},
)
