r"""The trace of a bleaching object in a movie: which pixels are the object, which the background, and their means.

With the object's mean :math:`g_t` and the background's :math:`b_t` in frame :math:`t`, the trace is

.. math:: I_t = g_t - b_t + \bar b .

Its background is the same in all frames, :math:`\bar b`, even where that of the movie bleaches or flickers, so that
`fit_bleaching` may take it off.

The brightest pixels of an image are partly those with the luckiest noise, and the dimmest those with the unluckiest:
the mean of the dimmer half of pure noise with standard deviation :math:`\sigma` is :math:`0.8\,\sigma` too low, which
would bend the trace. Therefore a pixel is judged by the mean over time of its eight neighbours, whose noise is not its
own.
"""

from dataclasses import dataclass

import numpy as np
import torch

from course_lib.fluorescence._check import check_number

__all__ = ["BleachingTrace", "bleaching_trace"]


@dataclass(frozen=True)
class BleachingTrace:
    """What `fit_bleaching` needs to know about a movie.

    Attributes
    ----------
    trace : torch.Tensor
        Mean of the object in each frame, with the background of that frame replaced by the mean background, shape
        (frames,), float64, in the movie's unit.
    background : float
        Mean of the background over pixels and frames. It contains the camera's offset.
    background_error : float
        Its standard error, from the spread between its pixels.
    bright, dim : torch.Tensor
        The pixels of the object and of the background, masks of shape (Y, X).
    """

    trace: torch.Tensor
    background: float
    background_error: float
    bright: torch.Tensor
    dim: torch.Tensor


def bleaching_trace(movie: torch.Tensor, *, bright_share: float = 0.1, background_share: float = 0.5) -> BleachingTrace:
    """Find the object and the background of a movie, and the object's mean in each frame.

    Parameters
    ----------
    movie : torch.Tensor
        Frames of one channel and one plane, shape (T, Y, X), in any unit, at least 2 frames of 3 × 3 pixels.
    bright_share : float
        Share of the pixels that is taken for the object: those with the brightest neighbours in the mean over time.
    background_share : float
        Share of the pixels that is taken for the background: those with the dimmest.

    Returns
    -------
    BleachingTrace

    Raises
    ------
    ValueError
        If the shape is another one, a value is NaN or infinite, the shares do not fit, or the object is no brighter
        than the background.
    TypeError
        If the movie is not a tensor of real numbers, or a share is not a number.

    Notes
    -----
    What lies beneath the object is taken to be what lies beside it. Haze that is brighter around the object is not
    contained in `background_error`. An object must not move out of its pixels: register the movie first.

    Examples
    --------
    >>> cell = torch.zeros(32, 32)
    >>> cell[8:20, 8:20] = 200.0
    >>> survivors = torch.exp(-0.05 * torch.arange(60.0))
    >>> mean = cell * survivors[:, None, None] + 20
    >>> movie = torch.poisson(mean, generator=torch.Generator().manual_seed(0))
    >>> found = bleaching_trace(movie)
    >>> from course_lib.fluorescence import fit_bleaching
    >>> fit = fit_bleaching(
    ...     found.trace, background=found.background, background_error=found.background_error
    ... )
    >>> print(f"{fit.rate:.4f} ± {fit.rate_error:.4f} per frame")
    0.0501 ± 0.0002 per frame
    """
    _check(movie, bright_share=bright_share, background_share=background_share)
    over_time = movie.mean(dim=0, dtype=torch.float64)
    if not bool(torch.isfinite(over_time).all()):
        raise ValueError("movie has values that are NaN or infinite: leave those frames or those pixels out.")
    around = _mean_of_neighbours(over_time)
    # torch.quantile refuses more than 16 million values
    low, high = np.quantile(around.cpu().numpy(), [background_share, 1 - bright_share])
    if not high > low:
        raise ValueError(
            f"movie has no object: in the mean over time its brightest {bright_share:.0%} are as bright as its dimmest "
            f"{background_share:.0%}. Choose smaller shares, or another movie."
        )
    bright, dim = around >= high, around <= low
    object_, behind = (_mean_in_each_frame(movie, mask) for mask in (bright, dim))
    background = behind.mean()
    return BleachingTrace(
        trace=object_ - behind + background,
        background=float(background),
        background_error=float(over_time[dim].std() / dim.sum() ** 0.5),
        bright=bright,
        dim=dim,
    )


def _check(movie: torch.Tensor, *, bright_share: float, background_share: float) -> None:
    if not isinstance(movie, torch.Tensor):
        raise TypeError(f"movie is a {type(movie).__name__}, but must be a tensor: Image.tensor() makes one of a file.")
    if movie.is_complex():
        raise TypeError(f"movie is {movie.dtype}, but must hold real numbers: movie.abs() makes them.")
    if movie.ndim != 3 or movie.shape[0] < 2 or min(movie.shape[1:]) < 3:
        raise ValueError(
            f"movie has shape {tuple(movie.shape)}, but must be (T, Y, X) with at least 2 frames of 3 × 3 pixels: "
            f"choose one channel and one plane over time."
        )
    for name, share in (("bright_share", bright_share), ("background_share", background_share)):
        if not 0 < check_number(share, name=name) < 1:
            raise ValueError(f"{name} is {share:g}, but must lie between 0 and 1: give a share, not per cent.")
    if bright_share + background_share > 1:
        raise ValueError(
            f"bright_share and background_share are {bright_share:g} and {background_share:g}, but together must be at "
            f"most 1: no pixel is both."
        )
    if background_share * movie[0].numel() < 2:
        raise ValueError(
            f"background_share is {background_share:g} of {movie[0].numel()} pixels, but the background needs at least "
            f"2: give a larger share."
        )


def _mean_of_neighbours(image: torch.Tensor) -> torch.Tensor:
    """Return the mean of the eight pixels around each one; the image is mirrored at its borders."""
    mirrored = torch.nn.functional.pad(image[None], (1, 1, 1, 1), mode="reflect")
    of_nine = torch.nn.functional.avg_pool2d(mirrored, kernel_size=3, stride=1)[0]
    return (9 * of_nine - image) / 8


def _mean_in_each_frame(movie: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.stack([frame[mask].mean(dtype=torch.float64) for frame in movie])  # never a copy of all frames
