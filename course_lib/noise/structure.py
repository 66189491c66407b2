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

Where light is plenty, the finest detail of a scene stands above the noise, and passes for noise that neighbours
share. But detail lies where the objects are, and a fault of the camera lies everywhere. So a single image is called
structured only if its darkest quarter, by itself, says so, too; else the answer is that one image cannot tell.

References
----------
C. Broaddus et al., *Removing structured noise with self-supervised blind-spot networks*, ISBI 2020.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from course_lib import metrics
from course_lib.axes import check_spatial

__all__ = ["NoiseStructure", "detect_structure"]

_SIGNIFICANCE = 5.0
_TILES = 4
_DARK_BLOCK = 16
_FEWEST_DARK_BLOCKS = 8
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
        White if no ρ exceeds `limit`, structured if one does by five standard errors, uncertain between. A single
        image is uncertain, too, where its darkest quarter by itself is not structured.
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
        (rho,) = _correlations([_tiles(stack.diff(dim=0))], max_lag)
    else:
        source = "single image"
        rho = _product(_tiles(stack.diff(n=4, dim=-1)), _tiles(stack.diff(n=4, dim=-2)), max_lag)
    verdict = _verdict(rho, _LIMITS[source])
    if verdict == "structured" and source == "single image" and not _is_dark_part_structured(stack[0], max_lag):
        verdict = "uncertain"
    return NoiseStructure(
        autocorrelation=rho.mean(dim=0).float(),
        standard_error=_standard_error(rho).float(),
        verdict=verdict,
        limit=_LIMITS[source],
        source=source,
    )


def _verdict(rho: torch.Tensor, limit: float) -> Literal["white", "structured", "uncertain"]:
    excess = rho.mean(dim=0).abs() - limit
    excess[rho.shape[-2] // 2, rho.shape[-1] // 2] = -1
    if bool((excess > _SIGNIFICANCE * _standard_error(rho)).any()):
        return "structured"
    return "uncertain" if bool((excess > 0).any()) else "white"


def _standard_error(rho: torch.Tensor) -> torch.Tensor:
    return rho.std(dim=0) / math.sqrt(len(rho))


def _is_dark_part_structured(frame: torch.Tensor, max_lag: int) -> bool:
    """Ask the quarter of small blocks that is darkest: it has the noise, and the least detail."""
    height, width = (length // _DARK_BLOCK for length in frame.shape)
    cut = frame[: height * _DARK_BLOCK, : width * _DARK_BLOCK].reshape(height, _DARK_BLOCK, width, _DARK_BLOCK)
    blocks = cut.permute(0, 2, 1, 3).reshape(-1, 1, _DARK_BLOCK, _DARK_BLOCK)
    across, down = blocks.diff(n=4, dim=-1), blocks.diff(n=4, dim=-2)
    vary = torch.nonzero(_vary(across) & _vary(down)).flatten()
    darkest = vary[blocks[vary].mean(dim=(1, 2, 3)).argsort()[: max(_FEWEST_DARK_BLOCKS, len(vary) // 4)]]
    if len(darkest) < 2:
        return False
    return _verdict(_product(across[darkest], down[darkest], max_lag), _LIMITS["single image"]) == "structured"


def _product(across: torch.Tensor, down: torch.Tensor, max_lag: int) -> torch.Tensor:
    """Return ρ of each tile of one image, from the one filtered along rows and the one filtered along columns."""
    along_rows, along_columns = _correlations([across, down], max_lag)
    return along_rows[:, :, max_lag, None] * along_columns[:, None, max_lag, :]


def _correlations(noises: Sequence[torch.Tensor], max_lag: int) -> list[torch.Tensor]:
    """Return ρ (tiles, lags, lags), averaged over T, of those tiles (tiles, T, y, x) that vary in all `noises`."""
    vary = torch.stack([_vary(tiles) for tiles in noises]).all(dim=0)
    if int(vary.sum()) < 2:
        raise ValueError(
            "the noise is constant over most of the image, so it has no structure to measure: "
            "pass raw frames that differ, without black borders."
        )
    return [metrics.autocorrelation(tiles[vary], max_lag=max_lag).mean(dim=1) for tiles in noises]


def _vary(tiles: torch.Tensor) -> torch.Tensor:
    """Return which of the tiles (tiles, T, y, x) vary in every frame."""
    return (tiles.amax(dim=(-2, -1)) > tiles.amin(dim=(-2, -1))).all(dim=1)


def _tiles(noise: torch.Tensor) -> torch.Tensor:
    """Cut (T, Y, X) into 4 × 4 tiles: (tiles, T, y, x)."""
    height, width = noise.shape[-2] // _TILES, noise.shape[-1] // _TILES
    cut = noise[:, : _TILES * height, : _TILES * width].reshape(-1, _TILES, height, _TILES, width)
    return cut.permute(1, 3, 0, 2, 4).reshape(_TILES**2, -1, height, width)
