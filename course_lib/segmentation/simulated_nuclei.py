r"""Images of simulated nuclei with true labels, as varied as real ones: examples that nobody had to draw.

A network that learned from one kind of simulation knows that kind only. So what differs between laboratories is drawn
anew for each image, in a range wider than the real one (*domain randomization* [1]_): the size of the nuclei, how many
there are and how they touch, their texture and how unequally bright they are, the blur of the microscope, the haze of
what lies out of focus, faint clouds and streaks that are no nuclei, such as the glow of cytoplasm, uneven illumination,
the background, and the number of photons,

.. math:: g \sim \mathrm{Poisson}\bigl(N\,[u \cdot (h * f + a\,h_\text{wide} * f + c) + b]\bigr).

Without the clouds :math:`c`, a network takes whatever stands out of an empty background for a nucleus.

References
----------
.. [1] J. Tobin et al., "Domain randomization for transferring deep neural networks from simulation to the real world",
   IROS (2017), doi:10.1109/IROS.2017.8202133.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from course_lib import samples
from course_lib.parameters import Parameters, parameter
from course_lib.seeding import generator
from course_lib.segmentation._check import Labels
from course_lib.segmentation.labels import relabelled

__all__ = ["NucleiVariety", "simulated_nuclei"]

DIAMETER_UM = 10.0
PLANE_SIDES = (1.0, 3.0)
"""Height of a voxel over its width."""
MOST_STRETCHED = 1.3
"""Nuclei of one image may be drawn out in one direction, as in cells that are."""
HEIGHT_RATIO, LEAST_COVER = (0.5, 1.0), 0.03
BRIGHTNESS_SPREAD = (0.0, 0.6)
BLUR, HAZE_WIDTH = (0.02, 0.1), 0.6
"""Standard deviations, over the diameter."""
CLOUDS, CLOUD_WIDTH = (0.0, 0.2), (0.1, 1.5)
"""Brightness of the brightest cloud, and widths over the diameter, along each axis another."""
HAZE, SLOPE, BACKGROUND = (0.0, 0.5), (0.0, 0.5), (0.01, 0.3)
LEAST_SHARE = 0.1
"""Pieces smaller than this share of the median, cut by the border, are no examples."""


class NucleiVariety(Parameters):
    """The ranges from which each image draws.

    Examples
    --------
    >>> NucleiVariety(largest_diameter_px=30.0).smallest_diameter_px
    8.0
    """

    smallest_diameter_px: float = parameter(default=8.0, meaning="of the nuclei", unit="pixels", minimum=4.0)
    largest_diameter_px: float = parameter(default=50.0, meaning="of the nuclei", unit="pixels", minimum=4.0)
    fewest_photons: float = parameter(default=5.0, meaning="at the brightest nuclei", unit="photons", minimum=0.1)
    most_photons: float = parameter(default=5000.0, meaning="at the brightest nuclei", unit="photons", minimum=0.1)
    largest_cover: float = parameter(default=0.45, meaning="of the field, by nuclei", minimum=0.01, maximum=0.6)


def simulated_nuclei(
    number: int,
    shape: Sequence[int],
    *,
    variety: NucleiVariety | None = None,
    rng: int | torch.Generator | None,
) -> Iterator[tuple[torch.Tensor, Labels]]:
    """Draw images of nuclei, one after the other, each of another kind.

    Parameters
    ----------
    number : int
        Of images.
    shape : sequence of int
        ([z,] y, x) in voxels.
    variety : NucleiVariety, optional
        How they may differ.
    rng : int, torch.Generator or None
        Seed, or generator on the CPU.

    Yields
    ------
    tuple of torch.Tensor and numpy.ndarray
        Photons, float32, and the true labels, int32, from 1 on.

    Examples
    --------
    >>> (photons, labels), = simulated_nuclei(1, (96, 96), rng=0)
    >>> photons.shape, photons.dtype, labels.dtype
    (torch.Size([96, 96]), torch.float32, dtype('int32'))
    """
    variety, draws = variety or NucleiVariety(), _Draws(generator(rng))
    if variety.smallest_diameter_px > variety.largest_diameter_px or variety.fewest_photons > variety.most_photons:
        raise ValueError(
            f"diameters are {variety.smallest_diameter_px:g} to {variety.largest_diameter_px:g} pixels and photons "
            f"{variety.fewest_photons:g} to {variety.most_photons:g}, but the smaller number must come first."
        )
    for _ in range(number):
        yield _image(tuple(shape), variety, draws)


class _Draws:
    """Numbers drawn evenly, and evenly over decades."""

    def __init__(self, rng: torch.Generator) -> None:
        self.rng = rng

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.rng))

    def decades(self, low: float, high: float) -> float:
        return math.exp(self.between(math.log(low), math.log(high)))


def _image(shape: tuple[int, ...], variety: NucleiVariety, draws: _Draws) -> tuple[torch.Tensor, Labels]:
    diameter_px = draws.decades(variety.smallest_diameter_px, variety.largest_diameter_px)
    planes = draws.between(*PLANE_SIDES)
    stretch = draws.decades(1 / MOST_STRETCHED, MOST_STRETCHED)
    widths_px = (diameter_px / planes, diameter_px * stretch, diameter_px / stretch)[3 - len(shape) :]
    density, labels = _field(shape, widths_px, variety, draws)
    spread = draws.between(*BRIGHTNESS_SPREAD)
    density *= torch.exp(spread * torch.randn(int(labels.max()) + 1, generator=draws.rng))[labels.long()]
    sharp = _blurred(density, [draws.between(*BLUR) * width for width in widths_px])
    light = sharp + draws.between(*HAZE) * _blurred(density, [HAZE_WIDTH * width for width in widths_px])
    light += draws.between(*CLOUDS) * float(light.max()) * _clouds(shape, widths_px, draws)
    light *= _illumination(shape, draws)
    light /= light.flatten().kthvalue(math.ceil(0.999 * light.numel())).values.clamp(min=1e-6)
    photons = draws.decades(variety.fewest_photons, variety.most_photons)
    counts = torch.poisson(photons * (light + draws.between(*BACKGROUND)), generator=draws.rng)
    return counts, _without_slivers(labels.numpy())


def _field(
    shape: tuple[int, ...], widths_px: tuple[float, ...], variety: NucleiVariety, draws: _Draws
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return density and labels of as many nuclei as were drawn, or fewer if they find no room."""
    height_ratio = draws.between(*HEIGHT_RATIO)
    share = math.pi / 4 if len(shape) == 2 else height_ratio * math.pi / 6
    cover = draws.decades(LEAST_COVER, variety.largest_cover)
    count = max(1, round(cover * math.prod(shape) / (share * math.prod(widths_px))))
    touching, texture, dividing = draws.between(0, 1), draws.between(0, 1.2), draws.between(0, 0.1)
    while True:
        try:
            return samples.nuclei(
                shape,
                voxel_size_um=[DIAMETER_UM / width for width in widths_px],
                count=count,
                diameter_um=DIAMETER_UM,
                height_ratio=height_ratio,
                touching=touching,
                texture=texture,
                dividing=dividing,
                rng=draws.rng,
            )
        except ValueError:
            if count == 1:
                raise
            count = math.ceil(0.8 * count)


