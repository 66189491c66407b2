r"""Signal-to-noise ratio of one pixel, and of a dose that is split over several frames."""

import math
from typing import overload

import torch

__all__ = ["snr"]

Quantity = float | torch.Tensor


@overload
def snr(
    photons: float,
    *,
    background_photons: float = ...,
    dark_e: float = ...,
    read_noise_e: float = ...,
    excess_noise_factor: float = ...,
    frames: float = ...,
) -> float: ...
@overload
def snr(
    photons: torch.Tensor,
    *,
    background_photons: Quantity = ...,
    dark_e: Quantity = ...,
    read_noise_e: Quantity = ...,
    excess_noise_factor: float = ...,
    frames: Quantity = ...,
) -> torch.Tensor: ...


def snr(
    photons: Quantity,
    *,
    background_photons: Quantity = 0.0,
    dark_e: Quantity = 0.0,
    read_noise_e: Quantity = 0.0,
    excess_noise_factor: float = 1.0,
    frames: Quantity = 1,
) -> Quantity:
    r"""Return signal over noise.

    .. math:: \mathrm{SNR} = \frac{N}{\sqrt{F^2 (N + B + D) + n R^2}}

    Parameters
    ----------
    photons : float or torch.Tensor
        Detected photons :math:`N` of the signal, quantum efficiency already applied, over all frames.
    background_photons : float or torch.Tensor
        Detected photons :math:`B` of the background, over all frames. Subtracting their mean removes their
        brightness but not their noise.
    dark_e : float or torch.Tensor
        Dark and clock-induced electrons :math:`D`, over all frames.
    read_noise_e : float or torch.Tensor
        Read noise :math:`R` of one frame; divide it by the EM gain if there is one.
    excess_noise_factor : float
        :math:`F^2`, 2 for an EMCCD.
    frames : float or torch.Tensor
        Number of frames :math:`n` over which the dose is spread; each adds its read noise.

    Returns
    -------
    float or torch.Tensor
        Like `photons`; 0 where there is no signal, whether there is noise or not.

    Raises
    ------
    ValueError
        If a number is out of its range. Tensors are not looked at, since a live figure exports this function.

    Examples
    --------
    >>> round(snr(10.0, read_noise_e=1.6), 2)
    2.82
    >>> round(snr(10.0, background_photons=50.0, read_noise_e=1.6), 2)
    1.26
    >>> [round(snr(30.0, read_noise_e=1.6, frames=n), 2) for n in (1, 10, 50)]
    [5.26, 4.02, 2.39]
    """
    least = {
        "photons": 0,
        "background_photons": 0,
        "dark_e": 0,
        "read_noise_e": 0,
        "frames": 1,
        "excess_noise_factor": 1,
    }
    given = (photons, background_photons, dark_e, read_noise_e, frames, excess_noise_factor)
    for (name, minimum), value in zip(least.items(), given, strict=True):
        if isinstance(value, int | float) and not minimum <= value < math.inf:
            raise ValueError(f"{name} is {value:g}, but must be at least {minimum} and finite.")
    variance = excess_noise_factor * (photons + background_photons + dark_e) + frames * read_noise_e**2
    if isinstance(variance, torch.Tensor):
        return photons / variance.clamp(min=1e-30) ** 0.5
    return photons / variance**0.5 if variance > 0 else 0.0
