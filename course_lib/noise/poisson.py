r"""Poisson counts from uniform random numbers that the caller supplies.

A count with mean :math:`\lambda` is the number of thresholds of the cumulative distribution that a uniform
number passes (inversion):

.. math:: k = \#\{j : u > F_\lambda(j)\}, \qquad F_\lambda(j) = e^{-\lambda}\sum_{i \le j} \lambda^i / i!

The same uniform numbers always give the same counts, on every device and in the browser, and the counts
move smoothly when the mean does: that is what a live figure needs. Above `NORMAL_ABOVE` photons the sum is
replaced by the Cornish–Fisher expansion of the quantile, which corrects the normal curve for its skewness:

.. math:: k \approx \lambda + \sqrt\lambda\, z + (z^2 - 1)/6, \qquad z = \Phi^{-1}(u)

References
----------
L. Devroye, *Non-Uniform Random Variate Generation*, Springer 1986, chapter X.3.
"""

import torch

__all__ = ["NORMAL_ABOVE", "poisson_from_uniform"]

NORMAL_ABOVE = 24.0
"""Mean above which the expansion replaces the sum."""

_TERMS = 64  # P(count >= 64) < 3e-11 at a mean of 24


def poisson_from_uniform(rate: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Turn uniform numbers into Poisson counts.

    Parameters
    ----------
    rate : torch.Tensor
        Mean count of each pixel, at least 0; any shape.
    uniform : torch.Tensor
        Numbers uniform in (0, 1), of a shape that broadcasts with `rate`.

    Returns
    -------
    torch.Tensor
        Counts as float32. The thresholds are compared in float64, so that every runtime that is given
        the same numbers returns the same counts.

    Notes
    -----
    No check of the values: the function is exported to the browser, where it must not branch on them.

    Examples
    --------
    >>> poisson_from_uniform(torch.tensor([0.0, 3.0, 100.0]), torch.tensor([0.5, 0.5, 0.5]))
    tensor([  0.,   3., 100.])
    """
    mean, u = rate.double(), uniform.double()
    small = mean.clamp(max=NORMAL_ABOVE)
    probability = torch.exp(-small)
    cumulative = probability
    counts = (u > cumulative).double()
    for k in range(1, _TERMS):
        probability = probability * small / k
        cumulative = cumulative + probability
        counts = counts + (u > cumulative).double()
    z = _normal_quantile(u)
    large = mean.clamp(min=NORMAL_ABOVE)
    expansion = torch.round(large + torch.sqrt(large) * z + (z * z - 1) / 6)
    return torch.where(mean > NORMAL_ABOVE, expansion, counts).float()


def _normal_quantile(u: torch.Tensor) -> torch.Tensor:
    """Invert the normal distribution to 4.5e-4 (Abramowitz & Stegun 26.2.23): well below one count.

    The constants are tensors, because the export to ONNX rounds Python's numbers to 32 bits.
    """
    c0, c1, c2, d1, d2, d3 = torch.tensor(
        [2.515517, 0.802853, 0.010328, 1.432788, 0.189269, 0.001308], dtype=torch.float64, device=u.device
    ).unbind()
    tail = torch.minimum(u, 1 - u).clamp(min=1e-12)
    t = torch.sqrt(-2 * torch.log(tail))
    numerator = c0 + t * (c1 + t * c2)
    denominator = 1 + t * (d1 + t * (d2 + t * d3))
    return torch.sign(u - 0.5) * (t - numerator / denominator)
