r"""The referee: how wrong a restoration is, judged by photons that it has not seen.

A count :math:`y`, Poisson with mean :math:`s`, is divided at random: each photon is held out with probability
:math:`q`. The photons held out, :math:`h`, and those that are seen are Poisson, too, with means :math:`qs` and
:math:`(1 - q)s`, and independent (`course_lib.noise.split_photons`). A restoration of what is seen expects :math:`a`
photons among those held out, its own values times :math:`q/(1 - q)`. Since :math:`\mathrm{E}\,h = qs` and
:math:`\mathrm{E}\,h(h - 1) = (qs)^2`,

.. math:: d = (a - h)^2 - h \qquad\text{has the mean}\qquad \mathrm{E}\,d = (a - qs)^2 ,

whatever the restoration did. So the mean of :math:`d/q^2` over the pixels is on average the squared error against a
truth that nobody knows. Its own error is known as well. Once the restoration is made, what is left to chance is the
noise of the photons held out, which pixels do not share, even where the errors of the restoration are smooth; and

.. math:: \mathrm{Var}\,d = 2(qs)^2 + 4\,qs\,(a - qs)^2 ,

which the products :math:`h(h-1)\cdots` estimate again without bias. **Two restorations** :math:`a, b` of the same
photons are compared far more sharply than each is judged, because :math:`h^2` cancels:

.. math:: d_a - d_b = a^2 - b^2 - 2h(a - b), \qquad \mathrm{Var}\,(d_a - d_b) = 4\,qs\,(a - b)^2 .

What is judged is the restoration of :math:`1 - q` of the photons. That of all of them will be a little better.

**A camera's values** are no counts, but become nearly so once gain and offset are known
(`course_lib.noise.equivalent_counts`): their variance is then their mean, and that is all the comparison of two
*linear* restorations asks for. Gain that is wrong, or noise that neighbours share, biases the referee: a share of the
noise is then the same in both parts, and whatever keeps noise looks better than it is.

References
----------
.. [1] J. F. C. Kingman, "Poisson Processes", Oxford (1993), section 5.1.
.. [2] N. L. Oliveira, J. Lei, R. J. Tibshirani, "Unbiased risk estimation in the normal means problem via coupled
   bootstrap techniques", Electronic Journal of Statistics 18 (2024) 5405 (the same for Gaussian noise).
.. [3] A. Krull et al., "Image denoising and the generative accumulation of photons", WACV (2024) 1517.
"""

from dataclasses import dataclass

import torch

from course_lib.metrics._check import check_pair

__all__ = ["HeldOutError", "held_out_difference", "held_out_error"]


@dataclass(frozen=True)
class HeldOutError:
    """A mean squared error, or the difference of two, and how far it may be off.

    Attributes
    ----------
    value, standard_error : torch.Tensor, shape (...)
        One number an image, in (photons of the whole exposure)². Right on average, and so below 0 by chance where the
        error is small against the noise of the photons held out.
    """

    value: torch.Tensor
    standard_error: torch.Tensor


def held_out_error(
    estimate: torch.Tensor, held_out: torch.Tensor, *, share: float, dimensions: int = 2
) -> HeldOutError:
    """Return the mean squared error of a restoration against the truth, from photons that it has not seen.

    Parameters
    ----------
    estimate : torch.Tensor, shape (..., [Z,] Y, X)
        What was restored from the photons that are *not* held out, in their counts: not scaled up.
    held_out : torch.Tensor, shape (..., [Z,] Y, X)
        Photons that the restoration has not seen, whole numbers as floating point.
    share : float
        Share of all photons that is held out, between 0 and 1. Larger, and the referee is surer; but what it judges
        has then seen less. A fifth suits most images.
    dimensions : {2, 3}
        How many of the last axes make up one image.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, `held_out` is no count, or the share is not between 0 and 1.

    Examples
    --------
    >>> draw = torch.Generator().manual_seed(0)
    >>> seen, held_out = torch.poisson(torch.tensor([8.0, 2.0]).expand(512, 512, 2), generator=draw).unbind(-1)
    >>> found = held_out_error(torch.full((512, 512), 9.6), held_out, share=0.2)  # the truth is 8 of 10: wrong by 2
    >>> print(f"{found.value:.1f} ± {found.standard_error:.1f}")
    3.8 ± 0.1
    """
    estimate, held_out, image_axes = _checked(estimate, held_out, share, dimensions, name="estimate")
    expected = estimate * (share / (1 - share))
    pairs = held_out * (held_out - 1)
    variance = 2 * pairs + 4 * (pairs * (held_out - 2) - 2 * expected * pairs + expected.square() * held_out)
    return _mean((expected - held_out).square() - held_out, variance, share, image_axes)


def held_out_difference(
    estimate: torch.Tensor, other: torch.Tensor, held_out: torch.Tensor, *, share: float, dimensions: int = 2
) -> HeldOutError:
    """Return by how much the mean squared error of a restoration exceeds that of another, of the same photons.

    Below 0, and by more than its standard errors, `estimate` is the better one. The standard error is much smaller than
    those of the two errors, because both are judged by the same photons.

    Parameters
    ----------
    estimate, other, held_out, share, dimensions
        See `held_out_error`.

    Raises
    ------
    ValueError
        As `held_out_error`.

    Examples
    --------
    >>> draw = torch.Generator().manual_seed(0)
    >>> seen, held_out = torch.poisson(torch.tensor([8.0, 2.0]).expand(512, 512, 2), generator=draw).unbind(-1)
    >>> found = held_out_difference(seen, torch.full((512, 512), 9.6), held_out, share=0.2)  # 10 · 8/0.8 − 4
    >>> print(f"{found.value:.1f} ± {found.standard_error:.1f}")
    8.4 ± 0.1
    """
    estimate, held_out, image_axes = _checked(estimate, held_out, share, dimensions, name="estimate")
    other, _, _ = _checked(other, held_out, share, dimensions, name="other")
    scale = share / (1 - share)
    apart = scale * (estimate - other)
    difference = apart * (scale * (estimate + other) - 2 * held_out)
    return _mean(difference, 4 * held_out * apart.square(), share, image_axes)


def _checked(
    estimate: torch.Tensor, held_out: torch.Tensor, share: float, dimensions: int, *, name: str
) -> tuple[torch.Tensor, torch.Tensor, tuple[int, ...]]:
    if not 0 < share < 1:
        raise ValueError(
            f"share is {share:g}, but must be between 0 and 1: the share of the photons held out, for example 0.2."
        )
    if estimate.shape != held_out.shape:
        raise ValueError(
            f"{name} has shape {tuple(estimate.shape)}, but held_out has {tuple(held_out.shape)}: both must be "
            f"the same; crop or expand one."
        )
    estimate, held_out, image_axes = check_pair(estimate, held_out, dimensions=dimensions, name="held_out")
    if bool(((held_out < 0) | (held_out != held_out.round())).any()):
        strange = held_out[(held_out < 0) | (held_out != held_out.round())][0]
        raise ValueError(
            f"held_out has a value of {float(strange):g}, but must be whole numbers of photons from 0 up: split counts "
            f"with noise.split_photons, and leave what is held out as it is."
        )
    return estimate, held_out, image_axes


def _mean(values: torch.Tensor, variance: torch.Tensor, share: float, image_axes: tuple[int, ...]) -> HeldOutError:
    pixels = values[(0,) * (values.ndim - len(image_axes))].numel()
    error = variance.mean(dim=image_axes).clamp(min=0).div(pixels).sqrt()
    return HeldOutError(values.mean(dim=image_axes) / share**2, error / share**2)
