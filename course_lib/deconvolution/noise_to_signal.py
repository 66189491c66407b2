r"""The ratio of noise to signal at each frequency, from the image itself: what the Wiener filter has to know.

The image of an unknown object :math:`X` is :math:`Y = (H + \Delta H)X + N`. Two of its three parts are noise.

- Photons are counted one by one, so that the noise :math:`N` of each voxel has the variance of its expected count, and
  its spectrum is flat whatever the object: :math:`n`, the mean count, plus the variance of the read noise.
- No PSF is exact, and no image ends where its light does: the transfer function is wrong by
  :math:`\varepsilon^2 = E|\Delta H|^2`. That noise grows with the signal, so that more photons do not outweigh it.
- The spectra of most objects fall as a power of the frequency, :math:`S = a f^{-p}` with :math:`p \ge 0`: thin
  filaments and points slowly, large bodies steeply.

So the power :math:`|Y|^2` at a frequency has the mean

.. math:: m = (|H|^2 + \varepsilon^2)\, a f^{-p} + n

and, as a sum of many parts, an exponential distribution about it. The likeliest :math:`a, p, \varepsilon` make
:math:`\sum \log m + |Y|^2/m` smallest (Whittle); frequencies at which the noise hides the signal take part with the
little they tell, and nothing has to be cut off. The ratio that the Wiener filter needs is
:math:`n f^p / a + \varepsilon^2`.

:math:`\varepsilon` matters in stacks of many photons, where little is noise and much is a wrong border. Stacks need
their voxel size: with voxels taken for cubes, objects do not look alike in all directions, and no single power fits.

References
----------
P. Whittle, Arkiv för Matematik 2 (1953) 423 (likelihood of a spectrum).
D. J. Field, Journal of the Optical Society of America A 4 (1987) 2379 (spectra of images as powers).
"""

import warnings
from collections.abc import Sequence

import torch

from course_lib.deconvolution._check import Background, Boundary, check_number
from course_lib.deconvolution._direct import Spectra
from course_lib.deconvolution._spacing import relative_spacing

__all__ = ["estimate_noise_to_signal", "noise_to_signal_of"]

TRANSFER_ERRORS = torch.logspace(-4, -2, 9, dtype=torch.float64)
"""Values of ε² that are compared: a transfer function is known to 1 %, or at least to 10 %."""
TELLS_NOTHING = 0.01
"""Difference of log-likelihoods below which the smallest ε² is taken: with |H| = 1 at all frequencies, none differs."""
CELLS_PER_E = 6
"""Classes of frequency and of |H|² + ε² for each factor of e: frequencies of one class are averaged."""
CELLS_OF_TRANSFER = 6 * 10
LARGEST_RATIO = 1e12
"""Next to |H|², which is 1 at most, it leaves nothing; where an object has no detail at all, float32 would overflow."""
LARGEST_MOVE, SMALLEST_MOVE, MOVES = 1.0, 1e-4, 60
"""Steps of Fisher scoring in log a and p: the most that one may go, where it ends, and after how many at the latest."""


def estimate_noise_to_signal(
    image: torch.Tensor,
    psf: torch.Tensor,
    *,
    read_noise_e: float = 0.0,
    voxel_size_um: Sequence[float] | None = None,
    background: Background = 0.0,
    boundary: Boundary = "linear",
) -> torch.Tensor:
    r"""Estimate the ratio that `wiener` takes, from photon counts.

    Parameters
    ----------
    image, psf, background, boundary
        As for `wiener`. The image must be in photons: its noise is told by their number.
    read_noise_e : float
        Standard deviation of the camera's read noise in electrons.
    voxel_size_um : sequence of float, optional
        Size of a voxel along each axis of the PSF, in which the object looks alike in all directions. None for equal
        sides.

    Returns
    -------
    torch.Tensor
        :math:`S_n/S_f + \varepsilon^2` at each frequency, shape (..., \*half-spectrum) of the ring of `Blur`. 0 at
        frequency 0, because the mean is known. It carries no gradients.

    Raises
    ------
    ValueError, TypeError
        As for `wiener`.

    Warns
    -----
    UserWarning
        If the PSF is 3D and no voxel size is given, or the image reaches less than half a photon.

    Examples
    --------
    >>> psf = torch.ones(3, 3) / 9
    >>> image = torch.full((32, 32), 5.0)
    >>> image[8:24, 8:24] = 50.0
    >>> noisy = torch.poisson(image, generator=torch.Generator().manual_seed(0))
    >>> ratio = estimate_noise_to_signal(noisy, psf, boundary="circular")
    >>> ratio.shape
    torch.Size([32, 17])
    >>> for waves in (1, 4, 16):  # across the image
    ...     print(f"{ratio[0, waves]:.2f}")
    0.01
    0.02
    0.04
    """
    spectra = Spectra(image, psf, background=background, boundary=boundary)
    return noise_to_signal_of(spectra, image, read_noise_e=read_noise_e, voxel_size_um=voxel_size_um)


