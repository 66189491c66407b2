r"""How much light a restoration leaves of spots whose light is known, because they were planted.

Whether dim objects lose light cannot be seen in a restored image, since nobody knows how bright they are. So plant some
that are known: draw for each pixel :math:`a \sim \mathrm{Poisson}(N p)`, the photons of spots :math:`p` of :math:`N`
photons each, and add them to the *recorded* counts :math:`y`. The sum of Poisson counts is Poisson, so :math:`y + a` is
just what the microscope would have recorded with these spots in the specimen. The restoration :math:`R` is applied
twice, with the spots and without, and what is left of them in their windows is

.. math:: \frac{\sum R(y + a) - R(y)}{\sum a} ,

the sums over the windows. For a linear filter it is one share for spots of any brightness: that of the window's light
which the filter leaves inside. Where the share falls as the spots become dimmer, dim and bright objects of the restored
image cannot be compared.
"""

import math
from collections.abc import Callable

import torch

from course_lib.axes import check_spatial
from course_lib.metrics._check import double
from course_lib.seeding import generator

__all__ = ["planted_light"]


def planted_light(
    restore: Callable[[torch.Tensor], torch.Tensor],
    counts: torch.Tensor,
    *,
    spot: torch.Tensor,
    places: torch.Tensor,
    photons: float,
    rng: int | torch.Generator | None,
) -> float:
    """Return the share of their light that planted spots keep.

    Parameters
    ----------
    restore : callable
        Takes counts (Y, X) and returns the restored image, of the same shape, in photons.
    counts : torch.Tensor, shape (Y, X)
        Recorded photon counts. A camera's values must be in electrons, without offset.
    spot : torch.Tensor, shape (y, x)
        Light of one spot, with odd sides, at least 0 and of sum 1: for example a Gaussian as wide as the PSF. Light is
        summed over its window.
    places : torch.Tensor, shape (spots, 2)
        Row and column of each spot's middle, whole numbers. Best where nothing else is, and far enough apart that a
        restoration does not take several for one thing.
    photons : float
        Photons of each spot, on average.
    rng : int, torch.Generator or None
        Of the photons.

    Returns
    -------
    float
        1 where all light is kept, 0 where the spots are gone.

    Raises
    ------
    ValueError
        If shapes do not fit, a spot reaches beyond the border, `spot` is not positive with the sum 1, or `photons` is
        not above 0.

    References
    ----------
    R. F. Laine, G. Jacquemet, A. Krull, "Imaging in focus: an introduction to denoising bioimages in the era of deep
    learning", International Journal of Biochemistry and Cell Biology 140 (2021) 106077 (why intensities are at risk).

    Examples
    --------
    >>> empty = torch.zeros(64, 64)
    >>> spot = torch.full((3, 3), 1 / 9)
    >>> places = torch.cartesian_prod(*[torch.arange(8, 60, 12)] * 2)
    >>> how = {"spot": spot, "places": places, "rng": 0}
    >>> for photons in (20, 200):  # a threshold takes what is dim
    ...     left = planted_light(lambda y: y * (y > 9), empty, photons=photons, **how)
    ...     print(f"{photons} photons: {100 * left:.0f} %")
    20 photons: 0 %
    200 photons: 100 %
    """
    _check(counts, spot, places, photons)
    shape = torch.zeros_like(counts)
    reach = [side // 2 for side in spot.shape]
    windows = [
        tuple(slice(at - r, at + r + 1) for at, r in zip(place, reach, strict=True)) for place in places.tolist()
    ]
    for window in windows:
        shape[window] += spot.to(counts)
    added = torch.poisson(photons * shape, generator=generator(rng, counts.device))
    change = double(restore(counts + added)) - double(restore(counts.clone()))
    if change.shape != counts.shape:
        raise ValueError(
            f"restore returned shape {tuple(change.shape)} for counts of shape {tuple(counts.shape)}, but both must be "
            f"the same."
        )
    if not bool(change.isfinite().all()):
        raise ValueError("restore returned values that are NaN or infinite: mend it, or look at what it was given.")
    left, planted = (sum(float(image[window].sum()) for window in windows) for image in (change, added))
    return left / planted if planted else math.nan


def _check(counts: torch.Tensor, spot: torch.Tensor, places: torch.Tensor, photons: float) -> None:
    check_spatial(counts, 2, name="counts")
    check_spatial(spot, 2, name="spot")
    if counts.ndim != 2 or spot.ndim != 2 or any(side % 2 == 0 for side in spot.shape):
        raise ValueError(
            f"counts has shape {tuple(counts.shape)} and spot {tuple(spot.shape)}, but both must be (Y, X), the spot "
            f"with odd sides, so that it has a middle pixel."
        )
    if bool((spot < 0).any()) or abs(float(spot.sum()) - 1) > 1e-4:
        raise ValueError(f"spot sums to {float(spot.sum()):g}, but must be at least 0 and sum to 1: divide by its sum.")
    if places.ndim != 2 or places.shape[-1] != 2 or not len(places) or places.is_floating_point():
        raise ValueError(
            f"places has shape {tuple(places.shape)} and type {places.dtype}, but must be (spots, 2), whole numbers: "
            f"the row and the column of each middle."
        )
    reach, size = (torch.tensor(sides) for sides in ([side // 2 for side in spot.shape], counts.shape))
    outside = ((places.cpu() < reach) | (places.cpu() + reach >= size)).any(dim=1)
    if bool(outside.any()):
        raise ValueError(
            f"a spot at {places[outside.to(places.device)][0].tolist()} reaches beyond the image of shape "
            f"{tuple(counts.shape)}: keep {reach.tolist()} pixels from the border."
        )
    if not 0 < photons < math.inf:
        raise ValueError(f"photons is {photons:g}, but must be above 0 and finite: the photons of one spot.")
