r"""Fourier ring correlation: up to which frequency two images of one object tell the same.

Two recordings of one object share a signal and differ in their noise. With their spectra :math:`A` and :math:`B`, in a
ring :math:`r` of equal spatial frequency (in a stack: a shell),

.. math:: \mathrm{FRC}(r) = \frac{\operatorname{Re} \sum_r A B^*}{\sqrt{\sum_r |A|^2 \; \sum_r |B|^2}},
   \qquad \langle \mathrm{FRC} \rangle \approx \frac{S}{S + N},

for a signal of power :math:`S` and noise of power :math:`N` in either image. It is 1 where they agree and scatters
about 0, by :math:`1/\sqrt n` for :math:`n` Fourier coefficients, where there is only noise. The resolution is where it
falls below a threshold:

- ``"1/7"``: there, half of the dose gives :math:`S/N = 1/6`, so all of it 1/3, and the correlation of the sum of both
  images with the object without noise is :math:`\sqrt{S/(S+N)} = 1/2` (Rosenthal & Henderson).
- ``"half-bit"``: there, each coefficient of the sum tells half a bit, :math:`\log_2(1 + S/N) = 1/2`, with an allowance
  for rings of few coefficients (van Heel & Schatz).
- ``"two-sigma"``: :math:`2/\sqrt n`, above which chance alone takes the correlation in 2 % of the rings. Something is
  shared there, but it need not be seen.

One image gives two of half its dose: `noise.split_photons` sends each photon into one of two, whose Poisson noise is
then independent. What is wrong in the same way in both halves counts as signal: the fixed pattern of a camera, hot
pixels, drift, an artefact of a restoration. And a linear filter cancels: deblurred halves correlate as well as blurred
ones. So the correlation measures how far noise lets one see, not how sharp or how true an image is; a restoration that
puts the same into both halves, as a trained network may, is rated too well.

References
----------
W. O. Saxton, W. Baumeister, Journal of Microscopy 127 (1982) 127; P. B. Rosenthal, R. Henderson, Journal of Molecular
Biology 333 (2003) 721 (1/7); M. van Heel, M. Schatz, Journal of Structural Biology 151 (2005) 250 (half a bit);
R. P. J. Nieuwenhuizen et al., Nature Methods 10 (2013) 557 (light microscopy).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from course_lib.axes import check_spatial
from course_lib.metrics._check import double

__all__ = ["RingCorrelation", "fourier_ring_correlation"]

Criterion = Literal["1/7", "half-bit", "two-sigma"]

TAPER = 1 / 8
"""Share of each side over which the window rises from 0 to 1."""
LEAST_PIXELS = 8
LEAST_PLANES = 4


@dataclass(frozen=True)
class RingCorrelation:
    """Correlation of two images, ring by ring.

    Attributes
    ----------
    frequencies_per_um : torch.Tensor, shape (rings,)
        Spatial frequency of each ring, up to the Nyquist frequency of the pixels.
    correlation : torch.Tensor, shape (..., rings)
        From -1 to 1; expected 0 where there is only noise.
    counts : torch.Tensor, shape (rings,)
        Fourier coefficients in the ring, each with its complex conjugate: the standard error of a correlation of 0
        is ``1 / counts.sqrt()``, and by the window 4 % (images) or 8 % (stacks) more.
    """

    frequencies_per_um: torch.Tensor
    correlation: torch.Tensor
    counts: torch.Tensor

    def threshold(self, criterion: Criterion = "1/7") -> torch.Tensor:
        """Return what the correlation must reach, shape (rings,)."""
        root = self.counts.sqrt()
        if criterion == "1/7":
            return torch.full_like(root, 1 / 7)
        if criterion == "half-bit":
            signal = (math.sqrt(2) - 1) / 2  # of each half, over its noise
            spread = 2 * math.sqrt(signal) / root
            return (signal + spread + 1 / root) / (1 + signal + spread)
        if criterion == "two-sigma":
            return 2 / root
        raise ValueError(f"criterion is {criterion!r}, but must be '1/7', 'half-bit' or 'two-sigma'.")

    def resolution_um(self, criterion: Criterion = "1/7") -> torch.Tensor:
        """Return the period at which the correlation falls below the threshold, shape (...), in µm.

        That is where, for the first time, two rings in a row are below, with straight lines between rings. NaN: it
        stays above up to the Nyquist frequency, and the pixels limit the resolution. Infinite: nothing is shared.
        """
        above = self.correlation - self.threshold(criterion)
        below = above < 0
        twice = below[..., :-1] & below[..., 1:]
        first = twice.int().argmax(dim=-1, keepdim=True)  # 0 if there is none
        before = (first - 1).clamp(min=0)
        high, low = above.gather(-1, before), above.gather(-1, first)
        start, end = self.frequencies_per_um[before], self.frequencies_per_um[first]
        crossing = (start + (end - start) * high / (high - low)).squeeze(-1)
        period = torch.where(twice[..., 0], torch.inf, 1 / crossing)
        return torch.where(twice.any(dim=-1), period, torch.nan)


def fourier_ring_correlation(
    first: torch.Tensor, second: torch.Tensor, *, pixel_size_um: float | Sequence[float]
) -> RingCorrelation:
    """Return the correlation of two images of one object, ring by ring, or of two stacks, shell by shell.

    Parameters
    ----------
    first, second : torch.Tensor, shape (..., [Z,] Y, X)
        Images with independent noise, floating point; brightness and offset do not matter. Leading axes are a batch.
    pixel_size_um : float or sequence of float
        Size of a pixel, one number or (y, x): correlate images, or plane by plane. Size of a voxel, (z, y, x):
        correlate stacks. Rings and shells are of equal frequency in µm⁻¹, whatever the ratio of the sizes.

    Returns
    -------
    RingCorrelation
        `frequencies_per_um`, `correlation` and `counts` of each ring, and `resolution_um` at a threshold.

    Raises
    ------
    ValueError, TypeError
        If the shapes differ, a value is not finite, an image is constant or too small, or a size is not above 0.

    Notes
    -----
    A Fourier transform sees a jump where opposite borders meet, a bright cross through all rings that both images
    share. So their mean is subtracted, and a window takes the outer eighth of each side smoothly to 0 (a Tukey window):
    what is left of a jump stays within the first 20 rings.

    Rings are as wide as a step in frequency along the shorter side of the image, and reach to the Nyquist frequency
    of its larger pixels. In a stack, shells mix the axes, and beyond the Nyquist frequency of z they have no poles:
    to tell z from xy, correlate planes, (y, x), and transposed sections, (z, x), on their own.

    Examples
    --------
    >>> rng = torch.Generator().manual_seed(0)
    >>> points = (torch.rand(256, 256, generator=rng) < 0.01) * 5e4  # photons each
    >>> line = torch.exp(-(((torch.arange(256) - 128) / 2) ** 2) / 2)  # blur with a standard deviation of 0.2 µm
    >>> blur = torch.fft.rfft2((line[:, None] * line / line.sum() ** 2).roll((-128, -128), dims=(0, 1)))
    >>> photons = torch.fft.irfft2(torch.fft.rfft2(points) * blur).clamp(min=0)
    >>> one, other = torch.poisson(photons, generator=rng), torch.poisson(photons, generator=rng)
    >>> rings = fourier_ring_correlation(one, other, pixel_size_um=0.1)
    >>> print(f"{rings.correlation[9]:.2f} at {rings.frequencies_per_um[9]:.1f} per µm")
    1.00 at 0.4 per µm
    >>> print(f"{rings.resolution_um():.2f} µm")
    0.36 µm
    """
    sizes = _sizes(pixel_size_um)
    axes = tuple(range(-len(sizes), 0))
    for name, image in (("first", first), ("second", second)):
        _check_image(image, axes, name=name)
    if first.shape != second.shape:
        raise ValueError(
            f"first has shape {tuple(first.shape)}, but second {tuple(second.shape)}: crop both to the same part."
        )
    shape = first.shape[-len(sizes) :]
    window = _window(shape, first)
    spectra = [
        torch.fft.rfftn((double(image) - double(image).mean(dim=axes, keepdim=True)) * window, dim=axes)
        for image in (first, second)
    ]
    step = 1 / min(side * size for side, size in zip(shape[-2:], sizes[-2:], strict=True))
    rings = int(0.5 / max(sizes[-2:]) / step + 1e-9)
    ring, times = _rings(shape, sizes, step=step, like=window)

    def total(power: torch.Tensor) -> torch.Tensor:
        sums = power.new_zeros(*power.shape[: -len(sizes)], int(ring.max()) + 1)
        return sums.index_add_(-1, ring, (power * times).flatten(-len(sizes)))[..., 1 : rings + 1]

    shared = total((spectra[0] * spectra[1].conj()).real)
    powers = total(spectra[0].abs().square()) * total(spectra[1].abs().square())
    return RingCorrelation(
        frequencies_per_um=step * torch.arange(1, rings + 1, dtype=window.dtype, device=window.device),
        correlation=shared / powers.sqrt().clamp(min=torch.finfo(window.dtype).tiny),
        counts=total(torch.ones_like(times)),
    )


def _sizes(pixel_size_um: float | Sequence[float]) -> tuple[float, ...]:
    given = torch.as_tensor(pixel_size_um, dtype=torch.float64)
    sizes: tuple[float, ...] = tuple((given.expand(2) if given.ndim == 0 else given).tolist())
    if len(sizes) not in (2, 3):
        raise ValueError(
            f"pixel_size_um is {pixel_size_um}, but must be one number, (y, x) for images, or (z, y, x) for stacks."
        )
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        raise ValueError(f"pixel_size_um is {pixel_size_um}, but must be above 0: sizes in µm, for example 0.1.")
    return sizes


def _check_image(image: torch.Tensor, axes: tuple[int, ...], *, name: str) -> None:
    check_spatial(image, len(axes), name=name)
    shape = tuple(image.shape[-len(axes) :])
    if min(shape[-2:]) < LEAST_PIXELS or shape[0] < LEAST_PLANES:
        raise ValueError(
            f"{name} has images of shape {shape}, but rings need at least {LEAST_PIXELS} pixels a side"
            + (f" and {LEAST_PLANES} planes; plane by plane, pass pixel_size_um=(y, x)." if len(axes) == 3 else ".")
        )
    if bool((image.amax(dim=axes) == image.amin(dim=axes)).any()):
        raise ValueError(f"{name} is constant, so that it correlates with nothing: check how it was made.")


def _window(shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    """Return a Tukey window: 1 inside, smoothly to 0 over the outer `TAPER` of each side."""
    window = double(torch.ones((), device=like.device))
    for side in shape:
        place = (torch.arange(side, dtype=window.dtype, device=window.device) + 0.5) / side
        inside = torch.minimum(place, 1 - place) / TAPER
        window = window.unsqueeze(-1) * torch.sin(math.pi / 2 * inside.clamp(max=1)).square()
    return window


def _rings(
    shape: Sequence[int], sizes: Sequence[float], *, step: float, like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for each coefficient of the half spectrum its ring, flat, and how often the whole spectrum has it."""
    square = torch.zeros((), dtype=like.dtype, device=like.device)
    for side, size in zip(shape[:-1], sizes[:-1], strict=True):
        square = square.unsqueeze(-1) + torch.fft.fftfreq(side, size, dtype=like.dtype, device=like.device).square()
    along = torch.fft.rfftfreq(shape[-1], sizes[-1], dtype=like.dtype, device=like.device)
    times = torch.full_like(along, 2)
    times[0] = 1
    if shape[-1] % 2 == 0:
        times[-1] = 1
    frequency = (square.unsqueeze(-1) + along.square()).sqrt()
    return (frequency / step).round().long().flatten(), times.expand(frequency.shape)
