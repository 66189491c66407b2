r"""From an object to the numbers in the file: light, optics and camera in one call.

.. math::

   \mu = \frac{p}{\max_z \sum_{yx} h}\,(h * f) + b, \qquad g \sim \mathrm{Camera}(\mu)

with the fluorophores :math:`f` of each voxel, the photons :math:`p` that one of them, in focus, sends to the camera
in one exposure, the PSF :math:`h`, the background :math:`b` and the recorded image :math:`g`. This is the only place
where fluorescence, optics and noise meet; each knows nothing of the others.

The denominator is 1 for a plane. A PSF in 3D sums to 1 over all its planes, but a stack takes one exposure for each of
them, and in every one a fluorophore shines again: the brightest plane of the PSF gets :math:`p` photons, and every
other as many as the PSF has in it, in proportion (`ImagingSystem.plane_shares`). Behind a pinhole the planes out of
focus rightly get fewer. Widefield light only spreads when it is out of focus, so that each plane should get all
:math:`p` photons; but a PSF that ends before the light does has fewer there, which looks the same, and that haze is
lost. `course_lib.optics.Microscope.light_reach_um` tells how wide it must be. A PSF that reaches as far on each side
keeps in its outermost planes 98 % or more of what it has in focus: for a water objective of NA 1.2 with 47 planes of
0.16 µm these are 8.6 µm, where 4 µm keep two thirds. Where the indices do not match, the light spreads further.
A PSF as wide as ``2 * size - 1`` voxels of the object leaves out only what misses the field. The Gaussian model has no
haze at all.

References
----------
J. B. Pawley (ed.), *Handbook of Biological Confocal Microscopy*, 3rd ed., Springer 2006, chapter 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from course_lib.axes import check_spatial
from course_lib.noise import Camera, digitize, poisson_from_uniform
from course_lib.optics import Convolution
from course_lib.parameters import Parameter
from course_lib.seeding import generator

__all__ = ["ImagingSystem"]

DECLARED = (
    Parameter(name="photons_per_fluorophore", default=1.0, meaning="photons at the camera", unit="photons", minimum=0),
    Parameter(name="background_photons", default=0.0, meaning="photons of the background", unit="photons", minimum=0),
    Parameter(name="exposure_ms", default=100.0, meaning="exposure", unit="ms", minimum=0),
)
BINNING = Parameter(name="binning", default=1, meaning="voxels of the object to one of the image", minimum=1)
NOT_DRAWN = {"em_gain": 1.0, "row_noise_adu": 0.0, "checker_adu": 0.0}
"""Terms of a camera that `ImagingSystem.capture_from_draws` leaves out, and the value that means none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImagingSystem:
    """A microscope with its camera.

    Attributes
    ----------
    psf : torch.Tensor
        Point-spread function, shape (y, x) or (z, y, x), sums to 1, centre at ``size // 2``, sampled like the object.
    camera : Camera or None
        What records. None counts the photons that `photons_per_fluorophore` speaks of, each once and without any
        noise but their own, as the detector of a confocal microscope does at best.
    photons_per_fluorophore : float
        Photons that one fluorophore in focus sends to the camera in one exposure: ``transmitted`` of a
        `course_lib.fluorescence.photon_budget`, since the camera applies its quantum efficiency. With
        ``camera=None`` nothing else does: use ``detected``.
    background_photons : float
        Photons that reach each pixel in one exposure from elsewhere: stray light, autofluorescence, leaking filters.
    exposure_ms : float
        Exposure of a frame, for the dark current of the camera.
    binning : sequence of int, optional
        Voxels of the object along each axis to one of the image, (y, x) or (z, y, x): along y and x their light adds
        up in a pixel, along z only the first of so many planes is recorded. So an object on voxels finer than
        Nyquist's is recorded by a camera whose pixels are not.

    Raises
    ------
    TypeError
        If the PSF is not a float tensor, or the camera not a `Camera`.
    ValueError
        If a number is negative or not finite, or the PSF does not sum to 1 or has negative values.

    Notes
    -----
    Outside the object it is dark, so that an object that fills its field fades at the borders, by half where it
    ends: simulate a field larger than needed by half the PSF, and crop.

    A stack is recorded plane by plane, one exposure each, and so is each image of a batch. Every call transforms the
    PSF again: many objects of one shape are faster as a batch.

    Examples
    --------
    A cell of the course, from fluorophores to ADU:

    >>> from course_lib import optics, samples
    >>> voxel = (0.25, 0.1, 0.1)
    >>> cell = 100 * samples.filaments((16, 64, 64), voxel_size_um=voxel, count=8, rng=0)
    >>> psf = optics.gaussian_psf(optics.Microscope(numerical_aperture=1.2), shape=(15, 31, 31), voxel_size_um=voxel)
    >>> system = ImagingSystem(psf=psf, camera=Camera(), photons_per_fluorophore=8.0, background_photons=2.0)
    >>> system.capture(cell, rng=0).shape
    torch.Size([16, 64, 64])
    >>> photons = system.camera.to_photons(system.capture(cell, rng=0))
    >>> bool((photons.mean() - system.expected(cell).mean()).abs() < 0.1)
    True
    """

    psf: torch.Tensor
    camera: Camera | None
    photons_per_fluorophore: float = 1.0
    background_photons: float = 0.0
    exposure_ms: float = 100.0
    binning: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Check every part."""
        check_spatial(self.psf, 2, name="psf")
        total, least = float(self.psf.detach().sum()), float(self.psf.detach().min())
        if abs(total - 1) > 1e-3:
            raise ValueError(
                f"psf sums to {total:g}, but must sum to 1, or it makes or loses photons: divide it by its sum."
            )
        if least < -1e-6:
            raise ValueError(
                f"psf has a value of {least:g}, but light adds and never subtracts: "
                f"clamp it at 0 and divide it by its sum."
            )
        if not isinstance(self.camera, Camera | None):
            raise TypeError(
                f"camera is a {type(self.camera).__name__}, but must be a course_lib.noise.Camera, "
                f"or None to count photons."
            )
        for declared in DECLARED:
            declared.check(getattr(self, declared.name))
        if self.binning is not None:
            if len(self.binning) != self.psf.ndim:
                raise ValueError(
                    f"binning is {tuple(self.binning)}, but must have one number for each of the {self.psf.ndim} axes "
                    f"of the PSF: 1 leaves an axis as it is."
                )
            for voxels in self.binning:
                BINNING.check(voxels)

    @property
    def plane_shares(self) -> torch.Tensor:
        """Photons that the PSF has in each plane, relative to its brightest: shape (z,), or () for a plane.

        In widefield, less than 1 is light that the PSF is too narrow for, and that the images lack.

        Examples
        --------
        >>> from course_lib import optics
        >>> water = optics.Microscope(numerical_aperture=1.2, immersion_index=1.33, sample_index=1.33)
        >>> for side in (33, 129):
        ...     psf = optics.vectorial_psf(water, shape=(7, side, side), voxel_size_um=(0.3, 0.1, 0.1))
        ...     print([f"{share:.2f}" for share in ImagingSystem(psf=psf, camera=None).plane_shares])
        ['0.94', '0.98', '1.00', '1.00', '1.00', '0.98', '0.94']
        ['1.00', '1.00', '1.00', '1.00', '1.00', '1.00', '1.00']
        """
        sums = self.psf.sum(dim=(-2, -1))
        return sums / sums.max()

    def expected(self, fluorophores: torch.Tensor) -> torch.Tensor:
        """Return the mean photons that reach each pixel of the camera in one exposure.

        Parameters
        ----------
        fluorophores : torch.Tensor
            The object, fluorophores per voxel, at least 0, shape (..., [z,] y, x) with as many spatial axes as the
            PSF has; dtype and device of the PSF.

        Returns
        -------
        torch.Tensor
            Photons, same shape but for the binning; differentiable in the object. The FFT's rounding below 0 is cut
            off.

        Raises
        ------
        ValueError
            If the object has negative values, is no multiple of the binning along y and x, or does not fit the PSF.

        Examples
        --------
        >>> system = ImagingSystem(psf=torch.tensor([[0.25, 0.5, 0.25]]), camera=None, background_photons=1.0)
        >>> system.expected(torch.tensor([[0.0, 0.0, 80.0, 0.0]])).round()
        tensor([[ 1., 21., 41., 21.]])
        """
        check_spatial(fluorophores, self.psf.ndim, name="fluorophores")
        least = float(fluorophores.detach().min())
        if least < 0:
            raise ValueError(
                f"fluorophores has a value of {least:g}, but a voxel holds at least 0 of them: "
                f"clamp the object at 0, or check how it was made."
            )
        blur = Convolution(self.psf, fluorophores.shape[-self.psf.ndim :])
        in_focus = self.psf.sum(dim=(-2, -1)).max()
        photons = self.photons_per_fluorophore / in_focus * blur(fluorophores)
        return self._binned(photons.clamp(min=0)) + self.background_photons

    def _binned(self, photons: torch.Tensor) -> torch.Tensor:
        if self.binning is None:
            return photons
        *step, rows, columns = self.binning
        for axis, side, voxels in (("y", photons.shape[-2], rows), ("x", photons.shape[-1], columns)):
            if side % voxels:
                raise ValueError(
                    f"the object has {side} voxels along {axis}, which pixels of {voxels} do not divide: crop it to "
                    f"{side - side % voxels}."
                )
        if step:
            photons = photons[..., :: step[0], :, :]
        lead, height, width = photons.shape[:-2], photons.shape[-2] // rows, photons.shape[-1] // columns
        return photons.reshape(*lead, height, rows, width, columns).sum(dim=(-3, -1))

    def capture(self, fluorophores: torch.Tensor, *, rng: int | torch.Generator | None = None) -> torch.Tensor:
        """Record the object once.

        Parameters
        ----------
        fluorophores : torch.Tensor
            The object, as in `expected`.
        rng : int, torch.Generator or None
            Randomness; see `course_lib.seeding.generator`.

        Returns
        -------
        torch.Tensor
            ADU, or photon counts without a camera: whole numbers, shape as in `expected`.
        """
        photons = self.expected(fluorophores).detach()
        if self.camera is None:
            return torch.poisson(photons, generator=generator(rng, photons.device))
        return self.camera.capture(photons, exposure_ms=self.exposure_ms, rng=rng)

    def capture_from_draws(self, fluorophores: torch.Tensor, *, shot: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        """Record the object with noise that the caller has drawn: the same draws give the same grain.

        So two systems, or one before and after a change, can be compared without the luck of their noise. The
        result is distributed like that of `capture`.

        Parameters
        ----------
        fluorophores : torch.Tensor
            The object, as in `expected`.
        shot : torch.Tensor
            Uniform numbers from 0 to below 1 for the photon noise, one a voxel of the image.
        read : torch.Tensor
            Standard normal numbers for the read noise, one a voxel; without a camera they have no effect.

        Returns
        -------
        torch.Tensor
            ADU, or photon counts without a camera: whole numbers, float32, shape as in `expected`.

        Raises
        ------
        ValueError
            If the camera has EM gain, row noise or a checker pattern, for which there are no draws here, or the
            draws do not fit the object.

        Examples
        --------
        >>> spot = torch.full((1, 1), 50.0)
        >>> system = ImagingSystem(psf=torch.ones(1, 1), camera=None)
        >>> system.capture_from_draws(spot, shot=torch.full((1, 1), 0.5), read=torch.zeros(1, 1))
        tensor([[50.]])
        """
        if self.camera is not None:
            for name, none in NOT_DRAWN.items():
                if getattr(self.camera, name) != none:
                    raise ValueError(
                        f"the camera has {name} = {getattr(self.camera, name):g}, for which this has no draws: "
                        f"use capture, or camera.replace({name}={none:g})."
                    )
        photons = self.expected(fluorophores).detach()
        for name, draws in (("shot", shot), ("read", read)):
            check_spatial(draws, 2, name=name)
            if draws.shape != photons.shape:
                raise ValueError(
                    f"{name} has shape {tuple(draws.shape)}, but the image {tuple(photons.shape)}: "
                    f"draw one number for each of its voxels."
                )
        if float(shot.min()) < 0 or float(shot.max()) >= 1:
            raise ValueError(
                f"shot has values from {float(shot.min()):g} to {float(shot.max()):g}, but must be uniform from 0 to "
                f"below 1: torch.rand draws them."
            )
        if self.camera is None:
            return poisson_from_uniform(photons, shot)
        mean_charge = self.camera.electrons(photons, exposure_ms=self.exposure_ms)
        charge = poisson_from_uniform(mean_charge, shot).clamp(max=self.camera.full_well_e)
        return digitize(
            charge + self.camera.read_noise_e * read,
            gain_e_per_adu=self.camera.gain_e_per_adu,
            offset_adu=self.camera.offset_adu,
            bit_depth=self.camera.bit_depth,
        )
