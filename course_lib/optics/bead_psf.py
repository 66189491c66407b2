r"""The PSF of a real microscope, from an image of beads.

A bead much smaller than the PSF looks like the PSF. One bead is noisy; the mean of :math:`N` of them, each first
moved so that its centre lies on a voxel, has :math:`\sqrt N` times less noise. Four steps:

1. *Find.* The image is smoothed by a Gaussian as wide as the spots in it, which is close to the filter that finds a
   known shape in white noise best; local maxima far above the noise of the background are beads, or side lobes of one.
2. *Choose.* Beads with a neighbour in the crop, cut by the border, saturated, much brighter or dimmer than most
   (clusters, dirt) or of another form are left out, and counted.
3. *Centre.* The smoothed crop is the trigonometric polynomial :math:`s(x) = \sum_\nu S(\nu)\,e^{2\pi i\nu\cdot x}`.
   Newton's steps :math:`d \leftarrow d - (\nabla\nabla s)^{-1}\,\nabla s` lead to its maximum between the voxels, and
   :math:`S(\nu)\,e^{2\pi i\nu\cdot d}` moves it to a voxel without blurring it, as an interpolation would.
4. *Average.* From each crop the background is subtracted: a known one, or the mean of its outermost pixels. Where the
   average has more noise than signal, 0 is the better estimate, and the PSF is 0 there.

The bead blurs the PSF. A ball of diameter :math:`D` has the variance :math:`D^2/20` along each axis, and variances
add up; for shapes near a Gaussian so do squared widths:

.. math:: w_\text{point}^2 \approx w^2 - \frac{8\ln 2}{20}\,D^2 .

A bead of half the PSF's width adds 3.4 %. The average itself is not corrected: that takes a deconvolution.

References
----------
R. W. Cole, T. Jinadasa, C. M. Brown, Nature Protocols 6 (2011) 1929 (measuring PSFs).
P. Theer, C. Mongis, M. Knop, Nature Methods 11 (2014) 981 (PSFj).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from course_lib.optics._bead_centring import border, centred_crops
from course_lib.optics._bead_search import UNLIKE, alike, find, in_words, reasons_against, refuse, spot_size, tally
from course_lib.optics.fwhm import check_measured, fwhm_um
from course_lib.parameters import Parameter

__all__ = ["BeadPsf", "bead_psf", "point_fwhm_um"]

DIAMETER = Parameter(
    name="bead_diameter_um", default=0.0, meaning="diameter of the beads", unit="µm", minimum=0.0, maximum=100.0
)
NEIGHBOUR = Parameter(
    name="neighbour_height", default=0.3, meaning="lowest peak that is a neighbour", minimum=0.01, maximum=1.0
)


@dataclass(frozen=True)
class BeadPsf:
    """A measured PSF, and which beads it was measured from.

    Attributes
    ----------
    psf : torch.Tensor
        The PSF, at least 0, with sum 1 and its centre at ``size // 2``: `average` where, smoothed, it is above the
        noise of a voxel, elsewhere 0. Negative values, all noise, would upset a deconvolution; to cut off these alone
        would leave a haze that in a large crop outweighs the PSF.
    average : torch.Tensor
        Mean of the centred beads above their background, in units of the image, with the noise: for measurements.
    centres_um : torch.Tensor, shape (N, 2 or 3)
        Where the N beads used are, in µm from the centre of the first voxel, in the order of the axes.
    background, light : torch.Tensor, shape (N,)
        Background of each bead a voxel, and its sum above the background, in units of the image.
    rejected : dict of str to int
        How many beads were left out, and why.
    voxel_size_um : tuple of float
        Size of a voxel.
    bead_diameter_um : float
        Diameter of the beads, 0 if unknown.
    """

    psf: torch.Tensor
    average: torch.Tensor
    centres_um: torch.Tensor
    background: torch.Tensor
    light: torch.Tensor
    rejected: dict[str, int]
    voxel_size_um: tuple[float, ...]
    bead_diameter_um: float

    @property
    def fwhm_um(self) -> tuple[float, ...]:
        """Full width at half maximum of the average along each axis, bead included."""
        return fwhm_um(self.average, voxel_size_um=self.voxel_size_um)

    @property
    def point_fwhm_um(self) -> tuple[float, ...]:
        """The same for a bead without extent, see `point_fwhm_um`."""
        return tuple(point_fwhm_um(width, bead_diameter_um=self.bead_diameter_um) for width in self.fwhm_um)

    def __str__(self) -> str:
        """Say how many beads were used, and why others were not."""
        return f"{len(self.light)} beads used; left out: {in_words(self.rejected) or 'none'}"


def point_fwhm_um(width_um: float, *, bead_diameter_um: float) -> float:
    """Estimate the width of a PSF from that of the image of a bead, as if both were Gaussian.

    Parameters
    ----------
    width_um : float
        Full width at half maximum of the bead's image, µm.
    bead_diameter_um : float
        Diameter of the bead, a ball that fluoresces throughout, µm.

    Returns
    -------
    float
        Full width at half maximum of the PSF; right to 0.2 % for beads up to half as wide as the PSF,
        and 2.5 % too large for beads of its width.

    Raises
    ------
    ValueError
        If the ball alone is as wide as that.

    Examples
    --------
    >>> round(point_fwhm_um(0.220, bead_diameter_um=0.1), 3)
    0.214
    """
    DIAMETER.check(bead_diameter_um)
    square = width_um**2 - 8 * math.log(2) / 20 * bead_diameter_um**2
    if not square > 0:
        raise ValueError(
            f"a width of {width_um:g} µm is less than a bead of {bead_diameter_um:g} µm has on its own: check the "
            f"voxel size and the diameter, which is in µm."
        )
    return math.sqrt(square)


def bead_psf(
    image: torch.Tensor,
    *,
    voxel_size_um: Sequence[float],
    shape: Sequence[int],
    bead_diameter_um: float = 0.0,
    background: float | None = None,
    saturation: float | None = None,
    neighbour_height: float = 0.3,
) -> BeadPsf:
    """Measure the PSF from an image of beads.

    Parameters
    ----------
    image : torch.Tensor
        Beads, shape (y, x) or (z, y, x), without hot pixels.
    voxel_size_um : sequence of float
        Size of a voxel in µm, (y, x) or (z, y, x).
    shape : sequence of int
        Shape of the PSF, (y, x) or (z, y, x).
    bead_diameter_um : float
        Diameter of the beads; only for `BeadPsf.point_fwhm_um`.
    background : float, optional
        Value of a voxel without light from beads: the camera's offset and an even haze. By default the mean of the
        outermost eighth of rows and columns of each crop, in 3D of its middle planes, where the bead is in focus.
        Light of the bead that still reaches these then counts as background: in widefield stacks that is not little,
        so give the offset where it is known.
    saturation : float, optional
        Value of a saturated voxel, such as 65535. By default, beads with four voxels at the maximum of the image
        count as saturated.
    neighbour_height : float
        A local maximum in the crop of a brighter bead is taken for a neighbour if it has at least this share of its
        height, otherwise for a side lobe. Strong spherical aberration has side lobes above 0.3.

    Returns
    -------
    BeadPsf

    Raises
    ------
    TypeError
        If the image is not a float tensor.
    ValueError
        If shapes do not fit, the shape is larger than the image, no bead is found, or none can be used.

    Examples
    --------
    >>> y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    >>> centres = torch.tensor([[24.3, 24.1], [30.2, 69.7], [70.4, 50.5], [3.0, 90.0]])
    >>> spots = torch.exp(-((y - centres[:, :1, None]) ** 2 + (x - centres[:, 1:, None]) ** 2) / (2 * 1.5**2))
    >>> image = torch.poisson(5000 * spots.sum(0) + 10, generator=torch.Generator().manual_seed(0))
    >>> measured = bead_psf(image, voxel_size_um=(0.1, 0.1), shape=(17, 17))
    >>> print(measured)
    3 beads used; left out: 1 close to the border
    >>> [round(width, 2) for width in measured.fwhm_um]
    [0.35, 0.35]
    """
    sizes = check_measured(image, voxel_size_um, name="image")
    crop = tuple(int(side) for side in shape)
    DIAMETER.check(bead_diameter_um)
    NEIGHBOUR.check(neighbour_height)
    if len(crop) != image.ndim or min(crop) < 5:
        raise ValueError(
            f"shape is {crop}, but must have one side for each of the {image.ndim} axes of the image, each of 5 "
            f"voxels or more."
        )
    if any(side > whole for side, whole in zip(crop, image.shape, strict=True)):
        raise ValueError(f"shape is {crop}, larger than the image, {tuple(image.shape)}: use a smaller shape.")
    values = image.detach().cpu().double().numpy()

    sigma = spot_size(values)
    beads, heights, crowded = find(values, sigma=sigma, shape=crop, neighbour_height=neighbour_height)
    reasons = reasons_against(values, beads, heights, crowded, sigma=sigma, shape=crop, saturation=saturation)
    chosen = np.flatnonzero(reasons == "")
    if len(chosen) == 0:
        refuse(reasons)
    crops, offsets, levels = centred_crops(values, beads[chosen], sigma=sigma, shape=crop, background=background)
    same = alike(crops, offsets, sigma=sigma)
    reasons[chosen[~same]] = UNLIKE
    if not same.any():
        refuse(reasons)
    average = crops[torch.from_numpy(same)].mean(0)
    visible = _visible(average, sigma)
    centres = (torch.from_numpy(beads[chosen]) + offsets)[same] * torch.tensor(sizes, dtype=torch.float64)
    return BeadPsf(
        psf=(visible / visible.sum()).to(image),
        average=average.to(image),
        centres_um=centres.to(image),
        background=levels[same].to(image),
        light=crops[torch.from_numpy(same)].flatten(1).sum(1).to(image),
        rejected=tally(reasons),
        voxel_size_um=sizes,
        bead_diameter_um=float(bead_diameter_um),
    )


def _visible(average: torch.Tensor, sigma: NDArray[np.float64]) -> torch.Tensor:
    """Keep what is above 0 and, smoothed, above the noise of a voxel.

    The noise is measured in second differences along the rows of the border, which leave out what changes slowly.
    """
    from scipy import ndimage

    smooth = torch.from_numpy(ndimage.gaussian_filter(average.numpy(), sigma))
    differences = border(average[None].diff(n=2)) / math.sqrt(6)
    return average.clamp(min=0) * (smooth > 1.4826 * differences.abs().median())
