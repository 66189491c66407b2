r"""Stop when the image is explained as well as its noise allows: the discrepancy principle of Morozov.

Photons counted with mean :math:`\lambda` have the variance :math:`\lambda`, so that at the true object

.. math:: \chi^2 = \frac{1}{N} \sum_i \frac{(y_i - \lambda_i)^2}{\lambda_i}, \qquad \lambda = Hx + b,

is 1 on average, for bright and for dim images: Pearson's :math:`\chi^2` a voxel. (Bertero et al. compare
the Kullback-Leibler divergence of image and estimate instead. Twice that is nearly the same where photons are many, but
where they are few its average depends on their number.) The iterations begin with a larger one, which falls, and stop
where it reaches the limit. But 1 belongs to the truth, not to the best estimate: one that was fitted to the image has
taken up some of its noise, so that its own is a little below 1 where its error is least. A PSF that is wrong, a gain or
a background that is wrong by a few percent keep it above 1 for ever, and read noise does unless it is told of; then
`held_out_photons.HeldOutPhotons` still works.

References
----------
V. A. Morozov, *Methods for Solving Incorrectly Posed Problems*, Springer 1984 (the principle); K. Pearson,
Philosophical Magazine 50 (1900) 157 (the measure); M. Bertero et al., Inverse Problems 26 (2010) 105004 (for photons,
with another measure).
"""

import torch

from course_lib.axes import check_spatial
from course_lib.deconvolution._check import check_number, check_photons

__all__ = ["Discrepancy"]


class Discrepancy:
    """Stop when the estimate explains the image as well as the truth would: mean squared error over variance.

    Parameters
    ----------
    image : torch.Tensor
        The image that is deconvolved, in photons.
    limit : float
        Discrepancy at which to stop, above 0.
    read_noise_e : float
        Standard deviation of the camera's read noise in photons detected, which adds to the variance. Leave it 0 if
        its variance was added to image and background.

    Attributes
    ----------
    values : list of float
        The discrepancies so far, the first of the start.

    Raises
    ------
    ValueError
        If the image is not photons, or a number is out of range.

    Notes
    -----
    A batch stops at once, by the mean over all its images. A variance counts as at least the rounding error of the
    brightest voxel. Where `landweber`, or `tikhonov_miller` with ``minimum=None``, expects no photons or less than none
    and some were counted, the discrepancy is therefore very large, and the rule goes on: such an estimate explains
    nothing. ``minimum=0``, a background, or read noise avoid it.

    Examples
    --------
    >>> from course_lib.deconvolution import richardson_lucy
    >>> image = torch.poisson(torch.full((64, 64), 20.0), generator=torch.Generator().manual_seed(0))
    >>> image[20:44, 20:44] += 180.0
    >>> rule = Discrepancy(image)
    >>> restored = richardson_lucy(image, torch.ones(3, 3) / 9, iterations=500, stop=rule)
    >>> rule.values[-1] <= 1.0 < rule.values[-2]
    True
    """

    def __init__(self, image: torch.Tensor, *, limit: float = 1.0, read_noise_e: float = 0.0) -> None:
        check_spatial(image, 2)
        check_photons(image)
        self.limit = check_number(limit, name="limit", above=0.0)
        self.read_noise_e = check_number(read_noise_e, name="read_noise_e", least=0.0)
        self.values: list[float] = []
        self._image = image.detach()
        kind = torch.finfo(image.dtype)
        self._least = max(kind.eps * float(self._image.max()), kind.tiny)

    def __call__(self, iteration: int, _estimate: torch.Tensor, expected: torch.Tensor) -> bool:
        """Return whether the image is explained."""
        if iteration == 0:
            self.values = []
        error = (self._image - expected).square_().div_((expected + self.read_noise_e**2).clamp_(min=self._least))
        self.values.append(float(error.mean(dtype=torch.float64)))
        return self.values[-1] <= self.limit
