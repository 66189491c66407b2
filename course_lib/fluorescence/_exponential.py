"""The exponential of a number or a tensor, and its complement without loss of digits."""

import math

import torch

__all__ = ["exponential", "one_minus_exponential"]

Quantity = float | torch.Tensor


def exponential(exponent: Quantity) -> Quantity:
    """Return exp(x)."""
    return exponent.exp() if isinstance(exponent, torch.Tensor) else math.exp(exponent)


def one_minus_exponential(dose: Quantity) -> Quantity:
    """Return 1 - exp(-x), as 2t/(1 + t) with t = tanh(x/2): exact for tiny doses, finite for large ones.

    `torch.expm1` would do as well, but is exported to ONNX as exp(x) - 1, which loses the digits again.

    Examples
    --------
    >>> one_minus_exponential(1e-20)
    1e-20
    """
    half = torch.tanh(dose / 2) if isinstance(dose, torch.Tensor) else math.tanh(dose / 2)
    return 2 * half / (1 + half)
