r"""The numbers of a microscope that shape its image, and the limits that follow from them.

An objective takes in the light of a cone of half angle :math:`\alpha`, its numerical aperture is

.. math:: \mathrm{NA} = n \sin\alpha

with the index :math:`n` of the immersion medium. What it passes on is limited in frequency: across to
:math:`2\mathrm{NA}/\lambda`, along the axis to :math:`(n - \sqrt{n^2 - \mathrm{NA}^2})/\lambda`. A pixel of half
the finest period (Nyquist) therefore keeps everything, and is at most

.. math::

   \Delta_{xy} = \frac{\lambda}{4\,\mathrm{NA}}, \qquad
   \Delta_z = \frac{\lambda}{2\,(n - \sqrt{n^2 - \mathrm{NA}^2})}.

References
----------
M. Born and E. Wolf, *Principles of Optics*, 7th ed., Cambridge 1999, chapter 8.
R. Heintzmann and C. J. R. Sheppard, "The sampling limit in fluorescence microscopy", Micron 38 (2007) 145.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Self

import torch

from course_lib.parameters import ParameterError, Parameters, parameter

__all__ = ["Microscope", "Quantity", "as_float", "check_sampling"]

Quantity = float | torch.Tensor
"""A number, or a 0-d tensor in which the PSF can be differentiated."""


def as_float(value: Quantity) -> float:
    """Return the value alone, without its gradient.

    Examples
    --------
    >>> as_float(torch.tensor(1.5, requires_grad=True))
    1.5
    """
    return float(value.detach() if isinstance(value, torch.Tensor) else value)


class Microscope(Parameters):
    """An objective, the light, and where the emitter lies.

    Each value is a number or a 0-d tensor. PSFs are differentiable in the tensors and are computed on their
    device; if one is float64, so is the PSF. `to` makes tensors of all values.

    Attributes
    ----------
    numerical_aperture : float or torch.Tensor
        NA of the objective, below the index of its immersion medium.
    emission_wavelength_nm : float or torch.Tensor
        Wavelength in vacuum of the light that is detected.
    excitation_wavelength_nm : float or torch.Tensor
        Wavelength in vacuum of the focused laser; used by `confocal_psf` and `two_photon_psf` only.
    immersion_index : float or torch.Tensor
        Refractive index between objective and coverslip: 1 air, 1.33 water, 1.515 oil.
    sample_index : float or torch.Tensor
        Refractive index around the emitter.
    depth_um : float or torch.Tensor
        Distance of the emitter from the coverslip; matters where the two indices differ.
    coverslip_error_um : float or torch.Tensor
        By how much the coverslip is thicker than the objective is made, or its collar is set, for.
    coverslip_index : float or torch.Tensor
        Refractive index of the coverslip; matters where its thickness is wrong.

    Examples
    --------
    >>> microscope = Microscope(numerical_aperture=1.4, emission_wavelength_nm=520)
    >>> print(f"{microscope.lateral_nyquist_um:.3f} µm, {microscope.axial_nyquist_um:.3f} µm")
    0.093 µm, 0.278 µm
    >>> Microscope(numerical_aperture=1.1, immersion_index=1.0)
    Traceback (most recent call last):
    course_lib.parameters.ParameterError: numerical_aperture is 1.1, but must be below the immersion index, \
