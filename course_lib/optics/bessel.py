r"""Bessel functions of the first kind that can be differentiated.

torch evaluates :math:`J_0` and :math:`J_1` but knows no derivative of them. They are each other's:

.. math:: J_0' = -J_1, \qquad J_1' = J_0 - J_1/x, \qquad J_2 = 2J_1/x - J_0.

torch's float64 values are wrong by up to :math:`5\cdot10^{-7}`, just above :math:`x = 5`; no PSF is better than that.

References
----------
NIST Digital Library of Mathematical Functions, §10.6.
"""

from typing import Any

import torch

__all__ = ["bessel_j0", "bessel_j0_j1_j2", "bessel_j1", "jinc"]


class _J0(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        value: torch.Tensor = torch.special.bessel_j0(x)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return -gradients[0] * bessel_j1(x)


class _J1(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        value: torch.Tensor = torch.special.bessel_j1(x)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return gradients[0] * (bessel_j0(x) - jinc(x) / 2)


def bessel_j0(x: torch.Tensor) -> torch.Tensor:
    """Return :math:`J_0(x)`, elementwise.

    Examples
    --------
    >>> bessel_j0(torch.tensor([0.0, 2.404826])).round(decimals=5).abs()
    tensor([1., 0.])
    """
    result: torch.Tensor = _J0.apply(x)  # type: ignore[no-untyped-call]
    return result


def bessel_j1(x: torch.Tensor) -> torch.Tensor:
    """Return :math:`J_1(x)`, elementwise.

    Examples
    --------
    >>> bessel_j1(torch.tensor([0.0, 3.831706])).round(decimals=5).abs()
    tensor([0., 0.])
    """
    result: torch.Tensor = _J1.apply(x)  # type: ignore[no-untyped-call]
    return result


def jinc(x: torch.Tensor) -> torch.Tensor:
    r"""Return :math:`2J_1(x)/x`, which is 1 at 0: the Fourier transform of a disk.

    Examples
    --------
    >>> jinc(torch.tensor([0.0, 3.831706])).round(decimals=5).abs()
    tensor([1., 0.])
    """
    near_zero = x.abs() < 1e-3
    safe = torch.where(near_zero, torch.ones_like(x), x)
    return torch.where(near_zero, 1 - x**2 / 8, 2 * bessel_j1(safe) / safe)


def bessel_j0_j1_j2(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return :math:`J_0(x)`, :math:`J_1(x)` and :math:`J_2(x)`, elementwise; the third costs next to nothing.

    Examples
    --------
    >>> [float(j.round(decimals=4)) for j in bessel_j0_j1_j2(torch.tensor(1.0, dtype=torch.float64))]
    [0.7652, 0.4401, 0.1149]
    """
    j0, j1 = bessel_j0(x), bessel_j1(x)
    near_zero = x.abs() < 1e-3
    elsewhere = torch.addcdiv(-j0, j1, torch.where(near_zero, 1.0, x), value=2)
    j2 = torch.where(near_zero, x * x / 8, elsewhere)
    return j0, j1, j2
