"""A histogram that can be exported to the browser."""

import torch

__all__ = ["histogram"]


def histogram(values: torch.Tensor, *, low: torch.Tensor, width: torch.Tensor, bins: int) -> torch.Tensor:
    """Count the values in `bins` equal bins; those outside fall into the first or the last.

    `torch.histc` and its kin want their range as Python numbers, but a live figure's range moves with its sliders.

    Parameters
    ----------
    values : torch.Tensor
        Any shape.
    low, width : torch.Tensor
        Lower edge of the first bin, and width of each; without axes.
    bins : int
        Number of bins.

    Returns
    -------
    torch.Tensor
        Counts, float32, of shape (bins,).

    Examples
    --------
    >>> histogram(torch.tensor([0.1, 0.2, 2.5, 9.0]), low=torch.tensor(0.0), width=torch.tensor(1.0), bins=4)
    tensor([2., 0., 1., 1.])
    """
    place = torch.floor((values.flatten() - low) / width).clamp(0, bins - 1).long()
    counts = torch.zeros(bins, dtype=torch.float32, device=values.device)
    return counts.scatter_add(0, place, torch.ones_like(place, dtype=torch.float32))
