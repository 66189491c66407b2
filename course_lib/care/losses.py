r"""What it costs a network to be wrong.

The squared error is least for the mean of all clean images that fit the noisy one, the absolute error for their median.
Where several images fit, both give a blurred compromise, and neither says so. The probabilistic loss asks for a scale
:math:`\sigma` besides the mean :math:`\mu`: the negative logarithm of a Laplace distribution,

.. math:: \frac{|t - \mu|}{\sigma} + \log 2\sigma,

is least where :math:`\mu` is the median and :math:`\sigma` the mean absolute error that is to be expected [1]_. So the
network learns where it will be wrong. It knows only errors that the training showed it.

References
----------
.. [1] M. Weigert et al., "Content-aware image restoration: pushing the limits of fluorescence microscopy", Nature
   Methods 15, 1090-1097 (2018), doi:10.1038/s41592-018-0216-7.
"""

import math
from collections.abc import Callable

import torch

__all__ = ["LOSSES"]


def _squared(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (output - target).square().flatten(1).mean(1)


def _absolute(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (output - target).abs().flatten(1).mean(1)


def _probabilistic(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    center, scale = output.float().chunk(2, dim=1)
    return ((target - center).abs() / scale + scale.log() + math.log(2)).flatten(1).mean(1)


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": _squared,
    "mae": _absolute,
    "probabilistic": _probabilistic,
}
"""Loss of each example, (N,), for output and target (N, C, [Z,] Y, X)."""
