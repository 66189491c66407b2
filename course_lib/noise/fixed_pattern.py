"""Maps of a sensor's pixels: what differs from pixel to pixel but not from frame to frame."""

from typing import NamedTuple

import torch

from course_lib.seeding import generator

__all__ = ["SensorMaps", "pixel_response_map", "scmos_maps"]


class SensorMaps(NamedTuple):
    """Per-pixel properties of an sCMOS sensor, each of shape (Y, X); pass them to `Camera`."""

    gain_e_per_adu: torch.Tensor
    offset_adu: torch.Tensor
    read_noise_e: torch.Tensor


def pixel_response_map(
    shape: tuple[int, int], *, nonuniformity: float = 0.01, rng: int | torch.Generator | None = None
) -> torch.Tensor:
    """Draw the relative response of each pixel (photo-response nonuniformity, PRNU).

    Parameters
    ----------
    shape : tuple of int
        Pixels (Y, X).
    nonuniformity : float
        Relative standard deviation; about 0.01 for a scientific camera.
    rng : int, torch.Generator or None
        Randomness.

    Returns
    -------
    torch.Tensor
        Response with mean 1, at least 0, shape (Y, X).

    Raises
    ------
    ValueError
        If `nonuniformity` is not between 0 and 0.3.

    Examples
    --------
    >>> response = pixel_response_map((256, 256), nonuniformity=0.01, rng=0)
    >>> round(float(response.std()), 3)
    0.01
    """
    if not 0 <= nonuniformity <= 0.3:
        raise ValueError(
            f"nonuniformity is {nonuniformity:g}, but must be from 0 to 0.3: a good camera has about 0.01."
        )
    response = 1 + nonuniformity * torch.randn(shape, generator=generator(rng))
    return response.clamp(min=0)


def scmos_maps(
    shape: tuple[int, int],
    *,
    gain_e_per_adu: float = 0.46,
    offset_adu: float = 100.0,
    read_noise_e: float = 1.2,
    rng: int | torch.Generator | None = None,
) -> SensorMaps:
    """Draw the maps of a typical sCMOS sensor, where each pixel (and each column) has its own amplifier.

    The read noise is log-normal around its median (factor 1.25), with one pixel in 200 three to ten times as
    noisy, as random telegraph noise makes them; the gain varies by 1 % and the offset by 2 ADU a pixel and
    1 ADU a column.

    Parameters
    ----------
    shape : tuple of int
        Pixels (Y, X).
    gain_e_per_adu, offset_adu : float
        Means over the sensor.
    read_noise_e : float
        Median over the sensor.
    rng : int, torch.Generator or None
        Randomness.

    Returns
    -------
    SensorMaps

    References
    ----------
    F. Huang et al., Nature Methods 10 (2013) 653.

    Examples
    --------
    >>> from course_lib.noise import Camera
    >>> maps = scmos_maps((64, 64), rng=0)
    >>> camera = Camera(**maps._asdict())
    """
    draw = generator(rng)
    read_noise = read_noise_e * torch.exp(0.22 * torch.randn(shape, generator=draw))
    telegraph = torch.rand(shape, generator=draw) < 1 / 200
    read_noise = torch.where(telegraph, read_noise * (3 + 7 * torch.rand(shape, generator=draw)), read_noise)
    gain = gain_e_per_adu * (1 + 0.01 * torch.randn(shape, generator=draw)).clamp(min=0.5)
    offset = offset_adu + 2 * torch.randn(shape, generator=draw) + torch.randn(shape[-1], generator=draw)
    return SensorMaps(gain, offset.clamp(min=0), read_noise)
