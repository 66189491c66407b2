r"""Several dyes in several channels: how much of each dye leaks into the channels of the others.

Channel :math:`c` sees dye :math:`f` with the brightness

.. math:: B_{cf} = k_{cf}\,\eta_f \int E_f(\lambda)\,T_c(\lambda)\,\mathrm d\lambda,

excitation rate × quantum yield × share of the emission that passes, per molecule, at low power. Divided by the
largest entry of its column it is the bleed-through matrix :math:`M`: the signal of a dye in each channel relative to
the channel that sees it best. Images of the channels are then :math:`g = Mf`, and where :math:`M` is known and well
conditioned, least squares gets the dyes back (linear unmixing),

.. math:: \hat f = (M^\mathsf T M)^{-1} M^\mathsf T g.

Unmixing is exact in the mean and subtracts counts, so that it adds noise: all the more, the more alike the columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from course_lib.fluorescence.filters import FilterSet
from course_lib.fluorescence.fluorophores import Fluorophore
from course_lib.fluorescence.light import LightSource

__all__ = ["Channel", "bleed_through", "channel_brightness", "unmix"]

AREA_UM2 = 10_000.0


@dataclass(frozen=True, eq=False)
class Channel:
    """One image of a multi-colour recording: a light and the filters in front of the camera.

    Attributes
    ----------
    source : LightSource
        The light of this channel.
    filters : FilterSet
        Its filters.
    """

    source: LightSource
    filters: FilterSet


def channel_brightness(fluorophores: Sequence[Fluorophore], channels: Sequence[Channel]) -> torch.Tensor:
    """Return how many photons per second each dye sends through the filters of each channel.

    Parameters
    ----------
    fluorophores : sequence of Fluorophore
        The dyes, one column each.
    channels : sequence of Channel
        The channels, one row each. Their power counts; it is spread over 100 µm × 100 µm, without saturation.

    Returns
    -------
    torch.Tensor
        Photons per molecule and second over all directions, shape (channels, dyes), float64.

    Raises
    ------
    ValueError
        If a sequence is empty, or the filters of a channel pass nothing of its light.
    """
    if not fluorophores or not channels:
        raise ValueError(
            f"got {len(fluorophores)} fluorophores and {len(channels)} channels, but need at least one of each."
        )
    rows = []
    for channel in channels:
        light = channel.source.through(channel.filters)
        rows.append(
            [
                light.excitation_rate_per_s(dye, area_um2=AREA_UM2)
                * dye.quantum_yield
                * channel.filters.share_to_camera(dye.emission)
                for dye in fluorophores
            ]
        )
    return torch.tensor(rows, dtype=torch.float64)


def bleed_through(fluorophores: Sequence[Fluorophore], channels: Sequence[Channel]) -> torch.Tensor:
    """Return the signal of each dye in each channel, relative to the channel that sees the dye best.

    Parameters
    ----------
    fluorophores, channels : sequence
        See `channel_brightness`.

    Returns
    -------
    torch.Tensor
        Shape (channels, dyes), float64; the largest entry of each column is 1.

    Raises
    ------
    ValueError
        As `channel_brightness`, and if no channel sees a dye.

    Examples
    --------
    One laser, two bands: EGFP leaks into the red band, Alexa Fluor 568 does not leak into the green one.

    >>> from course_lib.fluorescence import filter_set, fluorophore, laser
    >>> blue = laser(wavelength_nm=488, power_mw=1.0)
    >>> channels = [Channel(blue, filter_set(name)) for name in ("confocal 488", "confocal 561")]
    >>> for row in bleed_through([fluorophore("EGFP"), fluorophore("Alexa 568")], channels):
    ...     print([f"{float(entry):.1%}" for entry in row])
    ['100.0%', '0.0%']
    ['7.5%', '100.0%']
    """
    brightness = channel_brightness(fluorophores, channels)
    best = brightness.amax(dim=0)
    for dye, largest in zip(fluorophores, best, strict=True):
        if float(largest) == 0:
            raise ValueError(f"no channel sees {dye.name}: leave it out, or add a channel that excites and detects it.")
    return brightness / best


def unmix(images: torch.Tensor, *, matrix: torch.Tensor) -> torch.Tensor:
    """Turn images of channels into images of dyes by least squares.

    Parameters
    ----------
    images : torch.Tensor
        Photons with the background subtracted, channels first, shape (C, ...).
    matrix : torch.Tensor
        Bleed-through, shape (C, dyes), with at least as many channels as dyes.

    Returns
    -------
    torch.Tensor
        Signal of each dye in the channel that sees it best, shape (dyes, ...); negative at times, because of noise.

    Raises
    ------
    ValueError
        If the shapes do not fit, a value is NaN or infinite, or the matrix cannot tell the dyes apart.
    TypeError
        If images or matrix is not a tensor, or the images are whole numbers.

    Examples
    --------
    >>> matrix = torch.tensor([[1.0, 0.1], [0.3, 1.0]])
    >>> unmix((matrix @ torch.tensor([50.0, 20.0]))[:, None, None], matrix=matrix).round().flatten().tolist()
    [50.0, 20.0]
    """
    for name, value in (("images", images), ("matrix", matrix)):
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"{name} is a {type(value).__name__}, but must be a tensor: torch.as_tensor makes one.")
    if matrix.ndim != 2 or images.ndim < 1 or images.shape[0] != matrix.shape[0]:
        raise ValueError(
            f"images has shape {tuple(images.shape)} and matrix {tuple(matrix.shape)}, but images must have its "
            f"channels first, as many as matrix has rows."
        )
    if not images.is_floating_point():
        raise TypeError(f"images has dtype {images.dtype}, but must be floating: images.float() makes it so.")
    for name, value in (("images", images), ("matrix", matrix)):
        if not bool(torch.isfinite(value).all()):
            raise ValueError(
                f"{name} has values that are NaN or infinite: look where they come from, and replace them."
            )
    if int(torch.linalg.matrix_rank(matrix.double())) < matrix.shape[1]:
        raise ValueError(
            f"matrix of shape {tuple(matrix.shape)} cannot tell its dyes apart: use as many channels as dyes, and "
            f"channels that see them differently."
        )
    inverse = torch.linalg.pinv(matrix.to(images))
    return torch.einsum("fc,c...->f...", inverse, images)
