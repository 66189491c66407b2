"""Point spread functions in section, above their optical transfer functions."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from course_lib.optics import otf
from course_lib.parameters import Parameter
from course_lib.plotting._figure import Data, new_figure, to_finite_numpy
from course_lib.plotting.style import PAGE_WIDTH_IN, STYLE

__all__ = ["psf_and_otf"]

DIMMEST_PSF = 1e-4
DIMMEST_OTF = 1e-4
MARGIN_IN = 1.2
VOXEL = Parameter(name="voxel_size_um", default=0.1, meaning="size of a voxel", unit="µm", minimum=1e-6)
REACH = Parameter(name="reach_um", default=3.0, meaning="half of what is drawn", unit="µm", minimum=1e-6)
CUTOFF = Parameter(name="cutoffs_per_um", default=5.0, meaning="highest frequency", unit="1/µm", minimum=1e-6)
REACH_PER_UM = Parameter(name="reach_per_um", default=5.0, meaning="half of what is drawn", unit="1/µm", minimum=1e-6)


@matplotlib.rc_context(STYLE)
def psf_and_otf(
    psfs: Mapping[str, Data],
    *,
    voxel_size_um: Sequence[float],
    reach_um: tuple[float, float] = (3.0, 3.0),
    reach_per_um: tuple[float, float] | None = None,
    cutoffs_per_um: Mapping[str, float] | None = None,
) -> Figure:
    r"""Draw the xz section of each PSF, and below it the section of its OTF, both with logarithmic brightness.

    The section :math:`k_y = 0` of the OTF is the transform of the PSF summed along y, so that

    .. math:: |\tilde h(k_z, 0, k_x)| = \Bigl|\mathcal F_{zx} \sum_y h(z, y, x)\Bigr|,

    divided by its value at frequency 0.

    Parameters
    ----------
    psfs : mapping from str to tensor or array of shape (Z, Y, X)
        PSFs under their names, centred at ``size // 2``, all of one voxel size.
    voxel_size_um : sequence of float
        (z, y, x).
    reach_um : (float, float)
        How far the sections of the PSFs reach from the centre, along z and x.
    reach_per_um : (float, float), optional
        How far the sections of the OTFs reach from frequency 0, along z and x; by default as far as z and x
        are sampled.
    cutoffs_per_um : mapping from str to float, optional
        The highest frequency across that each PSF can hold, 2NA/λ in widefield, marked by thin lines.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no PSF, one is not three-dimensional or has no light, a length is not above 0,
        or a cut-off belongs to no PSF.

    Examples
    --------
    >>> z, y, x = np.ogrid[-8:9, -8:9, -8:9]
    >>> spot = np.exp(-(x**2 + y**2 + z**2 / 4) / 8)
    >>> figure = psf_and_otf({"a Gaussian": spot}, voxel_size_um=(0.2, 0.1, 0.1), reach_um=(0.8, 0.8))
    >>> [axes.get_xlabel() for axes in figure.axes[:2]]
    ['x (µm)', 'along x (1/µm)']
    """
    if not psfs:
        raise ValueError("psfs is empty, but must hold at least one PSF: pass {'name': psf}.")
    if len(voxel_size_um) != 3:
        raise ValueError(f"voxel_size_um is {tuple(voxel_size_um)}, but must have 3 numbers: (z, y, x) in µm.")
    for declared, sizes in ((VOXEL, voxel_size_um), (REACH, reach_um), (REACH_PER_UM, reach_per_um or ())):
        for size in sizes:
            declared.check(size)
    cutoffs_per_um = cutoffs_per_um or {}
    if unknown := set(cutoffs_per_um) - set(psfs):
        raise ValueError(f"cutoffs_per_um name {sorted(unknown)}, but the PSFs are {list(psfs)}: use the same names.")
    for cutoff in cutoffs_per_um.values():
        CUTOFF.check(cutoff)
    checked = {name: _checked(psf, name) for name, psf in psfs.items()}
    pixels_um = (voxel_size_um[0], voxel_size_um[2])
    reach_per_um = reach_per_um or (0.5 / pixels_um[0], 0.5 / pixels_um[1])
    panel_width = (PAGE_WIDTH_IN - MARGIN_IN) / max(2, len(checked))
    heights = [panel_width * along_z / along_x for along_z, along_x in (reach_um, reach_per_um)]
    figure = new_figure(PAGE_WIDTH_IN, sum(heights) + MARGIN_IN)
    figure.set_layout_engine("compressed")
    spots, transfers = figure.subplots(
        2, len(checked), squeeze=False, sharex="row", sharey="row", height_ratios=heights
    )
    for axes, (name, psf) in zip(spots, checked.items(), strict=True):
        plane = psf[:, psf.shape[1] // 2]
        spot = _draw(axes, plane / plane.max(), pixels_um, reach=reach_um, dimmest=DIMMEST_PSF)
        axes.set(title=name, xlabel="x (µm)")
    for axes, (name, psf) in zip(transfers, checked.items(), strict=True):
        section = otf(torch.from_numpy(psf.sum(axis=1)), voxel_size_um=pixels_um)
        steps = [1 / (count * pixel) for count, pixel in zip(section.magnitude.shape, pixels_um, strict=True)]
        contrast = section.magnitude.numpy() / psf.sum()
        transfer = _draw(axes, contrast, steps, reach=reach_per_um, dimmest=DIMMEST_OTF)
        axes.set_xlabel("along x (1/µm)")
        if name in cutoffs_per_um:
            for sign in (-1, 1):
                axes.axvline(sign * cutoffs_per_um[name], color="white", linewidth=0.8, linestyle=":")
    spots[0].set_ylabel("z (µm)")
    transfers[0].set_ylabel("along z (1/µm)")
    figure.colorbar(spot, ax=spots, label="PSF ÷ maximum", extend="min", pad=0.02)
    figure.colorbar(transfer, ax=transfers, label="|OTF|", extend="min", pad=0.02)
    return figure


def _checked(psf: Data, name: str) -> np.ndarray:
    array = to_finite_numpy(psf, name=name).astype(np.float64)
    if array.ndim != 3:
        raise ValueError(f"{name} has shape {array.shape}, but must have 3 axes (Z, Y, X): pass a PSF in 3D.")
    if array[:, array.shape[1] // 2].max() <= 0:
        raise ValueError(f"{name} has no light in its central section: centre it at size // 2.")
    return array


def _draw(
    axes: Axes, section: np.ndarray, steps: Sequence[float], *, reach: tuple[float, float], dimmest: float
) -> AxesImage:
    """Draw a section whose zero is at ``size // 2``, with axes in the units of `steps`, as far as `reach`."""
    (low_z, high_z), (low_x, high_x) = (
        ((-(count // 2) - 0.5) * step, (count - count // 2 - 0.5) * step)
        for count, step in zip(section.shape, steps, strict=True)
    )
    picture = axes.imshow(
        section.clip(dimmest / 10),
        norm=LogNorm(dimmest, 1),
        cmap="magma",
        extent=(low_x, high_x, high_z, low_z),
        aspect="equal",
        interpolation="bilinear",
    )
    axes.grid(visible=False)
    axes.set(xlim=(-reach[1], reach[1]), ylim=(reach[0], -reach[0]), facecolor="black")
    return picture