def noise_to_signal_of(
    spectra: Spectra, image: torch.Tensor, *, read_noise_e: float, voxel_size_um: Sequence[float] | None
) -> torch.Tensor:
    """Return what `estimate_noise_to_signal` does, from spectra that are known already."""
    image, spectrum, passed = image.detach(), spectra.image.detach(), spectra.power.detach().double()
    dimensions = len(spectra.shape)
    variance = check_number(read_noise_e, name="read_noise_e", least=0) ** 2
    spacing = relative_spacing(voxel_size_um, dimensions)
    voxels = image.shape[-dimensions:]
    brightest = float(image.max())
    if 0 < brightest < 0.5:
        warnings.warn(
            f"image reaches {brightest:g}, but must be in photons detected, or its noise is taken for far too much: "
            f"noise.Camera.to_electrons converts a camera image, or give noise_to_signal.",
            stacklevel=3,
        )
    noise = image.double().mean(dim=tuple(range(-dimensions, 0))) + variance
    if float(noise.min()) < 0:
        raise ValueError(
            f"image has {float(noise.min()):g} photons per voxel on average, but they must be at least 0 to tell the "
            f"noise: add the background again and give it as background=, or give noise_to_signal."
        )
    least = torch.finfo(torch.float64).tiny
    scale = (noise * voxels.numel()).clamp(min=least).reshape(*noise.shape, *[1] * dimensions)
    power = (spectrum.real.double() ** 2 + spectrum.imag.double() ** 2) / scale
    logarithm = _log_frequency(spectra.shape, spacing).to(image.device)
    each = [_likeliest(of_one, passed, logarithm) for of_one in power.reshape(-1, *passed.shape)]
    return torch.stack(each).reshape(power.shape).to(image.dtype)


def _log_frequency(shape: tuple[int, ...], sizes: tuple[float, ...]) -> torch.Tensor:
    """Return the logarithm of the frequency, 0 at the lowest one; frequency 0 counts as that."""
    axes = [torch.fft.fftfreq(side, size, dtype=torch.float64) for side, size in zip(shape, sizes, strict=True)]
    axes[-1] = axes[-1][: shape[-1] // 2 + 1].abs()
    squared = torch.zeros((), dtype=torch.float64)
    for axis in axes:
        squared = squared[..., None] + axis**2
    lowest = min(1 / (side * size) for side, size in zip(shape, sizes, strict=True))
    return torch.log(squared.sqrt() / lowest).clamp(min=0)


def _likeliest(power: torch.Tensor, transfer: torch.Tensor, logarithm: torch.Tensor) -> torch.Tensor:
    """Return 1 / S + ε² of the likeliest spectrum, of a power in units of the noise."""
    count, power, passed, abscissa = _cells(power, transfer, logarithm)
    errors = TRANSFER_ERRORS.to(power.device)
    passed = passed + errors[:, None]
    start = (count * passed * (power - 1)).sum(1) / (count * passed**2).sum(1).clamp(min=1e-300)
    height, slope = start.clamp(min=1e-9).log(), torch.zeros_like(errors)  # log S = height + slope * abscissa
    for _ in range(MOVES):
        signal = passed * torch.exp(height[:, None] + slope[:, None] * abscissa)
        pull = signal / (signal + 1)  # of log S on log m
        push = count * pull * (power / (signal + 1) - 1)
        weight = count * pull**2
        first, second = push.sum(1), (push * abscissa).sum(1)
        a, b, c = weight.sum(1) + 1e-6, (weight * abscissa).sum(1), (weight * abscissa**2).sum(1) + 1e-6
        tilt = ((a * second - b * first) / (a * c - b * b)).clamp(-LARGEST_MOVE, LARGEST_MOVE)
        tilt = torch.minimum(tilt, -slope)  # no object has more power at higher frequencies
        lift = ((first - b * tilt) / a).clamp(-LARGEST_MOVE, LARGEST_MOVE)
        height, slope = height + lift, slope + tilt
        if float(torch.maximum(lift.abs(), tilt.abs()).max()) < SMALLEST_MOVE:
            break
    mean = passed * torch.exp(height[:, None] + slope[:, None] * abscissa) + 1
    unlikeliness = (count * (mean.log() + power / mean)).sum(1)
    best = int((unlikeliness <= unlikeliness.min() + TELLS_NOTHING).nonzero()[0])
    ratio = torch.exp(-(height[best] + slope[best] * logarithm)).clamp(max=LARGEST_RATIO) + errors[best]
    ratio.view(-1)[0] = 0
    return ratio


def _cells(power: torch.Tensor, transfer: torch.Tensor, logarithm: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Average over frequencies of nearly the same f and |H|², without f = 0: return their number first."""
    passed = (torch.log(transfer + TRANSFER_ERRORS[0]) - torch.log(TRANSFER_ERRORS[0])) * CELLS_PER_E
    cell = (logarithm * CELLS_PER_E).long() * CELLS_OF_TRANSFER + passed.long()
    cell = cell.flatten()[1:]
    count = torch.bincount(cell)
    full = count > 0
    sums = [torch.bincount(cell, weights=values.flatten()[1:])[full] for values in (power, transfer, logarithm)]
    count = count[full].double()
    return count, *(total / count for total in sums)
