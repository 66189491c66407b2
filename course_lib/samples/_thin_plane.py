"""Flat test patterns: how much of each voxel a bar fills, and a pattern as a thin plane of a stack."""

from collections.abc import Sequence

import torch

from course_lib.parameters import Parameter

__all__ = ["filled_share", "thin_plane"]

THICKNESS = Parameter(
    name="thickness_um", default=0.1, meaning="thickness of the pattern in a stack", unit="µm", minimum=1e-3
)


def filled_share(starts_um: torch.Tensor, ends_um: torch.Tensor, *, side: int, size_um: float) -> torch.Tensor:
    """Return the share of each of `side` voxels that bars from `starts_um` to `ends_um` (n) fill.

    Examples
    --------
    >>> filled_share(torch.tensor([0.5]), torch.tensor([2.25]), side=3, size_um=1.0)
    tensor([0.5000, 1.0000, 0.2500], dtype=torch.float64)
    """
    left_um = size_um * torch.arange(side, dtype=torch.float64)[:, None]
    inside_um = torch.minimum(ends_um, left_um + size_um) - torch.maximum(starts_um, left_um)
    return inside_um.clamp(min=0).sum(1) / size_um


def thin_plane(
    pattern: torch.Tensor, shape: tuple[int, ...], voxel_size_um: Sequence[float], thickness_um: float
) -> torch.Tensor:
    """Return `pattern` (y, x) as it is, or in the middle of a stack where `shape` is one.

    Examples
    --------
    >>> thin_plane(torch.ones(1, 1), (3, 1, 1), (0.5, 0.1, 0.1), 0.1).flatten()
    tensor([0.0000, 0.2000, 0.0000])
    """
    THICKNESS.check(thickness_um)
    if len(shape) == 2:
        return pattern
    height_um = shape[0] * voxel_size_um[0]
    if thickness_um > height_um:
        raise ValueError(
            f"thickness_um is {thickness_um:g} µm, but the field is {height_um:g} µm high: "
            f"use a thinner plane or more planes."
        )
    middle_um = torch.tensor([height_um / 2], dtype=torch.float64)
    share = filled_share(
        middle_um - thickness_um / 2, middle_um + thickness_um / 2, side=shape[0], size_um=voxel_size_um[0]
    )
    return share.to(pattern)[:, None, None] * pattern