def _clouds(shape: tuple[int, ...], widths_px: tuple[float, ...], draws: _Draws) -> torch.Tensor:
    """Return faint light of no object, 1 at its brightest."""
    widths = [draws.decades(*CLOUD_WIDTH) * width for width in widths_px]
    field = _blurred(torch.randn(shape, generator=draws.rng), widths).clamp(min=0)
    return field / field.max().clamp(min=1e-12)


def _illumination(shape: tuple[int, ...], draws: _Draws) -> torch.Tensor:
    """Return light that rises evenly along one direction, 1 in the middle."""
    angle, slope = draws.between(0, 2 * math.pi), draws.between(*SLOPE)
    y, x = (torch.linspace(-1, 1, side) for side in shape[-2:])
    return 1 + slope * (math.sin(angle) * y[:, None] + math.cos(angle) * x) / math.sqrt(2)


def _blurred(image: torch.Tensor, sigmas_px: Sequence[float]) -> torch.Tensor:
    from scipy import ndimage

    return torch.from_numpy(ndimage.gaussian_filter(image.numpy(), sigmas_px, mode="nearest"))


def _without_slivers(labels: Labels) -> Labels:
    areas = np.bincount(labels.ravel())[1:]
    kept = np.concatenate([[False], areas >= LEAST_SHARE * np.median(areas)])
    return relabelled(np.where(kept[labels], labels, 0))
