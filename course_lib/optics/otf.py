r"""The optical transfer function: how much of each spatial frequency reaches the image.

The image of a wave is a wave of the same frequency :math:`\nu`, weaker and perhaps shifted: its factor is the
Fourier transform of the PSF,

.. math:: H(\nu) = \sum_x h(x)\, e^{-2\pi i\,\nu\cdot x}, \qquad H(0) = \sum_x h(x) = 1,

with :math:`x` counted from the emitter, the voxel at ``size // 2``; so a symmetric PSF has a real OTF.

Light of wavelength :math:`\lambda` in a medium of index :math:`n` has the wave vectors of a sphere of radius
:math:`n/\lambda`, of which the aperture takes a cap. An image shows differences of two of them. They reach across to
:math:`2\,\mathrm{NA}/\lambda`, and at the lateral frequency :math:`\rho` along the axis to

.. math::

   \nu_z(\rho) = \frac{\sqrt{n^2 - (\mathrm{NA} - \lambda\rho)^2} - \sqrt{n^2 - \mathrm{NA}^2}}{\lambda},

a doughnut. At :math:`\rho = 0` this is 0: two waves that differ in height only are not both in the cap. So a cone
along the axis is missing, of half angle :math:`90° - \alpha`, and with it the axial detail of everything broad: a
widefield stack of an even layer looks the same in each plane.

References
----------
J. W. Goodman, *Introduction to Fourier Optics*, 4th ed., Freeman 2017, chapter 7.
M. G. L. Gustafsson, D. A. Agard, J. W. Sedat, Journal of Microscopy 195 (1999) 10 (the missing cone).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from course_lib.optics.fwhm import check_measured
from course_lib.optics.microscope import Microscope

__all__ = ["Otf", "otf", "otf_cutoffs_per_um", "otf_support", "share_in_support"]


@dataclass(frozen=True)
class Otf:
    """An optical transfer function with frequency 0 at ``size // 2`` of each axis.

    Attributes
    ----------
    transfer : torch.Tensor
        :math:`H`, complex, shape of the PSF.
    frequencies_per_um : tuple of torch.Tensor
        The frequencies along each axis in cycles per µm.
    """

    transfer: torch.Tensor
    frequencies_per_um: tuple[torch.Tensor, ...]

    @property
    def magnitude(self) -> torch.Tensor:
        """The contrast that a wave of each frequency keeps."""
        return self.transfer.abs()


def otf(psf: torch.Tensor, *, voxel_size_um: Sequence[float]) -> Otf:
    """Transform a PSF into its OTF.

    Parameters
    ----------
    psf : torch.Tensor
        Shape (y, x) or (z, y, x), emitter at ``size // 2``; its sum becomes the OTF at frequency 0.
    voxel_size_um : sequence of float
        Size of a voxel in µm, (y, x) or (z, y, x).

    Returns
    -------
    Otf
        Differentiable in the PSF.

    Raises
    ------
    ValueError
        If shape and voxel size do not fit, or a value is NaN or infinite.

    Notes
    -----
    The steps of frequency are 1/(size · voxel size): for finer ones, compute the PSF on more voxels.

    Examples
    --------
    >>> psf = torch.zeros(4, 5)
    >>> psf[2, 1:4] = torch.tensor([0.25, 0.5, 0.25])
    >>> transfer = otf(psf, voxel_size_um=(0.1, 0.1))
    >>> [round(frequency, 2) for frequency in transfer.frequencies_per_um[1].tolist()]
    [-4.0, -2.0, 0.0, 2.0, 4.0]
    >>> [round(contrast, 3) for contrast in transfer.magnitude[2].tolist()]
    [0.095, 0.655, 1.0, 0.655, 0.095]
    """
    sizes = check_measured(psf, voxel_size_um)
    transfer = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(psf)))
    frequencies = tuple(
        torch.fft.fftshift(torch.fft.fftfreq(voxels, d=size, dtype=psf.dtype, device=psf.device))
        for voxels, size in zip(psf.shape, sizes, strict=True)
    )
    return Otf(transfer=transfer, frequencies_per_um=frequencies)


def otf_cutoffs_per_um(microscope: Microscope) -> tuple[float, float]:
    r"""Return the highest frequencies in a widefield image, axial and lateral, in cycles per µm.

    Parameters
    ----------
    microscope : Microscope
        For its aperture, emission wavelength and immersion index.

    Returns
    -------
    (float, float)
        :math:`(n - \sqrt{n^2 - \mathrm{NA}^2})/\lambda` and :math:`2\,\mathrm{NA}/\lambda`.

    Examples
    --------
    >>> [round(cutoff, 2) for cutoff in otf_cutoffs_per_um(Microscope(numerical_aperture=1.4))]
    [1.78, 5.33]
    """
    return 1 / (2 * microscope.axial_nyquist_um), 1 / (2 * microscope.lateral_nyquist_um)


def otf_support(microscope: Microscope, frequencies_per_um: Sequence[torch.Tensor]) -> torch.Tensor:
    """Tell which frequencies a widefield microscope passes: a disc in 2D, a doughnut in 3D.

    Parameters
    ----------
    microscope : Microscope
        For its aperture, emission wavelength and immersion index.
    frequencies_per_um : sequence of torch.Tensor
        Frequencies along each axis in cycles per µm, (y, x) or (z, y, x), as `otf` gives them.

    Returns
    -------
    torch.Tensor of bool
        One for each frequency. One that is outside by half a step or less counts as inside, as a PSF that ends
        somewhere cannot tell them apart.

    Raises
    ------
    ValueError
        If there are not two or three axes, or one is not evenly spaced.

    Examples
    --------
    >>> frequencies = [torch.linspace(-2, 2, 41), torch.linspace(-6, 6, 41), torch.linspace(-6, 6, 41)]
    >>> support = otf_support(Microscope(numerical_aperture=1.4), frequencies)
    >>> bool(support[20, 20, 20]), bool(support[35, 20, 20]), bool(support[35, 20, 29])
    (True, False, True)
    """
    if len(frequencies_per_um) not in (2, 3):
        raise ValueError(f"frequencies_per_um has {len(frequencies_per_um)} axes, but must be (y, x) or (z, y, x).")
    steps = [_step(axis) for axis in frequencies_per_um]
    axial, lateral = otf_cutoffs_per_um(microscope)
    aperture = lateral / 2  # NA/λ
    radius = axial / 2 + aperture**2 / (2 * axial)  # n/λ: the sphere whose cap is `aperture` wide and `axial` high
    *z, y, x = frequencies_per_um
    rho = torch.hypot(y[:, None], x)
    lateral_step = max(steps[-2:])
    disc = rho <= lateral + lateral_step / 2
    if not z:
        return disc
    near = (rho - aperture).abs() - lateral_step / 2  # half a step closer to the tallest part of the doughnut
    near = near.clamp(min=0, max=aperture)
    height = torch.sqrt(radius**2 - near**2) - (radius - axial)
    return disc & (z[0].abs()[:, None, None] <= height + steps[0] / 2)


def _step(frequencies: torch.Tensor) -> float:
    """Return the step of evenly spaced frequencies, 0 of a single one."""
    if frequencies.ndim != 1 or len(frequencies) == 0:
        raise ValueError(f"frequencies along an axis have shape {tuple(frequencies.shape)}, but must be a list.")
    if len(frequencies) == 1:
        return 0.0
    differences = frequencies.diff()
    step = float(differences.mean())
    if not step > 0 or float((differences - step).abs().max()) > 1e-3 * step:
        raise ValueError("frequencies along an axis must rise in even steps: otf(psf, ...).frequencies_per_um do.")
    return step


def share_in_support(transfer: Otf, microscope: Microscope) -> float:
    r"""Measure which share of :math:`\sum|H|^2`, frequency 0 left out, lies where a widefield microscope passes light.

    Parameters
    ----------
    transfer : Otf
        Of a PSF, computed or measured.
    microscope : Microscope
        The widefield microscope to compare with.

    Returns
    -------
    float
        Near 1 for a widefield PSF. What is missing is in the missing cone or beyond the cut-off: the gain of a
        confocal microscope, or else noise, or a model that is too simple, like a Gaussian.

    Raises
    ------
    ValueError
        If the OTF is 0 everywhere but at frequency 0.

    Examples
    --------
    >>> from course_lib.optics import vectorial_psf
    >>> microscope, voxel_size_um = Microscope(numerical_aperture=0.8, immersion_index=1.0), (0.25, 0.1, 0.1)
    >>> psf = vectorial_psf(microscope, shape=(32, 64, 64), voxel_size_um=voxel_size_um)
    >>> share_in_support(otf(psf, voxel_size_um=voxel_size_um), microscope) > 0.98
    True
    """
    energy = transfer.transfer.detach().abs().double() ** 2
    energy[tuple(side // 2 for side in energy.shape)] = 0
    total = float(energy.sum())
    if not total > 0:
        raise ValueError("the OTF is 0 everywhere but at frequency 0: the psf is even, so check what it was made from.")
    return float(energy[otf_support(microscope, transfer.frequencies_per_um)].sum()) / total
