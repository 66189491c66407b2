r"""Is the noise of neighbouring pixels independent? Ask its autocorrelation.

Shot noise and read noise are white: every pixel errs on its own. Interlaced or resampled read-out,
deconvolution, lossy compression and some cameras make neighbours err together, and then every method that
predicts a pixel from its neighbours (Noise2Void first of all) learns the noise too.

From a *stack* of a still scene the difference of two frames is pure noise. A *single image* holds the scene
as well, but a microscope passes no detail finer than its resolution: whatever varies fastest along the rows
is noise. So the image is filtered by a fourth difference along its rows, and the autocorrelation is taken
*down* its columns, where the filter has changed nothing; and the other way round. For noise whose spectrum
is a product, :math:`S(f_y, f_x) = S_y(f_y)\,S_x(f_x)`, the two give the whole
:math:`\rho(\Delta y, \Delta x) = \rho_y(\Delta y)\,\rho_x(\Delta x)`. Noise that correlates along a diagonal only
is no such product: a single image shows that it has structure, but not which.

References
----------
C. Broaddus et al., *Removing structured noise with self-supervised blind-spot networks*, ISBI 2020.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from course_lib import metrics
from course_lib.axes import check_spatial

__all__ = ["NoiseStructure", "detect_structure"]

_SIGNIFICANCE = 5.0
_TILES = 4
_LIMITS = {"frame differences": 0.05, "single image": 0.1}


@dataclass(frozen=True)
class NoiseStructure:
    """The autocorrelation of the noise and the verdict.

    Attributes
    ----------
    autocorrelation : torch.Tensor
        ρ(dy, dx) for lags up to the maximum, centre 1, shape (2·max_lag + 1, 2·max_lag + 1).
    standard_error : torch.Tensor
        Its standard error, from the scatter between 16 tiles of the image, same shape.
    verdict : {"white", "structured", "uncertain"}
        White if no ρ exceeds `limit`, structured if one does by five standard errors, uncertain between.
    limit : float
        Correlation that counts as none: 0.05 from frame differences, 0.1 from a single image, where the
        finest detail of an undersampled scene passes for correlated noise.
    source : {"frame differences", "single image"}
        What the noise was read off.
    """

    autocorrelation: torch.Tensor
    standard_error: torch.Tensor
    verdict: Literal["white", "structured", "uncertain"]
    limit: float
    source: Literal["frame differences", "single image"]

    @property
    def white(self) -> bool:
        """Whether the noise is known to be white."""
        return self.verdict == "white"

    def at(self, down: int, right: int) -> float:
        """Return ρ at a lag of `down` rows and `right` columns."""
        lag = self.autocorrelation.shape[-1] // 2
        return float(self.autocorrelation[lag + down, lag + right])

    def __str__(self) -> str:
        """Give the verdict in one sentence."""
        verdict = {"white": "white noise", "structured": "structured noise", "uncertain": "uncertain"}[self.verdict]
        return f"{verdict}: ρ = {self.at(1, 0):+.2f} down, {self.at(0, 1):+.2f} right (from {self.source})"


def detect_structure(frames: torch.Tensor, *, max_lag: int = 3) -> NoiseStructure:
    """Measure the autocorrelation of the noise and say whether it is white.

    Parameters
    ----------
    frames : torch.Tensor
        Raw frames of a still scene (T, Y, X), or a single image (Y, X); at least 64 × 64 pixels.
    max_lag : int
        Largest lag in pixels, 1 to 7.

    Returns
    -------
    NoiseStructure

    Raises
    ------
    ValueError
        If the image is too small, constant or has NaN, or `max_lag` is out of range.

    Examples
    --------
    >>> noise = torch.randn(4, 128, 128, generator=torch.Generator().manual_seed(0))
    >>> detect_structure(noise).white
    True
    >>> print(detect_structure(noise + noise.roll(1, dims=-2)))
    structured noise: ρ = +0.50 down, -0.00 right (from frame differences)
    """
    check_spatial(frames, 2, name="frames")
    if frames.ndim > 3 or min(frames.shape[-2:]) < 64:
        raise ValueError(
            f"frames has shape {tuple(frames.shape)}, but needs (T, Y, X) or (Y, X) from 64 × 64 pixels: "
            f"choose one channel and plane, or a larger region."
        )
    if not 1 <= max_lag <= 7:
        raise ValueError(f"max_lag is {max_lag} px, but must be from 1 to 7 px.")
    stack = frames.double().reshape(-1, *frames.shape[-2:])
    source: Literal["frame differences", "single image"]
    if len(stack) > 1:
        source = "frame differences"
        (rho,) = _correlations([stack.diff(dim=0)], max_lag)
    else:
        source = "single image"
        filtered = [stack.diff(n=4, dim=-1), stack.diff(n=4, dim=-2)]
        along_rows, along_columns = _correlations(filtered, max_lag)
        rho = along_rows[:, :, max_lag, None] * along_columns[:, None, max_lag, :]
    mean = rho.mean(dim=0)
    error = rho.std(dim=0) / len(rho) ** 0.5
    excess = mean.abs() - _LIMITS[source]
    excess[max_lag, max_lag] = -1
    verdict: Literal["white", "structured", "uncertain"] = "white"
    if bool((excess > 0).any()):
        verdict = "structured" if bool((excess > _SIGNIFICANCE * error).any()) else "uncertain"
    return NoiseStructure(
        autocorrelation=mean.float(),
        standard_error=error.float(),
        verdict=verdict,
        limit=_LIMITS[source],
        source=source,
    )


def _correlations(noises: Sequence[torch.Tensor], max_lag: int) -> list[torch.Tensor]:
    """Return ρ (tiles, lags, lags), averaged over T, of those of 4 × 4 tiles of (T, Y, X) that vary in all `noises`."""
    cut = [_tiles(noise) for noise in noises]
    vary = torch.stack([(tiles.amax(dim=(-2, -1)) > tiles.amin(dim=(-2, -1))).all(dim=1) for tiles in cut]).all(dim=0)
    if int(vary.sum()) < 2:
        raise ValueError(
            "the noise is constant over most of the image, so it has no structure to measure: "
            "pass raw frames that differ, without black borders."
        )
    return [metrics.autocorrelation(tiles[vary], max_lag=max_lag).mean(dim=1) for tiles in cut]


def _tiles(noise: torch.Tensor) -> torch.Tensor:
    """Cut (T, Y, X) into 4 × 4 tiles: (tiles, T, y, x)."""
    height, width = noise.shape[-2] // _TILES, noise.shape[-1] // _TILES
    cut = noise[:, : _TILES * height, : _TILES * width].reshape(-1, _TILES, height, _TILES, width)
    return cut.permute(1, 3, 0, 2, 4).reshape(_TILES**2, -1, height, width)
