r"""Stop when photons that took no part are predicted worse: the iterations begin to explain noise.

If each photon of an image is held out with probability :math:`q` and kept otherwise, the two counts are independent,
with the means :math:`q\lambda` and :math:`(1 - q)\lambda` (`noise.split_photons`). A restoration of the photons kept
expects :math:`e_k` of them after :math:`k` iterations, and so :math:`\frac{q}{1 - q} e_k` of those held out, :math:`h`.
As their noise is independent of the estimate, the error of that prediction,

.. math:: E_k = \frac{1}{N} \left\lVert\, G \left(h - \frac{q}{1 - q}\, e_k \right) \right\rVert^2,

is on average that of the expected photons plus a number that does not change. It falls as long as the iterations find
what both counts share, the object, and rises when they fit the noise of the photons kept. It needs neither truth nor an
estimate of the noise.

Without :math:`G` it would judge the *blurred* estimate, and a fault at a fine detail that the blur hides would cost
nothing. So both sides are first restored by a Wiener filter, :math:`\hat g = \hat h^* / (|\hat h|^2 + 0.001)` for the
transfer :math:`\hat h` of the blur. That makes it the error of the object wherever the microscope passes more than
some percent of the contrast. What it does not pass at all, only a truth can judge: points much smaller than the PSF
can be made too sharp, or not sharp enough, unnoticed.

References
----------
B. Efron, R. J. Tibshirani, *An Introduction to the Bootstrap*, Chapman & Hall 1993, chapter 17 (cross-validation);
K. J. Coakley, IEEE Transactions on Nuclear Science 38 (1991) 9 (to stop EM); Y. C. Eldar, IEEE Transactions on Signal
Processing 57 (2009) 471 (the error of the object, as far as it is seen).
"""

import torch

from course_lib.axes import check_spatial
from course_lib.deconvolution._check import Boundary, check_count, check_number, check_photons, check_psf
from course_lib.deconvolution.blur import Blur

__all__ = ["HeldOutPhotons"]

NOISE_TO_SIGNAL = 0.001
"""Of the Wiener filter: larger, and the blurred estimate is judged; smaller, and noise decides."""


class HeldOutPhotons:
    """Stop when the photons held out are predicted no better.

    Parameters
    ----------
    held_out : torch.Tensor
        Counts that take no part, the shape of the image that is deconvolved; see `noise.split_photons`.
    psf : torch.Tensor
        Point-spread function, as for the deconvolution.
    share : float
        Their share of all photons, between 0 and 1.
    boundary : {"linear", "circular"}
        As for the deconvolution.
    patience : int
        Iterations in a row without a new best before it stops.

    Attributes
    ----------
    scores : list of float
        Minus the squared error of the sharpened prediction, a voxel, in photons²; the first is that of the start. The
        noise of the photons held out is part of each, so that their differences count.
    best : int
        Iterations done when the score was best.

    Raises
    ------
    ValueError, TypeError
        If `held_out` is not photons, the PSF is none, or a number is out of range.

    Notes
    -----
    The method returns the estimate of the iteration at which it stops, `patience` after the best one, made of the
    photons kept: `automatic_stop` restores all photons with the number found. A batch stops at once. Each score takes
    one transform.

    Examples
    --------
    >>> from course_lib.deconvolution import richardson_lucy
    >>> from course_lib.noise import split_photons
    >>> image = torch.full((64, 64), 20.0)
    >>> image[20:44, 20:44] = 60.0
    >>> image = torch.poisson(image, generator=torch.Generator().manual_seed(0))
    >>> psf = torch.ones(3, 3) / 9
    >>> held_out, kept = split_photons(image, fraction=0.25, rng=0)
    >>> rule = HeldOutPhotons(held_out, psf, share=0.25)
    >>> restored = richardson_lucy(kept, psf, iterations=500, stop=rule)
    >>> rule.best + rule.patience + 1 == len(rule.scores) < 500
    True
    """

    def __init__(
        self,
        held_out: torch.Tensor,
        psf: torch.Tensor,
        *,
        share: float,
        boundary: Boundary = "linear",
        patience: int = 5,
    ) -> None:
        self.share = check_number(share, name="share", above=0.0)
        if self.share >= 1:
            raise ValueError(f"share is {share:g}, but must be below 1, or no photons are left to deconvolve.")
        self.patience = check_count(patience, name="patience")
        self.scores: list[float] = []
        check_psf(psf)
        check_spatial(held_out, psf.ndim, name="held_out")
        check_photons(held_out)
        blur = Blur(psf.detach(), held_out.shape[-psf.ndim :], boundary=boundary)
        self._held_out = held_out.detach()
        self._grid = blur.object_shape
        power = blur.transfer.abs().square_()
        self._weight = power / (power + NOISE_TO_SIGNAL) ** 2 / held_out.numel()
        self._weight[..., 1 : (self._grid[-1] + 1) // 2] *= 2  # the other half of the spectrum, not transformed

    @property
    def best(self) -> int:
        """Iterations done when the score was best."""
        return max(range(len(self.scores)), key=self.scores.__getitem__)

    def __call__(self, iteration: int, _estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        """Return whether the score has not been better for long."""
        if iteration == 0:
            self.scores = []
        error = torch.sub(self._held_out, expected, alpha=self.share / (1 - self.share))
        power = torch.fft.rfftn(error, s=self._grid, norm="ortho").abs().square_()
        self.scores.append(-float((power * self._weight).sum(dtype=torch.float64)))
        return iteration - self.best >= self.patience
