r"""Plan a time-lapse: how many frames stay good enough before bleaching has spent the photons.

With :math:`N` photons in the first frame and the bleaching rate :math:`k` per frame, frame :math:`i` has

.. math:: N_i = N\,e^{-k i},\qquad i = 0, 1, 2, \dots

and the movie is good as long as :math:`\mathrm{SNR}(N_i)` is at least what the analysis needs. Multiplying the later
frames by :math:`e^{ki}` restores their brightness, not their SNR: the noise is multiplied, too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib.fluorescence._check import check_not_negative
from course_lib.fluorescence.survival import survival

__all__ = ["MoviePlan", "plan_movie"]


@dataclass(frozen=True)
class MoviePlan:
    """The frames of a movie that are good enough.

    Attributes
    ----------
    frames : int
        Number of frames from the first to the last whose SNR is at least the minimum; 0 if the first is not.
    photons : torch.Tensor
        Photons of each of them, shape (frames,).
    snr : torch.Tensor
        SNR of each of them, shape (frames,).
    spent : float
        Share of the photon budget that is spent after them, 1 - exp(-k · frames).
    ended_by_snr : bool
        Whether the SNR ends the movie; if not, it is as long as was looked at.
    """

    frames: int
    photons: torch.Tensor
    snr: torch.Tensor
    spent: float
    ended_by_snr: bool


def plan_movie(
    photons_per_frame: float,
    *,
    bleaching_per_frame: float,
    snr: Callable[[torch.Tensor], torch.Tensor],
    minimum_snr: float,
    longest_frames: int = 10_000,
) -> MoviePlan:
    """Find the longest movie whose frames all have at least a minimum SNR.

    Parameters
    ----------
    photons_per_frame : float
        Detected photons of the first frame, where the SNR is judged (a pixel, or a spot).
    bleaching_per_frame : float
        Rate of bleaching, `PhotonBudget.bleaching_per_frame` or the rate of `fit_bleaching`.
    snr : callable
        Takes the photons of the frames, shape (frames,), and returns the SNR of each. With this library
        ``lambda photons: noise.snr(photons, read_noise_e=1.6)``.
    minimum_snr : float
        What the analysis needs.
    longest_frames : int
        Where to stop looking.

    Returns
    -------
    MoviePlan

    Raises
    ------
    ValueError
        If a number is out of its range, or `snr` does not return one number for each frame.

    Examples
    --------
    >>> shot_noise = lambda photons: photons**0.5
    >>> plan = plan_movie(100.0, bleaching_per_frame=0.05, snr=shot_noise, minimum_snr=5.0)
    >>> plan.frames, round(plan.spent, 2), round(float(plan.snr[-1]), 2)
    (28, 0.75, 5.09)
    """
    check_not_negative(photons_per_frame, name="photons_per_frame", remedy="give detected photons of the first frame")
    check_not_negative(bleaching_per_frame, name="bleaching_per_frame", remedy="give the rate k per frame")
    check_not_negative(minimum_snr, name="minimum_snr", remedy="5 is often enough to find an object")
    if longest_frames < 1:
        raise ValueError(f"longest_frames is {longest_frames}, but must be at least 1: a movie has a frame.")
    index = torch.arange(longest_frames, dtype=torch.float64)
    photons = photons_per_frame * survival(index, rate=bleaching_per_frame)
    values = snr(photons)
    if not isinstance(values, torch.Tensor) or values.shape != photons.shape:
        shown = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
        raise ValueError(
            f"snr returned {shown}, but must return a tensor of shape {tuple(photons.shape)}: one SNR a frame."
        )
    bad = torch.nonzero(~(values >= minimum_snr))
    frames = int(bad[0]) if len(bad) else longest_frames
    return MoviePlan(
        frames=frames,
        photons=photons[:frames],
        snr=values[:frames],
        spent=1 - survival(float(frames), rate=bleaching_per_frame),
        ended_by_snr=bool(len(bad)),
    )
