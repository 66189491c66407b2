"""Are the pixels small enough for the objective? A comparison with the Nyquist limit of a widefield microscope."""

from dataclasses import dataclass

from course_lib import optics

__all__ = ["Sampling", "check_sampling"]

TOLERANCE = 1.02
"""A voxel that is larger than the limit by less is not called too large: nobody knows the NA so well."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the voxel compares with the largest one that keeps all detail.

    Attributes
    ----------
    lateral_um, lateral_limit_um : float
        The larger side of a pixel, and the Nyquist limit.
    axial_um, axial_limit_um : float or None
        Distance of planes, and its limit; None for a single plane.
    """

    lateral_um: float
    lateral_limit_um: float
    axial_um: float | None = None
    axial_limit_um: float | None = None

    @property
    def undersampled(self) -> tuple[str, ...]:
        """What is too coarse: ``"pixels"``, ``"planes"``, both or nothing."""
        coarse = []
        if self.lateral_um > TOLERANCE * self.lateral_limit_um:
            coarse.append("pixels")
        if self.axial_um is not None and self.axial_limit_um is not None:
            coarse += ["planes"] if self.axial_um > TOLERANCE * self.axial_limit_um else []
        return tuple(coarse)

    def __str__(self) -> str:
        """Give both comparisons in one line."""
        told = f"pixel {self.lateral_um:.3g} µm, at most {self.lateral_limit_um:.3g} µm by Nyquist"
        if self.axial_um is not None and self.axial_limit_um is not None:
            told += f"; planes {self.axial_um:.3g} µm apart, at most {self.axial_limit_um:.3g} µm"
        return told


def check_sampling(voxel_size_um: tuple[float, ...], microscope: optics.Microscope) -> Sampling:
    """Compare a voxel (y, x) or (z, y, x) with the Nyquist limits of a widefield microscope.

    Parameters
    ----------
    voxel_size_um : tuple of float
        In µm.
    microscope : optics.Microscope
        Of which the numerical aperture, the emission wavelength and the immersion index count.

    Examples
    --------
    >>> air = optics.Microscope(numerical_aperture=0.75, immersion_index=1.0, emission_wavelength_nm=520)
    >>> sampling = check_sampling((0.65, 0.65), air)
    >>> print(sampling, sampling.undersampled)
    pixel 0.65 µm, at most 0.173 µm by Nyquist ('pixels',)
    """
    *axial, down, right = voxel_size_um
    return Sampling(
        lateral_um=max(down, right),
        lateral_limit_um=microscope.lateral_nyquist_um,
        axial_um=axial[0] if axial else None,
        axial_limit_um=microscope.axial_nyquist_um if axial else None,
    )
