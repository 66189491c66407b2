"""New figures, and the way from tensors and arrays to what matplotlib draws."""

from collections.abc import Sequence
from typing import TypeAlias

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.plotting.style import PAGE_WIDTH_IN

__all__ = ["Data", "new_axes", "new_figure", "own_figure", "to_finite_numpy"]

Data: TypeAlias = np.ndarray | torch.Tensor | Sequence[float]
"""What every function of this package draws."""


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return a figure that pyplot forgets: Jupyter shows it once, where it is the value of a cell's last line."""
    figure = plt.figure(figsize=(width_in, height_in))
    plt.close(figure)
    return figure


def new_axes(*, width_in: float = 0.75 * PAGE_WIDTH_IN, height_in: float = 3.4) -> Axes:
    """Return the only axes of a new figure."""
    return new_figure(width_in, height_in).subplots()


def own_figure(axes: Axes) -> Figure:
    """Return the whole figure that holds `axes`."""
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes without a figure cannot be drawn on"
    return figure


def to_finite_numpy(data: Data, *, name: str) -> np.ndarray:
    """Return `data` as a NumPy array of real numbers; raise unless it has elements, all of them finite.

    Examples
    --------
    >>> to_finite_numpy(torch.ones(2, requires_grad=True), name="signal")
    array([1., 1.], dtype=float32)
    """
    array = data.detach().cpu().numpy() if isinstance(data, torch.Tensor) else np.asarray(data)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {array.dtype}, but must be real numbers: convert it first.")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}, without any element: there is nothing to draw.")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise ValueError(f"{name} has {bad} values that are NaN or infinite: remove or replace them first.")
    return array