here 1: a cone of light has n·sin α < n. Lower the NA or immerse the objective in water (1.33) or oil (1.515).
    """

    numerical_aperture: Quantity = parameter(
        default=1.4, meaning="numerical aperture of the objective", minimum=0.01, maximum=1.75, slider=(0.2, 1.45)
    )
    emission_wavelength_nm: Quantity = parameter(
        default=525.0, meaning="wavelength detected", unit="nm", minimum=100.0, maximum=5000.0, slider=(400.0, 700.0)
    )
    excitation_wavelength_nm: Quantity = parameter(
        default=488.0, meaning="wavelength of the laser", unit="nm", minimum=100.0, maximum=5000.0
    )
    immersion_index: Quantity = parameter(
        default=1.515, meaning="refractive index of the immersion medium", minimum=1.0, maximum=1.8
    )
    sample_index: Quantity = parameter(
        default=1.515, meaning="refractive index around the emitter", minimum=1.0, maximum=1.8
    )
    depth_um: Quantity = parameter(
        default=0.0, meaning="depth of the emitter below the coverslip", unit="µm", minimum=0.0, maximum=1000.0
    )
    coverslip_error_um: Quantity = parameter(
        default=0.0, meaning="excess thickness of the coverslip", unit="µm", minimum=-200.0, maximum=200.0
    )
    coverslip_index: Quantity = parameter(
        default=1.515, meaning="refractive index of the coverslip", minimum=1.0, maximum=2.0
    )

    def __post_init__(self) -> None:
        """Check each value, and that the aperture fits the immersion medium."""
        super().__post_init__()
        if as_float(self.numerical_aperture) >= as_float(self.immersion_index):
            raise ParameterError(
                f"numerical_aperture is {as_float(self.numerical_aperture):g}, but must be below the immersion "
                f"index, here {as_float(self.immersion_index):g}: a cone of light has n·sin α < n. Lower the NA or "
                f"immerse the objective in water (1.33) or oil (1.515)."
            )
        if as_float(self.numerical_aperture) >= as_float(self.coverslip_index):
            raise ParameterError(
                f"numerical_aperture is {as_float(self.numerical_aperture):g}, but must be below the coverslip's "
                f"index, here {as_float(self.coverslip_index):g}, or its outer rays never pass the glass: such "
                f"objectives need a coverslip of high index, coverslip_index=1.78 for example."
            )

    def nyquist_um(self, wavelength_nm: float) -> tuple[float, float]:
        """Return the largest distance of planes and the largest pixel, in µm, that keep all detail.

        Examples
        --------
        >>> axial, lateral = Microscope(numerical_aperture=0.8, immersion_index=1.0).nyquist_um(500)
        >>> print(f"{axial:.3f} µm, {lateral:.3f} µm")
        0.625 µm, 0.156 µm
        """
        n, aperture = as_float(self.immersion_index), as_float(self.numerical_aperture)
        return wavelength_nm / 1000 / (2 * (n - (n**2 - aperture**2) ** 0.5)), wavelength_nm / 1000 / (4 * aperture)

    @property
    def lateral_nyquist_um(self) -> float:
        """Largest pixel that keeps all that a widefield image holds, in µm."""
        return self.nyquist_um(as_float(self.emission_wavelength_nm))[1]

    @property
    def axial_nyquist_um(self) -> float:
        """Largest distance of planes that keeps all that a widefield stack holds, in µm."""
        return self.nyquist_um(as_float(self.emission_wavelength_nm))[0]

    def light_reach_um(self, defocus_um: float) -> float:
        r"""Return how far from the axis nearly all light of a point goes, `defocus_um` above or below its focus.

        That is the edge of the cone and two widths of diffraction, :math:`|z|\tan\alpha + 2\lambda/\mathrm{NA}`,
        a disk that holds some 97 % of it where the indices match; the rest are rings that fade slowly. A widefield PSF
        that is narrower loses haze.

        Examples
        --------
        >>> print(f"{Microscope(numerical_aperture=1.4).light_reach_um(3.0):.1f} µm")
        8.0 µm
        """
        n, aperture = as_float(self.immersion_index), as_float(self.numerical_aperture)
        diffraction_um = 2 * as_float(self.emission_wavelength_nm) / 1000 / aperture
        return abs(defocus_um) * aperture / math.sqrt(n**2 - aperture**2) + diffraction_um

    def to(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Self:
        """Return the same microscope with all its numbers as tensors, on which PSFs are then computed.

        Examples
        --------
        >>> Microscope().to("cpu", torch.float64).numerical_aperture
        tensor(1.4000, dtype=torch.float64)
        """
        return self.replace(
            **{p.name: torch.as_tensor(getattr(self, p.name), dtype=dtype, device=device) for p in self.declared()}
        )


def check_sampling(voxel_size_um: Sequence[float], limits_um: Sequence[float], *, planes: int) -> None:
    """Warn if a voxel (y, x) or (z, y, x) is larger than `limits_um`, the Nyquist limits (axial, lateral).

    Parameters
    ----------
    voxel_size_um : sequence of float
        (y, x) or (z, y, x).
    limits_um : (float, float)
        Largest distance of planes, and largest pixel, that keep all detail.
    planes : int
        Planes of the PSF; a single one needs no axial sampling.

    Examples
    --------
    >>> check_sampling((0.2, 0.08, 0.08), (0.28, 0.094), planes=16)
    """
    axial, lateral = limits_um
    limits = {"x": lateral, "y": lateral, "z": axial}
    for axis, size in zip("xyz", reversed(voxel_size_um), strict=False):
        if size > 1.0001 * limits[axis] and (axis != "z" or planes > 1):
            warnings.warn(
                f"the voxel is {size:g} µm along {axis}, above the Nyquist limit of {limits[axis]:.3g} µm: fine "
                f"detail is aliased. Simulate with smaller voxels, and bin afterwards if the camera's are larger.",
                stacklevel=4,
            )
